"""What each section of the report shows, chosen from the run's read-out."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from markupsafe import Markup

from residency.evaluate.benchmarks.score_items import LOG_METRICS
from residency.report.issue_charts import draw_arms_chart
from residency.results.arm_sentences import together_sentence
from residency.results.benchmark_change import write_margin
from residency.results.change_figures import ArmsTogether, IssueArms, KindChange
from residency.results.change_table import ChangeTables
from residency.results.issue_items import (
    Sample,
    load_samples_of_issues,
)
from residency.results.issue_results import IssueResult
from residency.results.kinds import COMMON_KINDS, kind_order
from residency.results.number_formats import format_number, format_percent
from residency.results.run_results import RunResults
from residency.results.score_figures import RateFigures, ScoresFigures
from residency.store.record_kind import RecordKind

SHOWN_SAMPLES = 3
"""Items shown for each issue."""
SHOWN_REFUSALS = 40
"""Rows shown of those that the firewall turned down."""
NOTABLE_RATE = 0.05
"""Failure rate from which a kind that is not one of the common ones gets a chart."""

_SECTIONS = {
    "answer": "Answer",
    "next": "Next",
    "rounds": "Rounds",
    "test": "Sealed test",
    "sees": "What the score can see",
    "issues": "Issues",
    "arms": "Targeted or random rows",
    "lineage": "Lineage",
    "baseline": "Prompting or fine-tuning",
    "sweep": "How much data, how much model",
    "bench": "What was forgotten",
    "data": "Data",
    "how": "How it was made",
}


def list_sections(
    *,
    baseline: bool,
    benchmarks: bool,
    actions: bool = False,
    sensitivity: bool = False,
    sweep: bool = False,
) -> dict[str, str]:
    """Ids and titles of the sections; links are named as the sections are."""
    shown = {
        "next": actions,
        "baseline": baseline,
        "bench": benchmarks,
        "sees": sensitivity,
        "sweep": sweep,
    }
    absent = {name for name, there in shown.items() if not there}
    return {name: title for name, title in _SECTIONS.items() if name not in absent}


def choose_charted_kinds(results: RunResults) -> list[str]:
    """Kinds worth a chart: the common ones, and whatever failed for some model."""
    kinds = []
    for kind in results.kinds:
        rates = [
            model.scores.kinds[kind].rate for model in results.models if kind in model.scores.kinds
        ]
        known = [rate for rate in rates if rate is not None]
        if known and (kind in COMMON_KINDS or max(known) >= NOTABLE_RATE):
            kinds.append(kind)
    return kinds


@dataclass(frozen=True)
class TestRow:
    """A kind on the sealed test: each side's rate, and the change on items scored in both."""

    kind: str
    rates: list[RateFigures | None]
    change: KindChange | None


def list_test_rows(results: RunResults) -> list[TestRow]:
    """Kinds looked for in the sealed test, the common ones first."""
    test = results.test
    if test is None or not test.ready:
        return []
    sides = [side for _, side in results.test_sides]
    kinds = sorted({kind for side in sides for kind in side.scores.kinds}, key=kind_order)
    changes = test.sides[test.reference].against_final
    return [
        TestRow(kind, [side.scores.kinds.get(kind) for side in sides], changes.get(kind))
        for kind in kinds
    ]


@dataclass(frozen=True)
class IssueSamples:
    """An issue with the items that are shown of it, and how many of its items changed how."""

    result: IssueResult
    counts: dict[Any, int]
    samples: list[Sample]


def load_issue_samples(results: RunResults) -> list[IssueSamples]:
    """Every issue with a few items before and after."""
    tables = ChangeTables(results.answers)
    changes = [tables.find_changes(result, SHOWN_SAMPLES) for result in results.issues]
    chosen = [(result.issue, few) for result, (few, _) in zip(results.issues, changes, strict=True)]
    samples = load_samples_of_issues(results.answers, chosen)
    return [
        IssueSamples(result, dict(counts), few)
        for result, (_, counts), few in zip(results.issues, changes, samples, strict=True)
    ]


@dataclass(frozen=True)
class ArmRow:
    """An issue in a round with a control arm: both rates, rows it drew, p with all issues counted."""

    result: IssueResult
    row: IssueArms
    drawn: int
    adjusted_p: float | None


@dataclass(frozen=True)
class ArmTable:
    """A round with a control arm."""

    number: int
    chart: Markup
    rows: list[ArmRow]
    together: ArmsTogether | None
    sentence: str


def list_arm_tables(results: RunResults) -> list[ArmTable]:
    """Each round with a control arm: chart, issue by issue, and all issues that drew rows."""
    tables = []
    for number in sorted(results.arms):
        together = results.arms_together.get(number)
        adjusted = together.adjusted_p if together else {}
        rows = [
            ArmRow(
                result,
                result.arms[number],
                result.drawn,
                adjusted.get(result.issue.id),
            )
            for result in results.issues
            if number in result.arms and result.arms[number].n
        ]
        charted = [row.result for row in rows if row.drawn] or [row.result for row in rows]
        sentence = together_sentence(number, together) if together else ""
        tables.append(ArmTable(number, draw_arms_chart(charted, number), rows, together, sentence))
    return tables


@dataclass(frozen=True)
class BaselineTable:
    """The last result of ``residency baseline``: a row a way, with its typed scores, and its advice."""

    kinds: list[str]
    ways: list[tuple[dict[str, Any], ScoresFigures]]
    recommendation: list[str]


def read_baseline(results: RunResults) -> BaselineTable | None:
    """Prompting against retrieval and fine-tuning, where that was compared."""
    records = results.store.records(RecordKind.BASELINE, results.run)
    if not records:
        return None
    ways = [(row, ScoresFigures.read(row["scores"])) for row in records[-1]["rows"]]
    kinds = [k for k in COMMON_KINDS if any(k in scores.kinds for _, scores in ways)]
    return BaselineTable(kinds, ways, list(records[-1].get("recommendation") or ()))


@dataclass(frozen=True)
class BenchmarkRow:
    """A task's metric: each model's figure with its standard error, in words, and the last model's
    difference to the first."""

    task: str
    metric: str
    n: int
    figures: list[tuple[str, str] | None]
    difference: dict[str, Any] | None


@dataclass(frozen=True)
class BenchmarkTable:
    """What ``residency bench`` compared last."""

    names: list[str]
    rows: list[BenchmarkRow]
    margin: float

    @property
    def loss(self) -> str:
        """The accepted loss, in the units of the metrics."""
        return write_margin(self.margin, [row.metric for row in self.rows])

    @property
    def has_logs(self) -> bool:
        """Whether any difference is one of log-likelihood."""
        return any(row.metric in LOG_METRICS for row in self.rows)


def read_benchmarks(results: RunResults) -> BenchmarkTable | None:
    """Models on public benchmarks, where that was measured."""
    records = results.store.records(RecordKind.BENCHMARKS_COMPARED, results.run)
    if not records:
        return None
    models, differences = records[-1]["models"], records[-1]["differences"]
    last = differences[-1] if differences else []
    rows = [
        BenchmarkRow(
            task,
            metric,
            int(figure["n"]),
            [_write_metric(metric, model["metrics"].get(task, {}).get(metric)) for model in models],
            next((d for d in last if (d["task"], d["metric"]) == (task, metric)), None),
        )
        for task, metrics in models[0]["metrics"].items()
        for metric, figure in metrics.items()
    ]
    return BenchmarkTable([model["name"] for model in models], rows, records[-1]["margin"])


def _write_metric(name: str, figure: dict[str, Any] | None) -> tuple[str, str] | None:
    """A share in per cent, a perplexity or bits as they are; and the standard error likewise."""
    if figure is None:
        return None
    value, error = figure["value"], figure["stderr"]
    if name in LOG_METRICS:
        return f"{value:.4g}", "–" if error is None else f"{error:.2g}"
    return format_percent(value), format_number(None if error is None else 100 * error, 1)


def list_record(results: RunResults) -> list[tuple[str, str]]:
    """What the figures rest on: ids, hashes, seed, versions."""
    opened, base = results.opened, results.data.base
    rows = [
        ("run", results.run),
        ("base model", base.identity or str(opened.get("base", ""))),
        ("base note", base.note),
        ("chat template", str(opened.get("template", ""))),
        ("test suite", str(opened.get("suite", ""))),
        ("examples", str(opened.get("examples", ""))),
        ("seed", str(results.settings.get("project", {}).get("seed", ""))),
        ("residency", version("residency")),
        ("python", platform.python_version()),
    ]
    return [(term, value) for term, value in rows if value]


def list_times(results: RunResults) -> list[tuple[str, float]]:
    """Seconds of each model's round, and of the sealed test."""
    times = [(model.label, model.round.seconds) for model in results.models]
    if results.test_seconds:
        times.append(("sealed test", results.test_seconds))
    return times
