"""Identity by content: the same content has the same id on every machine."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def content_id(prefix: str, value: Any) -> str:
    """``prefix-`` and the first 16 hex digits of the SHA-256 of the canonical JSON of ``value``."""
    digest = hashlib.sha256(canonical_json(value).encode()).hexdigest()
    return f"{prefix}-{digest[:16]}"
