"""What a ticket's message says: dealt out so that every prefix of a file has the file's mixture."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from residency.examples.tickets.vocabulary import (
    FIRST_NAMES,
    LAST_NAMES,
    NOT_REPAIRED,
    PROBLEM_KINDS,
    PROBLEMS,
    PRODUCTS,
    REQUESTS,
    SERIES,
)

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


def deal_values(rng: random.Random, shares: Shares, n: int) -> list[str]:
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


def _deal_flags(rng: random.Random, share: float, n: int) -> list[bool]:
    return [level == "yes" for level in deal_values(rng, {"no": 1 - share, "yes": share}, n)]


def write_order_number(rng: random.Random) -> str:
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


def _write_other_number(rng: random.Random) -> tuple[str, str]:
    kind = rng.choice(("price", "price", "phone", "serial", "customer"))
    if kind == "price":
        return kind, _write_price(rng)
    if kind == "phone":
        return kind, f"0{rng.randint(151, 179)} {rng.randint(100000, 999999)}"
    if kind == "serial":
        return kind, f"{rng.randint(10, 99)}-{rng.randint(10000, 99999)}"
    return kind, str(rng.randint(10000, 99999))


def _write_price(rng: random.Random) -> str:
    amount = rng.randint(19, 489)
    return rng.choice((f"{amount} euros", f"${amount}", f"{amount}.90 euros", f"{amount} dollars"))


def draw_facts(rng: random.Random, split: str, n: int) -> list[Facts]:
    """``n`` sets of facts whose factors follow the split's mix."""
    rare = MIXES[split].rare
    source = "train" if split == "pool" else split
    problems = deal_values(rng, dict.fromkeys(PROBLEMS, 1.0), n)
    asking = deal_values(rng, {"": 1 - 3 * rare, **dict.fromkeys(ASKING, rare)}, n)
    naming = deal_values(rng, {"": 1 - 3 * rare, **dict.fromkeys(NAMING, rare)}, n)
    urgencies = deal_values(rng, {"high": 0.25, "low": 0.25, "normal": 0.5}, n)
    orders = deal_values(rng, {"plain": 0.7, "missing": 0.3}, n)
    requests = deal_values(rng, {**dict.fromkeys(REQUESTS, 0.23), "none": 0.08}, n)
    named = _deal_flags(rng, 0.8, n)
    series = deal_values(rng, NAMED, n)
    facts = []
    for i in range(n):
        kinds = PROBLEM_KINDS.get(problems[i], tuple(PRODUCTS[source]))
        product, other = rng.sample([p for kind in kinds for p in PRODUCTS[source][kind]], 2)
        if series[i] != "none":
            one, another = rng.sample(SERIES, 2)
            product, other = f"{one} {product}", f"{another} {other}"
        kind, order, number, mistaken = orders[i], "none", "", ""
        if naming[i] == "order=other-number":
            kind, number = "other-number", ":".join(_write_other_number(rng))
        elif naming[i] == "correction":
            kind, mistaken = "plain", write_order_number(rng)
        if kind == "plain":
            order = write_order_number(rng)
        possible = [r for r in REQUESTS if r != "repair" or problems[i] not in NOT_REPAIRED]
        chosen_requests: tuple[str, ...] = (requests[i],)
        if requests[i] not in ("none", *possible):
            chosen_requests = (rng.choice(possible),)
        if asking[i] == "two-requests":
            first = rng.choice([r for r in possible if r != "information"])
            chosen_requests = (first, "information")
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
                requests=chosen_requests,
                name=name if named[i] else "none",
                second=other if naming[i] == "second-product" else "",
                mistaken=mistaken,
                misspelt=series[i] == "misspelt",
            )
        )
    return facts


def add_article(product: str) -> str:
    """``kettle`` → ``a kettle``."""
    return f"{'an' if product[0] in 'aeiouAE' else 'a'} {product}"
