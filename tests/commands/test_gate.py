"""``residency gate``: open or closed, with reasons, by exit code."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from finished_run import copy_run
from residency.cli.invoke import run_command_line
from residency.commands.gate import GateLimits
from residency.commands.project import Project
from residency.errors import DataError, StoreError
from residency.results.gate_sides import GateSide, read_run_side, read_side, write_side
from residency.results.run_gate import compare_sides, judge_run
from residency.results.run_results import RunResults
from residency.store.store import Store


@pytest.fixture(scope="module")
def side(finished_run: Path) -> GateSide:
    """The final model of the small run, with forty measuring items of one clean kind."""
    store = Store(finished_run, create=False)
    real = read_run_side(RunResults(store))
    store.close()
    items = [f"ex-{n}" for n in range(40)]
    issue = replace(real.issues[0], kind="k", detector="d", members=None, tolerance=0.1)
    return replace(
        real,
        issues=(issue,),
        outcomes={("k", "d"): dict.fromkeys(items, False)},
        lost_scores=dict.fromkeys(items, 0.0),
        groups={item: item for item in items},
        measuring=frozenset(items),
    )


def spoil(side: GateSide, bad: int, **changes: Any) -> GateSide:
    items = sorted(side.measuring, key=lambda item: int(item[3:]))
    outcomes = {item: number < bad for number, item in enumerate(items)}
    return replace(side, outcomes={("k", "d"): outcomes}, **changes)


def kinds(before: GateSide, after: GateSide, **limits: Any) -> set[str]:
    return {reason.kind for reason in compare_sides(before, after, GateLimits(**limits)).reasons}


def test_the_same_model_passes_and_a_worse_one_does_not(side: GateSide) -> None:
    assert kinds(side, side) == set()
    assert kinds(side, spoil(side, 12)) == {"regressed"}
    assert kinds(spoil(side, 12), side) == set()
    report = compare_sides(side, spoil(side, 12), GateLimits())
    assert not report.passed
    assert all("%" in r.error and "+30.0 points" in r.what for r in report.reasons)


def test_a_resolved_issue_that_fails_again_closes_the_gate(side: GateSide) -> None:
    resolved = replace(side, issues=(replace(side.issues[0], resolved=True),))
    before = spoil(resolved, 14)  # not much better before, so nothing regressed
    assert kinds(before, spoil(resolved, 16)) == {"came back"}
    assert kinds(before, spoil(side, 16)) == {"came back"}  # the later run found it anew
    assert kinds(before, spoil(resolved, 2)) == set()
    assert kinds(spoil(side, 14), spoil(side, 16)) == set()  # never was resolved


def test_unscored_and_lost_items_never_pass(side: GateSide) -> None:
    items = sorted(side.measuring)
    half: dict[str, bool | None] = dict.fromkeys(items[:8])
    unscored = replace(side, outcomes={("k", "d"): {**side.outcomes["k", "d"], **half}})
    assert kinds(side, unscored) == {"too little scored"}
    fewer = replace(side, measuring=frozenset(items[:30]))
    assert kinds(side, fewer) == {"too little scored"}
    assert kinds(side, replace(side, outcomes={})) == {"too little scored"}


def test_strict_fails_on_what_is_not_shown(side: GateSide) -> None:
    assert kinds(side, spoil(side, 2)) == set()
    assert kinds(side, spoil(side, 2), strict=True) == {"not shown to be within the margin"}
    assert kinds(side, side, strict=True, margin=0.2) == set()


def test_another_version_of_a_detector_is_no_comparison(side: GateSide) -> None:
    other = replace(side, issues=(replace(side.issues[0], version="99"),))
    assert kinds(side, other) == {"other definition"}


def test_a_saved_baseline_is_the_side_itself(side: GateSide, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_text(json.dumps(write_side(side)))
    assert read_side(path) == side
    body = json.loads(path.read_text())
    for wrong in (
        "", "{}", "[]", '{"schema": "residency.gate-baseline/1"}', path.read_text()[:-30],
        json.dumps({**body, "groups": 3}), json.dumps({**body, "lost_scores": {"a": 7}}),
        json.dumps({**body, "issues": [{}]}), json.dumps({**body, "outcomes": [{"kind": "k", "detector": "d", "items": {"a": 1}}]}),
        "[" * 5000,
    ):  # fmt: skip
        path.write_text(wrong)
        with pytest.raises(DataError, match=r"JSON|baseline"):
            read_side(path)


def test_the_commands_exit_code_and_json(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(copy_run(finished_run, tmp_path / "p"))
    saved = str(tmp_path / "b.json")
    assert run_command_line(["gate", root, "--save", saved]) == 0
    capsys.readouterr()
    code = run_command_line(
        ["gate", root, "--baseline", saved, "--coverage", "0", "--margin", "100", "--json"]
    )
    body = json.loads(capsys.readouterr().out)
    # The same model on both sides: only what holds too few groups can close the gate.
    assert {r["kind"] for r in body["reasons"]} <= {"too little scored"}
    assert code == (0 if body["passed"] else 1)
    assert all(c["rise"] == 0 for c in body["checks"])
    for arguments in (
        [root, "--baseline", "nothing"], [root, "--baseline", "no/such.json"],
        ["--before", saved], [root, "--before", saved, "--after", saved], [str(tmp_path)],
        ["--before", saved, "--after", saved], [root, "--margin", "-1"],
    ):  # fmt: skip
        assert run_command_line(["gate", *arguments]) == 2, arguments


def test_a_runs_own_verdicts_close_its_gate(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(finished_run, create=False)
    results = RunResults(store)
    issue = results.issues[0]
    assert issue.latest is not None
    good = replace(issue.latest, status="improved", n=40, groups=40, lost=0, low=0.1, high=0.5)
    for verdicts, expected in (
        ([good], set()),
        ([replace(good, status="regressed", delta=-0.3, low=-0.4, high=-0.2)], {"regressed"}),
        ([replace(good, status="resolved"), replace(good, status="persisting")], {"came back"}),
        ([replace(good, lost=20)], {"too little scored"}),
        ([replace(good, n=4, groups=4)], {"too little scored"}),
    ):
        one = replace(issue, verdicts=verdicts, confirmed=None)
        results.__dict__["issues"] = [one]
        results.__dict__["test"] = None
        assert {r.kind for r in judge_run(results, GateLimits()).reasons} == expected
    results.__dict__["stages"] = []
    assert "not complete" in {r.kind for r in judge_run(results, GateLimits()).reasons}
    store.close()


def test_forgetting_beyond_the_margin_closes_the_gate(finished_run: Path) -> None:
    from residency.results.run_figures import Forgetting

    store = Store(finished_run, create=False)
    row = {"task": "arc", "metric": "acc", "n": 500, "delta": -0.05, "low": -0.08, "high": -0.02}
    for status, strict, expected in (
        ("forgotten", False, {"forgotten"}),
        ("inconclusive", False, set()),
        ("inconclusive", True, {"not shown to be within the margin"}),
        ("kept", True, set()),
    ):
        results = RunResults(store)
        results.__dict__["issues"], results.__dict__["test"] = [], None
        results.__dict__["forgetting"] = Forgetting(0.02, [{**row, "status": status}])
        report = judge_run(results, GateLimits(strict=strict))
        assert {r.kind for r in report.reasons} == expected
    store.close()


def test_gate_from_python(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project.open(copy_run(finished_run, tmp_path / "p"))
    report = project.gate("round-1")
    assert report.before.startswith("round 1")
    base = project.gate("base")
    assert (
        base.before.startswith("base, zero-shot")
        and base.before == project.gate("zero-shot").before
    )
    with pytest.raises(StoreError, match="0 models"):
        project.gate("final")
    assert [c.name for c in report.checks][-1] == "share of checks failed"
    with pytest.raises(StoreError, match="no run before"):
        project.gate("previous")
    run = project.store.latest_run()
    with project.store.writer("a run that is given up before its first model"):
        project.store.add_run("run-given-up", {"settings": {}})
    monkeypatch.setattr(Store, "latest_run", lambda _: run)
    with pytest.raises(StoreError, match="no run before"):
        project.gate("previous")
    project.store.close()
    shutil.rmtree(project.root)


def test_a_log_in_the_folders_place_is_told_how_logs_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "after it.json"
    log.write_text("{}")
    assert run_command_line(["gate", str(log), "--baseline", "previous"]) == 2
    told = capsys.readouterr().err
    assert f"residency gate --before EARLIER --after '{log}'" in " ".join(told.split())


def test_the_recipe_for_ci_runs_as_it_is_written(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """Its steps, in order, on a finished project: a second run does nothing, the gate decides."""
    page = (Path(__file__).parents[2] / "docs" / "gate.md").read_text(encoding="utf-8")
    recipe = yaml.safe_load(re.findall(r"```yaml title=[^\n]*\n(.*?)```", page, re.DOTALL)[0])
    steps = recipe["jobs"]["gate"]["steps"]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    torch_pin = re.search(r"torch==[\d.]+", "".join(s.get("run", "") for s in steps))
    constraints = Path(__file__).parents[2] / "constraints.txt"
    assert torch_pin and torch_pin.group() in constraints.read_text(encoding="utf-8")
    copy_run(finished_run, tmp_path / "demo")
    monkeypatch.chdir(tmp_path)
    assert run_command_line(["gate", "demo", "--save", "demo/gate.json"]) in (0, 1)
    capfd.readouterr()
    codes = {}
    for step in steps:
        for line in str(step.get("run", "")).splitlines():
            if not line.startswith("residency "):
                continue
            call, _, target = line.partition(" > ")
            words = shlex.split(call)[1:]
            capfd.readouterr()
            codes[words[0]] = run_command_line(words)
            if target:
                (tmp_path / target).write_text(capfd.readouterr().out, encoding="utf-8")
    verdict = json.loads((tmp_path / "gate-result.json").read_text(encoding="utf-8"))
    assert codes == {"check": 0, "run": 0, "gate": 0 if verdict["passed"] else 1, "report": 0}
    uploaded = next(s["with"]["path"] for s in steps if "upload-artifact" in s.get("uses", ""))
    assert all((tmp_path / name).is_file() for name in uploaded.split())
