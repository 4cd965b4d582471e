"""What is pasted into a terminal is one text, whatever lines it has."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest

SCRIPT = """
from residency.cli.typed_text import read_typed_text
while True:
    text = read_typed_text("> ", ("s", "q", ""))
    print("READ", repr(text), flush=True)
    if text == "q":
        break
"""


def type_into(pieces: list[str]) -> list[str]:
    """What a program at a terminal read, with a pause before each piece."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen([sys.executable, "-c", SCRIPT], stdin=theirs, stdout=theirs)
    os.close(theirs)
    shown = b""
    try:
        for piece in ["", *pieces]:
            os.write(ours, piece.encode())
            before, deadline = len(shown), time.monotonic() + 20
            while time.monotonic() < deadline:
                if select.select([ours], [], [], 0.8)[0]:
                    with contextlib.suppress(OSError):  # it has ended
                        shown += os.read(ours, 65536)
                elif (shown[before:] if piece else b"> " in shown) or child.poll() is not None:
                    break  # it has answered, and says no more
                if child.poll() is not None:
                    break
        child.wait(timeout=20)
    finally:
        child.kill()
        os.close(ours)
    return re.findall(r"READ (.*?)\r?\n", shown.decode())


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of POSIX")
def test_a_pasted_paragraph_is_one_answer() -> None:
    pieces = [
        "one line\n",
        "Dear Ann,\n\nyour kettle is on its way.\n\nBest,\n", "\n",
        "first\nlast without its line break", "\n", "\n",
        "\x1b[200~marked\n\nby the terminal\x1b[201~", "\n",
        "s\ns\n",
        "q\n",
    ]  # fmt: skip
    assert type_into(pieces) == [
        "'one line'",
        repr("Dear Ann,\n\nyour kettle is on its way.\n\nBest,"),
        repr("first\nlast without its line break"),
        repr("marked\n\nby the terminal"),
        "'s'",
        "'s'",
        "'q'",
    ]


@pytest.mark.parametrize("closed", [">&-", "<&-", ">&- <&-"])
def test_a_closed_input_or_output_is_the_end_of_the_text(closed: str) -> None:
    line = (
        f"{sys.executable} -c 'from residency.cli.typed_text import read_typed_text\n"
        'try:\n    read_typed_text("> ")\nexcept EOFError:\n    raise SystemExit(7)\' ' + closed
    )
    done = subprocess.run(["bash", "-c", line], stdin=subprocess.DEVNULL, capture_output=True)
    assert done.returncode == 7, done.stderr
