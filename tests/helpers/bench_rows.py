"""A few benchmark rows written for the tests, in the hub's layouts, and lm-eval's own answers."""

from __future__ import annotations

import random
from typing import Any

ANIMALS = ("bird", "fish", "dog", "frog", "snake", "horse")
DOES = ("flies", "swims", "barks", "jumps high", "crawls in the grass", "runs")

Rows = dict[str, dict[str, list[dict[str, Any]]]]


def arc(count: int, seed: int) -> list[dict[str, Any]]:
    """Three to five choices; some are labelled by numbers, as in the real data."""
    rng = random.Random(seed)
    out = []
    for at in range(count):
        size = rng.choice((3, 4, 4, 4, 5))
        picked = rng.sample(range(6), size)
        gold = rng.randrange(size)
        labels = list("12345" if at % 5 == 4 else "ABCDE")[:size]
        out.append(
            {
                "id": f"q{seed}-{at}",
                "question": f"What does the {ANIMALS[picked[gold]]} number {at} do?",
                "choices": {"text": [DOES[p] for p in picked], "label": labels},
                "answerKey": labels[gold],
            }
        )
    return out


def hellaswag(count: int, seed: int) -> list[dict[str, Any]]:
    """With the marks that the benchmark's cleaning removes, and double spaces."""
    rng = random.Random(seed)
    out = []
    for at in range(count):
        picked = rng.sample(range(6), 4)
        out.append(
            {
                "ind": at,
                "activity_label": rng.choice(("Walking a dog", "Making tea")),
                "ctx_a": f"[header] How to see a {ANIMALS[picked[0]]} [title] Look  twice {at}.",
                "ctx_b": rng.choice(("the animal", "")),
                "endings": [f"{DOES[p]} [step] and then it rests  there." for p in picked],
                "label": str(rng.randrange(4)),
            }
        )
    return out


def mmlu(count: int, seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    out = []
    for at in range(count):
        picked = rng.sample(range(6), 4)
        out.append(
            {
                "question": f" Which of these is true of animal {at}?\n",
                "choices": [DOES[p] for p in picked],
                "answer": rng.randrange(4),
            }
        )
    return out


def truthful(count: int, seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    out = []
    for at in range(count):
        picked = rng.sample(range(6), 5)
        texts = [f"It {DOES[p]}" for p in picked]
        out.append(
            {
                "question": f"What does a {ANIMALS[at % 6]} do?",
                "mc1_targets": {"choices": texts[:4], "labels": [1, 0, 0, 0]},
                "mc2_targets": {"choices": texts, "labels": [1, 1, 0, 0, 0]},
            }
        )
    return out


def all_rows() -> Rows:
    """Task name → split → rows."""
    return {
        "arc_easy": {"train": arc(40, 1), "validation": arc(3, 2), "test": arc(9, 3)},
        "arc_challenge": {"train": arc(40, 4), "validation": arc(3, 5), "test": arc(9, 6)},
        "hellaswag": {"train": hellaswag(30, 7), "validation": hellaswag(9, 8)},
        "mmlu_anatomy": {"dev": mmlu(5, 9), "validation": mmlu(3, 10), "test": mmlu(7, 11)},
        "mmlu_astronomy": {"dev": mmlu(5, 12), "validation": mmlu(3, 13), "test": mmlu(9, 14)},
        "mmlu_virology": {"dev": mmlu(5, 15), "validation": mmlu(3, 16), "test": mmlu(5, 17)},
        "truthfulqa_mc1": {"validation": truthful(9, 18)},
        "truthfulqa_mc2": {"validation": truthful(9, 18)},
    }


class GivenSplits:
    """Rows handed over in memory."""

    def __init__(self, rows: Rows) -> None:
        self.given = rows

    def rows(self, task: Any, splits: Any) -> list[dict[str, Any]]:
        """The first of the splits that is there."""
        found = self.given[task.name]
        return next(found[split] for split in splits if split in found)


def harness(
    rows: Rows,
    model: Any,
    tokenizer: Any,
    *,
    shots: int | None,
    limit: int | None = None,
    tasks: list[str] | None = None,
) -> dict[str, Any]:
    """lm-evaluation-harness's own run of the same rows through its Hugging Face backend.

    ``tasks`` names groups in place of the rows' own tasks.
    """
    import datasets
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    hub = {
        ("allenai/ai2_arc", "ARC-Easy"): "arc_easy",
        ("allenai/ai2_arc", "ARC-Challenge"): "arc_challenge",
        ("Rowan/hellaswag", None): "hellaswag",
        ("truthfulqa/truthful_qa", "multiple_choice"): "truthfulqa_mc1",
    }

    def load_dataset(path: str, name: str | None = None, **ignored: Any) -> Any:
        task = hub.get((path, name), f"mmlu_{name}")
        splits = {split: datasets.Dataset.from_list(found) for split, found in rows[task].items()}
        return datasets.DatasetDict(splits)

    lm = HFLM(pretrained=model, tokenizer=tokenizer, device="cpu", batch_size=8)
    plain = datasets.load_dataset
    datasets.load_dataset = load_dataset
    try:
        found: dict[str, Any] = simple_evaluate(
            model=lm,
            tasks=tasks or list(rows),
            num_fewshot=shots,
            limit=limit,
            bootstrap_iters=100,
            log_samples=True,
            verbosity="ERROR",
        )
    finally:
        datasets.load_dataset = plain
    return found
