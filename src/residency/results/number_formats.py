"""Figures as people read them: a dash where there is nothing, no line break inside."""

from __future__ import annotations

import math
from datetime import timedelta

from residency.nouns.round import Round
from residency.text.percent import write_percent


def format_trained_rows(trained: Round) -> str:
    """Rows of a training, and how many of them are general ones: ``67, 7 general``; – for none."""
    if not trained.trained_rows:
        return "–"
    general = f", {trained.general_rows} general" if trained.general_rows else ""
    return f"{trained.trained_rows}{general}"


def format_percent(value: float | None, digits: int = 1) -> str:
    """``0.1234`` → ``12.3 %`` (no line break inside); an en dash where there is nothing."""
    return write_percent(value, digits).replace(" ", "\u00a0")


def format_number(value: float | None, digits: int) -> str:
    """A figure with so many digits after the point; an en dash where there is nothing."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.{digits}f}"


def format_points(value: float | None) -> str:
    """A difference in percentage points with its sign, e.g. ``+12.3``."""
    if value is None or math.isnan(value):
        return "–"
    return f"{100 * value:+.1f}".replace("-", "−")


def format_interval(low: float, high: float, digits: int = 1, *, signed: bool = False) -> str:
    """``12.3 to 15.6``, in percent or percentage points."""
    if signed:
        return f"{format_points(low)} to {format_points(high)}"
    return f"{100 * low:.{digits}f} to {100 * high:.{digits}f}"


def format_duration(seconds: float) -> str:
    """``75`` → ``1 min 15 s``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    total = timedelta(seconds=round(seconds))
    hours, rest = divmod(total.seconds + 86400 * total.days, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left:02d} s"


def format_rough_duration(seconds: float) -> str:
    """A time that is only foretold: ``43`` → ``40 s``, ``700`` → ``12 min``."""
    if seconds < 95:
        return f"{max(10, round(seconds / 10) * 10)} s"
    if seconds < 5700:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def format_e_value(value: float) -> str:
    """An e-value with the digits that matter."""
    if math.isinf(value):
        return "∞"
    if value >= 1000:
        exponent = math.floor(math.log10(value))
        return f"{value / 10**exponent:.1f}·10{str(exponent).translate(_SUPERSCRIPT)}"
    return f"{value:.3g}"


_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
