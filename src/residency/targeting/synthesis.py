"""Synthetic rows: templates filled from lists, and a teacher model that turns documents into pairs.

Both give plain examples with provenance. Neither is trained on before ``unlike`` has taken out
what repeats other rows, and before the firewall has taken out what comes near dev or test.
"""

from __future__ import annotations

import json
import random
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from residency.config.data import DataConfig
from residency.data.cleaning.decide_rows import decide
from residency.data.row_table import TableBuilder
from residency.errors import DataError
from residency.interfaces import Generator, Progress, ProgressEvent, Prompt, no_progress
from residency.nouns.example import Example, Message
from residency.nouns.response import Sampling

TEACH = (
    "Read the text below. Write {count} pairs of an instruction that a user of a specialised "
    "assistant could give, and the best response to it. Every response must follow from the text "
    "alone; no instruction may speak of 'the text'. Answer with a JSON list and nothing else: "
    '[{{"instruction": "…", "response": "…"}}, …]\n\nText:\n{text}'
)
"""What the teacher is asked for each document."""

_SLOT = re.compile(r"\{(\w+)\}")
_TRIES = 50


@dataclass(frozen=True)
class Failed:
    """A document of which the teacher made nothing usable, and why."""

    source: str
    reason: str


@dataclass(frozen=True)
class Taught:
    """Rows that a teacher made, and the documents of which it made none."""

    examples: list[Example]
    failed: list[Failed]


def fill_templates(path: Path, count: int, *, seed: int = 0) -> list[Example]:
    """``count`` different rows from a TOML file of templates and slots.

    The file holds ``[slots]`` (name → list of values, or of tables of values that belong
    together) and ``[[template]]`` tables with instruction, input (optional), response and tags
    (optional), in which ``{slot}`` or ``{slot.part}`` stands for a value.

    Raises:
        DataError: the file is wrong, a slot is unknown, or there are not so many different rows.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"not a template file: {error}", where=str(path)) from None
    templates, slots = raw.get("template", []), raw.get("slots", {})
    if not templates:
        raise DataError("no [[template]] in it", where=str(path))
    rng = random.Random(seed)
    found: dict[str, Example] = {}
    misses = 0
    while len(found) < count:
        number = rng.randrange(len(templates))
        row = _fill(templates[number], slots, rng, f"{path} template {number + 1}")
        row = replace(row, source=f"{path.name}:{number + 1}", why="template")
        if row.id in found:
            misses += 1
            if misses > _TRIES * count:
                raise DataError(
                    f"only {len(found)} different rows come out of these templates",
                    where=str(path),
                    next_step="add values to the slots, or ask for fewer rows",
                )
        found.setdefault(row.id, row)
    return list(found.values())


def _fill(
    template: Mapping[str, Any], slots: Mapping[str, Any], rng: random.Random, where: str
) -> Example:
    values: dict[str, str] = {}
    for name, choices in sorted(slots.items()):
        chosen = rng.choice(choices)
        if isinstance(chosen, Mapping):
            values |= {f"{name}.{part}": str(value) for part, value in chosen.items()}
        else:
            values[name] = str(chosen)

    def text(field: str) -> str:
        def value(match: re.Match[str]) -> str:
            if match.group(1) not in values:
                raise DataError(f"unknown slot {{{match.group(1)}}}", where=f"{where} {field}")
            return values[match.group(1)]

        return re.sub(r"\{([\w.]+)\}", value, str(template.get(field, "")))

    if not template.get("instruction") or not template.get("response"):
        raise DataError("instruction and response are needed", where=where)
    return Example(
        (
            Message("user", text("instruction"), input=text("input")),
            Message("assistant", text("response")),
        ),
        tags=tuple(
            re.sub(r"\{([\w.]+)\}", lambda m: values.get(m.group(1), ""), t)
            for t in template.get("tags", ())
        ),
    )


def teach(
    documents: Sequence[Example],
    teacher: Generator,
    name: str,
    *,
    pairs: int = 3,
    sampling: Sampling | None = None,
    progress: Progress = no_progress,
) -> Taught:
    """Instruction pairs that a teacher model makes of raw text.

    Args:
        documents: raw text (single assistant messages). teacher: any generator.
        name: the teacher's name, for provenance. pairs: asked for of each document.
    """
    prompts = [
        Prompt((Message("user", TEACH.format(count=pairs, text=d.messages[0].content)),), key=d.id)
        for d in documents
    ]
    answers = teacher.generate(
        prompts,
        sampling or Sampling(max_new_tokens=200 * pairs, temperature=0.7),
        progress=progress,
    )
    examples: list[Example] = []
    failed: list[Failed] = []
    for document, answer in zip(documents, answers, strict=True):
        if answer.finish == "error":
            failed.append(Failed(document.source, answer.error or "the teacher gave no answer"))
            continue
        try:
            made = _pairs(answer.text)
        except DataError as error:
            failed.append(Failed(document.source, error.what))
            continue
        examples += [
            Example(
                (Message("user", instruction), Message("assistant", response)),
                source=document.source,
                why=f"teacher {name}",
            )
            for instruction, response in made
        ]
    progress(ProgressEvent("teach", len(documents), len(documents), "documents"))
    return Taught(examples, failed)


def _pairs(text: str) -> list[tuple[str, str]]:
    """The pairs in a teacher's answer, which may stand between other words or in a code fence.

    Raises:
        DataError: there are none.
    """
    begin, end = text.find("["), text.rfind("]")
    try:
        rows = json.loads(text[begin : end + 1]) if 0 <= begin < end else None
    except ValueError:
        rows = None
    if not isinstance(rows, list):
        raise DataError("the teacher's answer is not a JSON list")
    out = []
    for row in rows:
        if isinstance(row, Mapping):
            texts = [str(row.get(name) or "").strip() for name in ("instruction", "response")]
            if all(texts):
                out.append((texts[0], texts[1]))
    if not out:
        raise DataError("the teacher's answer holds no instruction with a response")
    return out


def unlike(
    new: Sequence[Example], known: Sequence[Example], config: DataConfig
) -> tuple[list[Example], list[tuple[Example, str]]]:
    """New rows without those that repeat a known row or one another, and why each of those goes.

    Rows near dev or test among ``known`` go too (exact, near-duplicate, 13- and 8-grams).
    """
    rows = [*known, *(replace(e, split="pool") for e in new)]
    builder = TableBuilder()
    for row in rows:
        builder.add(row)
    decision = decide(builder.table(), config, full=True)
    reasons = {drop.row: f"{drop.kind} ({drop.rule})" for drop in decision.drops}
    # A new prompt with a known prompt's words is a repetition even if its answer is another.
    for number, near in decision.near.items():
        if number >= len(known):
            reasons.setdefault(number, f"near-duplicate prompt (Jaccard {near.score:.2f})")
    first = len(known)
    kept = [e for n, e in enumerate(new) if first + n not in reasons]
    gone = [(e, reasons[first + n]) for n, e in enumerate(new) if first + n in reasons]
    return kept, gone
