"""A model card in the hub's format: where the model comes from, and what was shown about it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from residency.export.licences import LicenceCheck, choose_card_licence, is_spdx
from residency.nouns.model import Model
from residency.nouns.verdict import Verdict
from residency.text.percent import write_percent

_HUB_BASES = {"smollm2-135m": "HuggingFaceTB/SmolLM2-135M-Instruct"}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}")
_METHOD_KEYS = (
    "method", "objective", "rank", "layers", "epochs", "learning_rate", "batch_size", "precision",
    "quantize",
)  # fmt: skip


@dataclass(frozen=True)
class CardIssue:
    """An issue on a card: what is accepted, and its last verdicts on dev and on the sealed test."""

    title: str
    tolerance: float
    dev: Verdict | None
    sealed: Verdict | None


@dataclass(frozen=True)
class CardScore:
    """The sealed test's score: the best prompted base against the model, on n items."""

    title: str
    n: int
    before: float
    after: float
    low: float
    high: float


@dataclass(frozen=True)
class CardFacts:
    """What a card tells.

    Attributes:
        base: identity of the base. files: rows of the table of files. budget: tokens of an answer.
        rows: rows of each split. why: where the training rows come from → how many.
        task: the instruction that stands before every request, if there is one.
        stopping: what has to be sent with requests so that answers end.
        forgotten: lines on benchmarks of before and after.
    """

    title: str
    name: str
    base: str
    model: Model
    issues: Sequence[CardIssue]
    files: Sequence[Mapping[str, Any]]
    budget: int
    licences: LicenceCheck
    export_format: str
    score: CardScore | None = None
    rows: Mapping[str, int] = field(default_factory=dict)
    why: Mapping[str, int] = field(default_factory=dict)
    task: str = ""
    stopping: Sequence[str] = ()
    forgotten: Sequence[str] = ()


def write_model_card(facts: CardFacts) -> str:
    """Markdown with the hub's front matter; figures also as its ``model-index``."""
    model = facts.model
    settings = model.settings.get("train", {})
    known = settings if isinstance(settings, Mapping) else {}
    method = ", ".join(f"{key} {known[key]}" for key in _METHOD_KEYS if key in known)
    lines = [
        "---", _write_front_matter(facts), "---", "",
        f"# {escape_markdown(facts.title)}", "",
        f"Fine-tuned from `{_code(facts.base)}`, round {model.round}, seed {model.seed}, dataset "
        f"version `{model.dataset or 'none'}`, model id `{model.id}`.",
        *([f"Method: {escape_markdown(method)}."] if method else []),
        "", *_write_licences(facts.licences), "", *_write_scores(facts), "",
        *_write_issues(facts.issues), "", *_write_files(facts.files), "", *_write_data(facts), "",
        *_write_measurement(facts), "", *_write_use(facts),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def find_hub_base(base: str) -> str:
    """The hub's id of a base, where it has one: a folder's or file's name is none."""
    name = base.split("@")[0].removeprefix("hf:").removeprefix("hf://")
    if name in _HUB_BASES:
        return _HUB_BASES[name]
    return name if _HUB_ID.fullmatch(name) else ""


def _write_front_matter(facts: CardFacts) -> str:
    licence = choose_card_licence(facts.licences)
    other: dict[str, Any] = {}
    if licence == "other":
        other = {"license_name": "see-card", "license_link": "README.md#licences"}
    adapter = facts.export_format in ("adapter", "gguf-adapter")
    gguf = facts.export_format in ("gguf", "ollama", "gguf-adapter")
    relation = "adapter" if adapter else "quantized" if gguf else "finetune"
    hub_base = find_hub_base(facts.base)
    if hub_base:
        other["base_model_relation"] = relation
    data = ModelCardData(
        base_model=hub_base or None,
        license=licence,
        library_name="gguf" if gguf else "peft" if adapter else "transformers",
        pipeline_tag="text-generation",
        tags=["residency", "fine-tuned"],
        model_name=facts.name,
        eval_results=_list_results(facts) or None,
        **other,
    )
    return str(data.to_yaml(line_break="\n")).strip()


def _list_results(facts: CardFacts) -> list[EvalResult]:
    """The score and every issue's failure rate, for the hub's table."""
    results = []

    def add(split: str, kind: str, name: str, value: float) -> None:
        results.append(
            EvalResult(
                task_type="text-generation",
                dataset_type="private",
                dataset_name=f"{facts.title.split(':')[0]}, {split}",
                dataset_split=split,
                metric_type=kind,
                metric_name=name,
                metric_value=round(value, 4),
            )
        )

    if facts.score is not None:
        add("test", "score", facts.score.title, facts.score.after)
    for issue in facts.issues:
        verdict = issue.sealed if issue.sealed is not None and issue.sealed.n else issue.dev
        if verdict is not None and verdict.n:
            split = "test" if verdict.split == "test" else "dev"
            add(split, "failure_rate", f"fails {issue.title}", verdict.after_rate)
    return results


def _write_licences(check: LicenceCheck) -> list[str]:
    lines = ["## Licences", "", "| part | licence | read from |", "|---|---|---|"]
    for licence in check.licences:
        note = "" if not licence.known or is_spdx(licence.name) else " (not in the SPDX list)"
        lines.append(
            f"| {licence.part} | {escape_markdown(licence.name)}{note} | {escape_markdown(licence.source)} |"
        )
    sentences = [*check.conflicts, *check.duties]
    lines += ["", *[f"- {escape_markdown(sentence)}" for sentence in sentences]]
    return [*lines, "", "These are facts of the licences' texts, and no legal advice."]


def _write_scores(facts: CardFacts) -> list[str]:
    lines = ["## Result", ""]
    score = facts.score
    if score is None:
        return [*lines, "The sealed test was not opened: no score is claimed."]
    lines.append(
        f"On {score.n} sealed test items, {escape_markdown(score.title)}: {write_percent(score.before)} for the best "
        f"prompt of the base, {write_percent(score.after)} for this model; difference "
        f"{100 * (score.after - score.before):+.1f} points, 95 % interval {100 * score.low:+.1f} to "
        f"{100 * score.high:+.1f}."
    )
    return [*lines, *[f"\n{escape_markdown(line)}" for line in facts.forgotten]]


def _write_issues(issues: Sequence[CardIssue]) -> list[str]:
    if not issues:
        return ["## Issues", "", "No issue was followed."]
    lines = ["## Issues", "", "Failure rates; lower is better.", ""]
    lines += [
        "| issue | split | n | before | after | change, 95 % | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for issue in issues:
        for verdict in (issue.dev, issue.sealed):
            if verdict is not None:
                lines.append(_write_verdict(issue.title, verdict))
    persisting = [_describe_persisting(issue) for issue in issues]
    still = [line for line in persisting if line]
    lines += ["", "### What persists", ""]
    lines += [f"- {line}" for line in still] or ["No issue is shown to persist."]
    unclear = [
        i.title
        for i in issues
        if i.dev is not None and i.dev.status in ("inconclusive", "missing answers")
    ]
    if unclear:
        lines += [
            "",
            "Not decided, for want of items: " + "; ".join(map(escape_markdown, unclear)) + ".",
        ]
    return lines


def _write_verdict(title: str, v: Verdict) -> str:
    change = f"{0.0 - 100 * v.delta:+.1f} [{-100 * v.high:+.1f}, {-100 * v.low:+.1f}]"
    unscored = f" ({v.unscored} unscored)" if v.unscored else ""
    return (
        f"| {escape_markdown(title)} | {'sealed test' if v.split == 'test' else v.split} | {v.n}{unscored} "
        f"| {write_percent(v.before_rate)} | {write_percent(v.after_rate)} | {change} | {v.status} |"
    )


def _describe_persisting(issue: CardIssue) -> str:
    """Why an issue is still there; empty where it is resolved or nothing is known."""
    verdict = issue.sealed if issue.sealed is not None and issue.sealed.n else issue.dev
    if verdict is None:
        return ""
    here = "sealed test" if verdict.split == "test" else "dev"
    states = {v.status for v in (issue.dev, issue.sealed) if v is not None}
    if "regressed" in states:
        word = "regressed"
    elif "persisting" in states:
        word = "persists"
    elif verdict.after_rate > issue.tolerance and "resolved" not in states:
        word = f"still fails more than the accepted {write_percent(issue.tolerance, 0)}"
    else:
        return ""
    return f"{escape_markdown(issue.title)} {word}: {write_percent(verdict.after_rate)} of {verdict.n} ({here})"


def _write_files(files: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["## Files", ""]
    lines += [
        "| file | size | tokens/s | same text | score on dev | issues that rose |",
        "|---|---|---|---|---|---|",
    ]
    for row in files:
        score = row.get("score")
        lines.append(
            f"| {escape_markdown(str(row['file']))} | {row['bytes'] / 1e6:.1f} MB | {row['speed']:.0f} "
            f"| {row['same_text']} of {row['prompts']} | {write_percent(score)} "
            f"| {escape_markdown(str(row['rose'] or 'none'))} |"
        )
    return lines


def _write_data(facts: CardFacts) -> list[str]:
    if not facts.rows:
        return ["## Training data", "", "See `dataset-card.md`."]
    counts = ", ".join(f"{count} {split}" for split, count in facts.rows.items())
    lines = ["## Training data", "", f"Rows: {counts}. Of the training rows of this version:"]
    lines += ["", *[f"- {count}: {escape_markdown(why)}" for why, count in facts.why.items()]]
    return [
        *lines,
        "",
        "Nothing that is near a dev or test row was trained on. More: `dataset-card.md`.",
    ]


def _write_measurement(facts: CardFacts) -> list[str]:
    return [
        "## How it was measured", "",
        f"Greedy answers of at most {facts.budget} tokens. Rates are failure rates on paired items of the "
        "dev split's measuring half, which chose no issue, or of the sealed test, which was opened at the "
        "end; intervals are 95 %. Verdicts count everything that was tested as one family (5 % unless the "
        "project says otherwise). The files were asked the same dev items by the program that loads them. "
        "Unscored answers count neither as failures nor as passes.",
    ]  # fmt: skip


def _write_use(facts: CardFacts) -> list[str]:
    lines = ["## Intended use", ""]
    if facts.task:
        lines += [
            "Requests of this kind, with this instruction before each:",
            "",
            f"> {escape_markdown(facts.task[:600])}",
            "",
        ]
    else:
        lines += ["The task of its training data, in the form of its prompts.", ""]
    lines += [text for line in facts.stopping for text in (f"Note: {escape_markdown(line)}.", "")]
    return [*lines, "Other uses, other languages and other forms of prompts were not measured."]


def escape_markdown(text: str) -> str:
    """Text that Markdown and a table leave as it is, on one line."""
    for mark in "\\`*_[]<>|#":
        text = text.replace(mark, "\\" + mark) if mark != "`" else text.replace(mark, "'")
    return " ".join(text.split())


def _code(text: str) -> str:
    """Text between back-ticks."""
    return " ".join(text.replace("`", "'").split())
