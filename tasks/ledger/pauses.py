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


def standing(connection: Connection, flow: str, *, now: datetime) -> Standing:
    """The flow's standing; KeyError if it was never registered."""
    columns = (flows.c.paused_by, flows.c.paused_reason, flows.c.creates_held_until)
    row = connection.execute(select(*columns).where(flows.c.name == flow)).one_or_none()
    if row is None:
        raise KeyError(flow)
    return Standing(row[0], row[1], creates_held=bool(row[2] and row[2] > now))


def pause(ledger: Ledger, flow: str, *, by: PausedBy, reason: str, probe_in: timedelta | None = None) -> bool:
    """Stop polling and dispatching. False if it was paused already: an operator's pause is never weakened."""
    with ledger.write() as connection:
        now = ledger.now(connection)
        values = {
            "paused_by": by,
            "paused_reason": storable_text(reason),
            "paused_at": now,
            "probe_at": now + probe_in if probe_in else None,
        }
        stronger = flows.c.paused_by.is_(None) if by == "refused" else flows.c.paused_by.is_distinct_from("operator")
        change = update(flows).where(flows.c.name == flow, stronger).values(values)
        return connection.execute(change).rowcount == 1


def resume(ledger: Ledger, flow: str) -> bool:
    """Let the flow run again, polling at once. False if it was not paused."""
    with ledger.write() as connection:
        values = {
            "paused_by": None,
            "paused_reason": None,
            "paused_at": None,
            "probe_at": None,
            "poll_due_at": ledger.now(connection),
        }
        change = update(flows).where(flows.c.name == flow, flows.c.paused_by.is_not(None)).values(values)
        return connection.execute(change).rowcount == 1


def take_probe(ledger: Ledger, flow: str, *, again_in: timedelta) -> bool:
    """Whether it is this caller's turn to probe a refused flow; the next turn comes after `again_in`."""
    with ledger.write() as connection:
        now = ledger.now(connection)
        due = (flows.c.name == flow, flows.c.paused_by == "refused", flows.c.probe_at <= now)
        change = update(flows).where(*due).values(probe_at=now + again_in)
        return connection.execute(change).rowcount == 1


def hold_creates(ledger: Ledger, flow: str, *, lasting: timedelta) -> bool:
    """Send no creations for a while (updates go on). False if they were held already."""
    with ledger.write() as connection:
        now = ledger.now(connection)
        was_held = standing(connection, flow, now=now).creates_held
        connection.execute(update(flows).where(flows.c.name == flow).values(creates_held_until=now + lasting))
        return not was_held
