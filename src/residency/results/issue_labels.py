"""What people's labels say of an issue's rate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from residency.diagnose.notes import replay_notes
from residency.nouns.example import Example
from residency.nouns.issue import Issue
from residency.results.judged_answers import JudgedAnswers
from residency.stats.labelled_rate import LabelledRate, correct_rate
from residency.store.record_kind import RecordKind
from residency.store.store import Store

Labels = Mapping[str, bool | None]
"""Response id → does it fail, by people; None: it was read, but for another failure."""


def load_labels(store: Store, kind: str, model: str) -> dict[str, bool | None]:
    """Labels of one kind of failure on a model's answers.

    What people said of the kind itself (``residency label``) comes first: the majority, and no label
    where they disagree. Of what was read (``residency read``) an answer that is fine does not fail, one
    whose note is in the mode of that name does, and one with another first failure may or may not.
    """
    labels: dict[str, bool | None] = {}
    notes = store.records(RecordKind.NOTE, model)
    if notes:
        for note in replay_notes(notes, store.records(RecordKind.MODE)):
            label = False if not note.text else True if note.mode == kind else None
            if note.response in labels and labels[note.response] != label:
                label = None
            labels[note.response] = label
    votes: dict[str, dict[str, bool]] = {}
    for row in store.records(RecordKind.KIND_LABEL, kind):
        if row["model"] == model:
            votes.setdefault(row["response"], {})[row["person"]] = bool(row["fails"])
    for response, by_person in votes.items():
        counts = Counter(by_person.values())
        labels.pop(response, None)
        if counts[True] != counts[False]:
            labels[response] = counts[True] > counts[False]
    return labels


def correct_issue_rate(
    answers: JudgedAnswers,
    issue: Issue,
    labels: Labels,
    *,
    model: str,
    measuring: frozenset[str],
    examples: Sequence[Example],
) -> LabelledRate | None:
    """A model's rate on the dev items that measure, corrected by labels of any of its dev answers to the
    issue's slice; None where they are too few, or where an item has several answers (labels are of
    one)."""
    inside = {e.id for e in examples if issue.slice.contains(e)}
    failures = answers.item_failures(model, "dev", issue.kind, issue.detector)
    several = answers.outcomes(model, "dev")
    flags, labels_of_item = {}, {}
    for item, (bad, outcome) in failures.items():
        if item not in inside or len(several[item]) > 1:
            continue
        flags[item] = bad
        if outcome.response in labels:
            labels_of_item[item] = labels[outcome.response]
    if not labels_of_item:
        return None
    return correct_rate(
        {item: bad for item, bad in flags.items() if item in measuring},
        flags,
        labels_of_item,
        groups={e.id: e.group or e.id for e in examples},
    )


def correct_rates(
    store: Store, answers: JudgedAnswers, issues: Sequence[Issue], model: str,
    measuring: frozenset[str], examples: Sequence[Example],
) -> dict[str, LabelledRate]:  # fmt: skip
    """The corrected rates of those issues that have enough labels, by issue id."""
    rates = {}
    by_kind = {kind: load_labels(store, kind, model) for kind in {i.kind for i in issues}}
    for issue in issues:
        if labels := by_kind[issue.kind]:
            rate = correct_issue_rate(
                answers, issue, labels, model=model, measuring=measuring, examples=examples
            )
            if rate is not None:
                rates[issue.id] = rate
    return rates


def has_labels(store: Store, model: str) -> bool:
    """Whether people have looked at any answer of this model, or labelled a kind at all."""
    return bool(store.records(RecordKind.NOTE, model) or store.records(RecordKind.KIND_LABEL))
