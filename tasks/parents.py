"""Parents: what a record needs first. A missing one is fetched on demand; its children wait and leave in order."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from tasks import twins
from tasks.flow import Flow, Parent
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


@dataclass(frozen=True)
class Need:
    """A parent that a payload names."""

    key: ParentKey
    parent: Parent


def needs_of(flow: Flow, payload: Mapping[str, Any]) -> Iterator[Need]:
    """Whom the payload needs first."""
    for parent in flow.kind.parents:
        name, parent_id = flow.parent_flows.get(parent.kind), _value(payload, parent.field)
        if name and parent_id:
            yield Need(ParentKey(name, str(parent_id)), parent)


def linked(runtime: Runtime, flow: Flow, child_id: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """The payload with the target's own ids of those parents that it must name so. Raises as `require`."""
    for need in needs_of(flow, payload):
        if need.parent.link:
            payload = _with(payload, need.parent.link, require(runtime, flow, child_id, need))
    return payload


def require(runtime: Runtime, flow: Flow, child_id: str, need: Need) -> str:
    """The target's id of the parent; if the target has none, see to it that it comes, and raise Waiting.

    Raises ConnectorError if a system must be asked and does not answer.
    """
    with runtime.ledger.read() as connection:
        target_id = records.delivered_id(connection, need.key) or _born_there(connection, runtime, need.key)
    if target_id is not None:
        return target_id
    standing = _standing(runtime, need.key)
    if standing is None:
        found = _fetched(runtime, flow, need.key)
        if found.target_id is not None:
            return found.target_id
        standing = found.standing
    if standing in _MAY_HAVE_MERGED:
        _read_again(runtime, flow, child_id)
    raise missing(need, why=standing)


def _born_there(connection: Connection, runtime: Runtime, parent: ParentKey) -> str | None:
    """The target's id of a parent that the twin flow brought from there, and that its own flow never saw."""
    flow = runtime.flows[parent.flow]
    query = select(table.c.source_id).where(table.c.flow == flow.twin_flow, table.c.target_id == parent.source_id)
    found = connection.execute(query).scalars() if flow.twin_flow else ()
    return next((source_id for source_id in found if twins.names(flow, source_id)), None)


def missing(need: Need, *, why: str) -> Waiting:
    """The error that makes a record wait for its parent."""
    told = f"Ожидает: {need.parent.label} {need.key.source_id} ещё не передан ({_RUSSIAN[why]})"
    return Waiting(need.key, why=why, told=told)


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


@dataclass(frozen=True)
class _Fetched:
    """What became of the search for a parent that the ledger did not know."""

    standing: str
    target_id: str | None = None


def _fetched(runtime: Runtime, flow: Flow, parent: ParentKey) -> _Fetched:
    parents = runtime.flows[parent.flow]
    if not flow.brings_parents:
        # Somebody may have entered it by hand, with our key.
        found = parents.target.find(parent.source_id)
        return _Fetched("unknown", found.id if found else None)
    asked_at = runtime.ledger.clock()
    rows = parents.source.read([parent.source_id], parents.reads, parents.mapping.conditions)
    if not rows:
        return _Fetched("absent")
    with runtime.ledger.write() as connection:
        now = runtime.ledger.now(connection)
        intake.take(connection, parents.name, [parents.seen(row) for row in rows], now=now, asked_at=asked_at)
    return _Fetched(State.PENDING)


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


def _value(payload: Mapping[str, Any], path: str) -> Any:
    outer, _, inner = path.partition(".")
    held = payload.get(outer)
    return _value(held, inner) if inner and isinstance(held, Mapping) else (None if inner else held)


def _with(payload: Mapping[str, Any], path: str, value: str) -> Mapping[str, Any]:
    outer, _, inner = path.partition(".")
    return {**payload, outer: _with(payload[outer], inner, value) if inner else value}
