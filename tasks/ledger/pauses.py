"""Whether a flow runs: paused by an operator, or by the engine until a probe of the connection passes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, select, update

from tasks.ledger.database import Ledger
from tasks.ledger.history import storable_text
from tasks.ledger.tables import flows

PausedBy = Literal["operator", "refused"]


@dataclass(frozen=True)
class Standing:
    """What dispatch and sync must know of a flow before they work for it."""

    paused_by: str | None
    paused_reason: str | None
    creates_held: bool


def standing(connection: Connection, flow: str, *, now: datetime, lock: bool = False) -> Standing:
    """The flow's standing; KeyError if it was never registered. `lock` keeps others of the same mind waiting."""
    columns = (flows.c.paused_by, flows.c.paused_reason, flows.c.creates_held_until)
    query = select(*columns).where(flows.c.name == flow)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise KeyError(flow)
    return Standing(row[0], row[1], creates_held=bool(row[2] and row[2] > now))


def pause(ledger: Ledger, flow: str, *, reason: str) -> bool:
    """An operator's word: polls and deliveries stop until an operator says otherwise; notes of the past still go out.

    False if an operator had paused it already.
    """
    with ledger.write() as connection:
        values = {"paused_by": "operator", "paused_reason": storable_text(reason), "paused_at": ledger.now(connection)}
        is_ours = (flows.c.name == flow, flows.c.paused_by.is_distinct_from("operator"))
        return connection.execute(update(flows).where(*is_ours).values(values)).rowcount == 1


def refuse(ledger: Ledger, flow: str, *, reason: str, first_probe: timedelta, longest: timedelta) -> bool:
    """The connection is refused: stop until a probe passes. True if a person should be told.

    A refusal soon after a probe has passed (it asked for less than the work does) doubles the wait for the next one,
    and is not told again.
    """
    with ledger.write() as connection:
        now = ledger.now(connection)
        query = select(flows.c.paused_by, flows.c.paused_at, flows.c.probe_wait).where(flows.c.name == flow)
        paused_by, paused_at, former = connection.execute(query.with_for_update()).one()
        if paused_by is not None:
            return False
        is_again = paused_at is not None and now - paused_at < 2 * (timedelta(seconds=former) + first_probe)
        wait = min(longest, timedelta(seconds=former) * 2) if is_again else first_probe
        values = {
            "paused_by": "refused",
            "paused_reason": storable_text(reason),
            "paused_at": now,
            "probe_at": now + wait,
            "probe_wait": int(wait.total_seconds()),
        }
        connection.execute(update(flows).where(flows.c.name == flow).values(values))
        return not is_again


def resume(ledger: Ledger, flow: str, *, only: PausedBy | None = None) -> bool:
    """Let the flow run again, polling at once. False if it was not paused (or not by whom `only` names)."""
    with ledger.write() as connection:
        values = {"paused_by": None, "paused_reason": None, "probe_at": None, "poll_due_at": ledger.now(connection)}
        is_paused = flows.c.paused_by == only if only else flows.c.paused_by.is_not(None)
        return connection.execute(update(flows).where(flows.c.name == flow, is_paused).values(values)).rowcount == 1


def take_probe(ledger: Ledger, flow: str) -> bool:
    """Whether it is this caller's turn to probe a refused flow; the next turn comes after its wait."""
    with ledger.write() as connection:
        now = ledger.now(connection)
        due = (flows.c.name == flow, flows.c.paused_by == "refused", flows.c.probe_at <= now)
        wait = connection.execute(select(flows.c.probe_wait).where(*due).with_for_update()).scalar()
        if wait is None:
            return False
        connection.execute(update(flows).where(*due).values(probe_at=now + timedelta(seconds=wait)))
        return True


def hold_creates(ledger: Ledger, flow: str, *, lasting: timedelta) -> bool:
    """Send no creations for a while (updates go on). False if they were held already."""
    with ledger.write() as connection:
        now = ledger.now(connection)
        was_held = standing(connection, flow, now=now).creates_held
        connection.execute(update(flows).where(flows.c.name == flow).values(creates_held_until=now + lasting))
        return not was_held
