"""Rows that a teacher or templates made are proposals: verified, shown, decided of, and trained as decided."""

from __future__ import annotations

import itertools
import json
import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from finished_run import copy_run
from residency.cli.invoke import run_command_line
from residency.commands import make_rows
from residency.commands.make_rows import choose_seeds, generate_rows
from residency.commands.project import Project
from residency.commands.rows import decide_row, finish_review, list_rows
from residency.data.collected_rows import COLLECTED
from residency.errors import ConfigError, DataError, StoreError, SuiteError
from residency.nouns.example import Example, Message
from residency.nouns.issue import Issue, Slice
from residency.nouns.proposal import Proposal
from residency.project.dev_split import split_dev
from residency.project.made_rows import name_issue_of
from small import save_model, save_project

SUITE = """
name = "small"
[[rules]]
rule = "choices"
field = "colour"
choices = ["red", "blue", "green", "brown"]
compare = false
"""
TEMPLATES = """
[slots]
colour = ["red", "blue", "green", "pink"]
thing = ["sofa", "clock", "wardrobe", "hammock", "bicycle", "telescope"]
[[template]]
instruction = "Name colour and thing."
input = "Last summer my aunt brought home one {colour} {thing} for nothing"
response = "colour: {colour}\\nthing: {thing}"
"""


class Teacher(BaseHTTPRequestHandler):
    """Writes good rows, and in turns a wrong value, a repeat of its seed, a dev item, and no JSON."""

    asked: ClassVar[list[str]] = []
    dev: ClassVar[str] = ""
    written: ClassVar[Iterator[int]] = itertools.count()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = body["messages"][-1]["content"]
        number = len(self.asked)
        self.asked.append(text)
        seed = next(json.loads(p) for p in text.split("\n\n") if p.startswith('{"input"'))
        words = [f"w{random.Random(next(self.written)).randrange(10**9):x}{k}" for k in range(9)]
        row = {"input": " ".join(words), "response": seed["response"]}
        if number % 5 == 1:
            row["response"] = "colour: scarlet\nthing: cup"
        if number % 5 == 2:
            row["input"] = seed["input"]
        if number % 5 == 3:
            row["input"] = self.dev
        answer = "I would rather not." if number % 5 == 4 else json.dumps(row)
        choice = {"message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}
        reply = json.dumps({"choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


@pytest.fixture(scope="module")
def root(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run, with a suite, and a teacher behind a server of this machine."""
    root = copy_run(finished_run, tmp_path_factory.mktemp("made") / "project")
    (root / "suite.toml").write_text(SUITE)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Teacher)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with (root / "residency.toml").open("a") as handle:
        port = server.server_address[1]
        handle.write(f'\n[teacher]\nurl = "http://127.0.0.1:{port}/v1"\nconcurrency = 1\n')
    yield root
    server.shutdown()
    server.server_close()
    thread.join()


def open_project(root: Path, **more: object) -> Project:
    return Project.open(root, overrides={"evaluate.suite": "suite.toml", **more})


@pytest.fixture
def project(root: Path) -> Project:
    """The project without made rows, and without decisions of any."""
    (root / COLLECTED).unlink(missing_ok=True)
    Teacher.asked.clear()
    project = open_project(root)
    Teacher.dev = project.split("dev")[0].prompt[-1].input
    return project


def make_for_issue(project: Project, count: int = 10) -> str:
    """Rows for the first issue that the pool serves; its id."""
    for issue in project.issues():
        try:
            choose_seeds(project, issue.id, 1)
        except DataError:
            continue
        generate_rows(project, issue=issue.id, count=count)
        return issue.id
    raise AssertionError("the pool serves no issue")


def list_made(project: Project) -> list[Any]:
    return [row for row in list_rows(project.store) if row.round == 0]


def test_what_a_teacher_writes_for_an_issue_is_verified_and_listed_with_why(
    project: Project,
) -> None:
    before = project.run_id
    issue = next(i for i in project.issues() if any(p.accepted for p in project.target(i.id)))
    made = generate_rows(project, issue=issue.id, count=10)
    reasons = [why for _, why in made.refused]
    assert len([why for why in reasons if "'scarlet' is none of" in why]) == 2
    assert len(reasons) == 3, "the third is an item of dev; when it comes again it is a repeat"
    assert any("near-duplicate" in why and "dev.jsonl" in why for why in reasons)
    assert len([f for f in made.failed if "repeats a row" in f.reason]) == 3
    assert len([f for f in made.failed if "not the JSON" in f.reason]) == 2
    assert made.added == made.total == 2
    assert project.run_id != before, "what joins train is another run"
    finding, _ = split_dev(project)
    pool = {row.id for row in project.split("pool")}
    for row in list_made(project):
        assert (row.proposal.origin, row.proposal.issue) == ("teacher", issue.id)
        assert row.made_from.removeprefix("like ") in pool
        assert row.proposal.near in finding
        assert row.decision is None


def test_the_teacher_is_shown_nothing_of_dev_or_test_and_draws_by_the_finding_part(
    project: Project,
) -> None:
    make_for_issue(project)
    protected = [*project.split("dev"), *project.split("test")]
    assert Teacher.asked
    for row in protected:
        assert not any(row.prompt[-1].input in text for text in Teacher.asked)
    finding, measuring = split_dev(project)
    for issue in project.issues():
        for arguments in ({}, {"selector": "embedding"}):
            near = {p.near for p in project.target(issue.id, **arguments) if p.near}
            assert near <= finding and not near & measuring


def test_measuring_items_that_fail_change_no_seed(project: Project, monkeypatch: Any) -> None:
    """The seeds are the same whatever the measuring part's answers say."""
    from residency.commands import target
    from residency.loop import select_rows

    issue = make_for_issue(project, 1)
    before = choose_seeds(project, issue, 12)
    _, measuring = split_dev(project)
    real = select_rows.find_issue_outcomes

    def turned(found: Any, assessed: Any) -> Any:
        return {
            key: not bad if key in measuring else bad for key, bad in real(found, assessed).items()
        }

    monkeypatch.setattr(select_rows, "find_issue_outcomes", turned)
    assert choose_seeds(project, issue, 12) == before
    assert target.find_issue_failures(project, issue)[1]


def test_a_rejected_row_joins_train_no_more_and_an_edited_one_as_edited(project: Project) -> None:
    make_for_issue(project, 20)
    first, second, third = (row.proposal.example for row in list_made(project)[:3])
    whole = (project.root / COLLECTED).read_bytes()
    with_all = project.run_id
    decide_row(project, third.id, "accept", who="Ada")
    assert project.run_id == with_all, "accepting changes nothing that is trained"
    decide_row(project, first.id, "reject", who="Ada", reason="odd")
    edited = decide_row(project, second.id, "edit", who="Bo", answer="colour: red\nthing: cup")
    assert edited.edited is not None
    assert (project.root / COLLECTED).read_bytes() == whole, "nothing is deleted"
    for opened in (project, open_project(project.root)):
        train = {row.id: row for row in opened.split("train")}
        assert first.id not in train and second.id not in train
        assert third.id in train
        assert train[edited.edited.id].why.startswith("teacher ")
        assert train[edited.edited.id].why.endswith("edited by a person")
        assert opened.run_id != with_all
        assert any("1 made row was rejected" in note for note in opened.corpus.notes)
    decide_row(project, first.id, "accept", who="Bo")
    assert first.id in {row.id for row in project.split("train")}


def test_an_edit_that_comes_near_dev_is_refused(project: Project) -> None:
    make_for_issue(project)
    row = list_made(project)[0].proposal.example
    with pytest.raises(DataError, match="may not be trained"):
        decide_row(project, row.id, "edit", who="Bo", prompt=Teacher.dev)


def test_with_review_made_rows_wait_until_looked_at(project: Project) -> None:
    make_for_issue(project, 20)
    ids = [row.proposal.example.id for row in list_made(project)]
    decide_row(project, ids[0], "accept", who="Ada")
    reviewing = open_project(project.root, **{"target.review": True})
    assert {row.id for row in reviewing.split("train")} & set(ids) == {ids[0]}
    (note,) = [note for note in reviewing.corpus.notes if "wait until" in note]
    assert f"{len(ids) - 1} made rows wait" in note and "residency rows" in note
    decide_row(reviewing, ids[1], "reject", who="Ada")
    finish_review(reviewing, who="Ada")
    decisions = {row.proposal.example.id: row.decision for row in list_made(reviewing)}
    assert decisions[ids[1]].decision == "reject"
    assert all(decisions[key].decision == "accept" for key in ids[2:])
    assert {row.id for row in reviewing.split("train")} & set(ids) == set(ids) - {ids[1]}


def test_a_project_without_made_rows_keeps_its_run(project: Project) -> None:
    stored = Project.open(project.root)
    for review in (False, True):
        opened = Project.open(project.root, overrides={"target.review": review})
        assert opened.run_id == stored.latest_run()


def test_rows_of_templates_are_listed_and_decided_of_before_anything_was_run(
    tmp_path: Path,
) -> None:
    root = save_project(tmp_path / "project", save_model(tmp_path / "model"))
    (root / "suite.toml").write_text(SUITE)
    (root / "t.toml").write_text(TEMPLATES)
    project = open_project(root)
    with pytest.raises(StoreError, match="nothing was run"):
        list_rows(project.store)
    made = generate_rows(project, templates=root / "t.toml", count=12)
    assert made.added and all(
        "pink" not in row.proposal.example.reference for row in list_made(project)
    )
    assert any("'pink' is none of" in why for _, why in made.refused)
    row = list_made(project)[0]
    assert (row.proposal.origin, row.proposal.issue, row.made_from) == ("template", "", "t.toml:1")
    key = row.proposal.example.id
    edited = decide_row(project, key, "edit", who="Ada", answer="colour: blue\nthing: sofa bed")
    assert edited.edited and edited.edited.id in {e.id for e in project.split("train")}
    decide_row(project, key, "reject", who="Ada")
    assert key not in {e.id for e in project.split("train")}
    assert finish_review(project, who="Ada") == 0


def test_templates_write_rows_of_an_issues_mode_without_a_teacher(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding, _ = split_dev(project)
    failing = [row for row in project.split("dev") if row.id in finding]
    red = [row for row in project.split("pool") if "colour=red" in row.tags]
    issue = Issue("wrong", Slice("tag", "colour=red"), "suite", "1", 0.05, 1, "m1")
    drawn = Proposal(issue.id, red[0], "pool", "parts-1", 1.0)
    monkeypatch.setattr(make_rows, "find_issue_failures", lambda ws, key: (issue, failing, None))
    monkeypatch.setattr(make_rows, "target", lambda ws, key: [drawn])
    path = project.root / "t.toml"
    path.write_text(TEMPLATES + 'tags = ["colour={colour}"]\n')
    made = generate_rows(project, templates=path, issue=issue.id, count=4)
    assert Teacher.asked == []
    assert made.added + len(made.refused) == 4
    for row in list_made(project):
        assert (row.proposal.origin, row.proposal.issue) == ("template", issue.id)
        assert row.proposal.example.tags == ("colour=red",)
        assert row.proposal.near in finding
    path.write_text(TEMPLATES + 'tags = ["colour=none"]\n')
    with pytest.raises(DataError, match="lies where this issue fails"):
        generate_rows(project, templates=path, issue=issue.id, count=4)


def write_topics(root: Path) -> Project:
    """A project whose rows have no tags, of two topics."""
    topics = {
        "kettle": ("My kettle {0} boils the water too slowly", "It needs {0} minutes."),
        "invoice": ("Invoice {0} names a wrong bank account", "We send invoice {0} again."),
    }
    root.mkdir()
    for split, count in (("train", 10), ("dev", 40), ("test", 10), ("pool", 20)):
        rows = [
            {"instruction": asks.format(f"{split}{n}"), "response": says.format(n)}
            for n in range(count)
            for asks, says in [topics["kettle" if n % 2 else "invoice"]]
        ]
        (root / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = "".join(f'{s} = ["{s}.jsonl"]\n' for s in ("train", "dev", "test", "pool"))
    (root / "residency.toml").write_text(
        f'[model]\nbase = "tiny"\n[data]\n{files}near_duplicate = 1\n'
    )
    return Project.open(root)


def test_templates_write_rows_of_an_issue_that_is_a_cluster_of_prompts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody tagged a row: a template's row is of the issue where its prompt is nearest to the cluster."""
    project = write_topics(tmp_path / "topics")
    clusters = [where for where in project.slices if where.by == "cluster"]
    kettles = next(where for where in clusters if "kettle" in where.value)
    issue = Issue("wrong", kettles, "suite", "1", 0.05, 1, "m1")
    failing = [row for row in project.split("dev") if kettles.contains(row)]
    drawn = Proposal(issue.id, project.split("pool")[1], "pool", "slice-1", 1.0)
    monkeypatch.setattr(make_rows, "find_issue_failures", lambda ws, key: (issue, failing, None))
    monkeypatch.setattr(make_rows, "target", lambda ws, key: [drawn])
    path = tmp_path / "t.toml"
    path.write_text(
        '[slots]\ncolour = ["red", "blue", "green"]\nplace = ["Rome", "Oslo", "Bern"]\n'
        '[[template]]\ninstruction = "The {colour} kettle I have in {place} is slow with its water"\n'
        'response = "Clean it."\n'
        '[[template]]\ninstruction = "An invoice of a {colour} bank account in {place} is wrong"\n'
        'response = "We look."\n'
    )
    made = generate_rows(project, templates=path, issue=issue.id, count=4)
    assert made.added == 4, made
    assert all("kettle" in row.proposal.example.prompt_text for row in list_made(project))
    path.write_text('[[template]]\ninstruction = "Wrong invoice, bank"\nresponse = "We look."\n')
    with pytest.raises(DataError, match="lies where this issue fails") as told:
        generate_rows(project, templates=path, issue=issue.id, count=1)
    assert f"residency target {project.root} {issue.id}" in told.value.next_step


def test_the_commands_say_what_waits_and_what_comes_next(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    make_for_issue(project, 20)
    root = str(project.root)

    def run_line(*line: str, code: int = 0) -> str:
        assert run_command_line(list(line)) == code
        told = capsys.readouterr()
        return " ".join((told.out + told.err).split())

    assert run_command_line(["rows", root, "--json"]) == 0
    made = [row for row in json.loads(capsys.readouterr().out)["rows"] if row["round"] == 0]
    assert made and all(row["made_from"].startswith("like ex-") for row in made)
    key = made[0]["proposal"]["example"]["id"]
    assert "counts from the next residency run" in run_line("rows", root, "--reject", key)
    settings = project.root / "residency.toml"
    text = settings.read_text()
    settings.write_text(text.replace("[target]", "[target]\nreview = true"))
    words = run_line("check", root)
    settings.write_text(text)
    assert f"{len(made) - 1} made rows wait until somebody has looked at them" in words
    assert "1 made row was rejected" in words
    assert "--judge rates rows that are made" in run_line("collect", root, "--judge", code=2)


def test_a_judge_that_is_asked_for_must_be_named_before_the_teacher_is_paid(
    project: Project,
) -> None:
    with pytest.raises(ConfigError, match="no endpoint is named"):
        generate_rows(project, issue="is-", criterion="Is it right?")
    assert Teacher.asked == []


def test_a_suite_that_can_judge_nothing_is_told_before_the_teacher_is_paid(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **more: object) -> None:
        raise SuiteError("the rule raised on every row")

    monkeypatch.setattr("residency.loop.verify_rows.grade_responses", fail)
    with pytest.raises(SuiteError, match="every row"):
        make_for_issue(project)
    assert Teacher.asked == [] and not (project.root / COLLECTED).exists()


@pytest.mark.parametrize(
    ("why", "issue"),
    [
        ("teacher http://x/v1 model for is-1a2b", "is-1a2b"),
        ("template for is-1a2b; edited by a person", "is-1a2b"),
        ("teacher m; in place of an answer of m-1", ""),
        ("user", ""),
        ("person Ada for is-1a2b", ""),
    ],
)
def test_a_made_row_names_its_issue_and_no_other_row_does(why: str, issue: str) -> None:
    assert name_issue_of(Example((Message("user", "hi"),), why=why)) == issue
