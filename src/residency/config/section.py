"""What every table of ``residency.toml`` has in common."""

from __future__ import annotations

from math import inf
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

LARGEST_NUMBER = 2**53
"""Numbers up to here are exact in every file that settings are written to."""


class Section(BaseModel):
    """A table of ``residency.toml``."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        allow_inf_nan=False,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_other_types(cls, value: Any, info: ValidationInfo) -> Any:
        """TOML has types: neither ``"8"`` nor ``true`` is a number."""
        wanted = cls.model_fields[info.field_name or ""].annotation
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if wanted in (int, float) and not is_number:
            raise ValueError("a number is expected")
        if wanted is bool and not isinstance(value, bool):
            raise ValueError("true or false is expected")
        if is_number and abs(value) > LARGEST_NUMBER and value not in (inf, -inf):
            raise ValueError("a number of at most 2^53 is expected")
        return value
