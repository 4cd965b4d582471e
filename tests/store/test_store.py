"""The store: what goes in comes out, twice is once, and one writer at a time."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event, inspect, text

from residency.errors import StoreError, StoreLockedError
from residency.nouns.content_id import id_begins
from residency.nouns.dataset_version import DatasetVersion
from residency.nouns.example import Example, Message
from residency.nouns.finding import Finding, Span
from residency.nouns.issue import Issue, Slice
from residency.nouns.model import Model
from residency.nouns.proposal import Proposal
from residency.nouns.response import Response, Sampling
from residency.nouns.round import Round
from residency.nouns.verdict import Verdict
from residency.store import migrations, schema
from residency.store.artifacts import Artifacts
from residency.store.record_kind import RecordKind
from residency.store.stage_key import StageKey, StageName
from residency.store.store import Store


def example(text_: str = "hello", split: str = "train") -> Example:
    messages = (Message("user", text_, input="in"), Message("assistant", "answer " + text_))
    return Example(messages, split=split, group="g", tags=("a=b",), source="f:1")  # type: ignore[arg-type]


def verdict(issue: str, round_: int = 1, split: str = "dev") -> Verdict:
    return Verdict(
        issue=issue, before="m-a", after=f"m-{round_}", round=round_, split=split,
        status="improved", n=10, unscored=1, before_rate=0.5, after_rate=0.2, fixed=3, broken=0,
        delta=0.3, low=0.1, high=0.5, p_value=0.01, e_value=30.0, alpha=0.02, mde=float("inf"),
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    with made.writer("test"):
        made.add_run("run-1", {"why": "test"})
        yield made
    made.close()


def test_every_noun_comes_back_equal(store: Store) -> None:
    row = example()
    store.add_corpus("run-1", [row, example("dev", "dev")])
    assert store.corpus("run-1", "train") == [row]
    assert store.example(row.id) == row

    version = DatasetVersion((row.id,), "t", "k", {"max": 3}, parent=None, note="n")
    store.add_dataset(version)
    assert store.dataset(version.id) == version

    model = Model(
        "base", adapter="sha256:x", dataset=version.id, seed=3, round=1, settings={"a": 1}
    )
    store.add_model(model)
    assert store.model(model.id) == model

    sampling = Sampling(stop=("x",))
    answer = Response(model.id, row.id, "text", (1, 2), "length", 0, sampling, -1.5, 7, 0.25)
    store.add_responses([answer])
    assert store.responses(model.id, [row], sampling) == [answer]
    assert store.responses(model.id, [row], Sampling()) == []

    finding = Finding(answer.id, "overlong", "fail", "d", "1", 0.5, (Span(0, 2, "n"),), "m", 2.0)
    store.add_findings("scope", [finding])
    assert store.findings("scope", [answer]) == [finding]
    assert store.findings("other scope", [answer]) == []

    issue = Issue("overlong", Slice("cluster", "c", (row.id,)), "d", "1", 0.1, 0, model.id, "t")
    store.add_issues("run-1", [issue])
    assert store.issues("run-1") == [issue]

    store.add_verdicts("run-1", [verdict(issue.id)])
    assert store.verdicts("run-1") == [verdict(issue.id)]

    proposal = Proposal(issue.id, row, "pool", "near", 0.5, near="ex-1", accepted=False, reason="r")
    store.add_proposals("run-1", 2, [proposal])
    assert store.proposals("run-1", 2) == [proposal]
    assert store.proposals("run-1", 1) == []

    round_ = Round(1, "main", version.id, model.id, 5, 1.5)
    store.add_round("run-1", round_, {"score": 0.5})
    assert store.rounds("run-1") == [(round_, {"score": 0.5})]


def test_adding_twice_keeps_the_first(store: Store) -> None:
    store.add_corpus("run-1", [example()])
    store.add_corpus("run-1", [example()])
    assert store.count("examples") == 1
    key = StageKey(StageName.TRAIN, "train-1")
    store.finish_stage("run-1", key, 1.0, {"result": 1})
    store.finish_stage("run-1", key, 9.0, {"result": 2})
    assert store.stage("run-1", key) == {"result": 1}
    assert [(stage.key, stage.seconds) for stage in store.stages("run-1")] == [(key, 1.0)]


def test_responses_come_in_the_order_of_the_examples(store: Store) -> None:
    rows = [example(str(i)) for i in range(5)]
    store.add_responses([Response("m-1", row.id, row.messages[0].text) for row in reversed(rows)])
    found = store.responses("m-1", rows[1:4])
    assert [r.example for r in found] == [row.id for row in rows[1:4]]


def test_records_are_only_appended(store: Store) -> None:
    store.add_record(RecordKind.VOTE, "a", {"choice": "left"})
    store.add_record(RecordKind.VOTE, "a", {"choice": "right"})
    assert [r["choice"] for r in store.records(RecordKind.VOTE, "a")] == ["left", "right"]
    assert store.records(RecordKind.VOTE, "b") == []


def test_find_by_prefix_takes_no_wildcards(store: Store) -> None:
    store.add_corpus("run-1", [example()])
    assert store.find(example().id[:6]) == [example().id]
    assert store.find("ex%") == []


def test_ids_are_found_as_tables_show_them(store: Store) -> None:
    """The terminal's tables leave the kind out: six digits."""
    store.add_corpus("run-1", [example()])
    key = example().id
    bare = key.partition("-")[2]
    assert store.find(bare[:6]) == store.find(bare) == [key]
    assert store.find(bare[:3]) == store.find("000000") == []
    assert id_begins(key, bare[:6]) and id_begins(key, key[:5]) and id_begins(key, key)
    assert not (id_begins(key, bare[:3]) or id_begins(key, "") or id_begins(key, bare[1:8]))


def test_missing_things_are_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no model m-none"):
        store.model("m-none")
    with pytest.raises(StoreError, match="nothing is stored here yet"):
        Store(tmp_path / "empty", create=False)
    broken = tmp_path / "broken" / ".residency"
    broken.mkdir(parents=True)
    (broken / "store.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreError, match=r"store\.db"):
        Store(tmp_path / "broken")


def columns(engine) -> dict[str, set[tuple[str, bool]]]:  # type: ignore[no-untyped-def]
    look = inspect(engine)
    return {
        table: {(c["name"], bool(c["primary_key"])) for c in look.get_columns(table)}
        for table in look.get_table_names()
    }


@pytest.mark.parametrize("start", range(len(migrations.STEPS) + 1))
def test_every_old_schema_reaches_todays(start: int, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    wanted = create_engine("sqlite://")
    schema.metadata.create_all(wanted)
    engine = create_engine(f"sqlite:///{tmp_path}/old.db")
    every = migrations.STEPS
    monkeypatch.setattr(migrations, "STEPS", every[:start])
    with engine.begin() as connection:
        migrations.migrate(connection)
    monkeypatch.setattr(migrations, "STEPS", every)
    with engine.begin() as connection:
        assert migrations.migrate(connection) == len(every)
    assert columns(engine) == columns(wanted)


class _KilledError(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("start", range(len(migrations.STEPS)))
def test_a_migration_that_is_ended_at_any_statement_is_made_again(
    start: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = create_engine("sqlite://")
    schema.metadata.create_all(wanted)
    every = migrations.STEPS
    for last in range(1, 200):
        engine = create_engine(f"sqlite:///{tmp_path}/{last}.db")
        monkeypatch.setattr(migrations, "STEPS", every[:start])
        with engine.begin() as connection:
            migrations.migrate(connection)
        monkeypatch.setattr(migrations, "STEPS", every)
        statements = itertools.count(1)

        def end(*_: Any, last: int = last, statements: Iterator[int] = statements) -> None:
            if next(statements) == last:
                raise _KilledError

        event.listen(engine, "before_cursor_execute", end)
        try:
            with engine.begin() as connection:
                migrations.migrate(connection)
        except _KilledError:
            pass
        else:
            break  # it has no more statements than this
        finally:
            event.remove(engine, "before_cursor_execute", end)
            engine.dispose()
        with engine.begin() as connection:
            assert migrations.migrate(connection) == len(every)
        assert columns(engine) == columns(wanted)
    assert last > sum(map(len, every[start:]))


def test_a_new_store_that_an_earlier_version_left_half_made_is_made(tmp_path: Path) -> None:
    (tmp_path / ".residency").mkdir()
    engine = create_engine(f"sqlite:///{tmp_path}/.residency/store.db")
    first = [step for step in migrations.STEPS[0] if isinstance(step, str)]
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE TABLE schema_version (version INTEGER, applied_at TEXT)"))
        for statement in first[:5]:
            connection.execute(text(statement))
    store = Store(tmp_path)
    with store.writer("test"):
        store.add_run("run-1", {})
    assert store.runs()


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    Store(tmp_path).close()
    engine = create_engine(f"sqlite:///{tmp_path}/.residency/store.db")
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO schema_version VALUES (999, 'later')"))
    with pytest.raises(StoreError, match="schema version 999"):
        Store(tmp_path)


HOLD = """
import sys, time
from pathlib import Path
from typing import Any
from residency.store.store import Store
with Store(Path(sys.argv[1])).writer("run"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_second_writer_is_told_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    store = Store(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StoreLockedError, match=f"residency run, process {process.pid}"):
            store.writer("train").__enter__()
        assert store.records(RecordKind.VOTE) == []  # readers never wait
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    with store.writer("train"):
        pass


def test_artifacts_are_named_by_content(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"one")
    first = store.artifacts.put_folder(folder)
    assert store.artifacts.put_folder(folder) == first
    (folder / "a.bin").write_bytes(b"two")
    assert store.artifacts.put_folder(folder) != first
    kept = Artifacts(store.artifacts.root).folder(first)
    assert (kept / "a.bin").read_bytes() == b"one"
    (kept / "a.bin").write_bytes(b"tampered")
    with pytest.raises(StoreError, match="changed after it was stored"):
        Artifacts(store.artifacts.root).folder(first)
    with pytest.raises(StoreError, match="is missing"):
        store.artifacts.folder("sha256:" + "0" * 64)


def test_what_is_stored_together_is_stored_whole_or_not_at_all(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ValueError, match="the second"), store.all_or_nothing():
        store.add_record(RecordKind.NOTE, "m-1", {"text": "the first"})
        assert len(store.records(RecordKind.NOTE, "m-1")) == 1
        raise ValueError("the second")
    assert store.records(RecordKind.NOTE, "m-1") == []
    with store.all_or_nothing():
        store.add_record(RecordKind.NOTE, "m-1", {"text": "both"})
    assert len(store.records(RecordKind.NOTE, "m-1")) == 1
    store.close()
