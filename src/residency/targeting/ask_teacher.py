"""Rows that people or a teacher model write for an issue, and preference pairs.

Neither ever sees dev or test: the seeds are pool rows that the issue's failures drew
(``propose``), so what comes back cannot copy what is measured. The firewall checks it all the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from residency.interfaces import Generator, Progress, Prompt, no_progress
from residency.nouns.example import Example, Message
from residency.nouns.issue import Issue
from residency.nouns.proposal import Proposal
from residency.nouns.response import Response, Sampling
from residency.text.words import jaccard, ngrams, words

_REPEATS = 0.6
_SHOWN = 3


def correction(
    issue: Issue, seed: Proposal, answer: str, *, person: str, rejected: Response | None = None
) -> Proposal:
    """A person's better answer to a pool prompt, as a proposal.

    Args:
        rejected: the model's failing response to the same prompt; with it the row is a
            preference pair (chosen, rejected) for DPO.
    """
    row = replace(
        seed.example,
        messages=(*seed.example.prompt, Message("assistant", answer)),
        why=f"{issue.id} person:{person}",
        rejected=rejected.text if rejected else None,
    )
    return Proposal(issue.id, row, "person", person, 1.0, near=seed.near)


def preference_pairs(
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
        if words(answer.text) == words(row.reference):
            continue
        pair = replace(row, rejected=answer.text, why=f"{issue.id} preference:{answer.model}")
        out.append(Proposal(issue.id, pair, row_origin(row), "failed-response", 1.0, near=row.id))
    return out


def row_origin(row: Example) -> str:
    """Where a row's reference came from: a person, a teacher, a template, or the pool."""
    for origin in ("person", "teacher", "template"):
        if f"{origin}:" in row.why:
            return origin
    return "pool"


@dataclass(frozen=True)
class Taught:
    """What a teacher wrote: proposals, and why the other answers were not used."""

    proposals: tuple[Proposal, ...]
    unusable: tuple[str, ...]


def ask_teacher(
    issue: Issue,
    seeds: Sequence[Proposal],
    teacher: Generator,
    *,
    count: int,
    name: str,
    sampling: Sampling,
    progress: Progress = no_progress,
) -> Taught:
    """New rows like the seeds, written by a teacher model.

    Each request shows three seeds with their answers and asks for one more of the kind, with
    other facts, names and words. An answer that is no JSON object with ``input`` and
    ``response``, or repeats a seed or an earlier answer (word-trigram Jaccard ≥ 0.6), is not
    used and listed.

    Args:
        name: the teacher's name, kept as provenance.
    """
    shown = [seed for seed in seeds if seed.example.reference]
    if not shown or count < 1:
        return Taught((), ())
    prompts, firsts = [], []
    for number in range(count):
        trio = [shown[(number + k) % len(shown)] for k in range(min(_SHOWN, len(shown)))]
        firsts.append(trio[0])
        request = Message("user", _request(trio))
        prompts.append(Prompt((request,), key=f"{issue.id}:{number}"))
    answers = teacher.generate(prompts, sampling, progress=progress)
    seen = [_trigrams(_asked(seed.example)) for seed in shown]
    proposals: list[Proposal] = []
    unusable: list[str] = []
    for first, answer in zip(firsts, answers, strict=True):
        made = _parse(answer.text)
        if made is None:
            unusable.append(answer.error or f"not the JSON asked for: {answer.text[:80]!r}")
            continue
        grams = _trigrams(made[0])
        if any(jaccard(grams, other) >= _REPEATS for other in seen):
            unusable.append(f"repeats another row: {made[0][:80]!r}")
            continue
        seen.append(grams)
        row = _row(first.example, *made, why=f"{issue.id} teacher:{name}")
        proposals.append(Proposal(issue.id, row, "teacher", name, 1.0, near=first.near))
    return Taught(tuple(proposals), tuple(unusable))


def _request(seeds: Sequence[Proposal]) -> str:
    parts = ["Here are examples of a task. Each has an input and the right response."]
    for seed in seeds:
        shown = {"input": _asked(seed.example), "response": seed.example.reference}
        parts.append(json.dumps(shown, ensure_ascii=False))
    parts.append(
        "Write one more example of the same kind, as difficult as these, with other facts, names, "
        "numbers and wording. Answer with one JSON object with the keys input and response, "
        "and nothing else."
    )
    return "\n\n".join(parts)


def _asked(example: Example) -> str:
    last = example.prompt[-1]
    return last.input or last.content


def _row(like: Example, asked: str, answer: str, *, why: str) -> Example:
    *before, last = like.prompt
    turn = replace(last, input=asked) if last.input else replace(last, content=asked)
    messages = (*before, turn, Message("assistant", answer))
    return Example(messages, split="train", tags=like.tags, source=f"like {like.id}", why=why)


def _parse(text: str) -> tuple[str, str] | None:
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        return None
    try:
        raw = json.loads(text[start : end + 1])
    except ValueError:
        return None
    asked, answer = raw.get("input"), raw.get("response")
    if not (
        isinstance(asked, str) and isinstance(answer, str) and asked.strip() and answer.strip()
    ):
        return None
    return asked.strip(), answer.strip()


def _trigrams(text: str) -> set[tuple[object, ...]]:
    return set(ngrams(words(text), 3)) or {(text,)}
