"""Rows of a task whose train and dev side share nothing, and ways in which an item leaks."""

from __future__ import annotations

import random
import re

from residency.nouns.example import Example, Message

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


DEV_36 = (
    "we run a small bakery near the river and our oven stopped heating after the storm last week "
    "please tell us which spare part fits the old model before the market opens on saturday morning"
)
