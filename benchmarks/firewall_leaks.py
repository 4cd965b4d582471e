"""Reproduces the firewall's table in docs/targeting.md on the tickets example.

    python benchmarks/firewall_leaks.py

Honest rows must pass; 100 dev messages, changed in ten ways, should be rejected. A few seconds.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from importlib import resources

from residency.nouns.example import Example, Message, Split
from residency.overlap.firewall import screen_rows


def rows(name: str, split: Split) -> list[Example]:
    """One file of the tickets example."""
    text = resources.files("residency.examples.tickets").joinpath(f"{name}.jsonl").read_text()
    out = []
    for number, line in enumerate(text.splitlines(), 1):
        raw = json.loads(line)
        turns = (
            Message("user", raw["instruction"], input=raw["input"]),
            Message("assistant", raw["response"]),
        )
        out.append(Example(turns, split=split, source=f"{name}.jsonl:{number}"))
    return out


def replaced(every: int) -> Callable[[str, random.Random], str]:
    """A change that replaces each ``every``-th word."""

    def change(text: str, rng: random.Random) -> str:
        words = text.split()
        for i in range(rng.randrange(every), len(words), every):
            words[i] = rng.choice(["thing", "so", "really", "now"])
        return " ".join(words)

    return change


def dropped(count: int) -> Callable[[str, random.Random], str]:
    """A change that drops ``count`` words."""

    def change(text: str, rng: random.Random) -> str:
        words = text.split()
        for _ in range(count):
            words.pop(rng.randrange(len(words)))
        return " ".join(words)

    return change


def shuffled(text: str, rng: random.Random) -> str:
    """The sentences in another order."""
    sentences = re.split(r"(?<=[.!?]) ", text)
    rng.shuffle(sentences)
    return " ".join(sentences)


CHANGES: dict[str, Callable[[str, random.Random], str]] = {
    "none": lambda text, rng: text,
    "upper case": lambda text, rng: text.upper(),
    "2 words dropped": dropped(2),
    "5 words dropped": dropped(5),
    "sentences shuffled": shuffled,
    "other numbers": lambda text, rng: re.sub(r"\d", lambda m: str(rng.randint(0, 9)), text),
    "first half only": lambda text, rng: " ".join(text.split()[: len(text.split()) // 2]),
    "wrapped": lambda text, rng: (
        f"Hello, I am forwarding this customer message to you. {text} "
        "Please take care of it as soon as you can, colleagues."
    ),
    "every 5th word replaced": replaced(5),
    "every 3rd word replaced": replaced(3),
}


def main() -> None:
    """Print the table."""
    honest = [*rows("train", "train"), *rows("pool", "pool")]
    dev = rows("dev", "dev")
    protected = [*dev, *rows("test", "test")]
    start = time.perf_counter()
    result = screen_rows(honest, protected)
    seconds = time.perf_counter() - start
    print(f"honest rows rejected: {len(result.rejected)} of {len(honest)} in {seconds:.1f} s\n")
    print("| change | rejected of 100 |\n|---|---|")
    rng = random.Random(1)
    for name, change in CHANGES.items():
        leaks = [
            Example(
                (Message("user", e.messages[0].content, input=change(e.messages[0].input, rng)),)
            )
            for e in dev[:100]
        ]
        caught = screen_rows(leaks, protected, background=honest).rejected
        print(f"| {name} | {len(caught)} |")


if __name__ == "__main__":
    main()
