"""Suspects of personal data, by form and, where there is one, by checksum (cards: Luhn; IBAN: ISO 7064
mod 97-10), so that order numbers are not taken for cards.

These are suspects: the data doctor shows them masked and a person decides, moderation does with them
what its settings say.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_LETTERS = "A-Za-z0-9À-ӿ"
"""Of names in addresses: Latin, Greek and Cyrillic letters. Chinese, Japanese or Thai words may stand before an
address without a space, so those are no part of its name."""
_EMAIL = re.compile(
    rf"(?<![{_LETTERS}._%+-])[{_LETTERS}][{_LETTERS}._%+-]*@"
    r"(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}|[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,})"
)
_PHONE = re.compile(
    r"(?<![A-Za-z\d_.+])(?<!\d[\s.-])(?:"
    r"\+\d{1,3}[ ./-]?(?:\(\d{1,5}\)[ ./-]?)?\d{1,5}(?:[ ./-]?\d{2,5}){1,4}"  # international
    r"|(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])[2-9]\d\d[ .-]\d{4}"  # North America
    r"|\(?0\d{1,5}\)?[ /-]\d{3,8}(?:[ -]\d{2,6}){0,3}"  # with a trunk 0
    r")(?![A-Za-z\d_]|[ .:/-]\d)"
)
_CARD = re.compile(
    r"(?<!\d)(?<!\d[ -])(?:\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ -])\d{6}\2\d{4,5})(?![ -]?\d)"
)
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b", re.ASCII)
_SSN = re.compile(r"\b(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}\b", re.ASCII)
_AT = re.compile("@")
_NUMBER = re.compile(r"\d[\d .()-]{6,}\d")
_IBAN_START = re.compile(r"[A-Z]{2}\d\d")
_INVENTED = re.compile(
    r"@(?:[\w-]+\.)*(?:example|test|email|domain|company|yourcompany|yourdomain|website)\.\w+$"
    r"|^(?:your?|my|some|user|sender|recipient|receiver|name|email|someone|john\.?doe|jane\.?doe)[\w.-]*@",
    re.IGNORECASE,
)
"""Addresses made up for an example."""
_ISSUED = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3[0689]\d{12}|35\d{14}|6\d{15,18}"
)
"""First digits and length that payment cards have (ISBNs pass the checksum, too)."""


def _only_digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def passes_luhn(number: str) -> bool:
    """Whether the digits pass the Luhn checksum of payment cards (ISO/IEC 7812-1)."""
    digits = [int(d) for d in reversed(_only_digits(number))]
    doubled = (2 * d - 9 if d > 4 else 2 * d for d in digits[1::2])
    return (
        len(digits) >= 13 and len(set(digits)) > 1 and (sum(digits[::2]) + sum(doubled)) % 10 == 0
    )


def is_iban(text: str) -> bool:
    """Whether the text passes the IBAN checksum (ISO 13616, ISO 7064 mod 97-10)."""
    compact = text.replace(" ", "")
    if not 15 <= len(compact) <= 34:
        return False
    number = "".join(str(int(c, 36)) for c in compact[4:] + compact[:4])
    return int(number) % 97 == 1


def _is_phone(text: str) -> bool:
    # A date or a row of zeros and ones is no telephone number.
    digits = _only_digits(text)
    return 9 <= len(digits) <= 15 and len(set(digits)) > 2


def _is_email(text: str) -> bool:
    return not _INVENTED.search(text)


def _is_card(text: str) -> bool:
    return bool(_ISSUED.fullmatch(_only_digits(text))) and passes_luhn(text)


KINDS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool], re.Pattern[str]], ...] = (
    ("email address", _EMAIL, _is_email, _AT),
    ("payment card", _CARD, _is_card, _NUMBER),
    ("IBAN", _IBAN, is_iban, _IBAN_START),
    ("US social security number", _SSN, lambda _: True, _NUMBER),
    ("telephone number", _PHONE, _is_phone, _NUMBER),
)
"""Kind, its form, its checksum, and what every text that holds one also holds (quick to look for)."""
_HINTS = {hint for _, _, _, hint in KINDS}


def find_personal(text: str) -> list[tuple[str, int, int]]:
    """Kind, start and end of every suspect of personal data."""
    out: list[tuple[str, int, int]] = []
    found = {hint for hint in _HINTS if hint.search(text)}
    for kind, pattern, holds, hint in KINDS:
        if hint not in found:
            continue
        for match in pattern.finditer(text):
            overlaps = any(a < match.end() and match.start() < b for _, a, b in out)
            if not overlaps and holds(match.group()):
                out.append((kind, match.start(), match.end()))
    return sorted(out, key=lambda hit: hit[1])


def mask_text(text: str) -> str:
    """First and last characters of a suspect, the rest as dots."""
    return text if len(text) < 5 else f"{text[:2]}{'•' * min(8, len(text) - 4)}{text[-2:]}"
