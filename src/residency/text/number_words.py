"""Numbers written as words, for answers that hold no digit: ``twenty-five``, ``fünf``, ``三十五``.

English is read up to the trillions, with fractions, dozens and decimals; German, French, Spanish,
Italian, Portuguese and Dutch below a thousand million. Short words of these are read in short texts
alone, since many mean something else in another language (*once*, *due*, *elf*), and articles where
they are the whole text. Chinese and Japanese numerals are read up to 9999万.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from residency.text.foreign_number_words import MOST_WORDS, join_words, read_foreign_number
from residency.text.number_forms import MINUS

SMALL_NUMBERS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
)
"""Zero to nineteen, in order."""
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ENGLISH = {word: value for value, word in enumerate(SMALL_NUMBERS)}
_ENGLISH |= {word: 20 + 10 * tens for tens, word in enumerate(_TENS)}
_LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_STEPS = {"hundred": 100, "dozen": 12}
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "eighth": 8}
_PARTS |= {"tenth": 10}
_ARTICLES = frozenset(["ein", "eine", "een", "un", "una", "une", "uno", "um", "uma"])
"""Number words that are numbers where they are the whole text; ``ambiguous_number_words.py`` lists
more words that may be no number."""
_HAN_DIGITS = {sign: value for value, sign in enumerate("〇一二三四五六七八九")} | {
    "零": 0,
    "两": 2,
    "兩": 2,
}
_HAN_STEPS = {"十": 10, "百": 100, "千": 1000}
_HAN = re.compile("[〇零一二三四五六七八九两兩十百千万萬]+")
_WORD = re.compile(r"[^\W\d_]+")
_BETWEEN = re.compile(r"(?:\s+|\s*-\s*)\Z")
_UNITS = "|".join(SMALL_NUMBERS[:10])
_HALF = re.compile(r"\s+and\s+a\s+half\b", re.IGNORECASE)
_POINT = re.compile(rf"\s+point((?:\s+(?:{_UNITS}))+)\b", re.IGNORECASE)
_SCALE = re.compile(rf"\s+({'|'.join([*_LARGE, *_STEPS])})\b", re.IGNORECASE)
_FRACTION = re.compile(
    rf"(?<!\band )(?<!\band a )\b(?:(a|{_UNITS})[\s-]+)?({'|'.join(_PARTS)}|halve)(s?)\b"
    rf"(?:\s+an?\s+({'|'.join([*_LARGE, *_STEPS])})\b)?",
    re.IGNORECASE,
)
_DECIMAL_MARK = re.compile(r"\s+(?:komma|virgule|coma|virgola|vírgula)\s+\Z", re.IGNORECASE)
_LARGEST, _LONGEST_HAN = 10**15, 20
SHORT_WORDS, SHORT_SIGNS = 6, 12
"""Longest text in which a word that means something else elsewhere, or a lone 一, is a number."""
_LONG_LETTERS, _LARGE_VALUE = 8, 13
"""From so many letters and such a value a foreign number is one in any text."""

Found = tuple[float, int, int]
"""Value, start, end."""


@dataclass(frozen=True)
class _Word:
    """A word in small letters, where it stands, and what stands before it."""

    text: str
    start: int
    end: int
    joined: bool
    """Whether only a space or a hyphen parts it from the word before."""


def find_number_words(text: str) -> list[Found]:
    """Numbers written as words: value, start, end, in order; none beyond what words are used for."""
    is_short = len(text.strip()) <= SHORT_SIGNS
    read_numbers = [
        (float(_read_han(hit[0])), *hit.span())
        for hit in _HAN.finditer(text)
        if (is_short or len(hit[0]) > 1) and len(hit[0]) <= _LONGEST_HAN
    ]
    words = _list_words(text)
    short_text = len(words) <= SHORT_WORDS
    if short_text:
        read_numbers += _find_fractions(text)
    english = [_extend_english(number, text) for number in _find_english(words)]
    foreign = _find_foreign(words, text, short_text=short_text)
    # Of two readings of the same words the longer one: six, and six cent vingt.
    for number in sorted([*english, *foreign], key=lambda n: n[1] - n[2]):
        if all(number[2] <= start or end <= number[1] for _, start, end in read_numbers):
            read_numbers.append(number)
    numbers = sorted((n for n in read_numbers if n[0] <= _LARGEST), key=lambda n: n[1])
    ends = [0, *(end for _, _, end in numbers)]
    return [_add_minus(*number, text, end) for number, end in zip(numbers, ends, strict=False)]


def _list_words(text: str) -> list[_Word]:
    words: list[_Word] = []
    for hit in _WORD.finditer(text):
        gap = text[words[-1].end : hit.start()] if words else "."
        joined = bool(_BETWEEN.match(gap))
        words.append(_Word(hit[0].casefold(), *hit.span(), joined))
    return words


def _add_minus(value: float, start: int, end: int, text: str, last_end: int) -> Found:
    """With a minus before it, unless it takes this number from the last one."""
    minus = MINUS.search(text[max(0, start - 16) : start])
    if minus and minus["word"]:
        sign_start = max(0, start - 16) + minus.start()
        if not last_end or text[last_end:sign_start].strip():
            value, start = -value, sign_start
    return value, start, end


# --- English ------------------------------------------------------------------------------------


def _find_fractions(text: str) -> Iterator[Found]:
    """``half``, ``two thirds``, ``half a million``; a lone ``third`` is an order."""
    for hit in _FRACTION.finditer(text):
        many, part, large = (str(hit[i] or "").lower() for i in (1, 2, 4))
        if not many and part != "half":
            continue
        top = 1 if many in ("", "a") else _ENGLISH[many]
        size = _LARGE.get(large, _STEPS.get(large, 1))
        yield top / _PARTS.get(part, 2) * size, *hit.span()


def _find_english(words: list[_Word]) -> list[Found]:
    """Runs of words that make one number; ``five and six`` and ``one two`` are two each."""
    numbers: list[Found] = []
    run: list[str] = []
    start = end = 0
    after_and = False

    def close() -> None:
        if run:
            numbers.append((_add_english(run), start, end))
            run.clear()

    for word in words:
        if word.text == "and" and run and word.joined:
            after_and = True
            continue
        known = word.text in _ENGLISH or word.text in _LARGE or word.text in _STEPS
        joins = word.joined and not (after_and and run and run[-1] in _ENGLISH)
        if run and not (known and joins and _may_follow(run, word.text)):
            close()
        after_and = False
        if known:
            start, end = (start if run else word.start), word.end
            run.append(word.text)
    close()
    return numbers


def _may_follow(run: list[str], word: str) -> bool:
    """Whether a word goes on with the number, as *two* after *forty*; *nineteen ten* is a year."""
    if word not in _ENGLISH:
        return run[-1] != word
    last, value = run[-1], _ENGLISH[word]
    if last not in _ENGLISH:
        return True
    if _ENGLISH[last] >= 20 and 0 < value < 10:
        return True
    return value >= 10 and 10 <= _add_english(run) < 100


def _add_english(words: list[str]) -> float:
    """``two hundred five thousand`` → 205000; ``nineteen eighty four`` → 1984."""
    total = current = 0
    for word in words:
        if word in _STEPS:
            current = (current or 1) * _STEPS[word]
        elif word in _LARGE:
            total, current = total + (current or 1) * _LARGE[word], 0
        elif 10 <= current < 100 and _ENGLISH[word] >= 10:
            current = 100 * current + _ENGLISH[word]
        else:
            current += _ENGLISH[word]
    return float(total + current)


def _extend_english(number: Found, text: str) -> Found:
    """With decimals or a half behind it, and what they are multiplied by."""
    value, start, end = number
    if point := _POINT.match(text, end):
        digits = "".join(str(_ENGLISH[word]) for word in point[1].lower().split())
        value, end = float(f"{value:.0f}.{digits}"), point.end()
    elif half := _HALF.match(text, end):
        value, end = value + 0.5, half.end()
    else:
        return number
    if scale := _SCALE.match(text, end):
        word = scale[1].lower()
        value, end = value * (_LARGE.get(word) or _STEPS[word]), scale.end()
    return value, start, end


# --- other languages ----------------------------------------------------------------------------


def _find_foreign(words: list[_Word], text: str, *, short_text: bool) -> list[Found]:
    """The longest runs of words that make a number of one language."""
    numbers: list[Found] = []
    at = 0
    while at < len(words):
        last = at + 1
        while last < len(words) and last - at < MOST_WORDS and words[last].joined:
            last += 1
        for stop in range(last, at, -1):
            joined = "".join(join_words(word.text) for word in words[at:stop])
            value = read_foreign_number(joined)
            long = len(joined) >= _LONG_LETTERS and value is not None and value >= _LARGE_VALUE
            article = joined in _ARTICLES and len(words) > 1
            if value is not None and (long or (short_text and not article)):
                numbers.append((value, words[at].start, words[stop - 1].end))
                at = stop
                break
        else:
            at += 1
    return _join_decimals(numbers, text)


def _join_decimals(numbers: list[Found], text: str) -> list[Found]:
    """``drei Komma eins vier`` → 3.14."""
    out: list[Found] = []
    decimals = ""
    for value, start, end in numbers:
        gap = text[out[-1][2] : start] if out else "."
        if _DECIMAL_MARK.match(gap) and not decimals and value == int(value):
            decimals = str(int(value))
        elif decimals and not gap.strip() and 0 <= value < 10:
            decimals += str(int(value))
        else:
            decimals = ""
            out.append((value, start, end))
            continue
        whole = out[-1]
        out[-1] = (float(f"{int(whole[0])}.{decimals}"), whole[1], end)
    return out


def _read_han(text: str) -> int:
    """``三十五`` → 35; digits without steps are read one by one (``二〇二六``)."""
    if not any(sign in _HAN_STEPS or sign in "万萬" for sign in text):
        return int("".join(str(_HAN_DIGITS[sign]) for sign in text))
    total = section = digit = 0
    for sign in text:
        if sign in _HAN_DIGITS:
            digit = _HAN_DIGITS[sign]
        elif sign in _HAN_STEPS:
            section, digit = section + (digit or 1) * _HAN_STEPS[sign], 0
        else:
            total, section, digit = total + (section + digit or 1) * 10_000, 0, 0
    return total + section + digit
