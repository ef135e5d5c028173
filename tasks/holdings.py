"""What this process works on right now: the leases that may be prolonged, and no others.

A thread that ends, in whatever way, gives its lease up here; the ledger's then runs out, and another attempt follows.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T", int, str)


class Holdings:
    """Ids of records and names of flows in work. Shared by the threads of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Counted: a thread that lost its lease and hangs may leave after another has begun on the same record.
        self._records: Counter[int] = Counter()
        self._turns: Counter[str] = Counter()

    @contextmanager
    def record(self, record_id: int) -> Iterator[None]:
        """The record is being worked on inside the block."""
        with self._held(self._records, record_id):
            yield

    @contextmanager
    def turn(self, flow: str) -> Iterator[None]:
        """The flow is being polled inside the block."""
        with self._held(self._turns, flow):
            yield

    def now(self) -> tuple[frozenset[int], frozenset[str]]:
        """Record ids and flow names that are held at this moment."""
        with self._lock:
            return frozenset(self._records), frozenset(self._turns)

    @contextmanager
    def _held(self, kept: Counter[T], item: T) -> Iterator[None]:
        with self._lock:
            kept[item] += 1
        try:
            yield
        finally:
            with self._lock:
                kept[item] -= 1
                if not kept[item]:
                    del kept[item]
