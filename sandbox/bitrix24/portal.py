"""The portal itself: route, authorisation, limits, and the one lock around its store (facts/bitrix24.md §1-§3)."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any

from sandbox.bitrix24 import errors
from sandbox.bitrix24.batch import Outcome, run_batch
from sandbox.bitrix24.envelope import enveloped, lowered, parameters, time_block
from sandbox.bitrix24.errors import Refusal
from sandbox.bitrix24.events import Outgoing
from sandbox.bitrix24.items import TYPES
from sandbox.bitrix24.limits import WINDOW_S, OperatingBaskets, RequestBuckets
from sandbox.bitrix24.listing import Result
from sandbox.bitrix24.methods import METHODS
from sandbox.bitrix24.moments import zone
from sandbox.bitrix24.productrows import product_row
from sandbox.bitrix24.store import Store
from sandbox.bitrix24.switches import Switches
from sandbox.bitrix24.table import Row
from sandbox.bitrix24.values import to_int
from sandbox.bitrix24.writes import Context
from sandbox.chronicle import Chronicle, Who
from sandbox.clock import Clock
from sandbox.switches import switched
from sandbox.wire import Request, Response, Trace, json_response

OWNER = "1"

_ROUTE = re.compile(r"/rest/(?P<user>[^/]+)/(?P<secret>[^/]+)/(?P<method>[^/]+?)(?:\.json)?/?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Webhook:
    """What an address authorises with: who calls, and the secret."""

    user: str
    secret: str


class Portal:
    """A `System`. Pure but for its clock: the same requests at the same time give the same answers."""

    name = "bitrix24"

    def __init__(self, clock: Clock, chronicle: Chronicle) -> None:
        self.clock = clock
        self._chronicle = chronicle
        self.lock = threading.RLock()
        self.events = Outgoing(clock)
        self.reset()

    def reset(self) -> None:
        with self.lock:
            self.store = Store()
            self.switches = Switches()
            self._buckets = RequestBuckets(self.clock.elapsed)
            self._operating = OperatingBaskets(self.clock.elapsed)
            self.events.reset()

    def stop(self) -> None:
        self.events.stop()

    @contextmanager
    def commit(self, who: Who) -> Iterator[None]:
        """The lock, and on leaving it one commit of whatever changed: a refusal halfway takes nothing back."""
        with self.lock:
            try:
                yield
            finally:
                self._chronicle.record(self.name, who, self.store.changes())

    def switch(self, changes: dict[str, Any]) -> None:
        with self.commit("person"):
            turned = switched(self.switches, changes)
            zone(turned.user_offset)
            if turned.server_offset != self.switches.server_offset:
                self.store.restate_offsets(turned.server_offset)
            self.switches = turned
            self.store.configure(turned)

    def rows(self, entity: str) -> list[dict[str, Any]]:
        with self.lock:
            return self.store.rows(entity)

    # What methods ask of the portal.

    def context(self, user_id: str = OWNER) -> Context:
        return Context(self.clock, self.switches, user_id, self.store, self._announce)

    def _announce(self, verb: str, entity: str, row_id: int) -> None:
        self.events.emit(verb, entity, row_id, self.switches)

    def owner(self) -> Row:
        return self.store.tables["user"].rows[int(OWNER)]

    def is_readable(self, row: Row) -> bool:
        return to_int(row.values.get("ASSIGNED_BY_ID")) not in self.switches.hidden_assignees

    def is_listed(self) -> Callable[[Row], bool] | None:
        """Which rows a list may show: readable ones, older than the read-after-write lag; None when all of them."""
        if not self.switches.hidden_assignees and not self.switches.list_lag_s:
            return None
        latest = self.clock.elapsed() - self.switches.list_lag_s
        return lambda row: row.born <= latest and self.is_readable(row)

    def product_row(self, given: dict[str, Any], deal_id: int) -> dict[str, Any]:
        is_taxed = self.switches.discount_sum == "with_tax"
        row_id = next(self.store.product_row_ids)
        return product_row(given, row_id=row_id, owner_id=deal_id, is_discount_taxed=is_taxed)

    # The vendor's side of HTTP.

    def trace(self, request: Request) -> Trace:
        route = _ROUTE.fullmatch(request.path)
        name = route["method"].lower() if route else ""
        try:
            return _traced(name, parameters(request))
        except Refusal as refusal:
            return replace(_traced(name, {}), error=str(refusal))

    def handle(self, request: Request) -> Response:
        route = _ROUTE.fullmatch(request.path)
        if route is None:
            return json_response(HTTPStatus.NOT_FOUND, self.failure("NOT_FOUND", "No such address"))
        try:
            if self.switches.https_required and not request.is_secure:
                raise errors.https_required()
            self._authorise(Webhook(route["user"], route["secret"]))
            self._buckets.admit(request.client_ip, self.switches)
            name, params = route["method"].lower(), parameters(request)
            if name == "batch":
                return self._batch(params)
        except Refusal as refusal:
            trace = replace(self.trace(request), error=str(refusal))
            return json_response(refusal.status, refusal.body, trace=trace)
        outcome = self._call(name, params)
        if isinstance(outcome.result, Refusal):
            return json_response(outcome.result.status, outcome.result.body, trace=outcome.trace)
        return json_response(HTTPStatus.OK, enveloped(outcome.result, outcome.time), trace=outcome.trace)

    def revoked(self) -> Response:
        return json_response(HTTPStatus.UNAUTHORIZED, errors.wrong_secret(HTTPStatus.UNAUTHORIZED).body)

    def throttled(self, retry_after_s: int) -> Response:  # noqa: ARG002 - Bitrix24 sends no Retry-After anywhere
        refusal = errors.too_many_requests()
        return json_response(refusal.status, refusal.body)

    def failure(self, code: str, text: str) -> dict[str, Any]:
        return {"error": code, "error_description": text}

    def _authorise(self, webhook: Webhook) -> None:
        if webhook != Webhook(OWNER, self.switches.secret):
            raise errors.wrong_secret(self.switches.wrong_secret_status)
        if not self.switches.owner_active:
            raise errors.owner_blocked()

    def _batch(self, params: dict[str, Any]) -> Response:
        started = self.clock.now()
        self._operating.admit("batch", self.switches)
        sections, traces = run_batch(params, self._command, unresolved=self.switches.unresolved_reference)
        if self.switches.batch_charges != "methods":
            self._operating.charge("batch", self.switches.operating_cost_s * len(traces))
        trace = replace(
            _traced("batch", params),
            kind=next((kind for kind in ("write", "read") if kind in {one.kind for one in traces}), "other"),
            is_committed=any(trace.is_committed for trace in traces),
            commands=tuple(traces),
        )
        return json_response(HTTPStatus.OK, {"result": sections, "time": self._time("batch", started)}, trace=trace)

    def _command(self, name: str, params: dict[str, Any]) -> Outcome:
        name = name.lower().removesuffix(".json")
        if name == "batch":
            refusal = errors.batch_not_allowed()
            return Outcome(refusal, {}, replace(_traced(name, params), error=str(refusal)))
        return self._call(name, lowered(params), is_nested=True)

    def _call(self, name: str, params: dict[str, Any], *, is_nested: bool = False) -> Outcome:
        """One method with lower-case parameters."""
        started, trace = self.clock.now(), _traced(name, params)
        try:
            result = self._run(name, params, is_nested=is_nested)
        except Refusal as refusal:
            return Outcome(refusal, {}, replace(trace, error=str(refusal)))
        if trace.kind == "write":
            trace = replace(trace, is_committed=True, key=result.key or trace.key)
        return Outcome(result, self._time(name, started), trace)

    def _run(self, name: str, params: dict[str, Any], *, is_nested: bool) -> Result:
        method = METHODS.get(name)
        if method is None:
            raise errors.unknown_method(name, self.switches.unknown_method_status)
        if method.scope and method.scope not in self.switches.scopes:
            raise errors.missing_scope(self.switches.missing_scope_status, is_nested=is_nested)
        self._operating.admit(name, self.switches)
        with self.commit("api"):
            result = method.run(self, params)
        if not is_nested or self.switches.batch_charges != "batch":
            self._operating.charge(name, self.switches.operating_cost_s)
        return result

    def _time(self, name: str, started: datetime) -> dict[str, Any]:
        switches = self.switches
        # Without a limit the figure stays constant: clients add it up and would sleep for minutes (facts §0.15).
        operating = self._operating.used(name) if switches.operating_limit_s else (switches.operating_cost_s, WINDOW_S)
        return time_block(
            started,
            self.clock.now(),
            offset=switches.server_offset,
            operating=operating if switches.operating_reported else None,
        )


def _traced(name: str, params: dict[str, Any]) -> Trace:
    method = METHODS.get(name)
    if method is None:
        return Trace(method=name, params=params)
    entity = method.entity
    if not entity and (named := TYPES.get(to_int(params.get("entitytypeid")))):
        entity = named.name
    return Trace(method=name, kind=method.kind, entity=entity, key=str(params.get("id") or ""), params=params)
