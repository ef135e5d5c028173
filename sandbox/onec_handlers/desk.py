"""Admin routes of the base: what a person in 1C does, and the exchange on request."""

from collections.abc import Callable
from typing import Any

from sandbox.onec_handlers.base import OneCHandlers
from sandbox.onec_handlers.driver import pushed
from sandbox.onec_handlers.hands import Hands
from sandbox.onec_handlers.reference import guid_of

Parts = tuple[str, ...]
Given = dict[str, Any]
Act = Callable[[OneCHandlers, Parts, Given], Any]


def _create(base: OneCHandlers, parts: Parts, given: Given) -> Any:
    hands = Hands(base)
    creators = {"individuals": hands.individual, "legals": hands.legal, "orders": hands.order}
    return creators[parts[0]](given)


def _edit(base: OneCHandlers, parts: Parts, given: Given) -> Any:
    table, id_1c = parts
    return Hands(base).edit(table, guid_of(id_1c), given)


def _book(base: OneCHandlers, parts: Parts, given: Given) -> Any:
    return Hands(base).book(guid_of(parts[0]), given)


def _push(base: OneCHandlers, _parts: Parts, given: Given) -> Any:
    return pushed(base, **given)


ROUTES: list[tuple[str, str, Act]] = [
    ("POST", r"/onec_handlers/(individuals|legals|orders)", _create),
    ("POST", r"/onec_handlers/(counterparties|orders)/([0-9a-f-]{36})", _edit),
    ("POST", r"/onec_handlers/orders/([0-9a-f-]{36})/events", _book),
    ("POST", r"/onec_handlers/push", _push),
]
