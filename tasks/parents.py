"""Parents: what a record needs first. A missing one is fetched on demand; its children wait and leave in order."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from tasks.flow import Flow
from tasks.ledger import intake, records
from tasks.ledger.records import ParentKey
from tasks.ledger.tables import State
from tasks.ledger.tables import records as table
from tasks.runtime import Runtime


class Waiting(Exception):
    """The parent is not in the target yet. `told` is for the manager, once they should know."""

    def __init__(self, parent: ParentKey, *, why: str, told: str) -> None:
        super().__init__(f"waits for {parent.flow} {parent.source_id} ({why})")
        self.parent = parent
        self.told = told
        self.is_helpless = why in _NOBODY_BRINGS
        """Whether it will not come by itself, so that the manager should know at once."""


def parent_of(flow: Flow, payload: Mapping[str, Any]) -> ParentKey | None:
    """Whom the payload needs first, or None if it needs nobody."""
    if flow.kind.parent is None or flow.parent_flow is None:
        return None
    parent_id = payload.get(flow.kind.parent.field)
    return ParentKey(flow.parent_flow, str(parent_id)) if parent_id else None


def require(runtime: Runtime, flow: Flow, child_id: str, parent: ParentKey) -> None:
    """Return if the target has the parent; else see to it that it comes, and raise Waiting.

    Raises ConnectorError if a system must be asked and does not answer.
    """
    with runtime.ledger.read() as connection:
        is_there = records.is_delivered(connection, parent)
    if is_there:
        return
    standing = _standing(runtime, parent) or _fetched(runtime, flow, parent)
    if standing is None:
        return
    if standing in _MAY_HAVE_MERGED:
        _read_again(runtime, flow, child_id)
    raise missing(flow, parent, why=standing)


def missing(flow: Flow, parent: ParentKey, *, why: str) -> Waiting:
    """The error that makes a record wait for `parent`."""
    label = flow.kind.parent.label if flow.kind.parent else ""
    return Waiting(parent, why=why, told=f"Ожидает: {label} {parent.source_id} ещё не передан ({_RUSSIAN[why]})")


_RUSSIAN = {
    **dict.fromkeys(("pending", "queued", "running", "waiting", "done"), "в очереди"),
    "rejected": "в нём ошибка, см. его статус синхронизации",
    "skipped": "он не подлежит передаче",
    "parked": "ошибка передачи, разбирается оператор",
    "unknown": "создан раньше начала синхронизации",
    "absent": "не найден",
}


_NOBODY_BRINGS = ("unknown", "absent")
_MAY_HAVE_MERGED = ("absent", "rejected", "skipped", "parked")
"""When duplicates are merged the source points their children to the survivor, often without marking them changed."""


def _standing(runtime: Runtime, parent: ParentKey) -> str | None:
    """The parent's state in the ledger, or None if its flow never saw it."""
    query = select(table.c.state).where(table.c.flow == parent.flow, table.c.source_id == parent.source_id)
    with runtime.ledger.read() as connection:
        return connection.execute(query).scalar()


def _fetched(runtime: Runtime, flow: Flow, parent: ParentKey) -> str | None:
    """Look for a parent that the ledger does not know; None if the target has it already."""
    parents = runtime.flows[parent.flow]
    if not flow.brings_parents:
        # Somebody may have entered it by hand, with our key.
        return None if parents.target.find(parent.source_id) else "unknown"
    asked_at = runtime.ledger.clock()
    rows = parents.source.read([parent.source_id], parents.reads, parents.mapping.conditions)
    if not rows:
        return "absent"
    with runtime.ledger.write() as connection:
        now = runtime.ledger.now(connection)
        intake.take(connection, parents.name, [parents.seen(row) for row in rows], now=now, asked_at=asked_at)
    return str(State.PENDING)


def _read_again(runtime: Runtime, flow: Flow, child_id: str) -> None:
    """Take in the child as it is now; if it names another parent, that is a newer version of it."""
    asked_at = runtime.ledger.clock()
    rows = flow.source.read([child_id], flow.reads, flow.mapping.conditions)
    with runtime.ledger.write() as connection:
        now = runtime.ledger.now(connection)
        intake.take(connection, flow.name, [flow.seen(row) for row in rows], now=now, asked_at=asked_at)


def deliver_again(runtime: Runtime, parent: ParentKey) -> None:
    """The target lost the parent (a person deleted it): make it due, whether or not it changed."""
    with runtime.ledger.write() as connection:
        now = runtime.ledger.now(connection)
        records.forget_delivery(connection, parent, now=now)
