"""Read, Review, Write, Data and Chat: what is written there is kept, and what is hostile stays text."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from finished_run import CONTROL, EVIL, copy_run, spoil_answers, tell_answers_apart
from residency.commands.arena import KIND
from residency.commands.collect import find_worst_answers
from residency.commands.project import Project
from residency.data.collected_rows import read_collected
from residency.evaluate.arena.votes import Vote
from residency.loop.measure_kinds import load_notes
from residency.report.clean_text import clean_text
from residency.results.issue_labels import load_labels
from residency.results.run_results import RunResults
from residency.store.store import Store
from residency.web.app import create_app
from residency.web.pages.chat import make_event
from residency.web.pages.review import name_pair

LOCAL = "http://127.0.0.1:8642"
HOSTILE = f"{EVIL}{CONTROL}'\"><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def root(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = copy_run(finished_run, tmp_path_factory.mktemp("reading") / "project")
    rows = (copy / "train.jsonl").read_text()
    (copy / "pool.jsonl").write_text((copy / "pool.jsonl").read_text() + rows.splitlines()[0])
    project = Project.open(copy)
    find_worst_answers(project, rows=4)
    spoil_answers(copy, HOSTILE)
    tell_answers_apart(copy)
    return copy


@pytest.fixture(scope="module")
def store(root: Path) -> Iterator[Store]:
    opened = Store(root, create=False)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def client(root: Path) -> TestClient:
    return TestClient(create_app(root), base_url=LOCAL, follow_redirects=False)


def post(client: TestClient, path: str, data: dict[str, Any], *, script: bool = True) -> Any:
    token = client.get("/token").json()["token"]
    headers = {"X-CSRF-Token": token, **({"HX-Request": "true"} if script else {})}
    return client.post(path, data=data, headers=headers)


def is_clean(text: str) -> bool:
    """Whether a page holds no markup that a model, a file or a person brought."""
    return "<script>alert" not in text and "<img" not in text and clean_text(text) == text


def test_answers_are_noted_and_notes_are_grouped(
    client: TestClient, store: Store, root: Path
) -> None:
    model = RunResults(store).final_id
    assert "No answers are chosen yet" in client.get("/read").text
    answer = post(client, "/read/sample", {"model": model, "count": "5"})
    assert answer.headers["HX-Redirect"] == f"/read?model={model}"
    page = client.get("/read")
    assert is_clean(page.text)
    assert "&lt;script&gt;" in page.text
    keys = re.findall(r'id="answer-(r-[0-9a-f]+)"', page.text)
    assert keys
    assert post(client, f"/read/notes/{keys[0]}", {"text": "  "}).status_code == 422
    noted = post(client, f"/read/notes/{keys[0]}", {"text": HOSTILE})
    assert noted.status_code == 200
    assert is_clean(noted.text)
    if len(keys) > 1:
        assert post(client, f"/read/notes/{keys[1]}", {"fine": "1"}).status_code == 200
    assert post(client, "/read/notes/r-none", {"text": "x"}).status_code == 404
    (note,) = [note for note in load_notes(store) if note.text]
    assert note.reader
    modes = client.get(f"/read/modes?model={model}&suggest=true")
    assert is_clean(modes.text)
    assert note.id in modes.text
    bad = {"note": note.id, "mode": "a:b", "model": model}
    assert post(client, "/read/modes", bad).status_code == 422
    named = {"note": note.id, "mode": '<i>odd</i> "q"', "model": model}
    assert post(client, "/read/modes", named, script=False).status_code == 303
    page = client.get(f"/read/modes?model={model}")
    assert is_clean(page.text)
    assert "&lt;i&gt;odd&lt;/i&gt;" in page.text
    renamed = {"mode": named["mode"], "to": "odd", "model": model}
    assert post(client, "/read/modes/rename", renamed, script=False).status_code == 303
    tried = post(client, "/read/kinds", {"mode": "odd", "by": "rule"})
    assert tried.status_code == 422  # one answer has it, so no rule can be drafted
    assert "--" not in tried.text  # no option of the terminal in place of what the page has
    measured = {"mode": "odd", "by": "reading", "add": "1", "model": model, "place": "1"}
    added = post(client, "/read/kinds", measured)
    assert "kinds.toml" in added.text and "the next run measures it" in added.text
    assert 'id="mode-1"' in added.text and "measured by reading" in added.text
    assert is_clean(added.text)
    (judge,) = re.findall(
        r"<option value=.judge.[^>]*>", client.get(f"/read/modes?model={model}").text
    )
    assert "disabled" in judge  # no endpoint is named that could be asked
    other = RunResults(store).models[0].id  # its answers have no such note, and yet it is measured
    assert "Measure it no more" in client.get(f"/read/modes?model={other}").text
    ended = post(client, "/read/kinds", {"mode": "odd", "by": "nothing", "add": "1"})
    assert "is measured no more" in ended.text
    assert "Measure it no more" not in client.get(f"/read/modes?model={other}").text
    again = post(client, "/read/sample", {"model": model, "count": "1000"})
    assert again.status_code == 422 and "are chosen" in again.text
    assert 'name = "odd"' in (root / "kinds.toml").read_text()
    (root / "kinds.toml").unlink()


def test_an_issues_answers_are_labelled_blindly_and_correct_its_rate(
    client: TestClient, store: Store
) -> None:
    results = RunResults(store)
    issue = results.issues[0].issue
    page = client.get(f"/issues/{issue.id}/labels")
    assert page.status_code == 200 and is_clean(page.text)
    assert f"/issues/{issue.id}/labels" in client.get(f"/issues/{issue.id}").text
    first, second = re.findall(r'id="label-([^"]+)"', page.text)[:2]
    # Nothing on the page says what the detector made of an answer.
    case = page.text[page.text.index(f"label-{first}") : page.text.index(f"label-{second}")]
    other = page.text[page.text.index(f"label-{second}") :]
    shape = [re.sub(r"<[^>]*>", "", part).split() for part in (case, other)]
    assert not {"passed", "failed", "flagged"} & {word.lower() for part in shape for word in part}
    path = f"/issues/{issue.id}/labels/{first}"
    saved = post(client, path, {"fails": "yes"})
    assert saved.status_code == 200 and is_clean(saved.text) and "fails</span>" in saved.text
    assert load_labels(store, issue.kind, results.final_id)[first] is True
    assert post(client, path, {"fails": "no"}).status_code == 200  # a person may think again
    assert load_labels(store, issue.kind, results.final_id)[first] is False
    assert first not in client.get(f"/issues/{issue.id}/labels").text
    assert post(client, path, {"fails": "perhaps"}).status_code in (400, 422)
    assert post(client, f"/issues/{issue.id}/labels/r-0", {"fails": "yes"}).status_code == 404
    assert client.post(path, data={"fails": "yes"}).status_code == 403
    assert post(client, path, {"fails": "yes"}, script=False).status_code == 303


def test_a_review_names_no_model_in_any_byte(client: TestClient, store: Store) -> None:
    results = RunResults(store)
    first, last = results.models[0], results.model_result(results.final_id)
    assert last is not None
    assert is_clean(client.get("/review").text)
    started = post(client, "/review", {"a": first.id, "b": last.id}, script=False)
    place = started.headers["location"]
    assert place == f"/review/pair/{name_pair(first.id, last.id)}"
    names = [results.data.base.name, *(n for m in results.models for n in (m.id, m.label))]
    before = len(store.records(KIND))
    seen: list[bytes] = []
    for answer in ("left", "right", "tie", "skip"):
        page = client.get(place)
        seen.append(page.content + str(page.headers).encode())
        found = re.search(r'name="showing" value="(show-[0-9a-f]+)"', page.text)
        if found is None:
            break
        again = post(client, place, {"showing": found[1], "answer": answer, "note": HOSTILE})
        assert again.status_code == 200
        seen.append(again.content)
        # the same vote from another tab is no second one
        post(client, place, {"showing": found[1], "answer": "right"})
    assert len(seen) > 3
    for body in seen:
        text = body.decode()
        assert is_clean(text.partition("\r\n")[2] or text)
        assert [name for name in names if len(name) > 4 and name.encode() in body] == []
    votes = [Vote.from_dict(row) for row in store.records(KIND)][before:]
    assert len({vote.key for vote in votes}) == len(votes) == len(seen) // 2
    assert all({vote.a, vote.b} == {first.id, last.id} for vote in votes)
    assert post(client, place, {"showing": "x", "answer": "best"}).status_code == 422
    assert client.get("/review/pair/pair-none").status_code == 404
    board = client.get("/review/board/table")
    assert "Bradley" in client.get("/review/board").text
    assert is_clean(board.text)
    assert "rank" in board.text


def test_sides_are_drawn_for_each_rater(client: TestClient, store: Store) -> None:
    votes = [Vote.from_dict(row) for row in store.records(KIND)]
    assert {vote.left for vote in votes if vote.rater != "identical"} <= {"a", "b"}


def test_a_better_answer_trains_and_is_a_pair_and_dev_is_refused(
    client: TestClient, store: Store, root: Path
) -> None:
    page = client.get("/write")
    assert is_clean(page.text)
    keys = re.findall(r'action="/write/answer/(r-[0-9a-f]+)"', page.text)
    assert keys
    saved = post(client, f"/write/answer/{keys[0]}", {"answer": HOSTILE})
    assert saved.status_code == 200, saved.text
    assert is_clean(saved.text)
    assert "preference pair" in saved.text
    (row,) = read_collected(root).examples
    assert row.rejected is not None
    assert row.why.startswith("person")
    assert row.split == "train"
    assert f'action="/write/answer/{keys[0]}"' not in client.get("/write").text
    assert post(client, f"/write/answer/{keys[-1]}", {"answer": "  "}).status_code == 422
    results = RunResults(store)
    dev = {example.id for example in store.corpus(results.run, "dev")}
    answer = next(r for r in store.responses(results.final_id) if r.example in dev)
    refused = post(client, f"/write/answer/{answer.id}", {"answer": "better"})
    assert refused.status_code == 422
    assert len(read_collected(root).examples) == 1
    assert "answers to rows of the pool" in client.get("/write/state").text


def test_data_is_searched_in_pages_and_the_test_stays_sealed(
    client: TestClient, store: Store
) -> None:
    run = RunResults(store).run
    for split in ("train", "dev", "pool"):
        page = client.get(f"/data?split={split}")
        assert page.status_code == 200
        assert is_clean(page.text)
    assert client.get("/data?split=test").status_code == 404
    sealed = store.corpus(run, "test")
    for example in sealed:
        assert client.get(f"/data/rows/{example.id}").status_code == 404
        assert client.get(f"/data/rows/{example.id}/tokens").status_code == 404
    every = "".join(client.get(f"/data?split={s}").text for s in ("train", "dev", "pool"))
    assert not [e.id for e in sealed if e.id in every]
    pool = store.corpus(run, "pool")
    word = pool[0].prompt[-1].input.split()[-1]
    found = client.get(f"/data?split=pool&text={word.upper()}")
    assert pool[0].id in found.text
    assert "No such row" in client.get("/data", params={"text": f"%_{EVIL}\\"}).text
    rows, total = store.search_corpus(run, "pool", offset=5, limit=3)
    assert [row.id for row in rows] == [row.id for row in pool[5:8]]
    assert total == len(pool)


def test_a_row_shows_what_is_trained(client: TestClient, store: Store) -> None:
    row = store.corpus(RunResults(store).run, "train")[0]
    assert is_clean(client.get(f"/data/rows/{row.id}").text)
    tokens = client.get(f"/data/rows/{row.id}/tokens").text
    assert is_clean(tokens)
    trained = re.findall(r'<span class="tok trained">([^<]*)</span>', tokens)
    assert "colour" in "".join(trained)
    assert "Name colour" not in "".join(trained)


def test_rows_that_were_left_out_stand_beside_what_they_resemble(client: TestClient) -> None:
    page = client.get("/data/left-out")
    assert page.status_code == 200
    assert is_clean(page.text)
    assert "pool.jsonl:31" in page.text
    assert "exact duplicate" in page.text
    assert client.get("/data/left-out?kind=none").status_code == 200


def test_pain_48_each_answer_names_its_weights_and_is_saved_or_noted(
    client: TestClient, store: Store, root: Path
) -> None:
    results = RunResults(store)
    assert is_clean(client.get("/chat").text)
    first = results.models[0].id
    message = {"talk": "t1", "message": f"Hello {EVIL}", "a": first, "b": results.final_id}
    turn = post(client, "/chat", message)
    assert turn.status_code == 200, turn.text
    assert is_clean(turn.text)
    streams = re.findall(r'hx-sse="([^"]+)"', turn.text)
    assert len(streams) == 2
    final = store.model(results.final_id)
    for path, weights in zip(streams, ("", final.adapter), strict=True):
        told = client.get(path)
        assert told.headers["content-type"].startswith("text/event-stream")
        assert told.text.endswith("event: end\ndata: end\n\n")
        assert "weights" in told.text
        assert (weights or "sha256") in told.text
        assert is_clean(told.text.replace("data: ", ""))
    saying = {"talk": "t1", "number": "0", "side": "b"}
    saved = post(client, "/chat/example", {**saying, "answer": "colour: mauve\nthing: spoon"})
    assert saved.status_code == 200, saved.text
    rows = read_collected(root).examples
    assert rows[-1].reference == "colour: mauve\nthing: spoon"
    assert rows[-1].prompt_text == f"Hello {EVIL}"
    noted = post(client, "/chat/note", {**saying, "text": HOSTILE})
    assert is_clean(noted.text)
    said = [note for note in load_notes(store, results.final_id) if not note.example]
    assert [note.reader != "" for note in said] == [True]
    assert post(client, "/chat/note", {**saying, "side": "c", "text": "x"}).status_code == 422
    assert post(client, "/chat", {**message, "a": "m-none", "b": ""}).status_code == 422
    assert post(client, "/chat", {**message, "message": " "}).status_code == 422


def test_an_event_keeps_its_lines_whatever_a_model_writes() -> None:
    lines = make_event("a\r\nevent: end\rdata: x").split("\n")
    assert lines == ["data: a", "data: event: end", "data: data: x", "", ""]


def test_pages_answer_fast_on_a_stored_run(client: TestClient) -> None:
    for path in ("/read", "/read/modes", "/review", "/write", "/data"):
        client.get(path)
        start = time.perf_counter()
        assert client.get(path).status_code == 200
        assert time.perf_counter() - start < 2.0, path
    assert json.loads(client.get("/token").text)["token"]
