"""What production brings back: stored with where it came from, in no split, behind the firewall."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from finished_run import copy_run
from residency.cli.invoke import run_command_line
from residency.commands.collect import collect_answers
from residency.commands.collect_traffic import find_worst_traffic
from residency.commands.project import Project
from residency.data.collected_rows import read_collected
from residency.errors import DataError
from residency.nouns.example import SPLITS, Message
from residency.nouns.served_request import Feedback, ModerationEvent, RequestText, ServedRequest
from residency.results.usage import read_usage


@pytest.fixture
def project(finished_run: Path, tmp_path: Path) -> Project:
    return Project.open(copy_run(finished_run, tmp_path / "project"))


def write_log(path: Path, rows: list[tuple[str, str]]) -> Path:
    lines = [
        {
            "request": {"model": "gpt-4o", "messages": [{"role": "user", "content": asked}]},
            "response": {"choices": [{"message": {"role": "assistant", "content": answer}}]},
            "created": 1_700_000_000 + number,
        }
        for number, (asked, answer) in enumerate(rows)
    ]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return path


LOOP = "the cup is red the cup is red the cup is red the cup is red the cup is red the cup is red"


def test_traffic_enters_no_split_and_changes_no_run(project: Project, tmp_path: Path) -> None:
    before = {split: [e.id for e in project.split(split)] for split in SPLITS}
    run = project.run_id
    log = write_log(
        tmp_path / "log.jsonl", [("Where is my parcel 77?", "On its way."), ("x", LOOP)]
    )
    result = project.ingest([str(log)])
    assert (result.read, result.added, result.total) == (2, 2, 2)
    again = Project.open(project.root)
    assert {split: [e.id for e in again.split(split)] for split in SPLITS} == before
    assert again.run_id == run and again.store.latest_run() == project.store.latest_run()
    stored = again.store.traffic()
    assert [row.source for row in stored] == ["log.jsonl:1", "log.jsonl:2"]
    assert all(
        row.example.why == "traffic" and row.response.model == "traffic:gpt-4o" for row in stored
    )
    for row in stored:
        assert not again.store.find(row.example.id)
    assert "repetition" in stored[1].failures and stored[1].severity > stored[0].severity


def test_the_same_log_twice_is_one(project: Project, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", [("Where is my parcel 77?", "On its way.")])
    project.ingest([str(log)])
    result = project.ingest([str(log)])
    assert (result.added, result.total) == (0, 1)


def test_what_is_private_is_masked_before_it_is_stored(project: Project, tmp_path: Path) -> None:
    key = "sk-ant-" + "a1B2" * 12
    log = write_log(tmp_path / "log.jsonl", [(f"I am ann@shop.de, key {key}", "Hello ann@shop.de")])
    assert project.ingest([str(log)]).masked == {"email address": 2, "secret": 1}
    (row,) = project.store.traffic()
    assert row.example.prompt_text == "I am [email address], key [secret]"
    assert row.response.text == "Hello [email address]"
    kept = project.ingest([str(log)], keep_personal=True)
    assert kept.masked == {"secret": 1}


def test_what_is_near_dev_or_test_is_never_offered_for_training(
    project: Project, tmp_path: Path
) -> None:
    dev, test = project.split("dev")[0], project.split("test")[0]
    asked = [
        dev.prompt_text,
        test.prompt_text,
        "How do I return a lamp that I bought in May at your shop?",
    ]
    log = write_log(tmp_path / "log.jsonl", [(text, LOOP) for text in asked])
    project.ingest([str(log)])
    items = find_worst_traffic(project)
    assert [item.example.prompt_text for item in items] == [asked[2]]
    taken = collect_answers(project, items, lambda item, total: "Send it back.", screen=True)
    assert taken.added == 1
    (row,) = read_collected(project.root).examples
    assert (row.split, row.reference, row.rejected) == ("train", "Send it back.", LOOP)
    assert "log.jsonl:3" in row.source
    with pytest.raises(DataError, match="no traffic waits"):
        find_worst_traffic(Project.open(project.root))


def test_own_log_brings_feedback_and_expires_with_its_text(project: Project) -> None:
    now = time.time()
    texts = [
        RequestText(
            f"r{n}",
            now - n,
            "final",
            (Message("user", f"Question {n} of a customer?"),),
            ("Wrong.",),
        )
        for n in range(3)
    ]
    project.store.add_requests([], texts)
    project.store.add_feedback(Feedback("r1", now, "down"))
    project.store.add_feedback(Feedback("r1", now, "", "A better answer.", "it was rude"))
    project.store.add_feedback(Feedback("r2", now, "up"))
    assert project.ingest(["log"]).added == 3
    items = find_worst_traffic(project)
    assert [item.example.prompt_text for item in items] == [
        "Question 1 of a customer?", "Question 0 of a customer?"
    ]  # fmt: skip
    assert items[0].reference == "A better answer."
    project.store.forget_texts(now, now + 31 * 86400)
    assert project.store.traffic() == []


def test_every_request_of_the_own_log_is_a_conversation_or_counted(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `usage` counts and what `ingest` brings in differ by reasons that both say."""
    now, chat = time.time(), "/v1/chat/completions"
    user = (Message("user", "Where is my parcel?"),)
    refusal = ModerationEvent("input", "card", "refuse", "card 1", 0.0)
    requests = [
        ServedRequest("kept", now, chat, "final", "m", 200),
        ServedRequest("twice", now, chat, "final", "m", 200),
        ServedRequest("many", now, chat, "final", "m", 200),
        ServedRequest("silent", now, chat, "final", "m", 200),
        ServedRequest("system", now, chat, "final", "m", 200),
        ServedRequest("gone", now, chat, "final", "m", 499, error="client_gone"),
        ServedRequest("bad", now, chat, "final", "m", 400, error="filter", moderation=(refusal,)),
        ServedRequest("vector", now, "/v1/embeddings", "embedder", "", 200),
        ServedRequest("before", now, chat, "final", "m", 200),
    ]
    texts = [
        RequestText("kept", now, "final", user, ("On its way.",)),
        RequestText("twice", now, "final", user, ("On its way.",)),
        RequestText("many", now, "final", user, ("In the post.", "At home.", " ")),
        RequestText("silent", now, "final", user, ("",)),
        RequestText("system", now, "final", (Message("system", "Be kind."),), ("Yes.",)),
    ]
    project.store.add_requests(requests, texts)
    lacks = {
        "not answered": 1,
        "refused by moderation": 1,
        "embeddings, which have no answer": 1,
        "served while no text was kept, or older than keep_days": 1,
    }
    used = read_usage(project.store)
    assert used.texts == 5 and used.without_text == lacks
    assert used.texts + sum(used.without_text.values()) == used.requests == 9
    result = project.ingest(["log"])
    assert (result.read, result.repeated, result.known, result.added) == (4, 1, 0, 3)
    assert result.left_out == lacks | {"empty answers": 2, "without a user's message": 1}
    assert run_command_line(["ingest", str(project.root), "log"]) == 0
    told = capsys.readouterr().out
    assert "4 conversations read, 0 of them new, 3 known before, 1 equal to another" in told
    assert "2 empty answers" in told and "1 refused by moderation" in told
    assert run_command_line(["usage", str(project.root)]) == 0
    told = capsys.readouterr().out
    assert "5 requests have their text (without: 1 " in told and "1 not answered" in told


def test_the_command_says_what_came_in(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = write_log(tmp_path / "log.jsonl", [(f"Where is parcel {n}?", "Here.") for n in range(25)])
    assert run_command_line(["ingest", str(project.root), str(log)]) == 0
    out = capsys.readouterr().out
    assert "25 conversations read, 25 of them new" in out and "--traffic" in out
    assert run_command_line(["ingest", str(project.root), str(log), "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["added"], body["total"], body["drift"]["traffic"]) == (0, 25, 25)
    (tmp_path / "other.jsonl").write_text('{"a": 1}\n')
    assert run_command_line(["ingest", str(project.root), str(tmp_path / "other.jsonl")]) == 2
    assert run_command_line(["ingest", str(project.root)]) == 2
    assert run_command_line(["collect", str(project.root), "--traffic", "--json"]) == 0
    capsys.readouterr()
