"""The project's α: a run that asks the same dev or test rows again has less of it.

A changed setting or seed is a new run. Were each given the whole of α, one would only have to
change settings until something is claimed. So runs that share dev or test rows are numbered in the
order in which they began to judge, and each takes its share (``error_budget.run_alpha``). Rows that
no earlier run used open a new budget.
"""

from __future__ import annotations

from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.error_budget import TEST_SHARE, run_alpha
from residency.project.step_needs import HasRun, HasSettings
from residency.store.record_kind import RecordKind
from residency.store.stage_key import StageKey, StageName


def take_alpha(ws: HasSettings) -> float:
    """This run's share of ``diagnose.alpha``; taken once, before anything is judged."""
    shares = ws.store.records(RecordKind.ALPHA_TAKEN, ws.run_id)
    if shares:
        return float(shares[0]["alpha"])
    with ws.store.writer("run"), ws.store.job("alpha", "run", wait=60.0):  # two get two numbers
        number = 1 + len(_list_earlier_runs(ws))
        alpha = run_alpha(ws.config.diagnose.alpha, number, ws.config.rounds.runs)
        body = {"run": ws.run_id, "number": number, "alpha": alpha}
        body |= {"whole": ws.config.diagnose.alpha}
        ws.store.add_record(RecordKind.ALPHA_TAKEN, ws.record_run(), body)
    return alpha


def settings_at_share(ws: HasSettings) -> DiagnoseConfig:
    """The settings of verdicts, with this run's share instead of the whole of α."""
    return ws.config.diagnose.model_copy(update={"alpha": take_alpha(ws)})


def take_test_alpha(ws: HasSettings) -> float:
    """What this opening of the sealed test may spend.

    A fifth of the run's share, or of the share of the run whose number is that of this opening, if that is
    less: opening the same test rows again costs, also where earlier runs judged little else.
    """
    tested = set(ws.store.corpus_ids(ws.record_run(), "test"))
    openings = 1 + sum(
        bool(tested & set(ws.store.corpus_ids(run, "test")))
        for run in ws.store.runs()
        if run != ws.run_id and ws.store.records(RecordKind.TEST_OPENED, run)
    )
    at_opening = run_alpha(ws.config.diagnose.alpha, openings, ws.config.rounds.runs)
    return TEST_SHARE * min(take_alpha(ws), at_opening)


def _list_earlier_runs(ws: HasRun) -> list[str]:
    """Runs that began to judge before this one, on dev or test rows that it uses too."""
    measured_here = _list_measured(ws, ws.record_run())
    return [
        run
        for run in ws.store.runs()
        if run != ws.run_id and _has_judged(ws, run) and measured_here & _list_measured(ws, run)
    ]


def _has_judged(ws: HasRun, run: str) -> bool:
    return bool(ws.store.records(RecordKind.ALPHA_TAKEN, run)) or (
        ws.store.stage(run, StageKey.of_round(StageName.PLAN, 1)) is not None
        or bool(ws.store.verdicts(run))  # by a version that froze no plan
    )


def _list_measured(ws: HasRun, run: str) -> set[str]:
    return {*ws.store.corpus_ids(run, "dev"), *ws.store.corpus_ids(run, "test")}
