"""Rule: answers to paraphrases, or repeated samples of one prompt, agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from residency.evaluate.suites.answer_agreement import NOT_ALONE, AgreementRule
from residency.evaluate.suites.check_result import (
    Check,
    Context,
    Item,
    fail_check,
    leave_unscored,
    pass_check,
)


class Consistency(AgreementRule):
    """Answers to paraphrases, or repeated samples of one prompt, agree."""

    NAME: ClassVar[str] = "consistency"
    KIND: ClassVar[str] = "inconsistency"

    over: Literal["paraphrases", "samples"] = "paraphrases"
    min_agreement: float = Field(1.0, gt=0, le=1)

    def check_all(self, items: Sequence[Item], context: Context) -> list[list[Check]]:
        keys, reasons, vectors = self._judged(items, context)
        groups: dict[Hashable, list[int]] = defaultdict(list)
        for i, item in enumerate(items):
            if reasons[i]:
                continue
            model, example = item.response.model, item.example
            if self.over == "samples":
                groups[model, example.id].append(i)
            elif example.group:
                reference = self._reference_key(item)
                groups[model, example.group, item.response.sample, reference].append(i)
        others = {i: [j for j in group if j != i] for group in groups.values() for i in group}
        return [
            [
                self._one(i, others.get(i, []), items, keys, vectors)
                if not reasons[i]
                else leave_unscored(reasons[i])
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
            return leave_unscored(NOT_ALONE)
        differing = [j for j in others if not self._agree(i, j, keys, vectors)]
        share = 1 - len(differing) / len(others)
        if share >= self.min_agreement:
            return pass_check(value=share)
        message = (
            f"agrees with {len(others) - len(differing)} of {len(others)} other answers; "
            f"{self._difference(i, differing[0], items)}"
        )
        return fail_check(message, items[i].span(0, len(items[i].text)), value=share)
