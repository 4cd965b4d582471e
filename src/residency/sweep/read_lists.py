"""Lists of numbers as people write them: ``12, 25, 50 %``."""

from __future__ import annotations

from residency.errors import UserError


def read_numbers(text: str, where: str, example: str = "4, 16") -> list[float]:
    """The numbers of a text, between commas; none in an empty one.

    Raises:
        UserError: something there is no number.
    """
    try:
        return [float(part) for part in text.replace("%", " ").split(",") if part.strip()]
    except ValueError:
        raise UserError(
            f"{text!r} is no list of numbers", where=where, next_step=f"for example {example}"
        ) from None


def read_shares(text: str) -> tuple[float, ...]:
    """``12,25,50,100`` (per cent) as shares.

    Raises:
        UserError: something there is no number.
    """
    numbers = read_numbers(text, "--sizes", "--sizes 12,25,50,100")
    return tuple(number / 100 for number in numbers)
