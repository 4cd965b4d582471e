"""The loop: runs end to end, repeats bit for bit, goes on where it was cut off, and says so."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from residency.cli.invoke import run_command_line
from residency.commands.project import Project
from residency.errors import DataError, StoreError, UserError
from residency.report.write_report import write_report
from small import make_rows, save_model, save_project


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def done(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was run to its end."""
    folder = save_project(tmp_path_factory.mktemp("done") / "project", model)
    Project.open(folder).run()
    return folder


def essence(folder: Path) -> dict[str, Any]:
    """Everything that a run decides, without clock times."""
    summary = Project.open(folder).status()
    return {
        "complete": summary.complete,
        "stopped": summary.stopped,
        "rounds": [(r.round.index, r.round.arm, r.round.model, r.scores) for r in summary.rounds],
        "issues": [(i.issue, i.verdicts, i.confirmed, i.expected) for i in summary.issues],
        "arms": summary.arms,
        "test": summary.test,
        "openings": summary.test_openings,
    }


def test_the_loop_takes_a_base_through_rounds(done: Path) -> None:
    project = Project.open(done)
    summary = project.status()
    assert summary.complete
    labels = [row.label for row in summary.rounds]
    assert labels == [
        "base, zero-shot",
        "base, few-shot 1",
        "round 1",
        "round 2",
        "round 2, control",
    ]
    assert summary.issues, "a random model fails"
    for row in summary.issues:
        assert row.confirmed is not None
        assert [v.round for v in row.verdicts] == list(range(max(row.issue.found_round, 1), 3))
    assert summary.test is not None
    assert len(summary.test.sides) == 3
    assert summary.test_openings == 1
    main, control = (r.round for r in summary.rounds if r.round.index == 2)
    assert main.trained_rows == control.trained_rows > 16
    assert main.model != control.model


def test_targeted_rows_come_from_the_pool_and_say_why(done: Path) -> None:
    project = Project.open(done)
    run = project.store.latest_run()
    assert run is not None
    pool = {e.id for e in project.split("pool")}
    proposals = project.store.proposals(run, 2)
    issues = {i.id for i in project.store.issues(run)}
    assert {p.example.id for p in proposals} <= pool
    assert {p.issue for p in proposals} <= issues
    rounds = {(r.index, r.arm): r for r, _ in project.store.rounds(run)}
    rows = set(project.store.dataset(rounds[2, "main"].dataset or "").rows)
    accepted = {p.example.id for p in proposals if p.accepted and p.arm == "main"}
    assert accepted <= rows
    assert rows - accepted == {e.id for e in project.split("train")}


def test_failures_that_draw_rows_are_never_those_that_measure(done: Path) -> None:
    from residency.diagnose.dev_halves import split_halves

    project = Project.open(done)
    finding, measuring = split_halves(project.split("dev"), 0)
    run = project.store.latest_run()
    near = {p.near for p in project.store.proposals(run or "", 2) if p.arm == "main"}
    assert near
    assert near <= finding
    assert not near & measuring


def test_pain_32_every_model_leads_back_to_its_rows(done: Path) -> None:
    project = Project.open(done)
    final = project.model("final")
    trace = project.trace(final.id)
    assert project.trace("final").id == final.id
    assert trace.parents[0].id == final.dataset
    assert trace.details["training"]["steps"] > 0
    issue = project.issues()[0]
    assert project.trace(issue.id).parents[0].id == issue.reference_model
    row = project.split("train")[0]
    details = project.trace(row.id).details
    assert details["source"].endswith("train.jsonl:1") and details["why it is here"] == "user"
    assert any(line.startswith(final.id) for line in details["trained by"])


def test_second_call_does_nothing_and_says_so(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = essence(done)
    assert run_command_line(["run", str(done)]) == 0
    assert "Nothing to do" in capsys.readouterr().out
    assert essence(done) == before


def test_same_seed_repeats_bit_for_bit(done: Path, model: Path, tmp_path: Path) -> None:
    again = save_project(tmp_path / "again", model)
    Project.open(again).run()
    assert essence(again) == essence(done)


def test_status_json_is_valid_and_whole(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["status", str(done), "--json"]) == 0
    body = json.loads(
        capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON")
    )
    assert body["complete"] is True
    assert body["issues"][0]["issue"]["id"].startswith("is-")


def test_pain_25_compare_lists_which_items_changed(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compared = Project.open(done).compare("base", "round-1")
    for kind, row in compared.kinds.items():
        assert len(compared.fixed[kind]) == row["fixed"]
        assert len(compared.broken[kind]) == row["broken"]
    assert run_command_line(["compare", "base", "round-1", str(done), "--items"]) == 0
    assert "broken" in capsys.readouterr().out


def test_detectors_run_again_without_a_model(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from residency.infer.local_engine import LocalEngine

    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("diagnose generated")

    monkeypatch.setattr(LocalEngine, "generate", refuse)
    found = Project.open(done, overrides={"diagnose.min_items": 1}).diagnose("round-1")
    assert found.findings


def test_the_test_split_is_sealed(done: Path) -> None:
    with pytest.raises(UserError, match="sealed"):
        Project.open(done).evaluate("base", "test")


def test_rows_that_nobody_tagged_are_sliced_by_meaning(model: Path, tmp_path: Path) -> None:
    folder = save_project(tmp_path / "p", model)
    rows = make_rows(60, "dev")
    assert all(row.get("tags") for row in rows)
    write = lambda rows: (folder / "dev.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))  # noqa: E731  # fmt: skip
    write(rows)
    assert [s for s in Project.open(folder).slices if s.by == "cluster"] == []
    write([{key: value for key, value in row.items() if key != "tags"} for row in rows])
    project = Project.open(folder)
    found = [s for s in project.slices if s.by == "cluster"]
    dev = {example.id for example in project.split("dev")}
    assert len(found) >= 2
    assert sorted(key for c in found for key in c.members if key in dev) == sorted(dev)
    assert {example.id for example in project.split("test")} <= {
        m for c in found for m in c.members
    }


def test_the_report_says_how_far_each_detector_can_be_trusted(done: Path, tmp_path: Path) -> None:
    project = Project.open(done)
    known = project.status().data.detectors
    assert set(known) >= {"misspelling", "overlong", "repetition", "hallucination"}
    page = write_report(project.store, tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"On {known['repetition'].n} labelled answers its detector" in page


def test_the_sealed_test_judges_every_kind_and_issue_as_one_family(done: Path) -> None:
    project = Project.open(done)
    summary = project.status()
    assert summary.test is not None
    rows = summary.test.sides[summary.test.reference].against_final
    assert {"repetition", "misspelling"} <= set(rows)
    of_issue = {i.issue.kind: i.confirmed.status for i in summary.issues if i.confirmed and i.issue.slice.by == "all"}  # fmt: skip
    assert of_issue
    for kind, row in rows.items():
        assert row.status == of_issue.get(kind, row.status)
        if row.status in ("resolved", "improved"):
            assert row.delta > 0
            assert row.p_value <= 0.2 * project.config.diagnose.alpha
        else:
            assert row.status in ("persisting", "inconclusive", "regressed", "missing answers")


def test_unknown_model_lists_the_known(done: Path) -> None:
    with pytest.raises(StoreError, match="round-1"):
        Project.open(done).model("round-9")


def test_a_project_without_dev_rows_is_told_before_anything_runs(
    model: Path, tmp_path: Path
) -> None:
    folder = save_project(tmp_path / "p", model)
    (folder / "dev.jsonl").write_text((folder / "dev.jsonl").read_text().splitlines()[0] + "\n")
    with pytest.raises(DataError, match="dev split has 1 row"):
        Project.open(folder).run()


def _run(folder: str) -> None:
    Project.open(folder).run()


def test_another_process_gives_the_same_bytes(done: Path, model: Path, tmp_path: Path) -> None:
    """Hash seeds differ between processes; nothing that is stored may depend on them."""
    folder = save_project(tmp_path / "other", model)
    code = f"from residency.commands.project import Project; Project.open({str(folder)!r}).run()"
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert essence(folder) == essence(done)


@pytest.mark.slow
def test_twenty_kills_at_random_moments_change_nothing(
    done: Path, model: Path, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["residency.loop.run_loop", "residency.infer.local_engine", "residency.train.train_loop"]
    )
    rng = random.Random(7)
    kills = projects = 0
    start = time.monotonic()
    whole = 0.0
    while kills < 20:
        folder = save_project(tmp_path / f"killed-{projects}", model)
        projects += 1
        for attempt in range(200):
            process = context.Process(target=_run, args=(str(folder),))
            process.start()
            # The first run is undisturbed and shows how long one takes on this machine.
            process.join(rng.uniform(0.2, 0.8) * whole if whole else None)
            if not process.is_alive():
                assert process.exitcode == 0, f"attempt {attempt}"
                break
            process.kill()
            process.join()
            kills += 1
        whole = whole or time.monotonic() - start
        assert essence(folder) == essence(done)
        shutil.rmtree(folder)
