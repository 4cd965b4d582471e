"""The judge's command on a project: cached answers, blind labels, the corrected rate."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from residency.cli.invoke import run_command_line
from residency.commands import judge as work
from residency.commands.project import Project
from residency.errors import StoreError, UserError
from residency.evaluate.judge.prompts import Rubric
from residency.interfaces import Generation, Progress, Prompt, no_progress
from residency.nouns.model import Model
from residency.nouns.response import Response, Sampling
from residency.store.record_kind import RecordKind
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
    with made.store.writer("test"):
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
    assert len(project.store.records(RecordKind.JUDGED)) == 2


def test_a_few_items_can_be_judged_first(project: Project) -> None:
    generator = Lenient()
    who = work.make_judge(project, generator, "j")
    few = work.judge(project, who, RUBRIC, model=name_of(project), limit=3)
    assert (few.scored, generator.asked) == (3, 6)
    whole = work.judge(project, who, RUBRIC, model=name_of(project))
    assert (whole.scored, generator.asked) == (12, 24)


def test_labels_are_blind_kept_at_once_and_correct_the_rate(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = name_of(project)
    work.judge(project, work.make_judge(project, Lenient(), "j"), RUBRIC, model=model)
    asked = work.to_label(project, RUBRIC, "ann", model=model, split="dev", count=8)
    answers = ["y" if "good" in r.text else "n" for _, r in asked]
    keys = iter([*answers[:5], "q"])
    monkeypatch.setattr("residency.cli.terminal.console.input", lambda *_: next(keys))
    flags = [str(project.root), "--criterion", RUBRIC.criterion, "--name", RUBRIC.name]
    label = ["judge", "label", *flags, "--model", model, "--rater", "ann", "--limit", "8"]
    assert run_command_line(label) == 0
    out = capsys.readouterr().out
    assert "5 labels stored" in out
    assert "verdict" not in out
    keys = iter(answers[5:])
    assert run_command_line(label) == 0
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


class Server(BaseHTTPRequestHandler):
    """Stands for a judge's endpoint: good answers pass, and every fifth answer is garbage."""

    asked: ClassVar[list[str]] = []
    takes_schemas: ClassVar[bool] = True
    broken: ClassVar[str] = ""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = body["messages"][-1]["content"]
        Server.asked.append(text)
        if "response_format" in body and not Server.takes_schemas:
            self.send_error(400, "response_format is unknown")
            return
        if Server.broken and Server.broken in text:
            self.send_error(422, "too long")
            return
        verdict = "pass" if "good" in text.split("Answer to check:")[1] else "fail"
        said = "I would rather not." if "good 5" in text else json.dumps({"verdict": verdict})
        choice = {"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        raw = json.dumps({"choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Silence."""


def test_the_command_judges_by_the_endpoint_of_the_settings(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    Server.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        settings = project.root / "residency.toml"
        url = f"http://127.0.0.1:{server.server_port}/v1"
        settings.write_text(settings.read_text() + f'\n[judge]\nurl = "{url}"\nmodel = "j"\n')
        command = ["judge", "run", str(project.root), "--model", name_of(project), "--json"]
        assert run_command_line(command) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["passes"], found["scored"], found["invalid"]) == (5, 11, 1)
        assert len(Server.asked) == 24
        assert run_command_line(command) == 0
        # The item whose answers could not be read is asked again, in both orders; no other.
        assert json.loads(capsys.readouterr().out)["asked"] == 2
        again = Project.open(project.root).judge(
            "Is the answer correct and complete?", model=name_of(project)
        )
        assert (again.passes, again.scored) == (found["passes"], found["scored"])
        assert run_command_line(command[:-1]) == 0
        told = capsys.readouterr().out
        assert "1 answer could not be read" in " ".join(told.split())
        assert "No labels yet" in told
    finally:
        server.shutdown()
        server.server_close()


def test_what_the_judges_server_refuses_is_told(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """No schema: verdicts are read from free text. A failed request is asked again, alone."""
    Server.asked, Server.takes_schemas, Server.broken = [], False, "good 1"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        settings = project.root / "residency.toml"
        url = f"http://127.0.0.1:{server.server_port}/v1"
        settings.write_text(
            settings.read_text() + f'\n[judge]\nurl = "{url}"\nmodel = "j"\nconcurrency = 1\n'
        )
        command = ["judge", "run", str(project.root), "--model", name_of(project)]
        assert run_command_line(command) == 0
        told = " ".join(capsys.readouterr().out.split())
        assert "The server refuses answers by a schema (HTTP 400" in told
        assert "judge.structured = false" in told
        assert "2 requests failed" in told
        assert "A failed request: the judge did not answer: HTTP 422" in told
        Server.asked.clear()
        Server.broken = ""
        settings.write_text(settings.read_text() + "structured = false\n")
        again = Project.open(project.root)
        assert not work.make_judge(again, Lenient(), "j").structured
        settings.write_text(settings.read_text().replace("structured = false\n", ""))
        assert run_command_line([*command, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["asked"], found["failed"]) == (6, 0)
        assert found["unconstrained"].startswith("HTTP 400")
    finally:
        Server.takes_schemas, Server.broken = True, ""
        server.shutdown()
        server.server_close()


def test_a_judge_votes_in_the_arena_in_both_orders(project: Project) -> None:
    from residency.commands import arena

    first = project.store.models()[0]
    other = Model(base="b", adapter="sha256:2", round=2)
    with project.store.writer("test"):
        project.store.add_model(other)
        dev = project.split("dev")
        project.store.add_responses(
            [Response(other.id, e.id, "good always", sampling=project.sampling) for e in dev]
        )

    class Compares(Lenient):
        def generate(
            self, prompts: Sequence[Prompt], *rest: object, **more: object
        ) -> list[Generation]:  # type: ignore[override]
            out = []
            for prompt in prompts:
                one, two = (
                    prompt.messages[1].content.split("First answer:")[1].split("Second answer:")
                )
                same = ("good" in one) == ("good" in two)
                said = "first" if same or "good" in one else "second"
                out.append(Generation(json.dumps({"verdict": said})))
            return out

    met = arena.pairs(project, first.id, other.id)
    who = work.make_judge(project, Compares(), "j")
    rubric = arena.Rubric("better", "Which is better?")
    # Of two good answers it always takes the first one shown: flipped, and so a tie.
    assert arena.vote_by_judge(project, who, rubric, met) == (12, 6, 0)
    assert arena.vote_by_judge(project, who, rubric, met) == (0, 6, 0)
    board = arena.board(project, anchor=first.id)
    standing = {s.model: s for s in board.table.standings}
    assert (standing[other.id].wins, standing[other.id].ties) == (6, 6)
    assert standing[other.id].low > 1000
    assert board.by_rater == {"judge:j": 12}
    assert board.agreement is None  # no people among the raters


def test_what_cannot_be_judged_is_told(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    who = work.make_judge(project, Lenient(), "j")
    with pytest.raises(UserError, match="sealed"):
        work.judge(project, who, RUBRIC, model=name_of(project), split="test")
    with pytest.raises(StoreError, match="no answers of"):
        work.judge(project, who, RUBRIC, model=name_of(project), split="train")
    assert run_command_line(["judge", "run", str(project.root)]) == 2
    told = capsys.readouterr().err
    assert "no endpoint is named" in told
    assert "judge.url" in told
