"""Admin routes of the account: a person in its interface, webhooks, tokens, the ban, and rows from long ago."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from sandbox import seed_amocrm
from sandbox.amocrm.account import AmoCrm
from sandbox.amocrm.hands import Hands
from sandbox.amocrm.hookforms import SETTINGS
from sandbox.amocrm.hooks import is_address
from sandbox.amocrm.reference import HUMAN

Parts = tuple[str, ...]
Given = dict[str, Any]
Act = Callable[[AmoCrm, Parts, Given], Any]

_OK = {"ok": True}
_ROWS = r"/amocrm/(contacts|companies|leads)"


def _create(account: AmoCrm, parts: Parts, given: Given) -> Any:
    return Hands(account).create(parts[0], given)


def _edit(account: AmoCrm, parts: Parts, given: Given) -> Any:
    return Hands(account).edit(parts[0], int(parts[1]), given)


def _delete(account: AmoCrm, parts: Parts, given: Given) -> Any:
    Hands(account).delete(parts[0], int(parts[1]), user_id=int(given.get("user_id", HUMAN)))
    return _OK


def _restore(account: AmoCrm, parts: Parts, _given: Given) -> Any:
    return Hands(account).restore(parts[0], int(parts[1]))


def _merge(account: AmoCrm, parts: Parts, given: Given) -> Any:
    return Hands(account).merge(parts[0], int(parts[1]), int(given["into"]))


def _fields(account: AmoCrm, _parts: Parts, given: Given) -> Any:
    """New custom fields by entity, each with what the API takes: `name`, `type`, `code`, …"""
    return {entity: Hands(account).fields(entity, fields) for entity, fields in given.items()}


def _seed(account: AmoCrm, _parts: Parts, given: Given) -> Any:
    """`contacts`, `companies`, `leads`, `seed`, `phones_from`."""
    kinds = seed_amocrm.enter(account, **{name: int(value) for name, value in given.items()}, now=account.now())
    return {"kinds": kinds, "by_kind": {entity: dict(Counter(held.values())) for entity, held in kinds.items()}}


def _subscribe(account: AmoCrm, _parts: Parts, given: Given) -> Any:
    """`destination`, and `settings` unless all are wanted."""
    settings = given.get("settings", list(SETTINGS))
    if not is_address(given.get("destination")) or not set(settings) <= set(SETTINGS):
        raise ValueError(f"destination must be an address, settings must be of {', '.join(SETTINGS)}")
    return account.outgoing.subscribe(given["destination"], settings, by=HUMAN)


def _hooks(account: AmoCrm, _parts: Parts, _given: Given) -> Any:
    return {"webhooks": account.outgoing.hooks()}


def _unsubscribe(account: AmoCrm, parts: Parts, _given: Given) -> Any:
    account.outgoing.unsubscribe(int(parts[0]) if parts else None)
    return _OK


def _deliveries(account: AmoCrm, _parts: Parts, given: Given) -> Any:
    return {"deliveries": [one.as_json() for one in account.outgoing.deliveries(int(given.get("since", 0)))]}


def _repeat(account: AmoCrm, parts: Parts, _given: Given) -> Any:
    account.outgoing.repeat(int(parts[0]))
    return _OK


def _code(account: AmoCrm, _parts: Parts, _given: Given) -> Any:
    with account.office() as (tokens, _):
        return {"code": tokens.new_code(account.switches)}


def _pair(account: AmoCrm, _parts: Parts, _given: Given) -> Any:
    with account.office() as (tokens, _):
        return tokens.new_pair(account.switches)


def _counts(account: AmoCrm, _parts: Parts, _given: Given) -> Any:
    with account.office() as (tokens, limits):
        return tokens.counts() | {"is_banned": limits.is_banned}


def _revoke(account: AmoCrm, _parts: Parts, _given: Given) -> Any:
    """As an uninstall does; the answer is what the hook of an uninstall says."""
    with account.office() as (tokens, _):
        tokens.revoke()
        return tokens.farewell(account.switches)


def _expire(account: AmoCrm, _parts: Parts, _given: Given) -> Any:
    with account.office() as (tokens, _):
        tokens.expire_access()
    return _OK


def _ban(account: AmoCrm, _parts: Parts, _given: Given) -> Any:
    with account.office() as (_, limits):
        limits.is_banned = True
    return _OK


def _lift(account: AmoCrm, _parts: Parts, _given: Given) -> Any:
    with account.office() as (_, limits):
        limits.lift()
    return _OK


ROUTES: list[tuple[str, str, Act]] = [
    ("POST", _ROWS, _create),
    ("POST", rf"{_ROWS}/(\d+)", _edit),
    ("DELETE", rf"{_ROWS}/(\d+)", _delete),
    ("POST", rf"{_ROWS}/(\d+)/restore", _restore),
    ("POST", rf"{_ROWS}/(\d+)/merge", _merge),
    ("POST", r"/amocrm/fields", _fields),
    ("POST", r"/amocrm/seed", _seed),
    ("POST", r"/amocrm/webhooks", _subscribe),
    ("GET", r"/amocrm/webhooks", _hooks),
    ("DELETE", r"/amocrm/webhooks", _unsubscribe),
    ("DELETE", r"/amocrm/webhooks/(\d+)", _unsubscribe),
    ("GET", r"/amocrm/deliveries", _deliveries),
    ("POST", r"/amocrm/deliveries/(\d+)/repeat", _repeat),
    ("POST", r"/amocrm/code", _code),
    ("POST", r"/amocrm/tokens", _pair),
    ("GET", r"/amocrm/tokens", _counts),
    ("DELETE", r"/amocrm/tokens", _revoke),
    ("POST", r"/amocrm/tokens/expire", _expire),
    ("POST", r"/amocrm/ban", _ban),
    ("DELETE", r"/amocrm/ban", _lift),
]
