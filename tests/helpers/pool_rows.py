"""A pool of three themes, and failing prompts of one of them."""

from __future__ import annotations

import random

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
