"""What the pages have computed, kept for all sessions of the server, the oldest dropped first.

It holds a bounded number of values by key, and knows nothing of what they are.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


class Store:
    """A bounded memory of results by key; safe to use from several sessions at once."""

    def __init__(self, max_entries: int) -> None:
        self.max_entries = max_entries
        self._values: OrderedDict[str, object] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, key: str) -> bool:
        with self._lock:
            return key in self._values

    def find(self, key: str) -> object | None:
        """The value of a key, or None where it is not kept."""
        with self._lock:
            return self._values.get(key)

    def get(self, key: str, compute: Callable[[], Value]) -> Value:
        """The value of a key, computed (outside the lock) if it is not kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]  # type: ignore[return-value]
        value = compute()
        with self._lock:
            self._values[key] = value
            while len(self._values) > self.max_entries:
                self._values.popitem(last=False)
        return value
