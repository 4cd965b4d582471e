"""A command that is done and asked to end once more ends at once, without a library's traceback."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

LATE_INTERRUPT = """
import atexit, os, signal
atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))
from residency.cli.invoke import main
main(["--version"])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_while_libraries_tidy_up_leaves_no_traceback() -> None:
    # Background jobs of a shell inherit an ignored SIGINT: the child has the usual one.
    start = (
        f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n{LATE_INTERRUPT}"
    )
    ended = subprocess.run(
        [sys.executable, "-c", start], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == -signal.SIGINT
    assert "Traceback" not in ended.stderr
