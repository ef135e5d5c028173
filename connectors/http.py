"""One call to an outside system: paced, guarded, bounded in time and size, and its end named (connectors/errors.py).

Never shows a URL, a payload or a body: the URL may be the secret, the others are people's data.
"""

import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import requests
import urllib3
from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_before_delay, wait_random_exponential

from connectors.answer import Answer, Lost
from connectors.base import Health
from connectors.breaker import BreakerOpen, Guard, NoBreaker
from connectors.budget import PATIENCE, WAIT_WITHOUT_REDIS, NoBudget, Pacing
from connectors.deadline import Watch, watched_session
from connectors.errors import ConnectorError, InDoubt, Refused, Throttled, Transient

USER_AGENT = "Parom/0.1 (integration service)"
LARGEST_BODY = 10 * 1024 * 1024
ATTEMPTS = 3
_CHUNK = 64 * 1024

T = TypeVar("T")

_BAD_ADDRESS = (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema)

# What a person reads for what lies at the bottom of an exception; the first match counts.
_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLError, "the TLS connection failed"),
    (socket.gaierror, "its name cannot be resolved"),
    (ConnectionRefusedError, "it refuses the connection"),
    (TimeoutError, "no answer in time"),
    (requests.Timeout, "no answer in time"),
    (urllib3.exceptions.DecodeError, "its answer cannot be decompressed"),
    (urllib3.exceptions.IncompleteRead, "its answer breaks off"),
    (urllib3.exceptions.InvalidChunkLength, "its answer breaks off"),
    (Exception, "the connection broke"),
)


@dataclass(frozen=True)
class _Call:
    """What is asked; the same for each attempt. `name` is how messages call it."""

    method: str
    url: str
    name: str
    body: bytes | None
    headers: Mapping[str, str]
    weight: int
    repeatable: bool
    largest: int


class Http:
    """Calls to one account of one system. Safe for many threads: each has its own connection."""

    def __init__(
        self,
        system: str,
        *,
        connect: timedelta,
        read: timedelta,
        deadline: timedelta,
        headers: Mapping[str, str] | None = None,
        budget: Pacing | None = None,
        breaker: Guard | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._system = system
        self._connect, self._read = connect.total_seconds(), read.total_seconds()
        self._deadline = deadline.total_seconds()
        self._headers = {"User-Agent": USER_AGENT, "Accept": "application/json", **(headers or {})}
        self._budget = budget or NoBudget()
        self._breaker = breaker or NoBreaker()
        self._sleep = sleep
        self._threads = threading.local()

    def call(
        self,
        method: str,
        url: str,
        *,
        name: str,
        repeatable: bool,
        read: Callable[[Answer], T],
        payload: Any = None,
        weight: int = 1,
        headers: Mapping[str, str] | None = None,
        largest: int = LARGEST_BODY,
    ) -> T:
        """Send `payload` as JSON and return what `read` makes of the answer, all within the deadline.

        `headers` are this call's own; a body of more than `largest` bytes is no usable answer.

        `read` knows the vendor's peculiar answers: it returns the result or raises a ConnectorError, or Lost where
        nothing usable came back. A repeatable call, and no other, is tried again at once while it is Transient.
        Raises Transient if nothing was sent, Throttled if budget or vendor say so, InDoubt if a call that is not
        repeatable was sent and no answer read, Refused for a bad certificate or address, and what `read` raises.
        """
        body = None if payload is None else json.dumps(payload, allow_nan=False).encode()
        typed = {} if body is None else {"Content-Type": "application/json"}
        call = _Call(
            method, url, name, body, {**self._headers, **typed, **(headers or {})}, weight, repeatable, largest
        )
        ends = time.monotonic() + self._deadline
        if not repeatable:
            return self._attempt(call, read, ends)
        retrying = Retrying(
            retry=retry_if_exception(_is_worth_repeating),
            stop=stop_after_attempt(ATTEMPTS) | stop_before_delay(self._deadline),
            wait=wait_random_exponential(multiplier=0.5, max=5),
            sleep=self._sleep,
            reraise=True,
        )
        result: T = retrying(self._attempt, call, read, ends)
        return result

    def headroom(self, calls_per_record: int) -> int:
        """How many records could be served within a few seconds; 1, as a probe, while nobody knows."""
        if self._breaker.state().name != "closed":
            return 1
        with suppress(Throttled):
            return max(1, self._budget.headroom() // calls_per_record)
        return 1

    def health(self) -> Health:
        """As `Connector`."""
        try:
            level = self._budget.level()
        except Throttled:
            # Without Redis nobody may call, and nobody knows of the breaker.
            return Health("unknown", WAIT_WITHOUT_REDIS, 1.0)
        breaker = self._breaker.state()
        return Health(breaker.name, max(breaker.seconds, level.wait), level.used)

    def _attempt(self, call: _Call, read: Callable[[Answer], T], ends: float) -> T:
        is_probe = self._breaker.before_call()
        failure: ConnectorError
        try:
            self._budget.reserve(call.weight, min(PATIENCE, ends - time.monotonic()))
            result = read(self._exchange(call, ends - time.monotonic()))
        except Lost as lost:
            message = f"{self._system} {call.name}: {lost}"
            failure = Transient(message, wait=lost.wait) if call.repeatable else InDoubt(message)
        except ConnectorError as error:
            failure = error
        except BaseException:
            if is_probe:
                self._breaker.abandoned()
            raise
        else:
            self._breaker.succeeded()
            return result
        self._report(failure, is_probe=is_probe)
        raise failure

    def _report(self, failure: ConnectorError, *, is_probe: bool) -> None:
        if isinstance(failure, Throttled):
            if is_probe:
                self._breaker.abandoned()
        elif isinstance(failure, Transient | InDoubt):
            self._breaker.failed()
        else:
            self._breaker.succeeded()

    def _exchange(self, call: _Call, left: float) -> Answer:
        with Watch(left) as watch:
            try:
                answer = self._send(call, watch)
            except (OSError, urllib3.exceptions.HTTPError) as error:
                failure = self._failure(error, call, watch)
            else:
                if not watch.is_expired:
                    return answer
                failure = Lost(f"no complete answer within {self._deadline:g} s")
        # Raised here and not in the handler: the original error names the URL, and would stay in `__context__`.
        raise failure

    def _send(self, call: _Call, watch: Watch) -> Answer:
        response = self._session().request(
            call.method,
            call.url,
            data=call.body,
            headers=call.headers,
            timeout=(min(self._connect, watch.left()), self._read),
            allow_redirects=False,
            stream=True,
        )
        with response:
            return Answer(response.status_code, response.headers, _body(response, call.largest))

    def _session(self) -> requests.Session:
        """The thread's own; a forked process must not share a socket with its parent."""
        mine = self._threads
        if getattr(mine, "pid", None) != os.getpid():
            mine.session, mine.pid = self._new_session(), os.getpid()
        session: requests.Session = mine.session
        return session

    def _new_session(self) -> requests.Session:
        return watched_session()

    def _failure(self, error: BaseException, call: _Call, watch: Watch) -> Exception:
        causes = list(_chain(error))
        for cause in causes:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return Refused(f"{self._system}: its certificate is not valid: {cause.verify_message}")
            if isinstance(cause, _BAD_ADDRESS):
                return Refused(f"{self._system}: its address cannot be used")
        reason = next(
            (text for kind, text in _REASONS if any(isinstance(cause, kind) for cause in causes)), "no answer"
        )
        if watch.is_expired:
            reason = f"no complete answer within {self._deadline:g} s"
        if watch.is_sent:
            return Lost(reason)
        return Transient(f"{self._system} {call.name}: {reason}; nothing was sent")


def _body(response: requests.Response, largest: int) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > largest:
            raise Lost(f"its answer is larger than {largest // 1024 // 1024} MiB")
    return bytes(body)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_worth_repeating(error: BaseException) -> bool:
    """Not if it was refused for its rate, is known to be down, or the vendor named a time."""
    return isinstance(error, Transient) and not isinstance(error, Throttled | BreakerOpen) and error.wait is None
