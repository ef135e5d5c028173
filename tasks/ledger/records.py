"""The life of one record: queued, claimed under a lease with a fencing number, finished by that number alone."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, func, or_, select, update

from tasks.ledger import history
from tasks.ledger.database import Ledger
from tasks.ledger.history import Event, storable_text
from tasks.ledger.tables import IN_FLIGHT, Priority, State, flows, records


@dataclass(frozen=True)
class Claim:
    """A lease on one version of one record. Whoever holds a smaller fence than the ledger's has lost it."""

    record_id: int
    flow: str
    source_id: str
    snapshot: Mapping[str, Any]
    version: int
    fence: int
    attempts: int
    crashes: int
    in_doubt: bool
    target_id: str | None
    delivered_hash: str | None
    claimed_at: datetime


@dataclass(frozen=True)
class Delivery:
    """What the target now holds."""

    target_id: str
    payload_hash: str


@dataclass(frozen=True)
class Ending:
    """How an attempt ended, in the ledger's terms; `tasks/policy.py` makes it."""

    state: State
    event: str
    cause: str | None = None
    detail: str | None = None
    due_in: timedelta | None = None
    counted: bool = True
    in_doubt: bool = False
    told: str | None = None
    delivery: Delivery | None = None


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
        .where(
            records.c.flow == flow,
            records.c.state == State.PENDING,
            records.c.priority == priority,
            records.c.due_at <= now,
        )
        .order_by(records.c.due_at, records.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    chosen = connection.execute(due).scalars().all()
    if chosen:
        change = update(records).where(records.c.id.in_(chosen)).values(state=State.QUEUED, queued_at=now)
        connection.execute(change)
    return list(chosen)


def in_flight(connection: Connection, flow: str) -> int:
    """How many records of `flow` are queued or running."""
    count = select(func.count()).where(records.c.flow == flow, records.c.state.in_(IN_FLIGHT))
    return connection.execute(count).scalar_one()


def lost_hints(connection: Connection, flow: str, *, queued_before: datetime, limit: int, now: datetime) -> list[int]:
    """Records that wait too long for their message; counts them as queued anew and returns their ids."""
    silent = (
        select(records.c.id)
        .where(records.c.flow == flow, records.c.state == State.QUEUED, records.c.queued_at < queued_before)
        .order_by(records.c.queued_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    chosen = connection.execute(silent).scalars().all()
    if chosen:
        connection.execute(update(records).where(records.c.id.in_(chosen)).values(queued_at=now))
    return list(chosen)


def claim(
    ledger: Ledger, record_id: int, *, flows_known: Collection[str], owner: str, lease: timedelta
) -> Claim | None:
    """Take the record for one attempt, or None if it is not there to be taken: done, running, paused, not due.

    Only records of `flows_known` are taken: a process with an older configuration leaves the rest to others.
    """
    with ledger.write() as connection:
        now = ledger.now(connection)
        is_paused = select(flows.c.name).where(flows.c.name == records.c.flow, flows.c.paused_by.is_not(None)).exists()
        is_due = or_(records.c.state == State.QUEUED, (records.c.state == State.PENDING) & (records.c.due_at <= now))
        change = (
            update(records)
            .where(records.c.id == record_id, records.c.flow.in_(flows_known), is_due, ~is_paused)
            .values(
                state=State.RUNNING,
                fence=records.c.fence + 1,
                attempts=records.c.attempts + 1,
                lease_owner=owner,
                lease_until=now + lease,
            )
            .returning(*(records.c[name] for name in _CLAIM_COLUMNS))
        )
        row = connection.execute(change).mappings().one_or_none()
    return _to_claim(row, now) if row else None


_CLAIM_COLUMNS = (
    *("id", "flow", "source_id", "snapshot", "version", "fence", "attempts", "crashes"),
    *("in_doubt_at", "target_id", "delivered_hash"),
)


def _to_claim(row: RowMapping, now: datetime) -> Claim:
    values = dict(row)
    return Claim(record_id=values.pop("id"), in_doubt=values.pop("in_doubt_at") is not None, claimed_at=now, **values)


def intend(ledger: Ledger, claim: Claim) -> bool:
    """Write down that the target is about to be changed. False: the lease is lost and nothing may be sent."""
    with ledger.write() as connection:
        now = ledger.now(connection)
        change = update(records).where(*_is_held(claim), records.c.lease_until > now).values(in_doubt_at=now)
        return connection.execute(change).rowcount == 1


def finish(ledger: Ledger, claim: Claim, ending: Ending) -> bool:
    """Write down how the attempt ended. False: a newer holder exists, and nothing of this attempt counts."""
    with ledger.write() as connection:
        now = ledger.now(connection)
        columns = (records.c[name] for name in ("version", "note_shown", "in_doubt_at", "attempts", "priority"))
        current = (
            connection.execute(select(*columns).where(*_is_held(claim)).with_for_update()).mappings().one_or_none()
        )
        if current is None:
            return False
        connection.execute(
            update(records).where(records.c.id == claim.record_id).values(_ended(claim, ending, current, now))
        )
        if ending.counted:
            event = Event(claim.record_id, claim.version, ending.event, ending.detail)
            history.write(connection, [event], now=now)
        return True


def _is_held(claim: Claim) -> tuple[Any, ...]:
    return (records.c.id == claim.record_id, records.c.fence == claim.fence, records.c.state == State.RUNNING)


def _ended(claim: Claim, ending: Ending, current: RowMapping, now: datetime) -> dict[str, Any]:
    is_newest = current["version"] == claim.version
    values: dict[str, Any] = {
        "lease_owner": None,
        "lease_until": None,
        "crashes": 0,
        "in_doubt_at": (current["in_doubt_at"] or now) if ending.in_doubt else None,
    }
    values |= _stands(ending, current, now) if is_newest else _starts_over(ending, now)
    if ending.delivery:
        values |= _delivered(claim, ending.delivery, now)
    if ending.told is not None and is_newest:
        values |= _note(ending.told, current["note_shown"], now)
    return values


def _stands(ending: Ending, current: RowMapping, now: datetime) -> dict[str, Any]:
    # What was only held back keeps its place; what was tried waits behind fresh changes, backfill behind both.
    held_back = {"attempts": max(0, current["attempts"] - 1)}
    return {
        "state": ending.state,
        "cause": ending.cause,
        "detail": storable_text(ending.detail),
        "due_at": None if ending.due_in is None else now + ending.due_in,
        **({"priority": max(current["priority"], Priority.RETRY)} if ending.counted else held_back),
    }


def _starts_over(ending: Ending, now: datetime) -> dict[str, Any]:
    """A newer version came while this one ran: it is due at once, or when the target has settled."""
    wait = ending.due_in if ending.in_doubt and ending.due_in else timedelta()
    return {"state": State.PENDING, "cause": None, "detail": None, "due_at": now + wait, "attempts": 0}


def _delivered(claim: Claim, delivery: Delivery, now: datetime) -> dict[str, Any]:
    return {
        "target_id": storable_text(delivery.target_id),
        "delivered_hash": delivery.payload_hash,
        "delivered_version": claim.version,
        "delivered_at": now,
    }


def _note(told: str, shown: str | None, now: datetime) -> dict[str, Any]:
    text = storable_text(told)
    return {"note_text": text, "note_due_at": None if text == shown else now, "note_attempts": 0}


def renew(ledger: Ledger, *, owner: str, lease: timedelta, record_ids: Collection[int], turns: Collection[str]) -> None:
    """Prolong the leases of these records and turns that `owner` still holds; an expired one stays expired."""
    with ledger.write() as connection:
        now = ledger.now(connection)
        for table, is_held in ((records, records.c.id.in_(record_ids)), (flows, flows.c.name.in_(turns))):
            is_mine = (table.c.lease_owner == owner, table.c.lease_until > now)
            connection.execute(update(table).where(is_held, *is_mine).values(lease_until=now + lease))


def abandoned(connection: Connection, *, now: datetime, limit: int) -> Sequence[RowMapping]:
    """Running records whose lease ran out: their worker died, or hangs."""
    query = (
        select(*(records.c[name] for name in ("id", "flow", "version", "crashes", "in_doubt_at")))
        .where(records.c.state == State.RUNNING, records.c.lease_until < now)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(query).mappings().all()


def wake(connection: Connection, *, now: datetime) -> int:
    """Rejected and waiting records whose slow retry is due become pending; returns how many."""
    asleep = (records.c.state.in_((State.REJECTED, State.WAITING)), records.c.due_at <= now)
    change = update(records).where(*asleep).values(state=State.PENDING, priority=Priority.RETRY)
    return connection.execute(change).rowcount
