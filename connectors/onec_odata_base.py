"""Calls to the OData interface of a 1C base: addresses, sessions, and what comes back (facts/onec.md A1, A5, A6)."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from connectors.answer import Answer, Garbage
from connectors.breaker import Breaker
from connectors.errors import Refused
from connectors.http import LARGEST_BODY, Http
from connectors.onec_odata_errors import error_of, is_trouble
from connectors.onec_odata_sessions import Sessions
from connectors.onec_slots import Slots
from connectors.onec_texts import parsed, trouble_of

if TYPE_CHECKING:
    from redis import Redis

    from connectors.onec_odata_config import OneCConfig

RECORDS_PER_SLOT = 500
"""A base is only read, and read by the page: records do not wait for it."""
LARGEST_METADATA = 64 * 1024 * 1024
RAW_IN_PATH = "()'=,"
RAW_IN_QUERY = "()'=,/:$*"
STALE = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.INTERNAL_SERVER_ERROR)
"""What a session that ended may answer; the same statuses without one mean what they say."""
_COOKIE = re.compile(r"(?:^|[\s,;])ibsession=([^;,\s]+)", re.IGNORECASE)

_TROUBLE = object()
"""Instead of content: a body that is an error, although the status may not be."""


@dataclass(frozen=True)
class Told:
    """An answer's content, and the base's clock when it began to answer."""

    content: Any
    server_time: datetime


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What is asked. `subject` is how messages call it, `read` makes content of a good answer."""

    method: str = "GET"
    url: str
    subject: str
    read: Callable[[Answer], Any]
    payload: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    largest: int = LARGEST_BODY

    @property
    def is_write(self) -> bool:
        return self.method != "GET"


@dataclass
class _Visit:
    """One call: within the session of the cookie `sent`, as the first of a new one, or neither."""

    sent: str | None = None
    starts: bool = False
    held: str | None = None
    """The cookie of the session that it ended with."""
    is_void: bool = False
    """Whether the session had ended, or could not be started, and nothing was done."""

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Cookie": f"ibsession={self.sent}"} if self.sent else {"IBSession": "start"} if self.starts else {}


class Base:
    """One published base, under one user."""

    def __init__(
        self, config: "OneCConfig", redis: "Redis", *, sleep: Callable[[float], None], clock: Callable[[], float]
    ) -> None:
        self.title = config.title
        self._config = config
        self._clock = clock
        lease = config.deadline.total_seconds() + 20
        self._slots = Slots(
            redis, config.account, most=config.concurrency, lease=lease, each=RECORDS_PER_SLOT, sleep=sleep
        )
        self._sessions = Sessions()
        self._names = _shown_names(config)
        self.http = Http(
            config.title,
            connect=config.connect_timeout,
            read=config.read_timeout,
            deadline=config.deadline,
            headers={"Authorization": config.authorization},
            budget=self._slots,
            breaker=Breaker(redis, config.account, probe_lease=lease),
            sleep=sleep,
        )

    def address(self, resource: str, options: Mapping[str, str] | None = None) -> str:
        """The URL of a resource. Everything is percent-encoded UTF-8 but the signs that 1C wants raw (A1)."""
        asked = {**(options or {}), "$format": "json"}
        query = "&".join(
            f"{quote(key, safe=RAW_IN_QUERY)}={quote(value, safe=RAW_IN_QUERY)}" for key, value in asked.items()
        )
        return f"{self._config.service_url}{quote(resource, safe=RAW_IN_PATH)}?{query}"

    def rows(self, subject: str, options: Mapping[str, str]) -> Told:
        """The rows of a set, a list of objects. Raises Transient, Throttled or Refused."""
        return self._call(_Request(url=self.address(subject, options), subject=subject, read=_rows))

    def service(self) -> Told:
        """The list of published sets. Raises as `rows`, and Refused if nothing is published."""
        told = self._call(_Request(url=self.address(""), subject="service document", read=_rows))
        if not told.content:
            raise Refused(f"{self.title}: no set is published: «Настройки стандартного интерфейса OData»")
        return told

    def metadata(self) -> bytes:
        """The EDMX document: megabytes of XML. Raises as `rows`."""
        asked = _Request(
            url=self._config.service_url + "$metadata",
            subject="$metadata",
            read=_document,
            headers={"Accept": "application/xml"},
            largest=LARGEST_METADATA,
        )
        told = self._call(asked)
        content: bytes = told.content
        return content

    def patch(self, subject: str, id_: str, values: Mapping[str, Any]) -> None:
        """Overwrite attributes of one object with absolute values. Raises as `rows`, and Rejected."""
        url = self.address(f"{subject}(guid'{id_}')")
        self._call(_Request(method="PATCH", url=url, subject=subject, read=_nothing, payload=values))

    def _call(self, request: _Request) -> Told:
        """What is asked may be repeated safely: it reads, or writes absolute values."""
        # The slot comes before the session: whoever waits for one holds, and starts, none.
        self._slots.reserve()
        try:
            for visit in self._visits(request):
                told = self._visit(request, visit)
                if told is not None:
                    return told
                self._slots.release()
                self._slots.reserve()  # its lease is for one call
        finally:
            self._slots.release()
        raise AssertionError  # the last visit has no session, and is never void

    def _visits(self, request: _Request) -> Iterator[_Visit]:
        """Each is tried if the one before was void: in a session that waits, in a new one, in none.

        A write joins a session and starts none: what starts one may fail after it wrote.
        """
        if self._config.reuse_sessions:
            if cookie := self._sessions.take():
                yield _Visit(sent=cookie)
            if not request.is_write and self._sessions.may_start(self._clock()):
                yield _Visit(starts=True)
        yield _Visit()

    def _visit(self, request: _Request, visit: _Visit) -> Told | None:
        """None if the visit is void."""
        try:
            return self.http.call(
                request.method,
                request.url,
                name=request.subject,
                repeatable=True,
                read=partial(self._read, request, visit, began=self._clock()),
                payload=request.payload,
                headers={**request.headers, **visit.headers},
                largest=request.largest,
            )
        finally:
            # The session of a call that broke off may be busy still: it is left to end by itself.
            if visit.held and not visit.is_void:
                self._sessions.give(visit.held)

    def _read(self, request: _Request, visit: _Visit, answer: Answer, *, began: float) -> Told | None:
        if self._is_void(visit, answer):
            visit.is_void = True
            return None
        started = _COOKIE.search(answer.headers.get("Set-Cookie", "")) if self._config.reuse_sessions else None
        visit.held = started[1] if started else visit.sent
        if answer.is_redirect:
            raise Refused(f"{self.title}: redirects to {answer.moved_to}: change base_url")
        content = _TROUBLE if answer.is_error else request.read(answer)
        if content is _TROUBLE:
            raise error_of(
                answer, title=self.title, subject=request.subject, names=self._names, is_write=request.is_write
            )
        return Told(content, _began(answer, self._clock() - began))

    def _is_void(self, visit: _Visit, answer: Answer) -> bool:
        if visit.sent:
            return answer.status in STALE
        # Without a free licence no session can be had, whichever way.
        is_void = visit.starts and answer.status == HTTPStatus.NOT_ACCEPTABLE and not trouble_of(answer).known()
        if is_void:
            self._sessions.cannot_start(self._clock())
        return is_void


def _rows(answer: Answer) -> Any:
    body = parsed(answer)
    if is_trouble(body):
        return _TROUBLE
    rows = body.get("value")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Garbage(answer.describe())
    return rows


def _document(answer: Answer) -> bytes:
    if b"<" not in answer.body[:10] or b"Edmx" not in answer.body[:1000]:
        raise Garbage(answer.describe())
    return answer.body


def _nothing(answer: Answer) -> Any:
    """An update answers with the whole object, or with nothing."""
    return _TROUBLE if answer.body and is_trouble(parsed(answer)) else None


def _began(answer: Answer, seconds: float) -> datetime:
    """The web server's clock when it was asked, which is `seconds` ago; ours, if it does not tell."""
    try:
        told = parsedate_to_datetime(answer.headers.get("Date", "")).replace(tzinfo=UTC)
    except (TypeError, ValueError):
        told = datetime.now(UTC)
    return told - timedelta(seconds=max(0.0, seconds))


def _shown_names(config: "OneCConfig") -> Iterable[str]:
    """Metadata names of the configuration: words of the base that may be shown."""
    tables = (config.interest, config.contacts)
    values = [getattr(table, declared.name) for table in tables for declared in fields(table)]
    return tuple(dict.fromkeys(filter(None, [*values, config.status_attribute])))
