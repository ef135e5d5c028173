"""What this process works on right now: the leases that may be prolonged, and no others.

A thread that ends, in whatever way, gives its lease up here; the ledger's then runs out, and another attempt follows.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T", int, str)


class Holdings:
    """Ids of records and names of flows in work. Shared by the threads of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: set[int] = set()
        self._turns: set[str] = set()

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
    def _held(self, kept: set[T], item: T) -> Iterator[None]:
        with self._lock:
            kept.add(item)
        try:
            yield
        finally:
            with self._lock:
                kept.discard(item)
