"""Grading stored responses with a suite: deterministic, and nothing is generated."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from residency.errors import SuiteError
from residency.evaluate.judged_answer import JudgedAnswer, judge_answer
from residency.evaluate.suites.check_result import Context
from residency.evaluate.suites.suite import Suite
from residency.interfaces import Embedder
from residency.nouns.example import Example
from residency.nouns.finding import Finding
from residency.nouns.response import Response


def grade_responses(
    suite: Suite,
    examples: Sequence[Example],
    responses: Sequence[Response],
    *,
    embedder: Embedder | None = None,
    keep_reasoning: bool = False,
) -> list[Finding]:
    """Pass, fail or unscored for each response and each rule in whose scope it is.

    In the order of the responses, then of the rules. Rules that compare meanings are unscored
    without an ``embedder``. A response that ended in an error is unscored by every rule. What is
    graded is the answer after the reasoning, and of it the part that the suite extracts.

    Args:
        keep_reasoning: grade the whole response, its reasoning included.

    Raises:
        SuiteError: a response answers an example that is not among ``examples``, or a rule raised
            an exception on every response.
    """
    known = {example.id: example for example in (*suite.examples, *examples)}
    answers = []
    for response in responses:
        example = known.get(response.example)
        if example is None:
            raise SuiteError(
                f"response {response.id} answers {response.example}, which is not among the "
                f"{len(known)} examples given",
                where=suite.source,
                next_step="grade with the examples that the responses were made from",
            )
        answers.append(read_judged(suite, example, response, keep_reasoning=keep_reasoning))
    context = Context(embedder)
    findings: list[Finding] = []
    for rule in suite.rules:
        in_scope = [answer for answer in answers if rule.applies_to(answer.example)]
        findings += rule.grade_answers(in_scope, context)
    order = {response.id: i for i, response in reversed(list(enumerate(responses)))}
    return sorted(findings, key=lambda finding: order[finding.response])


def read_judged(
    suite: Suite, example: Example, response: Response, *, keep_reasoning: bool = False
) -> JudgedAnswer:
    """What of a response a suite judges: what follows its reasoning, and of it what is extracted."""
    return extract_answer(suite, judge_answer(example, response, keep_reasoning=keep_reasoning))


def extract_answer(suite: Suite, answer: JudgedAnswer) -> JudgedAnswer:
    """The part of an answer that the suite's ``extract`` finds; an empty one where it finds none.

    A reference that has such a part as well (a worked solution) is compared by it.
    """
    if suite.extract is None:
        return answer
    part = suite.extract.find_answer(answer.text)
    wanted = suite.extract.find_answer(answer.reference) if answer.reference else None
    return dataclasses.replace(
        answer,
        start=answer.start + part.start if part else answer.end,
        end=answer.start + part.end if part else answer.end,
        extracted_text=part.text if part else "",
        wanted=wanted.text if wanted else answer.reference,
    )
