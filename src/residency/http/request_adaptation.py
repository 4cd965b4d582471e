"""Settings that a server refuses: sent otherwise or not at all from then on, and told once.

Newer hosted models refuse ``max_tokens`` (they want ``max_completion_tokens``) and any temperature
but the default; others refuse ``seed``, ``top_k`` or ``stop``.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any

_RENAMED = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_DROPPED = ("temperature", "top_p", "top_k", "seed", "stop")


class RequestAdaptation:
    """What one server refuses. ``notes`` says it in words."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._renamed: dict[str, str] = {}
        self._dropped: set[str] = set()
        self._lock = threading.Lock()

    def adapt(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body in the form that the server takes, as far as it is known."""
        return {
            self._renamed.get(name, name): value
            for name, value in body.items()
            if name not in self._dropped
        }

    def learn(self, body: Mapping[str, Any], refusal: str) -> bool:
        """Whether a refusal of ``body``, as it was sent, is about a setting that can be sent otherwise."""
        named = [name for name in body if re.search(rf"\b{name}\b", refusal)]
        with self._lock:
            for name in named:
                other = _RENAMED.get(name)
                if other and other in refusal and other not in self._renamed:
                    self._renamed = {name: other}
                    self._tell(f"the server takes {other} in place of {name}")
                    return True
            for name in named:
                if name in _DROPPED and name not in self._dropped:
                    self._dropped.add(name)
                    self._tell(
                        f"the server refuses {name}; it is asked without, as it is set there"
                    )
                    return True
        # Another request may have learned the same in the meantime.
        return self.adapt(body) != dict(body)

    def _tell(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)
