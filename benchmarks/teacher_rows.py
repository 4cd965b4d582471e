"""What rows that a teacher makes are worth: against pool rows picked for the same issues, and random ones.

    python benchmarks/teacher_rows.py DIR [--pool 1500] [--wrong 0] [--wrong 0.3] [--trainings 4] [--seed 1]

A first model is trained on the tickets example with the base ``tiny``; its open issues pick pool
rows (``auto``). Then every arm trains train and as many further rows: random pool rows, the picked
ones, or rows that a teacher wrote after the picked ones with the product's own functions (prompt,
reading of answers, repeats, firewall). The teacher is a script: it writes a new message of the kind
that the first seed of the prompt has. ``--wrong`` is the share of its rows with one wrong field.
``--pool`` makes the pool smaller, so that the issues find few rows in it.

Each arm is trained several times and answers sealed items; the tests compare trainings, not items.
Unlike ``targeting_bar.py``, all arms are compared on the same issues: those that the picked rows were for.
DIR is a project like any other, and an interrupted call goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from residency.commands.collect import screen_new_rows
from residency.examples.tickets.generate import make_rows
from residency.interfaces import Generation, Progress, Prompt, no_progress
from residency.loop.aims import list_aims
from residency.loop.assess import Assessment
from residency.loop.select_rows import list_accepted_rows
from residency.nouns.example import Example
from residency.nouns.proposal import Proposal
from residency.nouns.response import Sampling
from residency.targeting.teacher import write_like_seeds
from targeting_bar import (
    TASKS,
    FirstRound,
    ask_about,
    draw_rows,
    prepare_project,
    rate_primary,
    train_arm,
    train_first,
    train_random,
)

FIELDS = ("product", "problem", "urgency", "order", "request", "name")


class ScriptedTeacher:
    """A teacher that knows the task: a new message with the tags of the first seed it is shown."""

    def __init__(self, pool: Sequence[Example], wrong: float, seed: int) -> None:
        self._tags = {row.prompt[-1].input: frozenset(row.tags) for row in pool}
        self._rows = make_rows("pool", 20_000, seed=1_000_000 + seed)
        self._random = random.Random(seed)
        self._wrong = wrong

    def generate(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        *,
        on_result: Callable[[int, Generation], None] | None = None,
        progress: Progress = no_progress,
    ) -> list[Generation]:
        """One JSON object for each prompt."""
        return [Generation(self._write(prompt.messages[-1].content)) for prompt in prompts]

    def _write(self, request: str) -> str:
        first = next(part for part in request.split("\n\n") if part.startswith("{"))
        wanted = self._tags[json.loads(first)["input"]]

        def count_shared(number: int) -> float:
            tags = frozenset(self._rows[number]["tags"])
            return len(tags & wanted) / len(tags | wanted)

        row = self._rows.pop(max(range(len(self._rows)), key=count_shared))
        response = row["response"]
        if self._random.random() < self._wrong:
            response = self._spoil(response)
        return json.dumps({"input": row["input"], "response": response}, ensure_ascii=False)

    def _spoil(self, response: str) -> str:
        """One field takes the value of another ticket."""
        field = self._random.choice(FIELDS)
        lines = dict(line.split(": ", 1) for line in response.split("\n"))
        while True:
            other = self._random.choice(self._rows)["response"].split("\n")
            value = dict(line.split(": ", 1) for line in other)[field]
            if value != lines[field]:
                lines[field] = value
                return "\n".join(f"{name}: {text}" for name, text in lines.items())


def write_rows(first: FirstRound, picked: Sequence[Proposal], wrong: float) -> list[Example]:
    """As many rows as were picked, issue by issue, each issue's seeds being its picked rows."""
    project = first.project
    teacher = ScriptedTeacher(project.split("pool"), wrong, seed=int(100 * wrong))
    rows: list[Example] = []
    for issue in first.issues:
        seeds = [proposal for proposal in picked if proposal.issue == issue.id]
        written = write_like_seeds(
            issue,
            seeds,
            teacher,
            count=len(seeds) + 20,  # some repeat others or come near dev and test
            name="script",
            sampling=Sampling(max_new_tokens=400),
        )
        accepted, refused = screen_new_rows(project, written.examples)
        rows += accepted[: len(seeds)]
        print(
            f"  {issue.title}: {len(seeds)} seeds, {len(accepted)} rows written, "
            f"{len(refused)} refused, {len(written.failed)} not used"
        )
    return rows


def compare_arms(first: FirstRound, wrongs: Sequence[float], trainings: int, size: int) -> str:
    """Every arm's trainings at equal rows, and the table of the questions."""
    picked = draw_rows(first, "auto", size)
    arms: dict[str, list[Example]] = {"picked": list_accepted_rows(picked, "main")}
    for wrong in wrongs:
        name = f"teacher, {100 * wrong:.0f} % wrong" if wrong else "teacher"
        arms[name] = write_rows(first, picked, wrong)
    least = min(len(rows) for rows in arms.values())
    picked = picked[:least]
    arms = {name: rows[:least] for name, rows in arms.items()}
    control: list[Assessment] = []
    trained: dict[str, list[Assessment]] = {name: [] for name in arms}
    for number in range(1, trainings + 1):
        control.append(train_random(first, picked, number))
        for name, rows in arms.items():
            trained[name].append(train_arm(first, rows, name, number))
    aimed = list_aims(first.issues, picked, first.project.slices)
    lines = [
        f"{least} rows, {len(aimed)} issues, {trainings} trainings of each arm",
        "",
        "| rows | aimed at, sealed: random → these | fall, 95 % | p | the rest | metric |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join(
        [*lines, *(write_line(name, control, one, aimed) for name, one in trained.items())]
    )


def write_line(
    name: str, control: Sequence[Assessment], targeted: Sequence[Assessment], aimed: Any
) -> str:
    """An arm's line of the table."""
    asked: Mapping[str, Any] = ask_about(control, targeted, aimed)
    data, rest = asked["aimed"].data, asked["rest"].data
    before, after = np.mean(asked["aimed"].control), np.mean(asked["aimed"].targeted)
    metric = [100 * float(np.mean([rate_primary(one) for one in a])) for a in (control, targeted)]
    return (
        f"| {name} | {100 * before:.1f} → {100 * after:.1f} % of {asked['aimed'].checks} | "
        f"{100 * data.delta:+.1f} [{100 * data.low:+.1f}, {100 * data.high:+.1f}] | "
        f"{data.p_value:.3f} | {100 * rest.delta:+.1f} (p {rest.p_value:.2f}) | "
        f"{metric[0]:.1f} → {metric[1]:.1f} % |"
    )


def main() -> None:
    """Read the command line, compare, print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pool", type=int, default=1500)
    parser.add_argument("--wrong", type=float, action="append", default=[])
    parser.add_argument("--trainings", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    task = TASKS["tickets"]
    prepare_project(options.folder, "tickets", None, options.seed, {"pool": options.pool})
    first = train_first(options.folder)
    with first.project.store.writer("teacher rows"):
        wrongs = options.wrong or [0.0]
        table = compare_arms(first, wrongs, options.trainings, task.extra)
    print(f"tickets, seed {options.seed}, pool of {options.pool}: {table}")


if __name__ == "__main__":
    main()
