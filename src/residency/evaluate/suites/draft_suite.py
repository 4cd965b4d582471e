"""A suite drafted from the data: what references show is what answers are held to.

It reads train and dev, never the sealed test. A person reads the draft, and the sensitivity table
(``sensitivity.py``) says what it would pass and fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tomlkit

from residency.errors import SuiteError
from residency.evaluate.suites.closed_set import MOST_CLASSES
from residency.evaluate.suites.describe_references import (
    Structure,
    find_closed_values,
    find_structure,
    is_mostly,
)
from residency.interfaces import Embedder
from residency.nouns.example import Example
from residency.text.counts import write_count
from residency.text.facts import find_facts, share_of_capitals
from residency.text.negation import find_polarity
from residency.text.words import split_words

FEWEST = 5
"""References from which on something can be drafted."""
SHORT_WORDS = 8
NOUN_CAPITALS = 0.2
"""From this share of capitals inside sentences on, a capital makes no name."""
SIMILARITY_FLOOR, SIMILARITY_CEILING = 0.4, 0.75

Table = dict[str, Any]


@dataclass(frozen=True)
class SuiteDraft:
    """A suite's file as text, with a reason beside each rule; ``judge`` is the question for a judge
    model, where one is named."""

    text: str
    tables: tuple[Table, ...]
    reasons: tuple[str, ...]
    references: int
    judge: str = ""


@dataclass
class _Draft:
    """Rules in order, each with the reason why it is there."""

    tables: list[Table] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def add(self, reason: str, **table: Any) -> None:
        self.tables.append(table)
        self.reasons.append(reason)


def draft_suite(
    examples: Sequence[Example],
    *,
    name: str,
    embedder: Embedder | None = None,
    judge: bool = False,
) -> SuiteDraft:
    """Rules for form, values, facts, meaning and length, as far as the references show them.

    Args:
        examples: train and dev; rows without a reference are passed over.
        embedder: sets the threshold of similarity by how alike other rows' answers are.
        judge: whether a judge model is named, so that a question for it is drafted too.

    Raises:
        SuiteError: fewer than five examples have a reference.
    """
    known = [e for e in examples if e.split != "test" and (e.reference or "").strip()]
    references = [e.reference or "" for e in known]
    if len(references) < FEWEST:
        raise SuiteError(
            f"only {write_count(len(references), 'row has', 'rows have')} a reference; a suite is "
            f"drafted from {FEWEST} or more",
            where="train and dev",
            next_step="give the rows answers, or write the suite by hand: docs/suites.md",
        )
    draft = _Draft()
    structure = find_structure(references)
    if structure is not None:
        _add_fields(draft, structure, known, embedder)
    elif classes := find_closed_values(references, most=MOST_CLASSES):
        draft.add(
            f"the {len(references)} references are {len(classes)} values that recur",
            rule="choices",
            choices=classes,
            severity=0.8,
        )
    elif is_mostly("number", references):
        draft.add("most references are a number", rule="numeric", severity=0.8)
    elif is_mostly("date", references) or is_mostly("list", references):
        what = "a date" if is_mostly("date", references) else "a list in JSON"
        draft.add(f"most references are {what}", rule="exact", mode="value", severity=0.8)
    else:
        _add_prose(draft, known, embedder)
    tables, reasons = tuple(draft.tables), tuple(draft.reasons)
    question = (
        "Does the answer say the same as the reference, deny nothing of it and invent nothing?"
        if judge
        else ""
    )
    text = _write_suite(name, tables, reasons, len(references), question)
    return SuiteDraft(text, tables, reasons, len(references), question)


def _add_fields(
    draft: _Draft, structure: Structure, known: Sequence[Example], embedder: Embedder | None
) -> None:
    names = list(structure.values)
    free = [n for n in names if _is_free(structure.values[n])]
    table: Table = {"rule": "fields", "fields": names, "severity": 0.8}
    if free:
        table["free"] = free
    if structure.parse == "json":
        table |= {"parse": "json", "order": False}
    share = f"{structure.rows} of {structure.total} references"
    draft.add(f"{share} have these fields" + (f"; free text: {', '.join(free)}" if free else ""),
              **table)  # fmt: skip
    for name in names:
        if name in free:
            continue
        values = find_closed_values(structure.values[name], most=20)
        if values:
            draft.add(
                f"the references use {len(values)} values; a new one is a fault of form",
                rule="choices",
                name=f"values of {name}",
                field=name,
                choices=values,
                compare=False,
                **({"parse": "json"} if structure.parse == "json" else {}),
            )
    for name in free:
        extra: Table = {"field": name}
        if structure.parse == "json":
            extra["parse"] = "json"
        _add_meaning(draft, structure.values[name], embedder, **extra)
        _add_length(draft, structure.values[name], **extra)


def _add_prose(draft: _Draft, known: Sequence[Example], embedder: Embedder | None) -> None:
    references = [example.reference or "" for example in known]
    lengths = [len(split_words(text)) for text in references]
    draft.add("an empty answer is none", rule="non_empty")
    short = sum(length <= SHORT_WORDS for length in lengths)
    if short:
        draft.add(
            f"{short} of {len(references)} references have at most {SHORT_WORDS} words",
            rule="exact",
            mode="value",
            max_reference_words=SHORT_WORDS,
            severity=0.8,
        )
    if short == len(references):
        return
    extra: Table = {"min_reference_words": SHORT_WORDS + 1} if short else {}
    longer = [
        text for text, length in zip(references, lengths, strict=True) if length > SHORT_WORDS
    ]
    _add_facts(draft, [e for e in known if e.reference in set(longer)], **extra)
    _add_meaning(draft, longer, embedder, **extra)
    _add_length(draft, longer, **extra)
    if all(len(text.strip().splitlines()) == 1 for text in references):
        draft.add("every reference is one line", rule="length", name="one line", unit="lines",
                  max=1)  # fmt: skip


def _add_facts(draft: _Draft, known: Sequence[Example], **extra: Any) -> None:
    names = share_of_capitals(e.reference or "" for e in known) < NOUN_CAPITALS
    counts = []
    for example in known:
        prompt_facts = {fact.key for fact in find_facts(example.prompt_text, names=names)}
        facts = find_facts(example.reference or "", names=names)
        counts.append(sum(fact.key not in prompt_facts for fact in facts))
    some = [count for count in counts if count]
    if 10 * len(some) < len(known):
        return
    table: Table = {"rule": "facts", "severity": 0.8, **extra}
    if not names:
        table["names"] = False
    if float(np.median(some)) > 3:
        table["share"] = 0.5
    what = "numbers, dates, codes" + (" and names" if names else "")
    draft.add(f"{len(some)} of {len(known)} references state {what} of their own", **table)


def _add_meaning(
    draft: _Draft, texts: Sequence[str], embedder: Embedder | None, **extra: Any
) -> None:
    suffix = f" of {extra['field']}" if "field" in extra else ""
    name_entry = {"name": f"similarity{suffix}"} if suffix else {}
    threshold = SIMILARITY_FLOOR
    reason = "the meaning of the reference, by embeddings (blind to a “not”)"
    if embedder is not None and len(texts) >= FEWEST:
        threshold = _find_threshold(texts, embedder)
        reason += "; from this closeness on 19 of 20 answers of other rows fail"
    draft.add(reason, rule="similarity", threshold=threshold, severity=0.8, **name_entry, **extra)
    if any(True in polarity for text in texts for polarity in find_polarity(text).values()) or len(
        texts
    ):
        name_entry = {"name": f"negation{suffix}"} if suffix else {}
        draft.add(
            "what the reference affirms must not be denied, nor the other way round",
            rule="negation",
            severity=0.8,
            **name_entry,
            **extra,
        )


def _add_length(draft: _Draft, texts: Sequence[str], **extra: Any) -> None:
    words = [len(split_words(text)) for text in texts]
    top = max(10, int(np.ceil(1.5 * max(words))))
    name_entry = {"name": f"length of {extra['field']}"} if "field" in extra else {}
    draft.add(
        f"the longest reference has {max(words)} words, and half as many more are let pass",
        rule="length",
        max=top,
        unit="words",
        severity=0.3,
        **name_entry,
        **extra,
    )


def _find_threshold(texts: Sequence[str], embedder: Embedder) -> float:
    """The cosine that 19 of 20 pairs of different references stay below, within bounds."""
    distinct = list(dict.fromkeys(texts))[:400]
    vectors = np.asarray(embedder.embed(distinct))
    cosines = (vectors @ vectors.T)[np.triu_indices(len(distinct), 1)]
    if not len(cosines):
        return SIMILARITY_FLOOR
    cut = float(np.quantile(cosines, 0.95))
    return round(min(max(cut, SIMILARITY_FLOOR), SIMILARITY_CEILING), 2)


def _is_free(values: Sequence[str]) -> bool:
    """Whether a field holds prose that no two people would write alike."""
    long = sum(len(split_words(value)) >= 6 for value in values)
    return 2 * long >= len(values)


def _write_suite(
    name: str, tables: Iterable[Table], reasons: Iterable[str], rows: int, question: str
) -> str:
    lines = [
        f"# Drafted from {rows} references of train and dev. Read it, and change what is not so.",
        f"name = {_write_value(name)}",
        "",
    ]
    for table, reason in zip(tables, reasons, strict=True):
        comment = " ".join(reason.split())
        lines += [f"[[rules]]  # {_write_comment(comment)}"]
        lines += [f"{key} = {_write_value(value)}" for key, value in table.items()]
        lines.append("")
    if question:
        lines += [
            "# Rules cannot see everything. A judge model can be asked besides:",
            f'# residency judge run --reference --name same --criterion "{question}"',
            "",
        ]
    return "\n".join(lines)


def _write_value(value: Any) -> str:
    return str(tomlkit.item(value).as_string())


def _write_comment(text: str) -> str:
    """Text of the user's data inside a comment: no character that ends or breaks it."""
    return "".join(c if c.isprintable() else " " for c in text)
