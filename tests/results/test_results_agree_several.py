"""Two trainings of each arm and three samples of each answer: every surface says the same."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from residency.cli.invoke import run_command_line
from residency.commands.project import Project
from residency.report.write_report import render_report
from residency.results.arm_sentences import tell_arms
from residency.results.headline import write_headline
from residency.results.number_formats import format_percent, format_points
from residency.results.run_results import RunResults
from residency.store.store import Store
from residency.web.app import create_app
from small import save_model, save_project

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several")
    root = save_project(folder / "project", save_model(folder / "model"))
    file = root / "residency.toml"
    text = file.read_text().replace("[rounds]", "[rounds]\ntrainings = 2")
    file.write_text(text.replace("[generate]", "[generate]\nsamples = 3\ntemperature = 1.0"))
    Project.open(root).run()
    return root


@pytest.fixture(scope="module")
def results(root: Path) -> Iterator[RunResults]:
    store = Store(root, create=False)
    yield RunResults(store)
    store.close()


@pytest.fixture(scope="module")
def client(root: Path) -> TestClient:
    return TestClient(create_app(root), base_url="http://localhost")


def words(text: str) -> str:
    plain = html.unescape(re.sub(r"<[^>]+>", " ", text)).replace("\u00a0", " ")
    return " ".join(plain.split())


def ask(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    capsys.readouterr()
    assert run_command_line(list(command)) == 0
    return capsys.readouterr().out


def test_the_arms_and_the_headline_are_the_same_everywhere(
    root: Path, results: RunResults, client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [words(line) for line in tell_arms(results.arms_tested, results.arms_plan)]
    assert len(lines) >= 2 and results.arms_plan is not None
    assert results.arms_plan.trainings == 2
    body: dict[str, Any] = json.loads(ask(capsys, "status", str(root), "--json"))
    surfaces = {
        "status": words(ask(capsys, "status", str(root))),
        "json": words(" ".join(body["conclusion"])),
        "report": words(render_report(results)),
        "issues": words(client.get("/issues").text),
    }
    for name, text in surfaces.items():
        for line in lines:
            assert line in text, (name, line)
    sentence = words(write_headline(results).sentence)
    for text in (
        surfaces["status"],
        surfaces["json"],
        surfaces["report"],
        words(client.get("/").text),
    ):
        assert sentence in text
    for name, answer in body["arms_tested"]["questions"].items():
        if answer["groups"]:
            shown = [format_percent(answer[side]) for side in ("before", "after")]
            said = next(line for line in lines if words(shown[0]) in line and "Sealed test" in line)
            assert words(shown[1]) in said and format_points(answer["delta"]) in said, name


def test_the_scores_of_each_model_are_the_same_everywhere(
    root: Path, results: RunResults, client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    body = json.loads(ask(capsys, "status", str(root), "--json"))
    report, status = words(render_report(results)), words(ask(capsys, "status", str(root)))
    pages = words(client.get("/").text + client.get("/runs").text)
    assert len(body["rounds"]) == len(results.models)
    for row, model in zip(body["rounds"], results.models, strict=True):
        primary = model.scores.primary
        assert primary is not None and row["scores"]["primary"]["mean"] == primary.mean
        assert row["scores"]["primary"]["items"] == results.data.rows["dev"]
        shown = words(format_percent(primary.mean))
        for surface in (report, status, pages):
            assert shown in surface, (row["label"], shown)
        graded = json.loads(ask(capsys, "eval", str(root), "--model", model.id, "--json"))
        again = graded["scores"]["primary"]
        assert {name: again[name] for name in row["scores"]["primary"]} == row["scores"]["primary"]


def test_compare_and_the_workbench_say_the_same_of_two_models(
    root: Path, results: RunResults, client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = results.models[0].id, results.models[-1].id
    line = words(client.get(f"/compare/metric?before={before}&after={after}").text)
    # the page's sentence begins with a capital and ends with a full stop
    assert (
        line.lower().removesuffix(".")
        in words(ask(capsys, "compare", str(root), before, after)).lower()
    )
    body = json.loads(ask(capsys, "compare", str(root), before, after, "--json"))
    assert words(format_percent(body["primary"]["after"])) in line
    page = words(client.get(f"/compare?before={before}&after={after}").text)
    assert body["kinds"]
    failing = {k: c for k, c in body["kinds"].items() if c["before_rate"] or c["after_rate"]}
    assert failing  # the page leaves out what never fails
    for kind, change in failing.items():
        figures = [format_percent(change["before_rate"]), format_percent(change["after_rate"])]
        assert re.search(re.escape(words(" ".join(figures))), page), kind
        ends = f"{change['fixed']} {change['broken']} {change['n']}"
        assert ends in page, kind
