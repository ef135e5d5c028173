"""What of a flow is handed out: from pending to queued, a bounded number, the highest priority first."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from tasks.ledger.tables import IS_IN_FLIGHT, IS_PENDING, IS_QUEUED, IS_SUSPECT, Priority, State, records


def in_flight(connection: Connection, flow: str) -> int:
    """How many records of `flow` are queued or running."""
    return connection.execute(select(func.count()).where(records.c.flow == flow, IS_IN_FLIGHT)).scalar_one()


def queue(
    connection: Connection, flow: str, *, limit: int, now: datetime, last: Priority = Priority.BACKFILL
) -> list[int]:
    """Move up to `limit` due records to queued, highest priority first and none behind `last`; returns their ids."""
    taken: list[int] = []
    for priority in Priority:
        if priority <= last and len(taken) < limit:
            taken += _queue_priority(connection, flow, priority, limit=limit - len(taken), now=now)
    return taken


def _queue_priority(connection: Connection, flow: str, priority: Priority, *, limit: int, now: datetime) -> list[int]:
    due = (
        select(records.c.id)
        .where(records.c.flow == flow, IS_PENDING, records.c.priority == priority, records.c.due_at <= now)
        .where(records.c.crashes <= 1)
        .order_by(records.c.due_at, records.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return _queued(connection, connection.execute(due).scalars().all(), now)


def suspect(connection: Connection, flow: str, *, now: datetime) -> int | None:
    """A due record whose worker died more than once: it must run alone, so that it is clear whose fault it is."""
    due = (
        select(records.c.id)
        .where(records.c.flow == flow, IS_SUSPECT, IS_PENDING, records.c.due_at <= now)
        .order_by(records.c.due_at)
        .limit(1)
    )
    return connection.execute(due.with_for_update(skip_locked=True)).scalar()


def queue_alone(connection: Connection, record_id: int, *, now: datetime) -> list[int]:
    """Move this one to queued."""
    return _queued(connection, [record_id], now)


def lost_hints(connection: Connection, flow: str, *, queued_before: datetime, limit: int, now: datetime) -> list[int]:
    """Records that wait too long for their message; counts them as queued anew and returns their ids."""
    silent = (
        select(records.c.id)
        .where(records.c.flow == flow, IS_IN_FLIGHT, IS_QUEUED, records.c.queued_at < queued_before)
        .order_by(records.c.queued_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return _queued(connection, connection.execute(silent).scalars().all(), now)


def _queued(connection: Connection, chosen: Sequence[int], now: datetime) -> list[int]:
    if chosen:
        change = update(records).where(records.c.id.in_(chosen))
        connection.execute(change.values(state=State.QUEUED, queued_at=now))
    return list(chosen)
