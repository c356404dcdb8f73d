"""What the pages have computed, kept for all sessions of the server, the oldest dropped first.

It holds a bounded number of values by key, of a bounded size together, and knows nothing of what they are.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TypeVar

Value = TypeVar("Value")


class Store:
    """A bounded memory of results by key; safe to use from several sessions at once."""

    def __init__(self, max_entries: int, max_bytes: int = 200_000_000) -> None:
        self.max_entries, self.max_bytes = max_entries, max_bytes
        self._values: OrderedDict[str, tuple[object, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __contains__(self, key: str) -> bool:
        with self._lock:
            return key in self._values

    def find(self, key: str) -> object | None:
        """The value of a key, or None where it is not kept."""
        with self._lock:
            return self._values.get(key, (None, 0))[0]

    def get(self, key: str, compute: Callable[[], Value]) -> Value:
        """The value of a key, computed (outside the lock) if it is not kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key][0]  # type: ignore[return-value]
        value = compute()
        self._keep(key, value)
        return value

    def _keep(self, key: str, value: object) -> None:
        size = _size(value)
        with self._lock:
            self._bytes += size - self._values.pop(key, (None, 0))[1]
            self._values[key] = value, size
            while len(self._values) > self.max_entries or (
                self._bytes > self.max_bytes and len(self._values) > 1
            ):
                self._bytes -= self._values.popitem(last=False)[1][1]


def _size(value: object) -> int:
    """Roughly the bytes that a value holds on to: of arrays and texts, and of what is made of them."""
    size = getattr(value, "nbytes", None)
    if isinstance(size, int):
        return size
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return sum(_size(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, Mapping):
        return sum(_size(each) for each in value.values())
    if isinstance(value, list | tuple):
        return sum(_size(each) for each in value)
    return sys.getsizeof(value)
