"""Resync: deliver chosen records again, as backfill, whether or not they changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, func, null, select, true, update

from tasks import policy
from tasks.ledger import Ledger, cursors, history, intake, streams
from tasks.ledger.history import Event
from tasks.ledger.tables import IN_FLIGHT, Priority, State, records
from tasks.runtime import Runtime

AT_ONCE = 1000
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
    count, last_id = 0, 0
    while chosen := _make_due(runtime.ledger, flow, choice, after=last_id):
        count, last_id = count + len(chosen), chosen[-1]
    if choice.since:
        cursors.rewind(runtime.ledger, flow, choice.since)
    return count


def _read_again(runtime: Runtime, name: str, ids: Sequence[str]) -> None:
    flow = runtime.flows[name]
    asked_at = runtime.ledger.clock()
    rows = flow.source.read(ids, flow.reads, flow.mapping.conditions)
    with runtime.ledger.write() as connection:
        seen = [flow.seen(row) for row in rows]
        now = runtime.ledger.now(connection)
        intake.take(connection, name, seen, now=now, asked_at=asked_at, priority=Priority.BACKFILL)


def _conditions(flow: str, choice: Choice) -> list[Any]:
    return [
        records.c.flow == flow,
        records.c.source_id.in_(choice.ids) if choice.ids else true(),
        records.c.modified >= choice.since if choice.since else true(),
        records.c.state.in_(FAILED) if choice.failed else true(),
        records.c.cause == choice.cause if choice.cause else true(),
    ]


def _make_due(ledger: Ledger, flow: str, choice: Choice, *, after: int) -> Sequence[int]:
    """One transaction's worth, by id: others must get their turn in between."""
    with ledger.write() as connection:
        now = ledger.now(connection)
        columns = (records.c.id, records.c.version)
        query = select(*columns).where(*_conditions(flow, choice), records.c.id > after).order_by(records.c.id)
        chosen = connection.execute(query.limit(AT_ONCE).with_for_update()).all()
        ids = [row.id for row in chosen]
        _again(connection, ids, now=now)
        streams.advance_of(connection, ids, now=now)
        history.write(connection, [Event(row.id, row.version, "resync") for row in chosen], now=now)
        return ids


def _again(connection: Connection, ids: Sequence[int], *, now: datetime) -> None:
    again = {
        # A record in doubt keeps its due time: the target must have settled before anybody looks.
        "due_at": case((records.c.in_doubt_at.is_not(None), func.coalesce(records.c.due_at, now)), else_=now),
        # What is due already keeps its place before the backlog.
        "priority": case((records.c.state == State.PENDING, records.c.priority), else_=Priority.BACKFILL),
        "delivered_hash": None,
        "delivered_version": None,
        "attempts": 0,
        "crashes": 0,
        "cause": None,
        "detail": None,
    }
    is_moving = (records.c.id.in_(ids), records.c.state.in_(IN_FLIGHT))
    is_still = (records.c.id.in_(ids), records.c.state.not_in(IN_FLIGHT))
    # A running record finishes first; its version makes it due again then.
    connection.execute(update(records).where(*is_moving).values(version=records.c.version + 1, **again))
    # Of a target that cannot be asked a person has found out what it holds; the word is theirs.
    is_unsure = (records.c.state == State.PARKED) & (records.c.cause == policy.IN_DOUBT)
    doubt = case((is_unsure, null()), else_=records.c.in_doubt_at)
    connection.execute(update(records).where(*is_still).values(state=State.PENDING, in_doubt_at=doubt, **again))
