"""A pool of three themes, and failing prompts of one of them."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from residency.nouns.example import Example, Message

INSTRUCTION = "Write the ticket, one line each: product, problem, order."
THEMES = {
    "leak": ["water drips from the tank", "a puddle under the machine", "it leaks on the floor"],
    "noise": ["a grinding sound at night", "it rattles loudly", "the motor whines and squeals"],
    "parcel": ["the courier never came", "tracking has not moved", "my delivery is lost"],
}


def row(text: str, *tags: str, group: str = "", split: str = "pool") -> Example:
    return Example(
        (Message("user", INSTRUCTION, input=text), Message("assistant", "product: none")),
        split=split,  # type: ignore[arg-type]
        tags=tags,
        group=group,
    )


def make_pool() -> list[Example]:
    rng = random.Random(3)
    rows = []
    for theme, phrases in THEMES.items():
        for k in range(40):
            product = rng.choice(["kettle", "toaster", "blender", "freezer", "juicer", "oven"])
            place = rng.choice(["Berlin", "Lagos", "Lima", "Oslo", "Quito", "Turin"])
            text = f"My {product} from {place}, case {k}: {rng.choice(phrases)}."
            rows.append(row(text, f"problem={theme}"))
    return rows


def failures(theme: str, *tags: str) -> list[Example]:
    return [
        row(f"The device at home: {text}, please help.", *tags, split="dev")
        for text in THEMES[theme]
    ]


class KnownSignals:
    """Losses that are known: the case number after training, twice as much before."""

    def measure_losses(self, rows: Sequence[Example], *, trained: bool) -> np.ndarray:
        numbers = [
            float(r.messages[0].input.partition("case ")[2].split(":")[0] or 0) for r in rows
        ]
        after = np.array(numbers) + 1
        return after if trained else 2 * after + np.array(numbers)

    def measure_gradients(self, rows: Sequence[Example]) -> np.ndarray:
        """One direction a theme, which the words of the row tell."""
        marks = (
            ("drip", "puddle", "leak"),
            ("grind", "rattl", "whine"),
            ("courier", "track", "lost"),
        )
        out = np.full((len(rows), 4), 0.01, np.float32)
        for n, r in enumerate(rows):
            for k, words in enumerate(marks):
                out[n, k] += any(word in r.messages[0].input for word in words)
        return out
