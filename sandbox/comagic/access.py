"""Who may call (facts/comagic.md §2): a permanent token, session tokens of one hour, the list of addresses."""

import ipaddress
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sandbox.comagic.forms import Form, any_text
from sandbox.comagic.method import Call, Method
from sandbox.comagic.refusal import Refusal
from sandbox.comagic.store import Store
from sandbox.comagic.switches import Switches

SESSION_S = 3600.0
APP_ID = 4242

_STATES = {"expired": "access_token_expired", "blocked": "access_token_blocked"}


def authorise(params: dict[str, Any], store: Store, switches: Switches, *, now: float) -> str:
    """The token; raises Refusal. A lapsed session is as unknown as one that never was."""
    token = params.get("access_token")
    if token is None:
        raise Refusal(switches.missing_token, "access_token")
    if token == switches.token:
        if switches.token_state in _STATES:
            raise Refusal(_STATES[switches.token_state])
        return switches.token
    if not isinstance(token, str) or store.sessions.get(token, now) <= now:
        raise Refusal("access_token_invalid")
    return token


def admit_address(client_ip: str, switches: Switches) -> None:
    """Raises Refusal; nobody is let in by an empty list."""
    if not any(ipaddress.ip_address(client_ip) in network for network in networks(switches.ip_list)):
        message = f"Your IP {client_ip} is not whitelisted"
        raise Refusal("ip_not_whitelisted", message=message, params={"ip": client_ip})


def networks(listed: Sequence[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Raises ValueError."""
    return [ipaddress.ip_network(network) for network in listed]


def _login(call: Call) -> Any:
    if (call.params["login"], call.params["password"]) != (call.switches.login, call.switches.password):
        raise Refusal("auth_error")
    store = call.store
    store.session_count += 1
    token = f"sandbox-comagic-session-{store.session_count}"
    store.sessions[token] = call.clock.elapsed() + SESSION_S
    ends = call.clock.now() + timedelta(seconds=SESSION_S)
    return {"access_token": token, call.switches.expire_key: int(ends.timestamp()), "app_id": APP_ID}


def _logout(call: Call) -> Any:
    call.store.sessions.pop(call.token, None)
    return {}


def _account(call: Call) -> Any:
    return [{"app_id": APP_ID, "name": "Sandbox", "timezone": call.switches.timezone}]


ACCESS = {
    "login.user": Method(
        run=_login, kind="other", form=Form({"login": any_text, "password": any_text}), is_open=True, is_basic=True
    ),
    "logout.user": Method(run=_logout, kind="other", is_basic=True),
    "get.account": Method(run=_account, kind="read", entity="account", is_basic=True),
}
