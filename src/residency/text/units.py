"""Units behind or before a number: of length, weight, volume, time, speed and more, and of money."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("mm", "millimetres", "millimeters"), ("m", 0.001)),
    **dict.fromkeys(("cm", "centimetres", "centimeters"), ("m", 0.01)),
    **dict.fromkeys(("m", "metre", "metres", "meter", "meters"), ("m", 1.0)),
    **dict.fromkeys(("km", "kilometre", "kilometres", "kilometer", "kilometers"), ("m", 1000.0)),
    **dict.fromkeys(("inch", "inches"), ("m", 0.0254)),
    **dict.fromkeys(("ft", "foot", "feet"), ("m", 0.3048)),
    **dict.fromkeys(("mile", "miles"), ("m", 1609.344)),
    **dict.fromkeys(("mg", "milligrams"), ("g", 0.001)),
    **dict.fromkeys(("g", "gram", "grams"), ("g", 1.0)),
    **dict.fromkeys(("kg", "kilo", "kilos", "kilograms"), ("g", 1000.0)),
    **dict.fromkeys(("lb", "lbs", "pound", "pounds"), ("g", 453.59237)),
    **dict.fromkeys(("ml", "millilitres", "milliliters"), ("l", 0.001)),
    **dict.fromkeys(("l", "litre", "litres", "liter", "liters"), ("l", 1.0)),
    **dict.fromkeys(("second", "seconds", "sec"), ("s", 1.0)),
    **dict.fromkeys(("minute", "minutes", "min"), ("s", 60.0)),
    **dict.fromkeys(("hour", "hours"), ("s", 3600.0)),
    **dict.fromkeys(("day", "days"), ("s", 86400.0)),
    **dict.fromkeys(("week", "weeks"), ("s", 604800.0)),
    **dict.fromkeys(("month", "months"), ("month", 1.0)),
    **dict.fromkeys(("year", "years"), ("month", 12.0)),
    **dict.fromkeys(("°C", "° C", "℃", "degrees Celsius"), ("°C", 1.0)),
    **dict.fromkeys(("°F", "° F", "℉", "degrees Fahrenheit"), ("°F", 1.0)),
    **dict.fromkeys(("km/h", "kmh", "kph"), ("km/h", 1.0)),
    **{"m/s": ("km/h", 3.6), "mph": ("km/h", 1.609344)},
    **{"m²": ("m²", 1.0), "m2": ("m²", 1.0), "km²": ("m²", 1e6), "km2": ("m²", 1e6)},
    **{"Wh": ("Wh", 1.0), "kWh": ("Wh", 1e3), "MWh": ("Wh", 1e6)},
    **{"W": ("W", 1.0), "kW": ("W", 1e3), "MW": ("W", 1e6)},
    **{"KiB": ("B", 2.0**10), "MiB": ("B", 2.0**20), "GiB": ("B", 2.0**30), "TiB": ("B", 2.0**40)},
    **{"kB": ("B", 1e3), "KB": ("B", 1e3), "MB": ("B", 1e6), "GB": ("B", 1e9), "TB": ("B", 1e12)},
}
_UNIT = re.compile(
    r"[\s-]?(" + "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True)) + r")(?![\w/²³])"
)
_MONEY = {"€": "€", "EUR": "€", "euro": "€", "euros": "€", "$": "$", "USD": "$", "dollar": "$"}
_MONEY |= {"dollars": "$", "£": "£", "GBP": "£", "¥": "¥", "JPY": "¥", "yen": "¥", "CNY": "CNY"}
_MONEY |= {"CHF": "CHF", "Fr.": "CHF", "₹": "₹", "INR": "₹", "CAD": "CAD", "AUD": "AUD"}
_MONEY |= {"Rs": "₹", "Rs.": "₹", "₽": "₽", "руб.": "₽", "руб": "₽", "₩": "₩", "₺": "₺"}
_MONEY |= {"R$": "R$", "zł": "zł", "kr": "kr", "Kč": "Kč", "元": "CNY", "円": "¥", "원": "₩"}
_MONEY_WORDS = "|".join(sorted(map(re.escape, _MONEY), key=len, reverse=True))
_MONEY_BEHIND = re.compile(rf"\s?({_MONEY_WORDS})(?!\w)")
_MONEY_BEFORE = re.compile(rf"(?<!\w)({_MONEY_WORDS})\s?[-+−]?\Z")


@dataclass(frozen=True)
class Unit:
    """What a number counts, and how many of the kind's own units one is; money has one size."""

    kind: str
    size: float = 1.0


def read_measure(text: str, end: int) -> Unit | None:
    """The unit, other than of money, behind a number that ends there."""
    match = _UNIT.match(text, end)
    return Unit(*_UNITS[match[1]]) if match else None


def read_unit(text: str, start: int, end: int) -> Unit | None:
    """The unit of the number at ``start:end``, its sign and the word of its scale included."""
    money = _MONEY_BEHIND.match(text, end) or _MONEY_BEFORE.search(text[max(0, start - 8) : start])
    if money is None and text[start : start + 1] in ("-", "−", "+"):
        money = _MONEY_BEFORE.search(text[max(0, start - 8) : start + 1])
    if money is None:  # a minus before money is part of the number: -$5
        money = re.match(rf"[-−–]\s?({_MONEY_WORDS})", text[start:end])
    return Unit(_MONEY[money[1]]) if money else read_measure(text, end)


def split_off_unit(text: str, start: int, end: int) -> tuple[str, str]:
    """What stands before and behind the number at ``start:end``, without its currency or unit."""
    before, behind = text[:start], text[end:]
    if money := _MONEY_BEFORE.search(before):
        before = before[: money.start()]
    if unit := _MONEY_BEHIND.match(behind) or _UNIT.match(behind):
        behind = behind[unit.end() :]
    return before, behind
