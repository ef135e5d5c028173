"""Addresses that strangers give us to call: read strictly, and judged by where they really lie (DESIGN §11).

Only `https` to a public address may be called unasked. Plain `http`, an unusual port, or an address within a private
network needs an operator's approval of exactly that host; some addresses nobody can approve. Nothing is sent here, a
name is only looked up; `outbound_http.py` calls.
"""

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Literal
from urllib.parse import quote

from connectors.base import Malformed

LONGEST = 1000
MOST_ADDRESSES = 8
DEFAULT_PORTS = {"https": 443, "http": 80}
USUAL_PORTS = {"https": (443, 8443), "http": (80, 8080)}
NO_NAME = "its name cannot be resolved"

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-F:.]{2,45}\]|[^][\s/?#@:%\\]{1,253})"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/[^\s#\\<>\"{}|^`]*)?",
    re.IGNORECASE,
)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

_INSIDE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "100.64.0.0/10")))
_INSIDE6 = (IPv6Network("fc00::/7"), IPv6Network("::1/128"))
_PUBLIC6 = IPv6Network("2000::/3")
_METADATA = frozenset(map(ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")))
"""Where clouds tell secrets to their machines, besides the link-local 169.254.169.254 (Alibaba, Azure, Oracle, AWS)."""

Resolve = Callable[[str, int], Sequence[str]]
"""A host's addresses, as text. Raises OSError."""
Lie = Literal["public", "inside", "never"]


class Forbidden(Malformed):
    """An address that is never called, or no address at all. The text is for whoever named it."""


@dataclass(frozen=True)
class Address:
    """A URL that was read strictly. `host` is ASCII and lower case, an IPv6 address without brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, text: str) -> "Address":
        """Raises Forbidden: not http(s), a user's name, an odd host such as 127.1 or 0x7f000001, a fragment."""
        found = _URL.fullmatch(text) if len(text) <= LONGEST and text.isprintable() else None
        if found is None:
            raise Forbidden("the address must look like https://HOST/PATH, without a login in it")
        scheme = found["scheme"].lower()
        port = int(found["port"] or DEFAULT_PORTS[scheme])
        if not 0 < port < 2**16:
            raise Forbidden("the address has no possible port")
        return cls(scheme, _host(found["host"]), port, quote(found["path"] or "/", safe="/:;=,@!$&'()*+~?-._%"))

    @property
    def authority(self) -> str:
        """Host and port as a URL writes them; the port only if it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why an operator must approve it, as far as its text tells."""
        found = ["it is plain http, so passwords travel in the clear"] if self.scheme == "http" else []
        return (*found, *(() if self.port in USUAL_PORTS[self.scheme] else (f"its port is {self.port}",)))

    def addresses(self, resolve: Resolve) -> tuple[str, ...]:
        """Where it lies now; asks nobody about an address. Raises OSError."""
        if ":" in self.host or _number_at_end(self.host):
            return (self.host,)
        return tuple(dict.fromkeys(resolve(self.host, self.port)))[:MOST_ADDRESSES]


@dataclass(frozen=True)
class Examined:
    """An address after its name was looked up."""

    inside: tuple[str, ...]
    """Those of its addresses that lie within a private network."""
    doubts: tuple[str, ...]
    """Why an operator must approve it; none if it may be called unasked."""


def examine(address: Address, *, resolve: Resolve | None = None) -> Examined:
    """Raises Forbidden if one of its addresses must never be called."""
    try:
        found = address.addresses(resolve or resolved)
    except (OSError, UnicodeError):
        found = ()
    lies = {each: lie_of(each) for each in found}
    if "never" in lies.values():
        raise Forbidden("the address lies where nothing of ours may call")
    inside = tuple(each for each, lie in lies.items() if lie == "inside")
    doubts = [*address.doubts, *(["it lies within a private network"] if inside else [])]
    return Examined(inside, tuple(doubts if found else [*doubts, NO_NAME]))


def lie_of(text: str) -> Lie:
    """Where an IP address lies. `never`: link-local, metadata, multicast, reserved, or one address within another."""
    try:
        ip = ip_address(text)
    except ValueError:
        return "never"
    if ip in _METADATA or ip.is_multicast or ip.is_unspecified:
        return "never"
    return _lie4(ip) if isinstance(ip, IPv4Address) else _lie6(ip)


def canonical(text: str) -> str:
    """An IP address as it is compared. Raises ValueError."""
    return str(ip_address(text))


def resolved(host: str, port: int) -> tuple[str, ...]:
    """As the operating system knows it. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(where[0]) for *_, where in found))


def _lie4(ip: IPv4Address) -> Lie:
    if any(ip in network for network in _INSIDE):
        return "inside"
    return "public" if ip.is_global else "never"


def _lie6(ip: IPv6Address) -> Lie:
    """What carries an IPv4 address (mapped, 6to4, Teredo, NAT64) is refused whatever it carries."""
    if any(ip in network for network in _INSIDE6):
        return "inside"
    return "public" if ip in _PUBLIC6 and ip.is_global and ip.sixtofour is None and ip.teredo is None else "never"


def _host(text: str) -> str:
    if text.startswith("["):
        return _literal(IPv6Address, text[1:-1])
    try:
        host = text.encode("idna").decode().lower()
    except UnicodeError:
        host = ""
    labels = host.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise Forbidden("the address has no possible host")
    if not _number_at_end(host):
        return host
    # 127.1, 0177.0.0.1, 2130706433 and ①②⑦.0.0.1 are all 127.0.0.1 to somebody: only four plain decimals are read.
    if text != host:
        raise Forbidden("the address has no possible host")
    return _literal(IPv4Address, host)


def _literal(kind: type[IPv4Address | IPv6Address], text: str) -> str:
    try:
        return str(kind(text))
    except ValueError:
        pass
    raise Forbidden("the address has no possible host")


def _number_at_end(host: str) -> bool:
    return bool(_NUMBER.fullmatch(host.rpartition(".")[2]))
