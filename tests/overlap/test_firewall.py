"""Pain 23: nothing that is trained on comes near dev or test; honest rows pass."""

from __future__ import annotations

import random
import re

import pytest

from residency.embedding.wordllama import WordLlamaEmbedder
from residency.nouns.example import Example, Message
from residency.overlap.firewall import firewall

INSTRUCTION = "Write the ticket, one line each: product, problem, urgency, order, name, reply."
# Two sets of phrasings and names that share nothing, as train/pool and dev/test must.
POOL = {
    "open": ["Hello there, I bought a {p} from you.", "Writing about the {p}.", "My {p} is odd."],
    "trouble": ["water drips from below", "it rattles like mad", "nothing happens at all"],
    "ask": ["Please refund me.", "Can someone fix it?", "I want it exchanged."],
    "order": ["My order number is {n}.", "It was order {n}."],
    "name": ["Regards, {a} Becker", "Thanks, {a} Silva"],
    "p": ["kettle", "toaster", "blender", "juicer", "washing machine", "bread maker"],
    "a": ["Marta", "Jonas", "Priya", "Elena", "Kwame", "Liam"],
}
DEV = {
    "open": ["You sold me a {p} last May.", "Trouble with one {p}.", "Concerning our {p} here:"],
    "trouble": ["a puddle forms each morning", "a shrill whine comes out", "the display is black"],
    "ask": ["Give the money back.", "A technician should come.", "Swap this for another unit."],
    "order": ["See purchase {n} for that.", "Reference {n}."],
    "name": ["Yours, {a} Okafor", "Signed: {a} Novak"],
    "p": ["robot mop", "waffle iron", "coffee grinder", "dash cam", "tent", "foot bath"],
    "a": ["Nina", "Zoltan", "Lorena", "Hamid", "Greta", "Ivo"],
}


@pytest.fixture(scope="module")
def embedder() -> WordLlamaEmbedder:
    return WordLlamaEmbedder()


def write(words: dict[str, list[str]], rng: random.Random) -> str:
    parts = [rng.choice(words[key]) for key in ("open", "trouble", "ask", "order", "name")]
    parts[1] = f"Now {parts[1]}."
    text = " ".join(parts)
    return text.format(
        p=rng.choice(words["p"]), n=rng.randint(10_000, 99_999), a=rng.choice(words["a"])
    )


def row(text: str, split: str = "pool", answer: str = "product: none\nproblem: none") -> Example:
    return Example(
        (Message("user", INSTRUCTION, input=text), Message("assistant", answer)),
        split=split,  # type: ignore[arg-type]
        source=f"{split}.jsonl:1",
    )


def make(words: dict[str, list[str]], n: int, seed: int, split: str) -> list[Example]:
    rng = random.Random(seed)
    return [row(write(words, rng), split) for _ in range(n)]


POOL_ROWS = make(POOL, 400, 1, "pool")
PROTECTED = make(DEV, 120, 2, "test")


def message(example: Example) -> str:
    return example.messages[0].input


def test_pain_23_independent_rows_of_the_same_task_pass(embedder: WordLlamaEmbedder) -> None:
    result = firewall(POOL_ROWS, PROTECTED, embedder)
    assert len(result.accepted) == len(POOL_ROWS)
    assert result.rejected == ()


def drop_words(text: str, rng: random.Random) -> str:
    words = text.split()
    del words[rng.randrange(len(words))]
    del words[rng.randrange(len(words))]
    return " ".join(words)


def shuffle_sentences(text: str, rng: random.Random) -> str:
    sentences = re.split(r"(?<=[.!?]) ", text)
    rng.shuffle(sentences)
    return " ".join(sentences)


LEAKS = {
    "copy": lambda text, rng: text,
    "case and punctuation": lambda text, rng: text.upper().replace(".", " !"),
    "other numbers": lambda text, rng: re.sub(r"\d", lambda m: str(rng.randint(0, 9)), text),
    "two words dropped": drop_words,
    "sentences shuffled": shuffle_sentences,
    "wrapped": lambda text, rng: f"A colleague sent me this one. {text} What do you make of it?",
    "cut in half": lambda text, rng: " ".join(text.split()[: len(text.split()) // 2 + 4]),
}


@pytest.mark.parametrize("kind", LEAKS)
def test_pain_23_planted_leaks_are_rejected(kind: str, embedder: WordLlamaEmbedder) -> None:
    rng = random.Random(4)
    leaks = [row(LEAKS[kind](message(e), rng)) for e in PROTECTED[:40]]
    result = firewall([*POOL_ROWS[:50], *leaks], PROTECTED, embedder, background=POOL_ROWS)
    assert {r.example.id for r in result.rejected} == {e.id for e in leaks}
    first = result.rejected[0]
    assert first.near in {e.id for e in PROTECTED}
    assert "test.jsonl:1" in first.reason


def test_a_rewording_is_rejected_by_meaning(embedder: WordLlamaEmbedder) -> None:
    secret = row("How do I get red wine stains out of a white woollen carpet?", "test")
    reworded = row("Getting stains of red wine out of white woollen carpets: how?")
    other = row("How do I descale an old coffee machine with vinegar?")
    result = firewall([reworded, other], [secret], embedder, background=POOL_ROWS)
    assert [r.rule for r in result.rejected] == ["embedding"]
    assert [e.id for e in result.accepted] == [other.id]


def test_an_instruction_shared_by_all_rows_is_boilerplate(embedder: WordLlamaEmbedder) -> None:
    """Also where instruction and message are one line of one string."""

    def flat(example: Example) -> Example:
        text = f"{INSTRUCTION} {message(example)}"
        return Example((Message("user", text), example.messages[1]), split=example.split)

    pool, protected = [flat(e) for e in POOL_ROWS], [flat(e) for e in PROTECTED]
    honest = firewall(pool, protected, embedder)
    assert honest.rejected == ()
    leaks = [flat(row(message(e))) for e in PROTECTED[:20]]
    caught = firewall(leaks, protected, embedder, background=pool)
    assert caught.accepted == ()


def test_an_answer_does_not_leak_without_its_prompt(embedder: WordLlamaEmbedder) -> None:
    prose = (
        "The lighthouse keeper had counted every ship since the storm of his youth, and each one "
        "that passed without stopping made the lamp seem a little heavier to lift at dusk."
    )
    secret = row("Tell a story.", "test", prose)
    thief = row("Continue: it was a dark night on the coast.", "pool", prose)
    honest = row("Continue: the market opened early.", "pool", "Baskets of figs. " * 12)
    result = firewall([thief, honest], [secret], embedder, background=POOL_ROWS)
    assert [r.rule for r in result.rejected] == ["answer 13-gram"]


def test_nothing_to_check(embedder: WordLlamaEmbedder) -> None:
    assert firewall([], PROTECTED, embedder).accepted == ()
    assert firewall(POOL_ROWS[:3], [], embedder).accepted == tuple(POOL_ROWS[:3])
