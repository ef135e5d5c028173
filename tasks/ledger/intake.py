"""Taking in what a source showed: rows become records, in the same transaction that moves the cursor.

The content hash covers the mapped source fields only, so a change of DATE_MODIFY or of our own status field is no
change: echoes end here.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, func, select, update

from tasks.ledger import history, streams
from tasks.ledger.database import Ledger, insert_into
from tasks.ledger.history import storable_text
from tasks.ledger.seen import Seen
from tasks.ledger.tables import Priority, State, records


@dataclass(frozen=True)
class Taken:
    """How many of a page's rows were what."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0

    def __add__(self, other: "Taken") -> "Taken":
        return Taken(self.new + other.new, self.changed + other.changed, self.unchanged + other.unchanged)


def fingerprint(value: Any) -> str:
    """SHA-256 of the value's canonical JSON, in hex; equal for equal content whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def storable(value: Any) -> Any:
    """The value with what no JSON column keeps (NaN, infinities) as text; a mapping then refuses it by name."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value


def take(
    connection: Connection,
    flow: str,
    rows: Sequence[Seen],
    *,
    now: datetime,
    asked_at: datetime,
    priority: Priority = Priority.FRESH,
) -> Taken:
    """Upsert `rows` as records of `flow`, in the caller's transaction; only new or changed content becomes work.

    `asked_at` is the ledger's clock before the source was asked.
    """
    rows = _placed(connection, flow, rows)
    return _take(connection, flow, rows, now=now, asked_at=asked_at, priority=priority)


def put(connection: Connection, flow: str, row: Seen, *, now: datetime, asked_at: datetime) -> int:
    """As `take`, of one row; returns the id of its record."""
    (row,) = _placed(connection, flow, [row])
    _take(connection, flow, [row], now=now, asked_at=asked_at, priority=Priority.FRESH)
    query = select(records.c.id).where(records.c.flow == flow, records.c.source_id == row.source_id)
    found: int = connection.execute(query).scalar_one()
    return found


def _placed(connection: Connection, flow: str, rows: Sequence[Seen]) -> Sequence[Seen]:
    touched = {row.event.stream for row in rows if row.event}
    streams.lock(connection, flow, touched)
    return streams.placed(connection, flow, rows) if touched else rows


def _take(
    connection: Connection, flow: str, rows: Sequence[Seen], *, now: datetime, asked_at: datetime, priority: Priority
) -> Taken:
    touched = {row.event.stream for row in rows if row.event}
    latest = {row.source_id: row for row in sorted(rows, key=lambda row: row.modified)}
    known = _known(connection, flow, list(latest))
    new = [row for row in latest.values() if row.source_id not in known]
    older = [(row, known[row.source_id]) for row in latest.values() if row.source_id in known]
    inserted = _insert(connection, flow, new, now=now, priority=priority)
    # Somebody else may have inserted one since we looked; it is there to be locked and compared now.
    raced = [row for row in new if row.source_id not in inserted]
    if raced:
        known = _known(connection, flow, [row.source_id for row in raced])
        older += [(row, known[row.source_id]) for row in raced]
    older = [(row, was) for row, was in older if _is_news(row, was, asked_at)]
    changed = [(row, was) for row, was in older if fingerprint(storable(row.fields)) != was["content_hash"]]
    _update(connection, changed, now=now, priority=priority)
    _remember_echo(connection, older)
    streams.advance(connection, flow, touched, now=now)
    return Taken(new=len(inserted), changed=len(changed), unchanged=len(latest) - len(inserted) - len(changed))


def unknown(ledger: Ledger, flow: str, versions: Mapping[str, str]) -> set[str]:
    """Those entities, each with what the source calls its version now, of which the ledger has seen another or none."""
    entity = func.coalesce(records.c.stream, records.c.source_id)
    query = select(entity, records.c.source_version).where(records.c.flow == flow, entity.in_(list(versions)))
    with ledger.read() as connection:
        known = {(row[0], row[1]) for row in connection.execute(query)}
    return {entity_id for entity_id, version in versions.items() if (entity_id, version) not in known}


def _known(connection: Connection, flow: str, source_ids: Sequence[str]) -> Mapping[str, RowMapping]:
    columns = (
        "id",
        "source_id",
        "state",
        "version",
        "content_hash",
        "modified",
        "stored_at",
        "note_shown",
        "source_version",
        "note_due_at",
        "due_at",
        "in_doubt_at",
    )
    query = (
        select(*(records.c[name] for name in columns))
        .where(records.c.flow == flow, records.c.source_id.in_(source_ids))
        .order_by(records.c.id)
        .with_for_update()
    )
    return {row["source_id"]: row for row in connection.execute(query).mappings()}


def _is_news(row: Seen, was: RowMapping, asked_at: datetime) -> bool:
    """Whether the row cannot be older than what is stored: another reader may have been faster.

    A later stamp proves it, another one nothing: stamps have whole seconds, and clocks are set back. What was asked for
    after the last version was stored is news anyway; what is turned away here the next poll reads again.
    """
    return bool(row.modified > was["modified"]) or was["stored_at"] is None or bool(asked_at >= was["stored_at"])


def _content(row: Seen, now: datetime) -> dict[str, Any]:
    fields = storable(row.fields)
    content = {"snapshot": fields, "content_hash": fingerprint(fields)}
    return {**content, "modified": row.modified, "source_version": row.version, "stored_at": now}


def _insert(
    connection: Connection, flow: str, rows: Sequence[Seen], *, now: datetime, priority: Priority
) -> frozenset[str]:
    """The source ids that were inserted; another transaction may have been faster with the rest."""
    if not rows:
        return frozenset()
    values = [
        {
            "flow": flow,
            "source_id": row.source_id,
            "version": 1,
            "state": State.PENDING,
            "priority": priority,
            "due_at": now + row.event.ripens_in if row.event else now,
            "ripe_at": now + row.event.ripens_in if row.event else None,
            "note_shown": storable_text(row.note_shown),
            "stream": row.event.stream if row.event else None,
            "position": row.event.position if row.event else None,
            **_content(row, now),
        }
        for row in sorted(rows, key=lambda row: row.source_id)
    ]
    insert = insert_into(connection, records).on_conflict_do_nothing().returning(records.c.id, records.c.source_id)
    inserted = {source_id: record_id for record_id, source_id in connection.execute(insert, values)}
    history.write(connection, [history.Event(record_id, 1, "seen") for record_id in inserted.values()], now=now)
    return frozenset(inserted)


def _update(
    connection: Connection, changes: Sequence[tuple[Seen, RowMapping]], *, now: datetime, priority: Priority
) -> None:
    if not changes:
        return
    values = [
        {"record": was["id"], **_content(row, now), **_restart(was, now=now, priority=priority)} for row, was in changes
    ]
    columns = [name for name in values[0] if name != "record"]
    statement = update(records).where(records.c.id == bindparam("record")).values({c: bindparam(c) for c in columns})
    connection.execute(statement, values)
    history.write(connection, [history.Event(v["record"], v["version"], "changed") for v in values], now=now)


# A running attempt learns of the newer version when it finishes; a queued one will claim it; a parked one stays
# parked, for only a person ends that. A record in doubt keeps its due time: the target must have settled first.
_KEEPS_STATE = (State.QUEUED, State.RUNNING, State.PARKED)


def _restart(was: RowMapping, *, now: datetime, priority: Priority) -> dict[str, Any]:
    return {
        "version": was["version"] + 1,
        "state": was["state"] if was["state"] in _KEEPS_STATE else State.PENDING,
        "priority": priority,
        "due_at": max(now, was["due_at"] or now) if was["in_doubt_at"] else now,
        "attempts": 0,
    }


def _remember_echo(connection: Connection, rows: Sequence[tuple[Seen, RowMapping]]) -> None:
    values = [
        {"record": was["id"], "modified_at": row.modified, "shown": _shown(row, was), "seen": row.version}
        for row, was in rows
        if (row.modified, _shown(row, was), row.version) != (was["modified"], was["note_shown"], was["source_version"])
    ]
    if values:
        columns = {"modified": "modified_at", "note_shown": "shown", "source_version": "seen"}
        statement = update(records).where(records.c.id == bindparam("record"))
        connection.execute(statement.values({name: bindparam(value) for name, value in columns.items()}), values)


def _shown(row: Seen, was: RowMapping) -> str | None:
    # While a note of ours is on its way, what the page showed may be older than what we wrote.
    return storable_text(row.note_shown) if was["note_due_at"] is None else was["note_shown"]
