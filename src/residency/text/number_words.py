"""Numbers written as words, for answers that hold no digit: ``twenty-five``, ``fünf``, ``三十五``.

English is read up to the millions; German, French, Spanish, Italian, Portuguese and Dutch by their
words up to twenty, the tens and a hundred, in short texts alone, since many are words of other
languages too (*once*, *due*, *elf*); Chinese and Japanese numerals up to 9999万.
"""

from __future__ import annotations

import re

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
_LARGE = {"hundred": 100, "thousand": 1000, "million": 10**6}
_OTHERS = (
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn"
    " sechzehn siebzehn achtzehn neunzehn zwanzig",
    "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize"
    " dix-sept dix-huit dix-neuf vingt",
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince"
    " dieciséis diecisiete dieciocho diecinueve veinte",
    "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici"
    " quindici sedici diciassette diciotto diciannove venti",
    "zero um dois três quatro cinco seis sete oito nove dez onze doze treze catorze quinze dezesseis"
    " dezessete dezoito dezenove vinte",
    "nul een twee drie vier vijf zes zeven acht negen tien elf twaalf dertien veertien vijftien"
    " zestien zeventien achttien negentien twintig",
)
_ROUND = (
    "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig hundert",
    "vingt trente quarante cinquante soixante soixante-dix quatre-vingts quatre-vingt-dix cent",
    "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa cien",
    "venti trenta quaranta cinquanta sessanta settanta ottanta novanta cento",
    "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa cem",
    "twintig dertig veertig vijftig zestig zeventig tachtig negentig honderd",
)
_OTHER = {word: value for line in _OTHERS for value, word in enumerate(line.split())}
_OTHER |= {word: 20 + 10 * tens for line in _ROUND for tens, word in enumerate(line.split())}
_HAN_DIGITS = {sign: value for value, sign in enumerate("〇一二三四五六七八九")} | {
    "零": 0,
    "两": 2,
    "兩": 2,
}
_HAN_STEPS = {"十": 10, "百": 100, "千": 1000}
_HAN = re.compile("[〇零一二三四五六七八九两兩十百千万萬]+")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_JOINING = frozenset({"", "and"})
_HALF = re.compile(r"\s+and\s+a\s+half\b", re.IGNORECASE)
_LARGEST, _LONGEST_HAN = 10**15, 20
SHORT_WORDS, SHORT_SIGNS = 6, 12
"""Longest text in which a word that means something else elsewhere, or a lone 一, is a number."""


def find_number_words(text: str) -> list[tuple[float, int, int]]:
    """Numbers written as words: value, start, end, in order; none beyond what words are used for."""
    is_short = len(text.strip()) <= SHORT_SIGNS
    han_numbers = [
        (_read_han(hit[0]), *hit.span())
        for hit in _HAN.finditer(text)
        if (is_short or len(hit[0]) > 1) and len(hit[0]) <= _LONGEST_HAN
    ]
    numbers = sorted([*han_numbers, *_find_words(text)], key=lambda number: number[1])
    numbers = [number for number in numbers if number[0] <= _LARGEST]
    ends = [0, *(end for _, _, end in numbers)]
    return [
        _add_surroundings(*number, text, end) for number, end in zip(numbers, ends, strict=False)
    ]


def _add_surroundings(
    value: float, start: int, end: int, text: str, last_end: int
) -> tuple[float, int, int]:
    """With a minus before it, unless it takes this number from the last one, and a half behind it."""
    if half := _HALF.match(text, end):
        value, end = value + 0.5, half.end()
    minus = MINUS.search(text[max(0, start - 16) : start])
    if minus and minus["word"]:
        sign_start = max(0, start - 16) + minus.start()
        if not last_end or text[last_end:sign_start].strip():
            value, start = -value, sign_start
    return value, start, end


def _find_words(text: str) -> list[tuple[int, int, int]]:
    is_short = sum(1 for _ in _WORD.finditer(text)) <= SHORT_WORDS
    numbers: list[tuple[int, int, int]] = []
    run: list[str] = []
    start = end = 0
    for hit in _WORD.finditer(text):
        word = hit[0].casefold()
        parts = word.split("-")
        if all(part in _ENGLISH or part in _LARGE for part in parts):
            if run and text[end : hit.start()].strip().casefold() not in _JOINING:
                numbers.append((_add_english(run), start, end))
                run = []
            start = start if run else hit.start()
            run += parts
            end = hit.end()
            continue
        if run and word in _JOINING:
            continue
        if run:
            numbers.append((_add_english(run), start, end))
            run = []
        if is_short and word in _OTHER:
            numbers.append((_OTHER[word], *hit.span()))
    if run:
        numbers.append((_add_english(run), start, end))
    return numbers


def _add_english(words: list[str]) -> int:
    """``two hundred five thousand`` → 205000."""
    total = current = 0
    for word in words:
        if word == "hundred":
            current = (current or 1) * 100
        elif word in _LARGE:
            total, current = total + (current or 1) * _LARGE[word], 0
        else:
            current += _ENGLISH[word]
    return total + current


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
