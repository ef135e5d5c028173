"""What happens to Parom when one of its mechanisms is taken away: each must make the oracle find a violation.

For the harness alone; the product has no such switch.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace

from sqlalchemy import update

from connectors.amocrm_target import AmoCrmTarget
from tasks import dispatch, sync, twins, upkeep
from tasks.ledger import cursors, intake, records


def without_fencing() -> None:
    """Whoever claimed a record once may send and finish for ever."""
    records._is_held = lambda claim: (records.records.c.id == claim.record_id,)

    def intend(ledger, claim):
        with ledger.write() as connection:
            mark = {"in_doubt_at": ledger.now(connection), "delivered_hash": None}
            connection.execute(update(records.records).where(*records._is_held(claim)).values(mark))
        return True

    records.intend = intend


def without_finding() -> None:
    """What was lost on the way is created again without a look."""
    sync.Attempt._find = lambda self, _key: setattr(self, "in_doubt", False)


def without_cursor_transaction() -> None:
    """The cursor moves first, the rows are stored after."""
    store_page = cursors.store_page

    def store_apart(ledger, turn, rows, position, *, lease, asked_at):
        if store_page(ledger, turn, (), position, lease=lease, asked_at=asked_at) is None:
            return None
        with ledger.write() as connection:
            return intake.take(connection, turn.flow, rows, now=ledger.now(connection), asked_at=asked_at)

    cursors.store_page = store_apart


def without_doubt() -> None:
    """Nobody writes down that a write may be on its way."""
    claim, ended = records._to_claim, records._ended

    def intend(ledger, held):
        with ledger.write() as connection:
            is_ours = (*records._is_held(held), records.records.c.lease_until > ledger.now(connection))
            change = update(records.records).where(*is_ours).values(delivered_hash=None)
            return connection.execute(change).rowcount == 1

    records.intend = intend
    records._to_claim = lambda row, now: replace(claim(row, now), in_doubt=False)
    records._ended = lambda *args: {**ended(*args), "in_doubt_at": None}


def without_sweeper() -> None:
    """Nobody frees what a dead worker held, or sends a lost hint again."""
    upkeep.upkeep = lambda _runtime: None
    dispatch.publish_lost_hints = lambda _runtime, _name: 0


def without_echo_test() -> None:
    """Whatever the source shows counts as news, and whatever is mapped is sent."""
    numbers = itertools.count()
    intake.fingerprint = sync.fingerprint = lambda _value: f"never twice the same {next(numbers)}"


def without_recognition() -> None:
    """Whom 1C tells of is not looked for in amoCRM, and no direction knows what the other one has brought.

    Each of the three alone is made good by the two others.
    """
    twins.twin_of = lambda *_args: None
    AmoCrmTarget.find = AmoCrmTarget.match = lambda *_args: None


MUTATIONS: Mapping[str, Callable[[], None]] = {
    "fencing": without_fencing,
    "find": without_finding,
    "cursor": without_cursor_transaction,
    "doubt": without_doubt,
    "sweeper": without_sweeper,
    "echo": without_echo_test,
    "recognition": without_recognition,
}
