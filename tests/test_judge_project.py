"""The judge's command on a project: cached answers, blind labels, the corrected rate."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from residency.cli import invoke
from residency.errors import StoreError, UserError
from residency.evaluate import Rubric
from residency.rounds import Project
from residency.rounds import judge as work
from residency.types import (
    Generation,
    Model,
    Progress,
    Prompt,
    Response,
    Sampling,
    no_progress,
)
from small import save_model, save_project

RUBRIC = Rubric("good", "Is it good?")


class Lenient:
    """Passes every good answer and a third of the bad ones; counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0

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
            self.asked += 1
            text = prompt.messages[1].content.split("Answer to check:")[1]
            verdict = "pass" if "good" in text or "bad 0" in text else "fail"
            out.append(Generation(json.dumps({"reason": "r", "verdict": verdict})))
            if on_result:
                on_result(place, out[-1])
        return out


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def project(tmp_path: Path, base: Path) -> Project:
    made = Project.open(save_project(tmp_path / "p", base))
    model = Model(base="b", adapter="sha256:1", round=1)
    made.store.add_model(model)
    made.store.add_responses(
        [
            Response(
                model.id, e.id, f"good {i}" if i % 2 else f"bad {i % 3}", sampling=made.sampling
            )
            for i, e in enumerate(made.split("dev"))
        ]
    )
    return made


def name_of(project: Project) -> str:
    return project.store.models()[0].id


def test_a_judgement_is_stored_and_asked_once(project: Project) -> None:
    generator = Lenient()
    first = work.judge(
        project, work.make_judge(project, generator, "j"), RUBRIC, model=name_of(project)
    )
    assert first.scored == 12
    assert first.low < first.passes / first.scored < first.high
    assert (first.agreement, first.corrected) == (None, None)
    asked = generator.asked
    again = work.judge(
        project, work.make_judge(project, generator, "j"), RUBRIC, model=name_of(project)
    )
    assert generator.asked == asked
    assert again.report.cached == 24
    assert again.passes == first.passes
    assert len(project.store.records("judgement")) == 2


def test_labels_are_blind_kept_at_once_and_correct_the_rate(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = name_of(project)
    work.judge(project, work.make_judge(project, Lenient(), "j"), RUBRIC, model=model)
    asked = work.to_label(project, RUBRIC, "ann", model=model, split="dev", count=8)
    answers = ["y" if "good" in r.text else "n" for _, r in asked]
    keys = iter([*answers[:5], "q"])
    monkeypatch.setattr("residency.cli.display.console.input", lambda *_: next(keys))
    flags = [str(project.root), "--criterion", RUBRIC.criterion, "--name", RUBRIC.name]
    label = ["judge", "label", *flags, "--model", model, "--rater", "ann", "--count", "8"]
    assert invoke(label) == 0
    out = capsys.readouterr().out
    assert "5 labels stored" in out
    assert "verdict" not in out
    keys = iter(answers[5:])
    assert invoke(label) == 0
    assert "3 labels stored" in capsys.readouterr().out
    assert work.to_label(project, RUBRIC, "ann", model=model, split="dev", count=8) == []
    found = work.judge(project, work.make_judge(project, Lenient(), "j"), RUBRIC, model=model)
    assert found.agreement is not None
    assert found.corrected is not None
    assert found.agreement.n == 8
    assert found.agreement.tpr == 1.0
    assert found.corrected.n == 4  # the answers that nobody labelled
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["agreement"]["n"] == 8
    assert work.labels(project, Rubric("good", "Another question?")) == {}


def test_people_who_disagree_are_decided_by_majority(project: Project) -> None:
    for rater, passed in (("a", True), ("b", False), ("c", True)):
        work.add_label(project, RUBRIC, "r-1", rater, passed)
    work.add_label(project, RUBRIC, "r-2", "a", True)
    work.add_label(project, RUBRIC, "r-2", "b", False)
    work.add_label(project, RUBRIC, "r-3", "a", True)
    work.add_label(project, RUBRIC, "r-3", "a", False)  # a rater's later label replaces the earlier
    assert work.labels(project, RUBRIC) == {"r-1": True, "r-2": None, "r-3": False}


def test_what_cannot_be_judged_is_told(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    who = work.make_judge(project, Lenient(), "j")
    with pytest.raises(UserError, match="sealed"):
        work.judge(project, who, RUBRIC, model=name_of(project), split="test")
    with pytest.raises(StoreError, match="no answers of"):
        work.judge(project, who, RUBRIC, model=name_of(project), split="train")
    assert invoke(["judge", "run", str(project.root)]) == 2
    told = capsys.readouterr().err
    assert "no endpoint is named" in told
    assert "judge.url" in told
