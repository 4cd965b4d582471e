"""The HTML report: one file that holds everything and loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from residency.errors import UserError
from residency.files.atomic_write import write_text
from residency.report import sections
from residency.report.highlight import highlight_trained
from residency.report.issue_charts import draw_forest_chart
from residency.report.score_charts import draw_rate_chart, draw_score_chart
from residency.report.sweep_charts import read_sweep
from residency.report.templates_env import make_environment, read_asset
from residency.report.training_charts import draw_loss_chart, draw_time_chart
from residency.results.arm_sentences import tell_arms, tell_falls
from residency.results.blind_spots import describe_sensitivity
from residency.results.conclusion import stop_sentence
from residency.results.headline import write_headline
from residency.results.lineage import trace_lineage
from residency.results.next_actions import list_next_actions
from residency.results.replay_sentence import tell_replay
from residency.results.run_results import RunResults
from residency.results.units_sentence import tell_run_units
from residency.store.stage_key import StageName
from residency.store.store import Store


def write_report(store: Store, out: Path, *, run: str = "", now: datetime | None = None) -> Path:
    """Write the report of a run (the latest when empty) to ``out``, atomically.

    Args:
        now: the time to print, for repeatable files.

    Raises:
        StoreError: nothing was run yet.
        UserError: the file cannot be written.
    """
    html = render_report(RunResults(store, run), now=now)
    try:
        write_text(out, html)
    except OSError as error:
        raise UserError(
            f"the report cannot be written: {error.strerror}",
            where=str(out),
            next_step="name another file with --out",
        ) from None
    return out


def render_report(results: RunResults, *, now: datetime | None = None) -> str:
    """The report as HTML text."""
    env = make_environment()
    script = read_asset(env, "report.js")
    digest = base64.b64encode(hashlib.sha256(str(script).encode()).digest()).decode()
    titles = {issue.issue.id: issue.title for issue in results.issues}
    baseline = sections.read_baseline(results)
    benchmarks = sections.read_benchmarks(results)
    sweep = read_sweep(results)
    table = results.sensitivity
    actions = list_next_actions(results)
    return env.get_template("report.html.j2").render(
        version=version("residency"),
        css=read_asset(env, "style.css"),
        script=script,
        script_hash=f"sha256-{digest}",
        name=results.settings.get("project", {}).get("name") or "residency",
        made_at=(now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC"),
        toc=sections.list_sections(
            baseline=bool(baseline),
            benchmarks=bool(benchmarks),
            actions=bool(actions),
            sensitivity=bool(table),
            sweep=bool(sweep),
        ),
        results=results,
        head=write_headline(results),
        actions=actions,
        stop=stop_sentence(results),
        units=tell_run_units(results),
        has_plan=bool(results.results_of_rounds(StageName.PLAN)),
        test=results.test,
        test_sides=results.test_sides,
        test_rows=sections.list_test_rows(results),
        issue_samples=sections.load_issue_samples(results),
        issue_titles=titles,
        lineage=trace_lineage(results),
        refused=results.store.refused_rows(results.run, sections.SHOWN_REFUSALS),
        baseline=baseline,
        benchmarks=benchmarks,
        replay=tell_replay(results.forgetting),
        sweep=sweep,
        statuses_seen={issue.status for issue in results.issues}
        | {v.status for issue in results.issues for v in issue.verdicts},
        record=sections.list_record(results),
        settings_text=json.dumps(results.settings, indent=1, ensure_ascii=False),
        **_draw_charts(results),
        **describe_sensitivity(table),
        **_describe_arms(results, titles),
        **_show_rows(results),
    )


def _draw_charts(results: RunResults) -> dict[str, Any]:
    return {
        "score_chart": draw_score_chart(results.models),
        "rate_charts": [
            (kind, draw_rate_chart(kind, results.models))
            for kind in sections.choose_charted_kinds(results)
        ],
        "forest": draw_forest_chart(results.issues),
        "loss": draw_loss_chart(
            {m.label: results.loss_curve(m) for m in results.models if m.training}
        ),
        "time_chart": draw_time_chart(sections.list_times(results)),
    }


def _describe_arms(results: RunResults, titles: dict[str, str]) -> dict[str, Any]:
    return {
        "arm_tables": sections.list_arm_tables(results),
        "arm_lines": tell_arms(results.arms_tested, results.arms_plan),
        "fall_lines": tell_falls(results.falls, titles),
    }


def _show_rows(results: RunResults) -> dict[str, Any]:
    trained = [m.training for m in results.models if m.arm == "main" and m.training]
    return {
        "dropped": sum(len(training.dropped) for training in trained),
        "token_rows": [highlight_trained(row) for row in results.data.shown],
        "rows_shown": results.answers.first_examples("train", 2),
    }
