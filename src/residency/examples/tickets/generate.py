"""Writes the tickets example: a customer's message → a short structured ticket and a reply.

    python -m residency.examples.tickets.generate [FOLDER]

The same seed writes the same bytes. Every file is ordered so that any prefix is
representative of the whole: each factor (problem, urgency, order, …) is dealt out in blocks of
20 rows. The slices in ``RARE`` are nearly absent from train, present in pool, common in dev and
test: a model trained on train alone meets them unprepared.

Labelling rules, the same in every split:
- a field is ``none`` where the message does not say; urgency is then ``normal``;
- ``order`` is an order number only: a price, a phone, serial or customer number is not;
- a corrected order number counts, not the one before it;
- ``product`` is the one with the problem, not a second one that works, with its series, spelt as
  the shop spells it, however the customer did;
- a request and a question are joined by `` and ``, the request first;
- sarcasm, and a deadline named without the word urgent, mean ``high``.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from residency.examples.tickets.facts import MIXES, Facts, _deal_flags, add_article, draw_facts
from residency.examples.tickets.slips import add_typos, misspell_product
from residency.examples.tickets.vocabulary import (
    DELIVERY_PROBLEMS,
    EVAL,
    TRAIN,
    Bank,
)

INSTRUCTION = (
    "Write the ticket, one line each: "
    "product, problem, urgency, order, request, name, reply. Unknown: none."
)
SEED = 40
SIZES = {"train": 1000, "dev": 300, "test": 300, "pool": 1500}


_CHOICE = re.compile(r"\[([^\[\]]*)\]")


def choose_phrasing(rng: random.Random, phrasings: Sequence[str]) -> str:
    """One of the phrasings, its ``[one|another]`` choices made."""
    phrasing = rng.choice(phrasings)
    return _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), phrasing)


def write_message(rng: random.Random, bank: Bank, facts: Facts) -> str:
    """The customer's message, without typos."""
    product, article, order = facts.product, add_article(facts.product), facts.order
    openers = bank.ordered if facts.problem in DELIVERY_PROBLEMS else bank.owned
    if facts.mistaken:
        order = choose_phrasing(rng, bank.correction).format(w=facts.mistaken, v=order)
    opener = choose_phrasing(rng, openers).format(p=product, a=article)
    problem = choose_phrasing(rng, bank.problems[facts.problem])
    body = f"{opener} {problem}."

    middle = []
    if order != "none":
        middle.append(choose_phrasing(rng, bank.order).format(n=order))
    if facts.number:
        kind, value = facts.number.split(":", 1)
        middle.append(choose_phrasing(rng, getattr(bank, kind)).format(n=value))
    sentences = [choose_phrasing(rng, bank.requests[request]) for request in facts.requests]
    if len(sentences) == 2:
        sentences[1] = f"{choose_phrasing(rng, bank.also)} {_lower_first(sentences[1])}"
    middle.append(" ".join(sentences))
    if facts.urgency != "normal":
        middle.append(choose_phrasing(rng, getattr(bank, facts.urgency)))
    elif rng.random() < 0.5:
        middle.append(choose_phrasing(rng, bank.fillers))
    rng.shuffle(middle)

    parts = [body, *middle]
    if facts.second:
        other = add_article(facts.second)
        parts.insert(0, choose_phrasing(rng, bank.second).format(q=facts.second, b=other))
    if facts.name != "none":
        if rng.random() < 0.4:
            parts.insert(0, rng.choice(bank.intro).format(n=facts.name))
        else:
            parts.append(rng.choice(bank.closings).format(n=facts.name))
    greeting = rng.choice(bank.greetings)
    if greeting and not parts[0].startswith(facts.name):
        parts[0] = _lower_first(parts[0])
    return " ".join(part for part in (greeting, *parts) if part)


def _lower_first(sentence: str) -> str:
    return sentence if re.match(r"I\b", sentence) else sentence[0].lower() + sentence[1:]


_ACTIONS = {
    "refund": "refund you",
    "replacement": "send you a new one",
    "repair": "have it repaired",
    "information": "answer your question",
    "none": "look into it",
}


def write_answer(facts: Facts) -> str:
    """The ticket: six fields and one polite sentence."""
    first = facts.name.split()[0] if facts.name != "none" else "customer"
    action = " and ".join(_ACTIONS[request] for request in facts.requests)
    soon = " right away" if facts.urgency_label == "high" else ""
    lines = {
        "product": facts.product,
        "problem": facts.problem,
        "urgency": facts.urgency_label,
        "order": facts.order,
        "request": " and ".join(facts.requests),
        "name": facts.name,
        "reply": f"Dear {first}, we are sorry about your {facts.product} and will {action}{soon}.",
    }
    return "\n".join(f"{key}: {value}" for key, value in lines.items())


def _make_row(rng: random.Random, split: str, facts: Facts, group: str) -> dict[str, Any]:
    bank = EVAL if split in ("dev", "test") else TRAIN
    message = write_message(rng, bank, facts)
    if rng.random() < 0.4:
        values = (facts.product, facts.second, facts.mistaken, facts.order, facts.name)
        message = add_typos(rng, message, values)
    if facts.misspelt:
        wrong = misspell_product(rng, facts.product)
        message = re.sub(rf"\b{re.escape(facts.product)}\b", wrong, message, count=1)
    return {
        "instruction": INSTRUCTION,
        "input": message,
        "response": write_answer(facts),
        "tags": facts.tags,
        "group": group,
    }


def _count_shared_words(a: str, b: str) -> float:
    left, right = set(a.lower().split()), set(b.lower().split())
    return len(left & right) / min(len(left), len(right))


def make_rows(split: str, n: int | None = None, *, seed: int = SEED) -> list[dict[str, Any]]:
    """The rows of a split. In dev and test about a fifth stand in pairs of one group: the same
    facts in other words, next to each other."""
    n = SIZES[split] if n is None else n
    rng = random.Random(f"{seed}-{split}")
    rows: list[dict[str, Any]] = []
    pairs = _deal_flags(rng, MIXES[split].pairs / (2 - MIXES[split].pairs), n)
    for i, facts in enumerate(draw_facts(rng, split, n)):
        if len(rows) >= n:
            break
        group = f"{split}-{i:04d}"
        row = _make_row(rng, split, facts, group)
        rows.append(row)
        if pairs[i]:
            # the twin that shares the fewest words of a few tries
            twins = [_make_row(rng, split, replace(facts), group) for _ in range(6)]
            rows.append(
                min(twins, key=lambda twin: _count_shared_words(twin["input"], row["input"]))
            )
    return rows[:n]


def write_files(folder: Path, *, seed: int = SEED) -> list[Path]:
    """Writes ``train.jsonl``, ``dev.jsonl``, ``test.jsonl`` and ``pool.jsonl``."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for split in SIZES:
        lines = [json.dumps(row, ensure_ascii=False) for row in make_rows(split, seed=seed)]
        path = folder / f"{split}.jsonl"
        path.write_bytes(("\n".join(lines) + "\n").encode())
        paths.append(path)
    return paths


if __name__ == "__main__":
    for written in write_files(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent):
        print(written)
