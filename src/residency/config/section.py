"""What every table of ``residency.toml`` has in common."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from residency.nouns.short_view import draw_table

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
        if wanted in (int, float, float | None, int | None) and not is_number and value is not None:
            raise ValueError("a number is expected")
        if wanted is bool and not isinstance(value, bool):
            raise ValueError("true or false is expected")
        if _holds_null(value):
            raise ValueError("a null character stands in it, which no path and no store can hold")
        if is_number and abs(value) > LARGEST_NUMBER and value not in (inf, -inf):
            raise ValueError("a number of at most 2^53 is expected")
        return value

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """What differs from the defaults: a whole project's settings are some 150."""
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if value != field.get_default(call_default_factory=True):
                yield name, value

    def _repr_html_(self) -> str:
        """The same as a table, a setting a row."""
        return draw_table(
            [{"setting": name, "value": repr(value)} for name, value in _list_changed("", self)]
        )


def _list_changed(before: str, section: Section) -> Iterator[tuple[str, Any]]:
    for name, value in section.__repr_args__():
        if isinstance(value, Section):
            yield from _list_changed(f"{before}{name}.", value)
        else:
            yield before + name, value


def _holds_null(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_holds_null, value))
    if isinstance(value, dict):
        return any(_holds_null(key) or _holds_null(item) for key, item in value.items())
    return isinstance(value, str) and "\0" in value
