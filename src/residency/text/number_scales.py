"""Words and letters after a number that multiply it: ``3,5 Mio.``, ``$1.2M``, ``5 lakh``, ``3万``."""

from __future__ import annotations

import re

_WORDS: dict[float, str] = {
    1e2: "hundred hundert",
    1e3: "thousand thousands tausend tsd mil mila mille duizend tusen tys тыс тысяч тысячи",
    1e5: "lakh lakhs lac lacs",
    1e6: "million millions millionen mio mn mln mill millón millones milione milioni"
    " milhão milhões miljoen miljoner milion miliony milionów млн миллион миллиона миллионов",
    1e7: "crore crores",
    1e9: "billion billions bn milliard milliards milliarde milliarden mrd mld md miliardo miliardi"
    " bilhão bilhões miljard miljarder miliard miliardy miliardów млрд миллиард миллиардов",
    1e12: "trillion trillions tn billionen bio billón billones трлн",
}
_TWO_WORDS = {
    "mil millones": 1e9,
    "mil milhões": 1e9,
    "hundred thousand": 1e5,
    "mille milliards": 1e12,
}
_LETTERS = {"k": 1e3, "K": 1e3, "M": 1e6, "mn": 1e6, "bn": 1e9, "tn": 1e12}
_MONEY_LETTERS = {**_LETTERS, "m": 1e6, "b": 1e9, "B": 1e9, "T": 1e12, "t": 1e12}
"""After an amount of money ``m`` is no metre."""
_SIGNS = {"百": 1e2, "千": 1e3, "万": 1e4, "萬": 1e4, "亿": 1e8, "億": 1e8, "兆": 1e12}
_SIGNS |= {"만": 1e4, "억": 1e8, "천": 1e3}

_BY_WORD = {word: size for size, words in _WORDS.items() for word in words.split()} | _TWO_WORDS
_WORD = re.compile(
    r"[ \u00a0\u202f-]?("
    + "|".join(sorted(map(re.escape, _BY_WORD), key=len, reverse=True))
    + r")\b",
    re.IGNORECASE,
)
_LETTER = re.compile(r" ?(mn|bn|tn|[kKMmbBtT])(?![\w/²³%'’-])")
_SIGN = re.compile(f" ?([{''.join(_SIGNS)}]+)")
_MONEY = re.compile(r"(?:[$€£¥₹₽₩₺]|\b(?:USD|EUR|GBP|CHF|CAD|AUD|INR|Rs\.?))\s?[-+−]?\Z")


def read_scale(text: str, start: int, end: int) -> tuple[float, int]:
    """What multiplies the number that stands at ``start:end``, and where that word ends.

    1 and ``end`` where nothing does. A lone letter counts where it stands right behind the
    number (``5k``), and after money also one that means a unit elsewhere (``$5m``).
    """
    if word := _WORD.match(text, end):
        return _BY_WORD[word[1].lower()], word.end()
    if sign := _SIGN.match(text, end):
        size = 1.0
        for character in sign[1]:
            size *= _SIGNS[character]
        return size, sign.end()
    letters = _MONEY_LETTERS if _MONEY.search(text[max(0, start - 6) : start]) else _LETTERS
    letter = _LETTER.match(text, end)
    if letter and letter[1] in letters and (letters is _MONEY_LETTERS or letter.start(1) == end):
        return letters[letter[1]], letter.end()
    return 1.0, end
