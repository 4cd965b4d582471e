"""What makes two like-sounding texts say different things: numbers, negations, opposites.

An embedding hardly sees these ("clockwise", "anticlockwise"; "$50", "$500"), so they are looked
for first.
"""

from __future__ import annotations

import re

from residency.text.function_words import FUNCTION_WORDS, PRONOUNS_AND_AUXILIARIES
from residency.text.numbers import Number, find_numbers
from residency.text.words import split_words

_NEGATIONS = frozenset(
    [
        "not",
        "no",
        "never",
        "none",
        "nothing",
        "neither",
        "nor",
        "cannot",
        "without",
        "nobody",
        "nowhere",
        "hardly",
    ]
)
_OPPOSITES = [
    "accept/reject accept/refuse accepted/rejected accepted/refused allowed/forbidden",
    "allowed/prohibited always/never anticlockwise/clockwise before/after cheaper/dearer",
    "close/open closed/open cold/hot counterclockwise/clockwise day/night decrease/increase",
    "decreased/increased decreases/increases disable/enable disabled/enabled down/up early/late",
    "earlier/later exclude/include excluded/included excludes/includes export/import fail/pass",
    "failed/passed false/true fast/slow faster/slower first/last free/paid gain/loss higher/lower",
    "inside/outside left/right less/more lock/unlock long/short lose/win maximum/minimum",
    "negative/positive north/south east/west off/on optional/required optional/mandatory",
    "private/public push/pull raise/lower safe/dangerous sell/buy start/stop with/without yes/no",
]
_PAIRS = frozenset(frozenset(pair.split("/")) for line in _OPPOSITES for pair in line.split())
_PREFIXES = ("un", "in", "im", "il", "ir", "dis", "non", "anti", "counter", "mis")
_EMPTY = (FUNCTION_WORDS | PRONOUNS_AND_AUXILIARIES) - {word for pair in _PAIRS for word in pair}
_ABOUT_THE_SAME = 0.5
_CONTRACTION = re.compile(r"n['’]t\b", re.IGNORECASE)


def find_conflict(a: str, b: str) -> str | None:
    """What sets two texts apart beyond their wording, in words; None where nothing does.

    - *numbers*: both hold numbers, and each holds one that the other does not.
    - *negation*: of texts with much the same words one denies.
    - *opposites*: of texts with much the same words one says a word where the other says its
      opposite (a list, and words that differ by un-, in-, dis-, anti- and the like).
    """
    return _differ_in_numbers(a, b) or _differ_in_words(a, b)


def _differ_in_numbers(a: str, b: str) -> str | None:
    left, right = ({_spell_number(n, text) for n in find_numbers(text)} for text in (a, b))
    if left - right and right - left:
        return f"numbers {_list_spelled(left - right)} and {_list_spelled(right - left)}"
    return None


def _spell_number(number: Number, text: str) -> str:
    mark = "%" if number.is_percent else ""
    if number.amount is None:
        return text[number.start : number.end]
    return f"{number.amount:.12g}{mark}"


def _list_spelled(values: set[str]) -> str:
    return ", ".join(sorted(values)[:3])


def _differ_in_words(a: str, b: str) -> str | None:
    left, right = (_CONTRACTION.sub(" not", text) for text in (a, b))
    mine, theirs = split_words(left), split_words(right)
    content_a, content_b = ({w for w in words if w not in _EMPTY} for words in (mine, theirs))
    plain_a, plain_b = content_a - _NEGATIONS, content_b - _NEGATIONS
    shared = len(plain_a & plain_b)
    fewest = min(len(plain_a), len(plain_b))
    if not fewest:
        return "one denies" if (content_a | content_b) & {"no", "not"} and mine != theirs else None
    for x in plain_a - plain_b:
        for y in plain_b - plain_a:
            if _are_opposites(x, y) and shared + 1 >= _ABOUT_THE_SAME * fewest:
                return f"{x!r} and {y!r}"
    denials = [sum(word in _NEGATIONS for word in words) % 2 for words in (mine, theirs)]
    if denials[0] != denials[1] and shared >= _ABOUT_THE_SAME * fewest:
        return "one denies what the other says"
    return None


def _are_opposites(x: str, y: str) -> bool:
    if frozenset((x, y)) in _PAIRS:
        return True
    short, long = sorted((x, y), key=len)
    return len(short) >= 4 and any(long == prefix + short for prefix in _PREFIXES)
