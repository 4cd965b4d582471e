"""Benchmark items near training rows are found, and scored apart; the hub is asked only by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bench_rows import arc, truthful
from residency.cli.app import build_app
from residency.commands.check import check
from residency.errors import FetchError
from residency.evaluate.benchmarks import load_rows
from residency.evaluate.benchmarks.load_rows import LocalSplits
from residency.evaluate.benchmarks.task_registry import TASKS
from residency.loop.benchmark_contamination import contaminated_items, write_question
from residency.nouns.example import Example, Message
from small import save_model, save_project

LONG = (
    "Which of these explains best why the moon shows the same side to the earth at all times, "
    "although it turns about itself as every other moon of the planets does?"
)


def lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def planted(folder: Path) -> list[dict[str, Any]]:
    rows = arc(8, 3)
    rows[2]["question"] = LONG
    lines(folder / "ARC-Easy" / "test.jsonl", rows)
    lines(folder / "ARC-Easy" / "train.jsonl", arc(9, 1))
    return rows


def asked(text: str) -> Example:
    return Example((Message("user", text), Message("assistant", "Because it is so.")))


def near(tmp_path: Path, text: str) -> dict[str, frozenset[int]]:
    planted(tmp_path)
    task = TASKS["arc_easy"]
    others = [asked(f"What shall row number {n} of the {n * n} rows be about?") for n in range(30)]
    return contaminated_items(
        [*others, asked(text)], [task], LocalSplits(tmp_path), {"arc_easy": list(range(8))}
    )


def test_pain_23_a_leak_of_each_kind_is_found(tmp_path: Path) -> None:
    words = LONG.split()
    run = " ".join(words[5:18])
    assert near(tmp_path, LONG) == {"arc_easy": frozenset({2})}
    assert near(tmp_path, f"Quite another thing, but {run} was in it") == {
        "arc_easy": frozenset({2})
    }
    assert near(tmp_path, " ".join(words[:-3]) + " perhaps?") == {"arc_easy": frozenset({2})}
    near_duplicate = [*words]
    near_duplicate[-1] = "did?"
    assert near(tmp_path, " ".join(near_duplicate)) == {"arc_easy": frozenset({2})}
    assert near(tmp_path, "Why does the moon always show us the same side?") == {}


def test_only_items_that_were_asked_count(tmp_path: Path) -> None:
    planted(tmp_path)
    task = TASKS["arc_easy"]
    found = contaminated_items([asked(LONG)], [task], LocalSplits(tmp_path), {"arc_easy": [0, 1]})
    assert found == {}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    save_project(folder, save_model(tmp_path / "model"))
    planted(folder / "bench")
    return folder


def run(*arguments: str) -> Any:
    return CliRunner().invoke(build_app("bench"), ["bench", *arguments])


def test_scores_are_shown_apart(project: Path) -> None:
    options = ["--tasks", "arc_easy", "--shots", "0", "--data", str(project / "bench")]
    clean = run(str(project), *options, "--json", "--items")
    assert clean.exit_code == 0, clean.output
    body = json.loads(clean.stdout)
    assert body["contaminated"] == {} and body["separated"] == []
    assert "no item comes near" in run(str(project), *options).stdout

    config = (project / "residency.toml").read_text()
    leaked = {"instruction": LONG, "response": "Because it is so."}
    lines(project / "leaked.jsonl", [leaked])
    (project / "residency.toml").write_text(
        config.replace("train = [", 'train = ["leaked.jsonl", ', 1)
    )
    body = json.loads(run(str(project), *options, "--json", "--items").stdout)
    assert body["contaminated"] == {"arc_easy": 1}
    [apart] = body["separated"]
    values = [item["values"]["acc"] for item in body["models"][0]["items"]]
    bad, good = values.pop(2), values
    assert apart["contaminated"]["arc_easy"]["acc"]["value"] == bad
    assert apart["contaminated"]["arc_easy"]["acc"]["n"] == 1
    assert apart["clean"]["arc_easy"]["acc"]["value"] == pytest.approx(sum(good) / 7)
    assert apart["clean"]["arc_easy"]["acc"]["n"] == 7
    shown = run(str(project), *options).stdout
    assert "contaminated" in shown


def test_the_hub_is_read_when_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the network is replaced."""
    fetched: list[str] = []

    def hub(address: str) -> list[dict[str, Any]]:
        fetched.append(address)
        if "truthful_qa" in address:
            return list(truthful(3, 2))
        if "ARC-Easy" in address:
            return [*arc(4, 3), {**arc(1, 5)[0], "question": LONG}]
        if "ai2_arc" in address:
            return list(arc(4, 4))
        if "hellaswag" in address:
            from bench_rows import hellaswag

            return list(hellaswag(4, 1))
        from bench_rows import mmlu

        return list(mmlu(3, 1))

    monkeypatch.setattr(load_rows, "read_hub_rows", hub)
    rows = [
        {"instruction": f"What is row {n} about?", "response": f"About {n}."} for n in range(20)
    ]
    lines(tmp_path / "rows.jsonl", [*rows, {"instruction": LONG, "response": "So it is."}])
    assert not fetched
    report = check(tmp_path / "rows.jsonl", benchmarks=Path("hub")).report
    assert set(report.benchmarks) == {"ARC", "HellaSwag", "MMLU", "TruthfulQA"}
    [leak] = report.leaks
    assert (leak.benchmark, leak.source) == ("ARC", "rows.jsonl:21")
    assert "hf://datasets/allenai/ai2_arc/ARC-Easy/test-*.parquet" in fetched

    def silent(address: str) -> list[dict[str, Any]]:
        raise OSError("no route to host")

    monkeypatch.setattr(load_rows, "read_hub_rows", silent)
    with pytest.raises(FetchError, match="no route to host"):
        check(tmp_path / "rows.jsonl", benchmarks=Path("hub"))


def test_a_question_stands_without_its_frame() -> None:
    assert write_question(TASKS["arc_easy"], {"question": "Why?"}) == "Why?"
    row = {
        "activity_label": "Tea",
        "ctx_a": "Water [title] boils.",
        "ctx_b": "then",
        "endings": ["a"],
        "label": "0",
    }
    assert write_question(TASKS["hellaswag"], row) == "Tea: Water. boils. Then"
