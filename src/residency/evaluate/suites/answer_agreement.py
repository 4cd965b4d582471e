"""Whether two answers say the same: shared by the rules that compare answers with one another.

Paraphrases share ``Example.group``. Only answers of one model and sample number are compared
across examples, and only examples whose references agree on what is compared: a group may
hold near-duplicates that rightly have different answers.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from residency.evaluate.suites.check_result import CUT, Context, Item
from residency.evaluate.suites.compare_form import compare_form
from residency.evaluate.suites.rule import Rule
from residency.text.answer_fields import parse_answer
from residency.text.normal_form import normalise_answer

Compare = Literal["normalised", "fields", "similarity"]
NOT_ALONE = "nothing to compare with"


class AgreementRule(Rule):
    """Shared by the rules that ask whether two answers say the same."""

    compare: Compare = "normalised"
    fields: tuple[str, ...] = ()
    threshold: float = Field(0.8, ge=-1, le=1)

    @model_validator(mode="after")
    def _fields_named(self) -> AgreementRule:
        if self.compare == "fields" and not self.fields:
            raise ValueError("compare = 'fields' needs the key 'fields'")
        if self.fields and self.compare != "fields":
            raise ValueError("'fields' needs compare = 'fields'")
        return self

    def _key(self, text: str) -> Hashable | None:
        """What two answers must share; None when the answer cannot be read."""
        if self.compare != "fields":
            return normalise_answer(text)
        answer_fields = parse_answer(text, self.parse).fields
        values = [answer_fields.get(name.casefold()) for name in self.fields]
        if not any(values):
            return None
        return tuple(compare_form(v) if v else None for v in values)

    def _reference_key(self, item: Item) -> Hashable | None:
        return None if item.reference is None else self._key(item.reference)

    def _judged(
        self, items: Sequence[Item], context: Context
    ) -> tuple[list[Hashable | None], list[str], np.ndarray | None]:
        """Keys, why an item cannot be compared (or ""), and vectors for ``similarity``."""
        keys = [self._key(item.text) for item in items]
        reasons = []
        for item, key in zip(items, keys, strict=True):
            # Two cut answers differ wherever they were cut; a cut field is only the last one.
            cut_matters = item.cut and (self.compare != "fields" or self._lacks_field(item.text))
            reasons.append(CUT if cut_matters else "no field can be read" if key is None else "")
        vectors = None
        if self.compare == "similarity":
            if context.embedder is None:
                reasons = [r or "no embedder was given" for r in reasons]
            else:
                vectors = context.embedder.embed([item.text for item in items])
        return keys, reasons, vectors

    def _lacks_field(self, text: str) -> bool:
        """Whether a cut answer ends before or inside a field that is compared."""
        parsed = parse_answer(text, self.parse)
        names = map(str.casefold, self.fields)
        return any(name not in parsed.fields or parsed.last == name for name in names)

    def _agree(
        self, i: int, j: int, keys: Sequence[Hashable | None], vectors: np.ndarray | None
    ) -> bool:
        if vectors is not None:
            return keys[i] == keys[j] or float(vectors[i] @ vectors[j]) >= self.threshold
        return keys[i] == keys[j]

    def _difference(self, i: int, j: int, items: Sequence[Item]) -> str:
        if self.compare != "fields":
            return f"another answer: {items[j].text.strip()[:120]!r}"
        mine, theirs = (parse_answer(items[k].text, self.parse).fields for k in (i, j))
        parts = []
        for name in map(str.casefold, self.fields):
            a, b = mine.get(name), theirs.get(name)
            if (compare_form(a) if a else None) != (compare_form(b) if b else None):
                parts.append(f"{name}: {a.value if a else None!r} and {b.value if b else None!r}")
        return "; ".join(parts)


def series_key(item: Item) -> Hashable:
    return item.response.model, item.example.group, item.response.sample
