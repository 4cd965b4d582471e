"""The commands, and the help that is made of them. Only the command that was asked for is imported."""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand

from residency import __version__
from residency.cli.json_schemas import find_command_words, running_command
from residency.errors import ResidencyError


class Command(NamedTuple):
    """Where a command lives, and its line in ``residency --help``."""

    target: str
    line: str


COMMANDS: dict[str, Command] = {
    "init": Command(
        "residency.cli.init:init_command", "Make a project: the example, or your own data."
    ),
    "run": Command(
        "residency.cli.run:run_command", "The main job: rounds until the errors are gone."
    ),
    "status": Command(
        "residency.cli.status:status_command", "Show rounds, issues and verdicts again."
    ),
    "doctor": Command("residency.cli.doctor:doctor_command", "Check the store and stored models."),
    "report": Command("residency.cli.report:report_command", "Write one self-contained HTML file."),
    "check": Command("residency.cli.check:check_command", "Data doctor: what is in your files."),
    "data": Command("residency.cli.data:app", "Dataset versions: list, show, diff, export."),
    "collect": Command(
        "residency.cli.collect:collect_command", "Write better answers for the worst items."
    ),
    "suite": Command(
        "residency.cli.suite:app", "Draft a test suite; see what a suite can tell apart."
    ),
    "read": Command(
        "residency.cli.read:read_command", "Read answers, note failures, name their kinds."
    ),
    "label": Command(
        "residency.cli.label:label_command", "Say which answers really fail; rates are corrected."
    ),
    "train": Command("residency.cli.train:train_command", "Train once on the stored data."),
    "eval": Command(
        "residency.cli.evaluate:evaluate_command", "Generate and grade answers of a model."
    ),
    "diagnose": Command("residency.cli.diagnose:diagnose_command", "Find errors and issues again."),
    "target": Command("residency.cli.target:target_command", "Propose rows for the open issues."),
    "rows": Command(
        "residency.cli.rows:rows_command", "Rows drawn for issues or made: accept, reject, edit."
    ),
    "compare": Command(
        "residency.cli.compare:compare_command", "Compare two models on paired items."
    ),
    "gate": Command(
        "residency.cli.gate:gate_command", "May this model go out? Exit 0 or 1, with reasons."
    ),
    "baseline": Command("residency.cli.baseline:baseline_command", "Should I fine-tune at all?"),
    "bench": Command("residency.cli.bench:bench_command", "ARC, HellaSwag, MMLU, TruthfulQA."),
    "arena": Command("residency.cli.arena:app", "Blind A/B review, ratings, votes."),
    "judge": Command("residency.cli.judge:app", "A judge model, and how far to trust it."),
    "chat": Command("residency.cli.chat:chat_command", "Talk to a model, or to two side by side."),
    "trace": Command(
        "residency.cli.trace:trace_command", "From any id back to where it came from."
    ),
    "estimate": Command(
        "residency.cli.estimate:estimate_command", "Memory and time before a training."
    ),
    "sweep": Command(
        "residency.cli.sweep:sweep_command", "How much model, how much data: curves and sizes."
    ),
    "search": Command(
        "residency.cli.search:search_command", "Search better settings for training, and confirm."
    ),
    "launch": Command(
        "residency.cli.launch:launch_command", "A script for one training on several machines."
    ),
    "merge": Command(
        "residency.cli.merge:merge_command", "A trained model as one folder, with proof."
    ),
    "export": Command(
        "residency.cli.export:export_command", "A trained model for its server, proved on the file."
    ),
    "serve": Command(
        "residency.cli.serve:serve_command", "Models behind an OpenAI-compatible server."
    ),
    "ingest": Command(
        "residency.cli.ingest:ingest_command", "Bring back what production asked and answered."
    ),
    "usage": Command(
        "residency.cli.usage:usage_command", "What the server was used for, and at what cost."
    ),
    "moderate": Command(
        "residency.cli.moderate:moderate_command", "Try moderation on a text: seen, done, left."
    ),
    "mcp": Command("residency.cli.mcp:mcp_command", "A project's commands as tools of MCP."),
    "schema": Command(
        "residency.cli.schema:schema_command", "JSON Schema of what a command prints with --json."
    ),
    "skill": Command(
        "residency.cli.skill:skill_command", "How a coding assistant uses Residency: one page."
    ),
    "base": Command("residency.cli.base:app", "Base models: list, fetch, show."),
    "pretrain": Command("residency.cli.pretrain:pretrain_command", "Train a model from raw text."),
    "web": Command(
        "residency.cli.web:web_command", "The workbench: the whole loop in the browser."
    ),
}

EPILOG = "Begin with: residency init demo --example tickets && residency run demo"
WITHOUT_PROJECT = ("init", "base", "pretrain", "arena", "judge", "data", "suite", "skill")
"""Commands without a project's folder, or whose own commands have it."""
WIDEST_HELP = 100
"""Columns of a help text, where the terminal has them."""


class CommandStoppedError(Exception):
    """Ctrl-C, or a signal, ended a command."""

    def __init__(self, cause: KeyboardInterrupt) -> None:
        super().__init__(str(cause))
        self.cause = cause


class PlainCommand(TyperCommand):
    """A command whose usage line reads as it is typed: ``[DIR] A B``."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words of the usage line, without braces and dots around several arguments."""
        pieces = [
            re.sub(r"^\{(.+)\}(\.\.\.)?$", r"\1", p) for p in super().collect_usage_pieces(ctx)
        ]
        return [re.sub(r"^\[(\[.*)\](\.\.\.)?$", r"\1", piece) for piece in pieces]

    def invoke(self, ctx: Any) -> Any:
        """Run it; a folder that is no project, or a wrong setting, is refused before torch loads."""
        token = running_command.set(find_command_words(ctx))
        if ctx.info_name not in ("init", "web") and isinstance(ctx.params.get("directory"), Path):
            from residency.project.settings_file import find_project_root, read_config

            read_config(find_project_root(ctx.params["directory"]))
        try:
            return super().invoke(ctx)
        except ResidencyError as error:
            error.next_step = name_folder(error.next_step, find_named_folder(ctx.params))
            raise
        except KeyboardInterrupt as stop:  # typer would forget which signal it was
            raise CommandStoppedError(stop) from stop
        finally:
            running_command.reset(token)


def find_named_folder(params: Mapping[str, Any]) -> str:
    """The project's folder as the command line names it; empty where it is left out."""
    words = params.get("arguments") or [params.get("directory") or params.get("folder") or ""]
    folder = str(words[0])
    return folder if folder not in ("", ".") and Path(folder).is_dir() else ""


def name_folder(next_step: str, folder: str) -> str:
    """A next step that can be pasted: the commands in it name the project's folder."""
    if not folder:
        return next_step
    quoted = shlex.quote(folder)
    step = re.sub(r"(residency (?:\w+ )?\w+) DIR\b", lambda m: f"{m[1]} {quoted}", next_step)
    inner = "|".join(f"{name} [a-z]+" for name in ("arena", "judge", "data", "suite"))
    plain = "|".join(name for name in COMMANDS if name not in WITHOUT_PROJECT)
    pattern = rf"(residency (?:{inner}|{plain}))(?![\w-])(?! (?:{re.escape(quoted)}|FILE|FOLDER))"
    return re.sub(pattern, lambda m: f"{m[1]} {quoted}", step)


def load_command(name: str) -> Any:
    """The function or sub-application of a command."""
    module, _, attribute = COMMANDS[name].target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def build_app(only: str | None = None) -> typer.Typer:
    """The application. With ``only``, the other commands are names without bodies.

    Help is plain text: nothing in it is read as markup, and its paragraphs are set anew to the
    terminal's width.
    """
    app = typer.Typer(
        name="residency",
        help="Turn a general language model into a specialist, in rounds, with proof.",
        epilog=EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"max_content_width": WIDEST_HELP},
    )
    app.callback()(_read_global_options)
    for name, command in COMMANDS.items():
        if only is not None and name != only:
            app.command(name, help=command.line)(_do_nothing)
            continue
        body = load_command(name)
        if isinstance(body, typer.Typer):
            body.rich_markup_mode = None
            for inner in body.registered_commands:
                inner.help, inner.cls = _read_help(inner.callback), PlainCommand
                inner.short_help = re.split(r"(?<=[.?!])\s", inner.help)[0]
            app.add_typer(body, name=name, help=command.line)
        else:
            app.command(name, cls=PlainCommand, help=_read_help(body), short_help=command.line)(
                body
            )
    return app


def _read_help(function: Callable[..., Any] | None) -> str:
    """A command's docstring; its examples stay a line each."""
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n") if function else []
    out: list[str] = []
    for paragraph in paragraphs:
        example = paragraph.startswith("Example: ")
        text = " ".join(paragraph.split()) if not example else "\b\n" + paragraph
        if example and out and out[-1].startswith("\b\nExample: "):
            out[-1] += "\n" + paragraph
        else:
            out.append(text)
    return "\n\n".join(out)


def _do_nothing() -> None:
    """A name in the list of commands."""


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"residency {__version__}")
        raise typer.Exit


def _read_global_options(
    debug: bool = typer.Option(False, "--debug", help="Show a traceback when something fails."),
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass
