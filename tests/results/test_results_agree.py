"""Every surface says the same of a run: terminal, JSON, report, pages, from one read-out."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from assessed import assess
from residency.cli.invoke import run_command_line
from residency.evaluate.suites.sensitivity_table import ProbeFigures, Sensitivity
from residency.loop.item_outcomes import find_issue_outcomes
from residency.report.write_report import render_report
from residency.results.arm_sentences import together_sentence
from residency.results.change_figures import ArmsTogether, KindChange, ScoreChange
from residency.results.conclusion import is_blind, write_conclusion
from residency.results.headline import describe_changes, write_headline
from residency.results.issue_items import choose_changes, count_changes, list_changes, load_samples
from residency.results.item_list import list_items, main_models
from residency.results.leading_figures import choose_leading_figures
from residency.results.next_actions import list_next_actions
from residency.results.run_results import RunResults
from residency.results.run_summary import summarise_run
from residency.results.sealed_figures import SealedTest
from residency.store.store import Store
from residency.web.app import create_app


@pytest.fixture(scope="module")
def results(finished_run: Path) -> Iterator[RunResults]:
    store = Store(finished_run, create=False)
    yield RunResults(store)
    store.close()


def words(text: str) -> str:
    plain = re.sub(r"<[^>]+>", " ", text).replace("&#39;", "'").replace("&lt;", "<")
    return " ".join(plain.replace("\u00a0", " ").split())


def test_the_conclusion_stands_on_every_surface(
    finished_run: Path, results: RunResults, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [" ".join(line.replace("\u00a0", " ").split()) for line in write_conclusion(results)]
    assert len(lines) >= 3
    assert run_command_line(["status", str(finished_run)]) == 0
    terminal = " ".join(capsys.readouterr().out.replace("\u00a0", " ").split())
    report = words(render_report(results))
    sentence = write_headline(results).sentence.replace("\u00a0", " ")
    client = TestClient(create_app(finished_run), base_url="http://localhost")
    for line in lines:
        assert line in terminal
    for surface in (terminal, report, words(client.get("/").text)):
        assert sentence in surface
    for number, together in results.arms_together.items():
        said = together_sentence(number, together).replace("\u00a0", " ")
        assert said in terminal
        assert said in report
    assert run_command_line(["status", str(finished_run), "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert [" ".join(s.replace("\u00a0", " ").split()) for s in body["conclusion"]] == lines


def test_n_stands_beside_every_verdict_and_rate(
    finished_run: Path, results: RunResults, capsys: pytest.CaptureFixture[str]
) -> None:
    run_command_line(["status", str(finished_run)])
    terminal = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for issue in results.issues:
        assert issue.latest is not None
        assert f"% of {issue.latest.n}" in terminal
    for model in results.models:
        assert f"of {model.score.scored_items}" in terminal


def test_counts_of_an_issue_follow_from_the_findings_themselves(results: RunResults) -> None:
    """Short rows and full findings tell the same of every item, and of the verdict's."""
    dev = results.answers.first_examples("dev", 10_000)
    store = results.store
    for issue in results.issues:
        before, after = issue.compared_models
        failed = []
        for model in (before, after):
            responses = store.responses(model, dev)
            found = [f for several in results.answers.findings(responses).values() for f in several]
            failed.append(find_issue_outcomes(issue.issue, assess(dev, responses, found)))
        changes = {item.example: item.change for item in list_changes(results.answers, issue)}
        for example, change in changes.items():
            was, now = failed[0].get(example), failed[1].get(example)
            wanted = {(True, False): "fixed", (True, True): "still failing"}
            wanted |= {(False, True): "broken", (False, False): "passing"}
            assert change == wanted.get((was, now), "unscored")
        counts = count_changes(list(list_changes(results.answers, issue)))
        assert issue.latest is not None
        assert counts.get("fixed", 0) >= issue.latest.fixed
        assert counts.get("broken", 0) >= issue.latest.broken


def test_samples_show_a_failure_that_stayed_and_every_check_that_failed(
    results: RunResults,
) -> None:
    for issue in results.issues:
        changes = list_changes(results.answers, issue)
        chosen = choose_changes(changes, 3)
        assert len(chosen) <= 3
        if any(item.change in ("still failing", "broken") for item in changes):
            assert any(item.change in ("still failing", "broken") for item in chosen)
        for item, sample in zip(
            chosen, load_samples(results.answers, issue.issue, chosen), strict=True
        ):
            own = [f for f in sample.after_findings if f.kind == issue.issue.kind]
            assert bool(own) == (item.change in ("still failing", "broken"))
            assert len(sample.after_findings) - len(own) == item.other_failures


def test_pain_25_the_item_list_agrees_with_the_findings_and_its_pages_add_up(
    results: RunResults,
) -> None:
    whole = list_items(results, limit=1000)
    assert whole.total == len(whole.rows) == results.data.rows["dev"]
    parts = [list_items(results, offset=start, limit=5).rows for start in range(0, whole.total, 5)]
    assert [row for part in parts for row in part] == whole.rows
    dev = [row.example for row in whole.rows]
    for column, model in enumerate(main_models(results)):
        responses = results.store.responses(model.id, dev)
        owner = {response.id: response.example for response in responses}
        failed: dict[str, set[str]] = {example.id: set() for example in dev}
        for key, findings in results.answers.findings(responses).items():
            failed[owner[key]] |= {f.kind for f in findings if f.status == "fail"}
        for row in whole.rows:
            assert set(row.cells[column] or ()) == failed[row.example.id]


def test_rates_follow_from_the_short_rows(results: RunResults) -> None:
    for model in results.models:
        by_example = results.answers.outcomes(model.id, "dev")
        for kind, rate in model.scores.kinds.items():
            failed = sum(kind in results.answers.failed_kinds(o) for o in by_example.values())
            assert failed == rate.failed


def test_an_interval_alone_is_never_counted_as_a_difference() -> None:
    together = ArmsTogether(40, 9, 8, 0.82, 0.02, -0.1, 0.14, {})
    assert "No difference" in together_sentence(2, together)
    sure = dataclasses.replace(together, low=0.01, p_value=0.01)
    assert "targeted rows fails less" in together_sentence(2, sure)
    weak = KindChange(10, 0, 0.5, 0.4, 1, 0, 0.1, 0.01, 0.2, 0.04, 2.0, "persisting")
    firm = dataclasses.replace(weak, status="improved")
    assert describe_changes({"overlong": firm}, {}) == [
        "Failures that fell on the sealed test: overlong 50\u00a0% → 40\u00a0% of 10."
    ]
    assert describe_changes({}, {}) == []


def test_a_worse_model_is_called_worse(finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(finished_run, create=False)
    results = RunResults(store)
    test = results.test
    assert test is not None

    def answer_of(change: ScoreChange | None) -> str:
        changed: SealedTest = dataclasses.replace(test, score_change=change, primary_change=None)
        monkeypatch.setitem(results.__dict__, "test", changed)
        return write_headline(results).answer

    assert answer_of(ScoreChange(20, -0.2, -0.3, -0.1)) == "worse"
    assert answer_of(ScoreChange(20, 0.2, 0.1, 0.3)) == "yes"
    assert answer_of(ScoreChange(20, 0.2, -0.1, 0.3)) == "no"
    store.close()


def test_nothing_is_called_better_by_a_score_that_passes_negated_references(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(finished_run, create=False)
    results = RunResults(store)
    assert results.test is not None
    risen = dataclasses.replace(
        results.test, score_change=ScoreChange(20, 0.2, 0.1, 0.3), primary_change=None
    )
    monkeypatch.setitem(results.__dict__, "test", risen)

    def say(negated: float) -> tuple[str, str, str]:
        probes = tuple(
            ProbeFigures(name, value, 20, 20)
            for name, value in (("reference", 1.0), ("negated", negated), ("empty", 0.0))
        )
        table = Sensitivity("s", "checks passed", 20, probes)  # type: ignore[arg-type]
        monkeypatch.setitem(results.__dict__, "sensitivity", table)
        head = write_headline(results)
        told = " ".join(action.reason for action in list_next_actions(results))
        return head.answer, head.sentence, f"{told} {words(render_report(results))}"

    answer, sentence, elsewhere = say(0.1)
    assert answer == "yes"
    assert "it is better" in sentence.lower()
    answer, sentence, elsewhere = say(0.995)
    assert answer == "unknown"
    assert "too blind to say that the answers are better" in sentence
    assert "the reference with its statements turned around in 100" in sentence.replace("99", "100")
    for text in (sentence, elsewhere):
        assert "it is better." not in text.lower()
        assert "better on the sealed test" not in text
    store.close()


@pytest.mark.parametrize("delta", [0.0, 0.5, -0.5])
def test_what_rose_on_the_sealed_test_is_told_with_every_answer(
    delta: float, finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One figure that moves nowhere may hide a kind of failure that became common."""
    store = Store(finished_run, create=False)
    results = RunResults(store)
    test = results.test
    assert test is not None and test.primary_change is not None
    same = dataclasses.replace(test.primary_change, delta=delta, low=delta - 0.1, high=delta + 0.1, worst=delta - 0.1, best=delta + 0.1, worst_low=None, best_high=None)  # fmt: skip
    side = test.sides[test.reference]
    kinds = list(side.against_final.items())[:2]
    changes = {
        kind: dataclasses.replace(row, status="regressed" if sign < 0 else "improved", delta=sign * 0.7)
        for (kind, row), sign in zip(kinds, (-1, 1), strict=True)
    }  # fmt: skip
    sides = {**test.sides, test.reference: dataclasses.replace(side, against_final=changes)}
    monkeypatch.setitem(
        results.__dict__, "test", dataclasses.replace(test, primary_change=same, sides=sides)
    )
    text = " ".join(write_conclusion(results))
    title = test.sides[test.final].scores.primary.title  # type: ignore[union-attr]
    assert (f"No difference in {title} could be shown." in text) == (delta == 0.0)
    assert "Failures that rose on the sealed test" in text
    assert ("Failures that fell on the sealed test" in text) == (
        write_headline(results).answer != "yes"
    )
    store.close()


def test_what_was_told_before_training_is_outdated_by_a_verdict(results: RunResults) -> None:
    issue = results.issues[0]
    assert issue.latest is not None
    sure = dataclasses.replace(issue.latest, status="resolved", mde=float("inf"))
    assert not is_blind(dataclasses.replace(issue, verdicts=[sure]))
    unsure = dataclasses.replace(sure, status="inconclusive")
    assert is_blind(dataclasses.replace(issue, verdicts=[unsure]))


def test_an_unfinished_run_does_not_say_why_it_stopped(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(finished_run, create=False)
    results = RunResults(store)
    stages = [s for s in results.stages if s.key.name not in ("stop", "test", "complete")]
    monkeypatch.setitem(results.__dict__, "stages", stages)
    text = " ".join(write_conclusion(results))
    store.close()
    assert "ended because" not in text
    assert "because ." not in text
    assert "the sealed test has not been opened" in text


def test_the_summary_is_the_same_run(finished_run: Path, results: RunResults) -> None:
    summary = summarise_run(results.store)
    assert summary.run == results.run
    assert [row.label for row in summary.rounds] == [model.label for model in results.models]
    assert [row.status for row in summary.issues] == [issue.status for issue in results.issues]
    assert summary.seconds >= sum(model.round.seconds for model in results.models)


def test_bars_and_chart_show_the_metric_that_the_headline_speaks_of(results: RunResults) -> None:
    assert results.test is not None
    after = results.test.sides[results.test.final].scores
    head = write_headline(results)
    assert after.primary is not None
    assert head.figures_after == after.primary
    page = words(render_report(results))
    assert page.index(after.primary.title) < page.index("The same dev items")
    assert f"{after.primary.title}, dev" in page
    assert "older than that" not in page  # its plans are stored, so today's rules decided it


def test_results_without_a_primary_metric_are_compared_by_their_checks(results: RunResults) -> None:
    scores = [model.scores for model in results.models]
    old = [dataclasses.replace(scores[0], primary=None), *scores[1:]]
    assert choose_leading_figures(old) == [model.score for model in old]
    assert choose_leading_figures(scores) == [model.primary for model in scores]
