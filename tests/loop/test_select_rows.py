"""Rows for a round, from a finished run: every selector works, and both arms have equal size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from finished_run import copy_run, share_finished_run
from residency.commands.project import Project
from residency.commands.target import target
from residency.errors import ConfigError
from residency.loop.select_rows import draw_control
from residency.project.named_models import find_model


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return share_finished_run(tmp_path_factory)


def open_with_selector(finished: Path, folder: Path, selector: str) -> Project:
    root = copy_run(finished, folder)
    settings = root / "residency.toml"
    text = settings.read_text()
    assert "[target]\n" in text
    settings.write_text(text.replace("[target]\n", f'[target]\nselector = "{selector}"\n'))
    return Project.open(root)


@pytest.mark.parametrize(
    "selector", ["embedding", "slice", "loss", "loss-drop", "gradient", "auto"]
)
def test_every_selector_draws_pool_rows_for_an_issue(
    finished: Path, tmp_path: Path, selector: str
) -> None:
    project = open_with_selector(finished, tmp_path / "copy", selector)
    pool = {e.id for e in project.split("pool")}
    drawn = [target(project, issue.id, count=4) for issue in project.issues()]
    if selector != "slice":  # a slice may have no rows in the pool
        assert any(drawn)
    for proposals in drawn:
        assert len({p.example.id for p in proposals}) == len(proposals) <= 4
        assert {p.example.id for p in proposals} <= pool


def test_a_selector_can_be_named_for_one_call(finished: Path, tmp_path: Path) -> None:
    project = open_with_selector(finished, tmp_path / "copy", "auto")
    issues = project.issues()
    drawn = [p for i in issues for p in target(project, i.id, count=4, selector="embedding")]
    assert {p.selector for p in drawn} == {"embedding-2"}
    with pytest.raises(ConfigError, match="no selector is called 'nearest'"):
        target(project, issues[0].id, selector="nearest")


def test_the_control_arm_is_as_large_as_the_targeted_one_after_the_firewall(
    finished: Path, tmp_path: Path
) -> None:
    project = open_with_selector(finished, tmp_path / "copy", "embedding")
    issues = project.issues()
    secrets = [replace(e, split="pool", tags=("leak",)) for e in project.split("dev")]
    project.corpus.examples.extend(secrets)
    chosen = target(project, issues[0].id, count=4)
    count = 4
    model = find_model(project, "final")
    sources = [replace(p, accepted=True) for p in chosen][:count]
    drawn = draw_control(project, sources, len(sources), [], 2, issues, model)
    accepted = [p for p in drawn if p.accepted]
    assert len(accepted) == len(sources) > 0
    assert len({p.example.id for p in drawn}) == len(drawn)
    assert {p.arm for p in drawn} == {"control"}
    protected = {e.prompt_text for e in project.split("dev")}
    assert not {p.example.prompt_text for p in accepted} & protected


def test_preferences_take_the_models_own_failing_answers(finished: Path, tmp_path: Path) -> None:
    root = copy_run(finished, tmp_path / "copy")
    settings = root / "residency.toml"
    text = settings.read_text()
    assert "[train]\n" in text
    settings.write_text(text.replace("[train]\n", '[train]\nobjective = "dpo"\n'))
    project = Project.open(root)
    issue = max(project.issues(), key=lambda i: len(i.examples))
    proposals = target(project, issue.id, count=4)
    assert proposals
    for proposal in proposals:
        if proposal.accepted:
            assert proposal.example.rejected
            assert proposal.example.rejected != proposal.example.reference
        else:
            assert "no pair" in proposal.reason
    assert any(p.accepted for p in proposals), "a random model fails"
