"""Rule: the answer means what the reference means, by their embeddings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from residency.evaluate.suites.check_result import (
    Check,
    Context,
    Item,
    fail_check,
    leave_unscored,
    pass_check,
)
from residency.evaluate.suites.rule import Rule
from residency.interfaces import Embedder
from residency.text.words import split_words


class Similarity(Rule):
    """Cosine of the answer's and the reference's embeddings reaches a threshold."""

    NAME: ClassVar[str] = "similarity"
    KIND: ClassVar[str] = "dissimilar"
    NEEDS_REFERENCE: ClassVar[bool] = True
    VERSION: ClassVar[int] = 3

    threshold: float = Field(0.4, ge=-1, le=1)
    """Least cosine; docs/suites.md shows how the default was chosen."""

    def check_all(self, items: Sequence[Item], context: Context) -> list[list[Check]]:
        embedder = context.embedder
        if embedder is None:
            return [[leave_unscored("no embedder was given")] for _ in items]
        unknown = [self._unknown_language(item, embedder) for item in items]
        # One call for all: embedders are fastest in large batches.
        texts = [item.text for item in items] + [item.reference or "" for item in items]
        vectors = embedder.embed(texts)
        answers, references = vectors[: len(items)], vectors[len(items) :]
        cosines = (answers * references).sum(axis=1)
        lengths = (references * references).sum(axis=1) * (answers * answers).sum(axis=1)
        return [
            [leave_unscored(why) if why else self._check_cosine(item, float(cosine), float(length))]
            for item, why, cosine, length in zip(items, unknown, cosines, lengths, strict=True)
        ]

    def _unknown_language(self, item: Item, embedder: Embedder) -> str:
        """Why the embedder cannot compare these texts, or nothing.

        The reference says which language is wanted; an answer in another one, or in none at
        all, is compared with it and fails.
        """
        knows_script = getattr(embedder, "knows_script", None)
        knows_language = getattr(embedder, "knows_language", None)
        reference = item.reference or ""
        scripts = knows_script is None or (knows_script(item.text) and knows_script(reference))
        if scripts and (knows_language is None or knows_language(reference)):
            return ""
        return (
            f"the embedder {embedder.name} does not know this language; name another with "
            "evaluate.embedder"
        )

    def _check_cosine(self, item: Item, cosine: float, length: float) -> Check:
        if not item.text.strip():
            return fail_check("the answer is empty", final=False)
        if not length > 0.5 or math.isnan(cosine):  # unit vectors, or zeros where there is none
            return leave_unscored("the embedder gave no vector for the answer or its reference")
        # A cut can be the reason only while the answer is shorter than the reference.
        final = len(split_words(item.text)) >= len(split_words(item.reference or ""))
        message = f"similarity {cosine:.2f}, at least {self.threshold:.2f}"
        if cosine >= self.threshold:
            return pass_check(message, value=cosine, final=final)
        return fail_check(message, item.span(0, len(item.text)), value=cosine, final=final)
