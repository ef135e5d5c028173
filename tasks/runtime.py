"""What every verb is given: the ledger, the flows, Redis, and a way to send hints. Built once, in `workers/app.py`."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from redis import Redis, RedisError

from tasks.flow import Flow
from tasks.holdings import Holdings
from tasks.idempotency import IdempotencyKeys
from tasks.ledger import Ledger

log = logging.getLogger("parom")


class Publisher(Protocol):
    """Sends hints to workers. Best effort: losing one, or sending it twice, must not matter to anybody."""

    def sync(self, record_ids: Sequence[int]) -> None:
        """One hint per record."""

    def poll(self, flow: str) -> None:
        """Poll on, there is more to read."""

    def look(self, flow: str) -> None:
        """The flow's source has hinted at something."""

    def note(self, flow: str) -> None:
        """Notes of this flow are ripe."""

    def waiting(self) -> int | None:
        """How many sync hints no worker has taken yet; None if that cannot be told."""


@dataclass(frozen=True)
class Runtime:
    """The one composition of ports that the verbs work with."""

    ledger: Ledger
    redis: Redis
    keys: IdempotencyKeys
    flows: Mapping[str, Flow]
    publisher: Publisher
    owner: str
    """Names this process in leases: host, pid and a random part."""
    timezone: ZoneInfo
    lease: timedelta = timedelta(seconds=15)
    history_days: int = 90
    finished: "Counter" = field(kw_only=True)
    holdings: Holdings = field(default_factory=Holdings)


class Counter:
    """Counts finished records per flow over all processes, so that somebody tops up once per few of them."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def next(self, flow: str) -> int | None:
        """The number of this finish; None if Redis is away (the next tick tops up then)."""
        try:
            return int(self._redis.incr(f"parom:finished:{flow}"))
        except RedisError:
            return None
