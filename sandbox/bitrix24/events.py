"""Outgoing webhooks (facts/bitrix24.md §10): one attempt after the commit, late, sometimes lost, never repeated."""

import heapq
import itertools
import random
import secrets
import threading
from collections import deque
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

from sandbox.bitrix24.entities import ENTITIES
from sandbox.bitrix24.switches import Switches
from sandbox.clock import Clock

Fate = Literal["unheard", "pending", "dropped", "delivered", "refused", "failed"]

VERBS = ("ADD", "UPDATE", "DELETE")
EVENTS = {(verb, entity.name): f"ONCRM{entity.name.upper()}{verb}" for entity in ENTITIES.values() for verb in VERBS}
KEPT = 100_000
FIRST_HANDLER = 975
# How often a waiting delivery looks at a clock that the admin side may have advanced.
GLANCE_S = 0.02
ACCEPTED = range(200, 300)


@dataclass(frozen=True, slots=True)
class Handler:
    """An address that somebody registered in the portal's interface, and the events it wants."""

    id: int
    url: str
    events: tuple[str, ...]
    application_token: str

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "url": self.url,
            "events": list(self.events),
            "application_token": self.application_token,
        }


@dataclass(slots=True, order=True)
class Emission:
    """One event for one handler, ordered by when it is due; what became of it is its fate."""

    due: float
    seq: int
    event: str = field(compare=False)
    row_id: int = field(compare=False)
    ts: int = field(compare=False)
    switches: Switches = field(compare=False)
    handler: Handler | None = field(compare=False, default=None)
    fate: Fate = field(compare=False, default="pending")
    answer: str = field(compare=False, default="")

    def as_json(self) -> dict[str, Any]:
        return {
            "seq": self.seq,
            "event": self.event,
            "id": self.row_id,
            "ts": self.ts,
            "handler_id": self.handler.id if self.handler else None,
            "url": self.handler.url if self.handler else None,
            "fate": self.fate,
            "answer": self.answer,
        }


class Outgoing:
    """Handlers, emissions, and the thread that delivers; it starts with the first handler."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_stopped = False
        self.reset()

    def reset(self) -> None:
        with self._wake:
            self._handlers: dict[int, Handler] = {}
            self._handler_ids = itertools.count(FIRST_HANDLER)
            self._seqs = itertools.count(1)
            self._queue: list[Emission] = []
            self._log: deque[Emission] = deque(maxlen=KEPT)
            self._seed(0)

    def stop(self) -> None:
        with self._wake:
            self._is_stopped = True
            self._wake.notify()
        if self._thread:
            self._thread.join()

    def register(self, url: str, events: list[str], application_token: str | None = None) -> Handler:
        """Raises ValueError for an address or an event that cannot be."""
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ValueError(f"url must be an address of http or https, not {url!r}")
        names = tuple(str(event).upper() for event in events)
        if not names or not set(names) <= set(EVENTS.values()):
            raise ValueError(f"events must be of {', '.join(sorted(EVENTS.values()))}")
        with self._wake:
            handler = Handler(next(self._handler_ids), url, names, application_token or secrets.token_hex(16))
            self._handlers[handler.id] = handler
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="outgoing-webhooks", daemon=True)
                self._thread.start()
        return handler

    def handlers(self) -> list[Handler]:
        with self._wake:
            return list(self._handlers.values())

    def remove(self, handler_id: int | None = None) -> None:
        """One handler, or all; raises KeyError. What is under way to it arrives nevertheless."""
        with self._wake:
            if handler_id is None:
                self._handlers.clear()
            else:
                del self._handlers[handler_id]

    def emitted(self, since: int = 0) -> list[Emission]:
        with self._wake:
            return [emission for emission in self._log if emission.seq > since]

    def emit(self, verb: str, entity: str, row_id: int, switches: Switches) -> None:
        """To every handler that wants it. Only queues, because the caller holds the portal's lock."""
        event, ts = EVENTS[verb, entity], int(self._clock.now().timestamp())
        with self._wake:
            if switches.event_seed != self._dice_seed:
                self._seed(switches.event_seed)
            wanting = [handler for handler in self._handlers.values() if event in handler.events]
            for handler in wanting:
                for _ in range(1 + self._happens(switches.event_duplicate_share)):
                    due = (
                        self._clock.elapsed() + switches.event_delay_s + self._dice.random() * switches.event_reorder_s
                    )
                    self._schedule(Emission(due, next(self._seqs), event, row_id, ts, switches, handler))
            if not wanting:
                self._log.append(Emission(0.0, next(self._seqs), event, row_id, ts, switches, fate="unheard"))

    def _schedule(self, emission: Emission) -> None:
        self._log.append(emission)
        if self._happens(emission.switches.event_drop_share):
            emission.fate = "dropped"
            return
        heapq.heappush(self._queue, emission)
        self._wake.notify()

    def _happens(self, share: float) -> bool:
        return share > 0 and self._dice.random() < share

    def _seed(self, seed: int) -> None:
        self._dice_seed, self._dice = seed, random.Random(seed)

    def _run(self) -> None:
        while (emission := self._next()) is not None:
            fate, answer = deliver(emission)
            with self._wake:
                emission.fate, emission.answer = fate, answer

    def _next(self) -> Emission | None:
        """Waits for one that is due; None when it is time to stop."""
        with self._wake:
            while not self._is_stopped:
                if self._queue and self._queue[0].due <= self._clock.elapsed():
                    return heapq.heappop(self._queue)
                self._wake.wait(GLANCE_S if self._queue else None)
            return None


def deliver(emission: Emission) -> tuple[Fate, str]:
    """One POST without redirects; the fate, and the status or what went wrong."""
    handler, switches = emission.handler, emission.switches
    if handler is None:
        return "unheard", ""
    address = urlsplit(handler.url)
    connect = HTTPSConnection if address.scheme == "https" else HTTPConnection
    connection = connect(str(address.hostname), address.port, timeout=switches.event_timeout_s)
    path = f"{address.path or '/'}?{address.query}" if address.query else address.path or "/"
    headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": switches.event_user_agent}
    try:
        connection.request("POST", path, urlencode(form(emission, handler)), headers)
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return "failed", f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    return ("delivered" if status in ACCEPTED else "refused"), str(status)


def form(emission: Emission, handler: Handler) -> dict[str, str | int]:
    """The fields of §10: no old values, no author, only the id."""
    domain = emission.switches.domain
    return {
        "event": emission.event,
        "event_handler_id": handler.id,
        "data[FIELDS][ID]": emission.row_id,
        "ts": emission.ts,
        "auth[domain]": domain,
        "auth[client_endpoint]": f"https://{domain}/rest/",
        "auth[server_endpoint]": "https://oauth.bitrix.info/rest/",
        "auth[member_id]": emission.switches.member_id,
        "auth[application_token]": handler.application_token,
    }
