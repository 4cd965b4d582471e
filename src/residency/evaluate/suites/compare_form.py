"""When two fields say the same."""

from __future__ import annotations

from residency.text.answer_fields import Field
from residency.text.normal_form import normalise_answer


def compare_form(field: Field) -> str:
    """What two fields that mean the same have in common."""
    return field.canonical or normalise_answer(field.value)
