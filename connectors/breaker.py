"""Whether a connection is worth calling at all: a circuit breaker in Redis, shared by every worker.

closed → (`failures` in a row within `window`) → open → (`pause` over) → half-open: exactly one probe at a time
    ↑ any success                                  ↑ the probe failed: the pause doubles, up to `longest_pause`

It counts unavailability only. A refusal proves that somebody is at home. The clock is the Redis server's; without
Redis the breaker is closed, for then the budget stops the calls.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from redis.exceptions import RedisError

from connectors.errors import Transient

if TYPE_CHECKING:
    from redis import Redis

PROBE_IN_FLIGHT_WAIT = 5.0
_CLOSED, _OPEN, _PROBE_ELSEWHERE, _PROBE_YOURS = range(4)

# Answers {code, ms, whether there is anything to forget}: closed; open for so long; half-open with a probe under way
# that has so long; or you are the probe.
# `until` further ahead than the longest pause can only come from a clock set back: the pause counts as over.
_ASK = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local lease, longest = tonumber(ARGV[1]), tonumber(ARGV[2])
local open_until, probe = unpack(redis.call('HMGET', KEYS[1], 'until', 'probe'))
if not open_until then return {0, 0, redis.call('EXISTS', KEYS[1])} end
local left, held = open_until - now, (tonumber(probe) or 0) - now
if left > 0 and left <= longest then return {1, left, 1} end
if held > 0 then return {2, held, 1} end
if lease > 0 then
  redis.call('HSET', KEYS[1], 'probe', string.format('%.0f', now + lease))
  return {3, lease, 1}
end
return {2, 0, 1}
"""

_FAIL = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local limit, window, first, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local open_until, times = unpack(redis.call('HMGET', KEYS[1], 'until', 'times'))
if open_until and open_until - now > 0 and open_until - now <= longest then return end
if not open_until then
  if redis.call('HINCRBY', KEYS[1], 'failures', 1) == 1 then redis.call('PEXPIRE', KEYS[1], window) end
  if tonumber(redis.call('HGET', KEYS[1], 'failures')) < limit then return end
end
times = (tonumber(times) or 0) + 1
local pause = math.min(first * 2 ^ (times - 1), longest)
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + pause), 'times', times)
redis.call('PEXPIRE', KEYS[1], 86400000)
"""


class BreakerOpen(Transient):
    """The connection is known to be down; `wait` says when it is asked again."""


StateName = Literal["closed", "open", "half-open"]
_NAMES: dict[int, StateName] = {_CLOSED: "closed", _OPEN: "open", _PROBE_ELSEWHERE: "half-open"}


@dataclass(frozen=True)
class BreakerState:
    """`seconds` until a call may be the next probe: the pause when open, a running probe's lease when half-open."""

    name: StateName
    seconds: float = 0.0


class Guard(Protocol):
    """What a caller needs of a breaker: `before_call`, then exactly one of the other three."""

    def before_call(self) -> bool:
        """True if this call is the one probe of a half-open breaker. Raises BreakerOpen if it must not be made."""

    def succeeded(self) -> None:
        """The system answered."""

    def failed(self) -> None:
        """The system was not available."""

    def abandoned(self) -> None:
        """The probe was not made after all: another call may be it."""

    def state(self) -> BreakerState:
        """For dispatch and status; takes nothing."""


class NoBreaker:
    """In-memory sibling of `Breaker` that is always closed."""

    def before_call(self) -> bool:
        return False

    def succeeded(self) -> None:
        pass

    def failed(self) -> None:
        pass

    def abandoned(self) -> None:
        pass

    def state(self) -> BreakerState:
        return BreakerState("closed")


class Breaker:
    """The breaker of one account. All durations are seconds; `probe_lease` must outlast a call."""

    def __init__(
        self,
        redis: "Redis",
        account: str,
        *,
        failures: int = 5,
        window: float = 60.0,
        pause: float = 30.0,
        longest_pause: float = 60.0,
        probe_lease: float = 90.0,
    ) -> None:
        self.account = account
        self._has_trace = True
        self._redis = redis
        self._key = f"parom:breaker:{account}"
        self._ask_script = redis.register_script(_ASK)
        self._fail_script = redis.register_script(_FAIL)
        self._lease, self._longest = int(probe_lease * 1000), int(longest_pause * 1000)
        self._fail_args = [failures, int(window * 1000), int(pause * 1000), self._longest]

    def before_call(self) -> bool:
        """As `Guard`."""
        code, seconds = self._ask(self._lease)
        if code == _OPEN:
            raise BreakerOpen(f"{self.account}: not available, asked again in {seconds:.0f} s", wait=seconds)
        if code == _PROBE_ELSEWHERE:
            raise BreakerOpen(f"{self.account}: being probed", wait=min(seconds, PROBE_IN_FLIGHT_WAIT))
        return code == _PROBE_YOURS

    def succeeded(self) -> None:
        # In good times there is nothing to forget, and a call to Redis is saved; a failure that another worker has
        # just noted is forgotten by the next success.
        if self._has_trace:
            with suppress(RedisError):
                self._redis.delete(self._key)

    def failed(self) -> None:
        self._has_trace = True
        with suppress(RedisError):
            self._fail_script(keys=[self._key], args=self._fail_args)

    def abandoned(self) -> None:
        with suppress(RedisError):
            self._redis.hdel(self._key, "probe")

    def state(self) -> BreakerState:
        """As `Guard`."""
        code, seconds = self._ask(lease=0)
        return BreakerState(_NAMES[code], seconds)

    def _ask(self, lease: int) -> tuple[int, float]:
        try:
            code, milliseconds, trace = self._ask_script(keys=[self._key], args=[lease, self._longest])
        except RedisError:
            return _CLOSED, 0.0
        self._has_trace = bool(trace)
        return code, milliseconds / 1000
