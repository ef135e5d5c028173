"""The school's API from outside: routes, token, rate, and the one lock (facts/otmechalka.md §2, §10)."""

import json
import math
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any

from sandbox.chronicle import Chronicle
from sandbox.clock import Clock
from sandbox.otmechalka.refusal import Refusal, refused, too_fast, unauthorised
from sandbox.otmechalka.store import Call, Store
from sandbox.otmechalka.switches import Switches
from sandbox.switches import switched
from sandbox.system import UnknownEntity
from sandbox.wire import Kind, Request, Response, Trace, json_response

_ROUTE = re.compile(r"/api/(clients|tickets)/(?:([^/]+)/)?")
_ENTITY = {"clients": "client", "tickets": "ticket"}

Act = Callable[[Call], tuple[int, Any]]


class School:
    """A `System`."""

    name = "otmechalka"

    def __init__(self, clock: Clock, chronicle: Chronicle) -> None:
        self._clock = clock
        self._record = partial(chronicle.record, self.name)
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self._store = Store(self._clock, self._record)
            self._allowance: tuple[float, float] | None = None

    @property
    def switches(self) -> Switches:
        return self._store.switches

    def switch(self, changes: dict[str, Any]) -> None:
        with self._lock:
            self._store.switches = switched(self._store.switches, changes)

    def rows(self, entity: str) -> list[dict[str, Any]]:
        with self._lock:
            if entity not in self._store.entities:
                raise UnknownEntity(entity)
            return [stored.values for stored in self._store.entities[entity].values()]

    def archive(self, origin_id: str, *, is_archived: bool) -> dict[str, Any]:
        """Raises KeyError for an unknown client."""
        with self._lock:
            return self._store.archive(origin_id, is_archived=is_archived)

    def trace(self, request: Request) -> Trace:
        route = _ROUTE.fullmatch(request.path)
        if route is None:
            return Trace(method=f"{request.http_method} (elsewhere)")
        entity, origin_id = route[1], route[2] or ""
        kind: Kind = "read" if request.http_method == "GET" else "write"
        body: dict[str, Any] = {}
        if kind == "write":
            with suppress(Refusal):
                body = _json_object(request)
        return Trace(
            method=f"{request.http_method} /api/{entity}/" + ("{origin_id}/" if origin_id else ""),
            kind=kind,
            entity=_ENTITY[entity],
            key=origin_id or str(body.get("origin_id", "")),
            params=body,
        )

    def handle(self, request: Request) -> Response:
        route, trace = _ROUTE.fullmatch(request.path), self.trace(request)
        if route is None:
            return self._elsewhere(request, trace)
        try:
            self._authorise(request)
            self._admit()
            act = self._action(request.http_method, route[1], is_one=route[2] is not None)
            body = trace.params or ({} if trace.kind == "read" else _json_object(request))
            with self._lock:
                status, answer = act(Call(route[1], route[2] or "", body))
        except Refusal as refusal:
            trace = replace(trace, error=str(refusal))
            return json_response(refusal.status, refusal.body, headers=refusal.headers, trace=trace)
        return json_response(status, answer, trace=replace(trace, is_committed=trace.kind == "write"))

    def revoked(self) -> Response:
        return json_response(HTTPStatus.UNAUTHORIZED, unauthorised().body)

    def throttled(self, retry_after_s: int) -> Response:
        refusal = too_fast(retry_after_s)
        return json_response(refusal.status, refusal.body, headers=refusal.headers)

    def failure(self, code: str, text: str) -> dict[str, Any]:
        return {"code": code, "detail": text}

    def _elsewhere(self, request: Request, trace: Trace) -> Response:
        """A framework that adds missing slashes redirects, and the body of a POST is lost on the way."""
        if self.switches.slashless == "redirect" and _ROUTE.fullmatch(f"{request.path}/"):
            headers = (("Location", f"{request.path}/"),)
            return json_response(HTTPStatus.MOVED_PERMANENTLY, "", headers=headers, trace=trace)
        return json_response(HTTPStatus.NOT_FOUND, {"detail": "Страница не найдена."}, trace=trace)

    def _authorise(self, request: Request) -> None:
        given = request.headers.get(self.switches.auth_header.lower())
        if given is None:
            raise unauthorised("Учетные данные не были предоставлены.")
        if given != f"{self.switches.auth_scheme} {self.switches.token}".strip():
            raise unauthorised()

    def _admit(self) -> None:
        """`rate_burst` requests at once, `rate_per_s` after that; off while the rate is 0."""
        rate, burst = self.switches.rate_per_s, self.switches.rate_burst
        if not rate:
            return
        with self._lock:
            now = self._clock.elapsed()
            left, since = self._allowance or (burst, now)
            left = min(burst, left + (now - since) * rate)
            is_allowed = left >= 1
            self._allowance = (left - is_allowed, now)
        if not is_allowed:
            raise too_fast(math.ceil((1 - left) / rate))

    def _action(self, http_method: str, entity: str, *, is_one: bool) -> Act:
        store = self._store
        actions: dict[tuple[str, str, bool], Act] = {
            ("GET", "clients", True): store.get,
            ("GET", "tickets", True): store.get,
            ("POST", "clients", False): store.create_client,
            ("POST", "tickets", False): store.create_ticket,
            (self.switches.update_method, "clients", True): store.update_client,
        }
        act = actions.get((http_method, entity, is_one))
        if act is None:
            raise refused(HTTPStatus.METHOD_NOT_ALLOWED, f"Метод «{http_method}» не разрешен.")
        return act


def _json_object(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.body)
    except ValueError as error:
        raise refused(HTTPStatus.BAD_REQUEST, f"JSON parse error - {error}") from error
    if not isinstance(body, dict):
        raise Refusal(HTTPStatus.BAD_REQUEST, {"non_field_errors": ["Ожидался объект."]})
    return body
