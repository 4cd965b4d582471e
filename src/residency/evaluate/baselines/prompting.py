"""Prompts for the baselines: zero-shot, few-shot, with retrieved texts."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from residency.errors import UserError
from residency.interfaces import Embedder
from residency.nouns.content_id import content_id
from residency.nouns.example import Example, Message

CONTEXT_HEADER = "Here are texts that may help with the request below."


def zero_shot(example: Example) -> tuple[Message, ...]:
    """The example's prompt."""
    return example.prompt


def few_shot(example: Example, shots: Sequence[Example]) -> tuple[Message, ...]:
    """The shots as earlier user and assistant turns, then the example's prompt.

    The example's system message, if any, comes first and those of the shots are left out: with
    the same shots in the same order every prompt shares one prefix, whose keys and values a
    generator computes once.
    """
    prompt = example.prompt
    system = tuple(m for m in prompt[:1] if m.role == "system")
    turns: list[Message] = []
    for shot in shots:
        if shot.reference is None:
            raise UserError(
                "a few-shot example has no response",
                where=shot.source or shot.id,
                next_step="choose the shots among rows with a response",
            )
        turns += [m for m in shot.messages if m.role != "system"]
    return (*system, *turns, *prompt[len(system) :])


def prompting_name(shots: Sequence[Example]) -> str:
    """How a prompted model names its prompting: ``few-shot:K:HASH``, or ``zero-shot``."""
    if not shots:
        return "zero-shot"
    digest = content_id("shots", [shot.id for shot in shots]).removeprefix("shots-")
    return f"few-shot:{len(shots)}:{digest[:8]}"


def choose_shots(
    train: Sequence[Example], k: int, seed: int, *, embedder: Embedder | None = None
) -> list[Example]:
    """``k`` fixed, diverse shots among the rows that have a response; seeded.

    Greedy: the first is drawn at random, each next one shares the fewest tags with those
    chosen and, with an ``embedder``, lies farthest from them in meaning. Of each group at most
    one row is taken. Long rows (above the 80th percentile) are passed over while others are left,
    since the shots' length is paid with every request.
    """
    rows = [row for row in train if row.reference is not None]
    rng = np.random.default_rng(seed)
    rows = [rows[i] for i in rng.permutation(len(rows))]
    if not rows or k <= 0:
        return []
    sizes = np.array([len(row.prompt_text) + len(row.reference or "") for row in rows])
    too_long = sizes > np.quantile(sizes, 0.8)
    vectors = embedder.embed([row.prompt_text for row in rows]) if embedder else None
    nearness = np.zeros(len(rows))
    used_tags: dict[str, int] = {}
    chosen: list[int] = []
    while len(chosen) < min(k, len(rows)):
        used_groups = {rows[i].group for i in chosen if rows[i].group}
        best = min(
            (i for i in range(len(rows)) if i not in chosen),
            key=lambda i: (
                bool(rows[i].group) and rows[i].group in used_groups,
                bool(too_long[i]),
                sum(used_tags.get(tag, 0) for tag in rows[i].tags) / (len(rows[i].tags) or 1),
                nearness[i],
                i,
            ),
        )
        chosen.append(best)
        for tag in rows[best].tags:
            used_tags[tag] = used_tags.get(tag, 0) + 1
        if vectors is not None:
            nearness = np.maximum(nearness, vectors @ vectors[best])
    return [rows[i] for i in chosen]


@dataclass
class SimilarShots:
    """The ``k`` training rows most similar in meaning to a prompt, embedded once."""

    train: Sequence[Example]
    embedder: Embedder
    rows: list[Example] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = [row for row in self.train if row.reference is not None]

    @cached_property
    def _vectors(self) -> np.ndarray[Any, Any]:
        return np.asarray(self.embedder.embed([row.prompt_text for row in self.rows]))

    def __call__(self, examples: Sequence[Example], k: int) -> list[list[Example]]:
        """Shots of each example, the most similar last, next to the question.

        A row of the example's group is never a shot: it would give the answer away.
        """
        if not self.rows or k <= 0:
            return [[] for _ in examples]
        queries = self.embedder.embed([example.prompt_text for example in examples])
        out = []
        for example, cosines in zip(examples, queries @ self._vectors.T, strict=True):
            near = [
                self.rows[i]
                for i in np.argsort(-cosines, kind="stable")
                if self.rows[i].id != example.id
                and not (example.group and self.rows[i].group == example.group)
            ][:k]
            out.append(near[::-1])
        return out


class Retriever:
    """BM25 over texts (``bm25s``), indexed once.

    Texts are the user's documents, or training rows written out by ``as_document``.
    """

    def __init__(self, documents: Sequence[str]) -> None:
        import bm25s

        logging.getLogger("bm25s").setLevel(logging.WARNING)  # it sets itself to DEBUG on import
        self.documents = list(documents)
        self._index: Any = None
        if any(text.strip() for text in self.documents):
            self._index = bm25s.BM25()
            tokens = bm25s.tokenize(self.documents, stopwords=None, show_progress=False)
            self._index.index(tokens, show_progress=False)

    def __call__(self, queries: Sequence[str], k: int) -> list[list[str]]:
        """The ``k`` best documents of each query, best first; those that share no word are left out."""
        import bm25s

        if self._index is None or k <= 0 or not queries:
            return [[] for _ in queries]
        tokens = bm25s.tokenize(
            list(queries), stopwords=None, show_progress=False, return_ids=False
        )
        rows, scores = self._index.retrieve(
            tokens, k=min(k, len(self.documents)), show_progress=False
        )
        return [
            [self.documents[int(i)] for i, s in zip(row, row_scores, strict=True) if s > 0]
            for row, row_scores in zip(rows, scores, strict=True)
        ]


def split_passages(text: str, size: int = 120) -> list[str]:
    """A long text cut into passages of whole paragraphs, of about ``size`` words.

    A paragraph longer than that is cut between words.
    """
    out: list[str] = []
    held: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        tokens = paragraph.split()
        while len(tokens) > size:
            out += [" ".join(held)] if held else []
            held = []
            out.append(" ".join(tokens[:size]))
            tokens = tokens[size:]
        if held and len(held) + len(tokens) > size:
            out.append(" ".join(held))
            held = []
        held += tokens
    return [*out, " ".join(held)] if held else out


def as_document(example: Example) -> str:
    """A training row as a text to be retrieved: its prompt and its response.

    Of a turn with an input only the input is taken: the instruction is the same in every row.
    """
    parts = [m.input or m.content for m in example.prompt if m.role != "system"]
    return "\n".join([*parts, example.reference or ""]).strip()


def with_context(
    messages: Sequence[Message], documents: Sequence[str], *, header: str = CONTEXT_HEADER
) -> tuple[Message, ...]:
    """The prompt with retrieved texts placed before its last user turn's content."""
    if not documents:
        return tuple(messages)
    block = "\n\n".join(f"Text {i}:\n{text}" for i, text in enumerate(documents, 1))
    out = list(messages)
    turn = max(i for i, m in enumerate(out) if m.role == "user")
    last = out[turn]
    out[turn] = replace(last, content=f"{header}\n\n{block}\n\nRequest:\n{last.content}")
    return tuple(out)
