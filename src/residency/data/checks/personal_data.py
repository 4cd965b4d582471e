"""Suspects of personal data and of secrets.

Secrets are found by the detectors of detect-secrets. Personal data are found by form and, where
there is one, by checksum (cards: Luhn; IBAN: ISO 7064 mod 97-10), so that order numbers are not
taken for cards. These are suspects: the report shows them masked, and a person decides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from residency.data.checks.figures import Figure, Flags, View, cut_around

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"
)
_PHONE = re.compile(
    r"(?<![\w.+])(?<!\d[\s.-])(?:"
    r"\+\d{1,3}[ ./-]?(?:\(\d{1,5}\)[ ./-]?)?\d{1,5}(?:[ ./-]?\d{2,5}){1,4}"  # international
    r"|(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])[2-9]\d\d[ .-]\d{4}"  # North America
    r"|\(?0\d{1,5}\)?[ /-]\d{3,8}(?:[ -]\d{2,6}){0,3}"  # with a trunk 0
    r")(?!\w|[ .:/-]\d)"
)
_CARD = re.compile(
    r"(?<!\d)(?<!\d[ -])(?:\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ -])\d{6}\2\d{4,5})(?![ -]?\d)"
)
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")
_SSN = re.compile(r"\b(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}\b")
_NUMBER = re.compile(r"\d[\d .()-]{6,}\d")
_IBAN_START = re.compile(r"[A-Z]{2}\d\d")
_INVENTED = re.compile(
    r"@(?:[\w-]+\.)*(?:example|test|email|domain|company|yourcompany|yourdomain|mail|website)\.\w+$"
    r"|^(?:your?|my|some|user|sender|recipient|receiver|name|email|someone|john\.?doe|jane\.?doe)[\w.-]*@",
    re.IGNORECASE,
)
"""Addresses made up for an example."""
_ISSUED = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3[0689]\d{12}|35\d{14}|6\d{15,18}"
)
"""First digits and length that payment cards have (ISBNs pass the checksum, too)."""
_LONG_TOKEN = re.compile(r"[A-Za-z0-9_\-+/=.]{16,}|-----BEGIN|://[^/\s:@]{1,64}:[^/\s@]{1,64}@")
_LONGEST = 200_000


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
    ("email address", _EMAIL, _is_email, re.compile("@")),
    ("payment card", _CARD, _is_card, _NUMBER),
    ("IBAN", _IBAN, is_iban, _IBAN_START),
    ("US social security number", _SSN, lambda _: True, _NUMBER),
    ("telephone number", _PHONE, _is_phone, _NUMBER),
)
"""Kind, its form, its checksum, and what every text that holds one also holds (quick to look for)."""


def find_personal(text: str) -> list[tuple[str, int, int]]:
    """Kind, start and end of every suspect of personal data."""
    out: list[tuple[str, int, int]] = []
    hints = {hint: hint.search(text) is not None for _, _, _, hint in KINDS}
    for kind, pattern, holds, hint in KINDS:
        if not hints[hint]:
            continue
        for match in pattern.finditer(text):
            taken = any(a < match.end() and match.start() < b for _, a, b in out)
            if not taken and holds(match.group()):
                out.append((kind, match.start(), match.end()))
    return sorted(out, key=lambda hit: hit[1])


@lru_cache(maxsize=1)
def _load_detectors() -> list[Any]:
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    # Left out: entropy and keyword detectors (made for source code; prose is full of false
    # alarms) and public IP addresses (no secret).
    unfit = {
        "Base64HighEntropyString",
        "HexHighEntropyString",
        "KeywordDetector",
        "IPPublicDetector",
    }
    match: dict[str, Any] = get_mapping_from_secret_type_to_class()
    return [made() for name, made in sorted(match.items()) if made.__name__ not in unfit]


def find_secrets(text: str) -> list[tuple[str, int, int]]:
    """Kind, start and end of every suspect of a key, token or password."""
    if not _LONG_TOKEN.search(text):
        return []
    out = []
    for detector in _load_detectors():
        for value in detector.analyze_string(text):
            start = text.find(value)
            out.append((str(detector.secret_type), start, start + len(value)))
    return out


def mask_text(text: str) -> str:
    """First and last characters of a suspect, the rest as dots."""
    return text if len(text) < 5 else f"{text[:2]}{'•' * min(8, len(text) - 4)}{text[-2:]}"


class PersonalData:
    """Rows with suspects, by kind."""

    def __init__(self) -> None:
        self.personal, self.secrets = Flags(), Flags()
        self._kinds: Counter[str] = Counter()
        self._rows = 0

    def add(self, view: View) -> None:
        """One more row."""
        self._rows += 1
        text = f"{view.prompt}\n{view.answer}"[:_LONGEST]
        for flags, hits in (
            (self.personal, find_personal(text)),
            (self.secrets, find_secrets(text)),
        ):
            if hits:
                self._kinds.update({kind for kind, _, _ in hits})
                kind, start, end = hits[0]
                shown = cut_around(
                    text[:start] + mask_text(text[start:end]) + text[end:], start, end
                )
                flags.add(view, f"{kind}: {shown}")

    def merge(self, later: PersonalData, offset: int) -> None:
        """Add what another saw in the rows after these."""
        self._rows += later._rows
        self._kinds.update(later._kinds)
        self.personal.merge(later.personal, offset)
        self.secrets.merge(later.secrets, offset)

    def figures(self) -> list[Figure]:
        """What was seen."""
        match = [
            self.personal.figure(
                "personal",
                "personal data (suspects)",
                self._rows,
                "a model can repeat what it was trained on: replace by invented values or drop",
            ),
            self.secrets.figure(
                "secrets",
                "keys, tokens, passwords (suspects)",
                self._rows,
                "drop the rows and revoke the keys; --fix drops them",
            ),
        ]
        kinds = tuple((k, float(n)) for k, n in self._kinds.most_common())
        return [Figure(**{**vars(f), "details": kinds}) if f.rows else f for f in match]
