"""How far each flow has read its source, and whose turn it is to read on.

The position moves only in the transaction that stores the rows of a page, and only for the holder of the turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, case, or_, select, update

from tasks.ledger import intake
from tasks.ledger.database import Ledger, insert_into
from tasks.ledger.seen import Seen
from tasks.ledger.tables import flows


@dataclass(frozen=True)
class Position:
    """Where reading goes on. Times are the source's clock, aware.

    `modified_since` is where the window begins; `window_high` the source's clock when it was opened and `after_id`
    the last id stored of it, both None while no window is open. `opened_at` is our clock then.
    """

    modified_since: datetime
    window_high: datetime | None = None
    after_id: str | None = None
    opened_at: datetime | None = None


@dataclass(frozen=True)
class Turn:
    """The right to poll one flow, until its lease ends."""

    flow: str
    fence: int
    position: Position
    now: datetime


def register(ledger: Ledger, names: Sequence[tuple[str, datetime]]) -> None:
    """Make sure every flow has its row; the datetime is where its first window begins."""
    with ledger.write() as connection:
        now = ledger.now(connection)
        known = set(connection.execute(select(flows.c.name)).scalars())
        rows = [
            {"name": name, "modified_since": since, "poll_due_at": now} for name, since in names if name not in known
        ]
        for row in rows:
            connection.execute(insert_into(connection, flows).values(row).on_conflict_do_nothing())


def take_turn(
    ledger: Ledger, flow: str, *, owner: str, lease: timedelta, every: timedelta, force: bool = False
) -> Turn | None:
    """The turn to poll `flow`, or None: paused, not due yet, or somebody else's. A doubled tick ends here."""
    with ledger.write() as connection:
        now = ledger.now(connection)
        is_free = or_(flows.c.lease_until.is_(None), flows.c.lease_until < now)
        is_due = [] if force else [flows.c.poll_due_at <= now]
        change = (
            update(flows)
            .where(flows.c.name == flow, flows.c.paused_by.is_(None), is_free, *is_due)
            .values(fence=flows.c.fence + 1, lease_owner=owner, lease_until=now + lease, poll_due_at=now + every)
            .returning(flows.c.fence, flows.c.modified_since, flows.c.window_high, flows.c.after_id, flows.c.polled_at)
        )
        row = connection.execute(change).one_or_none()
        return Turn(flow, row[0], Position(*row[1:]), now) if row else None


def position(ledger: Ledger, flow: str) -> Position:
    """Where the next poll of the flow will read."""
    columns = (flows.c.modified_since, flows.c.window_high, flows.c.after_id, flows.c.polled_at)
    with ledger.read() as connection:
        return Position(*connection.execute(select(*columns).where(flows.c.name == flow)).one())


def is_due(connection: Connection, flow: str, *, now: datetime) -> bool:
    """Whether it is time for a poll of the flow, and nobody is at it."""
    is_free = or_(flows.c.lease_until.is_(None), flows.c.lease_until < now)
    due = (flows.c.name == flow, flows.c.paused_by.is_(None), flows.c.poll_due_at <= now, is_free)
    return connection.execute(select(flows.c.name).where(*due)).first() is not None


def store_page(
    ledger: Ledger,
    turn: Turn,
    rows: Sequence[Seen],
    position: Position,
    *,
    lease: timedelta,
    asked_at: datetime,
) -> intake.Taken | None:
    """Store a page's rows and move to `position`, together. None: the turn is lost, nothing is stored."""
    is_complete = position.after_id is None
    with ledger.write() as connection:
        now = ledger.now(connection)
        change = update(flows).where(flows.c.name == turn.flow, flows.c.fence == turn.fence)
        moved = connection.execute(
            change.values(
                modified_since=position.modified_since,
                window_high=position.window_high,
                after_id=position.after_id,
                polled_at=position.opened_at,
                lease_until=now + lease,
                poll_error=None,
                **({"completed_at": now} if is_complete else {}),
            )
        )
        if moved.rowcount != 1:
            return None
        return intake.take(connection, turn.flow, rows, now=now, asked_at=asked_at)


def end_turn(ledger: Ledger, turn: Turn, *, error: str | None = None, due_in: timedelta | None = None) -> None:
    """Give the turn back; `due_in` makes the next one due then instead of after the flow's interval."""
    with ledger.write() as connection:
        now = ledger.now(connection)
        change = update(flows).where(flows.c.name == turn.flow, flows.c.fence == turn.fence)
        due = {} if due_in is None else {"poll_due_at": now + due_in}
        connection.execute(change.values(lease_owner=None, lease_until=None, poll_error=error, **due))


def rewind(ledger: Ledger, flow: str, since: datetime) -> None:
    """Begin a new window at `since` or where the last one began, whichever is earlier, at the next poll.

    Whoever is polling loses the turn.
    """
    with ledger.write() as connection:
        change = update(flows).where(flows.c.name == flow)
        connection.execute(
            change.values(
                modified_since=case((flows.c.modified_since < since, flows.c.modified_since), else_=since),
                window_high=None,
                after_id=None,
                polled_at=None,
                fence=flows.c.fence + 1,
                lease_owner=None,
                lease_until=None,
                poll_due_at=ledger.now(connection),
            )
        )
