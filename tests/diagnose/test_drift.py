"""Drift: told where there is some, and not where there is none."""

from __future__ import annotations

import random

from residency.diagnose.drift import USUAL, measure_drift
from residency.embedding.wordllama import WordLlamaEmbedder
from residency.nouns.example import Example, Message

PARTS = ("kettle", "toaster", "heater", "lamp", "fan", "mixer")
FAULTS = ("leaks water", "makes a noise", "gets too hot", "does not start", "has a broken lid")
WHEN = ("since Monday", "after an hour", "every morning", "again", "in the kitchen", "at night")
NEW = (
    "translate this poem",
    "write a python function",
    "plan a trip to Rome",
    "solve the equation",
)


def ask(rng: random.Random, number: int, *, new: bool = False) -> Example:
    what = rng.choice(NEW) if new else f"my {rng.choice(PARTS)} {rng.choice(FAULTS)}"
    text = f"{what} {rng.choice(WHEN)} {rng.choice(WHEN)}"
    return Example((Message("user", text),), group=f"g{number}")


def test_the_same_kind_of_question_is_not_called_drift() -> None:
    embedder = WordLlamaEmbedder()
    alarms = 0
    for seed in range(12):
        rng = random.Random(seed)
        dev = [ask(rng, n) for n in range(60)]
        drift = measure_drift(dev, [ask(rng, n) for n in range(60)], embedder, seed=seed)
        assert drift.share is not None and drift.low <= drift.share <= drift.high
        alarms += drift.has_moved or any(shift.is_new for shift in drift.clusters)
    assert alarms <= 2


def test_new_questions_are_found_and_named() -> None:
    rng = random.Random(0)
    dev = [ask(rng, n) for n in range(60)]
    traffic = [ask(rng, n, new=n % 2 == 0) for n in range(100)]
    drift = measure_drift(dev, traffic, WordLlamaEmbedder())
    assert drift.has_moved and drift.share is not None and drift.share > 0.3
    new = [shift for shift in drift.clusters if shift.is_new]
    assert new and all(shift.dev_share == 0 for shift in new)
    named = " ".join(shift.name for shift in new)
    assert any(word in named for word in ("poem", "python", "rome", "equation"))
    fresh = {e.id for e in traffic if "my " not in e.prompt_text}
    assert {i for shift in new for i in shift.examples} <= fresh
    far = [drift.novelty[e.id] for e in traffic if e.id in fresh and e.id in drift.novelty]
    near = [drift.novelty[e.id] for e in traffic if e.id not in fresh and e.id in drift.novelty]
    assert min(far) > sorted(near)[len(near) // 2]


def test_an_instruction_that_stands_elsewhere_is_no_drift() -> None:
    rng = random.Random(5)
    rule = "Name the product, the fault and the urgency of the customer's message."
    plain = [ask(rng, n) for n in range(120)]
    dev = [Example((Message("user", rule, input=e.prompt_text),)) for e in plain[:60]]
    system = Message("system", "You are a helpful clerk of a shop.")
    traffic = [
        Example((system, Message("user", f"{rule}\n{e.prompt_text}")))
        if n % 3
        else Example((Message("user", e.prompt_text),))
        for n, e in enumerate(plain[60:])
    ]
    drift = measure_drift(dev, traffic, WordLlamaEmbedder())
    assert not drift.has_moved and not any(shift.is_new for shift in drift.clusters)


def test_paraphrases_of_one_group_do_not_make_dev_look_dense() -> None:
    rng = random.Random(3)
    dev = [ask(rng, n) for n in range(40)]
    twice = [*dev, *(Example((Message("user", e.prompt_text + "!"),), group=e.group) for e in dev)]
    traffic = [ask(rng, n) for n in range(60)]
    once = measure_drift(dev, traffic, WordLlamaEmbedder())
    doubled = measure_drift(twice, traffic, WordLlamaEmbedder())
    assert once.share is not None and doubled.share is not None
    assert abs(once.share - doubled.share) < 0.1 and doubled.share < 4 * USUAL


def test_too_few_say_nothing() -> None:
    rng = random.Random(1)
    drift = measure_drift([ask(rng, n) for n in range(60)], [ask(rng, 1)], WordLlamaEmbedder())
    assert (drift.share, drift.has_moved) == (None, False) and len(drift.novelty) == 1
