"""Rules that compare answers with one another: consistency, invariance, direction.

Paraphrases share ``Example.group``. Only answers of one model and sample number are compared
across examples, and only examples whose references agree on what is compared: a group may
hold near-duplicates that rightly have different answers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from residency.evaluate.suites.rule import (
    CUT,
    Check,
    Context,
    Item,
    ParsedCache,
    Rule,
    failed,
    passed,
    register,
    unscored,
)
from residency.text.answer_fields import normalise
from residency.text.words import words

Compare = Literal["normalised", "fields", "similarity"]
NOT_ALONE = "nothing to compare with"


class _Agreement(Rule):
    """Shared by the rules that ask whether two answers say the same."""

    compare: Compare = "normalised"
    fields: tuple[str, ...] = ()
    threshold: float = Field(0.8, ge=-1, le=1)

    @model_validator(mode="after")
    def _fields_named(self) -> _Agreement:
        if self.compare == "fields" and not self.fields:
            raise ValueError("compare = 'fields' needs the key 'fields'")
        if self.fields and self.compare != "fields":
            raise ValueError("'fields' needs compare = 'fields'")
        return self

    def _key(self, text: str, parsed: ParsedCache) -> Hashable | None:
        """What two answers must share; None when the answer cannot be read."""
        if self.compare != "fields":
            return normalise(text)
        found = parsed(text).fields
        values = [found.get(name.casefold()) for name in self.fields]
        if not any(values):
            return None
        return tuple(normalise(v.value) if v else None for v in values)

    def _reference_key(self, item: Item, parsed: ParsedCache) -> Hashable | None:
        return None if item.reference is None else self._key(item.reference, parsed)

    def _judged(
        self, items: Sequence[Item], context: Context
    ) -> tuple[list[Hashable | None], list[str], np.ndarray | None]:
        """Keys, why an item cannot be compared (or ""), and vectors for ``similarity``."""
        parsed = ParsedCache(self.parse)
        keys = [self._key(item.text, parsed) for item in items]
        reasons = []
        for item, key in zip(items, keys, strict=True):
            # Two cut answers differ wherever they were cut; a cut field is only the last one.
            cut_matters = item.cut and (
                self.compare != "fields"
                or any(
                    f.casefold() not in parsed(item.text).fields
                    or parsed(item.text).last == f.casefold()
                    for f in self.fields
                )
            )
            reasons.append(CUT if cut_matters else "no field can be read" if key is None else "")
        vectors = None
        if self.compare == "similarity":
            if context.embedder is None:
                reasons = [r or "no embedder was given" for r in reasons]
            else:
                vectors = context.embedder.embed([item.text for item in items])
        return keys, reasons, vectors

    def _agree(
        self, i: int, j: int, keys: Sequence[Hashable | None], vectors: np.ndarray | None
    ) -> bool:
        if vectors is not None:
            return keys[i] == keys[j] or float(vectors[i] @ vectors[j]) >= self.threshold
        return keys[i] == keys[j]

    def _difference(self, i: int, j: int, items: Sequence[Item]) -> str:
        if self.compare != "fields":
            return f"another answer: {items[j].text.strip()[:120]!r}"
        parsed = ParsedCache(self.parse)
        mine, theirs = parsed(items[i].text).fields, parsed(items[j].text).fields
        parts = []
        for name in map(str.casefold, self.fields):
            a, b = mine.get(name), theirs.get(name)
            if (normalise(a.value) if a else None) != (normalise(b.value) if b else None):
                parts.append(f"{name}: {a.value if a else None!r} and {b.value if b else None!r}")
        return "; ".join(parts)


@register
class Consistency(_Agreement):
    """Answers to paraphrases, or repeated samples of one prompt, agree."""

    NAME: ClassVar[str] = "consistency"
    KIND: ClassVar[str] = "inconsistency"

    over: Literal["paraphrases", "samples"] = "paraphrases"
    min_agreement: float = Field(1.0, gt=0, le=1)

    def check_all(self, items: Sequence[Item], context: Context) -> list[list[Check]]:
        keys, reasons, vectors = self._judged(items, context)
        groups: dict[Hashable, list[int]] = defaultdict(list)
        parsed = ParsedCache(self.parse)
        for i, item in enumerate(items):
            if reasons[i]:
                continue
            model, example = item.response.model, item.example
            if self.over == "samples":
                groups[model, example.id].append(i)
            elif example.group:
                reference = self._reference_key(item, parsed)
                groups[model, example.group, item.response.sample, reference].append(i)
        others = {i: [j for j in group if j != i] for group in groups.values() for i in group}
        return [
            [
                self._one(i, others.get(i, []), items, keys, vectors)
                if not reasons[i]
                else unscored(reasons[i])
            ]
            for i in range(len(items))
        ]

    def _one(
        self,
        i: int,
        others: Sequence[int],
        items: Sequence[Item],
        keys: Sequence[Hashable | None],
        vectors: np.ndarray | None,
    ) -> Check:
        if not others:
            return unscored(NOT_ALONE)
        differing = [j for j in others if not self._agree(i, j, keys, vectors)]
        share = 1 - len(differing) / len(others)
        if share >= self.min_agreement:
            return passed(value=share)
        message = (
            f"agrees with {len(others) - len(differing)} of {len(others)} other answers; "
            f"{self._difference(i, differing[0], items)}"
        )
        return failed(message, items[i].span(0, len(items[i].text)), value=share)


@register
class Invariance(_Agreement):
    """CheckList INV: the answer to a changed prompt equals the answer to the group's base prompt.

    The base is the group's example tagged ``base``, or its first example.
    """

    NAME: ClassVar[str] = "invariance"
    KIND: ClassVar[str] = "invariance"

    base: str = ""

    def check_all(self, items: Sequence[Item], context: Context) -> list[list[Check]]:
        keys, reasons, vectors = self._judged(items, context)
        bases: dict[Hashable, int] = {}
        for i, item in enumerate(items):
            if item.example.group and (not self.base or self.base in item.example.tags):
                bases.setdefault(_series(item), i)
        out: list[list[Check]] = []
        for i, item in enumerate(items):
            base = bases.get(_series(item)) if item.example.group else None
            if base is None:
                out.append([unscored(NOT_ALONE)])
            elif items[base].example.id == item.example.id:
                out.append([])  # The base is what the others are compared with.
            elif reasons[i] or reasons[base]:
                out.append([unscored(reasons[i] or f"the base answer: {reasons[base]}")])
            elif self._agree(i, base, keys, vectors):
                out.append([passed()])
            else:
                difference = self._difference(i, base, items)
                out.append([failed(difference, item.span(0, len(item.text)))])
        return out


_LEVEL = Literal["higher", "not_lower", "lower", "not_higher", "different", "same"]
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


@register
class Directional(Rule):
    """CheckList DIR: the changed prompt moves a field, a number or the length the stated way.

    The finding stands on the answer to the example tagged ``variant``.
    """

    NAME: ClassVar[str] = "directional"
    KIND: ClassVar[str] = "direction"

    base: str
    variant: str
    of: str
    order: tuple[str, ...] = ()
    expect: _LEVEL

    @model_validator(mode="after")
    def _ordered(self) -> Directional:
        if self.expect not in {"different", "same"} and not self.order and self.of not in _FIGURES:
            raise ValueError(f"expect = {self.expect!r} on a field needs the key 'order'")
        return self

    def check_all(self, items: Sequence[Item], context: Context) -> list[list[Check]]:
        bases: dict[Hashable, Item] = {}
        for item in items:
            if self.base in item.example.tags and item.example.group:
                bases.setdefault(_series(item), item)
        out: list[list[Check]] = []
        for item in items:
            if self.variant not in item.example.tags:
                out.append([])
                continue
            base = bases.get(_series(item)) if item.example.group else None
            out.append([self._compare(item, base) if base else unscored(NOT_ALONE)])
        return out

    def _compare(self, item: Item, base: Item) -> Check:
        before, after = self._level(base), self._level(item)
        if before is None or after is None:
            return unscored(f"{self.of} cannot be read from both answers")
        (a, shown_a), (b, shown_b) = before, after
        ok = {
            "higher": b > a,
            "not_lower": b >= a,
            "lower": b < a,
            "not_higher": b <= a,
            "different": shown_a != shown_b,
            "same": shown_a == shown_b,
        }[self.expect]
        message = f"{self.of}: {shown_a} → {shown_b}, expected {self.expect.replace('_', ' ')}"
        return passed(message) if ok else failed(message, item.span(0, len(item.text)))

    def _level(self, item: Item) -> tuple[float, str] | None:
        """The figure, and how it is shown."""
        if self.of in _FIGURES:
            if item.cut:
                return None
            if self.of == "length":
                count = len(words(item.text))
                return float(count), str(count)
            found = _NUMBER.findall(item.text)
            return (float(found[-1]), found[-1]) if found else None
        parsed = ParsedCache(self.parse)(item.text)
        value = parsed.fields.get(self.of.casefold())
        if value is None or (item.cut and parsed.last == self.of.casefold()):
            return None
        shown = normalise(value.value)
        if not self.order:
            return 0.0, shown
        levels = [normalise(level) for level in self.order]
        return (float(levels.index(shown)), shown) if shown in levels else None


_FIGURES = {"length", "number"}


def _series(item: Item) -> Hashable:
    return item.response.model, item.example.group, item.response.sample
