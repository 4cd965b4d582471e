"""A rule drafted from notes measures its mode, and not failing as such; else it does not count."""

from __future__ import annotations

from residency.evaluate.suites.draft_rule import (
    RuleGrader,
    draft_rule,
    is_good_enough,
    measure_rule,
)
from residency.evaluate.suites.extract_answer import AnswerExtraction
from residency.evaluate.suites.suite import Suite
from residency.nouns.example import Example, Message
from residency.nouns.response import Response

COLOURS, SIZES = ("red", "blue", "green", "brown"), ("small", "large", "huge")


def make_item(number: int, answer: str | None = None) -> tuple[Example, Response]:
    """An item whose answer has two fields; by default the right answer."""
    colour, size = COLOURS[number % 4], SIZES[number % 3]
    reference = f"colour: {colour}\nsize: {size}"
    example = Example(
        (Message("user", f"Item {number}?"), Message("assistant", reference)), split="dev"
    )
    return example, Response("m", example.id, answer if answer is not None else reference)


def make_notes(
    wrong_colours: int, wrong_sizes: int, fine: int
) -> tuple[list[Example], list[Response], dict[str, bool], list[str]]:
    items = [make_item(n, f"colour: pink\nsize: {SIZES[n % 3]}") for n in range(wrong_colours)]
    items += [
        make_item(100 + n, f"colour: {COLOURS[(100 + n) % 4]}\nsize: tiny")
        for n in range(wrong_sizes)
    ]
    items += [make_item(200 + n) for n in range(fine)]
    examples, responses = [e for e, _ in items], [r for _, r in items]
    ids = [r.id for r in responses]
    bad, others, right = (
        ids[:wrong_colours],
        ids[wrong_colours : wrong_colours + wrong_sizes],
        ids[wrong_colours + wrong_sizes :],
    )
    return examples, responses, {**dict.fromkeys(bad, False), **dict.fromkeys(right, True)}, others


def test_a_rule_that_fails_every_failure_is_not_drafted_for_one_of_them() -> None:
    examples, responses, labels, others = make_notes(12, 12, 12)
    for rows in (responses, responses[::-1]):
        drafted = draft_rule(examples, rows, labels, RuleGrader(), others=others)
        assert drafted is not None
        assert (drafted.measured.tpr, drafted.measured.tnr) == (1.0, 1.0)
        assert (drafted.others.tn, drafted.others.fn) == (12, 0)  # it fails no wrong size
        assert is_good_enough(drafted.measured, drafted.others)


def test_a_rule_that_fires_on_other_failures_as_often_does_not_count() -> None:
    examples, responses, labels, others = make_notes(12, 12, 12)
    exact = measure_rule(
        {"rule": "exact"}, examples, responses, labels, RuleGrader(), others=others
    )
    assert (exact.measured.tpr, exact.measured.tnr) == (1.0, 1.0)  # by fine answers alone: perfect
    assert exact.others.fn == 12
    assert is_good_enough(exact.measured)
    assert not is_good_enough(exact.measured, exact.others)
    # of a handful of others nothing is asked: an answer may have both failures
    few = measure_rule(
        {"rule": "exact"}, examples, responses, labels, RuleGrader(), others=others[:4]
    )
    assert is_good_enough(few.measured, few.others)


def test_what_is_measured_was_not_drafted_from() -> None:
    """Each failing answer has a word of its own: a rule learns them and finds none of the others."""
    items = [make_item(n, f"word{n} word{n}") for n in range(10)]
    items += [make_item(200 + n) for n in range(10)]
    labels = {r.id: n >= 10 for n, (_, r) in enumerate(items)}
    wordy = measure_rule(
        {"rule": "stop_words", "words": ["word1", "word2"]},
        [e for e, _ in items],
        [r for _, r in items],
        labels,
        RuleGrader(),
    )
    assert wordy.measured.tn == 2
    assert not is_good_enough(wordy.measured)


def test_answers_are_read_as_the_suite_reads_them() -> None:
    """What the suite's extraction passes over cannot fail a rule, neither here nor in a later run."""
    examples, responses, labels, others = make_notes(6, 0, 6)
    spoken = [
        Response("m", r.example, f"Let me think: pink?\nAnswer: {r.text.splitlines()[0]}")
        for r in responses
    ]
    marks = {new.id: labels[old.id] for old, new in zip(responses, spoken, strict=True)}
    table = {"rule": "stop_words", "words": ["pink"]}
    plain = measure_rule(table, examples, spoken, marks, RuleGrader(), others=others)
    assert plain.measured.tp == 0  # "pink" stands in every response
    suite = Suite("s", (), extract=AnswerExtraction("last_line"))
    read = measure_rule(table, examples, spoken, marks, RuleGrader(suite), others=others)
    assert (read.measured.tp, read.measured.tn) == (6, 6)
