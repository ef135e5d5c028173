"""Calls to an address that a stranger gave: to that address alone, where an operator or the public DNS says it lies.

A name is looked up once for each connection, and that very answer is judged and connected to, so a second answer
(DNS rebinding) has no say; Host and SNI keep the name. No redirects, no proxies, at most 1 MB of answer. Where a
certificate is pinned, nothing but its SHA-256 fingerprint counts. Pinned by tests/unit/test_connector_outbound.py.
"""

import hashlib
import hmac
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from connectors.answer import Answer
from connectors.deadline import Watched, WatchedTls, current_watch, watched_session
from connectors.errors import Refused
from connectors.http import Http
from connectors.outbound import Address, Forbidden, Resolve, canonical, lie_of, resolved

LARGEST_ANSWER = 1024 * 1024
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")

T = TypeVar("T")


def fingerprint(text: str) -> str:
    """A certificate's SHA-256 as 64 small hexadecimal digits; colons and spaces are left out. Raises ValueError."""
    found = re.sub(r"[:\s]", "", text).lower().removeprefix("sha256")
    if not _FINGERPRINT.fullmatch(found):
        raise ValueError("a fingerprint is the certificate's SHA-256: 64 hexadecimal digits")
    return found


@dataclass(frozen=True)
class Permit:
    """The one address that may be called.

    `is_approved`: an operator allows its scheme, its port, and the private addresses `inside`. `any_inside`: whatever
    private address the host has at the time, which is for a host that the operator has named. `pin`: as `fingerprint`
    gives it.
    """

    address: Address
    is_approved: bool = False
    inside: frozenset[str] = field(default_factory=frozenset)
    any_inside: bool = False
    pin: str | None = None


class Gate:
    """Says where calls under a permit may connect to; asks the DNS anew each time, and once."""

    def __init__(self, title: str, permit: Permit, resolve: Resolve) -> None:
        self.title = title
        self.permit = permit
        self._resolve = resolve

    def addresses(self) -> tuple[str, ...]:
        """Raises Refused unless all addresses are allowed; OSError if there are none."""
        found = self.permit.address.addresses(self._resolve)
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        if not all(map(self._is_allowed, found)):
            hint = "approve it again if it has moved" if self.permit.is_approved else "an operator may approve it"
            raise Refused(f"{self.title}: its address lies where calls are not allowed: {hint}")
        return found

    def check(self, url: str) -> None:
        """Raises Refused unless `url` has the permit's scheme, host and port."""
        mine = self.permit.address
        try:
            asked: Address | None = Address.of(url)
        except Forbidden:
            asked = None
        if asked is None or (asked.scheme, asked.host, asked.port) != (mine.scheme, mine.host, mine.port):
            raise Refused(f"{self.title}: another address than the one that was approved")
        if mine.doubts and not self.permit.is_approved:
            raise Refused(f"{self.title}: {'; '.join(mine.doubts)}: an operator must approve it")

    def check_certificate(self, shown: bytes | None) -> None:
        """Raises Refused if a certificate is pinned, and another one shown."""
        seen = hashlib.sha256(shown or b"").hexdigest()
        if self.permit.pin and not hmac.compare_digest(seen, self.permit.pin):
            raise Refused(f"{self.title}: shows another certificate than the approved one (SHA-256 {seen})")

    def _is_allowed(self, address: str) -> bool:
        lie, permit = lie_of(address), self.permit
        if lie == "inside":
            return permit.is_approved and (permit.any_inside or canonical(address) in permit.inside)
        return lie == "public"


class _Guarded(Watched):
    gate: Gate

    def _new_conn(self) -> socket.socket:
        name, failure = self.host, None
        for address in self.gate.addresses():
            self.host = address  # only here: SNI and the certificate's check go by the name
            try:
                return super()._new_conn()
            except (ConnectTimeoutError, NewConnectionError) as error:
                failure = error
            finally:
                self.host = name
            if current_watch().is_expired:
                break
        raise failure or TimeoutError


class _GuardedTls(_Guarded, WatchedTls):
    def connect(self) -> None:
        if self.gate.permit.pin:
            self.cert_reqs = ssl.CERT_NONE
        super().connect()
        if self.gate.permit.pin:
            shown = self.sock.getpeercert(binary_form=True) if isinstance(self.sock, ssl.SSLSocket) else None
            try:
                self.gate.check_certificate(shown)
            except Refused:
                self.close()
                raise
            self.is_verified = True


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Guarded
    gate: Gate

    def _new_conn(self) -> Any:
        made = super()._new_conn()
        made.gate = self.gate  # type: ignore[attr-defined]
        return made


class _TlsPool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _GuardedTls


class _Adapter(HTTPAdapter):
    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        pool.gate = self.gate  # type: ignore[attr-defined]
        return pool

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        self.gate.check(request.url or "")
        # A proxy would look the name up by itself.
        return super().send(request, *args, **kwargs | {"proxies": None})


def guarded_session(gate: Gate) -> requests.Session:
    """A session for one thread that goes where its gate lets it, and nowhere else."""
    session, adapter = watched_session(), _Adapter(gate)
    session.adapters.clear()
    for scheme in ("https://", "http://"):
        session.mount(scheme, adapter)
    return session


class GuardedHttp(Http):
    """As `Http`, under a permit. Raises Refused, with nothing sent, where the permit does not reach."""

    def __init__(self, system: str, *, permit: Permit, resolve: Resolve | None = None, **how: Any) -> None:
        super().__init__(system, **how)
        self._gate = Gate(system, permit, resolve or resolved)

    def call(
        self, method: str, url: str, *, read: Callable[[Answer], T], largest: int = LARGEST_ANSWER, **how: Any
    ) -> T:
        return super().call(method, url, read=read, largest=largest, **how)

    def _new_session(self) -> requests.Session:
        return guarded_session(self._gate)
