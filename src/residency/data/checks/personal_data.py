"""Rows with suspects of personal data and of secrets. The report shows them masked, and a person
decides. What a suspect is, is said in ``text/personal_data.py`` and ``text/secret_forms.py``.
"""

from __future__ import annotations

from collections import Counter

from residency.data.checks.figures import Figure, Flags, View, cut_around
from residency.text.personal_data import find_personal, mask_text
from residency.text.secret_forms import find_secrets

_LONGEST = 200_000


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
