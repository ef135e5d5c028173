"""The account from outside: routes, the order of the checks, and the one lock (facts/amocrm.md §16)."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from email.utils import format_datetime
from functools import partial
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sandbox.amocrm.call import Answer, Call, Route
from sandbox.amocrm.complex import COMPLEX
from sandbox.amocrm.directories import DIRECTORIES
from sandbox.amocrm.entities import ENTITIES
from sandbox.amocrm.events import EVENTS, happened
from sandbox.amocrm.fields import FIELDS
from sandbox.amocrm.hookforms import items_of_news
from sandbox.amocrm.hooks import hook_routes
from sandbox.amocrm.limits import Limits
from sandbox.amocrm.links import LINKS
from sandbox.amocrm.listing import LISTS
from sandbox.amocrm.notes import NOTES
from sandbox.amocrm.reference import INTEGRATION, USERS
from sandbox.amocrm.refusal import Refusal, problem, too_fast, unauthorised
from sandbox.amocrm.sender import Outgoing
from sandbox.amocrm.store import Store
from sandbox.amocrm.switches import Switches
from sandbox.amocrm.tasks import TASKS
from sandbox.amocrm.tokens import FIRST_REFRESH, LONG_LIVED, Tokens
from sandbox.amocrm.tracing import done, masked, traced
from sandbox.bitrix24.php import parse_query
from sandbox.chronicle import Chronicle, Who
from sandbox.clock import Clock
from sandbox.switches import switched
from sandbox.wire import Request, Response, Trace, json_response

HAL_TYPE = "application/hal+json"
TOKEN_PATH, SUBDOMAIN_PATH = "/oauth2/access_token", "/oauth2/account/current/subdomain"
_OAUTH = {TOKEN_PATH: "POST", SUBDOMAIN_PATH: "GET"}


class AmoCrm:
    """A `System`."""

    name = "amocrm"

    def __init__(self, clock: Clock, chronicle: Chronicle) -> None:
        self._clock = clock
        self._record = partial(chronicle.record, self.name)
        self._lock = threading.Lock()
        self.outgoing = Outgoing(clock)
        routes = (*DIRECTORIES, *FIELDS, *COMPLEX, *NOTES, *LINKS, *TASKS, *EVENTS, *hook_routes(self.outgoing))
        self._routes = [(route.pattern(), route) for route in (*routes, *ENTITIES, *LISTS)]
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self._switches = Switches()
            self._store = Store(self._clock)
            self._limits = Limits(self._clock)
            self._tokens = Tokens(self._clock, self._switches)
            self.outgoing.reset()

    def addresses(self) -> dict[str, str]:
        """What a client needs beside the address, as written to the ready file."""
        switches = self._switches
        return {
            "amocrm_token": LONG_LIVED,
            "amocrm_refresh_token": FIRST_REFRESH,
            "amocrm_client_id": switches.client_id,
            "amocrm_client_secret": switches.client_secret,
            "amocrm_redirect_uri": switches.redirect_uri,
        }

    def now(self) -> datetime:
        return self._clock.now()

    def stop(self) -> None:
        self.outgoing.stop()

    @property
    def switches(self) -> Switches:
        return self._switches

    def switch(self, changes: dict[str, Any]) -> None:
        with self._lock:
            turned = switched(self._switches, changes)
            try:
                ZoneInfo(turned.timezone)
            except (ZoneInfoNotFoundError, ValueError) as error:
                raise ValueError(f"timezone: {error}") from error
            self._switches = turned

    def rows(self, entity: str) -> list[dict[str, Any]]:
        if entity == "webhooks":
            return self.outgoing.hooks()
        with self._lock:
            return self._store.rows(entity)

    @contextmanager
    def commit(self, who: Who, author: int) -> Iterator[Call]:
        """A call by `author`; what it leaves in the store is recorded, listed as events and told by webhooks."""
        with self._lock:
            try:
                yield Call(store=self._store, switches=self._switches, author=author)
            finally:
                self._tell(who, "")

    @contextmanager
    def office(self) -> Iterator[tuple[Tokens, Limits]]:
        """Where the vendor's people give out tokens and lift bans."""
        with self._lock:
            yield self._tokens, self._limits

    def quieten(self) -> None:
        """Forget what is to be told; for rows that were there before the story begins. Called within `commit`."""
        self._store.news()

    def trace(self, request: Request) -> Trace:
        if request.path in _OAUTH:
            return Trace(method=request.line, params=masked(request), entity="tokens")
        route, parts = self._route(request)
        if route is None:
            return Trace(method=f"{request.http_method} (elsewhere)")
        return traced(route, parts, request)

    def handle(self, request: Request) -> Response:
        """Every answer tells the account's clock."""
        response = self._handled(request)
        date = format_datetime(self.now(), usegmt=True)
        return replace(response, headers=(*response.headers, ("Date", date)))

    def _handled(self, request: Request) -> Response:
        """The checks in their order: ban and rate, token, subscription, rights, then the call itself."""
        trace = self.trace(request)
        with self._lock:
            try:
                self._limits.admit(self._switches)
                if request.path in _OAUTH:
                    return self._oauth(request, trace)
                self._authorise(request)
                answer = self._answer(request)
            except Refusal as refusal:
                kept = done(trace, refusal.kept)
                return replace(refusal.response(), trace=replace(kept, error=str(refusal)))
            trace = done(trace, dict(enumerate(answer.keys)), is_whole=True)
            if answer.body is None:
                return Response(int(answer.status), b"", HAL_TYPE, trace=trace)
            plain = json_response(int(answer.status), answer.body, trace=trace)
            return replace(plain, content_type=HAL_TYPE)

    def revoked(self) -> Response:
        return unauthorised().response()

    def throttled(self, retry_after_s: int) -> Response:
        return too_fast(self._switches, retry_after_s).response()

    def failure(self, code: str, text: str) -> dict[str, Any]:
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, text) | {"title": code}

    def _answer(self, request: Request) -> Answer:
        route, parts = self._route(request)
        if route is None:
            raise self._missing(request)
        self._permit(route)
        call = Call(
            store=self._store,
            switches=self._switches,
            author=_author(request),
            parts=parts,
            query=parse_query(request.query),
            body=_parsed(request) if route.kind == "write" else None,
            path=request.path,
            origin=_origin(request),
        )
        try:
            return route.run(call)
        finally:
            self._tell("api", call.origin)

    def _oauth(self, request: Request, trace: Trace) -> Response:
        if request.http_method != _OAUTH[request.path]:
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED)
        if request.path == SUBDOMAIN_PATH:
            answer = self._tokens.current_subdomain(request.headers.get("x-refresh-token", ""), self._switches)
        else:
            self._refuse_renamed()
            answer = self._tokens.exchange(_parsed(request), self._switches)
        return json_response(HTTPStatus.OK, answer, trace=replace(trace, is_committed=request.path == TOKEN_PATH))

    def _authorise(self, request: Request) -> None:
        self._refuse_renamed()
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self._tokens.is_valid(token.strip(), self._switches):
            raise unauthorised()

    def _refuse_renamed(self) -> None:
        if self._switches.subdomain_state == "renamed":
            raise Refusal(HTTPStatus.NOT_FOUND, html="<h1>Аккаунт не найден</h1>")

    def _permit(self, route: Route) -> None:
        state, rights, is_write = self._switches.account_state, self._switches.rights, route.kind == "write"
        if state == "unpaid" or (state == "writes_blocked" and is_write):
            raise Refusal(HTTPStatus.PAYMENT_REQUIRED, "Оплата просрочена")
        if rights == "none" or (rights == "read_only" and is_write):
            raise Refusal(HTTPStatus.FORBIDDEN, "Недостаточно прав")

    def _route(self, request: Request) -> tuple[Route | None, tuple[str, ...]]:
        for pattern, route in self._routes:
            if route.http_method == request.http_method and (match := pattern.fullmatch(request.path)):
                return route, match.groups()
        return None, ()

    def _missing(self, request: Request) -> Refusal:
        is_known = any(pattern.fullmatch(request.path) for pattern, _ in self._routes)
        return Refusal(HTTPStatus.METHOD_NOT_ALLOWED if is_known else HTTPStatus.NOT_FOUND)

    def _tell(self, who: Who, origin: str) -> None:
        """Recorded, listed and queued in the order of the commits, which only the lock makes true."""
        self._record(who, self._store.changes())
        items = []
        for news in self._store.news():
            happened(self._store, news)
            items += items_of_news(news, self._store, self._switches)
        self.outgoing.emit(items, self._switches, origin or f"https://{self._switches.subdomain}.amocrm.example")


def _author(request: Request) -> int:
    """Who acts: the integration, or whom it acts for; raises Refusal."""
    given = request.headers.get("x-context-user-id")
    if given is None:
        return INTEGRATION
    if not given.isdecimal() or int(given) not in USERS:
        raise Refusal(HTTPStatus.FORBIDDEN, "Недостаточно прав")
    return int(given)


def _origin(request: Request) -> str:
    return f"{'https' if request.is_secure else 'http'}://{request.headers.get('host', 'localhost')}"


def _parsed(request: Request) -> Any:
    """Raises Refusal."""
    if request.http_method == "DELETE" and not request.body:
        return None
    try:
        return json.loads(request.body)
    except ValueError:
        raise Refusal(HTTPStatus.BAD_REQUEST, "The body is not JSON.") from None
