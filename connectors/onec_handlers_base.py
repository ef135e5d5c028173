"""Where a 1C base wants to be called: what it registered at `POST /sync/base`, and what an operator made of it.

The first registration binds at once if its address may be called unasked (outbound.py). Another one later, and any
that needs an approval, waits for an operator (facts/onec.md D3 #16, D4): whoever could rebind a base would be sent its
customers. Nothing is called here; a name may be looked up.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal

from connectors.base import Malformed, Secret, Vault
from connectors.onec_handlers_config import OneCHandlersConfig
from connectors.onec_handlers_texts import clean
from connectors.outbound import NO_NAME, Address, Forbidden, Resolve, canonical, examine
from connectors.outbound_http import Permit, fingerprint

LONGEST = 500
TURN = timedelta(seconds=10)
Fate = Literal["bound", "unchanged", "pending", "still pending"]


class NotApproved(ValueError):
    """An approval that cannot be given; the text is for the operator."""


@dataclass(frozen=True)
class Base:
    """A registration. `resolved` are the private addresses that were approved; `pin` a certificate's SHA-256.

    `is_configured`: the operator has named it, so whatever private address its host has is approved.
    """

    web_address: str
    url_address: str
    login: str
    password: Secret = field(repr=False)
    approved_private: bool = False
    pin: str | None = None
    resolved: tuple[str, ...] = ()
    is_configured: bool = False

    @property
    def address(self) -> Address:
        return Address.of(self.web_address)

    @property
    def permit(self) -> Permit:
        """What may be called."""
        inside = frozenset(map(canonical, self.resolved))
        return Permit(
            self.address,
            is_approved=self.approved_private,
            inside=inside,
            any_inside=self.is_configured,
            pin=self.pin,
        )

    @property
    def links_host(self) -> str | None:
        """The host that links into the base bear; None if `url_address` names none."""
        return host_of(self.url_address)

    def leads_where(self, other: "Base") -> bool:
        """Whether `other` is called, and linked to, at the same place."""
        return (self.address, self.links_host) == (other.address, other.links_host)


@dataclass(frozen=True)
class _Kept:
    """The vault's one entry of a base."""

    current: Base | None = None
    pending: Base | None = None


def registered(*, web_address: str, url_address: str, login: str, password: str) -> Base:
    """What a request of 1C stands for. Raises Malformed: for its sender, and without values."""
    if not login or ":" in login or not login.isprintable() or max(len(login), len(password)) > LONGEST:
        raise Malformed("param1 and param2 must be a login without a colon and its password")
    return Base(Address.of(web_address).url, clean(url_address, LONGEST) or "", login, Secret(password))


def current(vault: Vault, config: OneCHandlersConfig) -> Base | None:
    """Where to call. What the configuration says wins. Raises as `Vault.read`."""
    if config.web_address is not None:
        return _configured(config)
    base = _read(vault, config).current
    return base and replace(base, url_address=config.url_address or base.url_address)


def pending(vault: Vault, config: OneCHandlersConfig) -> Base | None:
    """What waits for an operator. Raises as `Vault.read`."""
    return _read(vault, config).pending


def propose(vault: Vault, config: OneCHandlersConfig, base: Base, *, resolve: Resolve | None = None) -> Fate:
    """1C registers itself. A new password at the known address is taken at once; "still pending" says nothing new.

    Raises Forbidden, a Malformed, for an address that nobody may approve, Throttled while another registration is at
    it, and as `Vault`. While the configuration names the address, nothing is kept.
    """
    if config.web_address is not None:
        return "unchanged"
    base = replace(base, approved_private=False, pin=None, resolved=(), is_configured=False)
    is_free = not examine(base.address, resolve=resolve).doubts
    with vault.exclusively(config.vault_name, longest=TURN):
        kept = _read(vault, config)
        fate, changed = _weighed(kept, base, is_free=is_free)
        if changed != kept:
            _write(vault, config, changed)
    return fate


def approve(
    vault: Vault,
    config: OneCHandlersConfig,
    *,
    private: bool,
    pin: str | None,
    expected: str | None = None,
    resolve: Resolve | None = None,
) -> Base:
    """An operator binds what is pending or, if nothing is, approves the current address anew, with its new certificate.

    `private` also allows plain http, an unusual port, and the private addresses that the host has now; `expected` is
    the `web_address` that the operator saw. Raises NotApproved, Throttled, and as `Vault`.
    """
    with vault.exclusively(config.vault_name, longest=TURN):
        kept = _read(vault, config)
        chosen = kept.pending or kept.current
        if chosen is None:
            raise NotApproved("no base has registered")
        if expected is not None and chosen.web_address != expected:
            raise NotApproved("another address waits by now: look again")
        approved = _approved(chosen, private=private, pin=pin, resolve=resolve)
        _write(vault, config, _Kept(approved))
    return approved


def reject(vault: Vault, config: OneCHandlersConfig) -> bool:
    """An operator drops what is pending; False if nothing is."""
    with vault.exclusively(config.vault_name, longest=TURN):
        kept = _read(vault, config)
        if kept.pending:
            _write(vault, config, replace(kept, pending=None))
    return kept.pending is not None


def host_of(url: str) -> str | None:
    """The host of a strict http(s) URL, or None."""
    try:
        return Address.of(url).host
    except Forbidden:
        return None


def _weighed(kept: _Kept, base: Base, *, is_free: bool) -> tuple[Fate, _Kept]:
    known, waits = kept.current, kept.pending
    if known and known.leads_where(base):
        same = replace(known, url_address=base.url_address, login=base.login, password=base.password)
        return "unchanged" if same == known else "bound", replace(kept, current=same)
    if is_free and not known and (waits is None or waits.leads_where(base)):
        return "bound", _Kept(base)
    return "still pending" if waits == base else "pending", replace(kept, pending=base)


def _approved(base: Base, *, private: bool, pin: str | None, resolve: Resolve | None) -> Base:
    try:
        found = examine(base.address, resolve=resolve)
        fingerprinted = fingerprint(pin) if pin else None
    except ValueError as error:  # Forbidden is one
        raise NotApproved(str(error)) from None
    if NO_NAME in found.doubts:
        raise NotApproved(f"{base.address.host}: {NO_NAME}")
    if found.doubts and not private:
        raise NotApproved(f"{base.address.authority}: {'; '.join(found.doubts)}: approve it as private")
    if fingerprinted and base.address.scheme != "https":
        raise NotApproved("plain http shows no certificate that could be pinned")
    return replace(base, approved_private=bool(found.doubts), pin=fingerprinted, resolved=found.inside)


def _configured(config: OneCHandlersConfig) -> Base:
    """The operator's own word, which needs no approval: whatever the host resolves to, but for what nobody may call."""
    address, login, password = config.web_address or "", config.handlers_login or "", config.handlers_password or ""
    links = config.url_address or address
    return Base(address, links, login, Secret(password), approved_private=True, is_configured=True)


def _read(vault: Vault, config: OneCHandlersConfig) -> _Kept:
    text = vault.read(config.vault_name)
    kept = json.loads(text) if text else {}
    return _Kept(*(_base(kept[name]) if kept.get(name) else None for name in ("current", "pending")))


def _write(vault: Vault, config: OneCHandlersConfig, kept: _Kept) -> None:
    plain = {name: base and _plain(base) for name, base in vars(kept).items()}
    vault.write(config.vault_name, json.dumps(plain, ensure_ascii=False))


def _plain(base: Base) -> dict[str, Any]:
    return {**vars(base), "password": str(base.password), "resolved": list(base.resolved)}


def _base(plain: Mapping[str, Any]) -> Base:
    return Base(**{**plain, "password": Secret(plain["password"]), "resolved": tuple(plain["resolved"])})
