"""Votes by rules: of two answers to one item the better one by the suite, on what both were judged by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from residency.evaluate.arena.votes import Outcome, Vote
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.stats.sample_reducer import Check, Reduce, check_outcomes

RULES = "rules"
"""The rater of these votes."""


@dataclass(frozen=True)
class JudgedSide:
    """One model's answers with what the suite says of each item.

    Attributes:
        shown: the answer of each item that people are shown. responses, findings: all of them.
        primary: item → the primary metric (None: it could not be judged).
    """

    shown: Sequence[Response]
    responses: Sequence[Response]
    findings: Sequence[Finding]
    primary: Mapping[str, float | None]


def vote_on_items(a: JudgedSide, b: JudgedSide, *, reduce: Reduce = "majority") -> list[Vote]:
    """One vote an item: by the primary metric, and where it says nothing by the suite's checks.

    Checks count only where both answers could be judged by them, so that what is unscored never
    wins; an answer that the token limit cut never wins against a complete one. Items on which
    nothing was judged on both sides get no vote. Of several answers to an item the vote names the
    winner's best and the loser's worst: they are what preference pairs are made of.
    """
    ranked = _rank_answers(a), _rank_answers(b)
    checks_a = check_outcomes(_suite_findings(a), a.responses, reduce)
    checks_b = check_outcomes(_suite_findings(b), b.responses, reduce)
    shown_b = {response.example: response for response in b.shown}
    votes = []
    for first in a.shown:
        item = first.example
        second = shown_b.get(item)
        if second is None or "error" in (first.finish, second.finish):
            continue
        decided = _decide_vote(
            (a.primary.get(item), b.primary.get(item)),
            (checks_a.get(item, {}), checks_b.get(item, {})),
            (_are_cut(ranked[0][item]), _are_cut(ranked[1][item])),
        )
        if decided is None:
            continue
        outcome, note = decided
        if outcome != "tie":
            place, other = (-1, 0) if outcome == "a" else (0, -1)
            first, second = ranked[0][item][place], ranked[1][item][other]
        votes.append(
            Vote(
                prompt=item,
                a=first.model,
                b=second.model,
                outcome=outcome,
                rater=RULES,
                response_a=first.id,
                response_b=second.id,
                note=note,
            )
        )
    return votes


def _rank_answers(side: JudgedSide) -> dict[str, list[Response]]:
    """Each item's answers from the worst to the best: cut ones first, then by failed checks."""
    failed, passed = Counter[str](), Counter[str]()
    for finding in _suite_findings(side):
        failed[finding.response] += finding.status == "fail"
        passed[finding.response] += finding.status == "pass"
    ranked: dict[str, list[Response]] = {}
    for response in [*side.shown, *side.responses]:
        if response.finish != "error" and response not in ranked.setdefault(response.example, []):
            ranked[response.example].append(response)
    for answers in ranked.values():
        answers.sort(key=lambda r: (r.finish != "length", -failed[r.id], passed[r.id]))
    return ranked


def _are_cut(answers: Sequence[Response]) -> bool:
    return all(answer.finish == "length" for answer in answers)


def drop_cut_winners(votes: Sequence[Vote], cut: set[str]) -> list[Vote]:
    """The votes without those by rules in which an answer that the token limit cut won against a
    complete one (older versions gave such)."""

    def is_wrong(vote: Vote) -> bool:
        answers = {"a": (vote.response_a, vote.response_b), "b": (vote.response_b, vote.response_a)}
        if vote.rater != RULES or vote.outcome not in answers:
            return False
        winner, loser = answers[vote.outcome]
        return winner in cut and loser not in cut

    return [vote for vote in votes if not is_wrong(vote)]


def _suite_findings(side: JudgedSide) -> list[Finding]:
    return [f for f in side.findings if f.detector.startswith("suite:")]


def _decide_vote(
    primary: tuple[float | None, float | None],
    checks: tuple[Mapping[Check, bool | None], Mapping[Check, bool | None]],
    cut: tuple[bool, bool],
) -> tuple[Outcome, str] | None:
    """Who is better, and why; None where nothing was judged on both sides."""
    first, second = primary
    if cut[0] != cut[1]:
        whole = 1 if cut[0] else 0
        if primary[whole] is None and all(value is None for value in checks[whole].values()):
            return None  # what is unscored wins against nothing
        return ("b" if cut[0] else "a"), "the other answer was cut by the token limit"
    if first is not None and second is not None and first != second:
        return ("a" if first > second else "b"), f"{first:.3f} and {second:.3f}"
    shared = [
        (checks[0][name], checks[1][name])
        for name in checks[0]
        if checks[0][name] is not None and checks[1].get(name) is not None
    ]
    if not shared:
        return ("tie", "the same in all that was judged") if None not in primary else None
    left, right = (sum(not pair[side] for pair in shared) for side in (0, 1))
    note = f"{left} and {right} of {len(shared)} checks that both were judged by"
    return ("tie" if left == right else "a" if left > right else "b"), note
