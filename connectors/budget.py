"""How often an account may be called: a GCRA budget in Redis, shared by every worker.

Staying inside the vendor's limits is our job, so no outside call goes out without a place in the budget: when Redis
cannot be asked, the answer is `Throttled`. The clock is the Redis server's; no client clock takes part.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from redis.exceptions import RedisError

from connectors.errors import Throttled

if TYPE_CHECKING:
    from redis import Redis

PATIENCE = 5.0
"""Seconds a thread may be held for its place; a longer wait goes back to the ledger as a due time."""
WAIT_WITHOUT_REDIS = 5.0
LONGEST_PENALTY = 3600.0

# Each key holds the window's "theoretical arrival time" (tat, µs): the moment when it will be entirely free again.
# - A missing key means that Redis was flushed and that the vendor may still count a full burst: we start empty, with
#   one call at once and then the steady pace. Keys therefore never expire.
# - `seen` is the highest tat that the asking process knows: after a flush the living processes put it back.
# - A tat further ahead than burst and the longest penalty can only come from a clock set back: it is cut.
# - A refusal writes what it found, for a window that starts empty must start to fill, too.
_RESERVE = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local weight, patience, penalty = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local windows, start = {}, now
for i, key in ipairs(KEYS) do
  local emission, burst, seen = tonumber(ARGV[3 * i + 1]), tonumber(ARGV[3 * i + 2]), tonumber(ARGV[3 * i + 3])
  local tat = tonumber(redis.call('GET', key))
  if not tat or penalty > 0 then
    tat = math.max(tat or 0, now + penalty + (burst - 1) * emission)
  end
  tat = math.min(math.max(tat, seen), now + burst * emission + 3600000000)
  start = math.max(start, tat + (weight - burst) * emission)
  windows[i] = {key = key, tat = tat, cost = weight * emission}
end
local granted = start - now <= patience
local answer = {granted and 1 or 0, start - now, now}
for i, window in ipairs(windows) do
  if granted then window.tat = math.max(window.tat, start) + window.cost end
  redis.call('SET', window.key, string.format('%.0f', window.tat))
  answer[i + 3] = window.tat
end
return answer
"""


@dataclass(frozen=True)
class Rate:
    """One window of a vendor's limit: `per_second` calls in the long run, `burst` of them at once."""

    per_second: float
    burst: int

    @property
    def emission(self) -> int:
        """Microseconds between two calls at the steady pace."""
        return math.ceil(1_000_000 / self.per_second)


@dataclass(frozen=True)
class Level:
    """How full the tightest window is, 1.0 being a whole burst, and the seconds until a call may go."""

    used: float
    wait: float


class _Found(NamedTuple):
    """The script's answer; times in µs."""

    granted: bool
    wait: int
    now: int
    tats: list[int]


class Pacing(Protocol):
    """What a caller needs of a budget."""

    def reserve(self, weight: int = 1, patience: float = PATIENCE) -> None:
        """Return when the call may go; raise Throttled when that is more than `patience` seconds away."""

    def penalise(self, seconds: float) -> None:
        """The vendor refused us: nobody calls for `seconds`, then everybody starts without a burst."""

    def level(self) -> Level:
        """Look without taking. Raises Throttled if nobody knows."""

    def headroom(self) -> int:
        """How many calls of weight 1 could go within PATIENCE seconds. Raises Throttled if nobody knows."""


class NoBudget:
    """In-memory sibling of `Budget` that lets every call go."""

    def reserve(self, weight: int = 1, patience: float = PATIENCE) -> None:
        pass

    def penalise(self, seconds: float) -> None:
        pass

    def level(self) -> Level:
        return Level(used=0.0, wait=0.0)

    def headroom(self) -> int:
        return sys.maxsize


class Budget:
    """The calls of one account over all `windows`, all or nothing."""

    def __init__(
        self,
        redis: "Redis",
        account: str,
        windows: tuple[Rate, ...],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.account = account
        self.windows = windows
        self._script = redis.register_script(_RESERVE)
        self._keys = [f"parom:budget:{{{account}}}:{number}" for number in range(len(windows))]
        self._seen = [0] * len(windows)
        self._sleep = sleep

    def reserve(self, weight: int = 1, patience: float = PATIENCE) -> None:
        """Take `weight` places, sleep until they are ours, return.

        Raises Throttled, with nothing taken, if they are more than `patience` seconds ahead or Redis is away, and
        ValueError if they can never be had.
        """
        if weight > min(rate.burst for rate in self.windows):
            raise ValueError(f"{self.account}: a call of weight {weight} never fits into the burst")
        found = self._ask(weight=weight, patience=patience)
        wait = found.wait / 1e6
        if not found.granted:
            raise Throttled(f"{self.account}: the call budget is used up for {wait:.1f} s", wait=wait)
        if wait > 0:
            self._sleep(wait)

    def penalise(self, seconds: float) -> None:
        """As `Pacing`. An unreachable Redis is no error here: without it nobody may call anyway."""
        try:
            self._ask(weight=0, patience=0, penalty=min(seconds, LONGEST_PENALTY))
        except Throttled:
            return

    def level(self) -> Level:
        """As `Pacing`."""
        found = self._look()
        shares = [(tat - found.now) / (rate.emission * rate.burst) for tat, rate in self._windows(found)]
        return Level(used=max(0.0, *shares), wait=found.wait / 1e6)

    def headroom(self) -> int:
        """As `Pacing`."""
        found = self._look()
        ends = found.now + round(PATIENCE * 1e6)
        free = min((ends - max(tat, found.now)) // rate.emission + rate.burst for tat, rate in self._windows(found))
        return max(0, free)

    def _windows(self, found: _Found) -> Iterator[tuple[int, Rate]]:
        return zip(found.tats, self.windows, strict=True)

    def _look(self) -> _Found:
        return self._ask(weight=1, patience=-1)

    def _ask(self, *, weight: int, patience: float, penalty: float = 0.0) -> _Found:
        args: list[int] = [weight, round(patience * 1e6), round(penalty * 1e6)]
        for rate, seen in zip(self.windows, self._seen, strict=True):
            args += [rate.emission, rate.burst, seen]
        try:
            granted, wait, now, *tats = self._script(keys=self._keys, args=args)
        except RedisError as error:
            reason = f"{self.account}: no call budget, Redis answers {type(error).__name__}"
            raise Throttled(reason, wait=WAIT_WITHOUT_REDIS) from error
        # Threads may store out of order; a slightly older `seen` only heals a little less.
        self._seen = tats
        return _Found(bool(granted), wait, now, tats)
