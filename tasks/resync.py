"""Resync: deliver chosen records again, as backfill, whether or not they changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, func, select, true, update

from tasks.ledger import cursors, history, intake
from tasks.ledger.history import Event
from tasks.ledger.tables import IN_FLIGHT, Priority, State, records
from tasks.runtime import Runtime

FAILED = (State.REJECTED, State.WAITING, State.PARKED)


@dataclass(frozen=True)
class Choice:
    """Which records: all conditions that are set must hold. An empty choice is refused by the caller."""

    ids: Sequence[str] = ()
    since: datetime | None = None
    failed: bool = False
    cause: str | None = None


def resync(runtime: Runtime, flow: str, choice: Choice, *, dry_run: bool = False) -> int:
    """Make the chosen records due again; returns how many there are.

    Named ids are read anew from the source first, known to the ledger or not. `since` also moves the cursor back, so
    that the source is asked for what the ledger has never seen. Raises ConnectorError if the source cannot be asked.
    """
    if dry_run:
        with runtime.ledger.read() as connection:
            counted = select(func.count()).select_from(records).where(*_conditions(flow, choice))
            return connection.execute(counted).scalar_one()
    if choice.ids:
        _read_again(runtime, flow, choice.ids)
    with runtime.ledger.write() as connection:
        count = _make_due(connection, flow, choice, now=runtime.ledger.now(connection))
    if choice.since:
        cursors.rewind(runtime.ledger, flow, choice.since)
    return count


def _read_again(runtime: Runtime, name: str, ids: Sequence[str]) -> None:
    flow = runtime.flows[name]
    rows = flow.source.read(ids, flow.reads)
    with runtime.ledger.write() as connection:
        seen = [flow.seen(row.id, row.fields, row.modified) for row in rows]
        intake.take(connection, name, seen, now=runtime.ledger.now(connection), priority=Priority.BACKFILL)


def _conditions(flow: str, choice: Choice) -> list[Any]:
    return [
        records.c.flow == flow,
        records.c.source_id.in_(choice.ids) if choice.ids else true(),
        records.c.modified >= choice.since if choice.since else true(),
        records.c.state.in_(FAILED) if choice.failed else true(),
        records.c.cause == choice.cause if choice.cause else true(),
    ]


def _make_due(connection: Connection, flow: str, choice: Choice, *, now: datetime) -> int:
    # A record in doubt keeps its due time: the target must have settled before anybody looks.
    due = case((records.c.in_doubt_at.is_not(None), func.coalesce(records.c.due_at, now)), else_=now)
    again = {"delivered_hash": None, "priority": Priority.BACKFILL, "due_at": due, "attempts": 0, "crashes": 0}
    again |= {"cause": None, "detail": None}
    conditions = _conditions(flow, choice)
    chosen = connection.execute(select(records.c.id, records.c.version).where(*conditions)).all()
    # A running record finishes first; raising its version makes it due again then.
    still = records.c.state.not_in(IN_FLIGHT)
    connection.execute(update(records).where(*conditions, ~still).values(version=records.c.version + 1, **again))
    connection.execute(update(records).where(*conditions, still).values(state=State.PENDING, **again))
    history.write(connection, [Event(row.id, row.version, "resync") for row in chosen], now=now)
    return len(chosen)
