"""How many calls a 1C base serves at a time, by all workers together: leases in Redis.

A base has no rate limit, but each call holds a session, maybe a client licence (facts/onec.md A6). Without Redis nobody
may call, as with any budget; the clock is the Redis server's.
"""

import secrets
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from connectors.budget import PATIENCE, WAIT_WITHOUT_REDIS, Level
from connectors.errors import Throttled

if TYPE_CHECKING:
    from redis import Redis

PAUSE = 0.1
"""Seconds between two looks for a free slot."""

# The slots are a sorted set of holders by the end of their lease (ms). Answers {is it yours, how many are held}.
# A lease that ends later than a new one would can only come from a clock set back: it counts as over.
_TAKE = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local most, lease, holder = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now + lease), '+inf')
local held = redis.call('ZCARD', KEYS[1])
if holder == '' or held >= most then return {0, held} end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + lease), holder)
redis.call('PEXPIRE', KEYS[1], lease)
return {1, held + 1}
"""


class Slots:
    """The calls of one base under way. `reserve` takes the calling thread's slot, `release` gives it back.

    `lease` in seconds must outlast a call with all its repeats: it frees the slot of a process that died. `each` is
    how many records a slot is thought to serve within a few seconds.
    """

    def __init__(
        self,
        redis: "Redis",
        account: str,
        *,
        most: int,
        lease: float,
        each: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.account, self.most = account, most
        self._each = each
        self._redis = redis
        self._key = f"parom:slots:{account}"
        self._script = redis.register_script(_TAKE)
        self._lease = round(lease * 1000)
        self._sleep = sleep
        self._threads = threading.local()

    def reserve(self, weight: int = 1, patience: float = PATIENCE) -> None:  # noqa: ARG002 - a call weighs what it weighs
        """Wait for a slot; a thread that has one keeps it. Raises Throttled after `patience` s, or without Redis."""
        if getattr(self._threads, "holder", None):
            return
        holder, waited = secrets.token_hex(8), 0.0
        while not self._ask(holder)[0]:
            if waited >= patience:
                raise Throttled(f"{self.account}: {self.most} calls are under way already", wait=PATIENCE)
            self._sleep(PAUSE)
            waited += PAUSE
        self._threads.holder = holder

    def release(self) -> None:
        """Give the thread's slot back, if it has one. If Redis is away the lease's end does it."""
        holder, self._threads.holder = getattr(self._threads, "holder", None), None
        if holder:
            try:
                self._redis.zrem(self._key, holder)
            except RedisError:
                return

    def penalise(self, seconds: float) -> None:
        """As `Pacing`: a base does not complain of our rate."""

    def level(self) -> Level:
        """As `Pacing`."""
        held = self._ask("")[1]
        return Level(used=min(1.0, held / self.most), wait=0.0)

    def headroom(self) -> int:
        """As `Pacing`."""
        return max(0, self._each * self.most - int(self._ask("")[1]))

    def _ask(self, holder: str) -> Any:
        try:
            return self._script(keys=[self._key], args=[self.most, self._lease, holder])
        except RedisError as error:
            reason = f"{self.account}: nobody may call, Redis answers {type(error).__name__}"
            raise Throttled(reason, wait=WAIT_WITHOUT_REDIS) from error
