"""The transport: one listener per system, one thread per client, every answer journalled before it leaves.

Own reading of HTTP instead of BaseHTTPRequestHandler: several times as fast, and faults need the raw socket.
"""

import logging
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sandbox import delivery
from sandbox.actions import NO_FAULT
from sandbox.clock import Clock
from sandbox.faults import Faults
from sandbox.journal import Journal
from sandbox.system import System
from sandbox.wire import BadRequest, Request, Response, json_response, read_request

log = logging.getLogger(__name__)

Answer = tuple[Response, delivery.Delivery]


class Conversation(socketserver.StreamRequestHandler):
    """One client's socket: requests are answered one after another until either side closes."""

    disable_nagle_algorithm = True
    server: "Listener"

    def handle(self) -> None:
        try:
            while (request := self._next()) is not None:
                response, deliver = self.server.answer(request)
                if not deliver(self.connection, request, response):
                    return
        except BadRequest as error:
            self.connection.sendall(json_response(400, {"error": f"not HTTP: {error}"}).encoded(is_last=True))
        except OSError:
            # A client may leave at any time; its request is in the journal already.
            return

    def _next(self) -> Request | None:
        return read_request(self.rfile, self.client_address[0], is_secure=self.server.tls is not None)


class Listener(socketserver.ThreadingTCPServer):
    """A port of this machine that answers with `answer`; `start` returns at once, `stop` frees the port."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, port: int, answer: Callable[[Request], Answer], *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", port), Conversation)
        self.answer = answer
        self.tls = tls
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the client's own thread, so that a slow handshake keeps nobody else waiting."""
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        with suppress(OSError), _secured(request, self.tls) as secured:
            super().finish_request(secured, client_address)


class Front:
    """What stands between a listener and a system: the fault that fits, the journal, a guard against our own bugs."""

    def __init__(self, system: System, *, clock: Clock, faults: Faults, journal: Journal) -> None:
        self._system = system
        self._clock = clock
        self._faults = faults
        self._journal = journal

    def answer(self, request: Request) -> Answer:
        at, moment = self._clock.elapsed(), self._clock.now()
        fault = self._faults.take(self._system.name, request)
        effect = fault.effect if fault else NO_FAULT
        _pause(effect.before_s)
        if effect.is_handled:
            response = guarded(self._system.handle, request)
        else:
            response = Response(0, b"", trace=self._system.trace(request))
        response = effect.applied(self._system, response)
        self._journal.append(
            self._system.name,
            request,
            response,
            at=at,
            time=moment,
            is_answered=effect.is_answered,
            fault=fault.action if fault else None,
        )
        _pause(effect.after_s)
        return response, effect.deliver


def _secured(plain: socket.socket, tls: ssl.SSLContext) -> ssl.SSLSocket:
    """Raises OSError when the client does not trust us or speaks no TLS."""
    return tls.wrap_socket(plain, server_side=True)


def guarded(handle: Callable[[Request], Response], request: Request) -> Response:
    """A defect of the sandbox becomes a 500 that says so, never a dropped socket that looks like an armed fault."""
    try:
        return handle(request)
    except Exception as error:
        log.exception("sandbox defect while handling %s", request.line)
        return json_response(500, {"error": "SANDBOX_DEFECT", "error_description": repr(error)})


def _pause(seconds: float) -> None:
    if seconds:
        time.sleep(seconds)
