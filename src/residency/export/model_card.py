"""A model card in the hub's format: where the model comes from, and what was shown about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from residency.nouns.model import Model
from residency.nouns.verdict import Verdict

_LICENCES = {"smollm2-135m": "apache-2.0", "tiny": "apache-2.0"}


def write_model_card(
    *,
    title: str,
    base: str,
    model: Model,
    verdicts: Sequence[tuple[str, Verdict]],
    files: Sequence[Mapping[str, Any]],
    budget: int,
    licence: str = "",
) -> str:
    """Markdown with the hub's front matter.

    Args:
        verdicts: titles of issues with their last verdict. files: rows of the table of files.
        licence: SPDX name of the base's licence; looked up for the bases that we know.
    """
    name = base.split("@")[0]
    known = licence or _LICENCES.get(name, "")
    method = str(model.settings.get("method", "")) or "fine-tuning"
    lines = [
        "---",
        f"base_model: {_quote(name)}",
        f"license: {known or 'other'}",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        "tags: [residency, fine-tuned]",
        "---",
        "",
        f"# {_escape(title)}",
        "",
        f"Fine-tuned from `{_escape(base)}` ({_escape(method)}), round {model.round}, seed "
        f"{model.seed}, dataset version `{model.dataset or 'none'}`, model id `{model.id}`.",
        "",
    ]
    if not known:
        lines += [
            "**Licence:** the base's licence is not known to Residency. Look it up before you pass "
            "this model on; the licence of the training data counts too.",
            "",
        ]
    lines += [*_verdict_table(verdicts), "", *_file_table(files), ""]
    lines += [
        "## How it was measured",
        "",
        f"Greedy answers of at most {budget} tokens. Rates are failure rates on paired items of the "
        "dev split's measuring half (sealed test where it says so); intervals are 95 %. The files "
        "were asked the same dev items by the program that loads them.",
        "",
        "## Intended use",
        "",
        "The task of its training data, in the form of its prompts. Other uses were not measured.",
    ]
    return "\n".join(lines) + "\n"


def _verdict_table(verdicts: Sequence[tuple[str, Verdict]]) -> list[str]:
    if not verdicts:
        return ["## Issues", "", "No issue was followed."]
    lines = ["## Issues", "", "| issue | split | before | after | change | verdict |"]
    lines.append("|---|---|---|---|---|---|")
    for title, v in verdicts:
        change = f"{-100 * v.delta:+.1f} [{-100 * v.high:+.1f}, {-100 * v.low:+.1f}]"
        lines.append(
            f"| {_escape(title)} | {v.split} | {v.before_rate:.1%} | {v.after_rate:.1%} "
            f"| {change} points | {v.status} |"
        )
    open_ones = [title for title, v in verdicts if v.status in ("persisting", "regressed")]
    if open_ones:
        lines += ["", "What persists: " + "; ".join(map(_escape, open_ones)) + "."]
    return lines


def _file_table(files: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["## Files", "", "| file | size | tokens/s | same text | issues that rose |"]
    lines.append("|---|---|---|---|---|")
    for row in files:
        lines.append(
            f"| {_escape(str(row['file']))} | {row['bytes'] / 1e6:.1f} MB | {row['speed']:.0f} "
            f"| {row['same_text']} of {row['prompts']} | {_escape(str(row['rose'] or 'none'))} |"
        )
    return lines


def _escape(text: str) -> str:
    """Text that Markdown and a table leave as it is."""
    for mark in "\\`*_[]<>|#":
        text = text.replace(mark, "\\" + mark) if mark != "`" else text.replace(mark, "'")
    return " ".join(text.split())


def _quote(text: str) -> str:
    import json

    return json.dumps(text)
