"""The 1C bases of `parom.toml`, and which of them a request may speak for."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path

from flask import Request

from connectors.onec_handlers import OneCHandlers
from connectors.onec_handlers_config import OneCHandlersConfig
from tasks.flow import Flow
from workers.faults import Problem, SettingsError
from workers.settings import Settings
from workers.web.onec_public.envelope import stranger


@dataclass(frozen=True)
class Shown:
    """What a request shows of its sender: an address; and perhaps a token, or a login and a password."""

    address: str
    token: str | None = None
    login: str | None = None
    password: str | None = None
    has_tried: bool = False
    """Whether it showed anything but its address."""


def shown_by(request: Request) -> Shown:
    """What the headers say; nothing of it is believed yet."""
    address, given = request.remote_addr or "", request.authorization
    has_tried = "Authorization" in request.headers
    if given is not None and given.type == "basic":
        return Shown(address, login=given.username, password=given.password, has_tried=has_tried)
    # Read here: of a token with "=" in it werkzeug makes parameters.
    scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
    return Shown(address, rest.strip() if scheme.lower() == "bearer" else None, has_tried=has_tried)


@dataclass(frozen=True)
class Base:
    """One connection of `onec_handlers`."""

    name: str
    config: OneCHandlersConfig

    def lets_in(self, shown: Shown) -> bool:
        """By its token, or by its login and password; who shows neither, by the address alone."""
        has_token = is_same(shown.token, self.config.token)
        has_password = _are_same((shown.login, self.config.login), (shown.password, self.config.password))
        is_at_home = not shown.has_tried and is_within(shown.address, self.config.networks)
        return has_token or has_password or is_at_home

    def is_published_by(self, shown: Shown) -> bool:
        """Whether this is the publisher of its handlers, who is somebody else than the base."""
        config = self.config
        login = (shown.login, config.handlers_publisher_login)
        return _are_same(login, (shown.password, config.handlers_publisher_password))

    def is_named(self, key: int, id_base: str) -> bool:
        return (int(self.config.key), self.config.id_base) == (key, id_base)

    @property
    def publishes(self) -> bool:
        """Whether handlers are given out here at all."""
        return self.config.handlers_publisher_login is not None


@dataclass(frozen=True)
class Bases:
    """All of them. Each is asked, whatever the others said: how long it takes tells nothing."""

    known: tuple[Base, ...]

    def open_to(self, shown: Shown) -> "Bases":
        """Those that let the sender in. Raises Failure if none does."""
        return self._only([base for base in self.known if base.lets_in(shown)])

    def published_by(self, shown: Shown) -> "Bases":
        """Those whose publisher the sender is. Raises as `open_to`."""
        return self._only([base for base in self.known if base.is_published_by(shown)])

    def named(self, key: int, id_base: str) -> Base:
        """The one that a body names. Raises as `open_to`: a stranger's base and none at all look the same."""
        return self._only([base for base in self.known if base.is_named(key, id_base)]).known[0]

    @property
    def always_200(self) -> bool:
        """Whether all of them read answers with status 200 only."""
        return all(base.config.errors_as_200 for base in self.known)

    @staticmethod
    def _only(found: Iterable[Base]) -> "Bases":
        bases = Bases(tuple(found))
        if not bases.known:
            raise stranger()
        return bases


def bases_of(settings: Settings) -> Bases:
    """Raises SettingsError if two connections are the same base: nobody could tell whose request it is."""
    configs = {name: connection.config for name, connection in settings.connections.items()}
    bases = [Base(name, config) for name, config in configs.items() if isinstance(config, OneCHandlersConfig)]
    names = {(int(base.config.key), base.config.id_base): base.name for base in bases}
    twice = [base.name for base in bases if base.name not in names.values()]
    if twice:
        text = "has the key and id_base of another connection"
        raise SettingsError(Path("parom.toml"), [Problem(f"connections.{name}.id_base", text) for name in twice])
    return Bases(tuple(bases))


def connected(flows: Mapping[str, Flow], name: str) -> OneCHandlers | None:
    """The base of that name, which flows are connected to."""
    for flow in flows.values():
        for side, connection in (
            (flow.source_name, flow.source_connection),
            (flow.target_name, flow.target_connection),
        ):
            if side == name and isinstance(connection, OneCHandlers):
                return connection
    return None


def is_same(shown: str | None, secret: str | None) -> bool:
    """In a time that tells neither content nor length of the secret; no secret is nobody's."""
    digests = [hashlib.sha256((text or "").encode("utf-8", "surrogatepass")).digest() for text in (shown, secret)]
    return hmac.compare_digest(*digests) and bool(secret)


def _are_same(*pairs: tuple[str | None, str | None]) -> bool:
    return all([is_same(shown, secret) for shown, secret in pairs])  # noqa: C419 - each is compared, whatever the others


def is_within(address: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(parsed in network for network in networks)
