"""Detectors on texts with errors planted in them, by kind of text: false alarms and what is found.

    python benchmarks/detector_texts.py FILE... [--answers 200] [--json FILE]

Each FILE holds rows in any layout that Residency reads; their answers are taken as they are for
right. Planted are: one misspelt word (by its length), the answer's last sentence in a loop, a number
changed, two numbers swapped, a number rounded ("about"), a text denied or turned to its opposite. The
sentences of six languages that stand below are the same in each.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from residency.config.data import DataConfig
from residency.config.diagnose import DiagnoseConfig
from residency.data.reading.source_reader import read_sources
from residency.diagnose.run_detectors import run_detectors
from residency.diagnose.text_conflicts import find_conflict
from residency.embedding.wordllama import WordLlamaEmbedder
from residency.nouns.example import Example, Message
from residency.nouns.finding import Finding
from residency.nouns.response import Response
from residency.text.numbers import find_numbers

FOREIGN = {
    "Polish": "Dziękujemy za zamówienie, paczka zostanie wysłana jutro rano do sklepu w centrum.",
    "Swedish": "Tack för din beställning, paketet skickas i morgon till butiken i centrum.",
    "Danish": "Tak for din bestilling, pakken bliver sendt i morgen til butikken i centrum.",
    "Finnish": "Kiitos tilauksestasi, paketti lähetetään huomenna aamulla keskustan kauppaan.",
    "Hungarian": "Köszönjük a rendelését, a csomagot holnap reggel küldjük a belvárosi üzletbe.",
    "Turkish": "Siparişiniz için teşekkürler, paket yarın sabah merkezdeki mağazaya gönderilecek.",
}
OPPOSITES = [
    ("Turn the valve clockwise.", "Turn the valve anticlockwise."),
    ("We deliver to the islands.", "We do not deliver to the islands."),
    ("The fee is $50 a year.", "The fee is $500 a year."),
    ("You may return it within 30 days.", "You may return it within 14 days."),
    ("The shop is open on Sunday.", "The shop is closed on Sunday."),
    ("Pets are allowed in the rooms.", "Pets are not allowed in the rooms."),
    ("Prices increased last year.", "Prices decreased last year."),
    ("Breakfast is included.", "Breakfast is excluded."),
]
REWORDED = [
    ("You may return it within 30 days.", "Returns are accepted for 30 days."),
    ("The fee is $50 a year.", "You pay $50 per year."),
    ("We deliver to the islands.", "Delivery to the islands is offered."),
    ("The shop is open on Sunday.", "On Sunday you can visit the shop."),
]


def main() -> None:
    """Print one table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    look = Look()
    rows: list[tuple[str, str, int, int]] = []
    for file in options.files:
        answers = read_answers(file, options.answers)
        rows += measure_file(file.parent.name, answers, look)
    rows += measure_languages(look)
    rows += [
        ("opposites", "inconsistency found", sum(map(differs, OPPOSITES)), len(OPPOSITES)),
        ("rewordings", "inconsistency, false", sum(map(differs, REWORDED)), len(REWORDED)),
    ]
    print("| text | what | flagged | of | share |")
    print("|---|---|---|---|---|")
    for text, what, flagged, total in rows:
        print(
            f"| {text} | {what} | {flagged} | {total} | {100 * (flagged / max(1, total)):.0f} % |"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


def differs(pair: tuple[str, str]) -> bool:
    """Whether two texts are told apart before any embedding is asked."""
    return find_conflict(*pair) is not None


class Look:
    """One detector on answers to an English prompt."""

    def __init__(self) -> None:
        self.embedder = WordLlamaEmbedder()

    def __call__(self, name: str, answers: Sequence[str], source: str = "") -> list[Finding]:
        """Findings of the answers, each to a prompt of its own."""
        found = []
        for number, answer in enumerate(answers):
            turn = Message("user", f"Please answer this customer. {number}", input=source)
            example = Example((turn,), split="dev")
            found += run_detectors(
                [example],
                [Response("m", example.id, answer)],
                known_words=set(),
                embedder=self.embedder,
                config=DiagnoseConfig(),
                max_new_tokens=512,
                names=[name],
            )
        return found


def read_answers(file: Path, most: int) -> list[str]:
    """Answers of a file, of 80 to 1500 characters."""
    result = read_sources([str(file.resolve())], DataConfig(), "train", file.parent)
    answers = [e.reference or "" for e in result.examples]
    return [a for a in answers if 80 <= len(a) <= 1500][:most]


def count(findings: Sequence[Finding]) -> int:
    """How many fail."""
    return sum(finding.status == "fail" for finding in findings)


def measure_file(name: str, answers: list[str], look: Look) -> list[tuple[str, str, int, int]]:
    """False alarms of the detectors on answers as they are, and what is found of what is planted."""
    rng = random.Random(0)
    rows = []
    for detector in ("misspelling", "repetition"):
        rows.append((name, f"{detector}, as it is", count(look(detector, answers)), len(answers)))
    for low, high in ((4, 4), (5, 6), (7, 30)):
        planted = [t for a in answers if (t := misspell(a, low, high, rng))]
        letters = f"{low}" if low == high else f"{low} to {high}"
        rows.append(
            (
                name,
                f"a misspelt word of {letters} letters",
                count(look("misspelling", planted)),
                len(planted),
            )
        )
    looped = [a + (" " + a.split(".")[0]) * 5 for a in answers]
    rows.append(
        (name, "its first sentence in a loop", count(look("repetition", looped)), len(looped))
    )
    changes: dict[str, Callable[[str, random.Random], str]] = {
        "hallucination, the same text": lambda text, rng: text,
        "a number changed": change_number,
        "two numbers swapped": swap_numbers,
        "a number rounded (about)": round_number,
    }
    for what, change in changes.items():
        found = total = 0
        for answer in answers:
            text = change(answer, rng)
            if text and find_numbers(answer):
                total += 1
                found += count(look("hallucination", [text], source=answer))
        rows.append((name, what, found, total))
    return rows


def measure_languages(look: Look) -> list[tuple[str, str, int, int]]:
    """Correct answers in languages whose words the check does not know."""
    return [
        (language, "misspelling, as it is", count(look("misspelling", [text])), 1)
        for language, text in FOREIGN.items()
    ]


def misspell(text: str, low: int, high: int, rng: random.Random) -> str:
    """One lower-case word with two neighbouring letters swapped."""
    words = [m for m in re.finditer(r"(?<= )[a-z]+(?= )", text) if low <= len(m[0]) <= high]
    rng.shuffle(words)
    for match in words:
        word = match[0]
        at = rng.randrange(1, len(word) - 1)
        swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        if swapped != word:
            return text[: match.start()] + swapped + text[match.end() :]
    return ""


def change_number(text: str, rng: random.Random) -> str:
    """One number of two digits and more replaced by another."""
    numbers = [n for n in find_numbers(text) if n.value is not None and n.end - n.start >= 2]
    if not numbers:
        return ""
    one = rng.choice(numbers)
    return text[: one.start] + str(rng.randint(10_001, 99_998)) + text[one.end :]


def swap_numbers(text: str, rng: random.Random) -> str:
    """The first two different numbers change places."""
    numbers = [n for n in find_numbers(text) if n.value is not None]
    for a, b in itertools.pairwise(numbers):
        if a.value != b.value:
            left, right = text[a.start : a.end], text[b.start : b.end]
            return text[: a.start] + right + text[a.end : b.start] + left + text[b.end :]
    return ""


def round_number(text: str, rng: random.Random) -> str:
    """A number of three digits and more, said as "about" its first two."""
    for number in find_numbers(text):
        if number.value is not None and number.value >= 101 and number.value % 10:
            size = 10 ** (len(str(int(number.value))) - 2)
            rounded = round(number.value / size) * size
            return f"{text[: number.start]}about {rounded}{text[number.end :]}"
    return ""


if __name__ == "__main__":
    main()
