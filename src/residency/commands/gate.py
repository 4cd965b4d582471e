"""``residency gate``: may this model go out? Reads what is stored; opens no model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from residency.errors import StoreError, UserError
from residency.evaluate.imported_logs.compare_logs import LogComparison, compare_logs
from residency.evaluate.imported_logs.read_log import read_log
from residency.files.atomic_write import write_json
from residency.nouns.content_id import id_begins
from residency.results.gate_report import (
    GateLimits,
    GateReason,
    GateReport,
    judge_changes,
    note_unclear,
)
from residency.results.gate_sides import GateSide, read_run_side, read_side, write_side
from residency.results.run_gate import compare_sides, judge_present_run, judge_run
from residency.results.run_results import RunResults
from residency.store.store import Store
from residency.text.counts import write_count

__all__ = ["GateLimits", "GateReport", "compare_log_files", "gate", "gate_logs", "save_baseline"]


def gate(
    store: Store, root: Path, baseline: str = "", limits: GateLimits | None = None
) -> GateReport:
    """The latest run's final model: by its own verdicts, or against an earlier model.

    Args:
        root: the project's folder. baseline: the id of an earlier run (or its beginning), ``previous``
            for the run before, a model's id or name (``base``, ``few-shot``, ``round-N``), or a file that
            ``save_baseline`` wrote; empty: none.

    Raises:
        StoreError: nothing was run, or no such run or model. DataError: the file is damaged.
    """
    limits = limits or GateLimits()
    results = RunResults(store)
    if not baseline:
        return judge_run(results, limits)
    before = _read_baseline(store, results, root, baseline)
    after = read_run_side(results)
    report = compare_sides(before, after, limits)
    reasons, notes = judge_present_run(results, limits)
    return replace(report, reasons=[*report.reasons, *reasons], notes=[*report.notes, *notes])


def save_baseline(store: Store, out: Path) -> GateSide:
    """Write what the latest run's final model showed on dev, for a gate on another day or machine.

    Raises:
        StoreError: nothing was run, or the run has no model yet.
    """
    results = RunResults(store)
    if not results.complete:
        raise StoreError(
            f"run {results.run} has not come to its end", next_step="residency run goes on with it"
        )
    side = read_run_side(results)
    write_json(out, write_side(side))
    return side


def _read_baseline(store: Store, results: RunResults, root: Path, name: str) -> GateSide:
    path = Path(name)
    inside = root / name
    if path.is_file() or inside.is_file():
        return read_side(path if path.is_file() else inside)
    if path.suffix:
        raise UserError(
            "no such file", where=name, next_step="residency gate DIR --save FILE writes a baseline"
        )
    runs = [run for run in store.runs() if run != results.run]
    if name == "previous":
        for run in reversed(runs):  # one that was given up before its first model is none
            if (earlier := RunResults(store, run)).final_id:
                return read_run_side(earlier)
        raise StoreError("there is no run before this one that has a model", where="--baseline")
    fitting = [run for run in runs if run.startswith(name)]
    if len(fitting) == 1:
        return read_run_side(RunResults(store, fitting[0]))
    models = [m.id for m in results.models if id_begins(m.id, name)]
    named = {m.name: m.id for m in results.models}
    model = named.get("base" if name == "zero-shot" else name) or (
        models[0] if len(models) == 1 else ""
    )
    if model:
        return read_run_side(results, model)
    others = ", ".join([*runs[-4:], *named]) or "none"
    raise StoreError(
        f"{write_count(len(fitting), 'earlier run')} and {write_count(len(models), 'model begins', 'models begin')} with {name!r}",
        where="--baseline",
        next_step=f"name a run, a model or a file of gate --save; there are: {others}",
    )


def compare_log_files(before: str, after: str, limits: GateLimits | None = None) -> LogComparison:
    """Logs of lm-eval, Inspect or promptfoo, paired item by item.

    Raises:
        DataError: a file is damaged or of another kind, or they were not asked the same.
    """
    limits = limits or GateLimits()
    return compare_logs(
        read_log(before), read_log(after),
        alpha=limits.alpha, margin=limits.margin, coverage=limits.coverage,
    )  # fmt: skip


def gate_logs(before: str, after: str, limits: GateLimits | None = None) -> GateReport:
    """A gate between two logs of other programs.

    Raises:
        DataError: a file is damaged or of another kind, or they were not asked the same.
    """
    limits = limits or GateLimits()
    compared = compare_log_files(before, after, limits)
    notes = note_unclear(compared.changes, limits)
    notes += [f"{name}: {why}" for name, why in compared.left_out.items()]
    for name, (then, now) in compared.unscored.items():
        if then or now:
            notes.append(f"{name}: {write_count(then, 'item')} unscored before, {now} after")
    if any(compared.alone):
        notes.append(
            "{} items only in the earlier log, {} only in the later one".format(*compared.alone)
        )
    reasons = judge_changes(compared.changes, limits)
    reasons += [
        GateReason(
            "not complete", log, f"the log does not hold its whole evaluation: {why}", "a fact"
        )
        for log, why in compared.incomplete.items()
    ]
    return GateReport(compared.before, compared.after, limits, compared.changes, reasons, notes)
