"""A model as judge: one criterion, a binary verdict with a reason, asked in both orders.

A judge that changes its verdict when nothing but the order changed, and one whose answer
cannot be read, has said nothing: the item is unscored. Answers are cached under the hash of
what was asked, so an interrupted or repeated judgement asks only for what is not there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from residency.evaluate.votes import Outcome, Vote
from residency.types import (
    Example,
    Finding,
    Generation,
    Generator,
    Message,
    Progress,
    Prompt,
    Response,
    Sampling,
    content_id,
    no_progress,
)

PROMPT_VERSION = 1
"""Raised when the wording below changes: other words are another measurement."""

_CHECK = """You check one answer against one criterion, and nothing else.
Write one JSON object and nothing besides it:
{{"reason": "<one sentence>", "verdict": "{first}" or "{second}"}}
"{first}" means that {meaning_first}; "{second}" means that {meaning_second}."""

_COMPARE = """You compare two answers to one request by one criterion, and nothing else.
Neither the order of the answers nor their length matters by itself.
Write one JSON object and nothing besides it:
{"reason": "<one sentence>", "verdict": "first" or "second" or "tie"}"""

_MEANING = {"pass": "the answer meets the criterion", "fail": "it does not"}


@dataclass(frozen=True)
class Rubric:
    """What the judge is asked.

    ``criterion`` is one yes-or-no question about an answer; ``show_reference`` gives the judge
    the example's reference answer to compare with.
    """

    name: str
    criterion: str
    show_reference: bool = False


class AnswerCache(Protocol):
    """Judge answers by the hash of what was asked."""

    def get(self, key: str) -> str | None:
        """The stored answer, or None."""
        ...

    def put(self, key: str, text: str) -> None:
        """Keep an answer."""
        ...


class FileCache:
    """An ``AnswerCache`` in a JSONL file, one line an answer, written as soon as it is there.

    A last line that was cut off (a killed process) is ignored, and asked for again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._answers: dict[str, str] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    row = json.loads(line)
                    self._answers[row["key"]] = row["text"]
                except (json.JSONDecodeError, KeyError, TypeError):
                    continue

    def get(self, key: str) -> str | None:
        """The stored answer, or None."""
        return self._answers.get(key)

    def put(self, key: str, text: str) -> None:
        """Keep an answer."""
        self._answers[key] = text
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            if file.tell() and self._ends_open():
                file.write(b"\n")
            row = json.dumps({"key": key, "text": text}, ensure_ascii=False)
            file.write(row.encode() + b"\n")

    def _ends_open(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, 2)
            return file.read(1) != b"\n"


@dataclass
class JudgeReport:
    """Results of a judgement, and what could not be used.

    ``flipped``: verdicts that changed with the order; ``invalid``: answers that could not be
    read; ``failed``: requests that ended in an error; ``asked``: new requests, ``cached`` old ones.
    """

    findings: list[Finding] = field(default_factory=list)
    votes: list[Vote] = field(default_factory=list)
    flipped: int = 0
    invalid: int = 0
    failed: int = 0
    asked: int = 0
    cached: int = 0


@dataclass(frozen=True)
class _Answer:
    text: str | None
    error: str = ""


class Judge:
    """A judge model behind any ``Generator``.

    Args:
        generator: who answers.
        name: the judge's name, part of the cache key and of the findings' version.
        cache: where answers are kept; None keeps nothing.
        both_orders: ask twice with the order swapped; only equal verdicts count.
        max_new_tokens: budget of the judge's answer; it answers greedily.
    """

    def __init__(
        self,
        generator: Generator,
        name: str,
        *,
        cache: AnswerCache | None = None,
        both_orders: bool = True,
        max_new_tokens: int = 200,
    ) -> None:
        self.generator = generator
        self.name = name
        self.cache = cache
        self.both_orders = both_orders
        self.sampling = Sampling(max_new_tokens=max_new_tokens)

    def version(self, rubric: Rubric) -> str:
        """Names judge, rubric and wording: another of these is another measurement."""
        value = [self.name, rubric.name, rubric.criterion, rubric.show_reference]
        digest = content_id("v", [*value, self.both_orders, PROMPT_VERSION])
        return f"{PROMPT_VERSION}:{digest.removeprefix('v-')[:8]}"

    def check(
        self,
        rubric: Rubric,
        examples: Sequence[Example],
        responses: Sequence[Response],
        *,
        progress: Progress = no_progress,
    ) -> JudgeReport:
        """A finding of kind ``judge:NAME`` for each response: pass, fail, or unscored."""
        known = {example.id: example for example in examples}
        orders = [("pass", "fail"), ("fail", "pass")][: 2 if self.both_orders else 1]
        live = [r for r in responses if r.finish != "error" and r.example in known]
        asked = [
            _check_prompt(rubric, known[r.example], r.text, order) for r in live for order in orders
        ]
        report = JudgeReport()
        answers = self._ask(asked, report, progress)
        for place, response in enumerate(live):
            mine = answers[place * len(orders) : (place + 1) * len(orders)]
            report.findings.append(self._finding(rubric, response, mine, report))
        return report

    def compare(
        self,
        rubric: Rubric,
        pairs: Sequence[tuple[Example, Response, Response]],
        *,
        progress: Progress = no_progress,
    ) -> JudgeReport:
        """A vote for each pair: a verdict that changes with the order is a tie.

        Pairs whose answers could not be read get no vote.
        """
        asked = []
        for example, a, b in pairs:
            asked.append(_compare_prompt(rubric, example, a.text, b.text))
            if self.both_orders:
                asked.append(_compare_prompt(rubric, example, b.text, a.text))
        report = JudgeReport()
        answers = self._ask(asked, report, progress)
        step = 2 if self.both_orders else 1
        for place, (example, a, b) in enumerate(pairs):
            mine = answers[place * step : (place + 1) * step]
            verdicts = self._read(mine, {"first", "second", "tie"}, report)
            if verdicts is None:
                continue
            outcome, flipped = _pair_outcome([verdict for verdict, _ in verdicts])
            report.flipped += flipped
            notes = " / ".join(reason for _, reason in verdicts)
            report.votes.append(
                Vote(
                    prompt=example.id,
                    a=a.model,
                    b=b.model,
                    outcome=outcome,
                    rater=f"judge:{self.name}",
                    response_a=a.id,
                    response_b=b.id,
                    note=("changed with the order: " if flipped else "") + notes,
                )
            )
        return report

    def _finding(
        self, rubric: Rubric, response: Response, answers: Sequence[_Answer], report: JudgeReport
    ) -> Finding:
        status: Literal["pass", "fail", "unscored"] = "unscored"
        verdicts = self._read(answers, {"pass", "fail"}, report)
        if verdicts is None:
            errors = [a.error for a in answers if a.error]
            texts = [a.text for a in answers if a.text is not None]
            message = errors[0] if errors else f"the judge's answer cannot be read: {texts[0]!r}"
        elif len({verdict for verdict, _ in verdicts}) > 1:
            report.flipped += 1
            message = "the judge's verdict changed with the order of the choices"
        else:
            status = "pass" if verdicts[0][0] == "pass" else "fail"
            message = verdicts[0][1]
        return Finding(
            response=response.id,
            kind=f"judge:{rubric.name}",
            status=status,
            detector=f"judge:{rubric.name}",
            version=self.version(rubric),
            severity=0.5 if status == "fail" else 0.0,
            message=message[:500],
        )

    def _read(
        self, answers: Sequence[_Answer], known: set[str], report: JudgeReport
    ) -> list[tuple[str, str]] | None:
        """Verdict and reason of every order, or None when one of them is missing."""
        out = []
        for answer in answers:
            if answer.text is None:
                report.failed += 1
                return None
            found = read_verdict(answer.text, known)
            if found is None:
                report.invalid += 1
                return None
            out.append(found)
        return out

    def _ask(
        self,
        conversations: Sequence[tuple[Message, ...]],
        report: JudgeReport,
        progress: Progress,
    ) -> list[_Answer]:
        keys = [self._key(messages) for messages in conversations]
        found: dict[str, _Answer] = {}
        for key in keys:
            text = self.cache.get(key) if self.cache else None
            if text is not None:
                found[key] = _Answer(text)
        report.cached = sum(key in found for key in keys)
        missing = {k: m for k, m in zip(keys, conversations, strict=True) if k not in found}
        names = list(missing)

        def keep(place: int, answer: Generation) -> None:
            failed = answer.finish == "error"
            reason = f"the judge did not answer: {answer.error}" if failed else ""
            found[names[place]] = _Answer(None if failed else answer.text, reason)
            if self.cache and not failed:
                self.cache.put(names[place], answer.text)

        if names:
            prompts = [Prompt(missing[key], key=key) for key in names]
            answers = self.generator.generate(
                prompts, self.sampling, on_result=keep, progress=progress
            )
            for place, answer in enumerate(answers):
                if names[place] not in found:
                    keep(place, answer)
        report.asked = len(names)
        return [found[key] for key in keys]

    def _key(self, messages: tuple[Message, ...]) -> str:
        asked = [message.to_dict() for message in messages]
        return content_id("ask", [self.name, asked, self.sampling.to_dict()])


def read_verdict(text: str, known: set[str]) -> tuple[str, str] | None:
    """Verdict and reason from a judge's answer, None when it holds no valid verdict.

    Every JSON object in the text is tried, the last valid one counts (a model may think aloud
    first).
    """
    decoder = json.JSONDecoder()
    found = None
    for start in (hit.start() for hit in re.finditer(r"\{", text)):
        try:
            value, _ = decoder.raw_decode(text, start)
        except (json.JSONDecodeError, RecursionError):
            continue
        if isinstance(value, Mapping):
            verdict = value.get("verdict")
            if isinstance(verdict, str) and verdict.strip().casefold() in known:
                found = verdict.strip().casefold(), str(value.get("reason", ""))
    return found


def verdicts(findings: Sequence[Finding]) -> dict[str, bool | None]:
    """Findings as response id → passed (None: unscored), for ``agreement``."""
    values: dict[str, bool | None] = {"pass": True, "fail": False, "unscored": None}
    return {finding.response: values[finding.status] for finding in findings}


def _check_prompt(
    rubric: Rubric, example: Example, answer: str, order: tuple[str, str]
) -> tuple[Message, ...]:
    system = _CHECK.format(
        first=order[0],
        second=order[1],
        meaning_first=_MEANING[order[0]],
        meaning_second=_MEANING[order[1]],
    )
    return (
        Message("system", system),
        Message("user", _body(rubric, example, {"Answer to check": answer})),
    )


def _compare_prompt(
    rubric: Rubric, example: Example, first: str, second: str
) -> tuple[Message, ...]:
    body = _body(rubric, example, {"First answer": first, "Second answer": second})
    return Message("system", _COMPARE), Message("user", body)


def _body(rubric: Rubric, example: Example, answers: Mapping[str, str]) -> str:
    parts: dict[str, Any] = {"Criterion": rubric.criterion, "Request": example.prompt_text}
    if rubric.show_reference and example.reference is not None:
        parts["Reference answer"] = example.reference
    # Marks around the answers keep an instruction inside one from reading as ours.
    blocks = [f"{title}:\n<<<\n{text}\n>>>" for title, text in (parts | dict(answers)).items()]
    return "\n\n".join(blocks)


def _pair_outcome(verdicts: Sequence[str]) -> tuple[Outcome, bool]:
    """Outcome, and whether the verdict changed with the order."""
    straight: dict[str, Outcome] = {"first": "a", "second": "b", "tie": "tie"}
    swapped: dict[str, Outcome] = {"first": "b", "second": "a", "tie": "tie"}
    outcomes = [straight[verdicts[0]], *(swapped[v] for v in verdicts[1:])]
    if len(set(outcomes)) == 1:
        return outcomes[0], False
    return "tie", True
