"""Look: a source told us that something changed. A hint, never the truth: we read what it names, as a poll would.

Hints gather in Redis and are read fifty at a time. One that is lost, flushed or never sent is made up by the next poll.
"""

import logging
from collections.abc import Sequence
from typing import Any

from redis import Redis, RedisError

from connectors.errors import ConnectorError
from tasks import dispatch
from tasks.flow import Flow
from tasks.ledger import intake, pauses
from tasks.runtime import Runtime

log = logging.getLogger("parom.look")

AT_ONCE = 50
MOST_WAITING = 10_000
"""More than this a mass edit may not heap up in Redis; polling finds the rest."""


def hint(redis: Redis, flow: str, source_ids: Sequence[str]) -> bool:
    """Remember that these may have changed. True if somebody should be asked to look: the first hint since the last."""
    key = _key(flow)
    if not source_ids or redis.scard(key) >= MOST_WAITING:
        return False
    was_empty = not redis.exists(key)
    redis.sadd(key, *source_ids)
    return was_empty


def is_waiting(redis: Redis, flow: str) -> bool:
    """Whether hints wait for somebody to look."""
    try:
        return bool(redis.exists(_key(flow)))
    except RedisError:
        return False


def look(runtime: Runtime, name: str) -> int:
    """Read what the hints name and take it in; returns how many entities were read."""
    flow = runtime.flows[name]
    read = 0
    while source_ids := _take(runtime.redis, name):
        if not _runs(runtime, name):
            return read
        try:
            read += _read(runtime, flow, source_ids)
        except ConnectorError as error:
            log.info("hints left to the next poll: %s", error, extra={"flow": name})
            return read
    return read


def _take(redis: Redis, flow: str) -> list[str]:
    try:
        taken: Any = redis.spop(_key(flow), AT_ONCE)
    except RedisError:
        return []
    return [each.decode() if isinstance(each, bytes) else str(each) for each in taken or ()]


def _runs(runtime: Runtime, flow: str) -> bool:
    with runtime.ledger.read() as connection:
        now = runtime.ledger.now(connection)
        return pauses.standing(connection, flow, now=now).paused_by is None


def _read(runtime: Runtime, flow: Flow, source_ids: Sequence[str]) -> int:
    asked_at = runtime.ledger.clock()
    rows = flow.source.read(source_ids, flow.reads, flow.mapping.conditions)
    ours = [flow.seen(row) for row in rows if row.created >= flow.since]
    with runtime.ledger.write() as connection:
        intake.take(connection, flow.name, ours, now=runtime.ledger.now(connection), asked_at=asked_at)
    dispatch.dispatch(runtime, flow.name)
    return len(rows)


def _key(flow: str) -> str:
    return f"parom:changed:{flow}"
