"""What one command prints with ``--json``: its fields, their meaning, and a version."""

from __future__ import annotations

from dataclasses import dataclass, field

MODEL_FIELDS = "id, base, prompting, adapter, dataset, seed, round, arm, settings"

"""What stands in the record of a model."""


@dataclass(frozen=True)
class JsonShape:
    """An output: what it is, and its fields by name.

    Attributes:
        fields: of the object. row_fields: of each of ``rows``, where it has rows.
        with_options: fields that stand there with an option alone, which their text names.
        other_forms: what is printed instead with an option or other arguments: when → fields.
    """

    about: str
    fields: dict[str, str] = field(default_factory=dict)
    row_fields: dict[str, str] = field(default_factory=dict)
    with_options: dict[str, str] = field(default_factory=dict)
    other_forms: dict[str, dict[str, str]] = field(default_factory=dict)
    version: int = 1

    @property
    def known_fields(self) -> dict[str, str]:
        """Every field that an output of this command may have, besides ``schema``."""
        known = {"rows": ""} if self.row_fields else {}
        for fields in (*self.other_forms.values(), self.with_options, self.fields):
            known |= fields
        return known
