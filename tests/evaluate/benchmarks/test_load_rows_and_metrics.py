"""Benchmark files in every layout, metrics, and the paired comparison of two models."""

from __future__ import annotations

import bz2
import csv
import json
import math
import random
from pathlib import Path
from typing import Any

import polars
import pytest
from typer.testing import CliRunner

from bench_rows import GivenSplits, all_rows, arc, hellaswag, mmlu, truthful
from residency.errors import FetchError, SuiteError, UserError
from residency.evaluate.benchmarks import load_rows
from residency.evaluate.benchmarks.compare_results import compare_results
from residency.evaluate.benchmarks.load_rows import HubSplits, LocalSplits
from residency.evaluate.benchmarks.prompts import write_contexts
from residency.evaluate.benchmarks.run_tasks import BenchResult, run_tasks
from residency.evaluate.benchmarks.score_items import average_items, item_values
from residency.evaluate.benchmarks.task import Question
from residency.evaluate.benchmarks.task_registry import TASKS, find_tasks
from residency.interfaces import Choice, ChoiceScore, Progress, no_progress
from residency.store.record_kind import RecordKind


class Guesser:
    """A scorer whose log-likelihoods depend on the text alone, and on a seed."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.asked = 0

    def score(self, requests: Any, *, progress: Progress = no_progress) -> list[list[ChoiceScore]]:
        """One number a choice."""
        self.asked += len(requests)
        return [[self._one(choice) for choice in request] for request in requests]

    def _one(self, choice: Choice) -> ChoiceScore:
        value = -20 * random.Random(f"{self.seed}{choice.context}{choice.continuation}").random()
        return ChoiceScore(value, 3, False)


def test_names_stand_for_one_or_many_tasks() -> None:
    assert len(TASKS) == 6 + 57
    assert len(find_tasks(["mmlu"])) == 57
    assert len(find_tasks(["mmlu_stem"])) == 19
    assert [t.name for t in find_tasks(["arc", "arc_easy"])] == ["arc_easy", "arc_challenge"]
    assert [t.name for t in find_tasks(["truthfulqa"])] == ["truthfulqa_mc1", "truthfulqa_mc2"]
    with pytest.raises(SuiteError, match="unknown benchmark 'mmlux'"):
        find_tasks(["mmlux"])


# --- layouts -----------------------------------------------------------------------------------


def write_csv(path: Path, rows: list[list[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def write_json(path: Path, rows: Any, *, lines: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(json.dumps(row) for row in rows) if lines else json.dumps(rows)
    path.write_text(text, encoding="utf-8")


def questions(folder: Path, name: str, splits: tuple[str, ...] | None = None) -> list[Question]:
    task = TASKS[name]
    return [task.read(row) for row in LocalSplits(folder).rows(task, splits or task.test)]


def test_arc_in_three_layouts(tmp_path: Path) -> None:
    rows = arc(12, 3)
    task = TASKS["arc_challenge"]
    expected = [task.read(row) for row in rows]
    hub = tmp_path / "hub" / "ai2_arc" / "ARC-Challenge"
    hub.mkdir(parents=True)
    polars.DataFrame(rows).write_parquet(hub / "test-00000-of-00001.parquet")
    polars.DataFrame(rows[:2]).write_parquet(hub / "train-00000-of-00001.parquet")
    polars.DataFrame(rows[:1]).write_parquet(tmp_path / "hub" / "ai2_arc" / "test-ARC-Easy.parquet")
    assert questions(tmp_path / "hub", "arc_challenge") == expected
    assert questions(tmp_path / "hub", "arc_challenge", ("train",)) == expected[:2]
    original = [
        {
            "id": row["id"],
            "question": {
                "stem": row["question"],
                "choices": [
                    {"text": text, "label": label}
                    for text, label in zip(
                        row["choices"]["text"], row["choices"]["label"], strict=True
                    )
                ],
            },
            "answerKey": row["answerKey"],
        }
        for row in rows
    ]
    write_json(
        tmp_path / "own" / "ARC-Challenge" / "ARC-Challenge-Test.jsonl", original, lines=True
    )
    assert questions(tmp_path / "own", "arc_challenge") == expected
    told = [
        {
            "instruction": "Please choose the correct answer to the question: "
            + row["question"]
            + "\n\n"
            + " ".join(f"Answer{at}: {t}" for at, t in enumerate(row["choices"]["text"], 1))
            + "\n\nAnswer format: answer1/answer2",
            "answer": f"answer{row['choices']['label'].index(row['answerKey']) + 1}",
        }
        for row in rows
    ]
    write_json(tmp_path / "told" / "ARC-Challenge" / "test.json", told)
    assert questions(tmp_path / "told", "arc_challenge") == expected


def test_mmlu_with_and_without_a_header(tmp_path: Path) -> None:
    rows = mmlu(6, 2)
    expected = [TASKS["mmlu_anatomy"].read(row) for row in rows]
    plain = [[r["question"], *r["choices"], "ABCD"[r["answer"]]] for r in rows]
    write_csv(tmp_path / "a" / "mmlu" / "test" / "anatomy_test.csv", plain)
    write_csv(tmp_path / "a" / "mmlu" / "dev" / "anatomy_dev.csv", plain[:2])
    header = ["question", "choice0", "choice1", "choice2", "choice3", "answer"]
    numbered = [[r["question"], *r["choices"], r["answer"]] for r in rows]
    write_csv(tmp_path / "b" / "mmlu" / "test" / "anatomy_test.csv", [header, *numbered])
    write_csv(tmp_path / "b" / "mmlu" / "test" / "college_anatomy_test.csv", [header])
    write_json(tmp_path / "c" / "mmlu" / "anatomy" / "test.jsonl", rows, lines=True)
    for folder in "abc":
        assert questions(tmp_path / folder, "mmlu_anatomy") == expected
    assert questions(tmp_path / "a", "mmlu_anatomy", ("dev",)) == expected[:2]


def test_hellaswag_as_json_lines_and_as_text(tmp_path: Path) -> None:
    rows = hellaswag(5, 1)
    write_json(tmp_path / "a" / "hellaswag_val.jsonl", rows, lines=True)
    task = TASKS["hellaswag"]
    assert questions(tmp_path / "a", "hellaswag") == [task.read(row) for row in rows]
    text = "Roof work: A man sits. he\n3\nis one.\nis two.\nis three.\nis four.\n"
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "hellaswag_val_full.txt.bz2").write_bytes(bz2.compress(text.encode()))
    (found,) = questions(tmp_path / "b", "hellaswag")
    assert found.text == "Roof work: A man sits. He"
    assert found.choices == ("is one.", "is two.", "is three.", "is four.")
    assert found.gold == 3


@pytest.mark.parametrize(
    ("line", "prompt"),
    [
        ("Golf: He hits the ball. the man in red", "Golf: He hits the ball. The man in red"),
        ("Work: [header] How to use HDMI [title] Find a TV. Plug in HDMI.",
         "Work: How to use HDMI. Find a TV. Plug in HDMI."),
        ("Work: [header] How to call [title] Ask Bob. e.g. [step] Call NASA",
         "Work: How to call. Ask Bob. e.g. Call NASA"),
        ("Work: You like NASA. NASA likes Bob. Ask NASA", "Work: You like NASA. NASA likes Bob. Ask NASA"),
    ],
)  # fmt: skip
def test_hellaswag_as_text_is_asked_as_it_is_written(
    tmp_path: Path, line: str, prompt: str
) -> None:
    text = f"{line}\n3\nis one.\nis two.\nis three.\nis four.\n"
    (tmp_path / "hellaswag_val.txt").write_text(text)
    (found,) = questions(tmp_path, "hellaswag")
    assert found.text == prompt


def test_truthfulqa_from_its_own_csv(tmp_path: Path) -> None:
    header = ["Type", "Category", "Question", "Best Answer", "Correct Answers", "Incorrect Answers"]
    row = ["x", "y", "What flies?", "A bird", "A bird; Some fish", "A stone; A dog;"]
    write_csv(tmp_path / "TruthfulQA" / "TruthfulQA.csv", [header, row])
    (one,) = questions(tmp_path, "truthfulqa_mc1")
    assert one.choices == ("A bird", "A stone", "A dog")
    assert one.text.endswith("Barcelona, Spain.\n\nQ: What flies?\nA:")
    (two,) = questions(tmp_path, "truthfulqa_mc2")
    assert two.choices == ("A bird", "Some fish", "A stone", "A dog")
    assert two.labels == (True, True, False, False)


def test_files_that_do_not_fit_are_named_with_their_row(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="no such folder"):
        LocalSplits(tmp_path / "none")
    with pytest.raises(SuiteError, match="allenai/ai2_arc"):
        questions(tmp_path, "arc_easy")
    bad = [*arc(2, 1), {"question": "no choices", "answerKey": "A"}]
    write_json(tmp_path / "ARC-Easy" / "test.jsonl", bad, lines=True)
    with pytest.raises(SuiteError, match=r"test\.jsonl row 3"):
        questions(tmp_path, "arc_easy")
    (tmp_path / "ARC-Easy" / "test.jsonl").write_text('{"question":')
    with pytest.raises(SuiteError, match="cannot be read"):
        questions(tmp_path, "arc_easy")


def test_a_hub_that_cannot_be_reached_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fail(address: str) -> None:
        asked.append(address)
        raise OSError("no route to host\nmore")

    monkeypatch.setattr(load_rows, "read_hub_rows", fail)
    with pytest.raises(FetchError, match="no route to host"):
        HubSplits().rows(TASKS["mmlu_anatomy"], ("test",))
    assert asked == ["hf://datasets/cais/mmlu/anatomy/test-*.parquet"]


# --- shots and metrics -------------------------------------------------------------------------


def test_examples_do_not_depend_on_the_number_of_items() -> None:
    task, rows, pool = TASKS["arc_easy"], arc(9, 3), arc(40, 1)
    assert write_contexts(task, rows, pool, 4)[:3] == write_contexts(task, rows[:3], pool, 4)
    with pytest.raises(SuiteError, match="the pool holds 3"):
        write_contexts(task, rows, pool[:3], 4)


def test_an_item_is_never_its_own_example() -> None:
    rows = hellaswag(8, 2)
    task = TASKS["hellaswag"]
    for row, context in zip(rows, write_contexts(task, rows, rows, 5), strict=True):
        assert context.count(task.read(row).text) == 1


def test_metrics_by_hand() -> None:
    question = Question("Q", ("aa", "bbbbbbbb", "c"), gold=1, labels=(True, True, False))
    scores = [ChoiceScore(math.log(p), 1, False) for p in (0.3, 0.2, 0.1)]
    values = item_values(question, scores)
    assert values["acc"] == values["mc1"] == 0.0
    assert values["acc_norm"] == 1.0  # log .2 / 8 is the largest
    assert values["mc2"] == pytest.approx(0.5 / 0.6)
    found = average_items([1.0, 0.0, 1.0, 1.0])
    assert (found.value, found.n) == (0.75, 4)
    assert found.stderr == pytest.approx(0.5 / 2)
    assert math.isnan(average_items([1.0]).stderr)


# --- comparison --------------------------------------------------------------------------------


def results(seed: int, shots: int = 2) -> BenchResult:
    rows = {k: v for k, v in all_rows().items() if not k.startswith("truthful")}
    return run_tasks(find_tasks(list(rows)), GivenSplits(rows), Guesser(seed), shots=shots)


def test_results_survive_the_store() -> None:
    found = results(1)
    assert BenchResult.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert found.metrics["mmlu"]["acc"].n == 7 + 9 + 5
    assert found.metrics["mmlu_stem"]["acc"].n == 7 + 9
    assert "mmlu_other" not in found.metrics  # one subject is no group


def test_pain_22_forgetting_has_an_answer_with_an_interval() -> None:
    same = compare_results(results(1), results(1), margin=0.6)
    assert {d.status for d in same} == {"kept"}
    assert all(d.delta == 0 and d.low < 0 < d.high and d.p_value == 1 for d in same)
    tight = compare_results(results(1), results(1), margin=0.001)
    assert {d.status for d in tight} == {"inconclusive"}  # nine items cannot show so little


def test_pain_24_differences_are_paired() -> None:
    before, after = results(1), results(2)
    for d in compare_results(before, after):
        items = [
            (a.values[d.metric], b.values[d.metric])
            for a, b in zip(before.items, after.items, strict=True)
            if d.task in (a.task, *TASKS[a.task].groups)
        ]
        assert d.n == len(items)
        assert d.fixed == sum(b > a for a, b in items)
        assert d.broken == sum(b < a for a, b in items)
        assert d.delta == pytest.approx((d.fixed - d.broken) / d.n)
        assert d.low <= d.delta <= d.high
    with pytest.raises(SuiteError, match="another prompt"):
        compare_results(before, results(1, shots=1))


def test_the_interval_covers_as_often_as_it_says() -> None:
    """1000 simulated pairs of models with a true loss of 5 points on 400 items."""
    rng = random.Random(0)
    base = results(1)
    first = next(item for item in base.items if item.task == "arc_easy")
    covered = 0
    trials = 1000
    for _ in range(trials):
        olds, news = [], []
        for at in range(400):
            old = float(rng.random() < 0.6)
            flip = rng.random()
            new = 1 - old if flip < (0.15 if old else 0.10) else old
            for value, out in ((old, olds), (new, news)):
                item = type(first)(**{**vars(first), "index": at, "values": {"acc": value}})
                out.append(item)
        metrics = {"arc_easy": {"acc": average_items([i.values["acc"] for i in news])}}
        (d,) = compare_results(BenchResult({}, olds, {}), BenchResult(metrics, news, {}))
        covered += d.low <= -0.6 * 0.15 + 0.4 * 0.10 <= d.high
    assert covered / trials == pytest.approx(0.95, abs=0.02)


# --- the command -------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    from small import save_model, save_project

    folder = tmp_path / "project"
    save_project(folder, save_model(tmp_path / "model"))
    data = folder / "bench"
    write_json(data / "ARC-Easy" / "test.jsonl", arc(6, 3), lines=True)
    write_json(data / "ARC-Easy" / "train.jsonl", arc(9, 1), lines=True)
    write_json(data / "truthful_qa" / "validation.jsonl", truthful(5, 2), lines=True)
    return folder


def test_bench_measures_stores_and_compares(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from residency.commands.bench import bench
    from residency.commands.project import Project

    ws = Project.open(project)
    names = ["arc_easy", "truthfulqa"]
    report = bench(
        ws, names, data=str(project / "bench"), limit=4, shots=2, models=["base", "base"]
    )
    assert [m.stored for m in report.models] == [False, True]
    assert {d.delta for d in report.differences[0]} == {0.0}
    assert len(ws.store.records(RecordKind.BENCHMARK, report.models[0].model.id)) == 1
    runner = CliRunner()
    from residency.cli.app import build_app

    arguments = [str(project), "--tasks", "arc_easy,truthfulqa", "--limit", "4", "--shots", "2"]
    arguments += ["--data", str(project / "bench")]
    shown = runner.invoke(build_app("bench"), ["bench", *arguments, "--json", "--items"])
    assert shown.exit_code == 0, shown.output
    raw = json.loads(shown.stdout)
    assert len(raw["models"][0]["items"]) == 4 + 4 + 4
    twice = ["--model", "base", "--model", "base", "--margin", "0.01"]
    table = runner.invoke(build_app("bench"), ["bench", *arguments, *twice])
    assert "arc_easy" in table.stdout
    assert "mc2" in table.stdout
    told = " ".join(table.stdout.split())
    assert "base against base, same items; kept: no loss beyond 1 points" in told
    assert "inconclusive" in told  # four items exclude no loss of a point
    assert runner.invoke(build_app("bench"), ["bench", *arguments, "--limit", "-1"]).exit_code == 2


def test_bench_says_where_files_can_be_named(project: Path) -> None:
    from residency.commands.bench import bench
    from residency.commands.project import Project

    ws = Project.open(project)
    with pytest.raises(UserError, match="no benchmark files") as caught:
        bench(ws, ["arc_easy"])
    assert "--data" in caught.value.next_step


def test_pain_22_a_run_says_at_its_end_what_was_forgotten(project: Path) -> None:
    from residency.cli.app import build_app
    from residency.commands.project import Project

    settings = project / "residency.toml"
    guard = 'guard = ["arc_easy"]\nguard_items = 5\n'  # the file ends with the section rounds
    text = settings.read_text() + guard
    settings.write_text(text)
    ws = Project.open(project)
    with pytest.raises(UserError, match="no benchmark files"):
        ws.run()
    assert ws.store.rounds(ws.run_id) == []  # it says so before any work

    settings.write_text(text.replace("[data]\n", '[data]\nbenchmarks = "bench"\n'))
    done = Project.open(project).run()
    assert done.forgetting is not None
    found = {row["metric"]: row["n"] for row in done.forgetting.differences}
    assert found == {"acc": 5, "acc_norm": 5}
    shown = CliRunner().invoke(build_app("status"), ["status", str(project)])
    assert "final against base, same items" in " ".join(shown.stdout.split())
