"""A mode that a judge's question measures: by its agreement on the notes, and in later rounds by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from residency.commands import propose_kind as proposing
from residency.commands.project import Project
from residency.evaluate.judge.judge import Judge
from residency.interfaces import Generation, Progress, Prompt, no_progress
from residency.loop import measure_kinds as measuring
from residency.loop.assess import assess_stored_answers
from residency.nouns.model import Model
from residency.nouns.response import Response, Sampling
from residency.project.named_kinds import read_kinds
from small import save_model, save_project


class FakeJudge:
    """Fails answers that hold any of its words."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words

    def generate(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        *,
        on_result: Callable[[int, Generation], None] | None = None,
        progress: Progress = no_progress,
    ) -> list[Generation]:
        answers = []
        for number, prompt in enumerate(prompts):
            text = prompt.messages[1].content.split("Answer to check:")[1]
            verdict = "fail" if any(word in text for word in self.words) else "pass"
            answers.append(Generation(json.dumps({"reason": "r", "verdict": verdict})))
            if on_result:
                on_result(number, answers[-1])
        return answers


def make_project(folder: Path) -> tuple[Project, str, list[Response]]:
    """Answers to dev of which every second is rude, all of them noted by ann."""
    root = save_project(folder / "project", save_model(folder / "model"))
    settings = root / "residency.toml"
    settings.write_text(settings.read_text() + '\n[judge]\nurl = "http://localhost:1/v1"\n')
    project = Project.open(root)
    model = Model(base="b", adapter="sha256:1", round=1)
    answers = [
        Response(model.id, e.id, f"{'rude' if n % 2 else 'kind'} {n}", sampling=project.sampling)
        for n, e in enumerate(project.split("dev"))
    ]
    with project.store.writer("test"):
        project.open_run()  # stores the rows
        project.store.add_model(model)
        project.store.add_responses(answers)
    notes = [
        project.note(a.id, "is rude" if "rude" in a.text else "", reader="ann") for a in answers
    ]
    project.group_notes([note.id for note in notes if note.text], "rude", reader="ann")
    return project, model.id, answers


@pytest.mark.parametrize(
    ("words", "is_usable"), [(["rude"], True), (["rude", "kind"], False), ([], False)]
)
def test_a_judge_counts_where_it_agrees_with_the_notes_and_is_unscored_elsewhere(
    words: list[str], is_usable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, model, answers = make_project(tmp_path)
    assert len(answers) >= 10
    for module in (proposing, measuring):
        monkeypatch.setattr(module, "open_judge", lambda ws: Judge(FakeJudge(words), "fake"))
    proposal = project.name_kind("rude", "judge", criterion="Is the answer polite?", reader="ann")
    bad = sum("rude" in answer.text for answer in answers)
    assert proposal.agreement is not None
    assert proposal.agreement.tn == (bad if words else 0)
    assert proposal.agreement.n == len(answers)
    assert proposal.kind.usable is is_usable
    assert ("good enough to count" in proposal.describe()) is is_usable
    project.store.close()

    later = Project.open(project.root)
    assert read_kinds(later.root)[0].criterion == "Is the answer polite?"
    findings = [
        f
        for f in assess_stored_answers(later, later.model(model), "dev").findings
        if f.kind == "rude"
    ]
    assert {f.response for f in findings} == {answer.id for answer in answers}
    failed = {f.response for f in findings if f.status == "fail"}
    if is_usable:
        assert failed == {answer.id for answer in answers if "rude" in answer.text}
    else:
        assert {f.status for f in findings} == {"unscored"}
    later.store.close()
