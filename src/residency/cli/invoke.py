"""A command line is run, and what goes wrong becomes a message and an exit code.

0 done, 1 a defect of Residency, 2 something the user can mend, 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import typer

from residency.cli.app import COMMANDS, CommandStoppedError, build_app
from residency.cli.ranks import count_processes, run_on_ranks
from residency.errors import ResidencyError
from residency.files.path_text import check_path_text
from residency.http.telemetry import silence_telemetry
from residency.model.thread_waiting import limit_spinning
from residency.secrets import hide_secrets, mask_address, mask_addresses, remember_secret

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""What the operating system says where nothing more can be written."""

WRONG_PLACES = (
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENOENT),
    *(errno.ENOTDIR, errno.EISDIR, errno.EMFILE, errno.ENFILE, errno.EIO),
)
"""What it says of a path that somebody named, or of the machine."""

INTERRUPTED = 130
"""The shell's exit code for a command that Ctrl-C stopped; 128 + the signal's number."""

COLLECTIONS = (20_000, 20, 20)
"""New objects before each search for circles of objects (Python: 700, 10, 10). Imports alone make half a
million objects and rows hold no circles: searching them took a tenth of ``check``."""

SECRET_ENDINGS = ("_API_KEY", "_ACCESS_KEY", "_SECRET", "_TOKEN", "PASSWORD", "_PASSWD")
"""How variables end that libraries read by themselves (of hubs, databases, object stores)."""


class Stopped(KeyboardInterrupt):
    """A signal that ends the process politely: work in hand is put down as after Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``residency``."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    gc.set_threshold(*COLLECTIONS)
    limit_spinning()
    code = run_command_line(words)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Libraries still tidy up; another Ctrl-C ends that without a traceback of theirs.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise SystemExit(code)


def run_command_line(arguments: list[str]) -> int:
    """Run one command line and give its exit code."""
    _remember_environment()
    silence_telemetry()
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    name = next((a for a in arguments if not a.startswith("-")), "") or _completed_command()
    if "_RESIDENCY_COMPLETE" in os.environ:
        os.environ["COLUMNS"] = "1000"  # fish takes the second line of a help text for a proposal

    def call() -> None:
        for word in arguments:
            check_path_text(word)
        app = build_app(only=name if name in COMMANDS else "")
        code = app(args=arguments, prog_name="residency", standalone_mode=False)
        if isinstance(code, int) and code:
            raise SystemExit(code)

    if count_processes() > 1:
        return call_guarded(lambda: run_on_ranks(name, call), debug=debug)
    with stop_on_signals():
        return call_guarded(call, debug=debug)


def _remember_environment() -> None:
    """Passwords and keys that libraries read by themselves: in no message either."""
    for name, value in os.environ.items():
        if name.lower().endswith("_proxy"):
            for secret in mask_address(value if "://" in value else f"http://{value}")[1]:
                remember_secret(secret)
        elif name.upper().endswith(SECRET_ENDINGS):
            remember_secret(value)


def _completed_command() -> str:
    """The command whose options the shell asks for, when it completes a line."""
    line = os.environ.get("_TYPER_COMPLETE_ARGS", "") or os.environ.get("COMP_WORDS", "")
    words = line.split() if "_RESIDENCY_COMPLETE" in os.environ else []
    return next((word for word in words[1:] if word in COMMANDS), "")


@contextlib.contextmanager
def stop_on_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end what runs inside as Ctrl-C does; one that is ignored stays so."""
    names = ("SIGTERM", "SIGHUP")  # Windows knows no SIGHUP
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []

    def stop(number: int, _: object) -> None:
        raise Stopped(number)

    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler is signal.SIG_DFL:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


def report_interruption(cause: BaseException | None = None) -> int:
    """Say that nothing is lost; the exit code."""
    number = cause.number if isinstance(cause, Stopped) else signal.SIGINT
    what = (
        f"Stopped by {signal.Signals(number).name}" if isinstance(cause, Stopped) else "Interrupted"
    )
    _tell(f"\n{what}. What was done is kept: the same command goes on from here.")
    return 128 + number


def call_guarded(call: Callable[[], Any], *, debug: bool) -> int:
    """Call, and turn what goes wrong into a message and an exit code."""
    try:
        call()
    except SystemExit as end:
        if end.code == INTERRUPTED:
            return report_interruption()
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt as error:
        return report_interruption(error)
    except CommandStoppedError as error:
        return report_interruption(error.cause)
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        _close_stdout()
        return 0
    except typer.Exit as end:
        if isinstance(end.__cause__, BrokenPipeError):
            _close_stdout()
        return end.exit_code
    except typer.Abort as error:
        return report_interruption(error.__cause__ or error.__context__)
    except ResidencyError as error:
        _tell_traceback(debug)
        _tell(f"error: {error}")
        return error.exit_code
    except Exception as error:
        _tell_traceback(debug)
        return _report_unexpected(error, debug=debug)
    return 0


def _report_unexpected(error: Exception, *, debug: bool) -> int:
    """A wrong command line, a full disk, or a defect of ours."""
    if hasattr(error, "format_message"):  # the command line cannot be read
        return _report_usage(error)
    if (description := _describe_wrong_place(error)) is not None:
        _tell(description)
        return 2
    if not debug:
        _tell(
            f"internal error: {type(error).__name__}: {error}\n"
            "→ this is a defect of Residency; run again with --debug and report the traceback"
        )
    return 1


def _describe_wrong_place(error: Exception) -> str | None:
    """What to say of a full disk, or of a path where nothing can be read or written; else None."""
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop from "):
        error = OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(error).split(" from ", 1)[1])
    if not isinstance(error, OSError):
        return None
    if error.errno in NO_ROOM:
        return (
            f"error: {error.filename or 'a file'}: cannot write: {error.strerror}\n"
            "→ free some space and run the same command: what was done is kept"
        )
    if error.errno == errno.ENOENT and "No usable temporary directory" in str(error):
        return (
            "error: there is no room for temporary files: no folder of them can be written\n"
            "→ free some space, or name another folder: TMPDIR=FOLDER residency …"
        )
    if error.errno in WRONG_PLACES and error.filename:
        return (
            f"error: {error.filename}: {error.strerror}\n"
            "→ name a file or folder that can be read, and written where it is to be written"
        )
    return None


def _report_usage(error: Any) -> int:
    context, message = error.ctx, str(error.format_message())
    if not message.startswith("Usage:") and context is not None:
        _tell(context.get_usage())
        message = f"error: {message}\n→ {context.command_path} --help says what can be given"
    _tell(message)
    return 2


def _tell_traceback(debug: bool) -> None:
    if debug:
        _tell(traceback.format_exc())


def _tell(text: str) -> None:
    """A message on stderr, without secrets and without what could drive a terminal."""
    from residency.text.terminal_text import make_safe

    with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
        print(make_safe(hide_secrets(mask_addresses(text))), file=sys.stderr, flush=True)


def _close_stdout() -> None:
    """No second complaint when Python flushes at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
