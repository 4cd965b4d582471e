"""Rows that a teacher model writes: of documents, or like rows that an issue's failures drew.

A teacher never sees dev or test: its seeds are pool rows, so what comes back cannot copy what is
measured. The firewall checks it all the same. What it writes is data: text that is not the JSON
of the prompt is listed and not used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from residency.interfaces import Generation, Generator, Progress, ProgressEvent, Prompt, no_progress
from residency.nouns.example import Example, Message
from residency.nouns.issue import Issue
from residency.nouns.proposal import Proposal
from residency.nouns.response import Sampling
from residency.text.words import jaccard_similarity, list_ngrams, split_words

ASK_OF_TEXT = (
    "Read the text below. Write {count} pairs of an instruction that a user of a specialised "
    "assistant could give, and the best response to it. Every response must follow from the text "
    "alone; no instruction may speak of 'the text'. Answer with a JSON list and nothing else: "
    '[{{"instruction": "…", "response": "…"}}, …]\n\nText:\n{text}'
)
"""The teacher's prompt for each document."""

ASK_LIKE_SEEDS = (
    "Write one more example of the same kind, as difficult as these, with other facts, names, "
    "numbers and wording. Answer with one JSON object with the keys input and response, "
    "and nothing else."
)
SEEDS_SHOWN = 3
REPEAT_JACCARD = 0.6


@dataclass(frozen=True)
class Failed:
    """Something of which the teacher made nothing usable, and why."""

    source: str
    reason: str


@dataclass(frozen=True)
class TeacherRows:
    """Rows that a teacher made, and of what it made none.

    ``seeds``: row id → the seed that the row was written like, for rows that have one.
    """

    examples: list[Example]
    failed: list[Failed]
    seeds: dict[str, Proposal] = field(default_factory=dict)

    def add(self, more: TeacherRows) -> None:
        """Add what was made of something else."""
        self.examples.extend(more.examples)
        self.failed.extend(more.failed)
        self.seeds.update(more.seeds)


def write_from_documents(
    documents: Sequence[Example],
    teacher: Generator,
    name: str,
    *,
    pairs: int = 3,
    sampling: Sampling | None = None,
    progress: Progress = no_progress,
) -> TeacherRows:
    """Instruction pairs that a teacher model makes of raw text.

    Args:
        documents: raw text (single assistant messages). teacher: any generator.
        name: the teacher's name, for provenance. pairs: wanted of each document.
    """
    prompts = [
        Prompt(
            (Message("user", ASK_OF_TEXT.format(count=pairs, text=d.messages[0].content)),), d.id
        )
        for d in documents
    ]
    answers = teacher.generate(
        prompts,
        sampling or Sampling(max_new_tokens=200 * pairs, temperature=0.7),
        progress=progress,
    )
    teacher_rows = TeacherRows([], [])
    for document, answer in zip(documents, answers, strict=True):
        rows = _read_answer(answer, document.source, teacher_rows.failed)
        for instruction, response in rows:
            turns = (Message("user", instruction), Message("assistant", response))
            why = f"teacher {name}"
            teacher_rows.examples.append(
                Example(turns, split="train", source=document.source, why=why)
            )
    progress(ProgressEvent("teach", len(documents), len(documents), "documents"))
    return teacher_rows


def write_like_seeds(
    issue: Issue,
    seeds: Sequence[Proposal],
    teacher: Generator,
    *,
    count: int,
    name: str,
    sampling: Sampling,
    progress: Progress = no_progress,
) -> TeacherRows:
    """New rows like the seeds, for an issue.

    Each request shows a seed and two more of its part, with their answers, and asks for one more of
    the kind, with other facts, names and words. An answer that repeats a seed or an earlier answer (word-trigram
    Jaccard ≥ 0.6) is not used.

    Args:
        seeds: pool rows that the issue's failures drew, in the order in which they are taken as the
            first of a request, again and again. name: the teacher's, stored as provenance.
    """
    answered = [seed for seed in seeds if seed.example.reference]
    teacher_rows = TeacherRows([], [])
    if not answered or count < 1:
        return teacher_rows
    prompts, firsts = [], []
    for number in range(count):
        trio = _choose_shown(answered, number % len(answered))
        firsts.append(trio[0])
        request = Message("user", _write_request(trio))
        prompts.append(Prompt((request,), key=f"{issue.id}:{number}"))
    answers = teacher.generate(prompts, sampling, progress=progress)
    known = [_list_trigrams(_last_prompt(seed.example)) for seed in answered]
    for seed, answer in zip(firsts, answers, strict=True):
        like = seed.example
        for prompt, response in _read_answer(answer, f"like {like.id}", teacher_rows.failed)[:1]:
            trigrams = _list_trigrams(prompt)
            if any(jaccard_similarity(trigrams, other) >= REPEAT_JACCARD for other in known):
                teacher_rows.failed.append(
                    Failed(f"like {like.id}", f"repeats a row: {prompt[:80]!r}")
                )
                continue
            known.append(trigrams)
            why = f"teacher {name} for {issue.id}"
            row = _make_row(like, prompt, response, why=why)
            teacher_rows.examples.append(row)
            teacher_rows.seeds[row.id] = seed
    return teacher_rows


def _choose_shown(seeds: Sequence[Proposal], first: int) -> list[Proposal]:
    """A seed and the next ones of the same part: one kind of failure a request."""
    turned = [*seeds[first:], *seeds[:first]]
    shown = {seed.example.id: seed for seed in turned if seed.part == turned[0].part}
    return list(shown.values())[:SEEDS_SHOWN]


def _write_request(seeds: Sequence[Proposal]) -> str:
    parts = ["Here are examples of a task. Each has an input and the right response."]
    for seed in seeds:
        row = {"input": _last_prompt(seed.example), "response": seed.example.reference}
        parts.append(json.dumps(row, ensure_ascii=False))
    return "\n\n".join([*parts, ASK_LIKE_SEEDS])


def _last_prompt(example: Example) -> str:
    last = example.prompt[-1]
    return last.input or last.content


def _make_row(like: Example, prompt: str, response: str, *, why: str) -> Example:
    *before, last = like.prompt
    turn = replace(last, input=prompt) if last.input else replace(last, content=prompt)
    messages = (*before, turn, Message("assistant", response))
    return Example(messages, split="train", tags=like.tags, source=f"like {like.id}", why=why)


def _read_answer(answer: Generation, source: str, failed: list[Failed]) -> list[tuple[str, str]]:
    """Prompts and responses in a teacher's answer; what is wrong with it goes to ``failed``."""
    if answer.finish == "error":
        failed.append(Failed(source, answer.error or "the teacher gave no answer"))
        return []
    rows = read_rows(answer.text)
    if not rows:
        failed.append(Failed(source, f"not the JSON asked for: {answer.text[:80]!r}"))
    return rows


def read_rows(text: str) -> list[tuple[str, str]]:
    """Prompts and responses in a teacher's JSON, which may stand between other words or in a fence.

    A list of objects or one object, with the keys ``instruction`` or ``input``, and ``response``.
    """
    for opening, closing in ("[]", "{}"):
        begin, end = text.find(opening), text.rfind(closing)
        if not 0 <= begin < end:
            continue
        try:
            value = json.loads(text[begin : end + 1])
        except (ValueError, RecursionError):
            continue
        rows = [_read_row(row) for row in (value if isinstance(value, list) else [value])]
        pairs = [row for row in rows if row is not None]
        if pairs:
            return pairs
    return []


def _read_row(row: object) -> tuple[str, str] | None:
    if not isinstance(row, Mapping):
        return None
    prompt, response = row.get("instruction") or row.get("input"), row.get("response")
    if not (isinstance(prompt, str) and isinstance(response, str)):
        return None
    if not (prompt.strip() and response.strip()):
        return None
    return prompt.strip(), response.strip()


def _list_trigrams(text: str) -> set[tuple[object, ...]]:
    return set(list_ngrams(split_words(text), 3)) or {(text,)}
