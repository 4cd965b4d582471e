"""A dataset card in the hub's format: what rows a model was trained on and judged by. No row is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from huggingface_hub import DatasetCardData

from residency.export.licences import Licence, is_spdx
from residency.export.model_card import escape_markdown
from residency.text.counts import write_count

_SIZES = ((1000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))


@dataclass(frozen=True)
class DataFacts:
    """What a dataset card tells.

    Attributes:
        version: id of the dataset version. rows: rows by split; trained: rows of the version.
        why: where the trained rows come from → how many. sources: files → how many of the trained rows.
        groups: groups of the trained rows. tags: tags with counts, the most frequent first.
        removed: reason → rows that checks took out. notes: sentences of the checks.
    """

    title: str
    version: str
    rows: Mapping[str, int]
    trained: int
    why: Mapping[str, int]
    sources: Mapping[str, int]
    licence: Licence
    teacher: Licence | None = None
    groups: int = 0
    tags: Mapping[str, int] = field(default_factory=dict)
    removed: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()


def write_dataset_card(facts: DataFacts) -> str:
    """Markdown with the hub's front matter."""
    known = facts.licence.known and is_spdx(facts.licence.name) and " " not in facts.licence.name
    licence = facts.licence.name.lower() if known else "other" if facts.licence.known else "unknown"
    total = sum(facts.rows.values())
    size = next((name for most, name in _SIZES if total < most), "n>1M")
    front = DatasetCardData(
        license=licence, pretty_name=facts.title, size_categories=[size],
        task_categories=["text-generation"], tags=["residency"],
    )  # fmt: skip
    counts = "\n".join(f"| {split} | {count} |" for split, count in facts.rows.items())
    lines = [
        "---", str(front.to_yaml(line_break="\n")).strip(), "---", "",
        f"# Data of {escape_markdown(facts.title)}", "",
        f"Dataset version `{facts.version}`: {write_count(facts.trained, 'row')} in {facts.groups} groups (paraphrases and "
        "near-duplicates share one; groups never straddle splits). The rows themselves are not in this "
        "folder.", "",
        "| split | rows |", "|---|---|", counts, "",
        "## Where the trained rows come from", "",
        *_list_counts(facts.why), "", *_list_counts(facts.sources), "",
        "## Licence", "",
        f"{escape_markdown(facts.licence.name)} ({escape_markdown(facts.licence.source)}).",
    ]  # fmt: skip
    if facts.teacher is not None:
        lines.append(
            f"Some rows were written by a model: {escape_markdown(facts.teacher.name)} "
            f"({escape_markdown(facts.teacher.source)})."
        )
    lines += ["", "## What the checks did", ""]
    lines += _list_counts(facts.removed) or ["No row was taken out."]
    lines += ["", *[f"- {escape_markdown(note)}" for note in facts.notes]]
    if facts.tags:
        lines += ["", "## Tags", "", *_list_counts(dict(list(facts.tags.items())[:20]))]
    lines += [
        "", "## Splits", "",
        "`train` trains; `dev` finds errors and measures; `test` is sealed and opened once; `pool` holds "
        "rows that are drawn for issues. A row that is near a dev or test row is never trained on.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _list_counts(counts: Mapping[str, int]) -> list[str]:
    return [f"- {count}: {escape_markdown(name)}" for name, count in counts.items()]
