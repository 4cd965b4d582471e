"""The arena's command on a project: votes kept at once, ratings, export."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from residency.cli.invoke import run_command_line
from residency.commands import arena
from residency.commands.project import Project
from residency.errors import StoreError, UserError
from residency.evaluate.arena.votes import Vote
from residency.nouns.model import Model
from residency.nouns.response import Response
from small import save_model, save_project

WORDS = {"m1": "colour: red", "m2": "colour: blue\nthing: cup"}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def project(tmp_path: Path, template: Path) -> Project:
    """A project in which two tuned models have answered dev; nothing was generated."""
    made = Project.open(save_project(tmp_path / "p", template))
    with made.store.writer("test"):
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

    monkeypatch.setattr("residency.cli.terminal.console.input", typed)
    return run_command_line(["arena", *arguments])


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
    assert run_command_line(["arena", "rules", folder, a, b, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)["rows"]
    assert len(first) > 0
    assert arena.vote_by_rules(project, b, a) == []
    assert run_command_line(["arena", "board", folder, "--json", "--anchor", a]) == 0
    board = json.loads(capsys.readouterr().out)
    anchor = next(s for s in board["standings"] if s["model"] == a)
    assert anchor["score"] == pytest.approx(1000)
    assert board["votes"] == len(first)
    assert sum(project.arena().by_rater.values()) == len(first)
    assert run_command_line(["arena", "board", folder, "--style"]) == 0
    assert "Bradley" not in capsys.readouterr().err


def test_export_writes_pairs_that_the_data_room_reads(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from residency.config.settings import Config
    from residency.data.corpus import load_corpus

    a, b = names(project)
    session = arena.review(project, arena.pairs(project, a, b), "ann", repeats=0)
    for showing in session:
        arena.add_votes(project, [session.vote(showing.key, "left")])
    path = tmp_path / "out" / "pairs.jsonl"
    assert run_command_line(["arena", "export", str(project.root), str(path)]) == 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == len(session)
    config = Config.model_validate({"data": {"train": ["pairs.jsonl"], "split": {"train": 1}}})
    rows = load_corpus(config, path.parent).examples
    assert {(e.reference, e.rejected) for e in rows} == {
        (line["chosen"][0]["content"], line["rejected"][0]["content"]) for line in lines
    }


class Judge(BaseHTTPRequestHandler):
    """Stands for a judge's endpoint: the longer answer is better."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = body["messages"][-1]["content"].split("First answer:")[1]
        one, two = (part.strip().splitlines() for part in asked.split("Second answer:"))
        verdict = "first" if len(one) > len(two) else "second"
        said = json.dumps({"reason": "longer", "verdict": verdict})
        choice = {"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        raw = json.dumps({"choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Silence."""


def test_a_judge_of_the_settings_votes_once(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = names(project)
    command = ["arena", "judge", str(project.root), a, b, "--limit", "6"]
    assert run_command_line(command) == 2
    assert "judge.url" in capsys.readouterr().err
    server = ThreadingHTTPServer(("127.0.0.1", 0), Judge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = project.root / "residency.toml"
    url = f"http://127.0.0.1:{server.server_port}/v1"
    settings.write_text(settings.read_text() + f'\n[judge]\nurl = "{url}"\nmodel = "j"\n')
    try:
        assert run_command_line([*command, "--json"]) == 0
        first = json.loads(capsys.readouterr().out)
        by_judge = [v for v in arena.votes(project) if v.rater == f"judge:j@{url}"]
        assert first["votes"] == len(by_judge)
        assert first["votes"] > 0
        assert first["no_verdict"] == 0
    finally:
        server.shutdown()
        server.server_close()
    assert run_command_line(command) == 0  # the server is gone, nothing is asked again
    assert "0 new votes" in capsys.readouterr().out


def test_the_board_says_what_stands_beside_the_scores(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = names(project)
    arena.add_votes(
        project,
        [
            Vote(f"p{at}", left, right, outcome, rater, repeat=repeat)  # type: ignore[arg-type]
            for left, right in ((a, b), ("m-one", "m-two"))
            for rater in ("ann", "bob")
            for at, outcome in enumerate(["a", "b", "tie", "a"])
            for repeat in ((0, 1) if rater == "ann" and at == 0 else (0,))
        ],
    )
    folder = str(project.root)
    assert run_command_line(["arena", "board", folder, "--anchor", a, "--davidson"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "16 votes on 4 items (ann 8, bob 8)" in told
    assert "Some models never met" in told
    assert "Ties between equals (Davidson)" in told
    assert "Krippendorff's α): 1.00" in told
    assert "Shown again: 2 of 2 judged the same (100.0 %)" in told
    assert (
        run_command_line(["arena", "board", folder, "--anchor", a, "--rater", "bob", "--json"]) == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert (found["votes"], found["by_rater"], found["ties"]) == (8, {"bob": 8}, None)


def test_the_most_telling_pair_is_reviewed_when_none_is_named(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "s2", "review", str(project.root), "--limit", "3") == 0
    told = capsys.readouterr().out
    assert "2 votes stored" in told
    assert "Next: residency arena board" in told


def test_what_cannot_meet_is_told(project: Project) -> None:
    a, b = names(project)
    with pytest.raises(UserError, match="the same model"):
        arena.pairs(project, a, a)
    with pytest.raises(UserError, match="sealed"):
        arena.pairs(project, a, b, split="test")
    with pytest.raises(StoreError, match="no votes yet"):
        arena.board(project)
    assert set(arena.closest(project)) == {a, b}
    assert run_command_line(["arena", "review", str(project.root), a]) == 2
    assert run_command_line(["arena", "review", str(project.root), "--split", "test"]) == 2


def test_control_characters_of_a_model_do_not_reach_the_terminal() -> None:
    from residency.text.terminal_text import make_safe

    assert make_safe("a\x1b[2Jb\u202ec\n\td") == "a\ufffd[2Jb\ufffdc\n\td"
