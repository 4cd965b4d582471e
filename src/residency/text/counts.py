"""A number with its noun: ``1 row``, ``2 rows``."""

from __future__ import annotations


def write_count(number: int, noun: str, nouns: str = "") -> str:
    """The number and what it counts.

    Args:
        noun: for one, with what agrees with it (``row has``). nouns: for any other number; by default
            the noun with an s.
    """
    return f"{number} {noun if number == 1 else nouns or f'{noun}s'}"
