"""Idempotency keys in Redis: who last set out to deliver this payload of this record, by fencing number.

A key is a cheap early end for doubled messages, never proof: it may vanish at any moment, and the ledger's fence
decides. Losing all keys costs queries, not duplicates.
"""

from datetime import timedelta
from enum import Enum

from redis import Redis, RedisError

KEPT = timedelta(minutes=10)
"""Longer than any attempt; a lost key costs a query, so a short life costs nothing."""

# Two steps of GET and SET would let an older attempt overwrite a newer one's number between them.
_HOLD = """
local held = redis.call('GET', KEYS[1])
if held and tonumber(held) > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""


class Hold(Enum):
    """What the key said."""

    MINE = "mine"
    NEWER = "newer"
    UNKNOWN = "unknown"


class IdempotencyKeys:
    """Keys under `parom:key:`; the payload enters them as a hash only."""

    def __init__(self, redis: Redis) -> None:
        self._hold = redis.register_script(_HOLD)

    def hold(self, flow: str, source_id: str, payload_hash: str, *, fence: int) -> Hold:
        """Put our fence on the payload. NEWER: a later attempt is at it, this one must end. UNKNOWN: Redis is away."""
        key = f"parom:key:{flow}:{source_id}:{payload_hash}"
        try:
            is_mine = self._hold(keys=[key], args=[fence, int(KEPT.total_seconds())])
        except RedisError:
            return Hold.UNKNOWN
        return Hold.MINE if is_mine else Hold.NEWER
