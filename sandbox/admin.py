"""The side channel that no vendor has: seed, edit as a human, read what was kept, arm faults, move the clock."""

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from sandbox import seed, seed_deals, seed_handlers, seed_interests
from sandbox.amocrm import desk as amocrm_desk
from sandbox.bitrix24.hands import Hands
from sandbox.onec.hands import Hands as OneCHands
from sandbox.onec.push import pushed
from sandbox.onec_handlers import desk
from sandbox.system import System
from sandbox.wire import Request, Response, json_response
from sandbox.world import World


@dataclass(frozen=True, slots=True)
class Asked:
    """One admin request: the world, the pieces of the path, query and JSON body as one map."""

    world: World
    parts: tuple[str, ...]
    given: dict[str, Any]

    def system(self) -> System:
        return self.world.systems[self.parts[0]]

    def hands(self) -> Hands:
        return Hands(self.world.portal)

    def onec(self) -> OneCHands:
        return OneCHands(self.world.onec)


class Admin:
    """Errors are answered as `{"error": text}` with 400 or 404."""

    def __init__(self, world: World) -> None:
        self._world = world

    def handle(self, request: Request) -> Response:
        try:
            return json_response(HTTPStatus.OK, self._act(request))
        except LookupError as error:
            return json_response(HTTPStatus.NOT_FOUND, {"error": f"not found: {error}"})
        except (ValueError, TypeError) as error:
            return json_response(HTTPStatus.BAD_REQUEST, {"error": str(error)})

    def _act(self, request: Request) -> Any:
        for http_method, pattern, act in ROUTES:
            match = pattern.fullmatch(request.path)
            if match and http_method == request.http_method:
                return act(Asked(self._world, match.groups(), _given(request)))
        raise LookupError(request.line)


def _given(request: Request) -> dict[str, Any]:
    body = json.loads(request.body) if request.body.strip() else {}
    if not isinstance(body, dict):
        raise TypeError("the body must be a JSON object")
    return dict(parse_qsl(request.query)) | body


def _health(asked: Asked) -> Any:
    return {"ok": True, "systems": list(asked.world.systems), "clock": asked.world.clock.state()}


def _reset(asked: Asked) -> Any:
    asked.world.reset()
    return {"ok": True}


def _seed(asked: Asked) -> Any:
    count, number = int(asked.given.get("contacts", 0)), int(asked.given.get("seed", 1))
    seeded = seed.contacts(count, seed=number, now=asked.world.clock.now())
    for contact, row in zip(seeded, asked.hands().create_many("contacts", [c.fields for c in seeded]), strict=True):
        asked.world.kinds[row["ID"]] = contact.kind
    answer = {"contacts": count, "by_kind": seed.by_kind(seeded)}
    if "deals" in asked.given:
        answer |= _seed_deals(asked, number)
    if "interests" in asked.given:
        answer |= _seed_interests(asked, number)
    return answer | _seed_handlers(asked, number) if "counterparties" in asked.given else answer


def _seed_deals(asked: Asked, number: int) -> dict[str, Any]:
    """Deals of valid contacts, those of earlier seeds included."""
    world, count = asked.world, int(asked.given["deals"])
    present = {row["ID"] for row in world.portal.rows("contacts")}
    contacts = [contact for contact, kind in world.kinds.items() if kind == "valid" and contact in present]
    seeded = seed_deals.deals(count, contacts, seed=number, now=world.clock.now())
    for deal, row in zip(seeded, asked.hands().create_many("deals", [d.fields for d in seeded]), strict=True):
        world.deal_kinds[row["ID"]] = deal.kind
    return {"deals": count, "deals_by_kind": seed.by_kind(seeded)}


def _seed_interests(asked: Asked, number: int) -> dict[str, Any]:
    world, count = asked.world, int(asked.given["interests"])
    seeded = seed_interests.interests(count, seed=number, now=world.clock.now())
    for interest, state in zip(seeded, asked.onec().create_many([one.fields for one in seeded]), strict=True):
        world.interest_kinds[state["id"]] = interest.kind
    return {"interests": count, "interests_by_kind": seed.by_kind(seeded)}


def _seed_handlers(asked: Asked, number: int) -> dict[str, Any]:
    """`counterparties`, with `orders` of these and `order_events` of those."""
    counts = {name: int(asked.given.get(name, 0)) for name in ("counterparties", "orders", "order_events")}
    kinds = seed_handlers.enter(asked.world.onec_handlers, **counts, seed=number)
    asked.world.counterparty_kinds |= kinds
    return counts | {"counterparties_by_kind": dict(Counter(kinds.values()))}


def _kinds(asked: Asked) -> Any:
    return {"kinds": asked.world.kinds, "deal_kinds": asked.world.deal_kinds}


def _interest_kinds(asked: Asked) -> Any:
    return {"kinds": asked.world.interest_kinds}


def _counterparty_kinds(asked: Asked) -> Any:
    return {"kinds": asked.world.counterparty_kinds}


def _merge(asked: Asked) -> Any:
    return asked.hands().merge(int(asked.parts[0]), int(asked.given["into"]))


def _create(asked: Asked) -> Any:
    return asked.hands().create(asked.parts[0], asked.given.get("fields", asked.given))


def _edit(asked: Asked) -> Any:
    entity, row_id = asked.parts
    return asked.hands().edit(entity, int(row_id), asked.given.get("fields", asked.given))


def _delete(asked: Asked) -> Any:
    entity, row_id = asked.parts
    asked.hands().delete(entity, int(row_id))
    return {"ok": True}


def _store(asked: Asked) -> Any:
    return {"rows": asked.system().rows(asked.parts[1])}


def _journal(asked: Asked) -> Any:
    given, journal = asked.given, asked.world.journal
    entries = journal.since(
        int(given.get("since", 0)), system=given.get("system"), limit=int(given.get("limit", 10_000))
    )
    return {"entries": [entry.as_json() for entry in entries]}


def _journal_summary(asked: Asked) -> Any:
    return asked.world.journal.summary()


def _chronicle(asked: Asked) -> Any:
    given = asked.given
    versions = asked.world.chronicle.since(
        int(given.get("since", 0)),
        system=given.get("system"),
        entity=given.get("entity"),
        limit=int(given.get("limit", 10_000)),
    )
    return {"entries": [version.as_json() for version in versions]}


def _arm(asked: Asked) -> Any:
    if asked.given.get("system") not in asked.world.systems:
        raise ValueError(f"system must be one of {list(asked.world.systems)}")
    return asked.world.faults.arm(**asked.given).as_json()


def _armed(asked: Asked) -> Any:
    return {"faults": [fault.as_json() for fault in asked.world.faults.armed()]}


def _disarm(asked: Asked) -> Any:
    asked.world.faults.disarm(int(asked.parts[0]) if asked.parts else None)
    return {"ok": True}


def _clock(asked: Asked) -> Any:
    asked.world.clock.change(**asked.given)
    return asked.world.clock.state()


def _clock_state(asked: Asked) -> Any:
    return asked.world.clock.state()


def _switch(asked: Asked) -> Any:
    asked.system().switch(asked.given)
    return _switches(asked)


def _switches(asked: Asked) -> Any:
    return dataclasses.asdict(asked.system().switches)


def _register(asked: Asked) -> Any:
    return asked.world.portal.events.register(**asked.given).as_json()


def _registered(asked: Asked) -> Any:
    return {"webhooks": [handler.as_json() for handler in asked.world.portal.events.handlers()]}


def _unregister(asked: Asked) -> Any:
    asked.world.portal.events.remove(int(asked.parts[0]) if asked.parts else None)
    return {"ok": True}


def _events(asked: Asked) -> Any:
    emitted = asked.world.portal.events.emitted(int(asked.given.get("since", 0)))
    return {"events": [emission.as_json() for emission in emitted]}


def _archive(asked: Asked) -> Any:
    return asked.world.school.archive(asked.parts[0], is_archived=bool(asked.given.get("archived", True)))


def _create_interest(asked: Asked) -> Any:
    return asked.onec().create(asked.given.get("fields", asked.given))


def _edit_interest(asked: Asked) -> Any:
    return asked.onec().edit(asked.parts[0], asked.given.get("fields", asked.given))


def _delete_interest(asked: Asked) -> Any:
    return asked.onec().delete(asked.parts[0])


def _push(asked: Asked) -> Any:
    """What `pushed` takes, `interests` and `history` apart: references or "all", and whether each stage is told."""
    given = dict(asked.given)
    items = asked.onec().items(given.pop("interests", "all"), history=bool(given.pop("history", False)))
    return pushed(items, **given)


def _at_amocrm(act: amocrm_desk.Act) -> Callable[[Asked], Any]:
    return lambda asked: act(asked.world.amocrm, asked.parts, asked.given)


def _at_desk(act: desk.Act) -> Callable[[Asked], Any]:
    return lambda asked: act(asked.world.onec_handlers, asked.parts, asked.given)


ROUTES: list[tuple[str, re.Pattern[str], Callable[[Asked], Any]]] = [
    (http_method, re.compile(pattern), act)
    for http_method, pattern, act in (
        ("GET", r"/health", _health),
        ("POST", r"/reset", _reset),
        ("POST", r"/seed", _seed),
        ("GET", r"/seed", _kinds),
        ("GET", r"/seed/interests", _interest_kinds),
        ("GET", r"/seed/counterparties", _counterparty_kinds),
        ("POST", r"/bitrix24/(contacts|companies|deals)", _create),
        ("POST", r"/bitrix24/(contacts|companies|deals)/(\d+)", _edit),
        ("DELETE", r"/bitrix24/(contacts|companies|deals)/(\d+)", _delete),
        ("POST", r"/bitrix24/contacts/(\d+)/merge", _merge),
        ("POST", r"/bitrix24/webhooks", _register),
        ("GET", r"/bitrix24/webhooks", _registered),
        ("DELETE", r"/bitrix24/webhooks", _unregister),
        ("DELETE", r"/bitrix24/webhooks/(\d+)", _unregister),
        ("GET", r"/events", _events),
        ("POST", r"/otmechalka/clients/([^/]+)/archive", _archive),
        ("POST", r"/onec/interests", _create_interest),
        ("POST", r"/onec/interests/([0-9a-f-]{36})", _edit_interest),
        ("POST", r"/onec/interests/([0-9a-f-]{36})/delete", _delete_interest),
        ("POST", r"/onec/push", _push),
        *((http_method, pattern, _at_desk(act)) for http_method, pattern, act in desk.ROUTES),
        *((http_method, pattern, _at_amocrm(act)) for http_method, pattern, act in amocrm_desk.ROUTES),
        ("GET", r"/store/(\w+)/(\w+)", _store),
        ("GET", r"/journal", _journal),
        ("GET", r"/journal/summary", _journal_summary),
        ("GET", r"/chronicle", _chronicle),
        ("POST", r"/faults", _arm),
        ("GET", r"/faults", _armed),
        ("DELETE", r"/faults", _disarm),
        ("DELETE", r"/faults/(\d+)", _disarm),
        ("POST", r"/clock", _clock),
        ("GET", r"/clock", _clock_state),
        ("POST", r"/switches/(\w+)", _switch),
        ("GET", r"/switches/(\w+)", _switches),
    )
]
