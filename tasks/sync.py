"""Sync: one attempt to bring one record to its target: claim, map, find, create or update, remember.

Every write is preceded by an intent in the ledger, every end is written under the claim's fencing number. A worker
that was frozen past its lease can neither send nor finish.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from marshmallow import ValidationError

from connectors.base import Located, WriteClass
from connectors.errors import ConnectorError, LimitReached, ParentMissing, Refused, Throttled, Transient
from mappings.outcome import Mapped, Skipped
from tasks import dispatch, parents, policy, twins
from tasks.flow import Flow
from tasks.idempotency import KEPT, Hold
from tasks.ledger import pauses, records, streams
from tasks.ledger.intake import fingerprint
from tasks.ledger.records import Claim, Delivery, Ending, ParentKey
from tasks.ledger.tables import State
from tasks.poll import pause_refused
from tasks.runtime import Runtime
from tasks.twins import TwinRecord

log = logging.getLogger("parom.sync")

T = TypeVar("T")
FRESH_INTENT = 2.0
"""Seconds: `settle` is counted from the intent, so what is sent must follow it at once."""


class LeaseLost(Exception):
    """Somebody else holds the record by now; this attempt sends nothing more and writes nothing down."""


def sync(runtime: Runtime, record_id: int) -> Ending | None:
    """Make one attempt. None if there was nothing to claim or the claim was lost on the way."""
    claim = records.claim(
        runtime.ledger, record_id, flows_known=list(runtime.flows), owner=runtime.owner, lease=runtime.lease
    )
    if claim is None:
        return None
    flow = runtime.flows[claim.flow]
    with runtime.holdings.record(claim.record_id):
        ending = _attempt(runtime, flow, claim)
    if ending:
        _report(flow, claim, ending)
        dispatch.top_up(runtime, flow.name, at_once=claim.is_suspect)
    return ending


def _attempt(runtime: Runtime, flow: Flow, claim: Claim) -> Ending | None:
    words = {"flow": flow.name, "record": claim.source_id}
    try:
        ending = Attempt(runtime, flow, claim).make()
    except LeaseLost:
        log.info("lost the lease", extra=words)
        records.acquit(runtime.ledger, claim)
        return None
    if flow.status_field is None:
        ending = replace(ending, told=None)  # there is nobody to tell
    if not records.finish(runtime.ledger, claim, ending):
        log.info("finished too late", extra=words)
        records.acquit(runtime.ledger, claim)
        return None
    return ending


def _report(flow: Flow, claim: Claim, ending: Ending) -> None:
    level = logging.ERROR if ending.state is State.PARKED else logging.INFO
    words = {"flow": flow.name, "record": claim.source_id, "attempt": claim.attempts, "detail": ending.detail}
    log.log(level, "%s", ending.event, extra=words)


class CreatesHeld(LimitReached):
    """The target said lately that it takes no more; asking for every record would only repeat it."""

    TOLD = "Получатель больше не принимает новые записи: достигнут предел"


class Attempt:
    """One claim being worked off; knows whether a write of ours may be on its way."""

    def __init__(self, runtime: Runtime, flow: Flow, claim: Claim) -> None:
        self.runtime, self.flow, self.claim = runtime, flow, claim
        self.in_doubt = claim.in_doubt
        self.learnt: Delivery | None = None
        """What the target turned out to hold of an earlier version."""
        self.has_intent = False

    def make(self) -> Ending:
        """How the attempt ended, whatever happened in it. Raises LeaseLost only."""
        try:
            return self._deliver()
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - policy names every kind; what it does not know is parked
            self._tell_operator(error)
            # A mistake of our own after the intent tells nothing of what was sent.
            in_doubt = self.in_doubt or (self.has_intent and not isinstance(error, ConnectorError))
            situation = policy.Situation(self.claim.attempts, self.flow.target.settle, in_doubt=in_doubt)
            return replace(policy.after_error(error, situation), delivery=self.learnt)

    def _deliver(self) -> Ending:
        if settled := self._settled_before():
            return settled
        today = self.claim.claimed_at.astimezone(self.runtime.timezone).date()
        try:
            mapped = self.flow.mapping.map(self.claim.snapshot, today=today)
        except ValidationError:
            if found := self._found_after_all():
                return found
            raise
        return self._skip(mapped) if isinstance(mapped, Skipped) else self._bring(mapped)

    def _skip(self, skipped: Skipped) -> Ending:
        if found := self._found_after_all():
            return found
        return Ending(
            State.SKIPPED,
            "skipped",
            "skipped",
            skipped.reason,
            told=self.flow.skipped_note,
            in_doubt=self.in_doubt,
            delivery=self.learnt,
        )

    def _bring(self, mapped: Mapped) -> Ending:
        payload_hash = fingerprint(mapped.payload)
        is_old = payload_hash == self.claim.delivered_hash or twins.says_nothing_new(self.flow, self.claim)
        if is_old and not self.in_doubt:
            return Ending(State.DONE, "unchanged", told=self.flow.success_note)
        twin = twins.twin_of(self.runtime, self.flow, self.claim, mapped.payload)
        if twin:
            twins.require_turn(self.runtime, self.flow, self.claim, twin)
            known = twin.id or self.claim.target_id
            if known and twins.is_echo(self.runtime, self.flow, self.claim, twin):
                echoed = replace(self._delivery(known, payload_hash, twin), is_echo=True)
                return Ending(State.DONE, "echo", told=self.flow.success_note, delivery=echoed)
        held = self.runtime.keys.hold(self.flow.name, self.claim.source_id, payload_hash, fence=self.claim.fence)
        if held is Hold.NEWER:
            # A later attempt is at it, and the ledger will say so; or the keys outlive the ledger they belong to.
            raise Throttled("a newer attempt holds the idempotency key", wait=KEPT.total_seconds() / 10)
        payload = twins.spared(self.runtime, self.flow, self.claim, twin, mapped.payload) if twin else mapped.payload
        event, target_id = self._write(payload, twin)
        delivery = self._delivery(target_id, payload_hash, twin)
        detail = "; ".join([f"{self.flow.target_name} id {target_id}", *mapped.warnings])
        return Ending(State.DONE, event, detail=detail, told=self.flow.success_note, delivery=delivery)

    def _delivery(self, target_id: str, payload_hash: str, twin: TwinRecord | None) -> Delivery:
        link = target_id.link if isinstance(target_id, Located) else None
        delivery = Delivery(target_id, payload_hash, link=link, is_final=not self.flow.target.updates)
        if self.flow.twin_flow is None or self.flow.kind.twin is None:
            return delivery
        key = ParentKey(self.flow.twin_flow, twin.source_id if twin else target_id)
        return replace(delivery, agreed=self.claim.snapshot, twin=key, is_twin_polled=self.flow.kind.twin.leads)

    def _settled_before(self) -> Ending | None:
        """How it ends without a look at what it says."""
        if self._is_overtaken():
            return Ending(State.SKIPPED, "superseded", "superseded", "the target has a later event")
        if self._is_final():
            return Ending(State.DONE, "kept", told=self.flow.success_note)
        return None

    def _found_after_all(self) -> Ending | None:
        """An earlier version may have been created before this one turned wrong; what is never rewritten ends so."""
        target_id = self._find(self.claim.entity_id) if self.in_doubt else None
        if target_id is None:
            return None
        if self.flow.target.updates:
            self.learnt = Delivery(target_id, None)
            return None
        delivery = Delivery(target_id, fingerprint(self.claim.snapshot), is_final=True)
        detail = f"{self.flow.target_name} id {target_id}"
        return Ending(State.DONE, "found", detail=detail, told=self.flow.success_note, delivery=delivery)

    def _is_final(self) -> bool:
        """Delivered, and of a kind that is never rewritten; a resync forgets the hash and looks again."""
        return not self.flow.target.updates and self.claim.delivered_hash is not None

    def _is_overtaken(self) -> bool:
        claim, stream = self.claim, self.flow.kind.stream
        if stream is None or not stream.supersedes or claim.stream is None or claim.position is None:
            return False
        with self.runtime.ledger.read() as connection:
            return streams.is_overtaken(
                connection, claim.record_id, flow=claim.flow, stream=claim.stream, position=claim.position
            )

    def _write(self, payload: Mapping[str, Any], twin: TwinRecord | None) -> tuple[str, str]:
        """Find, then create or update; returns the event and the target's id."""
        is_blind = self.flow.target.write_class is WriteClass.CREATE_BLIND
        known = self._known_id(twin)
        if self.in_doubt and is_blind and not known:
            raise policy.Unsure
        payload = parents.linked(self.runtime, self.flow, self.claim.entity_id, payload)
        if known and (updated := self._update(known, payload)):
            return "updated", updated
        # Never seen, or gone: then a person may have merged it with another, which is the same by what it shows.
        found = self._find(str(payload[self.flow.kind.key])) or self.flow.target.match(payload)
        if found and not self.flow.target.updates:
            return "found", found
        if found and found != known and (updated := self._update(found, payload)):
            return "updated", updated
        return "created", self._create(payload)

    def _update(self, target_id: str, payload: Mapping[str, Any]) -> str | None:
        return self._sent(payload, partial(self.flow.target.update, target_id, payload))

    def _known_id(self, twin: TwinRecord | None) -> str | None:
        if not self.flow.target.updates:
            return None  # it is asked, for it may hold it already
        return self.claim.target_id or (twin.id if twin else None)

    def _find(self, key: str) -> str | None:
        found = self.flow.target.find(key)
        self.in_doubt = False  # the target has settled and has answered: whatever we sent before is seen or never was
        return found.id if found else None

    def _create(self, payload: Mapping[str, Any]) -> str:
        self._require_settled()
        self._may_create()
        return self._sent(payload, partial(self.flow.target.create, payload))

    def _sent(self, payload: Mapping[str, Any], send: Callable[[], T]) -> T:
        """What `send` returned. An update needs the parents, too: it may be the first to name one."""
        needs = list(parents.needs_of(self.flow, payload))
        for need in needs:
            parents.require(self.runtime, self.flow, self.claim.entity_id, need)
        self._intend()
        try:
            return send()
        except ParentMissing:
            if not needs:
                raise
            for need in needs:
                parents.deliver_again(self.runtime, need.key)
            raise parents.missing(needs[0], why="pending") from None

    def _require_settled(self) -> None:
        """What was delivered a moment ago may not be seen yet: that it was not found says nothing until then."""
        delivered_at, settle = self.claim.delivered_at, self.flow.target.settle
        if delivered_at and delivered_at + settle > self.claim.claimed_at:
            wait = delivered_at + settle - self.claim.claimed_at
            raise Throttled("delivered a moment ago, and not visible yet", wait=wait.total_seconds())

    def _may_create(self) -> None:
        with self.runtime.ledger.read() as connection:
            now = self.runtime.ledger.now(connection)
            is_held = pauses.standing(connection, self.flow.name, now=now).creates_held
        if is_held:
            raise CreatesHeld("creations are held: the target's limit was reached", told=CreatesHeld.TOLD)

    def _intend(self) -> None:
        began = time.monotonic()
        if not records.intend(self.runtime.ledger, self.claim):
            raise LeaseLost
        if time.monotonic() - began > FRESH_INTENT:
            raise Transient("the ledger took too long to write down the intent; nothing was sent")
        self.has_intent = True

    def _tell_operator(self, error: Exception) -> None:
        if isinstance(error, Refused):
            pause_refused(self.runtime, self.flow.name, error)
        if isinstance(error, LimitReached) and not isinstance(error, CreatesHeld):
            self._hold_creates(error)

    def _hold_creates(self, error: LimitReached) -> None:
        if pauses.hold_creates(self.runtime.ledger, self.flow.name, lasting=policy.LIMIT_RETRY):
            log.error("creations held: %s", error, extra={"flow": self.flow.name, "alert": True})
