"""Better answers by people, and preference pairs from answers that failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from residency.nouns.example import Example, Message
from residency.nouns.issue import Issue
from residency.nouns.proposal import Proposal
from residency.nouns.response import Response
from residency.text.words import split_words


def correct_row(
    example: Example, answer: str, *, person: str, rejected: Response | None
) -> Example:
    """A person's better answer to a pool prompt, as a training row.

    Args:
        rejected: the model's response to the same prompt; where it differs, the row is a
            preference pair (chosen, rejected) as well.
    """
    worse = rejected.text if rejected is not None and rejected.text else None
    return Example(
        (*example.prompt, Message("assistant", answer)),
        split="train",
        group=example.group,
        tags=example.tags,
        source=example.source,
        why=f"person {person}",
        rejected=worse if worse is not None and worse.strip() != answer.strip() else None,
    )


def pair_failures(
    issue: Issue,
    rows: Sequence[Example],
    responses: Sequence[Response],
    outcomes: Mapping[str, bool | None],
) -> list[Proposal]:
    """Rows whose reference is right and whose response failed, as (chosen, rejected) pairs.

    Args:
        rows: pool or train rows with a reference; dev and test rows are refused.
        responses: the model's responses to them. outcomes: the issue's, by example id.

    Raises:
        ValueError: a row of dev or test.
    """
    answers = {response.example: response for response in responses}
    out = []
    for row in rows:
        if row.split in ("dev", "test"):
            raise ValueError(f"{row.id} is in {row.split}, which is never trained on")
        answer = answers.get(row.id)
        if row.reference is None or answer is None or not outcomes.get(row.id):
            continue
        if split_words(answer.text) == split_words(row.reference):
            continue
        pair = replace(row, rejected=answer.text, why=f"{issue.id} preference:{answer.model}")
        out.append(
            Proposal(issue.id, pair, find_row_origin(row), "failed-response", 1.0, near=row.id)
        )
    return out


def find_row_origin(row: Example) -> str:
    """Where a row's reference came from: a person, a teacher, a template, or the pool."""
    for origin in ("person", "teacher", "template"):
        if row.why.startswith(origin) or f"{origin}:" in row.why:
            return origin
    return "pool"
