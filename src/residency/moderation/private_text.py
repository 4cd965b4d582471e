"""Judges of personal data and of secrets: what ``residency check`` looks for in rows."""

from __future__ import annotations

from residency.config.moderation import JudgeGroup
from residency.moderation.fold_text import fold_text
from residency.moderation.judge import Hit
from residency.text.personal_data import find_personal
from residency.text.secret_forms import find_secrets

GROUPS: dict[str, JudgeGroup] = {
    "email address": "email",
    "payment card": "card",
    "IBAN": "iban",
    "US social security number": "ssn",
    "telephone number": "phone",
}
"""The setting of each kind of personal data."""


class PersonalDataJudge:
    """Addresses, numbers of cards, accounts, telephones and people."""

    group: JudgeGroup = "personal"
    version = "personal data 2"

    def find(self, text: str) -> list[Hit]:
        """Suspects by form and checksum."""
        folded = fold_text(text)
        return [
            Hit(kind, GROUPS[kind], *folded.find_span(start, end))
            for kind, start, end in find_personal(folded.text)
        ]


class SecretsJudge:
    """Keys, tokens, passwords in addresses."""

    group: JudgeGroup = "secrets"
    version = "secrets 2"

    def find(self, text: str) -> list[Hit]:
        """Suspects by the forms of their makers; the kind is ``secret`` for all of them."""
        folded = fold_text(text)
        return [
            Hit("secret", "secrets", *folded.find_span(start, end))
            for _, start, end in find_secrets(folded.text)
        ]
