"""A total deadline for one HTTP exchange, which `requests` does not have: its read timeout starts anew with every byte.

One thread a process, the reaper, shuts sockets down when their time is up: a vendor that drips headers, a body or a
proxy's answer holds no caller longer than promised. Only the name lookup, and trying a host's further addresses, are
beyond its reach.
"""

import contextlib
import logging
import os
import socket
import threading
import time
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

# urllib3 logs the path of each call at DEBUG, and at WARNING if a header is odd; a webhook's path is its secret.
for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).addFilter(lambda _record: False)

TICK = 0.05
_this_thread = threading.local()


class Watch:
    """Guards what its thread does inside the `with` block; one exchange each."""

    def __init__(self, seconds: float) -> None:
        self.is_sent = False
        """Whether a byte of the request may have reached the vendor."""
        self.is_expired = False
        self.ends = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        _this_thread.watch = self
        _reaper(os.getpid()).add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _reaper(os.getpid()).discard(self)
        del _this_thread.watch
        with self._lock:
            # The connection goes back to its pool: a late reaper must not touch it any more.
            self._socket = None

    def hold(self, sock: Any) -> None:
        """From now on the deadline is this socket's."""
        with self._lock:
            # TLS within the TLS of a proxy has an object of its own around the socket.
            self._socket = getattr(sock, "socket", sock)
            if self.is_expired:
                self._shut()

    def left(self) -> float:
        return max(0.001, self.ends - time.monotonic())

    def expire(self) -> None:
        with self._lock:
            self.is_expired = True
            self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # The plain socket's method: that of a TLS socket is not safe while another thread reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Reaper:
    """Looks at the watches of its process every TICK seconds, and sleeps while there are none."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()
        self._has_work = threading.Event()
        threading.Thread(target=self._run, name="http deadlines", daemon=True).start()

    def add(self, watch: Watch) -> None:
        self._watches.add(watch)
        self._has_work.set()

    def discard(self, watch: Watch) -> None:
        self._watches.discard(watch)

    def _run(self) -> None:
        while self._has_work.wait():
            self._has_work.clear()
            while self._watches:
                time.sleep(TICK)
                self._reap()

    def _reap(self) -> None:
        now = time.monotonic()
        for watch in tuple(self._watches):
            if watch.ends <= now:
                self.discard(watch)
                watch.expire()


@cache
def _reaper(_pid: int) -> _Reaper:
    """The reaper of this process: threads do not survive a fork."""
    return _Reaper()


class Watched(HTTPConnection):
    """A connection that shows its socket to the watch of the thread that uses it."""

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        watch = current_watch()
        watch.hold(sock)
        # While TLS is being agreed the socket changes hands, but a handshake heeds this timeout as a whole.
        sock.settimeout(min(sock.gettimeout() or watch.left(), watch.left()))
        return sock

    def connect(self) -> None:
        watch = current_watch()
        try:
            super().connect()
        finally:
            # What went out so far was meant for a proxy.
            watch.is_sent = False
        watch.hold(self.sock)

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        watch = current_watch()
        watch.hold(self.sock)
        # A process that was frozen may come here before the reaper does.
        if watch.is_expired or watch.ends <= time.monotonic():
            raise TimeoutError
        watch.is_sent = True
        super().send(data)


def current_watch() -> Watch:
    """The watch of the `with` block that this thread is in."""
    watch: Watch = _this_thread.watch
    return watch


class WatchedTls(Watched, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = Watched


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = WatchedTls


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
        return manager


def watched_session() -> requests.Session:
    """A session for one thread: keeps its connection, and nothing else, from call to call; never repeats a call."""
    session = requests.Session()
    adapter = _Adapter(pool_connections=1, pool_maxsize=1, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # Without an `auth` of its own requests would let ~/.netrc replace our Authorization header.
    session.auth = lambda request: request
    return session
