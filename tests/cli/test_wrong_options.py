"""A wrong value of any option leaves a project as it was: nothing is opened, stored or written."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import typer

from finished_run import copy_run
from residency.cli.app import build_app
from residency.cli.invoke import run_command_line
from residency.results.run_results import RunResults
from residency.store.store import FOLDER, Store

NOWHERE = "http://127.0.0.1:9/v1"
ENDPOINT = (
    ["--endpoint", "nowhere"],
    ["--endpoint", "ftp://host/v1"],
    ["--endpoint-model", "without an endpoint"],
    ["--key-env", "RESIDENCY_NO_SUCH_KEY"],
    ["--key-env", "RESIDENCY_NO_SUCH_KEY", "--endpoint", NOWHERE],
    ["--price-in", "1"],
    ["--price-in", "-1", "--endpoint", NOWHERE],
    ["--price-in", "nan", "--endpoint", NOWHERE],
    ["--price-out", "1"],
    ["--price-out", "inf", "--endpoint", NOWHERE],
)
PLACES = (
    ["--jobs", "0"],
    ["--cluster", "nowhere"],
    ["--cluster", "host:port"],
    ["--cluster", "http://host:1"],
    ["--artifacts", "nosuch://bucket", "--jobs", "2"],
)

WRONG: dict[str, tuple[list[str], ...]] = {
    "run": (
        ["--base", "nosuch"],
        ["--rounds", "0"],
        ["--seed", "-1"],
        ["--metric", "nosuch"],
        ["--artifacts", "without-jobs"],
        *PLACES,
    ),
    "sweep": (
        ["--base", "nosuch"],
        ["--sizes", "0,50"],
        ["--sizes", "x"],
        ["--seeds", "0"],
        ["--learning-rate", "-1"],
        ["--learning-rate", "nan"],
        ["--rank", "0"],
        ["--layers", "top-0"],
        ["--minutes", "-1"],
        ["--minutes", "nan"],
        ["--hour-price", "-1"],
        ["--hour-price", "inf"],
        *PLACES,
        *ENDPOINT,
    ),
    "search": (
        ["--vary", "nosuch=1,2"],
        ["--vary", "rank"],
        ["--vary", "learning_rate=3..1"],
        ["--vary", "rank=0,1"],
        ["--trials", "1"],
        ["--seeds", "0"],
        ["--confirm", "1"],
        ["--minutes", "nan"],
        ["--base", "nosuch"],
    ),
    "baseline": (
        ["--split", "test"],
        ["--tuned", "nosuch"],
        ["--shots", "-1"],
        ["--document", "nosuch.txt"],
        ["--retrieved", "-1"],
        ["--limit", "-1"],
        ["--latency", "-1"],
        ["--per-hour", "-1"],
        ["--per-hour", "nan"],
        ["--per-hour", "inf"],
        *ENDPOINT,
    ),
    "eval": (["--model", "nosuch"], ["--split", "test"], ["--split", "nosuch"], *ENDPOINT),
    "train": (
        ["--issue", "nosuch"],
        ["--issue", ""],
        ["--extend", "-1"],
        ["--extend", "nan"],
        ["--metric", "nosuch"],
    ),
    "rows": (
        ["--issue", "nosuch"],
        ["--accept", "{row}", "--accept", "nosuch"],
        ["--accept", "{row}", "--reject", "nosuch"],
        ["--accept", "{row}", "--reject", "{row}"],
        ["--accept", "{row}", "--edit", "{row}", "--answer", " "],
        ["--edit", "{row}"],
        ["--request", "of no row"],
        ["--answer", "of no row"],
    ),
    "label": (
        ["nosuch", "--label", "{answer}=yes"],
        ["{issue}", "--model", "nosuch", "--label", "{answer}=yes"],
        ["{issue}", "--limit", "0"],
        ["{issue}", "--label", "{answer}=perhaps"],
        ["{issue}", "--label", "{answer}=yes", "--label", "nosuch=no"],
        ["{issue}", "--label", "{answer}=yes", "--file", "nosuch.jsonl"],
    ),
    "read": (
        ["--model", "nosuch", "--note", "{answer}=short"],
        ["--limit", "0"],
        ["--note", "{answer}=short", "--note", "nosuch=long"],
        ["--note", "{answer}"],
        ["--group", "mode=nosuch"],
        ["--rename", "nosuch=other"],
        ["--kind", "nosuch"],
        ["--by", "guessing"],
        ["--note", "{answer}=short", "--kind", "nosuch"],
        ["--rule", "rule = 'nosuch'"],
        ["--criterion", "Is it?"],
    ),
    "collect": (
        ["--model", "nosuch"],
        ["--limit", "0"],
        ["--prompts", "nosuch.txt"],
        ["--documents", "nosuch.txt"],
        ["--issue", "nosuch"],
        ["--templates", "nosuch.toml"],
        ["--pairs", "0"],
        ["--goal", "0"],
    ),
    "bench": (
        ["--tasks", "nosuch"],
        ["--model", "nosuch", "--tasks", "arc_easy"],
        ["--data", "nosuch"],
        ["--limit", "-1"],
        ["--shots", "-2"],
        ["--margin", "2"],
    ),
    "estimate": (["--check", "-5"],),
    "merge": (["--model", "nosuch"], ["--model", "base"]),
    "export": (
        ["--model", "nosuch"],
        ["--format", "nosuch"],
        ["--quantise", "q9", "--format", "gguf"],
        ["--margin", "-1"],
        ["--push", "no owner"],
        ["--public"],
    ),
    "gate": (
        ["--baseline", "nosuch"],
        ["--before", "nosuch.json"],
        ["--after", "nosuch.json"],
        ["--margin", "101"],
        ["--alpha", "0"],
        ["--coverage", "-1"],
    ),
    "report": (["--run", "nosuch"], ["--out", "no/such/folder/\0"]),
    "arena review": (
        ["base", "nosuch"],
        ["base", "final", "--split", "test"],
        ["base", "final", "--limit", "-1"],
        ["base", "final", "--repeats", "2"],
    ),
    "arena rules": (["base", "nosuch"], ["base", "base"]),
    "arena judge": (
        ["base", "final"],
        ["base", "final", "--split", "test"],
        ["base", "final", "--limit", "-1"],
    ),
    "judge run": (
        [],
        ["--model", "nosuch"],
        ["--split", "test"],
        ["--limit", "-1"],
    ),
    "judge label": (["--model", "nosuch"], ["--limit", "0"], ["--split", "test"]),
    "data export": (["nosuch"],),
    "suite draft": (["--out", "residency.toml"],),
}
"""Command → what it must refuse; every option with a value of its own is there."""

NO_WRONG_VALUE = {
    *(
        "--reader",
        "--person",
        "--who",
        "--reason",
        "--author",
        "--json",
        "--out",
        "--save",
        "--rater",
    ),
    *("--name", "--criterion"),
}
"""Options that take any text, and places to write to (``test_exit_codes.py``)."""


def read_project(root: Path) -> dict[str, str]:
    """Every file of a project but the store's, by its hash; of the store, every row."""
    out = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and not name.startswith(f"{FOLDER}/store.db") and path.suffix != ".lock":
            out[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    with sqlite3.connect(root / FOLDER / "store.db") as db:
        out["store"] = hashlib.sha256("\n".join(db.iterdump()).encode()).hexdigest()
    return out


@pytest.fixture(scope="module")
def project(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished project of this file; what every test here proves is that nothing changes it."""
    return copy_run(finished_run, tmp_path_factory.mktemp("wrong") / "project")


@pytest.fixture(scope="module")
def names(project: Path) -> dict[str, str]:
    """What a command line names of that project: an issue, a row that it drew, an answer."""
    store = Store(project, create=False)
    results = RunResults(store)
    rows = [p.example.id for p in store.proposals(results.run) if p.accepted and p.arm == "main"]
    answer = store.responses(results.final_id)[0].id
    issue = results.issues[0].issue.id
    store.close()
    return {"row": rows[0], "answer": answer, "issue": issue}


@pytest.mark.parametrize("command", WRONG)
def test_a_wrong_option_changes_nothing(
    command: str,
    project: Path,
    names: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    before = read_project(project)
    for options in WRONG[command]:
        words = [option.format(**names) for option in options]
        code = run_command_line([*command.split(), str(project), *words])
        told = capsys.readouterr()
        assert (code, "error: " in told.err) == (2, True), (words, code, told.out[-500:], told.err)
        assert read_project(project) == before, words
        assert list(tmp_path.iterdir()) == [], words


@pytest.mark.parametrize("command", WRONG)
def test_every_option_that_takes_a_value_is_tried(command: str) -> None:
    tried = {word for options in WRONG[command] for word in options if word.startswith("--")}
    found: Any = typer.main.get_command(build_app(command.split()[0]))
    for name in command.split():
        found = found.commands[name]
    takes = {
        parameter.opts[0]
        for parameter in found.params
        if parameter.param_type_name == "option" and not parameter.is_flag
    }
    assert takes - tried - NO_WRONG_VALUE - {"--help"} == set()


@pytest.mark.parametrize("options", [["--metric", "nosuch"], ["--base", "nosuch"], ["--jobs", "0"]])
def test_a_first_run_with_a_wrong_option_opens_nothing(
    options: list[str], finished_run: Path, tmp_path: Path
) -> None:
    root = copy_run(finished_run, tmp_path / "project")
    shutil.rmtree(root / FOLDER)
    assert run_command_line(["run", str(root), *options]) == 2
    store = Store(root)
    assert store.latest_run() is None
    assert [store.count(name) for name in ("runs", "examples", "records", "models")] == [0] * 4
    store.close()
