"""Ship: the gate's answer, exports with their proof, commands; and people who write while a run holds the lock."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from finished_run import EVIL, copy_run
from residency.commands.export import ExportResult, FileResult
from residency.commands.export_log import ExportLog, list_exports
from residency.data.collected_rows import read_collected
from residency.errors import ParityError
from residency.export.proof import FileProof
from residency.nouns.issue_change import IssueChange
from residency.results.row_review import list_drawn_rows
from residency.results.run_results import RunResults
from residency.store.store import Store
from residency.web.app import create_app


@pytest.fixture
def root(finished_run: Path, tmp_path: Path) -> Path:
    return copy_run(finished_run, tmp_path / "project")


def open_client(root: Path, *, token: str = "", person: str = "") -> tuple[TestClient, str]:
    """A visitor and the token of their pages."""
    client = TestClient(create_app(root, token=token), base_url="http://127.0.0.1:8642")
    if token:
        client.get("/", params={"token": token})
    csrf = client.get("/token").json()["token"]
    if person:
        client.post("/person", data={"csrf": csrf, "person": person})
    return client, csrf


def log_export(root: Path) -> None:
    """An export with hostile words in every text of it, one file refused, and one that ended in an error."""
    store = Store(root, create=False)
    change = IssueChange("is-1", EVIL, 20, 0.1, 0.3, 0.2, 0.05, 0.35)
    begun = {"model": EVIL, "folder": str(root / "exports" / EVIL), "format": "gguf"}
    begun |= {"margin": 0.05, "graded": True, "quantisations": ["q8_0"]}
    with store.writer("export"):
        log = ExportLog(store, "m-1")
        with log.follow(begun):
            log.add_score(0.5)
            proof = FileProof(6, 5, 6, 6, 1, 12.5)
            log.add_file(FileResult(f"{EVIL}.gguf", 2_000_000, proof, 0.4, [change], EVIL))
            log.add_end(ExportResult(root, 0.5, [], [EVIL], [EVIL]))
        with pytest.raises(ParityError), ExportLog(store, "m-1").follow(begun):
            raise ParityError(f"no file passed {EVIL}")


def test_an_export_is_shown_as_it_was_proved_and_its_texts_stay_texts(root: Path) -> None:
    log_export(root)
    failed, ended = list_exports(Store(root, create=False))
    assert failed.refused.startswith("no file passed")
    assert (ended.score, ended.files[0].same_text, ended.files[0].speed) == (0.5, 5, 12.5)
    assert ended.files[0].issues[0].rise == 0.2
    assert not ended.is_running and not ended.is_there  # its folder is not there
    client, _ = open_client(root)
    page = client.get("/ship").text
    assert EVIL not in page and page.count("&lt;script&gt;") >= 6
    assert "5 of 6" in page and "+20.0" in page and "2.0 MB" in page
    assert "residency serve" in page and "residency export" in page


def test_the_gate_answers_with_the_reasons_of_the_command(root: Path) -> None:
    from residency.commands.gate import gate

    client, _ = open_client(root)
    store = Store(root, create=False)
    for query in ({}, {"strict": "true", "margin": "1"}, {"baseline": "round-1"}):
        answer = client.get("/ship/gate", params=query)
        assert answer.status_code == 200
        assert ("open</span>" in answer.text) != ("closed</span>" in answer.text)
    report = gate(store, root)
    assert ("open</span>" in client.get("/ship/gate").text) == report.passed
    assert client.get("/ship/gate", params={"margin": "-1"}).status_code == 422
    assert "No server has run yet" in client.get("/ship/use").text


@pytest.mark.parametrize(
    "change",
    [
        {"model": "--help"},
        {"format": "exe"},
        {"folder": "../outside"},
        {"folder": "-x"},
        {"format": "gguf", "quantise": "q1"},
        {"margin": "nan"},
    ],
)
def test_nothing_that_is_no_export_is_started(
    root: Path, change: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from residency.commands import export_apart

    started: list[object] = []
    monkeypatch.setattr(export_apart, "start_command", lambda *a, **k: started.append(a) or 1)
    client, csrf = open_client(root)
    model = next(m.id for m in RunResults(Store(root, create=False)).models if m.model.adapter)
    good = {"csrf": csrf, "model": model, "format": "hf", "margin": "5", "grade": "yes"}
    assert client.post("/ship/export", data=good | change).status_code == 422
    assert started == []
    assert client.post("/ship/export", data=good).status_code == 200
    assert len(started) == 1


def test_people_write_while_a_run_holds_the_lock(root: Path) -> None:
    """An answer, a decision, a note: none waits for the end of a training."""
    running = Store(root, create=False)
    results = RunResults(running)
    drawn = next(row for row in list_drawn_rows(results) if row.state == "undecided")
    pool = running.corpus(results.run, "train")[0]
    client, csrf = open_client(root)
    with running.writer("run"):
        from residency.nouns.response import Response

        answer = Response(results.final_id, pool.id, "not so good")
        running.add_responses([answer])
        said = client.post(f"/write/answer/{answer.id}", data={"csrf": csrf, "answer": "better"})
        assert said.status_code == 200
        key = drawn.proposal.example.id
        said = client.post(f"/rows/{key}", data={"csrf": csrf, "decision": "reject"})
        assert said.status_code == 200
    assert [row.reference for row in read_collected(root).examples] == ["better"]
    assert list_drawn_rows(results, example=key)[0].state == "rejected"


def test_two_people_judge_and_decide_at_once_and_neither_is_lost(root: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from residency.commands.arena import KIND
    from residency.project.row_decisions import read_decisions

    store = Store(root, create=False)
    results = RunResults(store)
    token = "a-token-of-sixteen-letters"
    app = create_app(root, token=token)
    a, b = results.models[0].id, results.final_id
    rows = [row.proposal.example.id for row in list_drawn_rows(results) if row.state == "undecided"]

    def work(name: str) -> None:
        client = TestClient(app, base_url="http://127.0.0.1:8642")
        client.get("/", params={"token": token})
        csrf = client.get("/token").json()["token"]
        client.post("/person", data={"csrf": csrf, "person": name})
        for row in rows[:4]:
            data = {"csrf": csrf, "decision": "accept", "reason": name}
            assert client.post(f"/rows/{row}", data=data).status_code == 200
        page = client.post("/review", data={"csrf": csrf, "a": a, "b": b}).text
        for _ in range(3):
            found = re.search(r'name="showing" value="([^"]+)"', page)
            if found is None:
                break
            place = re.search(r'action="(/review/pair/[^"]+)"', page)
            assert place is not None
            data = {"csrf": csrf, "showing": found[1], "answer": "left"}
            page = client.post(place[1], data=data).text

    with ThreadPoolExecutor(2) as both:
        list(both.map(work, ("Ada", "Zoe")))
    votes = [v for v in store.records(KIND) if v["rater"] in ("Ada", "Zoe")]
    assert len({v["rater"] for v in votes}) in (0, 2)  # 0: the answers are all alike
    assert len({(v["rater"], str(v)) for v in votes}) == len(votes)
    from residency.store.record_kind import RecordKind

    said = store.records(RecordKind.ROW_DECISION)
    assert sorted((r["who"], r["example"]) for r in said) == sorted(
        (name, row) for name in ("Ada", "Zoe") for row in rows[:4]
    )
    assert set(read_decisions(store)) == set(rows[:4])
