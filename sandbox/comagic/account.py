"""The account from outside: route, the order of the checks, points, and the one lock (facts/comagic.md §13)."""

import copy
import threading
from functools import partial
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sandbox.chronicle import Chronicle
from sandbox.clock import Clock
from sandbox.comagic.access import admit_address, authorise, networks
from sandbox.comagic.envelope import Envelope, masked, opened, parsed, request_id
from sandbox.comagic.method import Call, Method, Page
from sandbox.comagic.methods import METHODS
from sandbox.comagic.points import Points
from sandbox.comagic.refusal import CODES, Refusal, limit_exceeded
from sandbox.comagic.store import FUNNEL, Store
from sandbox.comagic.switches import Switches
from sandbox.switches import switched
from sandbox.wire import Request, Response, Trace, html_response, json_response

PATH = "/v2.0"
_COMMON = {"access_token", "user_id"}


class Account:
    """A `System`."""

    name = "comagic"

    def __init__(self, clock: Clock, chronicle: Chronicle) -> None:
        self._clock = clock
        self._record = partial(chronicle.record, self.name)
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self._store = Store()
            self._points = Points(self._clock)
            self._switches = Switches()
            self._provide_funnel()

    @property
    def switches(self) -> Switches:
        return self._switches

    def switch(self, changes: dict[str, Any]) -> None:
        with self._lock:
            turned = switched(self._switches, changes)
            networks(turned.ip_list)
            _require_zone(turned.timezone)
            is_funnel_turned = turned.with_funnel != self._switches.with_funnel
            self._switches = turned
            if is_funnel_turned:
                self._provide_funnel()

    def rows(self, entity: str) -> list[dict[str, Any]]:
        with self._lock:
            return self._store.rows(entity)

    def trace(self, request: Request) -> Trace:
        try:
            return (
                _traced(parsed(request.body)) if request.path == PATH else Trace(method=f"{request.line} (elsewhere)")
            )
        except Refusal as refusal:
            return Trace(error=str(refusal))

    def handle(self, request: Request) -> Response:
        if (request.http_method, request.path) != ("POST", PATH):
            is_known = request.path == PATH
            status = HTTPStatus.METHOD_NOT_ALLOWED if is_known else HTTPStatus.NOT_FOUND
            return html_response(status, f"<h1>{status.phrase}</h1>", trace=Trace(method=f"{request.line} (elsewhere)"))
        sent: Any = None
        with self._lock:
            try:
                sent = parsed(request.body)
                envelope = opened(sent, self._switches)
                result = self._run(envelope, request.client_ip)
            except Refusal as refusal:
                return self._refused(refusal, sent)
            # Under the lock, because the rows of a page and the points are the store's.
            body = {"jsonrpc": "2.0", "id": request_id(sent), "result": result}
            return json_response(HTTPStatus.OK, body, trace=_traced(sent, is_done=True))

    def revoked(self) -> Response:
        with self._lock:
            return self._refused(Refusal("access_token_invalid"), None)

    def throttled(self, retry_after_s: int) -> Response:
        with self._lock:
            refusal = limit_exceeded("minute", self._switches.minute_limit, self._switches.limit_type)
            limits = {"minute_remaining": 0, "minute_reset": retry_after_s}
            return self._refused(refusal, None, limits)

    def failure(self, code: str, text: str) -> dict[str, Any]:
        """`code` is a mnemonic; an unknown one gets the code of an internal error."""
        number, _ = CODES.get(code, CODES["internal_error"])
        data: dict[str, Any] = {"mnemonic": code, "params": {}, "extended_helper": None, "metadata": {"limits": {}}}
        return {"jsonrpc": "2.0", "id": None, "error": {"code": number, "message": text, "data": data}}

    def _run(self, envelope: Envelope, client_ip: str) -> dict[str, Any]:
        """The result object; the order of the checks is that of facts/comagic.md §13."""
        switches, method = self._switches, METHODS.get(envelope.method)
        if method is None:
            raise Refusal("method_not_found")
        token = "" if method.is_open else self._authorise(envelope)
        if not switches.account_active:
            raise Refusal("account_inactive")
        admit_address(client_ip, switches)
        if not method.is_basic and not switches.component_enabled:
            raise Refusal("method_component_disabled")
        points = switches.login_points if method.is_open else 1
        self._points.admit(points, switches)
        call = Call(self._store, switches, self._clock, token, _checked(envelope.params, method, switches))
        try:
            answer = method.run(call)
        finally:
            self._record("api", self._store.changes())
        self._points.charge(points, switches)
        return self._result(envelope.method, method, answer)

    def _authorise(self, envelope: Envelope) -> str:
        return authorise(envelope.params, self._store, self._switches, now=self._clock.elapsed())

    def _result(self, name: str, method: Method, answer: Any) -> dict[str, Any]:
        data = answer.rows if isinstance(answer, Page) else answer
        position = self._switches.metadata
        if method.is_open or (position == "get_only" and method.kind != "read"):
            return {"data": data}
        metadata: dict[str, Any] = {"limits": {} if position == "empty_limits" else self._limits()}
        if isinstance(answer, Page):
            metadata["total_items"] = answer.total
        if self._switches.api_version_block:
            metadata["api_version"] = {
                "current_version_deprecated": True,
                "current_version": "v2.0",
                "latest_version": "v3.0",
            }
        key = self._switches.account_metadata_key if name == "get.account" else "metadata"
        return {"data": data, key: metadata}

    def _refused(self, refusal: Refusal, sent: Any, limits: dict[str, int] | None = None) -> Response:
        switches = self._switches
        error = refusal.error(index_in_field=switches.index_in_field)
        if switches.error_metadata != "absent":
            shown = {**self._limits(), **(limits or {})} if switches.error_metadata == "limits" else {}
            error["data"]["metadata"] = {"limits": shown}
        echoed = request_id(sent) if switches.error_id == "echo" else None
        trace = _traced(sent, refusal=refusal)
        return json_response(switches.error_status, {"jsonrpc": "2.0", "id": echoed, "error": error}, trace=trace)

    def _limits(self) -> dict[str, int]:
        return self._points.limits(self._switches)

    def _provide_funnel(self) -> None:
        """The first funnel comes and goes with its switch."""
        if self._switches.with_funnel:
            self._store.tables["funnels"][FUNNEL["ext_id"]] = copy.deepcopy(FUNNEL)
        else:
            self._store.tables["funnels"].pop(FUNNEL["ext_id"], None)


def _require_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except ZoneInfoNotFoundError as error:
        raise ValueError(f"timezone: {error}") from error


def _checked(params: dict[str, Any], method: Method, switches: Switches) -> dict[str, Any]:
    """The method's own parameters; raises Refusal."""
    user_id = params.get("user_id")
    if not method.is_open:
        if switches.is_agent and user_id is None:
            raise Refusal("required_parameter_missed", "user_id")
        if user_id is not None and (isinstance(user_id, bool) or not isinstance(user_id, int)):
            raise Refusal("data_type_error", "user_id", value=user_id)
        params = {name: value for name, value in params.items() if name not in _COMMON}
    return method.form.checked(params, switches)


def _traced(sent: Any, *, is_done: bool = False, refusal: Refusal | None = None) -> Trace:
    """Every row of a call is a command of its own, so that the journal can be asked for a deal."""
    sent = sent if isinstance(sent, dict) else {}
    name = sent.get("method") if isinstance(sent.get("method"), str) else ""
    params = masked(sent["params"]) if isinstance(sent.get("params"), dict) else {}
    method, error = METHODS.get(name or ""), str(refusal or "")
    if method is None:
        return Trace(method=name or "", params=params, error=error)
    traced = partial(Trace, method=name, kind=method.kind, entity=method.entity, error=error)
    is_written, kept = is_done and method.kind == "write", refusal.kept if refusal else frozenset()
    rows = params.get(method.rows)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return traced(key=_key(params), params=params, is_committed=is_written)
    del params[method.rows]
    commands = tuple(
        traced(key=_key(row), params=row, is_committed=is_written or index in kept) for index, row in enumerate(rows)
    )
    key = commands[0].key if len(commands) == 1 else ""
    return traced(key=key, params=params, is_committed=is_written or bool(kept), commands=commands)


def _key(row: dict[str, Any]) -> str:
    return str(row.get("ext_id", ""))
