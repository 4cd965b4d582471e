"""A project of three samples an item, through every command: each counts the same items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from residency.cli.invoke import run_command_line
from residency.commands import arena, collect
from residency.commands import judge as judging
from residency.commands.baseline import baseline
from residency.commands.project import Project
from residency.evaluate.judge.prompts import Rubric
from residency.interfaces import Generation, Progress, Prompt, no_progress
from residency.loop.item_outcomes import find_kind_outcomes
from residency.nouns.model import Model
from residency.nouns.response import Response, Sampling
from residency.results.item_list import list_items, main_models
from residency.results.run_results import RunResults
from small import save_model, save_project

SAMPLES = 3


class Strict:
    """A judge that passes what names the right thing."""

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
            verdict = "fail" if "WRONG" in prompt.messages[1].content else "pass"
            out.append(Generation(f'{{"reason": "r", "verdict": "{verdict}"}}'))
            if on_result:
                on_result(place, out[-1])
        return out


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of three samples that was run to its end."""
    folder = tmp_path_factory.mktemp("three")
    root = save_project(folder / "project", save_model(folder / "model"), rounds=1, epochs=1)
    file = root / "residency.toml"
    text = file.read_text().replace("max_new_tokens = 12", "max_new_tokens = 8\ntemperature = 1.0")
    file.write_text(text.replace("temperature = 1.0", f"temperature = 1.0\nsamples = {SAMPLES}"))
    Project.open(root).run()
    return root


@pytest.mark.parametrize("command", ["run", "status", "diagnose", "eval", "baseline", "report"])
def test_every_command_goes_through(done: Path, command: str) -> None:
    assert run_command_line([command, str(done)]) == 0


def test_every_reader_counts_the_same_failing_items(done: Path) -> None:
    project = Project.open(done)
    results = RunResults(project.store)
    compared = project.compare("base", "round-1")
    table = {row.name: row for row in baseline(project, latency_items=0).rows}
    rows = list_items(results, limit=1000).rows
    for name, side, way in (
        ("base", "before", "zero-shot prompt"),
        ("round-1", "after", "fine-tuned (round 1)"),
    ):
        assessed = project.evaluate(name)
        assert len(assessed.responses) == SAMPLES * len(assessed.examples)
        column = [m.id for m in main_models(results)].index(assessed.model.id)
        (stored,) = [
            f["scores"]
            for r, f in project.store.rounds(results.run)
            if r.model == assessed.model.id
        ]
        seen = 0
        for kind, rate in assessed.scores.kinds.items():
            failing = {k for k, bad in find_kind_outcomes(kind, assessed).items() if bad}
            assert rate.failed == len(failing)
            assert stored["kinds"][kind]["failed"] == len(failing)
            assert table[way].scores.kinds[kind].failed == len(failing)
            assert {row.example.id for row in rows if kind in (row.cells[column] or ())} == failing
            figures = compared.kinds.get(kind)
            if figures and not figures["unscored"]:
                assert round(figures[f"{side}_rate"] * figures["n"]) == len(failing)
            seen += len(failing)
        assert seen, "a random model fails"


def test_the_sealed_table_and_the_scores_beside_it_agree(done: Path) -> None:
    test = RunResults(Project.open(done).store).test
    assert test is not None
    for kind, change in test.sides[test.reference].against_final.items():
        for name, rate in ((test.reference, change.before_rate), (test.final, change.after_rate)):
            kinds = test.sides[name].scores.kinds
            if not change.unscored and kinds[kind].scored:
                assert rate == pytest.approx(kinds[kind].rate), kind


def test_collect_shows_each_item_once_with_what_the_item_fails(done: Path) -> None:
    project = Project.open(done)
    items = collect.find_worst_answers(project, model="round-1", rows=4)
    assert len({item.example.id for item in items}) == len(items) == 4
    scores = [item.score for item in items if item.score is not None]
    assert scores == sorted(scores)


def answer(project: Project, number: int, wrong: int) -> Model:
    """A model that answers every dev item three times, the first ``wrong`` of them wrongly."""
    model = Model(base=project.base.identity, adapter=f"sha256:{number}", round=number)
    with project.store.writer("test"):
        project.store.add_model(model)
        project.store.add_responses(
            [
                Response(
                    model.id,
                    e.id,
                    f"colour: WRONG{sample}" if sample < wrong else e.reference or "",
                    sample=sample,
                    sampling=project.sampling,
                )
                for e in project.split("dev")
                for sample in range(SAMPLES)
            ]
        )
    return model


def test_one_wrong_sample_of_three_is_a_right_item_for_arena_judge_and_score(done: Path) -> None:
    project = Project.open(done)
    one, two = answer(project, 11, wrong=1), answer(project, 12, wrong=2)
    scores = [project.evaluate(model.id).scores for model in (one, two)]
    assert scores[0].mean == 1.0
    assert scores[1].mean < 1.0
    votes = arena.vote_by_rules(project, one.id, two.id)
    assert len(votes) == len(project.split("dev"))
    winner = {"a": votes[0].a, "b": votes[0].b}
    assert {winner.get(vote.outcome) for vote in votes} == {one.id}
    judge = judging.make_judge(project, Strict(), "strict")
    for model, passes in ((one, len(votes)), (two, 0)):
        found = judging.judge(project, judge, Rubric("right", "Is it right?"), model=model.id)
        assert (found.passes, found.scored, found.items) == (passes, len(votes), len(votes))
