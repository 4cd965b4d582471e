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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from residency.examples.tickets.vocabulary import (
    DELIVERY_PROBLEMS,
    EVAL,
    FIRST_NAMES,
    LAST_NAMES,
    NOT_REPAIRED,
    PROBLEM_KINDS,
    PROBLEMS,
    PRODUCTS,
    REQUESTS,
    SERIES,
    TRAIN,
    Bank,
)

INSTRUCTION = (
    "Write the ticket, one line each: "
    "product, problem, urgency, order, request, name, reply. Unknown: none."
)
SEED = 40
SIZES = {"train": 1000, "dev": 300, "test": 300, "pool": 1500}
BLOCK = 20
RARE = (
    "implied-urgency",
    "sarcasm",
    "two-requests",
    "correction",
    "order=other-number",
    "second-product",
)
"""Tags of the slices that train hardly holds."""

ASKING = ("implied-urgency", "sarcasm", "two-requests")
NAMING = ("correction", "order=other-number", "second-product")
"""A message has at most one rare slice of each three, so that no two meet in one field."""

Shares = Mapping[str, float]


@dataclass(frozen=True)
class Mix:
    """Shares in a split: of each rare slice, and of the items in a paraphrase pair."""

    rare: float
    pairs: float = 0.0


NAMED = {"none": 0.15, "right": 0.45, "misspelt": 0.4}
"""Shares of messages, in every split, that name no series, name it, and misspell it."""


MIXES = {
    "train": Mix(rare=0.01),
    "pool": Mix(rare=0.055),
    "dev": Mix(rare=0.15, pairs=0.4),
    "test": Mix(rare=0.15, pairs=0.4),
}


@dataclass(frozen=True)
class Facts:
    """What a message says; the answer follows from this alone."""

    product: str
    """With its series, where the message says one."""
    problem: str
    urgency: str
    order_kind: str
    order: str
    number: str
    requests: tuple[str, ...]
    name: str
    second: str
    mistaken: str
    """The order number that is taken back, or empty."""
    misspelt: bool
    """Whether the customer misspells the series."""

    @property
    def urgency_label(self) -> str:
        """low, normal or high."""
        return "high" if self.urgency in ("implied", "sarcasm") else self.urgency

    @property
    def tags(self) -> list[str]:
        """Slices that the row belongs to."""
        tags = [
            f"problem={self.problem}",
            f"urgency={self.urgency_label}",
            f"order={self.order_kind}",
        ]
        if len(self.requests) == 1:
            tags.append(f"request={self.requests[0]}")
        flags = {
            "implied-urgency": self.urgency == "implied",
            "sarcasm": self.urgency == "sarcasm",
            "second-product": bool(self.second),
            "two-requests": len(self.requests) > 1,
            "correction": bool(self.mistaken),
            "misspelt-series": self.misspelt,
        }
        return tags + [name for name, present in flags.items() if present]


def deal(rng: random.Random, shares: Shares, n: int) -> list[str]:
    """``n`` levels in the given shares, shuffled within blocks so that every prefix keeps them."""
    owed = dict.fromkeys(shares, 0.0)
    total = sum(shares.values())
    dealt: list[str] = []
    while len(dealt) < n:
        block = []
        for _ in range(BLOCK):
            for level, share in shares.items():
                owed[level] += share / total
            level = max(owed, key=lambda name: owed[name])
            owed[level] -= 1
            block.append(level)
        rng.shuffle(block)
        dealt += block
    return dealt[:n]


def _flags(rng: random.Random, share: float, n: int) -> list[bool]:
    return [level == "yes" for level in deal(rng, {"no": 1 - share, "yes": share}, n)]


def order_number(rng: random.Random) -> str:
    """One of the shop's five ways to write an order number."""
    form = rng.randrange(5)
    if form == 0:
        return f"{rng.choice('ABCDEFGHKM')}-{rng.randint(10000, 99999)}"
    if form == 1:
        return str(rng.randint(100000, 999999))
    if form == 2:
        return f"ORD{rng.randint(1000, 9999)}"
    if form == 3:
        return f"{rng.randint(1000, 9999)}-{rng.randint(10, 99)}"
    return f"{rng.choice('KLPRSTX')}{rng.randint(10000, 99999)}"


def _other_number(rng: random.Random) -> tuple[str, str]:
    kind = rng.choice(("price", "price", "phone", "serial", "customer"))
    if kind == "price":
        return kind, _price(rng)
    if kind == "phone":
        return kind, f"0{rng.randint(151, 179)} {rng.randint(100000, 999999)}"
    if kind == "serial":
        return kind, f"{rng.randint(10, 99)}-{rng.randint(10000, 99999)}"
    return kind, str(rng.randint(10000, 99999))


def _price(rng: random.Random) -> str:
    amount = rng.randint(19, 489)
    return rng.choice((f"{amount} euros", f"${amount}", f"{amount}.90 euros", f"{amount} dollars"))


def draw_facts(rng: random.Random, split: str, n: int) -> list[Facts]:
    """``n`` sets of facts whose factors follow the split's mix."""
    rare = MIXES[split].rare
    source = "train" if split == "pool" else split
    problems = deal(rng, dict.fromkeys(PROBLEMS, 1.0), n)
    asking = deal(rng, {"": 1 - 3 * rare, **dict.fromkeys(ASKING, rare)}, n)
    naming = deal(rng, {"": 1 - 3 * rare, **dict.fromkeys(NAMING, rare)}, n)
    urgencies = deal(rng, {"high": 0.25, "low": 0.25, "normal": 0.5}, n)
    orders = deal(rng, {"plain": 0.7, "missing": 0.3}, n)
    requests = deal(rng, {**dict.fromkeys(REQUESTS, 0.23), "none": 0.08}, n)
    named = _flags(rng, 0.8, n)
    series = deal(rng, NAMED, n)
    facts = []
    for i in range(n):
        kinds = PROBLEM_KINDS.get(problems[i], tuple(PRODUCTS[source]))
        product, other = rng.sample([p for kind in kinds for p in PRODUCTS[source][kind]], 2)
        if series[i] != "none":
            one, another = rng.sample(SERIES, 2)
            product, other = f"{one} {product}", f"{another} {other}"
        kind, order, number, mistaken = orders[i], "none", "", ""
        if naming[i] == "order=other-number":
            kind, number = "other-number", ":".join(_other_number(rng))
        elif naming[i] == "correction":
            kind, mistaken = "plain", order_number(rng)
        if kind == "plain":
            order = order_number(rng)
        possible = [r for r in REQUESTS if r != "repair" or problems[i] not in NOT_REPAIRED]
        asked: tuple[str, ...] = (requests[i],)
        if requests[i] not in ("none", *possible):
            asked = (rng.choice(possible),)
        if asking[i] == "two-requests":
            asked = (rng.choice([r for r in possible if r != "information"]), "information")
        urgency = {"implied-urgency": "implied", "sarcasm": "sarcasm"}.get(asking[i], urgencies[i])
        name = f"{rng.choice(FIRST_NAMES[source])} {rng.choice(LAST_NAMES[source])}"
        facts.append(
            Facts(
                product=product,
                problem=problems[i],
                urgency=urgency,
                order_kind=kind,
                order=order,
                number=number,
                requests=asked,
                name=name if named[i] else "none",
                second=other if naming[i] == "second-product" else "",
                mistaken=mistaken,
                misspelt=series[i] == "misspelt",
            )
        )
    return facts


def with_article(product: str) -> str:
    """``kettle`` → ``a kettle``."""
    return f"{'an' if product[0] in 'aeiouAE' else 'a'} {product}"


_CHOICE = re.compile(r"\[([^\[\]]*)\]")


def choose(rng: random.Random, phrasings: Sequence[str]) -> str:
    """One of the phrasings, its ``[one|another]`` choices made."""
    phrasing = rng.choice(phrasings)
    return _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), phrasing)


def write_message(rng: random.Random, bank: Bank, facts: Facts) -> str:
    """The customer's message, without typos."""
    product, article, order = facts.product, with_article(facts.product), facts.order
    openers = bank.ordered if facts.problem in DELIVERY_PROBLEMS else bank.owned
    if facts.mistaken:
        order = choose(rng, bank.correction).format(w=facts.mistaken, v=order)
    opener = choose(rng, openers).format(p=product, a=article)
    problem = choose(rng, bank.problems[facts.problem])
    body = f"{opener} {problem}."

    middle = []
    if order != "none":
        middle.append(choose(rng, bank.order).format(n=order))
    if facts.number:
        kind, value = facts.number.split(":", 1)
        middle.append(choose(rng, getattr(bank, kind)).format(n=value))
    asked = [choose(rng, bank.requests[request]) for request in facts.requests]
    if len(asked) == 2:
        asked[1] = f"{choose(rng, bank.also)} {_lower_first(asked[1])}"
    middle.append(" ".join(asked))
    if facts.urgency != "normal":
        middle.append(choose(rng, getattr(bank, facts.urgency)))
    elif rng.random() < 0.5:
        middle.append(choose(rng, bank.fillers))
    rng.shuffle(middle)

    parts = [body, *middle]
    if facts.second:
        other = with_article(facts.second)
        parts.insert(0, choose(rng, bank.second).format(q=facts.second, b=other))
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


_SLIPS = ("drop", "double", "swap")


def add_typos(rng: random.Random, text: str, protected: Sequence[str]) -> str:
    """One or two slips of the keyboard, never inside a value that the answer must copy."""
    kept = {word.lower() for value in protected for word in re.findall(r"\w+", value)}
    spots = [
        match
        for match in re.finditer(r"[A-Za-z]{5,}", text)
        if match.group().lower() not in kept and match.group().islower()
    ]
    for match in sorted(rng.sample(spots, min(len(spots), rng.choice((1, 1, 2)))), key=_backwards):
        text = text[: match.start()] + _slip(rng, match.group()) + text[match.end() :]
    return text


def _slip(rng: random.Random, word: str) -> str:
    """The word with one slip inside."""
    at = rng.randrange(1, len(word) - 1)
    slip = rng.choice(_SLIPS)
    if slip == "drop":
        return word[:at] + word[at + 1 :]
    if slip == "double":
        return word[:at] + word[at] + word[at:]
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def misspell(rng: random.Random, product: str) -> str:
    """The product, its first word, the series, with one slip that makes another word of it."""
    series, rest = product.split(" ", 1)
    while (wrong := _slip(rng, series)) == series:
        pass
    return f"{wrong} {rest}"


def _backwards(match: re.Match[str]) -> int:
    return -match.start()


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


def _row(rng: random.Random, split: str, facts: Facts, group: str) -> dict[str, Any]:
    bank = EVAL if split in ("dev", "test") else TRAIN
    message = write_message(rng, bank, facts)
    if rng.random() < 0.4:
        values = (facts.product, facts.second, facts.mistaken, facts.order, facts.name)
        message = add_typos(rng, message, values)
    if facts.misspelt:
        wrong = misspell(rng, facts.product)
        message = re.sub(rf"\b{re.escape(facts.product)}\b", wrong, message, count=1)
    return {
        "instruction": INSTRUCTION,
        "input": message,
        "response": write_answer(facts),
        "tags": facts.tags,
        "group": group,
    }


def _words_shared(a: str, b: str) -> float:
    left, right = set(a.lower().split()), set(b.lower().split())
    return len(left & right) / min(len(left), len(right))


def make_rows(split: str, n: int | None = None, *, seed: int = SEED) -> list[dict[str, Any]]:
    """The rows of a split. In dev and test about a fifth stand in pairs of one group: the same
    facts in other words, next to each other."""
    n = SIZES[split] if n is None else n
    rng = random.Random(f"{seed}-{split}")
    rows: list[dict[str, Any]] = []
    pairs = _flags(rng, MIXES[split].pairs / (2 - MIXES[split].pairs), n)
    for i, facts in enumerate(draw_facts(rng, split, n)):
        if len(rows) >= n:
            break
        group = f"{split}-{i:04d}"
        row = _row(rng, split, facts, group)
        rows.append(row)
        if pairs[i]:
            # the twin that shares the fewest words of a few tries
            twins = [_row(rng, split, replace(facts), group) for _ in range(6)]
            rows.append(min(twins, key=lambda twin: _words_shared(twin["input"], row["input"])))
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
