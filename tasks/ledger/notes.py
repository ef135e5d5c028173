"""Notes due to the source: an outbox beside the deliveries, claimed in batches, each under its own fence."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, case, exists, func, literal, or_, select, tuple_, update

from tasks.ledger import history
from tasks.ledger.database import Ledger, UtcDateTime
from tasks.ledger.history import Event
from tasks.ledger.tables import IS_IN_FLIGHT, IS_PENDING, Priority, records

Condition = ColumnElement[bool]


@dataclass(frozen=True)
class DueNote:
    """A claimed note: what to write for which source entity."""

    record_id: int
    source_id: str
    version: int
    fence: int
    attempts: int
    text: str
    target_id: str | None
    target_link: str | None


def are_ripe(ledger: Ledger, flow: str, *, batch: int, linger: timedelta) -> bool:
    """Whether it is worth a call now: a full batch, an old note, or nothing else coming that could fill it."""
    with ledger.read() as connection:
        now = ledger.now(connection)
        due = select(records.c.note_due_at).where(*_is_due(flow, now)).order_by(records.c.note_due_at)
        some = due.limit(batch).subquery()
        count, oldest = connection.execute(select(func.count(), func.min(some.c.note_due_at))).one()
        if count == 0:
            return False
        return count >= batch or oldest <= now - linger or not _is_busy(connection, flow, now)


def _is_due(flow: str, now: datetime) -> tuple[Condition, ...]:
    is_free = or_(records.c.note_lease_until.is_(None), records.c.note_lease_until < now)
    return (records.c.flow == flow, records.c.note_due_at <= now, is_free)


def _is_busy(connection: Connection, flow: str, now: datetime) -> bool:
    is_moving = exists().where(records.c.flow == flow, IS_IN_FLIGHT)
    is_due = [exists().where(records.c.flow == flow, IS_PENDING, *_due_now(priority, now)) for priority in Priority]
    return bool(connection.execute(select(or_(is_moving, *is_due))).scalar_one())


def _due_now(priority: Priority, now: datetime) -> tuple[Condition, ...]:
    return (records.c.priority == priority, records.c.due_at <= now)


def claim(ledger: Ledger, flow: str, *, limit: int, lease: timedelta) -> tuple[DueNote, ...]:
    """Take up to `limit` due notes, oldest first, for as long as `lease`."""
    with ledger.write() as connection:
        now = ledger.now(connection)
        query = select(records.c.id).where(*_is_due(flow, now)).order_by(records.c.note_due_at).limit(limit)
        chosen = connection.execute(query.with_for_update(skip_locked=True)).scalars().all()
        if not chosen:
            return ()
        change = (
            update(records)
            .where(records.c.id.in_(chosen))
            .values(
                note_fence=records.c.note_fence + 1,
                note_attempts=records.c.note_attempts + 1,
                note_lease_until=now + lease,
                note_shown=None,  # until an answer says so, nobody knows what the source shows
            )
            .returning(
                records.c.id,
                records.c.source_id,
                records.c.version,
                records.c.note_fence,
                records.c.note_attempts,
                records.c.note_text,
                records.c.target_id,
                records.c.target_link,
            )
        )
        return tuple(DueNote(*row) for row in connection.execute(change))


def renew(ledger: Ledger, held: Collection[tuple[int, int]], *, lease: timedelta) -> None:
    """Prolong the claims on these notes, each a record's id and its note's fence; an expired one stays expired."""
    with ledger.write() as connection:
        now = ledger.now(connection)
        mine = (tuple_(records.c.id, records.c.note_fence).in_(held), records.c.note_lease_until > now)
        # Locked by id, as everywhere.
        query = select(records.c.id).where(*mine).order_by(records.c.id).with_for_update()
        chosen = connection.execute(query).scalars().all()
        connection.execute(update(records).where(records.c.id.in_(chosen)).values(note_lease_until=now + lease))


def written(ledger: Ledger, notes: Sequence[DueNote]) -> None:
    """The source now shows these texts. A newer text that came meanwhile stays due."""
    with ledger.write() as connection:
        now = ledger.now(connection)
        for note in sorted(notes, key=lambda note: note.record_id):  # locked by id, as everywhere
            values = {"note_shown": note.text, "note_due_at": _still_due(note, None), "note_lease_until": None}
            if connection.execute(update(records).where(*_is_mine(note)).values(values)).rowcount == 0:
                # It outlived its lease and has perhaps covered a newer one, which must be written again.
                again = {"note_shown": None, "note_due_at": now}
                connection.execute(update(records).where(records.c.id == note.record_id).values(again))
        history.write(connection, [Event(n.record_id, n.version, "noted", n.text) for n in notes], now=now)


def failed(ledger: Ledger, note: DueNote, *, reason: str, again_in: timedelta | None, counted: bool = True) -> None:
    """The note could not be written; try again then, or never (the entity is gone). Held back is not `counted`."""
    with ledger.write() as connection:
        now = ledger.now(connection)
        due = None if again_in is None else now + again_in
        values = {
            "note_due_at": _still_due(note, due),
            "note_lease_until": None,
            **({} if counted else {"note_attempts": records.c.note_attempts - 1}),
        }
        connection.execute(update(records).where(*_is_mine(note)).values(values))
        if again_in is None or (counted and note.attempts == 1):
            history.write(connection, [Event(note.record_id, note.version, "note failed", reason)], now=now)


def _still_due(note: DueNote, due: datetime | None) -> ColumnElement[datetime]:
    """`due`, unless a newer text has come meanwhile: that keeps its own time."""
    return case((records.c.note_text == note.text, literal(due, UtcDateTime())), else_=records.c.note_due_at)


def _is_mine(note: DueNote) -> tuple[Condition, ...]:
    return (records.c.id == note.record_id, records.c.note_fence == note.fence)
