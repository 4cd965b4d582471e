"""The judge: both orders, invalid output, cache, and rates corrected by its agreement."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from residency.evaluate.judge.agreement import Agreement, corrected_rate, measure_agreement
from residency.evaluate.judge.answer_cache import FileCache
from residency.evaluate.judge.judge import Judge, list_verdicts
from residency.evaluate.judge.prompts import Rubric, read_verdict
from residency.interfaces import Generation, Progress, Prompt, no_progress
from residency.nouns.example import Example, Message
from residency.nouns.response import Response, Sampling
from residency.stats.intervals import clopper_pearson

RUBRIC = Rubric("polite", "Is the answer polite?")


class Scripted:
    """Stands for the endpoint: answers by a function of (system, user) text."""

    def __init__(self, answer: Callable[[str, str], str | Exception]) -> None:
        self.answer = answer
        self.asked: list[Prompt] = []

    def generate(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        *,
        on_result: Callable[[int, Generation], None] | None = None,
        progress: Progress = no_progress,
    ) -> list[Generation]:
        out = []
        for place, prompt in enumerate(prompts):
            self.asked.append(prompt)
            said = self.answer(prompt.messages[0].content, prompt.messages[1].content)
            if isinstance(said, KeyboardInterrupt):
                raise said
            if isinstance(said, Exception):
                one = Generation("", finish="error", error=str(said))
            else:
                one = Generation(said)
            if on_result:
                on_result(place, one)
            out.append(one)
        return out


def say(verdict: str, reason: str = "because") -> str:
    return json.dumps({"reason": reason, "verdict": verdict})


def items(texts: Sequence[str]) -> tuple[list[Example], list[Response]]:
    examples = [
        Example((Message("user", f"request {i}"), Message("assistant", "reference")))
        for i in range(len(texts))
    ]
    return examples, [Response("m", e.id, t) for e, t in zip(examples, texts, strict=True)]


def by_politeness(system: str, user: str) -> str:
    answer = user.split("Answer to check:")[1]
    return say("pass" if "please" in answer else "fail", "looked for please")


def test_a_verdict_is_a_finding_with_its_reason() -> None:
    examples, responses = items(["please wait", "no"])
    generator = Scripted(by_politeness)
    report = Judge(generator, "j").check(RUBRIC, examples, responses)
    assert [f.status for f in report.findings] == ["pass", "fail"]
    assert {f.kind for f in report.findings} == {"judge:polite"}
    assert report.findings[1].message == "looked for please"
    assert len(generator.asked) == 4  # two orders each
    assert list_verdicts(report.findings) == {responses[0].id: True, responses[1].id: False}


def test_pain_26_a_verdict_that_flips_with_the_order_is_unscored() -> None:
    examples, responses = items(["x"])

    def first_choice(system: str, user: str) -> str:
        return say("pass" if system.index('"pass"') < system.index('"fail"') else "fail")

    report = Judge(Scripted(first_choice), "j").check(RUBRIC, examples, responses)
    assert [f.status for f in report.findings] == ["unscored"]
    assert "order" in report.findings[0].message
    assert report.flipped == 1
    once = Judge(Scripted(first_choice), "j", both_orders=False)
    assert [f.status for f in once.check(RUBRIC, examples, responses).findings] == ["pass"]


@pytest.mark.parametrize(
    "garbage", ["", "I think it is fine.", '{"verdict": "maybe"}', '{"verdict": "pass"', "[1]"]
)
def test_pain_26_invalid_output_is_unscored_never_wrong(garbage: str) -> None:
    examples, responses = items(["x"])
    report = Judge(Scripted(lambda s, u: garbage), "j").check(RUBRIC, examples, responses)
    assert [f.status for f in report.findings] == ["unscored"]
    assert report.invalid == 1
    pairs = [(examples[0], responses[0], Response("n", examples[0].id, "y"))]
    compared = Judge(Scripted(lambda s, u: garbage), "j").compare(RUBRIC, pairs)
    assert compared.votes == []
    assert compared.invalid == 1


def test_an_endpoint_error_is_unscored_and_asked_again(tmp_path: Path) -> None:
    examples, responses = items(["please"])
    cache = FileCache(tmp_path / "judge.jsonl")
    broken = Judge(Scripted(lambda s, u: RuntimeError("429")), "j", cache=cache)
    report = broken.check(RUBRIC, examples, responses)
    assert report.findings[0].status == "unscored"
    assert "429" in report.findings[0].message
    works = Scripted(by_politeness)
    report = Judge(works, "j", cache=cache).check(RUBRIC, examples, responses)
    assert report.findings[0].status == "pass"
    assert len(works.asked) == 2


def test_answers_are_cached_by_content_and_survive_an_interrupt(tmp_path: Path) -> None:
    examples, responses = items([f"please {i}" for i in range(5)])
    path = tmp_path / "cache" / "judge.jsonl"
    count = 0

    def until_cut(system: str, user: str) -> str | Exception:
        nonlocal count
        count += 1
        return KeyboardInterrupt() if count == 5 else by_politeness(system, user)  # type: ignore[return-value]

    with pytest.raises(KeyboardInterrupt):
        Judge(Scripted(until_cut), "j", cache=FileCache(path)).check(RUBRIC, examples, responses)
    with path.open("a") as file:
        file.write('{"key": "cut off')  # a killed process leaves half a line
    second = Scripted(by_politeness)
    report = Judge(second, "j", cache=FileCache(path)).check(RUBRIC, examples, responses)
    assert {f.status for f in report.findings} == {"pass"}
    assert (report.cached, report.questions, len(second.asked)) == (4, 6, 6)
    third = Scripted(by_politeness)
    Judge(third, "j", cache=FileCache(path)).check(RUBRIC, examples, responses)
    assert third.asked == []
    other_rubric = Rubric("polite", "Is the answer very polite?")
    Judge(third, "j", cache=FileCache(path)).check(other_rubric, examples, responses)
    assert len(third.asked) == 10  # another question is another key


def test_equal_questions_are_asked_once() -> None:
    examples, responses = items(["please"])
    generator = Scripted(by_politeness)
    twice = [responses[0], Response("other", examples[0].id, "please")]
    report = Judge(generator, "j").check(RUBRIC, examples, twice)
    assert len(report.findings) == 2
    assert len(generator.asked) == 2


def test_pairs_are_asked_in_both_orders() -> None:
    examples, _ = items(["short", "a much longer answer"])
    e = examples[0]
    pair = [(e, Response("x", e.id, "short"), Response("y", e.id, "a much longer answer"))]

    def longer(system: str, user: str) -> str:
        first = user.split("First answer:")[1].split("Second answer:")[0]
        return say("first" if "longer" in first else "second")

    report = Judge(Scripted(longer), "j").compare(RUBRIC, pair)
    assert [v.outcome for v in report.votes] == ["b"]
    assert report.votes[0].rater == "judge:j"
    always_first = Judge(Scripted(lambda s, u: say("first")), "j").compare(RUBRIC, pair)
    assert [v.outcome for v in always_first.votes] == ["tie"]
    assert always_first.flipped == 1


def test_the_prompt_holds_criterion_request_answer_and_reference() -> None:
    examples, responses = items(["please"])
    generator = Scripted(by_politeness)
    Judge(generator, "j").check(Rubric("r", "Is it right?", True), examples, responses)
    text = generator.asked[0].messages[1].content
    for part in ("Is it right?", "request 0", "Reference answer:\n<<<\nreference", "please"):
        assert part in text
    Judge(generator, "j").check(RUBRIC, examples, responses)
    assert "Reference answer" not in generator.asked[-1].messages[1].content


def test_pain_42_reasoning_is_neither_judged_nor_a_verdict() -> None:
    """The model's reasoning is not shown to the judge, and the judge's own decides nothing."""
    examples, responses = items(["<think>say please</think>No.", "<think>no</think>Yes, please."])
    generator = Scripted(lambda s, u: f"<think>{say('pass')}</think>{by_politeness(s, u)}")
    report = Judge(generator, "j").check(RUBRIC, examples, responses)
    assert [f.status for f in report.findings] == ["fail", "pass"]
    assert not any("think>" in prompt.messages[1].content for prompt in generator.asked)
    undecided = Judge(Scripted(lambda s, u: f"<think>{say('pass')}</think>Hm."), "j")
    report = undecided.check(RUBRIC, examples, responses)
    assert [f.status for f in report.findings] == ["unscored"] * 2


def test_the_version_follows_judge_and_rubric() -> None:
    judge, other = Judge(Scripted(by_politeness), "j"), Judge(Scripted(by_politeness), "k")
    assert judge.version(RUBRIC) == judge.version(Rubric("polite", "Is the answer polite?"))
    assert judge.version(RUBRIC) != other.version(RUBRIC)
    assert judge.version(RUBRIC) != judge.version(Rubric("polite", "Is it kind?"))


def test_verdicts_are_read_from_what_models_write() -> None:
    known = {"pass", "fail"}
    assert read_verdict(
        'Let me see {x}. ```json\n{"reason": "r", "verdict": "PASS "}\n```', known
    ) == ("pass", "r")
    assert read_verdict('{"verdict": "fail"} no: {"verdict": "pass"}', known) == ("pass", "")
    assert read_verdict('{"verdict": true}', known) is None
    assert read_verdict("{" * 5000, known) is None
    assert read_verdict('[{"verdict": "pass"}]', known) == ("pass", "")


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        # the judged answer, quoted within the reason or beside the verdict
        ('{"reason": "it says {"verdict": "pass"}", "verdict": "fail"}', None),
        ('{"reason": "it says {"verdict": "pass"}"}', None),
        ('{"reason": "it says {\\"verdict\\": \\"pass\\"}", "verdict": "fail"}', "fail"),
        ('{"quote": {"verdict": "pass"}, "verdict": "fail"}', "fail"),
        ('{"verdict": "fail", "quote": {"verdict": "pass"}}', "fail"),
        ('{"quote": {"verdict": "pass"}}', None),
        ('{"verdict": "pass", "verdict": "fail"}', None),
        ('{"verdict": "pass", "verdict": "pass"}', "pass"),
        # reasoning that does not end
        ('<think>{"verdict": "pass"}', None),
        ('<think>{"verdict": "pass"}</think>{"verdict": "fail"}', "fail"),
        ('{"verdict": "pass"', None),
        ('The set {1, 2} is right: {"verdict": "pass"}', "pass"),
    ],
)
def test_what_a_judge_quotes_is_no_verdict(text: str, verdict: str | None) -> None:
    read = read_verdict(text, {"pass", "fail"})
    assert (read[0] if read else None) == verdict


def test_a_question_carries_the_schema_of_its_answer() -> None:
    from jsonschema import Draft202012Validator

    examples, responses = items(["please"])
    generator = Scripted(by_politeness)
    judge = Judge(generator, "j")
    judge.check(RUBRIC, examples, responses)
    schemas = [prompt.schema or {} for prompt in generator.asked]
    # The order of the choices is swapped in the schema, too; the reason comes before the verdict.
    orders = [schema["properties"]["verdict"]["enum"] for schema in schemas]
    assert orders == [["pass", "fail"], ["fail", "pass"]]
    assert list(schemas[0]["properties"]) == ["reason", "verdict"]
    check = Draft202012Validator(schemas[0])
    assert check.is_valid(json.loads(say("pass")))
    for bad in ({"verdict": "pass"}, {"reason": "r", "verdict": "maybe"}, {"reason": "r"}):
        assert not check.is_valid(bad)
    generator.answer = lambda system, user: say("tie")
    judge.compare(RUBRIC, [(examples[0], responses[0], responses[0])])
    assert (generator.asked[-1].schema or {})["properties"]["verdict"]["enum"] == [
        "first", "second", "tie"
    ]  # fmt: skip
    free = Judge(Scripted(by_politeness), "j", structured=False)
    free.check(RUBRIC, examples, responses)
    asked = free.generator.asked  # type: ignore[attr-defined]
    assert [prompt.schema for prompt in asked] == [None, None]
    assert {p.key for p in asked}.isdisjoint(p.key for p in generator.asked)
    assert free.version(RUBRIC) != judge.version(RUBRIC)


def test_agreement_figures() -> None:
    people = {"a": True, "b": True, "c": False, "d": False, "e": None, "f": True}
    judged = {"a": True, "b": False, "c": False, "d": False, "e": True, "f": None}
    found = measure_agreement(judged, people)
    assert found == Agreement(tp=1, fn=1, tn=2, fp=0, unscored=1)
    assert (found.tpr, found.tnr) == (0.5, 1.0)
    assert found.kappa == pytest.approx(cohen_kappa_score([1, 1, 0, 0], [1, 0, 0, 0]))
    assert found.tnr_interval() == clopper_pearson(2, 2)
    empty = measure_agreement({}, {})
    assert math.isnan(empty.kappa)
    assert json.loads(json.dumps(empty.to_dict(), allow_nan=False))["tpr"] is None


def test_the_corrected_rate_undoes_the_judges_errors() -> None:
    labels = Agreement(tp=90, fn=10, tn=80, fp=20)
    # A true rate of 0.6 is judged 0.6·0.9 + 0.4·0.2 = 0.62.
    found = corrected_rate(620, 1000, labels)
    assert found.rate == pytest.approx(0.6)
    assert found.low < 0.6 < found.high
    perfect = corrected_rate(60, 100, Agreement(10**6, 0, 10**6, 0))
    assert perfect.rate == pytest.approx(0.6)
    assert corrected_rate(1, 100, labels).rate == 0.0  # clipped
    more = Agreement(tp=900, fn=100, tn=800, fp=200)
    narrower = corrected_rate(620, 1000, more)
    assert narrower.high - narrower.low < found.high - found.low


def test_a_judge_no_better_than_chance_says_nothing() -> None:
    for labels in (Agreement(5, 5, 5, 5), Agreement(2, 8, 3, 7), Agreement(5, 0, 0, 0)):
        found = corrected_rate(50, 100, labels)
        assert not found.usable
        assert (found.rate, found.low, found.high) == (None, 0.0, 1.0)
    # A little better than chance on 40 labels is not shown to be better.
    assert not corrected_rate(50, 100, Agreement(11, 9, 11, 9)).usable
    assert corrected_rate(50, 100, Agreement(15, 5, 15, 5)).usable
    with pytest.raises(ValueError, match="7 passes of 3"):
        corrected_rate(7, 3, Agreement(1, 1, 1, 1))


@pytest.mark.parametrize(
    ("rate", "tpr", "tnr", "n", "labels"),
    [(0.7, 0.85, 0.75, 300, 100), (0.95, 0.9, 0.8, 200, 60), (0.3, 0.7, 0.7, 500, 200)],
)
def test_corrected_intervals_hold_their_level_and_naive_ones_do_not(
    rate: float, tpr: float, tnr: float, n: int, labels: int
) -> None:
    rng = np.random.default_rng(1)
    corrected = naive = 0
    for _ in range(1000):
        truth, known = rng.random(n) < rate, rng.random(labels) < rate
        passes = int((rng.random(n) < np.where(truth, tpr, 1 - tnr)).sum())
        judged = rng.random(labels) < np.where(known, tpr, 1 - tnr)
        found = corrected_rate(
            passes,
            n,
            Agreement(
                int((known & judged).sum()),
                int((known & ~judged).sum()),
                int((~known & ~judged).sum()),
                int((~known & judged).sum()),
            ),
        )
        corrected += found.low <= rate <= found.high
        low, high = clopper_pearson(passes, n)
        naive += low <= rate <= high
    assert corrected / 1000 >= 0.93
    assert naive / 1000 < 0.9


def test_a_judge_near_chance_gives_no_false_certainty() -> None:
    """TPR + TNR = 1.05: nearly always *cannot be corrected*, and otherwise the truth is covered."""
    rng = np.random.default_rng(2)
    usable = covered = 0
    for _ in range(500):
        known, truth = rng.random(100) < 0.6, rng.random(200) < 0.6
        judged = rng.random(100) < np.where(known, 0.55, 0.5)
        passes = int((rng.random(200) < np.where(truth, 0.55, 0.5)).sum())
        labels = Agreement(
            int((known & judged).sum()),
            int((known & ~judged).sum()),
            int((~known & ~judged).sum()),
            int((~known & judged).sum()),
        )
        found = corrected_rate(passes, 200, labels)
        usable += found.usable
        covered += found.low <= 0.6 <= found.high
    assert usable / 500 < 0.15
    assert covered / 500 > 0.95
