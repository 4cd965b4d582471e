"""A model as judge: one criterion, a binary verdict with a reason, in both orders.

A judge that changes its verdict when nothing but the order changed, and one whose answer
cannot be read, has said nothing: the item is unscored. Answers are cached under the hash of
their prompt, so an interrupted or repeated judgement asks only for what is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from residency.evaluate.arena.votes import Outcome, Vote
from residency.evaluate.judge.answer_cache import AnswerCache, FileCache
from residency.evaluate.judge.prompts import (
    COMPARED,
    PROMPT_VERSION,
    Rubric,
    check_prompt,
    compare_prompt,
    read_verdict,
    verdict_schema,
)
from residency.evaluate.judged_answer import answer_without_reasoning
from residency.interfaces import Generation, Generator, Progress, Prompt, no_progress
from residency.nouns.content_id import content_id
from residency.nouns.example import Example, Message
from residency.nouns.finding import Finding
from residency.nouns.response import Response, Sampling
from residency.text.counts import write_count

__all__ = ["FileCache", "Judge", "JudgeReport", "Rubric", "list_verdicts", "read_verdict"]


@dataclass
class JudgeReport:
    """Results of a judgement, and what could not be used.

    ``flipped``: verdicts that changed with the order; ``invalid``: answers that could not be
    read; ``failed``: requests that ended in an error; ``questions``: new requests, ``cached`` old ones.
    """

    findings: list[Finding] = field(default_factory=list)
    votes: list[Vote] = field(default_factory=list)
    flipped: int = 0
    invalid: int = 0
    failed: int = 0
    questions: int = 0
    cached: int = 0


_CHECKED = {"pass", "fail"}


@dataclass(frozen=True)
class _Answer:
    """``text`` is None after an error; ``cut``: the token limit ended it, so it says nothing."""

    text: str | None
    error: str = ""
    cut: bool = False


class Judge:
    """A judge model behind any ``Generator``.

    Args:
        generator: who answers.
        name: the judge's name, part of the cache key and of the findings' version.
        cache: where answers are stored; None stores nothing.
        both_orders: ask twice with the order swapped; only equal verdicts count.
        structured: give every question the JSON schema of its answer (``Prompt.schema``).
        max_new_tokens: budget of the judge's answer; it answers greedily.
    """

    def __init__(
        self,
        generator: Generator,
        name: str,
        *,
        cache: AnswerCache | None = None,
        both_orders: bool = True,
        structured: bool = True,
        max_new_tokens: int = 200,
    ) -> None:
        self.generator = generator
        self.name = name
        self.cache = cache
        self.both_orders = both_orders
        self.structured = structured
        self.sampling = Sampling(max_new_tokens=max_new_tokens)

    def version(self, rubric: Rubric) -> str:
        """Names judge, rubric and wording: another of these is another measurement."""
        value = [self.name, rubric.name, rubric.criterion, rubric.show_reference]
        digest = content_id("v", [*value, self.both_orders, self.structured, PROMPT_VERSION])
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
        prompts = [
            self._prompt(
                check_prompt(rubric, known[r.example], answer_without_reasoning(r), order), order
            )
            for r in live
            for order in orders
        ]
        report = JudgeReport()
        answers = self._ask(prompts, _CHECKED, report, progress)
        for number, response in enumerate(live):
            mine = answers[number * len(orders) : (number + 1) * len(orders)]
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
        prompts = []
        for example, a, b in pairs:
            first, second = answer_without_reasoning(a), answer_without_reasoning(b)
            orders = [(first, second), (second, first)][: 2 if self.both_orders else 1]
            prompts += [
                self._prompt(compare_prompt(rubric, example, *order), COMPARED) for order in orders
            ]
        report = JudgeReport()
        answers = self._ask(prompts, set(COMPARED), report, progress)
        step = 2 if self.both_orders else 1
        for number, (example, a, b) in enumerate(pairs):
            mine = answers[number * step : (number + 1) * step]
            verdicts = self._read(mine, set(COMPARED), report)
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
        verdicts = self._read(answers, _CHECKED, report)
        if verdicts is None:
            errors = [a.error for a in answers if a.error]
            message = errors[0] if errors else self._describe_unreadable(answers)
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

    def _describe_unreadable(self, answers: Sequence[_Answer]) -> str:
        if any(answer.cut for answer in answers):
            return (
                f"the judge's answer was cut after {write_count(self.sampling.max_new_tokens, 'token')} "
                "(judge.max_new_tokens)"
            )
        texts = [a.text for a in answers if a.text and not read_verdict(a.text, _CHECKED)]
        written = repr(texts[0]) if texts else "it is empty"
        return f"the judge's answer cannot be read: {written}"

    def _read(
        self, answers: Sequence[_Answer], known: set[str], report: JudgeReport
    ) -> list[tuple[str, str]] | None:
        """Verdict and reason of every order, or None when one of them is missing."""
        out = []
        for answer in answers:
            if answer.text is None:
                report.failed += 1
                return None
            verdict = None if answer.cut else read_verdict(answer.text, known)
            if verdict is None:
                report.invalid += 1
                return None
            out.append(verdict)
        return out

    def _prompt(self, messages: tuple[Message, ...], verdicts: Sequence[str]) -> Prompt:
        schema = verdict_schema(verdicts) if self.structured else None
        parts = [self.name, [message.to_dict() for message in messages], self.sampling.to_dict()]
        key = content_id("ask", parts if schema is None else [*parts, schema])
        return Prompt(messages, key=key, schema=schema)

    def _ask(
        self,
        prompts: Sequence[Prompt],
        verdicts: set[str],
        report: JudgeReport,
        progress: Progress,
    ) -> list[_Answer]:
        """Answers from the cache or the judge; a question whose answer cannot be read is put again next time."""
        by_key: dict[str, _Answer] = {}
        for prompt in prompts:
            text = self.cache.get(prompt.key) if self.cache else None
            if text is not None and read_verdict(text, verdicts) is not None:
                by_key[prompt.key] = _Answer(text)
        report.cached = sum(prompt.key in by_key for prompt in prompts)
        missing = list({p.key: p for p in prompts if p.key not in by_key}.values())

        def keep(position: int, answer: Generation) -> None:
            failed = answer.finish == "error"
            reason = f"the judge did not answer: {answer.error}" if failed else ""
            key = missing[position].key
            cut = answer.finish == "length"
            by_key[key] = _Answer(None if failed else answer.text, reason, cut)
            readable = not (failed or cut) and read_verdict(answer.text, verdicts) is not None
            if self.cache and readable:
                self.cache.put(key, answer.text)

        if missing:
            answers = self.generator.generate(
                missing, self.sampling, on_result=keep, progress=progress
            )
            for position, answer in enumerate(answers):
                if missing[position].key not in by_key:
                    keep(position, answer)
        report.questions = len(missing)
        return [by_key[prompt.key] for prompt in prompts]


def list_verdicts(findings: Sequence[Finding]) -> dict[str, bool | None]:
    """Findings as response id → passed (None: unscored), for ``agreement``."""
    values: dict[str, bool | None] = {"pass": True, "fail": False, "unscored": None}
    return {finding.response: values[finding.status] for finding in findings}


def _pair_outcome(verdicts: Sequence[str]) -> tuple[Outcome, bool]:
    """Outcome, and whether the verdict changed with the order."""
    straight: dict[str, Outcome] = {"first": "a", "second": "b", "tie": "tie"}
    swapped: dict[str, Outcome] = {"first": "b", "second": "a", "tie": "tie"}
    outcomes = [straight[verdicts[0]], *(swapped[v] for v in verdicts[1:])]
    if len(set(outcomes)) == 1:
        return outcomes[0], False
    return "tie", True
