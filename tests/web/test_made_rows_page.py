"""Made rows on the page of rows: before and after the first run, decided of with the same buttons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from markupsafe import escape

from finished_run import EVIL, copy_run
from residency.cli.invoke import run_command_line
from residency.commands.collect import add_training_rows
from residency.commands.project import Project
from residency.nouns.example import Example, Message
from residency.project.row_decisions import read_decisions
from residency.store.store import Store
from residency.web.app import create_app
from small import save_model, save_project

LOCAL = "http://127.0.0.1:8642"


def make_row(number: int, issue: str = "", like: str = "") -> Example:
    prompt = Message("user", "Name colour and thing.", input=f"{EVIL} sold me w{number * 7919:x}")
    return Example(
        (prompt, Message("assistant", f"colour: red\nthing: {EVIL}")),
        split="train",
        source=f"like {like}" if like else "t.toml:1",
        why=f"teacher {EVIL} for {issue}" if issue else "template",
    )


def post(client: TestClient, address: str, **data: str) -> Any:
    token = client.get("/token").json()["token"]
    headers = {"X-CSRF-Token": token, "HX-Request": "true"}
    return client.post(address, data=data, headers=headers, follow_redirects=False)


def decide_each_way(client: TestClient, root: Path, rows: list[str]) -> None:
    """Reject the first, edit the second, accept the third; the pages say so."""
    answer = post(client, f"/rows/{rows[0]}", decision="reject", reason="odd")
    assert answer.status_code == 200 and "rejected" in answer.text, answer.text
    answer = post(client, f"/rows/{rows[1]}", decision="edit", answer="colour: blue\nthing: cup")
    assert answer.status_code == 200 and "as edited" in answer.text, answer.text
    assert post(client, f"/rows/{rows[2]}", decision="accept").status_code == 200
    for state, row in (("rejected", rows[0]), ("edited", rows[1]), ("accepted", rows[2])):
        page = client.get("/rows", params={"state": state}).text
        assert page.count("data-item") == 1 and f'id="row-{row}"' in page
    decisions = read_decisions(Store(root, create=False))
    assert [decisions[row].decision for row in rows[:3]] == ["reject", "edit", "accept"]
    train = Project.open(root).split("train")
    ids = {row.id for row in train}
    assert rows[0] not in ids and rows[1] not in ids and rows[2] in ids
    assert any(row.reference == "colour: blue\nthing: cup" for row in train)


def list_ids(root: Path) -> list[str]:
    from residency.project.made_rows import list_made_rows

    return [row.proposal.example.id for row in list_made_rows(root, {})]


def test_rows_made_before_the_first_run_have_their_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = save_project(tmp_path / "project", save_model(tmp_path / "model"))
    client = TestClient(create_app(root), base_url=LOCAL)
    assert "data-item" not in client.get("/rows").text
    add_training_rows(Project.open(root), [make_row(n) for n in range(13)])
    page = client.get("/rows").text
    assert page.count("data-item") == 10 and "13 undecided" in page
    assert EVIL not in page and str(escape(EVIL)) in page
    assert "made · template, t.toml:1" in page
    assert client.get("/rows", params={"page": 2}).text.count("data-item") == 3
    # Start and `status` say that they wait, first of all, and how many
    assert "Look at the 13 rows that a teacher or templates made" in client.get("/start").text
    assert run_command_line(["status", str(root)]) == 2
    told = capsys.readouterr().out
    assert "Next 1. Look at the 13 rows that a teacher or templates made" in told
    assert "residency run" in told
    decide_each_way(client, root, list_ids(root))
    assert "Look at the 10 rows" in client.get("/start").text


def test_after_a_run_they_stand_before_the_drawn_rows_with_what_they_serve(
    finished_run: Path, tmp_path: Path
) -> None:
    root = copy_run(finished_run, tmp_path / "project")
    client = TestClient(create_app(root), base_url=LOCAL)
    project = Project.open(root)
    drawn = client.get("/rows").text.count("data-item")
    issue = project.issues()[0].id
    seed, near = project.split("pool")[0], project.split("dev")[0]
    rows = [make_row(n, issue, seed.id) for n in range(3)]
    add_training_rows(project, rows, near={row.id: near.id for row in rows})
    page = client.get("/rows").text
    assert page.count("data-item") == min(10, drawn + 3)
    assert page.index(f'id="row-{list_ids(root)[0]}"') < page.index("round 2")
    assert "written like this row of the pool" in page and seed.prompt[-1].input in page
    assert "serves this failing item" in page and str(escape(near.prompt[-1].input)) in page
    assert EVIL not in page
    assert client.get("/rows", params={"issue": issue}).text.count("made · teacher") == 3
    # what comes next names them, until somebody has looked
    assert "Look at the 3 rows that a teacher or templates made" in client.get("/").text
    decide_each_way(client, root, list_ids(root))
    assert "that a teacher or templates made" not in client.get("/").text
    sealed = [e.prompt[-1].input for e in project.split("test")]
    assert not [text for text in sealed if text in client.get("/rows").text]


def test_with_review_the_page_says_how_many_wait_and_all_can_be_looked_at(
    finished_run: Path, tmp_path: Path
) -> None:
    root = copy_run(finished_run, tmp_path / "project")
    settings = root / "residency.toml"
    settings.write_text(settings.read_text().replace("[target]", "[target]\nreview = true"))
    project = Project.open(root)
    add_training_rows(project, [make_row(n) for n in range(4)])
    client = TestClient(create_app(root), base_url=LOCAL)
    ids = list_ids(root)
    post(client, f"/rows/{ids[0]}", decision="reject")
    assert "3 made rows wait until somebody has looked at them" in client.get("/rows").text
    assert not {row.id for row in Project.open(root).split("train")} & set(ids)
    assert post(client, "/rows-reviewed").status_code in (200, 303)
    assert {row.id for row in Project.open(root).split("train")} & set(ids) == set(ids[1:])
    assert "made rows wait" not in client.get("/rows").text


@pytest.mark.parametrize("row", ["ex-nothing", "x"])
def test_a_row_that_is_not_there_is_told(finished_run: Path, row: str) -> None:
    client = TestClient(create_app(finished_run), base_url=LOCAL)
    answer = post(client, f"/rows/{row}", decision="accept")
    assert answer.status_code in (404, 422) and "0 proposed rows" in answer.text
