"""The points of an account that a vendor counts down per minute and per day, shared through Redis by every worker.

A call takes a point before it leaves; only a success is charged, so a refusal gives it back. What an answer tells of
the vendor's count replaces ours, less the points of all calls that it may not have counted yet: together the workers
never take more than is left. While nobody knows (a new account, a flushed Redis), one call at a time goes and asks.
Without Redis the answer is `Throttled`. The clock is the Redis server's.
"""

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from connectors.budget import PATIENCE, WAIT_WITHOUT_REDIS, Level
from connectors.errors import Throttled

if TYPE_CHECKING:
    from redis import Redis

EVEN_IF_NONE_LEFT = 0
"""The weight of a call that is not held back: its answer, if only a refusal, tells what is left."""
MINUTE = 60.0
LONGEST_PACE = 5.0
"""Seconds for which rows gather at most before they leave."""
LONGEST_HOLD = 24 * 3600.0
LARGEST = 10**9
"""No window has so many points, nor seconds."""
_SCRIPT = (Path(__file__).parent / "points.lua").read_text()
_NOT_TOLD = ("", "", "")
_NO, _YES, _UNKNOWN = 0, 1, -1


@dataclass(frozen=True)
class Count:
    """One window: how many points it has, a lower bound of what is left, and the seconds until it begins anew."""

    limit: int
    left: int
    reset: float


@dataclass(frozen=True)
class Limits:
    """What an answer tells: a window of None was not mentioned."""

    minute: Count | None = None
    day: Count | None = None

    @classmethod
    def of(cls, shown: Any) -> "Limits":
        """Of `metadata.limits`: `{minute,day}_{limit,remaining,reset}`; anything else tells nothing."""
        limits = shown if isinstance(shown, Mapping) else {}
        return cls(minute=_count(limits, "minute"), day=_count(limits, "day"))

    @property
    def wait(self) -> float | None:
        """Seconds until a window that is used up begins anew; None if none is."""
        return max((count.reset for count in (self.minute, self.day) if count and count.left < 1), default=None)


@dataclass(frozen=True)
class _Ticket:
    """A point that was taken and not settled yet."""

    id: int
    epoch: str
    others: int
    before: int
    left_at: int


@dataclass(frozen=True)
class _Found:
    """The script's answer; waits in seconds."""

    ticket: _Ticket | None
    wait: float
    minute: Count
    day: Count


class Points:
    """As `Pacing`, and to be settled: a thread makes one call at a time. `longest_call` is in seconds."""

    def __init__(
        self,
        redis: "Redis",
        account: str,
        *,
        minute: int,
        day: int,
        longest_call: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.account = account
        self._script = redis.register_script(_SCRIPT)
        self._keys = [f"parom:points:{{{account}}}", f"parom:points:{{{account}}}:calls"]
        # A call may have left a moment after it took its point.
        self._head = [round((longest_call + PATIENCE) * 1000), minute, day]
        self._sleep = sleep
        self._threads = threading.local()

    def reserve(self, weight: int = 1, patience: float = PATIENCE) -> None:
        """Take a point, waiting for it up to `patience` seconds. Raises Throttled, with nothing taken."""
        self.forget()
        while True:
            found = self._ask("take", int(weight == EVEN_IF_NONE_LEFT))
            if found.ticket:
                self._threads.ticket = found.ticket
                return
            if found.wait > patience:
                raise Throttled(f"{self.account}: {_shortage(found)}, for {found.wait:.0f} s", wait=found.wait)
            self._sleep(found.wait)
            patience -= found.wait

    def settle(self, *, is_charged: bool, limits: Limits) -> None:
        """The call of this thread was answered. Without Redis the point counts as spent."""
        self._settle(_YES if is_charged else _NO, limits)

    def forget(self) -> None:
        """No answer was read to the call of this thread, if there is one unsettled: its point may have been charged."""
        self._settle(_UNKNOWN, Limits())

    def penalise(self, seconds: float) -> None:
        """As `Pacing`."""
        try:
            self._ask("hold", round(min(seconds, LONGEST_HOLD) * 1000))
        except Throttled:
            return

    def level(self) -> Level:
        """As `Pacing`: the share of the emptier window's points that is used."""
        found = self._ask("look")
        used = max(1 - count.left / max(1, count.limit) for count in (found.minute, found.day))
        return Level(used=1.0 if found.wait > 0 else min(max(used, 0.0), 1.0), wait=found.wait)

    def headroom(self) -> int:
        """As `Pacing`; 0 while none can go within PATIENCE seconds."""
        found = self._ask("look")
        if found.wait > PATIENCE:
            return 0
        return min(count.limit if count.reset <= PATIENCE else count.left for count in (found.minute, found.day))

    def left(self) -> tuple[Count, Count]:
        """What all workers together still have, this minute and today. Raises Throttled if nobody knows."""
        found = self._ask("look")
        return found.minute, found.day

    def pace(self) -> float:
        """Seconds between two calls at which what is left of the minute lasts; meanwhile rows gather."""
        try:
            minute, _ = self.left()
        except Throttled:
            return 0.0
        return min(LONGEST_PACE, max(minute.reset, MINUTE) / max(1, minute.left))

    def _settle(self, charged: int, limits: Limits) -> None:
        ticket: _Ticket | None = getattr(self._threads, "ticket", None)
        if ticket is None:
            return
        self._threads.ticket = None
        told = [*_told(limits.minute), *_told(limits.day)]
        try:
            self._ask("settle", ticket.id, ticket.epoch, ticket.others, ticket.before, ticket.left_at, charged, *told)
        except Throttled:
            return

    def _ask(self, verb: str, *args: int | str) -> _Found:
        try:
            granted, wait, id_, epoch, others, before, now, *counts = self._script(
                keys=self._keys, args=[verb, *self._head, secrets.token_hex(6), *args]
            )
        except RedisError as error:
            reason = f"{self.account}: no points, Redis answers {type(error).__name__}"
            raise Throttled(reason, wait=WAIT_WITHOUT_REDIS) from error
        epoch = epoch.decode() if isinstance(epoch, bytes) else str(epoch)
        minute, day = (
            Count(limit, max(0, left), ends / 1000)
            for limit, left, ends in zip(counts[::3], counts[1::3], counts[2::3], strict=True)
        )
        return _Found(_Ticket(id_, epoch, others, before, now) if granted else None, wait / 1000, minute, day)


def _shortage(found: _Found) -> str:
    if found.day.left < 1:
        return "the day's points are used up"
    return "the minute's points are used up" if found.minute.left < 1 else "left alone, or being asked for its points"


def _count(limits: Mapping[str, Any], window: str) -> Count | None:
    limit, remaining, reset = (_number(limits.get(f"{window}_{what}")) for what in ("limit", "remaining", "reset"))
    if limit is None or remaining is None or reset is None:
        return None
    return Count(int(limit), int(remaining), reset)


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < LARGEST else None


def _told(count: Count | None) -> tuple[int | str, ...]:
    return (count.limit, count.left, round(count.reset * 1000)) if count else _NOT_TOLD
