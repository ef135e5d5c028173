"""Questions people ask of the ledger: how the flows stand, what happened to a record."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select

from tasks.ledger import history
from tasks.ledger.database import Ledger
from tasks.ledger.history import PastEvent
from tasks.ledger.tables import IS_IN_FLIGHT, IS_PENDING, Priority, State, flows, records


@dataclass(frozen=True)
class FlowReport:
    """How one flow stands. `by_state` counts records; `causes` the unfinished ones by (state, cause)."""

    name: str
    by_state: Mapping[str, int]
    causes: Mapping[tuple[str, str], int]
    due: int
    oldest_due: timedelta | None
    notes_due: int
    completed_at: datetime | None
    is_polling: bool
    turns: int
    """How often it was polled, ever."""
    has_open_window: bool
    """Whether there is more to read of what was asked."""
    poll_error: str | None
    paused_by: str | None
    paused_reason: str | None
    creates_held_until: datetime | None


@dataclass(frozen=True)
class RecordReport:
    """One record with all that happened to it."""

    flow: str
    source_id: str
    state: str
    version: int
    delivered_version: int | None
    target_id: str | None
    cause: str | None
    detail: str | None
    attempts: int
    due_at: datetime | None
    is_in_doubt: bool
    delivered_at: datetime | None
    note_text: str | None
    note_shown: str | None
    events: tuple[PastEvent, ...]


def of_flow(ledger: Ledger, name: str) -> FlowReport:
    """The flow's report; KeyError if the ledger does not know it."""
    with ledger.read() as connection:
        now = ledger.now(connection)
        row = connection.execute(select(flows).where(flows.c.name == name)).mappings().one_or_none()
        if row is None:
            raise KeyError(name)
        due, oldest = _due(connection, name, now)
        return FlowReport(
            name=name,
            by_state=_by_state(connection, name),
            causes=_causes(connection, name),
            due=due,
            oldest_due=None if oldest is None else now - oldest,
            notes_due=_notes_due(connection, name),
            is_polling=bool(row["lease_until"] and row["lease_until"] > now),
            turns=row["fence"],
            has_open_window=row["after_id"] is not None,
            **{key: row[key] for key in _FLOW_COLUMNS},
        )


_FLOW_COLUMNS = ("completed_at", "poll_error", "paused_by", "paused_reason", "creates_held_until")


def _by_state(connection: Connection, name: str) -> dict[str, int]:
    query = select(records.c.state, func.count()).where(records.c.flow == name).group_by(records.c.state)
    return {str(state): count for state, count in connection.execute(query)}


def _causes(connection: Connection, name: str) -> dict[tuple[str, str], int]:
    unfinished = [state for state in State if state not in (State.DONE, State.SKIPPED)]
    query = (
        select(records.c.state, records.c.cause, func.count())
        .where(records.c.flow == name, records.c.state.in_(unfinished), records.c.cause.is_not(None))
        .group_by(records.c.state, records.c.cause)
    )
    return {(state, cause): count for state, cause, count in connection.execute(query)}


def _due(connection: Connection, name: str, now: datetime) -> tuple[int, datetime | None]:
    waiting = (IS_PENDING, records.c.priority.in_(list(Priority)), records.c.due_at <= now)
    columns = (func.count(), func.min(records.c.due_at))
    due, oldest_due = connection.execute(select(*columns).where(records.c.flow == name, *waiting)).one()
    moving, oldest_moving = connection.execute(select(*columns).where(records.c.flow == name, IS_IN_FLIGHT)).one()
    return due + moving, min(filter(None, (oldest_due, oldest_moving)), default=None)


def _notes_due(connection: Connection, name: str) -> int:
    query = select(func.count()).where(records.c.flow == name, records.c.note_due_at.is_not(None))
    return connection.execute(query).scalar_one()


def of_record(ledger: Ledger, flow: str, source_id: str) -> RecordReport | None:
    """What happened to one record, or None if the flow never saw it."""
    with ledger.read() as connection:
        query = select(records).where(records.c.flow == flow, records.c.source_id == source_id)
        row = connection.execute(query).mappings().one_or_none()
        if row is None:
            return None
        events = history.of_record(connection, row["id"])
    kept: dict[str, Any] = {key: row[key] for key in _RECORD_COLUMNS}
    return RecordReport(is_in_doubt=row["in_doubt_at"] is not None, events=events, **kept)


_RECORD_COLUMNS = (
    *("flow", "source_id", "state", "version", "delivered_version", "delivered_at", "target_id"),
    *("cause", "detail", "attempts", "due_at", "note_text", "note_shown"),
)


def is_known(ledger: Ledger, id_: str, *, came_by: Collection[str], went_by: Collection[str]) -> bool:
    """Whether a record of the flows `came_by` has this id in its source, or one of `went_by` in its target."""
    came = and_(records.c.flow.in_(came_by), records.c.source_id == id_)
    went = and_(records.c.flow.in_(went_by), records.c.target_id == id_)
    with ledger.read() as connection:
        return connection.execute(select(records.c.id).where(or_(came, went)).limit(1)).first() is not None


def unfinished_soon(ledger: Ledger, name: str, *, within: timedelta) -> int:
    """Records and notes of the flow that are in flight or due within that time: what `--drain` waits for.

    Of a paused flow no record is, for nobody will take it; what was delivered still gets its note.
    """
    with ledger.read() as connection:
        horizon = ledger.now(connection) + within
        soon: list[Any] = [records.c.note_due_at <= horizon]
        if not connection.execute(select(flows.c.paused_by).where(flows.c.name == name)).scalar():
            soon += [IS_IN_FLIGHT, and_(IS_PENDING, records.c.due_at <= horizon)]
        counts = [select(func.count()).where(records.c.flow == name, each) for each in soon]
        return sum(connection.execute(count).scalar_one() for count in counts)
