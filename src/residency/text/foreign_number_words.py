"""Numbers in words of German, French, Spanish, Italian, Portuguese and Dutch, below a thousand million.

``zweiundvierzig``, ``quatre-vingt-dix-sept``, ``septante``, ``cuarenta y dos``, ``quarantadue``,
``quarenta e dois``, ``tweeënveertig``. Words are compared without spaces, hyphens and accents. The
tables hold every number below a thousand; larger ones are a number, the word for a thousand, and
another number.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from functools import cache

MOST_WORDS = 14
"""Of one number: mil novecentos e noventa e nove has seven, with millions twice that."""


@dataclass(frozen=True)
class Language:
    """How a language names numbers.

    Attributes:
        below_thousand: joined words → value. thousands, millions: their words, the longest first.
        joins: what may stand between parts, nothing included. halves: endings that add a half.
    """

    below_thousand: dict[str, float]
    thousands: tuple[str, ...]
    millions: tuple[str, ...]
    joins: tuple[str, ...] = ("",)
    halves: tuple[str, ...] = field(default=())


def join_words(text: str) -> str:
    """Small letters alone: without accents, spaces and hyphens."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in plain if character.isalpha())


def read_foreign_number(joined: str) -> float | None:
    """The number that these joined words are in one of the languages, or None."""
    for language in list_languages():
        value = _read_number(joined, language)
        if value is not None:
            return value
    return None


def _read_number(joined: str, language: Language) -> float | None:
    for ending in language.halves:
        if joined.endswith(ending):
            whole = language.below_thousand.get(joined.removesuffix(ending))
            return None if whole is None else whole + 0.5
    for word in language.millions:
        left, found, right = joined.partition(word)
        if found and (many := language.below_thousand.get(left)):
            rest = _read_thousands(_drop_join(right, language), language) if right else 0.0
            return None if rest is None else many * 1e6 + rest
    return _read_thousands(joined, language)


def _read_thousands(joined: str, language: Language) -> float | None:
    if (value := language.below_thousand.get(joined)) is not None:
        return value
    for word in language.thousands:
        left, found, right = joined.partition(word)
        if not found:
            continue
        many = language.below_thousand.get(left) if left else 1.0
        rest = language.below_thousand.get(_drop_join(right, language)) if right else 0.0
        if many and many < 1000 and rest is not None and rest < 1000:
            return many * 1000 + rest
    return None


def _drop_join(text: str, language: Language) -> str:
    for join in language.joins:
        if join and text.startswith(join) and text not in language.below_thousand:
            return text.removeprefix(join)
    return text


@cache
def list_languages() -> tuple[Language, ...]:
    """The six languages; their tables are made at the first use."""
    return (
        Language(
            _german(), ("tausend",), ("millionen", "million"), ("und",), ("einhalb", "undeinhalb")
        ),
        Language(_french(), ("mille",), ("millions", "million"), ("et",), ("etdemi", "etdemie")),
        Language(_spanish(), ("mil",), ("millones", "millon"), ("y",), ("ymedio", "ymedia")),
        Language(_italian(), ("mila", "mille"), ("milioni", "milione"), ("e",), ("emezzo",)),
        Language(_portuguese(), ("mil",), ("milhoes", "milhao"), ("e",), ("emeio", "emeia")),
        Language(_dutch(), ("duizend",), ("miljoen",), ("en",), ("eneenhalf",)),
    )


def _number(words: str) -> dict[str, float]:
    """Words in order, from zero; a slash parts two that mean the same."""
    return {
        one: float(value) for value, same in enumerate(words.split()) for one in same.split("/")
    }


def _add_hundreds(
    below: dict[str, float], hundreds: dict[str, float], joins: tuple[str, ...] = ("",)
) -> dict[str, float]:
    """With every hundred alone and before every number below it."""
    out = dict(below) | hundreds
    for word, value in hundreds.items():
        for rest, added in below.items():
            if added:
                out |= {word + join + rest: value + added for join in joins}
    return out


def _german() -> dict[str, float]:
    small = _number(
        "null eins/ein/eine zwei/zwo drei vier funf/fuenf sechs sieben acht neun zehn elf"
        " zwolf/zwoelf dreizehn vierzehn funfzehn/fuenfzehn sechzehn siebzehn achtzehn neunzehn"
    )
    tens = "zwanzig dreissig vierzig funfzig/fuenfzig sechzig siebzig achtzig neunzig"
    below = small | _join_units(small, tens, "{unit}und{ten}", without=("eins", "eine"))
    hundreds = {f"{w}hundert": 100 * v for w, v in small.items() if v and w not in ("eins", "eine")}
    out = _add_hundreds(below, hundreds | {"hundert": 100.0}, ("", "und"))
    return out | {"anderthalb": 1.5, "eineinhalb": 1.5}


def _dutch() -> dict[str, float]:
    small = _number(
        "nul een twee drie vier vijf zes zeven acht negen tien elf twaalf dertien veertien vijftien"
        " zestien zeventien achttien negentien"
    )
    tens = "twintig dertig veertig vijftig zestig zeventig tachtig negentig"
    below = small | _join_units(small, tens, "{unit}en{ten}")
    hundreds = {f"{word}honderd": 100 * value for word, value in small.items() if value > 1}
    return _add_hundreds(below, hundreds | {"honderd": 100.0}, ("", "en")) | {"anderhalf": 1.5}


def _join_units(
    small: dict[str, float], tens: str, form: str, without: tuple[str, ...] = ()
) -> dict[str, float]:
    """The tens, and each with the units that stand beside it."""
    out = {}
    for count, same in enumerate(tens.split(), 2):
        for ten in same.split("/"):
            out[ten] = 10.0 * count
            for unit, value in small.items():
                if 0 < value < 10 and unit not in without:
                    out[form.format(unit=unit, ten=ten)] = 10.0 * count + value
    return out


def _french() -> dict[str, float]:
    small = _number(
        "zero un/une deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze"
        " seize dixsept dixhuit dixneuf"
    )
    tens = "vingt trente quarante cinquante soixante septante huitante/octante nonante"
    below = small | _join_units(small, tens, "{ten}{unit}")
    below |= {
        f"{ten}et{one}": below[ten] + 1 for ten in _split_words(tens) for one in ("un", "une")
    }
    for unit, value in small.items():
        if value:
            below[f"quatrevingt{unit}"] = 80 + value
        if value >= 10:
            below[f"soixante{unit}"] = 60 + value
    below |= {"quatrevingt": 80.0, "quatrevingts": 80.0, "soixanteetonze": 71.0}
    hundreds = {f"{word}cent": 100 * value for word, value in small.items() if 1 < value < 10}
    out = _add_hundreds(below, hundreds | {"cent": 100.0})
    # six cents are money as often as 600
    return out | {f"{word}s": value for word, value in hundreds.items() if word != "sixcent"}


def _spanish() -> dict[str, float]:
    small = _number(
        "cero uno/una/un dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce"
        " quince dieciseis diecisiete dieciocho diecinueve"
    )
    tens = "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa"
    below = small | _join_units(small, tens, "{ten}y{unit}")
    below |= {f"veinti{unit}": 20 + value for unit, value in small.items() if 0 < value < 10}
    words = "doscientos trescientos cuatrocientos quinientos seiscientos setecientos ochocientos"
    hundreds = {
        form: 100.0 * count
        for count, word in enumerate([*words.split(), "novecientos"], 2)
        for form in (word, word[:-2] + "as")
    }
    return _add_hundreds(below, hundreds | {"ciento": 100.0}) | {"cien": 100.0}


def _italian() -> dict[str, float]:
    small = _number(
        "zero uno/un/una due tre quattro cinque sei sette otto nove dieci undici dodici tredici"
        " quattordici quindici sedici diciassette diciotto diciannove"
    )
    tens = "venti trenta quaranta cinquanta sessanta settanta ottanta novanta"
    below = small | _join_units(small, tens, "{ten}{unit}", without=("uno", "un", "una", "otto"))
    for ten in _split_words(tens):
        below |= {f"{ten[:-1]}uno": below[ten] + 1, f"{ten[:-1]}otto": below[ten] + 8}
    hundreds = {f"{word}cento": 100 * value for word, value in small.items() if 1 < value < 10}
    out = _add_hundreds(below, hundreds | {"cento": 100.0})
    elided = {"cent" + rest: 100 + below[rest] for rest in ("otto", "ottanta")}
    return out | elided


def _portuguese() -> dict[str, float]:
    small = _number(
        "zero um/uma dois/duas tres quatro cinco seis sete oito nove dez onze doze treze"
        " catorze/quatorze quinze dezesseis/dezasseis dezessete/dezassete dezoito dezenove/dezanove"
    )
    tens = "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa"
    below = small | _join_units(small, tens, "{ten}e{unit}")
    words = "duzentos trezentos quatrocentos quinhentos seiscentos setecentos oitocentos novecentos"
    hundreds = {
        form: 100.0 * count
        for count, word in enumerate(words.split(), 2)
        for form in (word, word[:-2] + "as")
    }
    return _add_hundreds(below, hundreds | {"cento": 100.0}, ("", "e")) | {"cem": 100.0}


def _split_words(words: str) -> list[str]:
    return [one for same in words.split() for one in same.split("/")]
