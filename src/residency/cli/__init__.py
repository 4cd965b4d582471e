"""The command line. Only the command that was asked for is imported, so help is instant."""

from __future__ import annotations

import errno
import importlib
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import typer

from residency import __version__
from residency.cli.ranks import processes, together
from residency.errors import ResidencyError


class Command(NamedTuple):
    """Where a command lives, and its line in ``residency --help``."""

    target: str
    line: str


COMMANDS: dict[str, Command] = {
    "init": Command("residency.cli.init:init", "Make a project: the example, or your own data."),
    "run": Command("residency.cli.run:run", "The main job: rounds until the errors are gone."),
    "status": Command("residency.cli.status:status", "Show rounds, issues and verdicts again."),
    "report": Command("residency.cli.report:report", "Write one self-contained HTML file."),
    "check": Command("residency.cli.check:check", "Data doctor: what is in your files."),
    "data": Command("residency.cli.data:app", "Dataset versions: list, show, diff."),
    "collect": Command(
        "residency.cli.collect:collect", "Write better answers for the worst items."
    ),
    "train": Command("residency.cli.steps:train", "Train once on the stored data."),
    "eval": Command("residency.cli.steps:evaluate", "Generate and grade answers of a model."),
    "diagnose": Command("residency.cli.steps:diagnose", "Find errors and issues again."),
    "target": Command("residency.cli.steps:target", "Propose rows for the open issues."),
    "compare": Command("residency.cli.steps:compare", "Compare two models on paired items."),
    "baseline": Command("residency.cli.baseline:baseline", "Should I fine-tune at all?"),
    "bench": Command("residency.cli.bench:bench", "ARC, HellaSwag, MMLU, TruthfulQA."),
    "arena": Command("residency.cli.arena:app", "Blind A/B review, ratings, votes."),
    "judge": Command("residency.cli.judge:app", "A judge model, and how far to trust it."),
    "chat": Command("residency.cli.chat:chat", "Talk to a model, or to two side by side."),
    "trace": Command("residency.cli.steps:trace", "From any id back to where it came from."),
    "estimate": Command("residency.cli.estimate:estimate", "Memory and time before a training."),
    "merge": Command("residency.cli.merge:merge", "A trained model as one folder, with proof."),
    "base": Command("residency.cli.base:app", "Base models: list, fetch, show."),
    "pretrain": Command("residency.cli.pretrain:pretrain", "Train a model from raw text."),
    "web": Command("residency.cli.web:web", "Look at a project in the browser."),
}

EPILOG = "Begin with: residency init demo --example tickets && residency run demo"


def load(name: str) -> Any:
    """The function or sub-application of a command."""
    module, _, attribute = COMMANDS[name].target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def build(only: str | None = None) -> typer.Typer:
    """The application. With ``only``, the other commands are names without bodies."""
    app = typer.Typer(
        name="residency",
        help="Turn a general language model into a specialist, in rounds, with proof.",
        epilog=EPILOG,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    app.callback()(_options)
    for name, command in COMMANDS.items():
        if only is not None and name != only:
            app.command(name, help=command.line)(_nothing)
            continue
        found = load(name)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name, help=command.line)
        else:
            app.command(name)(found)
    return app


def _nothing() -> None:
    """A name in the list of commands."""


def _version(value: bool) -> None:
    if value:
        typer.echo(f"residency {__version__}")
        raise typer.Exit


def _options(
    debug: bool = typer.Option(False, "--debug", help="Show a traceback when something fails."),
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point. Exit code 2 for the user's mistakes, 1 for ours, 130 for Ctrl-C."""
    raise SystemExit(invoke(list(sys.argv[1:] if arguments is None else arguments)))


def invoke(arguments: list[str]) -> int:
    """Run one command line and give its exit code."""
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    name = next((a for a in arguments if not a.startswith("-")), "")
    app = build(only=name if name in COMMANDS else "")

    def call() -> None:
        app(args=arguments, standalone_mode=True)

    if processes() > 1:
        return guarded(lambda: together(name, call), debug=debug)
    return guarded(call, debug=debug)


NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""What the operating system says where nothing more can be written."""

INTERRUPTED = 130
"""The shell's exit code for a command that Ctrl-C stopped."""


def interrupted() -> int:
    """Say that nothing is lost."""
    typer.echo(
        "\nInterrupted. What was done is kept: the same command goes on from here.", err=True
    )
    return INTERRUPTED


def guarded(call: Callable[[], Any], *, debug: bool) -> int:
    """Call, and turn what goes wrong into a message and an exit code."""
    try:
        call()
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer turns Ctrl-C into this
            return interrupted()
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:
        return interrupted()
    except ResidencyError as error:
        if debug:
            traceback.print_exc()
        typer.echo(f"error: {error}", err=True)
        return error.exit_code
    except Exception as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            typer.echo(
                f"error: {error.filename or 'a file'}: cannot write: {error.strerror}\n"
                "→ free some space and run the same command: what was done is kept",
                err=True,
            )
            return 2
        if not debug:
            typer.echo(
                f"internal error: {type(error).__name__}: {error}\n"
                "→ this is a defect of Residency; run again with --debug and report the traceback",
                err=True,
            )
        return 1
    return 0
