"""Whether two numbers are the same amount, within a tolerance."""

from __future__ import annotations

from residency.text.numbers import Number


def is_near(number: Number, target: Number, tolerance: float) -> bool | None:
    """Whether two numbers differ by at most ``tolerance``; None where the writing leaves it open.

    15 % equals 0.15 as well as 15, and 3.5 million 3500000 as well as 3.5; the tolerance is in the
    target's unit.
    """
    if number.value is None or target.value is None:
        return None
    if _differs_little(number, number.value, target, target.value, tolerance):
        return True
    for mine in {number.value, number.alternative}:
        for theirs in {target.value, target.alternative}:
            if (
                mine is not None
                and theirs is not None
                and _differs_little(number, mine, target, theirs, tolerance)
            ):
                return None
    return False


def _differs_little(
    number: Number, mine: float, target: Number, theirs: float, tolerance: float
) -> bool:
    exact = max(tolerance, 1e-12 * abs(theirs))
    if 1 < number.parts != target.parts > 1:  # 5 ‰ and 5 %
        allowed = max(tolerance / target.parts, 1e-12)
        return abs(mine / number.parts - theirs / target.parts) <= allowed
    pairs = [(mine * number.scale, theirs * target.scale, exact * target.scale)]
    if number.scale == 1.0 or target.scale == 1.0:
        pairs.append((mine, theirs, exact))
    if any(abs(a - b) <= allowed for a, b, allowed in pairs):
        return True
    if number.parts == target.parts:
        return False
    # The tolerance is in the target's unit.
    allowed = max(tolerance / target.parts, 1e-12)
    return abs(mine / number.parts - theirs / target.parts) <= allowed
