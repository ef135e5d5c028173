"""The handlers from outside: access, states, dispatch by `type`, and the one lock (facts/onec.md §D1, §D5)."""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Any

from sandbox.chronicle import Chronicle, Who
from sandbox.clock import Clock
from sandbox.onec_handlers import refusal, texts
from sandbox.onec_handlers.reference import KINDS, PATH, Values
from sandbox.onec_handlers.refusal import Refusal
from sandbox.onec_handlers.requests import deal_of, integer, party_of, table_of, text
from sandbox.onec_handlers.store import Store
from sandbox.onec_handlers.switches import Switches
from sandbox.switches import switched
from sandbox.system import UnknownEntity
from sandbox.wire import Kind, Request, Response, Trace

Act = Callable[[Store, Values], Any]


@dataclass(frozen=True, slots=True)
class Type:
    """A value of `type`: what it does with the body, and what the journal says of it."""

    act: Act
    kind: Kind
    entity: str


class OneCHandlers:
    """A `System`. `web_address` is where it listens, as the exchange tells it to our service."""

    name = "onec_handlers"
    web_address = ""

    def __init__(self, clock: Clock, chronicle: Chronicle) -> None:
        self._clock = clock
        self._record = partial(chronicle.record, self.name)
        self._lock = threading.Lock()
        self.exchange = threading.Lock()
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self._store = Store(self._clock.now, self._record)

    def addresses(self) -> dict[str, Any]:
        """What a client needs to know; `onec_handlers_key` is the account's id in amoCRM."""
        named = {name: getattr(self.switches, name) for name in ("login", "password", "key", "id_base")}
        return {self.name: self.web_address} | {f"{self.name}_{name}": value for name, value in named.items()}

    @property
    def switches(self) -> Switches:
        return self._store.switches

    def switch(self, changes: dict[str, Any]) -> None:
        """Links that objects have already stay as they are."""
        with self._lock:
            self._store.switches = switched(self._store.switches, changes)

    def rows(self, entity: str) -> list[dict[str, Any]]:
        """The tables of `Store`, `outbox` with what waits for our service, `sent` with what it took."""
        with self._lock:
            store = self._store
            if entity in store.tables:
                return list(store.tables[entity].values())
            lists: dict[str, Callable[[], list[Values]]] = {
                "documents": lambda: [one for some in store.documents.values() for one in some],
                "events": lambda: sorted((one for some in store.events.values() for one in some), key=_seq),
                "corr_table": lambda: list(store.corr_table.values()),
                "outbox": lambda: [entry.as_json() for entry in store.outbox.pending()],
                "sent": store.outbox.sent,
            }
            if entity not in lists:
                raise UnknownEntity(entity)
            return lists[entity]()

    @contextmanager
    def commit(self, who: Who) -> Iterator[Store]:
        """The store for one change, under the lock; what became of it is in the chronicle before anybody reads it."""
        with self._lock:
            try:
                yield self._store
            finally:
                self._store.commit(who)

    def trace(self, request: Request) -> Trace:
        body: Any = None
        with suppress(ValueError):
            body = texts.read(request.body)
        if request.path != PATH or not isinstance(body, dict):
            return Trace(method=f"{request.http_method} (elsewhere)" if request.path != PATH else "")
        name = str(body.get("type"))
        known = TYPES.get(name)
        entity, key = _touched(body) if name == "new_lead" else (known.entity if known else "", str(body.get("id", "")))
        return Trace(method=name, kind=known.kind if known else "other", entity=entity, key=key, params=body)

    def handle(self, request: Request) -> Response:
        trace = self.trace(request)
        try:
            response = self._admitted(request)
        except Refusal as refused:
            return replace(refused.response, trace=replace(trace, error=refused.text))
        return replace(response, trace=replace(trace, is_committed=trace.kind == "write"))

    def revoked(self) -> Response:
        return refusal.unauthorised().response

    def throttled(self, retry_after_s: int) -> Response:  # noqa: ARG002 - 1C knows no such header, only licences
        return refusal.no_licence(self.switches).response

    def failure(self, code: str, text: str) -> dict[str, Any]:
        return {"error": f"{code}: {text}"}

    def _admitted(self, request: Request) -> Response:
        if request.path != PATH:
            raise refusal.of_web_server(HTTPStatus.NOT_FOUND)
        if request.http_method != "POST":
            raise refusal.of_web_server(HTTPStatus.METHOD_NOT_ALLOWED)
        self._authorise(request)
        switches = self.switches
        if switches.locked:
            raise refusal.locked(switches)
        if switches.no_licence:
            raise refusal.no_licence(switches)
        time.sleep(switches.latency_s)
        return texts.sent(self._answered(request, switches), switches)

    def _authorise(self, request: Request) -> None:
        """Basic, in UTF-8 and in nothing else (§A6)."""
        expected = base64.b64encode(f"{self.switches.login}:{self.switches.password}".encode()).decode()
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic" or given.strip() != expected:
            raise refusal.unauthorised()

    def _answered(self, request: Request, switches: Switches) -> Any:
        body = _object(request, switches)
        if integer(body, "key") != switches.key or text(body, "id_base") != switches.id_base:
            raise refusal.bad_request("Неизвестный key или id_base")
        asked = TYPES.get(text(body, "type"))
        if asked is None:
            raise refusal.bad_request(f"Неизвестный тип запроса: {body['type']}")
        if switches.exception:
            raise refusal.exception(switches.exception, switches)
        if switches.error:
            raise refusal.polite(switches.error, switches)
        with self.commit("api") as store:
            return asked.act(store, body)


def _object(request: Request, switches: Switches) -> Values:
    try:
        body = texts.read(request.body)
    except ValueError as error:
        raise refusal.exception("Ошибка при вызове метода контекста (ПрочитатьJSON)", switches) from error
    if not isinstance(body, dict):
        raise refusal.bad_request("Ожидался объект JSON")
    return body


def _touched(body: Values) -> tuple[str, str]:
    """Entity and amo id of a `new_lead`, of any shape."""
    with suppress(Refusal):
        party = party_of(body)
        return next(slot for slot, kind in KINDS.items() if kind == party.kind), str(party.amo_id)
    return "", ""


def _seq(event: Values) -> int:
    return int(event["seq"])


def _get_orders(store: Store, body: Values) -> Any:
    orders = store.orders_of(integer(body, "id"))
    if not orders and store.switches.unknown_lead == "refused":
        raise refusal.polite("Заказ не найден", store.switches)
    unused = {"parent_link": "", "google_drive_id": "", "google_drive_link": ""}
    return [
        {"title": document["title"], "doc_type": "leads", "link": document["link"], **unused}
        for order in orders
        for document in store.documents_of(order)
    ]


def _new_lead(store: Store, body: Values) -> Any:
    return _saved(store, store.counterparty(party_of(body)))


def _new_order(store: Store, body: Values) -> Any:
    """All or nothing: whatever is refused is refused before anything is saved."""
    deal = deal_of(body)
    order, parties = store.order(deal), {column: store.counterparty(party) for column, party in deal.parties.items()}
    for row in parties.values():
        _saved(store, row)
    return _saved(store, order | {column: row["id_1c"] for column, row in parties.items()})


def _saved(store: Store, row: Values) -> Values:
    store.save(row, is_told=store.switches.echo_own_writes)
    return {"link": row["link"], "id_1c": row["id_1c"]}


def _version(store: Store, _body: Values) -> Any:
    return {"version": store.switches.version}


def _corr_table(store: Store, body: Values) -> Any:
    for row in table_of(body):
        store.corr_table[row["entity_name"], row["amo_id"]] = row
    return _version(store, body)


TYPES: dict[str, Type] = {
    "get_orders": Type(_get_orders, "read", "order"),
    "new_lead": Type(_new_lead, "write", ""),
    "new_order": Type(_new_order, "write", "order"),
    "get_handlers_version": Type(_version, "read", ""),
    "corr_table": Type(_corr_table, "write", "corr_table"),
}
