"""The HTML report: one file that holds everything and loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from markupsafe import Markup

from residency.errors import UserError
from residency.files.atomic_write import write_text
from residency.report import charts
from residency.report.highlight import trained_tokens
from residency.report.templates_env import asset, environment
from residency.results.headline import headline
from residency.results.run_evidence import Evidence
from residency.results.views import Arm, IssueView, Sample
from residency.results.words import COMMON, kind_order
from residency.store.record_kind import RecordKind
from residency.store.store import Store

FILE_NAME = "report.html"
SAMPLES = 3
"""Items shown for each issue."""
NOTABLE = 0.05
"""Failure rate from which a kind that is not one of the common ones gets a chart."""
_TOC = (
    ("answer", "Answer"),
    ("rounds", "Rounds"),
    ("test", "Sealed test"),
    ("issues", "Issues"),
    ("arms", "Targeted or random"),
    ("lineage", "Lineage"),
    ("data", "Data"),
    ("how", "How it was made"),
)


def report(
    store: Store,
    out: Path,
    *,
    run: str = "",
    now: datetime | None = None,
) -> Path:
    """Write the report of a run (the latest when empty) to ``out``, atomically.

    Args:
        now: the time to print, for repeatable files.

    Raises:
        StoreError: nothing was run yet.
        UserError: the file cannot be written.
    """
    html = render(Evidence(store, run), now=now)
    try:
        write_text(out, html)
    except OSError as error:
        raise UserError(
            f"the report cannot be written: {error.strerror}",
            where=str(out),
            next_step="name another file with --out",
        ) from None
    return out


def render(evidence: Evidence, *, now: datetime | None = None) -> str:
    """The report as HTML text."""
    env = environment()
    script = asset(env, "report.js")
    digest = base64.b64encode(hashlib.sha256(str(script).encode()).digest()).decode()
    arms = evidence.arms
    compared = evidence.store.records(RecordKind.BASELINE, evidence.run)
    baseline = compared[-1] if compared else None
    ways = baseline["rows"] if baseline else []
    return env.get_template("report.html.j2").render(
        version=version("residency"),
        css=asset(env, "style.css"),
        script=script,
        script_hash=f"sha256-{digest}",
        name=evidence.settings.get("project", {}).get("name") or "residency",
        made_at=(now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC"),
        toc=_TOC,
        evidence=evidence,
        head=headline(evidence),
        rate_charts=[(kind, charts.rate_chart(kind, arms)) for kind in charted(evidence)],
        test=evidence.test,
        sides=[side for _, side in evidence.test_sides],
        reference=(evidence.test or {"sides": {}, "reference": ""})["sides"].get(
            (evidence.test or {}).get("reference", ""), {"against_final": {}}
        ),
        test_kinds=test_kinds(evidence),
        forest=charts.forest_chart(evidence.issues),
        issue_samples=[(view, chosen(evidence.samples(view))) for view in evidence.issues],
        arm_tables=arm_tables(evidence),
        lineage=lineage(evidence),
        rejected=[p for rows in evidence.proposals.values() for p in rows if not p.accepted],
        loss=charts.loss_chart([arm for arm in arms if arm.curve]),
        baseline=baseline,
        baseline_kinds=[k for k in COMMON if any(k in row["scores"]["kinds"] for row in ways)],
        benchmarks=benchmarks(evidence),
        dropped=sum(len(arm.training.get("dropped", ())) for arm in _mains(arms) if arm.training),
        token_rows=[trained_tokens(row) for row in evidence.data["shown"]],
        rows_shown=evidence.examples("train")[:2],
        statuses_seen={v.status for view in evidence.issues for v in view.verdicts},
        record=record(evidence),
        stage_chart=charts.stage_chart(stage_times(evidence)),
        settings_text=json.dumps(evidence.settings, indent=1, ensure_ascii=False),
    )


def charted(evidence: Evidence) -> list[str]:
    """Kinds worth a chart: the common ones, and whatever failed for some model."""
    out = []
    for kind in evidence.kinds:
        rates = [arm.scores["kinds"].get(kind, {}).get("rate") for arm in evidence.arms]
        seen = [rate for rate in rates if rate is not None]
        if seen and (kind in COMMON or max(seen) >= NOTABLE):
            out.append(kind)
    return out


def _mains(arms: Sequence[Arm]) -> list[Arm]:
    return [arm for arm in arms if arm.arm == "main"]


def chosen(samples: Sequence[Sample], most: int = SAMPLES) -> list[Sample]:
    """Items that tell an issue's story: mended ones first, but never without one that still
    fails or broke, where there is one."""
    fixed = [s for s in samples if s.change == "fixed"]
    bad = [s for s in samples if s.change in ("still failing", "broken")]
    if not bad:
        return fixed[:most]
    kept = fixed[: most - 1]
    return [*kept, *bad[: most - len(kept)]]


def test_kinds(evidence: Evidence) -> list[str]:
    """Kinds looked for in the sealed test."""
    sides = evidence.test["sides"].values() if evidence.test else ()
    return sorted({kind for side in sides for kind in side["scores"]["kinds"]}, key=kind_order)


ArmRow = tuple[IssueView, dict[str, Any], int]


def arm_tables(evidence: Evidence) -> list[tuple[int, Markup, list[ArmRow], dict[str, Any] | None]]:
    """For each round with a control arm: chart; rows of issue, comparison and rows asked for; and
    the comparison over all issues that drew rows."""
    numbers = sorted({number for view in evidence.issues for number in view.arms})
    out = []
    for number in numbers:
        rows = [
            (view, view.arms[number], sum(p.accepted and p.arm == "main" for p in view.proposals))
            for view in evidence.issues
            if number in view.arms and view.arms[number]["n"]
        ]
        targeted = [view for view, _, asked in rows if asked] or [view for view, _, _ in rows]
        together = evidence.stage(f"overall {number}")
        out.append((number, charts.arms_chart(targeted, number), rows, together))
    return out


def lineage(evidence: Evidence) -> list[dict[str, Any]]:
    """Every model with the dataset, rows and training that made it, oldest first."""
    steps = []
    for arm in evidence.arms:
        start = arm.model.dataset is None
        steps.append(
            {
                "cls": "start" if start else arm.arm,
                "label": arm.label,
                "model": arm.model,
                "dataset": evidence.datasets.get(arm.model.dataset or ""),
                "training": arm.training,
                "sources": evidence.sources(evidence.proposals.get(arm.number, ()), arm.arm),
            }
        )
    return steps


def benchmarks(evidence: Evidence) -> dict[str, Any] | None:
    """What `residency bench` compared last: models, and a row for each task and metric."""
    records = evidence.store.records(RecordKind.BENCHMARKS_COMPARED, evidence.run)
    if not records:
        return None
    models, differences = records[-1]["models"], records[-1]["differences"]
    names = [model["name"] for model in models]
    rows = []
    for task, metrics in models[0]["metrics"].items():
        for metric in metrics:
            found = [model["metrics"].get(task, {}).get(metric) for model in models]
            last = differences[-1] if differences else []
            change = next((d for d in last if (d["task"], d["metric"]) == (task, metric)), None)
            rows.append({"task": task, "metric": metric, "found": found, "change": change})
    return {"names": names, "rows": rows, "margin": records[-1]["margin"]}


def record(evidence: Evidence) -> list[tuple[str, str]]:
    """What the figures rest on: ids, hashes, seed, versions."""
    opened, base = evidence.opened, evidence.data["base"]
    rows = [
        ("run", evidence.run),
        ("base model", str(base.get("identity") or opened.get("base", ""))),
        ("chat template", str(opened.get("template", ""))),
        ("test suite", str(opened.get("suite", ""))),
        ("examples", str(opened.get("examples", ""))),
        ("seed", str(evidence.settings.get("project", {}).get("seed", ""))),
        ("residency", version("residency")),
        ("python", platform.python_version()),
    ]
    rows += list(charts.versions().items())
    if base.get("note"):
        rows.insert(2, ("base note", str(base["note"])))
    return [(term, value) for term, value in rows if value]


def stage_times(evidence: Evidence) -> list[tuple[str, float]]:
    """Wall time of each model's round, and of the sealed test."""
    times = [(arm.label, arm.seconds) for arm in evidence.arms]
    if evidence.test_seconds:
        times.append(("sealed test", evidence.test_seconds))
    return times
