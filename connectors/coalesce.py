"""Group commit for calls that a vendor can batch: many threads ask for one thing each, few calls go out.

A caller that finds nobody calling becomes the leader and calls at once; while it calls, others gather, and the next
leader takes them along. No thread of its own, no timer: an idle coalescer adds nothing to a call.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from connectors.errors import ConnectorError, Rejected

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(eq=False)
class _Entry(Generic[Item, Result]):
    """One item on its way. `outcome` holds anything but a ConnectorError only if the sender has a bug."""

    item: Item
    outcome: Result | BaseException | None = None
    done: bool = False

    def settle(self, outcome: Result | BaseException) -> None:
        self.outcome = outcome
        self.done = True


class Coalescer(Generic[Item, Result]):
    """Merges the items of concurrent callers into calls of `send`, at most `limit` items each, one call at a time.

    `send` returns one result per item, in order. What it raises reaches every caller of that call, except that
    a `Rejected` call of several items is halved until only the culprits fail.
    """

    def __init__(self, send: Callable[[list[Item]], Sequence[Result | ConnectorError]], *, limit: int = 50) -> None:
        self._send = send
        self._limit = limit
        self._queue: deque[_Entry[Item, Result]] = deque()
        self._changed = threading.Condition()
        self._is_calling = False

    def submit(self, items: Sequence[Item]) -> list[Result | ConnectorError]:
        """One result or error per item, in order; blocks until all are in."""
        entries: list[_Entry[Item, Result]] = [_Entry(item) for item in items]
        with self._changed:
            self._queue.extend(entries)
        while batch := self._lead_or_wait(entries):
            self._lead(batch)
        return [_unwrapped(entry.outcome) for entry in entries]

    def _lead_or_wait(self, entries: list[_Entry[Item, Result]]) -> list[_Entry[Item, Result]]:
        """The next batch, if it falls to this thread to call; empty once all of `entries` are settled."""
        with self._changed:
            while not all(entry.done for entry in entries):
                if not self._is_calling:
                    self._is_calling = True
                    return [self._queue.popleft() for _ in range(min(self._limit, len(self._queue)))]
                self._changed.wait()
        return []

    def _lead(self, batch: list[_Entry[Item, Result]]) -> None:
        try:
            self._call(batch)
        except BaseException as error:
            # A bug or an interrupt must wake those who wait, too, or they would wait for ever.
            for entry in batch:
                if not entry.done:
                    entry.settle(error)
            if not isinstance(error, Exception):
                raise
        finally:
            with self._changed:
                self._is_calling = False
                self._changed.notify_all()

    def _call(self, batch: list[_Entry[Item, Result]]) -> None:
        try:
            results = self._send([entry.item for entry in batch])
        except ConnectorError as error:
            if isinstance(error, Rejected) and len(batch) > 1:
                middle = len(batch) // 2
                self._call(batch[:middle])
                self._call(batch[middle:])
                return
            results = [error] * len(batch)
        for entry, result in zip(batch, results, strict=True):
            entry.settle(result)


def _unwrapped(outcome: object) -> Any:
    if isinstance(outcome, BaseException) and not isinstance(outcome, ConnectorError):
        raise outcome
    return outcome
