"""What this process works on right now: the leases that may be prolonged, and no others.

A thread that ends, in whatever way, gives its lease up here; the ledger's then runs out, and another attempt follows.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

NoteHeld = tuple[int, int]
"""A record's id and the fence of its claimed note."""
T = TypeVar("T", int, str, NoteHeld)


@dataclass(frozen=True)
class Held:
    """Record ids, flow names and notes that are held at one moment."""

    records: frozenset[int]
    turns: frozenset[str]
    notes: frozenset[NoteHeld]


class Holdings:
    """Ids of records, names of flows and claimed notes in work. Shared by the threads of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Counted: a thread that lost its lease and hangs may leave after another has begun on the same record.
        self._records: Counter[int] = Counter()
        self._turns: Counter[str] = Counter()
        self._notes: Counter[NoteHeld] = Counter()

    @contextmanager
    def record(self, record_id: int) -> Iterator[None]:
        """The record is being worked on inside the block."""
        with self._held(self._records, [record_id]):
            yield

    @contextmanager
    def turn(self, flow: str) -> Iterator[None]:
        """The flow is being polled inside the block."""
        with self._held(self._turns, [flow]):
            yield

    @contextmanager
    def notes(self, claimed: Iterable[NoteHeld]) -> Iterator[None]:
        """These notes are being written inside the block."""
        with self._held(self._notes, list(claimed)):
            yield

    def now(self) -> Held:
        with self._lock:
            return Held(frozenset(self._records), frozenset(self._turns), frozenset(self._notes))

    @contextmanager
    def _held(self, kept: Counter[T], items: Sequence[T]) -> Iterator[None]:
        with self._lock:
            kept.update(items)
        try:
            yield
        finally:
            with self._lock:
                kept.subtract(items)
                for item in items:
                    if not kept[item]:
                        del kept[item]
