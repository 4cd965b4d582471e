"""``residency gate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from residency.cli.exit_codes import exit_with
from residency.cli.json_output import to_jsonable
from residency.cli.options import Json
from residency.cli.terminal import console, print_json, print_line, quote_path
from residency.text.percent import write_percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from residency.results.gate_report import GateLimits, GateReport
    from residency.stats.paired_changes import PairedChange


def gate_command(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="The project; the folder where you are if left out."),
    ] = None,
    baseline: Annotated[
        str,
        typer.Option(
            help="Compare with an earlier model: a run's id, previous, base, few-shot, round-N, "
            "a model's id, or a file of --save. Without it the run's own verdicts speak."
        ),
    ] = "",
    before: Annotated[
        str, typer.Option(help="Instead of a project: a log of lm-eval, Inspect or promptfoo …")
    ] = "",
    after: Annotated[str, typer.Option(help="… and the log to compare with it.")] = "",
    save: Annotated[
        Path | None,
        typer.Option(help="Write the run's final model as a baseline, and judge nothing."),
    ] = None,
    margin: Annotated[
        float,
        typer.Option(
            min=0, max=100, help="The rise of a failure rate that is accepted, in points."
        ),
    ] = 5.0,
    alpha: Annotated[
        float,
        typer.Option(min=0.0001, max=0.5, help="Chance of any false 'regressed' in this call."),
    ] = 0.05,
    coverage: Annotated[
        float, typer.Option(min=0, max=100, help="Least share of items scored on both sides, in %.")
    ] = 90.0,
    strict: Annotated[
        bool, typer.Option(help="Fail also where a rise beyond the margin is not excluded.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Exit 0 where a model may go out, and 1, with reasons, where it may not.

    Closed where an issue or a metric regressed, a resolved issue came back, a benchmark of the guard
    was forgotten, the sealed test fell, or too little could be scored to say. It reads what is stored;
    no model is opened. Each sentence says how often it is false.

    Example: residency gate demo --baseline previous --margin 3

    Example: residency gate --before base/samples_arc.jsonl --after tuned/samples_arc.jsonl
    """
    from residency.errors import ConfigError
    from residency.results.gate_report import GateLimits

    limits = GateLimits(alpha, margin / 100, coverage / 100, strict)
    if bool(before) != bool(after) or (before and (folder or baseline or save)):
        raise ConfigError(
            "--before and --after belong together, and need no project",
            where="command line",
            next_step="residency gate --before FILE --after FILE, or residency gate DIR",
        )
    if before:
        from residency.commands.gate import gate_logs

        _tell(gate_logs(before, after, limits), as_json)
        return
    _gate_project(folder or Path(), baseline, save, limits, as_json)


def _gate_project(
    folder: Path, baseline: str, save: Path | None, limits: GateLimits, as_json: bool
) -> None:
    from residency.commands.gate import gate, save_baseline
    from residency.errors import UserError
    from residency.project.settings_file import find_project_root, read_config
    from residency.store.store import Store

    if folder.is_file():
        raise UserError(
            "the gate of a project takes its folder; logs of other programs are named as two sides",
            where=str(folder),
            next_step=f"residency gate --before EARLIER --after {quote_path(folder)}",
        )
    root = find_project_root(folder)
    store = Store(root, read_config(root).project.store, create=False)
    try:
        if save is not None:
            side = save_baseline(store, save)
            if as_json:
                print_json(json.dumps({"file": str(save), "model": side.model, "run": side.run}))
            else:
                print_line(f"Baseline of {side.label}: {save}")
            return
        report = gate(store, root, baseline, limits)
    finally:
        store.close()
    _tell(report, as_json)


def _tell(report: GateReport, as_json: bool) -> None:
    """Print the report, and exit with 1 where the gate is closed."""
    with exit_with(0 if report.passed else 1):
        if as_json:
            body = {"passed": report.passed, **to_jsonable(report)}
            print_json(json.dumps(body, ensure_ascii=False))
        else:
            _print_report(report)


def build_changes_table(title: str, changes: Sequence[PairedChange]) -> Table:
    """A line a measure: failures before and after, the rise with its interval, and what it shows."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in ("fails", "n", "before", "after", "rise, 95 %", "p, all counted", ""):
        table.add_column(column, justify="left" if column in ("fails", "") else "right")
    for c in changes:
        if c.bounded:
            cells = [write_percent(c.before), write_percent(c.after)]
            rise = f"{100 * c.rise + 0.0:+.1f} [{100 * c.low:+.1f}, {100 * c.high:+.1f}]"
        else:
            cells = [f"{c.before:.4g}", f"{c.after:.4g}"]
            rise = f"{c.rise:+.3g} [{c.low:+.3g}, {c.high:+.3g}]"
        table.add_row(c.name, str(c.n), *cells, rise, f"{c.adjusted_p:.2g}", c.status)
    return table


def _print_report(report: GateReport) -> None:
    if report.checks:
        console.print(build_changes_table(f"{report.before} → {report.after}", report.checks))
    for note in report.notes:
        print_line(f"note    {note}")
    for reason in report.reasons:
        print_line(f"closed  {reason.kind}: {reason.name}: {reason.what} ({reason.error})", "red")
    if report.passed:
        alpha = report.limits.alpha
        print_line(
            f"Open: no regression was shown (any false 'regressed': at most {write_percent(alpha, 0)}).",
            "green",
        )
        return
    count = len(report.reasons)
    print_line(f"Closed, for {count} {'reason' if count == 1 else 'reasons'}.", "red")
