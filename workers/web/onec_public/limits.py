"""How often a caller may ask: windows counted in Redis, so for all web processes together.

Without Redis everybody may: what 1C sends is kept in the ledger, and turning it away for want of a counter would lose
more than it saves.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from redis import Redis, RedisError

from workers.web.onec_public.envelope import Code, Failure

log = logging.getLogger("parom.web")

WINDOW = 10
"""Seconds."""
WHOLE_NETWORK = 64
"""Bits of an IPv6 address that its owner did not choose."""


@dataclass(frozen=True)
class Limits:
    """Requests within WINDOW. An address may be that of many bases behind one router."""

    per_address: int = 1000
    per_base: int = 500


class Counters:
    """Counts requests, and refuses those above their limit."""

    def __init__(self, redis: Redis, limits: Limits, *, clock: Callable[[], float] = time.time) -> None:
        self._redis, self._limits, self._clock = redis, limits, clock

    def address(self, address: str) -> None:
        """Raises Failure if the address asks too often."""
        self._count(f"address:{_network(address)}", self._limits.per_address)

    def base(self, name: str) -> None:
        """Raises Failure if the base asks too often."""
        self._count(f"base:{name}", self._limits.per_base)

    def _count(self, who: str, limit: int) -> None:
        number, left = divmod(self._clock(), WINDOW)
        key = f"parom:asked:{who}:{int(number)}"
        try:
            with self._redis.pipeline() as pipeline:
                pipeline.incr(key)
                pipeline.expire(key, 2 * WINDOW)
                asked, _ = pipeline.execute()
        except RedisError as error:
            log.warning("requests are not counted, Redis does not answer: %s", type(error).__name__)
            return
        if asked > limit:
            wait = str(max(1, round(WINDOW - left)))
            raise Failure(Code.RATE_LIMIT, "too many requests, slow down", headers={"Retry-After": wait})


def _network(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if not isinstance(parsed, IPv6Address) or parsed.ipv4_mapped:
        return str(parsed)
    return f"{int(parsed) >> (128 - WHOLE_NETWORK):x}"
