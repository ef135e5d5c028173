"""What happened to each record: one line per event, written in the transaction that made it true."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select

from tasks.ledger.tables import history

DETAIL_LENGTH = 2000


@dataclass(frozen=True)
class Event:
    """One thing that happened to a version of a record; `detail` holds no secret and no personal data."""

    record_id: int
    version: int
    event: str
    detail: str | None = None


@dataclass(frozen=True)
class PastEvent:
    """An event as it is read back."""

    at: datetime
    version: int
    event: str
    detail: str | None


def storable_text(text: str | None) -> str | None:
    """The text as any database keeps it: without NUL and lone surrogates, of bounded length."""
    if text is None:
        return None
    return text.encode("utf-8", "replace").decode().replace("\0", "�")[:DETAIL_LENGTH]


def write(connection: Connection, events: Sequence[Event], *, now: datetime) -> None:
    """Append `events`."""
    if events:
        values = [
            {
                "record_id": e.record_id,
                "at": now,
                "version": e.version,
                "event": e.event,
                "detail": storable_text(e.detail),
            }
            for e in events
        ]
        connection.execute(insert(history), values)


def of_record(connection: Connection, record_id: int) -> tuple[PastEvent, ...]:
    """All kept events of a record, oldest first."""
    columns = (history.c.at, history.c.version, history.c.event, history.c.detail)
    rows = connection.execute(select(*columns).where(history.c.record_id == record_id).order_by(history.c.id))
    return tuple(PastEvent(*row) for row in rows)


def prune(connection: Connection, *, before: datetime, limit: int = 5000) -> int:
    """Forget up to `limit` events older than `before`; returns how many."""
    old = select(history.c.id).where(history.c.at < before).order_by(history.c.at).limit(limit)
    return connection.execute(delete(history).where(history.c.id.in_(old.scalar_subquery()))).rowcount


def age_limit(now: datetime, days: int) -> datetime:
    """The moment before which events are forgotten."""
    return now - timedelta(days=days)
