"""Identity by content: the same content has the same id on every machine."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

_BARE = re.compile(r"[0-9a-f]{6,16}")
"""The beginning of an id's digits, as tables write it where there is little room."""


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def content_id(prefix: str, value: Any) -> str:
    """``prefix-`` and the first 16 hex digits of the SHA-256 of the canonical JSON of ``value``."""
    digest = hashlib.sha256(canonical_json(value).encode()).hexdigest()
    return f"{prefix}-{digest[:16]}"


def is_bare(text: str) -> bool:
    """Whether a text can be the beginning of an id's digits, without the kind before them."""
    return _BARE.fullmatch(text) is not None


def id_begins(key: str, text: str) -> bool:
    """Whether an id begins with a text: with its kind (``is-b7ed30``), or without (``b7ed30``)."""
    return bool(text) and (
        key.startswith(text) or (is_bare(text) and key.partition("-")[2].startswith(text))
    )
