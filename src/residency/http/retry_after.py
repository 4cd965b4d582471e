"""How long a server asks to wait, in the forms that servers say it."""

from __future__ import annotations

import math
import re
import time
from datetime import datetime
from email.utils import parsedate_to_datetime

import httpx

_RESET = re.compile(r"(?:x-)?ratelimit-reset(?:-(?:requests|tokens))?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")
_DURATIONS = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhd]))+")
_SINCE_1970 = 1e9


def read_retry_after(response: httpx.Response) -> float | None:
    """Seconds that the server asks to wait: a number, a date, milliseconds, or when a limit ends."""
    headers = response.headers
    milliseconds = _read_seconds(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    seconds = _read_seconds(value)
    if seconds is not None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        pass
    if response.status_code != 429:
        return None
    resets = [_read_reset(value) for name, value in headers.items() if _RESET.fullmatch(name)]
    return max((reset for reset in resets if reset is not None), default=None)


def _read_reset(value: str) -> float | None:
    """Seconds until a limit ends: ``6m0s``, ``120ms``, a number of seconds, a moment, or a date."""
    seconds = _read_seconds(value)
    if seconds is not None:
        for unit in (1.0, 1000.0):  # a moment in seconds or milliseconds since 1970
            if seconds / unit > _SINCE_1970 and seconds / unit < 10 * _SINCE_1970:
                return max(0.0, seconds / unit - time.time())
        return seconds
    parts = _DURATION.findall(value) if _DURATIONS.fullmatch(value.strip()) else []
    if parts:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    try:
        return max(0.0, datetime.fromisoformat(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _read_seconds(value: str) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
