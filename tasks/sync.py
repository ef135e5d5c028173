"""Sync: one attempt to bring one record to its target: claim, map, find, create or update, remember.

Every write is preceded by an intent in the ledger, every end is written under the claim's fencing number. A worker
that was frozen past its lease can neither send nor finish.
"""

import logging
from collections.abc import Mapping
from typing import Any

from connectors.errors import LimitReached, Refused
from mappings.outcome import Skipped
from tasks import dispatch, policy
from tasks.flow import Flow
from tasks.idempotency import Hold
from tasks.ledger import pauses, records
from tasks.ledger.intake import fingerprint
from tasks.ledger.records import Claim, Delivery, Ending
from tasks.ledger.tables import State
from tasks.poll import pause_refused
from tasks.runtime import Runtime

log = logging.getLogger("parom.sync")


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
        dispatch.top_up(runtime, flow.name)
    return ending


def _attempt(runtime: Runtime, flow: Flow, claim: Claim) -> Ending | None:
    words = {"flow": flow.name, "record": claim.source_id}
    try:
        ending = Attempt(runtime, flow, claim).make()
    except LeaseLost:
        log.info("lost the lease", extra=words)
        return None
    if not records.finish(runtime.ledger, claim, ending):
        log.info("finished too late", extra=words)
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

    def make(self) -> Ending:
        """How the attempt ended, whatever happened in it. Raises LeaseLost only."""
        try:
            return self._deliver()
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - policy names every kind; what it does not know is parked
            self._tell_operator(error)
            situation = policy.Situation(self.claim.attempts, self.flow.target.settle, in_doubt=self.in_doubt)
            return policy.after_error(error, situation)

    def _deliver(self) -> Ending:
        today = self.claim.claimed_at.astimezone(self.runtime.timezone).date()
        mapped = self.flow.mapping.map(self.claim.snapshot, today=today)
        if isinstance(mapped, Skipped):
            told = self.flow.skipped_note
            return Ending(State.SKIPPED, "skipped", "skipped", mapped.reason, told=told, in_doubt=self.in_doubt)
        payload_hash = fingerprint(mapped.payload)
        if payload_hash == self.claim.delivered_hash and not self.in_doubt:
            return Ending(State.DONE, "unchanged", told=self.flow.success_note)
        held = self.runtime.keys.hold(self.flow.name, self.claim.source_id, payload_hash, fence=self.claim.fence)
        if held is Hold.NEWER:
            raise LeaseLost
        event, target_id = self._write(mapped.payload)
        delivery = Delivery(target_id, payload_hash)
        detail = "; ".join([f"{self.flow.target_name} id {target_id}", *mapped.warnings])
        return Ending(State.DONE, event, detail=detail, told=self.flow.success_note, delivery=delivery)

    def _write(self, payload: Mapping[str, Any]) -> tuple[str, str]:
        """Find, then create or update; returns the event and the target's id."""
        key = str(payload[self.flow.kind.key])
        if self.claim.target_id is not None or self._exists(key):
            self._intend()
            updated = self.flow.target.update(key, payload)
            if updated is not None:
                return "updated", updated
        self._may_create()
        self._intend()
        return "created", self.flow.target.create(payload)

    def _exists(self, key: str) -> bool:
        found = self.flow.target.find(key) is not None
        self.in_doubt = False  # the target has settled and has answered: whatever we sent before is seen or never was
        return found

    def _may_create(self) -> None:
        with self.runtime.ledger.read() as connection:
            now = self.runtime.ledger.now(connection)
            is_held = pauses.standing(connection, self.flow.name, now=now).creates_held
        if is_held:
            raise CreatesHeld("creations are held: the target's limit was reached", told=CreatesHeld.TOLD)

    def _intend(self) -> None:
        if not records.intend(self.runtime.ledger, self.claim):
            raise LeaseLost

    def _tell_operator(self, error: Exception) -> None:
        if isinstance(error, Refused):
            pause_refused(self.runtime, self.flow.name, error)
        if isinstance(error, LimitReached) and not isinstance(error, CreatesHeld):
            self._hold_creates(error)

    def _hold_creates(self, error: LimitReached) -> None:
        if pauses.hold_creates(self.runtime.ledger, self.flow.name, lasting=policy.LIMIT_RETRY):
            log.error("creations held: %s", error, extra={"flow": self.flow.name, "alert": True})
