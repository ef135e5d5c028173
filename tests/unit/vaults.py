"""In-memory sibling of the ledger's vault, for tests of connectors that are given one."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from connectors.errors import Throttled, Transient


class MemoryVault:
    """As `connectors.base.Vault`. `held` are the names that a stranger holds for ever; `is_down` is a store away."""

    def __init__(self, **values: str) -> None:
        self.values = dict(values)
        self.writes: list[tuple[str, str]] = []
        self.held: set[str] = set()
        self.is_down = False
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def read(self, name: str) -> str | None:
        self._answer()
        return self.values.get(name)

    def write(self, name: str, value: str) -> None:
        self._answer()
        self.values[name] = value
        self.writes.append((name, value))

    @contextmanager
    def exclusively(self, name: str, *, longest: timedelta) -> Iterator[None]:
        self._answer()
        lock = self._locks[name]
        if name in self.held or not lock.acquire(timeout=longest.total_seconds()):
            raise Throttled(f"{name} is held by another", wait=longest.total_seconds())
        try:
            yield
        finally:
            lock.release()

    def _answer(self) -> None:
        if self.is_down:
            raise Transient("the vault does not answer")
