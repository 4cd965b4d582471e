"""A project's moderation as the server's hooks: one moderator of what comes in, one of what goes out."""

from __future__ import annotations

import time
from collections.abc import Sequence

from residency.errors import UserError
from residency.evaluate.judged_answer import judge_answer
from residency.evaluate.suites.check_result import Context
from residency.evaluate.suites.rule import Rule
from residency.evaluate.suites.suite import needs_embedder
from residency.moderation.moderator import ModeratedText, Moderator, Side
from residency.moderation.open_moderator import open_moderator
from residency.moderation.rules_judge import BreaksRule
from residency.nouns.example import Example, Message
from residency.nouns.moderation_decision import ModerationDecision
from residency.nouns.response import Response
from residency.project.workspace import Workspace

STRIDE = 24
"""New characters after which a text that is still being written is judged again."""


def open_project_moderator(ws: Workspace, side: Side) -> Moderator:
    """The moderator that a project's settings ask for, with its suite's rules that need no reference.

    Raises:
        ConfigError: the guard's key is not set. SuiteError: the suite cannot be read.
    """
    config = ws.config.moderation
    rules: dict[str, BreaksRule] = {}
    version = "rules"
    if config.choose_action(side, "rules") != "off":
        rules = {rule.name or rule.NAME: _wrap_rule(rule) for rule in _find_fitting_rules(ws)}
        version = f"rules of {ws.suite.hash}"
    moderator = open_moderator(config, ws.config.guard, side, rules=rules, rules_version=version)
    moderator.load_judges()
    return moderator


def _find_fitting_rules(ws: Workspace) -> list[Rule]:
    """Rules that can judge an answer to any question: no reference, no scope, no embedder."""
    return [
        rule
        for rule in ws.suite.rules
        if not (rule.needs_reference or rule.tags or rule.examples or rule.min_reference_words)
        and rule.max_reference_words is None
        and not needs_embedder(rule)
    ]


def _wrap_rule(rule: Rule) -> BreaksRule:
    """A suite's rule as a function of a conversation."""

    def find_fault(messages: Sequence[Message]) -> str:
        answer = messages[-1].text
        example = Example(tuple(messages[:-1]) or (Message("user", ""),), split="dev")
        judged = judge_answer(example, Response("", example.id, answer))
        try:
            findings = list(rule.grade_answers([judged], Context()))
        except UserError:  # the rule raised: it has judged nothing
            return ""
        return next((f.message or f.kind for f in findings if f.status == "fail"), "")

    return find_fault


class RequestModerator:
    """Judges what clients ask; see ``InputModerator``."""

    def __init__(self, moderator: Moderator) -> None:
        self._moderator = moderator
        self._by = name_judges("input", moderator)

    def moderate_input(self, messages: Sequence[Message]) -> ModerationDecision:
        """The gravest action of all judges, with the conversation that the model is to see."""
        start = time.perf_counter()
        masked, moderated = self._moderator.moderate_messages(messages)
        changed = masked if moderated.action == "mask" else None
        return _decide(moderated, self._by, time.perf_counter() - start, messages=changed)


class AnswerModerator:
    """Judges what models write; see ``OutputModerator``."""

    stride = STRIDE

    def __init__(self, moderator: Moderator) -> None:
        self._moderator = moderator
        self._by = name_judges("output", moderator)
        self.may_change = moderator.may_change

    def moderate_output(self, text_so_far: str, final: bool) -> ModerationDecision:
        """What may leave by now."""
        start = time.perf_counter()
        moderated = self._moderator.moderate_text(text_so_far, final=final)
        seconds = time.perf_counter() - start
        return _decide(moderated, self._by, seconds, text=moderated.text)


def name_judges(side: Side, moderator: Moderator) -> str:
    """Side and versions in one line, as they stand in the store."""
    return f"{side}: {', '.join(moderator.versions)}"


def _decide(
    moderated: ModeratedText,
    by: str,
    seconds: float,
    *,
    text: str = "",
    messages: tuple[Message, ...] | None = None,
) -> ModerationDecision:
    kinds = ", ".join(moderated.kinds)
    if moderated.action == "off":
        return ModerationDecision("allow", by=by, text=text, messages=messages, seconds=seconds)
    reason = f"moderation saw: {kinds}"
    return ModerationDecision(moderated.action, kinds, reason, by, text, messages, seconds)
