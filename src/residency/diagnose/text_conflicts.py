"""What makes two like-sounding texts say different things: numbers, negations, opposites.

An embedding hardly sees these ("clockwise", "anticlockwise"; "$50", "$500"), so they are looked
for first.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from residency.text.function_words import FUNCTION_WORDS, PRONOUNS_AND_AUXILIARIES
from residency.text.numbers import Number, find_numbers
from residency.text.units import read_measure
from residency.text.words import split_words

_OTHER_LANGUAGES = (
    "nicht kein keine keinen keiner nie niemals ohne pas jamais aucun aucune sans nunca ningún ninguna"
    " niet geen nooit 不 没 没有 不能 不是 不会 不可以"
)
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
        *_OTHER_LANGUAGES.split(),
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
    "rise/fall rises/falls rose/fell rising/falling grow/shrink grew/shrank above/below approve/deny",
    "approved/denied approved/rejected granted/denied arrive/depart arrives/departs better/worse",
    "best/worst bigger/smaller big/small bought/sold cheap/expensive clean/dirty deep/shallow",
    "easy/difficult empty/full found/lost guilty/innocent heavy/light high/low join/leave large/small",
    "larger/smaller many/few narrow/wide newer/older permitted/prohibited present/absent rich/poor",
    "same/different stronger/weaker strong/weak success/failure succeeded/failed supports/opposes",
    "thick/thin top/bottom upper/lower waived/charged wet/dry won/lost younger/older right/wrong",
    "private/public push/pull raise/lower safe/dangerous sell/buy start/stop with/without yes/no",
]
_PAIRS = frozenset(frozenset(pair.split("/")) for line in _OPPOSITES for pair in line.split())
_PREFIXES = ("un", "in", "im", "il", "ir", "dis", "non", "anti", "counter", "mis")
_CLASSES = tuple(
    frozenset(names.split())
    for names in (
        "monday tuesday wednesday thursday friday saturday sunday",
        "montag dienstag mittwoch donnerstag freitag samstag sonntag",
        "january february april june july august september october november december",
        "red green blue yellow black white brown orange purple pink grey gray",
        "spring summer autumn winter",
        "first second third fourth fifth sixth",
    )
)
"""Words of which one statement holds one: another of the same class says another thing."""
_TIME = re.compile(
    r"\b(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?\s?(?P<half>[ap])\.?m\b"
    r"|\b(?P<hour24>\d{1,2}):(?P<minute24>\d{2})\b",
    re.IGNORECASE,
)
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
    return _differ_in_times(a, b) or _differ_in_numbers(a, b) or _differ_in_words(a, b)


@dataclass(frozen=True)
class _Amount:
    """A number as it is written, and in the unit that its kind is measured in (empty: no unit)."""

    plain: str
    measured: str

    def is_same(self, other: _Amount) -> bool:
        """An amount without a unit may be in any."""
        if self.measured and other.measured:
            return self.measured == other.measured
        return self.plain == other.plain


def _differ_in_times(a: str, b: str) -> str | None:
    left, right = (set(map(_read_time, _TIME.finditer(text))) for text in (a, b))
    if left - right and right - left:
        return f"times {_list_spelled(left - right)} and {_list_spelled(right - left)}"
    return None


def _read_time(match: re.Match[str]) -> str:
    if match["hour24"] is not None:
        return f"{int(match['hour24']):02d}:{match['minute24']}"
    hour = int(match["hour"]) % 12 + (12 if match["half"].lower() == "p" else 0)
    return f"{hour:02d}:{match['minute'] or '00'}"


def _differ_in_numbers(a: str, b: str) -> str | None:
    left, right = (_list_amounts(_TIME.sub(" ", text)) for text in (a, b))
    alone = [
        {mine.plain for mine in one if not any(mine.is_same(theirs) for theirs in other)}
        for one, other in ((left, right), (right, left))
    ]
    if all(alone):
        return f"numbers {_list_spelled(alone[0])} and {_list_spelled(alone[1])}"
    return None


def _list_amounts(text: str) -> list[_Amount]:
    amounts = []
    for number in find_numbers(text):
        unit = read_measure(text, number.scale_end)
        measured = ""
        if unit and number.amount is not None:
            measured = f"{number.amount * unit.size:.6g} {unit.kind}"
        amounts.append(_Amount(_spell_number(number, text), measured))
    return amounts


def _spell_number(number: Number, text: str) -> str:
    mark = {1: "", 100: "%", 1000: "‰", 10_000: "‱"}[number.parts]
    if number.amount is None:
        return text[number.start : number.end]
    return f"{number.amount:.12g}{mark}"


def _list_spelled(values: AbstractSet[str]) -> str:
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
    for names in _CLASSES:
        first, second = (plain_a - plain_b) & names, (plain_b - plain_a) & names
        if first and second and shared + 1 >= _ABOUT_THE_SAME * fewest:
            return f"{_list_spelled(first)!r} and {_list_spelled(second)!r}"
    denials = [sum(word in _NEGATIONS for word in words) % 2 for words in (mine, theirs)]
    if denials[0] != denials[1] and shared >= _ABOUT_THE_SAME * fewest:
        return "one denies what the other says"
    return None


def _are_opposites(x: str, y: str) -> bool:
    if frozenset((x, y)) in _PAIRS:
        return True
    short, long = sorted((x, y), key=len)
    return len(short) >= 4 and any(long == prefix + short for prefix in _PREFIXES)
