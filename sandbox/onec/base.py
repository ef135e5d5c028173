"""The base from outside: web server, access, sessions, routes, and the one lock (facts/onec.md §A1, §A4-§A6)."""

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any

from sandbox.chronicle import Chronicle, Who
from sandbox.clock import Clock
from sandbox.onec import edmx, errors, formats, reading, writing
from sandbox.onec.addressing import Asked, asked_of, inside, pass_web_server, root_of, trace_of
from sandbox.onec.errors import Refusal
from sandbox.onec.interests import Values
from sandbox.onec.moments import zone_of
from sandbox.onec.query import check_options, is_json, options_of, query_of, selected
from sandbox.onec.schema import published
from sandbox.onec.sessions import Sessions
from sandbox.onec.store import Store
from sandbox.onec.switches import Switches
from sandbox.onec.texts import ATOM, JSON, PLAIN, XML, as_json, encoded
from sandbox.switches import switched
from sandbox.system import UnknownEntity
from sandbox.wire import Request, Response, Trace

_WRITES = {"PATCH", "PUT"}
_UNSUPPORTED = {"POST", "DELETE"}


class OneC:
    """A `System`."""

    name = "onec"

    def __init__(self, clock: Clock, chronicle: Chronicle) -> None:
        self._clock = clock
        self._record = partial(chronicle.record, self.name)
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self._store = Store(self._clock.now, self._record)
            self._sessions = Sessions(self._clock)

    @property
    def switches(self) -> Switches:
        return self._store.switches

    def switch(self, changes: dict[str, Any]) -> None:
        """`time_zone` only while there are no Interests: what is written in one zone cannot be read in another."""
        with self._lock:
            turned = switched(self.switches, changes)
            zone_of(turned.time_zone)
            if turned.time_zone != self.switches.time_zone and self._store.states:
                raise ValueError("time_zone can be turned only while there are no Interests")
            self._store.switches = turned
            self._store.forget_order()

    def rows(self, entity: str) -> list[dict[str, Any]]:
        """`interests` as every source shows them, `history` the last state in each stage, `states`, `load`, any set."""
        with self._lock:
            store = self._store
            if entity == "interests":
                return [stages[-1] for stages in store.states.values()]
            if entity == "history":
                return [state for stages in store.states.values() for state in stages]
            if entity == "states":
                return list(store.tables["Catalog_CRM_СостоянияИнтересов"].values())
            if entity == "load":
                return [self._sessions.load()]
            if entity not in store.tables:
                raise UnknownEntity(entity)
            return list(store.tables[entity].values())

    @contextmanager
    def commit(self, who: Who) -> Iterator[Store]:
        """The store for one change, under the lock; what became of it is in the chronicle before anybody reads it."""
        with self._lock:
            try:
                yield self._store
            finally:
                self._store.commit(who)

    def trace(self, request: Request) -> Trace:
        return trace_of(request)

    def handle(self, request: Request) -> Response:
        trace, sessions = self.trace(request), self._sessions
        with sessions.counted():
            try:
                response = self._admitted(request, sessions)
            except Refusal as refusal:
                response = self._refused(refusal, request)
        is_committed = trace.kind == "write" and response.status == HTTPStatus.OK
        return replace(response, trace=replace(trace, is_committed=is_committed, error=response.trace.error))

    def revoked(self) -> Response:
        return errors.answered(errors.unauthorised(), self.switches, is_json=True)

    def throttled(self, retry_after_s: int) -> Response:  # noqa: ARG002 - 1C knows no such header, only licences
        refusal = errors.from_server(self.switches.licence_status, self.switches.licence_text)
        return errors.answered(refusal, self.switches, is_json=True)

    def failure(self, code: str, text: str) -> dict[str, Any]:
        return errors.body(code, text)

    def _refused(self, refusal: Refusal, request: Request) -> Response:
        wants_json = is_json(options_of(request.query), request.headers)
        response = errors.answered(refusal, self.switches, is_json=wants_json)
        return replace(response, trace=Trace(error=refusal.text or "Unauthorized"))

    def _admitted(self, request: Request, sessions: Sessions) -> Response:
        pass_web_server(request, self.switches.web_server)
        self._authorise(request)
        if self.switches.locked:
            text = f"Начало сеанса с информационной базой запрещено.\n{self.switches.locked_text}"
            raise errors.from_server(self.switches.locked_status, text, reason=403)
        with sessions.visit(request.headers, self.switches) as told:
            time.sleep(self.switches.latency_s)
            try:
                response = self._served(request)
            except Refusal as refusal:
                response = self._refused(refusal, request)
        return replace(response, headers=response.headers + told)

    def _authorise(self, request: Request) -> None:
        """Basic, in UTF-8 and in nothing else (§A6)."""
        expected = base64.b64encode(f"{self.switches.login}:{self.switches.password}".encode()).decode()
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic" or given.strip() != expected:
            raise errors.unauthorised()

    def _served(self, request: Request) -> Response:
        if inside(request) in ("", "$metadata"):
            return self._description(request)
        asked = asked_of(request, self.switches)
        if {asked.shape.name, asked.shape.owner} & set(self.switches.no_rights):
            raise errors.no_rights(asked.shape.name, self.switches)
        if request.http_method == "GET":
            check_options(asked.options)
            return self._one(asked) if asked.ref else self._set(asked)
        return self._write(asked)

    def _description(self, request: Request) -> Response:
        if request.http_method != "GET":
            raise _not_allowed(request.http_method)
        shapes, root = published(self.switches), root_of(request)
        if inside(request) == "$metadata":
            return self._sent(edmx.metadata(shapes), XML)
        if is_json(options_of(request.query), request.headers):
            return self._sent(as_json(edmx.service_as_json(root, shapes)), JSON)
        return self._sent(edmx.service_as_xml(root, shapes), XML)

    def _set(self, asked: Asked) -> Response:
        shape = asked.shape
        query = query_of(asked.options, shape, self.switches)
        with self._lock:
            page = reading.page(self._store, shape, query)
        if asked.is_count:
            return self._sent(str(page.count), PLAIN)
        rows = [formats.shown(row, shape, query.names, metadata=asked.metadata) for row in page.rows]
        count = page.count if query.is_counted else None
        if not asked.is_json:
            return self._sent(formats.set_as_atom(asked.root, shape, rows, count=count), ATOM)
        answer = formats.set_as_json(asked.root, shape, rows, count=count, metadata=asked.metadata)
        return self._sent(as_json(answer), JSON)

    def _one(self, asked: Asked) -> Response:
        names = selected(asked.options, asked.shape, self.switches)
        with self._lock:
            row = self._found(asked)
        if row[asked.shape.key] in self.switches.hidden_rows:
            raise errors.no_rights(asked.shape.name, self.switches)
        return self._shown(asked, formats.shown(row, asked.shape, names, metadata=asked.metadata))

    def _shown(self, asked: Asked, row: Values) -> Response:
        if not asked.is_json:
            return self._sent(formats.one_as_atom(asked.shape, row), ATOM)
        answer = formats.one_as_json(asked.root, asked.shape, row, metadata=asked.metadata)
        return self._sent(as_json(answer), JSON)

    def _found(self, asked: Asked) -> Values:
        row = reading.one(self._store, asked.shape, asked.ref, asked.line)
        if row is None:
            raise Refusal(HTTPStatus.NOT_FOUND, 9, f"Экземпляр сущности «{asked.shape.name}» не найден: {asked.ref}")
        return row

    def _write(self, asked: Asked) -> Response:
        request, shape, switches = asked.request, asked.shape, self.switches
        if request.http_method in _UNSUPPORTED:
            raise errors.unsupported(request.http_method)
        if (
            request.http_method not in _WRITES
            or shape.part
            or (request.http_method, switches.patch) == ("PATCH", "405")
        ):
            raise _not_allowed(request.http_method)
        if not asked.ref:
            raise Refusal(HTTPStatus.BAD_REQUEST, 7, "Не указан ключ")
        body = writing.json_object(request.body)
        with self.commit("api") as store:
            values = self._found(asked)
            writing.check_version(values, request.headers.get("if-match"), switches)
            stored = writing.written(values, shape, body, switches)
            if switches.write_refusal:
                raise errors.business(f"{{{shape.name}.МодульОбъекта(412)}}: {switches.write_refusal}")
            kept = values if request.http_method == "PATCH" else writing.emptied(values, shape)
            saved = store.save(shape.owner, kept | stored, given=stored)
        return self._shown(asked, formats.shown(saved, shape, shape.fields, metadata=asked.metadata))

    def _sent(self, text: str, content_type: str) -> Response:
        return Response(HTTPStatus.OK, encoded(text, self.switches), content_type)


def _not_allowed(http_method: str) -> Refusal:
    return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, 19, f"Метод HTTP {http_method} не разрешён")
