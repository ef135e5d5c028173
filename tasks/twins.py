"""Twins: two flows that carry the same entities both ways between two systems.

The twin's record of an entity tells which entity of the target is ours already, and what the target showed last: what
it shows already is an echo and not written. Of two edits at once that of the leading flow wins: the other waits until
that has arrived, and then looks at its source again. The leading flow's source pushes, the other one's is polled.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from marshmallow import ValidationError
from sqlalchemy import Connection, RowMapping, or_, select

from connectors.errors import Rejected, Throttled
from mappings.outcome import Mapped, TwinMapping, agree
from tasks.flow import Flow
from tasks.ledger import intake, pauses
from tasks.ledger.intake import fingerprint, storable
from tasks.ledger.records import Claim
from tasks.ledger.tables import IS_IN_DOUBT, IS_RUNNING, State, records
from tasks.runtime import Runtime

UNSHOWN = ""
SOON, A_WHILE = 2.0, 60.0
"""Seconds until a record looks again whether its twin has arrived: the sooner one, and the one that cannot be soon."""
DOUBTED_FOR = timedelta(minutes=10)
"""So long a creation whose answer was lost may be what the other side tells of now."""
_OPEN = (State.PENDING, State.QUEUED, State.RUNNING)


@dataclass(frozen=True)
class TwinRecord:
    """The other flow's record of the same entity. Its source is our target; `id` is what that knows the entity by."""

    id: str | None
    source_id: str
    target_id: str | None
    snapshot: Mapping[str, Any]
    state: str
    due_at: datetime | None
    stored_at: datetime | None
    delivered_at: datetime | None


def names(flow: Flow, source_id: str) -> bool:
    """Whether the target of `flow` knows an entity by the `source_id` of the twin's record."""
    nameless = flow.kind.twin.nameless if flow.kind.twin else None
    return nameless is None or not source_id.startswith(nameless)


def twin_of(runtime: Runtime, flow: Flow, claim: Claim, payload: Mapping[str, Any]) -> TwinRecord | None:
    """The other flow's record of what `claim` is about, or None.

    Raises Throttled while it may be coming about; Rejected if `claim` is about a copy of what has its twin already.
    """
    twin = flow.kind.twin
    if flow.twin_flow is None or twin is None:
        return None
    link = payload.get(twin.field)
    named = None if link is None else str(link)
    with runtime.ledger.read() as connection:
        found = _find(connection, flow, claim, [id_ for id_ in (claim.target_id, named) if id_])
        if found is None and twin.leads and _is_coming(connection, runtime, flow, claim):
            raise Throttled("the other flow is just delivering what may be the same", wait=SOON)
        others = set() if twin.leads or named is None else _holders(connection, flow, claim, named, found)
    # One of two that were merged carries the link on, and the other is gone.
    if others and flow.source.read(sorted(others), flow.reads, {}):
        shown = min(others)
        raise Rejected(
            f"{flow.source_name}: it carries the link of {shown}, of which it may be a copy",
            told=f"Тот же ID получателя уже у записи {shown}: если это её копия, сотрите его здесь",
        )
    return found


def require_turn(runtime: Runtime, flow: Flow, claim: Claim, twin: TwinRecord) -> None:
    """Return if nothing newer can come from the leading flow, and our source was read after its last write there.

    Raises Throttled: the record is due again soon, with what its source shows by then.
    """
    if flow.kind.twin is None or flow.kind.twin.leads:
        return
    if twin.state in _OPEN:
        raise Throttled("the other flow's edit goes first", wait=_wait(runtime, flow, claim, twin))
    is_older = twin.delivered_at and claim.stored_at and claim.stored_at <= twin.delivered_at
    if is_older and _has_changed(runtime, flow, claim):
        raise Throttled("it was read before the other flow's edit arrived there", wait=0)


def _wait(runtime: Runtime, flow: Flow, claim: Claim, twin: TwinRecord) -> float:
    with runtime.ledger.read() as connection:
        is_paused = pauses.standing(connection, str(flow.twin_flow), now=claim.claimed_at).paused_by is not None
    due_in = (twin.due_at - claim.claimed_at).total_seconds() if twin.due_at else SOON
    return A_WHILE if is_paused else min(max(due_in, SOON), A_WHILE)


def says_nothing_new(flow: Flow, claim: Claim) -> bool:
    """Whether all that changed since the target took it is what both sides know of each other: a link written back."""
    is_known = flow.twin_flow and claim.agreed is not None and claim.delivered_hash
    return bool(is_known) and not _news(flow, claim)


def is_echo(runtime: Runtime, flow: Flow, claim: Claim, twin: TwinRecord) -> bool:
    """Whether the target showed, after we wrote there last, all that changed here since both sides agreed.

    If they never did, what the following flow alone tells is taken for what its source has filled in by itself; what
    the leading one tells first is more than both show: its id and its link.
    """
    if not _may_compare(claim, twin):
        return False
    twins, leads = runtime.flows[str(flow.twin_flow)], flow.kind.twin is not None and flow.kind.twin.leads
    if claim.agreed is None:
        return not leads and _are_same(flow, claim.snapshot, twins, twin.snapshot)
    news = _news(flow, claim)
    if not news:
        return _are_same(flow, claim.snapshot, twins, twin.snapshot)
    theirs = _common(twins, twin.snapshot)
    return all(theirs.get(name) == value for name, value in news.items())


def spared(
    runtime: Runtime, flow: Flow, claim: Claim, twin: TwinRecord, payload: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The payload without what the target shows already: kopecks that only 1C knows must outlive an edit in amoCRM."""
    if flow.kind.twin is None or not _may_compare(claim, twin):
        return payload
    ours, theirs = _common(flow, claim.snapshot), _common(runtime.flows[str(flow.twin_flow)], twin.snapshot)
    same = {name for name in flow.kind.twin.spared if name in ours and theirs.get(name) == ours[name]}
    return {name: value for name, value in payload.items() if name not in same}


def _may_compare(claim: Claim, twin: TwinRecord) -> bool:
    """Whether the target has told of itself since we wrote there last, and is not to get it whatever it tells."""
    is_fresh = not claim.delivered_at or (twin.stored_at is not None and twin.stored_at > claim.delivered_at)
    return is_fresh and not claim.in_doubt and not claim.is_again


def _news(flow: Flow, claim: Claim) -> Mapping[str, Any]:
    """What we would bring and did not when both sides agreed last, as `common` has it.

    UNSHOWN stands for what the target's own rows do not tell: of that, nothing can be its echo.
    """
    agreed = claim.agreed or {}
    shown, was = _common(flow, claim.snapshot), _common(flow, agreed)
    news = {name: value for name, value in shown.items() if was.get(name) != value}
    changed = [code for code in flow.mapping.fields if claim.snapshot.get(code) != agreed.get(code)]
    without = ({**claim.snapshot, code: agreed.get(code)} for code in changed)
    said = _said(flow, claim, claim.snapshot)
    is_unshown = any(_common(flow, raw) == shown and _said(flow, claim, raw) != said for raw in without)
    return {**news, UNSHOWN: True} if is_unshown else news


def _said(flow: Flow, claim: Claim, raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The payload of `raw` without the link that both sides know, and of its parents no more than who they are."""
    try:
        mapped = flow.mapping.map(raw, today=claim.claimed_at.date())
    except ValidationError:
        return None
    payload = dict(mapped.payload) if isinstance(mapped, Mapped) else {}
    link = flow.kind.twin.field if flow.kind.twin else ""
    if payload.get(link) is None or str(payload[link]) == claim.target_id:
        payload.pop(link, None)
    for outer, _, inner in (parent.field.partition(".") for parent in flow.kind.parents):
        if inner and isinstance(payload.get(outer), Mapping):
            payload[outer] = payload[outer].get(inner)
    return payload


def _find(connection: Connection, flow: Flow, claim: Claim, ids: Collection[str]) -> TwinRecord | None:
    """What was brought to us comes before what only names us or is named; then what the target has a name for."""
    columns = (records.c[name] for name in _COLUMNS)
    is_it = or_(records.c.target_id == claim.source_id, records.c.source_id.in_(ids))
    query = select(*columns).where(records.c.flow == flow.twin_flow, is_it).order_by(records.c.id)
    found = [_record(flow, row) for row in connection.execute(query).mappings()]
    return max(reversed(found), key=lambda each: (each.target_id == claim.source_id, each.id is not None), default=None)


_COLUMNS = ("source_id", "target_id", "snapshot", "state", "due_at", "stored_at", "delivered_at")


def _record(flow: Flow, row: RowMapping) -> TwinRecord:
    return TwinRecord(id=row["source_id"] if names(flow, row["source_id"]) else None, **row)


def _holders(connection: Connection, flow: Flow, claim: Claim, named: str, found: TwinRecord | None) -> frozenset[str]:
    """Which other entities of our source have, as far as we know, the twin that ours names; none if it had it first."""
    if claim.target_id == named:
        return frozenset()
    query = select(records.c.source_id).where(records.c.flow == flow.name, records.c.target_id == named)
    brought = {found.target_id} if found and found.source_id == named and found.target_id else set()
    return frozenset({*connection.execute(query).scalars(), *brought} - {claim.source_id})


def _is_coming(connection: Connection, runtime: Runtime, flow: Flow, claim: Claim) -> bool:
    """Whether the other flow is creating, or may have created, what would be this one's twin; nobody knows its id."""
    columns = (records.c.snapshot, records.c.in_doubt_at, records.c.state)
    twins, unnamed = (
        runtime.flows[str(flow.twin_flow)],
        (records.c.flow == flow.twin_flow, records.c.target_id.is_(None)),
    )
    # Two questions, for each has an index of its own.
    found = [
        row
        for is_it in (IS_RUNNING, IS_IN_DOUBT)
        for row in connection.execute(select(*columns).where(is_it, *unnamed))
    ]
    since = claim.claimed_at - DOUBTED_FOR
    moving = (row for row in found if row.state == State.RUNNING or (row.state in _OPEN and row.in_doubt_at > since))
    return any(_are_same(flow, claim.snapshot, twins, row.snapshot) for row in moving)


def _are_same(flow: Flow, ours: Mapping[str, Any], twins: Flow, theirs: Mapping[str, Any]) -> bool:
    return agree(_common(flow, ours), _common(twins, theirs))


def _common(flow: Flow, snapshot: Mapping[str, Any]) -> Mapping[str, Any]:
    return cast("TwinMapping", flow.mapping).common(snapshot) or {}


def _has_changed(runtime: Runtime, flow: Flow, claim: Claim) -> bool:
    """Read the entity again and take it in; whether it shows anything else by now."""
    asked_at = runtime.ledger.clock()
    seen = [flow.seen(row) for row in flow.source.read([claim.source_id], flow.reads, flow.mapping.conditions)]
    changed = [one for one in seen if fingerprint(storable(one.fields)) != fingerprint(claim.snapshot)]
    if changed:
        with runtime.ledger.write() as connection:
            now = runtime.ledger.now(connection)
            intake.take(connection, flow.name, changed, now=now, asked_at=asked_at)
    return bool(changed)
