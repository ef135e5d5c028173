"""Which of 1C's a free entity of an amoCRM account is being given to: between a look and a write another process may do
the same, amoCRM has no conditional write, and the last would win without a word (facts/amocrm.md §15).

So whoever is about to write an id of 1C's says so in Redis first. What is said lasts until that write must have become
visible; nobody takes it back.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from connectors.budget import WAIT_WITHOUT_REDIS
from connectors.errors import Throttled

if TYPE_CHECKING:
    from redis import Redis

LOOKED_AT_MOST = timedelta(minutes=5)
"""Between a look at an entity and the claim to it."""

_CLAIM = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""


class Claims:
    """Of one account, by all workers together. `settle` is how long a write may stay unseen."""

    def __init__(self, redis: "Redis", account: str, *, settle: timedelta) -> None:
        self._account, self._settle = account, settle
        self._script = redis.register_script(_CLAIM)

    def take(self, kind: str, id_: int, id_1c: str) -> None:
        """For `id_1c`, again if it has it. Raises Throttled if another has it, or without Redis."""
        lasts = self._settle + LOOKED_AT_MOST
        try:
            is_taken = self._script(
                keys=[f"parom:claim:{self._account}:{kind}:{id_}"], args=[id_1c, round(lasts.total_seconds() * 1000)]
            )
        except RedisError as error:
            reason = f"{self._account}: nobody may claim, Redis answers {type(error).__name__}"
            raise Throttled(reason, wait=WAIT_WITHOUT_REDIS) from error
        if not is_taken:
            reason = f"{self._account} {kind}: another of 1C's is being linked with {id_}"
            raise Throttled(reason, wait=self._settle.total_seconds())
