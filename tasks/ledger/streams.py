"""Streams: the events of one source entity, each a record of its own. They leave one after another, in their order.

Of the events of a stream that are not finished only the first may be due; the others wait for their turn. Whoever adds
an event or finishes one calls `advance` in the same transaction.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, func, literal, or_, select, text, update

from tasks.ledger.database import UtcDateTime
from tasks.ledger.seen import Event, Seen
from tasks.ledger.tables import IS_EVENT, State, records

IN_TURN = "order"
"""The cause of an event that waits for an earlier one."""
OPEN = (State.PENDING, State.QUEUED, State.RUNNING, State.WAITING)
STEP = timedelta(seconds=1)


def lock(connection: Connection, flow: str, streams: Collection[str]) -> None:
    """Let nobody else add to these streams or advance them until the transaction ends; before any row is locked."""
    if connection.dialect.name == "postgresql" and streams:
        names = [f"{flow} {stream}" for stream in sorted(streams)]
        connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest(CAST(:names AS text[])) AS name"),
            {"names": names},
        )


def placed(connection: Connection, flow: str, rows: Sequence[Seen]) -> list[Seen]:
    """`rows` with each event's place in its stream; one whose source told no time is new if its mark is."""
    timeless = [row.event.stream for row in rows if row.event and row.event.position is None]
    latest = _latest(connection, flow, timeless) if timeless else {}
    rows = [_as_told_before(connection, flow, row, row.event) if row.event else row for row in rows]
    return [_placed(row, row.event, latest) if row.event else row for row in rows]


def _as_told_before(connection: Connection, flow: str, row: Seen, event: Event) -> Seen:
    """The row at the place of the event that it repeats, if it repeats one."""
    if not event.same_within or event.position is None:
        return row
    # Who was told that it is not delivered yet repeats it until it is.
    is_same = or_(records.c.position >= event.position - event.same_within, records.c.state.in_(OPEN))
    query = (
        select(records.c.position)
        .where(records.c.flow == flow, IS_EVENT, records.c.stream == event.stream, is_same)
        .where(records.c.source_id.endswith(f"/{event.mark}", autoescape=True))
        .order_by(records.c.position)
    )
    position = connection.execute(query.limit(1)).scalar()
    return replace(row, event=replace(event, position=position)) if position else row


def _placed(row: Seen, event: Event, latest: Mapping[str, "_Latest"]) -> Seen:
    position = event.position or _position(row, event, latest.get(event.stream))
    stamp = position.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    return replace(
        row,
        source_id=f"{event.stream}/{stamp}/{event.mark}",
        fields={**row.fields, event.field: position.isoformat()},
        event=replace(event, position=position),
    )


@dataclass(frozen=True)
class _Latest:
    """The last event of a stream that the ledger knows."""

    mark: str
    position: datetime


def _position(row: Seen, event: Event, latest: _Latest | None) -> datetime:
    if latest is None:
        return event.begins or row.modified
    if latest.mark == event.mark:
        return latest.position
    return max(row.modified, latest.position + STEP)


def _latest(connection: Connection, flow: str, streams: Collection[str]) -> dict[str, _Latest]:
    query = (
        select(records.c.stream, records.c.source_id, records.c.position)
        .where(records.c.flow == flow, IS_EVENT, records.c.stream.in_(streams))
        .order_by(records.c.stream, records.c.position, records.c.id)
    )
    found = connection.execute(query)
    return {stream: _Latest(source_id.split("/", 2)[2], position) for stream, source_id, position in found}


def advance(connection: Connection, flow: str, streams: Collection[str], *, now: datetime) -> None:
    """Make the first unfinished event of each stream due, unless it has a reason to wait; no other one is."""
    if not streams:
        return
    columns = (records.c[name] for name in ("id", "stream", "position", "state", "cause", "in_doubt_at"))
    query = (
        select(*columns)
        .where(records.c.flow == flow, IS_EVENT, records.c.stream.in_(streams), records.c.state.in_(OPEN))
        .order_by(records.c.id)  # locked by id, as everywhere
        .with_for_update()
    )
    found = sorted(connection.execute(query), key=lambda row: (row.stream, row.position, row.id))
    due: list[int] = []
    waiting: list[int] = []
    for _, events in groupby(found, key=lambda row: row.stream):
        first, *later = events
        is_moving = any(map(_is_moving, later))
        if first.state == State.WAITING and first.cause == IN_TURN and not is_moving:
            due.append(first.id)
        behind = [first, *later] if is_moving else later
        waiting += [row.id for row in behind if row.state in _ASIDE and not _is_moving(row)]
    change = update(records)
    if due:
        promoted = {"state": State.PENDING, "cause": None, "due_at": _ripe(now)}
        connection.execute(change.where(records.c.id.in_(due)).values(promoted))
    if waiting:
        held = {"state": State.WAITING, "cause": IN_TURN, "due_at": None}
        connection.execute(change.where(records.c.id.in_(waiting)).values(held))


_ASIDE = (State.PENDING, State.QUEUED)
"""What can still be told to wait: the hint of a queued one finds nothing to claim."""


def _ripe(now: datetime) -> ColumnElement[datetime]:
    moment = literal(now, UtcDateTime())
    return case((records.c.ripe_at > moment, records.c.ripe_at), else_=moment)


def _is_moving(row: Row[Any]) -> bool:
    """Whether it is being sent, or may still be on its way."""
    return row.state == State.RUNNING or row.in_doubt_at is not None


def advance_of(connection: Connection, record_ids: Iterable[int], *, now: datetime) -> None:
    """Advance the streams, if any, of these records, whose states were changed."""
    query = select(records.c.flow, records.c.stream).where(records.c.id.in_(list(record_ids)), IS_EVENT).distinct()
    found = connection.execute(query.order_by(records.c.flow)).all()
    for flow, rows in groupby(found, key=lambda row: row.flow):
        advance(connection, flow, [row.stream for row in rows], now=now)


def is_overtaken(connection: Connection, record_id: int, *, flow: str, stream: str, position: datetime) -> bool:
    """Whether the target has a later event of the stream already."""
    is_later = or_(records.c.position > position, (records.c.position == position) & (records.c.id > record_id))
    query = select(func.count()).where(
        records.c.flow == flow, IS_EVENT, records.c.stream == stream, is_later, records.c.delivered_at.is_not(None)
    )
    return bool(connection.execute(query).scalar_one())
