"""Do rows that a selector chooses mend more than as many random ones? Measured on sealed items.

    python benchmarks/targeting_bar.py DIR --task tickets --selector auto --selector embedding
    python benchmarks/targeting_bar.py DIR --task topics --data REALDATA
    python benchmarks/targeting_bar.py DIR --task subjects --data REALDATA

One first model is trained, as ``residency run`` does with one round; its open issues ask for rows.
Then, for each selector, ``--trainings`` trainings with its rows (other seeds) stand against as many
with random rows (other draws and other seeds), at equal numbers of rows. Every training answers
sealed items that nothing before has seen, and the product's own test of the two arms
(``ask_arms``: permutation of trainings and Welch's test) is asked of the issues that were aimed at
and of all the rest. Training, selection, issues and tests are the product's own functions.

Tasks: ``tickets``, the shipped example from another seed of its generator (``--seed 40`` is the
shipped one: look at it once); ``topics``, the title of a how-to text → one of 17 topics
(HellaSwag's validation set, its WikiHow part); ``subjects``, an examination question → one of 57
subjects (MMLU). ``--data`` names a folder that holds ``bench_hellaswag/hellaswag_val_full.txt.bz2``
and ``bench_mmlu/data/mmlu/test/*.csv``.

DIR is a project like any other; what was trained and answered is stored there, so an interrupted
call goes on where it stopped, and another selector reuses first model and random draws. Each
training's figures are also written to DIR/trainings.jsonl.
"""

from __future__ import annotations

import argparse
import bz2
import csv
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from residency import Project
from residency.diagnose.arm_questions import ArmQuestion, Checks, ask_arms
from residency.examples.tickets.generate import make_rows
from residency.interfaces import ProgressEvent
from residency.loop.aims import list_aims
from residency.loop.assess import Assessment, answer_and_assess, assess_stored_answers
from residency.loop.fine_tune import fine_tune_base
from residency.loop.item_outcomes import find_issue_outcomes, map_groups
from residency.loop.judge import is_open, sort_by_need
from residency.loop.sealed_arms import list_aimed_checks, list_other_checks
from residency.loop.select_rows import (
    draw_control,
    gather_failures,
    list_accepted_rows,
    propose_rows,
)
from residency.nouns.example import Example
from residency.nouns.issue import Issue
from residency.nouns.proposal import Proposal
from residency.project.dev_split import split_dev
from residency.project.named_models import find_model

Row = dict[str, Any]
EXAMPLE = Path(__file__).resolve().parents[1] / "src" / "residency" / "examples" / "tickets"
TOPICS = [
    "Personal Care and Style",
    "Family Life",
    "Food and Entertaining",
    "Computers and Electronics",
    "Health",
    "Home and Garden",
    "Finance and Business",
    "Pets and Animals",
    "Education and Communications",
    "Youth",
    "Sports and Fitness",
    "Relationships",
    "Work World",
    "Cars & Other Vehicles",
    "Travel",
    "Holidays and Traditions",
    "Philosophy and Religion",
]
"""The topics of HellaSwag's WikiHow part; its other labels name what a video shows."""

SETTINGS = """\
[project]
name = "{task}"
seed = 0
[model]
base = "{base}"
max_length = 320
[data]
train = ["data/train.jsonl"]
dev = ["data/dev.jsonl"]
test = ["data/test.jsonl"]
pool = ["data/pool.jsonl"]
[train]
layers = "{layers}"
epochs = {epochs}
learning_rate = {rate}
batch_size = 8
[generate]
max_new_tokens = {tokens}
[evaluate]
{suite}few_shot = 0
[diagnose]
tolerance = 0.1
detectors = ["repetition"]
[target]
rows_per_issue = 28
max_rows = {extra}
[rounds]
max = 1
"""


@dataclass(frozen=True)
class Task:
    """How large a task is, how long its answers are, and how many rows the second round adds."""

    sizes: Mapping[str, int]
    tokens: int
    extra: int
    base: str = "smollm2-135m"
    layers: str = "top-3"
    epochs: int = 3
    rate: float = 2e-3


TASKS = {
    "tickets": Task({"train": 260, "dev": 180, "test": 200, "pool": 1500}, 96, 150, "tiny", "all"),
    "topics": Task({"train": 400, "dev": 400, "test": 500, "pool": 2000}, 8, 100),
    "subjects": Task({"train": 400, "dev": 600, "test": 600, "pool": 3000}, 8, 120),
}


# --- tasks --------------------------------------------------------------------------------


def read_topics(data: Path) -> list[Row]:
    """Titles of HellaSwag's how-to texts: six lines an item, the first ``label: title. text``."""
    path = data / "bench_hellaswag" / "hellaswag_val_full.txt.bz2"
    lines = bz2.decompress(path.read_bytes()).decode().split("\n")
    rows = []
    for line in lines[::6]:
        label, _, text = line.partition(": ")
        title = text.partition(". ")[0]
        if label in TOPICS:
            rows.append({"instruction": "Topic?", "input": title, "response": label})
    return rows


def read_subjects(data: Path) -> list[Row]:
    """Rows of MMLU: the question, without its choices, the first 30 words, and the subject it belongs to."""
    rows = []
    for path in sorted((data / "bench_mmlu" / "data" / "mmlu" / "test").glob("*.csv")):
        subject = path.stem.removesuffix("_test").replace("_", " ")
        with path.open(encoding="utf-8", newline="") as file:
            for item in csv.DictReader(file):
                text = " ".join(item["question"].split()[:30])
                rows.append({"instruction": "Subject?", "input": text, "response": subject})
    return rows


def split_rows(rows: Sequence[Row], sizes: Mapping[str, int], seed: int) -> dict[str, list[Row]]:
    """Rows dealt out to the splits at random, each text once."""
    distinct = list({row["input"]: row for row in rows}.values())
    random.Random(seed).shuffle(distinct)
    splits, start = {}, 0
    for split, size in sizes.items():
        splits[split] = distinct[start : start + size]
        start += size
    return splits


def prepare_project(
    folder: Path, name: str, data: Path | None, seed: int, sizes: Mapping[str, int] | None = None
) -> None:
    """Write the project's settings and files, where they are not there yet.

    Args:
        sizes: rows of a split, in place of the task's.
    """
    if (folder / "residency.toml").exists():
        return
    task = TASKS[name]
    rows_of = {**task.sizes, **(sizes or {})}
    if name == "tickets":
        splits = {split: make_rows(split, size, seed=seed) for split, size in rows_of.items()}
    elif data is None:
        raise SystemExit(f"--task {name} needs --data")
    else:
        read = {"topics": read_topics, "subjects": read_subjects}[name]
        splits = split_rows(read(data), rows_of, seed)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / "data" / f"{split}.jsonl").write_text(text, encoding="utf-8")
    suite = ""
    if name == "tickets":
        (folder / "suite.toml").write_bytes((EXAMPLE / "suite.toml").read_bytes())
        suite = 'suite = "suite.toml"\n'
    settings = SETTINGS.format(
        task=name,
        base=task.base,
        layers=task.layers,
        epochs=task.epochs,
        rate=task.rate,
        tokens=task.tokens,
        extra=task.extra,
        suite=suite,
    )
    (folder / "residency.toml").write_text(settings, encoding="utf-8")


# --- first model, and what it asks for ----------------------------------------------------


@dataclass(frozen=True)
class FirstRound:
    """The first model on dev, its open issues, and their failures in the finding part of dev."""

    project: Project
    current: Assessment
    issues: Sequence[Issue]
    failing: Mapping[str, Sequence[Example]]


def train_first(folder: Path) -> FirstRound:
    """One round of the loop, or the one that is stored."""
    Project.open(folder, progress=tell).run()
    project = Project.open(folder, progress=tell)
    run = project.open_run()
    verdicts = project.store.verdicts(run)
    issues = [issue for issue in project.store.issues(run) if is_open(issue, verdicts)]
    current = assess_stored_answers(project, find_model(project, "final"), "dev")
    finding, _ = split_dev(project)
    return FirstRound(
        project,
        current,
        sort_by_need(issues, verdicts),
        gather_failures(issues, current, finding),
    )


def tell(event: ProgressEvent) -> None:
    """One line when a stage ends."""
    if event.total and event.done == event.total:
        print(f"  {event.stage}: {event.done} {event.unit}", flush=True)


# --- arms ---------------------------------------------------------------------------------


def train_arm(first: FirstRound, rows: Sequence[Example], arm: str, number: int) -> Assessment:
    """One training on train and these rows, answered on the sealed items."""
    project = first.project
    model = fine_tune_base(
        project,
        [*project.split("train"), *rows],
        round_=2,
        arm="control" if arm == "random" else "main",
        parent=None,
        note=f"{arm} {number}",
        seed=number,
        stage=f"{arm} {number}: train",
    )
    sealed = answer_and_assess(project, model, "test", stage=f"{arm} {number}: sealed items")
    keep_figures(first, sealed, arm, number, len(rows))
    return sealed


def keep_figures(first: FirstRound, sealed: Assessment, arm: str, number: int, rows: int) -> None:
    """One line in trainings.jsonl: the share of sealed items that fail each open issue."""
    path = first.project.root / "trainings.jsonl"
    told = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    line = {
        "model": sealed.model.id,
        "arm": arm,
        "number": number,
        "rows": rows,
        "metric": round(rate_primary(sealed), 4),
        "issues": {issue.title: round(rate_issue(issue, sealed), 4) for issue in first.issues},
    }
    text = json.dumps(line, ensure_ascii=False)
    if text not in told:
        with path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")


def rate_issue(issue: Issue, assessed: Assessment) -> float:
    """Share of the items of its slice that fail; one that was not scored fails."""
    outcomes = find_issue_outcomes(issue, assessed).values()
    return float(np.mean([bad is None or bad for bad in outcomes])) if outcomes else 0.0


def rate_primary(assessed: Assessment) -> float:
    """The primary metric, what was not scored counted as wrong."""
    primary = assessed.scores.primary
    return assessed.scores.score.floor if primary is None else primary.floor


def draw_rows(first: FirstRound, selector: str, size: int) -> list[Proposal]:
    """What the selector proposes and the firewall accepts, at most ``size``."""
    project = first.project
    proposals = propose_rows(
        project, first.issues, first.failing, first.current.model, selector=selector
    )
    return [proposal for proposal in proposals if proposal.accepted][:size]


def train_random(first: FirstRound, like: Sequence[Proposal], number: int) -> Assessment:
    """A training with as many random rows: a draw and a seed of its own."""
    drawn = draw_control(
        first.project,
        like,
        len(like),
        [],
        1000 * number,
        first.issues,
        first.current.model,
    )
    return train_arm(first, list_accepted_rows(drawn, "control"), "random", number)


# --- questions ----------------------------------------------------------------------------


def ask_about(
    control: Sequence[Assessment], targeted: Sequence[Assessment], aimed: Sequence[Issue]
) -> dict[str, ArmQuestion]:
    """The product's two questions: of the issues aimed at, and of all the rest."""
    everyone = [*control, *targeted]
    kinds = sorted({f.kind for one in everyone for f in one.findings if f.status == "fail"})
    groups = map_groups(targeted[0].examples)

    def ask(list_checks: Any) -> ArmQuestion:
        checks: list[Checks] = [list_checks(one, aimed, kinds, None) for one in everyone]
        return ask_arms(checks[: len(control)], checks[len(control) :], groups=groups)

    return {"aimed": ask(list_aimed_checks), "rest": ask(list_other_checks)}


def write_table(name: str, first: FirstRound, results: Mapping[str, Any]) -> str:
    """A Markdown table, a line a selector."""
    head = (
        "| selector | rows, issues | aimed at, sealed: random → targeted | fall, 95 % | p | one more"
        " draw | all open issues | the rest | metric |\n|---|---|---|---|---|---|---|---|---|"
    )
    lines = [f"{name}: {len(first.issues)} open issues", "", head]
    for selector, result in results.items():
        aimed, rest, every = result["aimed"].data, result["rest"].data, result["every"].data
        before, after = np.mean(result["aimed"].control), np.mean(result["aimed"].targeted)
        lines.append(
            f"| {selector} | {result['rows']}, {result['count']} | {100 * before:.1f} → "
            f"{100 * after:.1f} % of {result['aimed'].checks} | {100 * aimed.delta:+.1f} "
            f"[{100 * aimed.low:+.1f}, {100 * aimed.high:+.1f}] | {aimed.p_value:.3f} | "
            f"{aimed.draw_p:.3f} | {100 * every.delta:+.1f} (p {every.p_value:.2f}) | "
            f"{100 * rest.delta:+.1f} (p {rest.p_value:.2f}) | "
            f"{100 * result['metric'][0]:.1f} → {100 * result['metric'][1]:.1f} % |"
        )
    return "\n".join(lines)


def compare_selectors(
    first: FirstRound, selectors: Sequence[str], trainings: int, size: int
) -> dict[str, Any]:
    """Each selector's trainings against as many random draws, at equal rows."""
    drawn = {selector: draw_rows(first, selector, size) for selector in selectors}
    arms: dict[str, list[Assessment]] = {selector: [] for selector in selectors}
    controls: dict[int, list[Assessment]] = {len(rows): [] for rows in drawn.values()}
    for number in range(1, trainings + 1):
        for rows in drawn.values():
            if len(controls[len(rows)]) < number:
                controls[len(rows)].append(train_random(first, rows, number))
        for selector, rows in drawn.items():
            examples = list_accepted_rows(rows, "main")
            arms[selector].append(train_arm(first, examples, selector, number))
    results: dict[str, Any] = {}
    for selector, rows in drawn.items():
        aimed = list_aims(first.issues, rows, first.project.slices)
        control = controls[len(rows)]
        every = ask_about(control, arms[selector], first.issues)["aimed"]
        metric = [float(np.mean([rate_primary(o) for o in a])) for a in (control, arms[selector])]
        results[selector] = {
            **ask_about(control, arms[selector], aimed),
            "every": every,
            "rows": len(rows),
            "count": len(aimed),
            "metric": metric,
        }
    return results


def main() -> None:
    """Read the command line, compare, print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--task", choices=sorted(TASKS), default="tickets")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--selector", action="append", default=[])
    parser.add_argument("--trainings", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    prepare_project(options.folder, options.task, options.data, options.seed)
    first = train_first(options.folder)
    with first.project.store.writer("targeting bar"):
        results = compare_selectors(
            first, options.selector or ["auto"], options.trainings, TASKS[options.task].extra
        )
    print(write_table(f"{options.task}, seed {options.seed}", first, results))


if __name__ == "__main__":
    main()
