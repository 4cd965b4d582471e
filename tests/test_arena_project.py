"""The arena's command on a project: votes kept at once, ratings, export."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from residency.cli import invoke
from residency.errors import StoreError, UserError
from residency.rounds import Project, arena
from residency.types import Model, Response
from small import save_model, save_project

WORDS = {"m1": "colour: red", "m2": "colour: blue\nthing: cup"}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def project(tmp_path: Path, template: Path) -> Project:
    """A project in which two tuned models have answered dev; nothing was generated."""
    made = Project.open(save_project(tmp_path / "p", template))
    for number, text in enumerate(WORDS.values()):
        model = Model(base=made.base.identity, adapter=f"sha256:{number}", round=number + 1)
        made.store.add_model(model)
        answers = [
            Response(
                model.id,
                e.id,
                e.reference or "" if i % 3 == number else text,
                sampling=made.sampling,
            )
            for i, e in enumerate(made.split("dev"))
        ]
        made.store.add_responses(answers)
    return made


def names(project: Project) -> tuple[str, str]:
    a, b = sorted(model.id for model in project.store.models())
    return a, b


def run(monkeypatch: pytest.MonkeyPatch, keys: str, *arguments: str) -> int:
    answers = iter(keys)

    def typed(prompt: str = "") -> str:
        try:
            return next(answers)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("residency.cli.display.console.input", typed)
    return invoke(["arena", *arguments])


def test_pain_30_review_shows_no_name_and_keeps_each_vote_at_once(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = names(project)
    folder = str(project.root)
    assert run(monkeypatch, "1x2tq", "review", folder, a, b, "--rater", "ann") == 0
    shown = capsys.readouterr().out
    assert a not in shown
    assert b not in shown
    assert "round" not in shown
    people = [v for v in arena.votes(project) if v.rater == "ann"]
    assert len(people) == 3  # 'x' is no key, 'q' stops
    assert people[2].outcome == "tie"
    total = len(arena.review(project, arena.pairs(project, a, b), "bob", repeats=0))
    assert (
        run(monkeypatch, "1" * 40, "review", folder, b, a, "--rater", "ann", "--repeats", "0") == 0
    )
    people = [v for v in arena.votes(project) if v.rater == "ann"]
    assert len(people) == total  # went on where it stopped, whichever is named first
    assert len({v.key for v in people}) == total


def test_rules_vote_once_and_the_board_shows_them(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = names(project)
    folder = str(project.root)
    assert invoke(["arena", "rules", folder, a, b, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert len(first) > 0
    assert arena.vote_by_rules(project, b, a) == []
    assert invoke(["arena", "board", folder, "--json", "--anchor", a]) == 0
    board = json.loads(capsys.readouterr().out)
    anchor = next(s for s in board["standings"] if s["model"] == a)
    assert anchor["score"] == pytest.approx(1000)
    assert board["votes"] == len(first)
    assert invoke(["arena", "board", folder, "--style"]) == 0
    assert "Bradley" not in capsys.readouterr().err


def test_export_writes_pairs_that_the_data_room_reads(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from residency.config import Config
    from residency.data import load_corpus

    a, b = names(project)
    session = arena.review(project, arena.pairs(project, a, b), "ann", repeats=0)
    for showing in session:
        arena.add_votes(project, [session.vote(showing.key, "left")])
    path = tmp_path / "out" / "pairs.jsonl"
    assert invoke(["arena", "export", str(project.root), str(path)]) == 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == len(session)
    config = Config.model_validate({"data": {"train": ["pairs.jsonl"]}})
    rows = load_corpus(config, path.parent).examples
    assert {(e.reference, e.rejected) for e in rows} == {
        (line["chosen"][0]["content"], line["rejected"][0]["content"]) for line in lines
    }


def test_what_cannot_meet_is_told(project: Project) -> None:
    a, b = names(project)
    with pytest.raises(UserError, match="the same model"):
        arena.pairs(project, a, a)
    with pytest.raises(UserError, match="sealed"):
        arena.pairs(project, a, b, split="test")
    with pytest.raises(StoreError, match="no votes yet"):
        arena.board(project)
    assert set(arena.closest(project)) == {a, b}
    assert invoke(["arena", "review", str(project.root), a]) == 2
    assert invoke(["arena", "review", str(project.root), "--split", "test"]) == 2


def test_control_characters_of_a_model_do_not_reach_the_terminal() -> None:
    from residency.cli.arena import safe

    assert safe("a\x1b[2Jb\u202ec\n\td") == "a\ufffd[2Jb\ufffdc\n\td"
