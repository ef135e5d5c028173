"""Group commit for calls that a vendor can batch: many threads ask for one thing each, few calls go out.

A caller that finds nobody calling becomes the leader and calls at once; while it calls, others gather, and the next
leader takes them along. No thread of its own, no timer: an idle coalescer adds nothing to a call.
"""

import threading
import time
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
    a `Rejected` call of several items is divided, in halves or around the `culprit`, until only the culprits fail.
    `pause` tells after each call how many seconds the next one waits unless it is full: for vendors who count calls.
    """

    def __init__(
        self,
        send: Callable[[list[Item]], Sequence[Result | ConnectorError]],
        *,
        limit: int = 50,
        pause: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._send = send
        self._limit = limit
        self._queue: deque[_Entry[Item, Result]] = deque()
        self._pause = pause
        self._changed = threading.Condition()
        self._is_calling = False
        self._next_call_at = 0.0

    def submit(self, items: Sequence[Item]) -> list[Result | ConnectorError]:
        """One result or error per item, in order; blocks until all are in."""
        entries: list[_Entry[Item, Result]] = [_Entry(item) for item in items]
        with self._changed:
            self._queue.extend(entries)
            if len(self._queue) >= self._limit:
                self._changed.notify_all()
        while batch := self._lead_or_wait(entries):
            self._lead(batch)
        return [_unwrapped(entry.outcome) for entry in entries]

    def _lead_or_wait(self, entries: list[_Entry[Item, Result]]) -> list[_Entry[Item, Result]]:
        """The next batch, if it falls to this thread to call; empty once all of `entries` are settled."""
        with self._changed:
            while not all(entry.done for entry in entries):
                early = self._next_call_at - time.monotonic() if len(self._queue) < self._limit else 0.0
                if not self._is_calling and early <= 0:
                    self._is_calling = True
                    return [self._queue.popleft() for _ in range(min(self._limit, len(self._queue)))]
                self._changed.wait(None if self._is_calling else early)
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
            pause = self._pause()
            with self._changed:
                self._is_calling = False
                self._next_call_at = time.monotonic() + pause
                self._changed.notify_all()

    def _call(self, batch: list[_Entry[Item, Result]]) -> None:
        parts = [batch]
        while parts:
            part = parts.pop()
            try:
                results = self._send([entry.item for entry in part])
            except ConnectorError as error:
                if isinstance(error, Rejected) and len(part) > 1:
                    parts += reversed(_split(part, error.culprit))
                    continue
                results = [error] * len(part)
            for entry, result in zip(part, results, strict=True):
                entry.settle(result)


def _split(part: list[_Entry[Item, Result]], culprit: int | None) -> list[list[_Entry[Item, Result]]]:
    """In order: around the culprit, who is asked alone before anybody believes it, or in halves."""
    if culprit is None or not 0 <= culprit < len(part):
        middle = len(part) // 2
        return [part[:middle], part[middle:]]
    return [piece for piece in (part[:culprit], part[culprit : culprit + 1], part[culprit + 1 :]) if piece]


def _unwrapped(outcome: object) -> Any:
    if isinstance(outcome, BaseException) and not isinstance(outcome, ConnectorError):
        raise outcome
    return outcome
