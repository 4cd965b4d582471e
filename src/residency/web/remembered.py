"""What takes long to work out and is the same for the same contents: worked out once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Remembered(Generic[Value]):
    """Values by what they were made of; the ones that were used longest ago are forgotten.

    While one request works a value out, others that ask for the same wait for it and do not work it
    out again; those that ask for another one do not wait.
    """

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._values: dict[Hashable, Value] = {}
        self._making: dict[Hashable, threading.Lock] = {}

    def knows(self, key: Hashable) -> bool:
        """Whether the value of a key is at hand."""
        with self._lock:
            return key in self._values

    def find(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a key, made where it is not known; what ``make`` raises is not remembered."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._values:
                    self._values[key] = self._values.pop(key)
                    return self._values[key]
            try:
                value = make()
                with self._lock:  # before others may begin anew
                    self._values[key] = value
                    while len(self._values) > self._most:
                        del self._values[next(iter(self._values))]
            finally:
                with self._lock:
                    self._making.pop(key, None)
            return value
