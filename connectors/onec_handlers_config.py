"""How a 1C base with the handlers of `1c_public` is configured: who it is, how it proves that, what it is believed."""

import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal

from connectors.base import Malformed, Secret
from connectors.outbound import Address

KEY = re.compile(r"[1-9][0-9]{0,17}")
ID_BASE = re.compile(r"[0-9A-Za-zА-Яа-яЁё._{}-]{1,64}")
HOST = re.compile(r"[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?")
TOKEN = re.compile(r"[!-~]{22,}")
SHORTEST_PASSWORD = 16
WIDEST = {4: 16, 6: 48}
"""By version of IP, the shortest prefix of a network that is believed."""


@dataclass(frozen=True)
class OneCHandlersConfig:
    """`[connections.*]` with `system = "onec_handlers"`."""

    key: str = field(metadata={"help": "the id of the amoCRM account that the base belongs to", "example": "31000001"})
    id_base: str = field(metadata={"help": "the base's own id, as it sends it: id_base"})
    token: Secret | None = field(default=None, metadata={"help": "by which the base proves who it is"})
    login: str | None = field(default=None, metadata={"help": "or a login, by which it does so with HTTP Basic"})
    password: Secret | None = field(default=None, metadata={"help": "and its password, of 16 or more characters"})
    legacy_addresses: tuple[str, ...] = field(
        default=(),
        metadata={"help": "networks (/16 or narrower) from which it is believed without either: 203.0.113.7/32"},
    )
    errors_as_200: bool = field(
        default=False, metadata={"help": "answer errors with status 200 too, for handlers that read no other"}
    )
    patience: timedelta = field(
        default=timedelta(seconds=10), metadata={"help": "how long a request of the base waits for amoCRM's answer"}
    )
    handlers_publisher_login: str | None = field(
        default=None,
        metadata={"help": "who may publish handlers that every 1C of the base will run; without it nobody"},
    )
    handlers_publisher_password: Secret | None = field(default=None, metadata={"help": "and that one's password"})
    contact_key: Literal["company", "contact"] = field(
        default="company", metadata={"help": "what the handlers call a contact that they are sent alone"}
    )
    repeats_are_safe: bool = field(
        default=True, metadata={"help": "the handlers know an amoCRM id again, and create nothing twice for it"}
    )
    web_address: str | None = field(
        default=None, metadata={"help": "the handlers' address; without it 1C registers its own"}
    )
    url_address: str | None = field(default=None, metadata={"help": "the address that links into the base begin with"})
    handlers_login: str | None = field(default=None, metadata={"help": "the handlers' login, with web_address"})
    handlers_password: Secret | None = field(default=None, metadata={"help": "and password"})
    links_host: str = field(default="", metadata={"help": "the host of links into the base, if not url_address's"})
    concurrency: int = field(
        default=2, metadata={"help": "calls at a time to this base, by all workers together", "min": 1}
    )
    connect_timeout: timedelta = field(default=timedelta(seconds=5), metadata={"help": "to reach the server"})
    read_timeout: timedelta = field(default=timedelta(seconds=60), metadata={"help": "between two parts of an answer"})
    deadline: timedelta = field(default=timedelta(seconds=90), metadata={"help": "for a call with all its repeats"})
    settle: timedelta = field(
        default=timedelta(seconds=120), metadata={"help": "how long a write whose answer was lost may still go on"}
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """What the types cannot tell: the key, and what is wrong with its value."""
        if not KEY.fullmatch(self.key):
            yield "key", "must be the account's id, digits only"
        if not ID_BASE.fullmatch(self.id_base):
            yield "id_base", "must be 1 to 64 letters, digits, dots, hyphens"
        yield from self._problems_of_callers()
        yield from self._problems_of_publisher()
        yield from self._problems_of_handlers()
        if self.links_host and not HOST.fullmatch(self.links_host.lower()):
            yield "links_host", "must be a host, without https:// and port"
        if self.settle < self.deadline:
            yield "settle", "must not be shorter than deadline: a write may still be on its way until then"

    def _problems_of_callers(self) -> Iterator[tuple[str, str]]:
        if self.token is not None and not TOKEN.fullmatch(self.token):
            yield "token", "must be 22 or more printable Latin characters without spaces"
        if self.login is not None and (not self.login or ":" in self.login):
            yield "login", "must be a name without a colon"
        if (self.login is None) != (self.password is None):
            yield "password", "login and password go together"
        elif self.password is not None and len(self.password) < SHORTEST_PASSWORD:
            yield "password", "must be 16 or more characters"
        if self.token is None and self.login is None and not self.legacy_addresses:
            yield "token", "the base must prove who it is: by token, by login and password, or by legacy_addresses"
        if not _are_networks(self.legacy_addresses):
            yield "legacy_addresses", "must be networks such as 203.0.113.7/32"
        elif any(network.prefixlen < WIDEST[network.version] for network in self.networks):
            yield "legacy_addresses", "must be no wider than /16, or /48 of IPv6: whoever is in them is believed"

    def _problems_of_publisher(self) -> Iterator[tuple[str, str]]:
        publisher, secret = self.handlers_publisher_login, self.handlers_publisher_password
        if (publisher is None) != (secret is None):
            yield "handlers_publisher_password", "handlers_publisher_login and handlers_publisher_password go together"
        if publisher is not None and (not publisher or ":" in publisher):
            yield "handlers_publisher_login", "must be a name without a colon"
        if secret is not None and (len(secret) < SHORTEST_PASSWORD or secret in (self.password, self.token)):
            yield "handlers_publisher_password", "must be 16 or more characters, and not what the base itself shows"

    def _problems_of_handlers(self) -> Iterator[tuple[str, str]]:
        for name in ("web_address", "url_address"):
            if (address := getattr(self, name)) is not None and not _is_address(address):
                yield name, "must look like https://HOST/PATH, without a login in it"
        if len({value is None for value in (self.web_address, self.handlers_login, self.handlers_password)}) > 1:
            yield "web_address", "web_address, handlers_login and handlers_password go together"
        if self.handlers_login is not None and ":" in self.handlers_login:
            yield "handlers_login", "must be a name without a colon"

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """`legacy_addresses`, read."""
        return tuple(map(ip_network, self.legacy_addresses))

    @property
    def account(self) -> str:
        """Whose calls are counted together."""
        return f"onec_handlers:{self.key}:{self.id_base}"

    @property
    def title(self) -> str:
        return f"1C {self.id_base}"

    @property
    def vault_name(self) -> str:
        """Under which the vault keeps the base's registration."""
        return f"base:{self.key}:{self.id_base}"


def basic(login: str, password: str) -> str:
    """The header of HTTP Basic, in UTF-8: logins are often Cyrillic (facts/onec.md A6)."""
    return "Basic " + b64encode(f"{login}:{password}".encode()).decode()


def _is_address(text: str) -> bool:
    try:
        Address.of(text)
    except Malformed:
        return False
    return True


def _are_networks(texts: tuple[str, ...]) -> bool:
    """Whether each is one."""
    try:
        return all(ip_network(text) for text in texts)
    except ValueError:
        return False
