"""Readers of public preference data, for tests and benchmarks that check published figures.

The data are not part of the project: set ``RESIDENCY_REALDATA`` to a folder that holds
them (layout in docs/arena.md). Everything that needs them is skipped when they are absent.
"""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

from residency.evaluate.arena.votes import Outcome, Vote

ROOT = Path(os.environ.get("RESIDENCY_REALDATA", Path(__file__).parents[3] / "shared" / "realdata"))
ALPACA = ROOT / "pref_alpaca_eval"
VICUNA = ROOT / "pref_vicuna_blog_eval" / "eval" / "table"
PANDALM = ROOT / "pref_pandalm" / "data"
WHY = "public preference data are not here (RESIDENCY_REALDATA)"


def alpaca_models() -> list[str]:
    """Models of AlpacaEval whose annotations are here."""
    return sorted(p.parent.parent.name for p in ALPACA.glob("results/*/alpaca_eval_gpt4/*.json"))


def alpaca_votes(model: str) -> tuple[list[Vote], dict[str, str]]:
    """AlpacaEval 1.0 annotations of a model against text_davinci_003; and response texts."""
    path = ALPACA / "results" / model / "alpaca_eval_gpt4" / "annotations.json"
    outcomes: dict[Any, Outcome] = {1: "a", 2: "b", 0: "tie", 1.5: "tie"}
    votes, texts = [], {}
    for number, row in enumerate(json.loads(path.read_text())):
        outcome = outcomes.get(row["preference"], "skip")
        prompt = row["instruction"]
        first, second = f"{number}:reference", f"{number}:{model}"
        texts |= {first: row["output_1"], second: row["output_2"]}
        names = (row["generator_1"], row["generator_2"])
        votes.append(Vote(prompt, *names, outcome, "gpt4", response_a=first, response_b=second))
    return votes, texts


def alpaca_published() -> dict[str, dict[str, float]]:
    """AlpacaEval's published leaderboard rows by model, in per cent."""
    with (ALPACA / "alpaca_eval_gpt4_leaderboard.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {
        row[""]: {k: float(v) for k, v in row.items() if v and k not in ("", "mode")}
        for row in rows
    }


def vicuna_votes() -> tuple[list[Vote], dict[str, str]]:
    """GPT-4's pairwise reviews of seven models on 80 questions; and response texts."""
    names, texts = {}, {}
    for path in sorted((VICUNA / "answer").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            texts[row["answer_id"]] = row["text"]
            names[row["answer_id"]] = row["model_id"]
    votes = []
    for path in sorted((VICUNA / "review").rglob("*.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            first, second = row["answer1_id"], row["answer2_id"]
            x, y = row["score"]
            outcome: Outcome = "skip" if x < 0 else "a" if x > y else "b" if y > x else "tie"
            votes.append(
                Vote(
                    str(row["question_id"]),
                    names[first],
                    names[second],
                    outcome,
                    "gpt4",
                    response_a=first,
                    response_b=second,
                )
            )
    return votes, texts


def pandalm_rows() -> list[dict[str, Any]]:
    """PandaLM's test set: three people's labels and two judges' (0 tie, 1 first, 2 second)."""
    people = json.loads((PANDALM / "testset-v1.json").read_text())
    gpt = json.loads((PANDALM / "gpt-3.5-turbo-testset-v1.json").read_text())
    panda = json.loads((PANDALM / "pandalm-7b-testset-v1.json").read_text())
    rows = []
    for one, two, three in zip(people, gpt, panda, strict=True):
        assert one["idx"] == two["idx"] == three["idx"]
        rows.append(
            {
                "pair": one["cmp_key"],
                "people": [int(one[f"annotator{i}"]) for i in (1, 2, 3)],
                "gpt-3.5-turbo": _label(two["gpt_result"]),
                "pandalm-7b": _label(three["pandalm_result"]),
            }
        )
    return rows


def _label(raw: Any) -> int | None:
    """0, 1 or 2; None where the judge wrote something else."""
    return {"Tie": 0, "0": 0, "1": 1, "2": 2}.get(str(raw))
