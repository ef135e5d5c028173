"""Sessions and licences (facts/onec.md §A6): every request has a session, its own for once or one kept by a cookie."""

import itertools
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

from sandbox.clock import Clock
from sandbox.onec.errors import from_server
from sandbox.onec.switches import Switches
from sandbox.wire import Headers

_COOKIE = re.compile(r"(?:^|;\s*)ibsession=([^;]+)")


@dataclass(slots=True)
class Session:
    """One request after another: who comes while it works waits."""

    id: str
    used_at: float
    busy: int = 0
    turn: threading.Lock = field(default_factory=threading.Lock)


class Sessions:
    """What is open now, and the most there ever was of requests in flight and of sessions. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._kept: dict[str, Session] = {}
        self._passing = 0
        self._load = dict.fromkeys(("requests", "in_flight", "peak", "sessions", "peak_sessions", "started"), 0)

    def load(self) -> dict[str, int]:
        with self._lock:
            return self._load | {"sessions": len(self._kept) + self._passing}

    @contextmanager
    def counted(self) -> Iterator[None]:
        """A request in flight, whatever becomes of it."""
        with self._lock:
            self._load["requests"] += 1
            self._load["in_flight"] += 1
            self._load["peak"] = max(self._load["peak"], self._load["in_flight"])
        try:
            yield
        finally:
            with self._lock:
                self._load["in_flight"] -= 1

    @contextmanager
    def visit(self, headers: Mapping[str, str], switches: Switches) -> Iterator[Headers]:
        """The session of a request, and the headers that tell the client of it. Raises Refusal."""
        wanted = headers.get("ibsession", "").lower() if switches.session_reuse != "off" else ""
        cookie = _COOKIE.search(headers.get("cookie", "")) if switches.session_reuse != "off" else None
        session, told = self._entered(wanted, cookie[1] if cookie else "", switches)
        try:
            if session is None:
                yield told
            else:
                with session.turn:
                    yield told
        finally:
            self._left(session, is_finished=wanted == "finish")

    def _entered(self, wanted: str, cookie: str, switches: Switches) -> tuple[Session | None, Headers]:
        with self._lock:
            self._expire(switches.session_idle_s)
            session = self._kept.get(cookie)
            if session is None and cookie and wanted != "start":
                raise from_server(switches.stale_session_status, "Сеанс отсутствует или удалён", reason=404)
            if session is not None:
                session.busy += 1
                return session, ()
            return self._started(switches) if wanted == "start" else self._passed(switches)

    def _started(self, switches: Switches) -> tuple[Session, Headers]:
        if switches.session_reuse == "refused":
            raise from_server(HTTPStatus.NOT_ACCEPTABLE, "Не удалось начать сеанс")
        self._take_licence(switches)
        session = Session(f"5e55{next(self._ids):028x}", self._clock.elapsed(), busy=1)
        self._kept[session.id] = session
        self._note_start()
        return session, (("Set-Cookie", f"ibsession={session.id}; path=/base; HttpOnly"),)

    def _passed(self, switches: Switches) -> tuple[None, Headers]:
        self._take_licence(switches)
        self._passing += 1
        self._note_start()
        return None, ()

    def _take_licence(self, switches: Switches) -> None:
        if switches.licences and len(self._kept) + self._passing >= switches.licences:
            raise from_server(switches.licence_status, switches.licence_text)

    def _note_start(self) -> None:
        self._load["started"] += 1
        self._load["peak_sessions"] = max(self._load["peak_sessions"], len(self._kept) + self._passing)

    def _left(self, session: Session | None, *, is_finished: bool) -> None:
        with self._lock:
            if session is None:
                self._passing -= 1
                return
            session.busy -= 1
            session.used_at = self._clock.elapsed()
            if is_finished:
                self._kept.pop(session.id, None)

    def _expire(self, idle_s: float) -> None:
        oldest = self._clock.elapsed() - idle_s
        self._kept = {key: one for key, one in self._kept.items() if one.busy or one.used_at >= oldest}
