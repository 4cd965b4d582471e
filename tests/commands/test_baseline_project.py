"""``residency baseline`` on a small project: every way answers, nothing is asked twice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench_rows import arc
from colour_server import Server, serve_colours
from residency.cli.invoke import run_command_line
from residency.commands import arena
from residency.commands.baseline import baseline
from residency.commands.project import Project
from residency.errors import DataError, EndpointError, UserError
from residency.interfaces import Generation, Prompt
from residency.loop.respond import respond
from residency.nouns.model import Model
from residency.project.endpoints import is_this_machine, open_named_endpoint
from small import save_model, save_project


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def project(tmp_path: Path, base: Path) -> Project:
    return Project.open(save_project(tmp_path / "p", base))


@pytest.fixture
def url() -> Iterator[str]:
    with serve_colours() as address:
        yield address


def test_every_way_answers_the_same_items_once(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.root / "handbook.md").write_text("A cup is a thing.\n\nRed is a colour.")
    flags = [
        "--limit",
        "6",
        "--latency",
        "3",
        "--document",
        "handbook.md",
        "--per-hour",
        "1",
        "--json",
    ]
    assert run_command_line(["baseline", str(project.root), *flags]) == 0
    report = json.loads(capsys.readouterr().out)
    rows = {row["name"]: row for row in report["rows"]}
    assert list(rows) == ["zero-shot prompt", "4 similar shots", "prompt + retrieval"]
    assert {row["items"] for row in rows.values()} == {6}
    zero, few, found = rows.values()
    assert few["prompt_tokens"] > found["prompt_tokens"] > zero["prompt_tokens"]
    assert all(row["p95"] >= row["p50"] > 0 and row["cost_per_1000"] > 0 for row in rows.values())
    assert not any(row["leaves_machine"] for row in rows.values())
    assert "No fine-tuned model yet" in report["recommendation"][0]

    evaluated = project.evaluate("few-shot")
    with_fixed = baseline(
        Project.open(project.root), limit=6, latency_items=0, retrieved=0, shots=0
    )
    assert [row.name for row in with_fixed.rows] == ["zero-shot prompt", "1 fixed shots"]
    assert with_fixed.rows[1].items == 6 < len(evaluated.responses)
    before = project.store.count("responses")
    again = Project.open(project.root)
    baseline(again, limit=6, latency_items=0, documents=[Path("handbook.md")])
    assert again.store.count("responses") == before
    assert "engine" not in vars(again)  # nothing to generate: no model is loaded


def test_the_tuned_model_and_an_endpoint_join_the_table(project: Project, url: str) -> None:
    tuned = Model(base=project.base.identity, adapter="sha256:none", round=1)
    with project.store.writer("test"):
        project.store.add_model(tuned)
    from residency.nouns.response import Response

    with project.store.writer("test"):
        project.store.add_responses(
            [
                Response(
                    tuned.id, e.id, e.reference or "", token_ids=(1, 2), sampling=project.sampling
                )
                for e in project.split("dev")
            ]
        )
    # Its answers are there, so its adapter (which is not) is never opened.
    endpoint = open_named_endpoint(url, "big", price_in=1.0, price_out=10.0)
    report = baseline(
        project, tuned=tuned.id, shots=0, retrieved=0, latency_items=0, endpoint=endpoint
    )
    rows = {row.way: row for row in report.rows}
    assert rows["fine-tuned"].scores.mean == 1.0
    remote = rows["endpoint"]
    assert remote.scores.mean == 1.0
    assert not remote.leaves_machine  # the server is on this machine
    assert remote.cost_per_1000 == pytest.approx(1000 * (20 * 1 + 6 * 10) / 1e6)
    assert report.recommendation[0].startswith("Fine-tune")
    asked = len(Server.asked)
    assert asked == 12
    baseline(project, tuned=tuned.id, shots=0, retrieved=0, latency_items=0, endpoint=endpoint)
    assert len(Server.asked) == asked


def test_an_endpoint_is_evaluated_like_any_model(
    project: Project, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Server.broken = "red"
    flags = ["--endpoint", url, "--endpoint-model", "big", "--price-out", "10", "--json"]
    assert run_command_line(["eval", str(project.root), *flags]) == 0
    found = json.loads(capsys.readouterr().out)
    failed = found["requests"]["failed"]
    assert 0 < failed < found["requests"]["sent"] == 12
    assert "no" in found["requests"]["error"]
    assert found["requests"]["cost"] == pytest.approx((12 - failed) * 6 * 10 / 1e6)
    assert found["scores"]["score"]["mean"] == 1.0
    score = found["scores"]["score"]
    assert score["items"] == 12  # what was not answered is unscored, and counts against coverage
    assert score["floor"] == pytest.approx((12 - failed) / 12)
    Server.broken = ""
    Server.asked.clear()
    assert (
        run_command_line(["eval", str(project.root), *flags]) == 0
    )  # only the failed ones are asked again
    assert len(Server.asked) == failed
    assert json.loads(capsys.readouterr().out)["scores"]["score"]["items"] == 12
    Server.asked.clear()
    assert run_command_line(["eval", str(project.root), *flags[:-1]]) == 0
    assert "endpoint big@" in capsys.readouterr().out
    assert Server.asked == []
    assert "engine" not in vars(project)


def test_the_local_base_never_answers_in_the_name_of_another_model(
    project: Project, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model id says who answered: an endpoint, another base, or prompts of a baseline."""
    baseline(
        project, limit=2, shots=2, retrieved=1, latency_items=0, endpoint=open_named_endpoint(url)
    )
    others = [
        m
        for m in project.store.models()
        if m.base.startswith("endpoint:") or m.prompting.startswith(("similar-shots", "retrieval"))
    ]
    foreign = Model(base="other@sha256:1")
    with project.store.writer("test"):
        project.store.add_model(foreign)
    assert len(others) == 3
    for model in (*others, foreign):
        before = project.store.count("responses")
        with pytest.raises(UserError, match="not stored"):
            project.evaluate(model.id)
        assert project.store.count("responses") == before
    for model in (others[-1], foreign):
        if model.base.startswith(("endpoint:", "other")):
            with pytest.raises(UserError):
                list(project.chat([], model.id))
    remote = next(m for m in others if m.base.startswith("endpoint:"))
    folder = project.root / "benchmarks" / "ARC-Easy"
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        rows = [json.dumps(row) for row in arc(4, 1)]
        (folder / f"{split}.jsonl").write_text("\n".join(rows))
    flags = ["--tasks", "arc_easy", "--shots", "0", "--data", str(folder.parent)]
    assert run_command_line(["bench", str(project.root), "--model", remote.id, *flags]) == 2
    assert "log-likelihoods" in capsys.readouterr().err
    project.evaluate("base")
    met = arena.pairs(project, "base", remote.id)  # what both have answered
    assert len(met) == 2


def test_only_a_tuned_models_answers_are_drafts(project: Project) -> None:
    """A prompted base writes unlike a tuned model: guessing its answers costs time."""
    dev = project.split("dev")
    base_answers = project.evaluate("base")
    tuned = Model(base=project.base.identity, adapter="sha256:none", round=1)
    with project.store.writer("test"):
        project.store.add_model(tuned)
    with project.store.writer("test"):
        project.store.add_responses(
            [replace(r, model=tuned.id, token_ids=(7, 8)) for r in base_answers.responses]
        )
    asked: list[Prompt] = []

    class Writes:
        def generate(
            self, prompts: Sequence[Prompt], *rest: object, **more: object
        ) -> list[Generation]:
            asked.extend(prompts)
            return [Generation("") for _ in prompts]

    new = Model(base=project.base.identity, adapter="sha256:other", round=2)
    with project.store.writer("test"):
        project.store.add_model(new)
    for draft, expected in ((base_answers.model, ()), (tuned, (7, 8))):
        asked.clear()
        with pytest.raises(EndpointError, match="none of"):  # it stores nothing
            respond(project, new, dev, stage="s", draft=draft, generator=Writes())
        assert [prompt.draft for prompt in asked] == [expected] * len(dev)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://localhost:8080/v1", True),
        ("http://127.0.0.1/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://10.0.0.7:8000/v1", False),
        ("https://api.example.com/v1", False),
        ("https://localhost.example.com/v1", False),
    ],
)
def test_whether_data_leaves_the_machine_follows_the_address(url: str, here: bool) -> None:
    endpoint = open_named_endpoint(url, "m")
    assert endpoint is not None
    assert is_this_machine(url) == here
    assert endpoint.remote != here


def test_pain_45_what_an_endpoint_refuses_is_left_out_and_asked_again(
    project: Project, url: str
) -> None:
    Server.broken = "red"
    endpoint = open_named_endpoint(url, "big")
    report = baseline(project, shots=0, retrieved=0, latency_items=0, endpoint=endpoint)
    remote = report.rows[-1]
    reds = sum("red" in e.prompt_text.split() for e in project.split("dev"))
    assert 0 < remote.errors == reds
    assert remote.scores.score.scored_items == 12 - reds
    Server.broken, Server.asked = "", []
    report = baseline(project, shots=0, retrieved=0, latency_items=0, endpoint=endpoint)
    assert report.rows[-1].errors == 0
    assert len(Server.asked) == reds


def test_nothing_is_sent_unless_an_endpoint_is_named(project: Project, url: str) -> None:
    assert open_named_endpoint("") is None
    baseline(project, limit=2, latency_items=0)
    assert Server.asked == []


def test_the_table_and_the_recommendation_are_printed(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ["--limit", "4", "--latency", "0", "--shots", "0"]
    assert run_command_line(["baseline", str(project.root), *flags]) == 0
    told = capsys.readouterr().out
    for part in ("zero-shot prompt", "prompt + retrieval", "checks scored", "data leaves machine"):
        assert part in told
    assert "prompt + retrieval against zero-shot prompt" in told
    assert "This rests on 4 answers each on dev" in told


def test_mistakes_are_told(project: Project) -> None:
    with pytest.raises(UserError, match="sealed"):
        baseline(project, split="test")
    with pytest.raises(DataError, match="cannot be read"):
        baseline(project, documents=[Path("none.md")])
    assert run_command_line(["baseline", str(project.root), "--split", "test"]) == 2
    assert run_command_line(["baseline", str(project.root), "--tuned", "round-9"]) == 2
    nobody = open_named_endpoint("http://127.0.0.1:9/v1", "x")
    assert nobody is not None
    nobody.generator._sleep = lambda seconds: None  # type: ignore[attr-defined]
    with pytest.raises(EndpointError, match="cannot be reached"):
        baseline(project, shots=0, retrieved=0, latency_items=0, limit=8, endpoint=nobody)
