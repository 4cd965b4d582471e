"""What of a suite cannot work on a project's examples, said before anything is generated."""

from __future__ import annotations

from collections.abc import Sequence

from residency.errors import SuiteError
from residency.evaluate.judged_answer import JudgedAnswer
from residency.evaluate.suites.check_result import Context
from residency.evaluate.suites.rule import Rule
from residency.evaluate.suites.rule_registry import BUILT_IN_RULES, suggest_name
from residency.evaluate.suites.rules.python_function import PythonFunction
from residency.evaluate.suites.suite import Suite
from residency.nouns.example import Example
from residency.nouns.response import Response
from residency.text.answer_fields import parse_answer

TRIED = 20
"""References on which a user's rule is tried before a run."""


def check_suite(suite: Suite, examples: Sequence[Example]) -> tuple[str, ...]:
    """What of the suite cannot work on these examples, in words, before anything is generated.

    Raises:
        SuiteError: a rule needs references and none of the examples in its scope has one, or it
            names a field that no reference has, or is the user's and raises on every reference.
    """
    notes = []
    for rule in suite.rules:
        scope = [example for example in examples if rule.applies_to(example)]
        if isinstance(rule, PythonFunction):
            notes.append(f"{rule.detector} runs {rule.function} of {rule.folder}, with your rights")
        if not scope:
            notes.append(
                f"{rule.detector}: no example is in its scope{_suggest_scope(rule, examples)}"
            )
            continue
        _check_fields(suite, rule, scope)
        _try_rule(suite, rule, scope)
        bare = [example for example in scope if example.reference is None]
        if rule.needs_reference and len(bare) == len(scope):
            raise SuiteError(
                f"rule {rule.detector!r} compares with references, and none of its "
                f"{len(scope)} examples has one",
                where=suite.source or bare[0].source,
                next_step="give the examples a response, or take the rule out of the suite",
            )
        if rule.needs_reference and bare:
            first = bare[0].source or bare[0].id
            notes.append(
                f"{rule.detector}: {len(bare)} of {len(scope)} examples have no reference "
                f"(the first: {first}); they stay unscored"
            )
    return tuple(notes)


def _try_rule(suite: Suite, rule: Rule, scope: Sequence[Example]) -> None:
    """A user's rule is tried on the references, so that a broken one stops before a run."""
    if type(rule) in BUILT_IN_RULES and not isinstance(rule, PythonFunction):
        return
    answers = []
    for example in scope[:TRIED]:
        text = example.reference or ""
        response = Response(model="", example=example.id, text=text)
        answers.append(JudgedAnswer(example, response, 0, len(text)))
    try:
        list(rule.grade_answers(answers, Context()))
    except SuiteError as error:
        raise SuiteError(
            f"rule {rule.detector!r} cannot judge anything, tried on references: {error.what}",
            where=suite.source,
            next_step=error.next_step,
        ) from None


def _suggest_scope(rule: Rule, examples: Sequence[Example]) -> str:
    """Which tag or id may have been meant."""
    if rule.tags:
        tags = sorted({tag for example in examples for tag in example.tags})
        return f" (tags {', '.join(rule.tags)}){suggest_name(rule.tags[0], tags)}"
    if rule.examples:
        return f" (examples {', '.join(rule.examples[:3])})"
    return ""


def _check_fields(suite: Suite, rule: Rule, scope: Sequence[Example]) -> None:
    """A misspelt field is in no reference: every answer would fail, or none be scored."""
    wanted = [rule.field] if rule.field else list(getattr(rule, "fields", ()))
    known: dict[str, None] = {}
    for example in scope if wanted else ():
        reference = parse_answer(example.reference or "", rule.parse)
        if not reference.problems:  # prose is not a list of fields, though it may hold colons
            known.update(dict.fromkeys(reference.fields))
    for name in wanted if known else ():
        if name.casefold() not in known:
            raise SuiteError(
                f"rule {rule.detector!r} looks at the field {name!r}, which is in no reference "
                f"of its {len(scope)} examples{suggest_name(name, known)}",
                where=suite.source,
                next_step=f"their fields: {', '.join(list(known)[:12])}",
            )
