"""The life of one record: claimed under a lease with a fencing number, finished by that number alone."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, func, or_, select, update

from tasks.ledger import history, streams
from tasks.ledger.database import Ledger
from tasks.ledger.history import Event, storable_text
from tasks.ledger.tables import IS_ASLEEP, IS_RUNNING, IS_WAITING, Priority, State, flows, records

CRASHED = "crashed"
"""The cause of a record whose worker ended during an attempt, as far as anybody knows."""


@dataclass(frozen=True)
class ParentKey:
    """A record of another flow, by the id that the source knows it by."""

    flow: str
    source_id: str


@dataclass(frozen=True)
class Claim:
    """A lease on one version of one record. Whoever holds a smaller fence than the ledger's has lost it."""

    record_id: int
    flow: str
    source_id: str
    stream: str | None
    position: datetime | None
    snapshot: Mapping[str, Any]
    version: int
    fence: int
    attempts: int
    crashes: int
    in_doubt: bool
    target_id: str | None
    delivered_hash: str | None
    delivered_at: datetime | None
    stored_at: datetime | None
    """When this version was seen."""
    delivered_version: int | None
    agreed: Mapping[str, Any] | None
    """As `Delivery.agreed`, of the last one."""
    parent: ParentKey | None
    """For whom it waited before."""
    claimed_at: datetime

    @property
    def is_suspect(self) -> bool:
        """Whether its workers died more than once, so that it runs alone (`window.suspect`)."""
        return self.crashes > 1

    @property
    def is_again(self) -> bool:
        """Whether the target had it and is to get it once more, whatever it shows: somebody resyncs."""
        return (self.target_id or self.delivered_at) is not None and self.delivered_version is None

    @property
    def entity_id(self) -> str:
        """By which the source knows what the record tells of."""
        return self.stream or self.source_id


@dataclass(frozen=True)
class Delivery:
    """What the target now holds."""

    target_id: str
    payload_hash: str | None
    """None if it holds some earlier version, nobody knows which."""
    link: str | None = None
    """Where a person finds it there."""
    is_final: bool = False
    """Whether it is never rewritten, whatever the source says later."""
    agreed: Mapping[str, Any] | None = None
    """What the source showed, if a later version must be compared with it."""
    is_echo: bool = False
    """Whether the target had it already, and nothing was written."""
    twin: ParentKey | None = None
    """The other flow's record of the same entity, if there is one."""
    is_twin_polled: bool = False
    """Whether what that flow sees next is what its source holds then; who pushes may repeat what he said before."""


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
    told_instead: str | None = None
    """What to tell only if a note of an earlier version stands, which is true no longer."""
    delivery: Delivery | None = None
    waits_for: ParentKey | None = None


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
    *("id", "flow", "source_id", "stream", "position", "snapshot", "version", "fence", "attempts", "crashes"),
    *("in_doubt_at", "target_id", "delivered_version", "delivered_hash", "delivered_at", "stored_at", "agreed"),
    *("parent_flow", "parent_id"),
)


def _to_claim(row: RowMapping, now: datetime) -> Claim:
    values = dict(row)
    parent = ParentKey(values.pop("parent_flow"), values.pop("parent_id"))
    return Claim(
        record_id=values.pop("id"),
        in_doubt=values.pop("in_doubt_at") is not None,
        parent=parent if parent.flow else None,
        claimed_at=now,
        **values,
    )


def intend(ledger: Ledger, claim: Claim) -> bool:
    """Write down that the target is about to be changed. False: the lease is lost and nothing may be sent."""
    with ledger.write() as connection:
        now = ledger.now(connection)
        # From here on nobody knows what the target holds, until an answer says so.
        intent = {"in_doubt_at": now, "delivered_hash": None}
        change = update(records).where(*_is_held(claim), records.c.lease_until > now).values(intent)
        return connection.execute(change).rowcount == 1


_CURRENT_COLUMNS = (
    *("version", "note_text", "note_shown", "note_lease_until", "in_doubt_at", "attempts", "priority"),
    *("target_id", "target_link"),
)


def finish(ledger: Ledger, claim: Claim, ending: Ending) -> bool:
    """Write down how the attempt ended, and let go who waited for it.

    False: a newer holder exists, and nothing of this attempt counts.
    """
    with ledger.write() as connection:
        now = ledger.now(connection)
        if claim.stream:
            streams.lock(connection, claim.flow, [claim.stream])
        # The parent is locked before the child, here as in its own finish: it lands either before we look or after.
        if ending.waits_for and delivered_id(connection, ending.waits_for, lock=True) is not None:
            ending = replace(ending, state=State.PENDING, due_in=timedelta(), told=None, told_instead=None)
        if ending.delivery and ending.delivery.twin:
            _lock_both(connection, claim, ending.delivery.twin)
        columns = (records.c[name] for name in _CURRENT_COLUMNS)
        current = (
            connection.execute(select(*columns).where(*_is_held(claim)).with_for_update()).mappings().one_or_none()
        )
        if current is None:
            return False
        values = _ended(claim, ending, current, now)
        connection.execute(update(records).where(records.c.id == claim.record_id).values(values))
        if ending.delivery:
            _release_next(connection, ParentKey(claim.flow, claim.source_id), now)
            _tell_twin(connection, ending.delivery, now)
        if claim.parent and values["state"] not in (State.PENDING, State.WAITING):
            _release_next(connection, claim.parent, now)
        if claim.stream:
            streams.advance(connection, claim.flow, [claim.stream], now=now)
        if ending.counted:
            event = Event(claim.record_id, claim.version, ending.event, ending.detail)
            history.write(connection, [event], now=now)
        return True


def acquit(ledger: Ledger, claim: Claim) -> None:
    """The holder of this claim, given up for dead, was only slow: its end is no sign against the record."""
    with ledger.write() as connection:
        is_it = (records.c.id == claim.record_id, records.c.crashes > 0)
        parked = (records.c.state == State.PARKED, records.c.cause == CRASHED)
        change = update(records).where(*is_it)
        free = {"state": State.PENDING, "cause": None, "detail": None, "due_at": ledger.now(connection)}
        connection.execute(change.where(*parked).values(free))
        connection.execute(change.values(crashes=records.c.crashes - 1))


def delivered_id(connection: Connection, parent: ParentKey, *, lock: bool = False) -> str | None:
    """The target's id of the parent; None if the target does not hold it."""
    query = select(records.c.target_id).where(records.c.flow == parent.flow, records.c.source_id == parent.source_id)
    found: str | None = connection.execute(query.with_for_update() if lock else query).scalar()
    return found


def forget_delivery(connection: Connection, parent: ParentKey, *, now: datetime) -> None:
    """The target no longer holds what we delivered: it is due again, and its children wait for it."""
    is_it = (records.c.flow == parent.flow, records.c.source_id == parent.source_id)
    forgotten = {"target_id": None, "delivered_hash": None, "delivered_version": None}
    connection.execute(update(records).where(*is_it).values(forgotten))
    # Any other state has its own way on: an attempt under way finds out, a parked one needs a person.
    is_settled = records.c.state.in_((State.DONE, State.SKIPPED, State.REJECTED))
    connection.execute(update(records).where(*is_it, is_settled).values(state=State.PENDING, due_at=now, attempts=0))


def _release_next(connection: Connection, parent: ParentKey, now: datetime) -> None:
    """Let go the first of those that wait for the parent; each lets go the next, so they leave in their order."""
    waiting = (
        records.c.parent_flow == parent.flow,
        records.c.parent_id == parent.source_id,
        IS_WAITING,
    )
    first = select(func.min(records.c.id)).where(*waiting).scalar_subquery()
    change = update(records).where(records.c.id == first, records.c.state == State.WAITING)
    connection.execute(change.values(state=State.PENDING, due_at=now, attempts=0))


def _lock_both(connection: Connection, claim: Claim, twin: ParentKey) -> None:
    """By id, as everywhere: the twin may be ending at this moment, too."""
    is_twin = (records.c.flow == twin.flow) & (records.c.source_id == twin.source_id)
    both = select(records.c.id).where(or_(records.c.id == claim.record_id, is_twin)).order_by(records.c.id)
    connection.execute(both.with_for_update())


def _tell_twin(connection: Connection, delivery: Delivery, now: datetime) -> None:
    """The entity is in both systems now; and if it was just written, what its twin delivered there counts no longer."""
    if delivery.twin is None:
        return
    _release_next(connection, delivery.twin, now)
    if delivery.is_echo:
        return
    is_twin = (records.c.flow == delivery.twin.flow, records.c.source_id == delivery.twin.source_id)
    # A row that was asked for before this write is older than it.
    unseen = {"content_hash": "", "stored_at": now} if delivery.is_twin_polled else {}
    connection.execute(update(records).where(*is_twin).values(delivered_hash=None, **unseen))


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
    if ending.waits_for:
        values |= {"parent_flow": ending.waits_for.flow, "parent_id": ending.waits_for.source_id}
    elif values["state"] is not State.PENDING:  # until then it still has others to let go
        values |= {"parent_flow": None, "parent_id": None}
    if ending.delivery:
        values |= _delivered(claim, ending.delivery, now, is_newest=is_newest)
    has_note = current["note_text"] or current["note_shown"]
    told = ending.told_instead if ending.told is None and has_note else ending.told
    if told is not None and is_newest:
        moves = any(values.get(name, current[name]) != current[name] for name in _PLACE)
        values |= _note(told, current, now, is_due=moves and current["target_id"] is not None)
    return values


_PLACE = ("target_id", "target_link")
"""What a note tells besides its text."""


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


def _delivered(claim: Claim, delivery: Delivery, now: datetime, *, is_newest: bool) -> dict[str, Any]:
    target_id = storable_text(delivery.target_id)
    if delivery.payload_hash is None:
        return {"target_id": target_id}
    return {
        "target_id": target_id,
        **({"target_link": storable_text(delivery.link)} if delivery.link else {}),
        **({"agreed": delivery.agreed} if delivery.agreed is not None else {}),
        # With a newer version or a resync about, the next attempt must not take this hash for a reason to do nothing.
        "delivered_hash": delivery.payload_hash if is_newest or delivery.is_final else None,
        "delivered_version": claim.version,
        **({} if delivery.is_echo else {"delivered_at": now}),
    }


def _note(told: str, current: RowMapping, now: datetime, *, is_due: bool) -> dict[str, Any]:
    text = storable_text(told)
    # An older note that is being written just now will show after this moment, whatever was shown before.
    is_shown = text == current["note_shown"] and current["note_lease_until"] is None and not is_due
    return {"note_text": text, "note_due_at": None if is_shown else now, "note_attempts": 0}


def renew(ledger: Ledger, *, owner: str, lease: timedelta, record_ids: Collection[int], turns: Collection[str]) -> None:
    """Prolong the leases of these records and turns that `owner` still holds; an expired one stays expired."""
    with ledger.write() as connection:
        now = ledger.now(connection)
        # Flows before records, records by id: as everywhere, or two transactions would wait for each other.
        for table, key, held in ((flows, flows.c.name, turns), (records, records.c.id, record_ids)):
            mine = select(key).where(key.in_(held), table.c.lease_owner == owner, table.c.lease_until > now)
            chosen = connection.execute(mine.order_by(key).with_for_update()).scalars().all()
            connection.execute(update(table).where(key.in_(chosen)).values(lease_until=now + lease))


def abandoned(connection: Connection, *, now: datetime, limit: int) -> Sequence[RowMapping]:
    """Running records whose lease ran out: their worker died, or hangs."""
    query = (
        select(*(records.c[name] for name in ("id", "flow", "version", "crashes", "in_doubt_at")))
        .where(IS_RUNNING, records.c.lease_until < now)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(query).mappings().all()


def wake(connection: Connection, *, now: datetime, limit: int = 1000) -> int:
    """Rejected and waiting records whose slow retry is due become pending; returns how many."""
    asleep = select(records.c.id).where(IS_ASLEEP, records.c.due_at <= now).order_by(records.c.id).limit(limit)
    chosen = connection.execute(asleep.with_for_update(skip_locked=True)).scalars().all()
    change = update(records).where(records.c.id.in_(chosen))
    woken = connection.execute(change.values(state=State.PENDING, priority=Priority.RETRY)).rowcount
    streams.advance_of(connection, chosen, now=now)
    return woken
