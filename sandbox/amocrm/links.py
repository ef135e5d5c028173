"""Links between entities (facts/amocrm.md §9): one by one and in mass. A contact and a lead have one company each."""

from http import HTTPStatus
from typing import Any

from sandbox.amocrm.call import NOTHING, Answer, Call, Route, numbers
from sandbox.amocrm.drafts import with_main
from sandbox.amocrm.reference import ENTITIES
from sandbox.amocrm.refusal import Refusal, Wrong, invalid
from sandbox.amocrm.writes import put_links

Row = dict[str, Any]
Pair = tuple[str, int, str, int, Row]

# Which row keeps the link between two kinds.
KEEPER = {
    frozenset({"leads", "contacts"}): "leads",
    frozenset({"leads", "companies"}): "leads",
    frozenset({"contacts", "companies"}): "contacts",
}


def _link(call: Call) -> Answer:
    pairs = _pairs(call)
    for pair in pairs:
        link(call, pair)
    links = [_shown(call, *pair[:4]) for pair in pairs]
    body = {"_total_items": len(links), "_links": call.link(f"{call.entity()}/link"), "_embedded": {"links": links}}
    return Answer(body, keys=tuple(str(pair[1]) for pair in pairs))


def _unlink(call: Call) -> Answer:
    pairs = _pairs(call)
    for entity, row_id, other, other_id, _ in pairs:
        unlink(call, entity, row_id, other, other_id)
    return Answer(status=NOTHING.status, keys=tuple(str(pair[1]) for pair in pairs))


def _links(call: Call) -> Answer:
    """Of one entity, or with `filter[entity_id]` of several."""
    entity, asked = call.entity(), call.filter()
    ids = [call.number()] if len(call.parts) > 1 else numbers(asked.get("entity_id"))
    if len(call.parts) > 1 and ids[0] not in call.store.tables[entity]:
        raise Refusal(HTTPStatus.NOT_FOUND, "Element not found")
    others = [other for other in ENTITIES if other != entity and asked.get("to_entity_type") in (None, "", other)]
    wanted = set(numbers(asked.get("to_entity_id")))
    links = [
        _shown(call, entity, row_id, other, other_id)
        for row_id in ids
        if row_id in call.store.tables[entity]
        for other in others
        for other_id in _linked(call, entity, row_id, other)
        if not wanted or other_id in wanted
    ]
    body = {"_total_items": len(links), "_links": call.link(f"{entity}/links"), "_embedded": {"links": links}}
    return Answer(body) if links else NOTHING


def link(call: Call, pair: Pair) -> None:
    """A repeated link changes nothing; a second company takes the place of the first."""
    metadata = pair[4]
    keeper, kept_id, far, far_id = _sides(*pair[:4])
    held = call.store.tables[keeper][kept_id]
    if far == "companies":
        old = [("companies", held["company_id"])] if held["company_id"] else []
        put_links(call, keeper, kept_id, {"company_id": far_id}, [*old, ("companies", far_id)])
        return
    is_main = bool(metadata.get("is_main") or metadata.get("main_contact"))
    known = {one["id"]: one for one in held["contacts"]}
    if is_main:
        known = {one: {"id": one, "is_main": False} for one in known}
    if is_main or far_id not in known:
        known[far_id] = {"id": far_id, "is_main": is_main}
    put_links(call, keeper, kept_id, {"contacts": with_main(list(known.values()))}, [("contacts", far_id)])


def unlink(call: Call, entity: str, row_id: int, other: str, other_id: int) -> None:
    keeper, kept_id, far, far_id = _sides(entity, row_id, other, other_id)
    held = call.store.tables[keeper][kept_id]
    if far == "contacts":
        left = [one for one in held["contacts"] if one["id"] != far_id]
        put_links(call, keeper, kept_id, {"contacts": with_main(left)}, [("contacts", far_id)])
    elif held["company_id"] == far_id:
        put_links(call, keeper, kept_id, {"company_id": None}, [("companies", far_id)])


def _sides(entity: str, row_id: int, other: str, other_id: int) -> tuple[str, int, str, int]:
    """The row that keeps the link first."""
    is_keeper = KEEPER[frozenset({entity, other})] == entity
    return (entity, row_id, other, other_id) if is_keeper else (other, other_id, entity, row_id)


def _pairs(call: Call) -> list[Pair]:
    """What the body asks for; raises Refusal, before anything is written."""
    entity, own = call.entity(), call.number() if len(call.parts) > 1 else None
    pairs, errors = list[Pair](), []
    for index, element in enumerate(call.elements()):
        row_id = element.get("entity_id") if own is None else own
        other, other_id = element.get("to_entity_type"), element.get("to_entity_id")
        if other not in ENTITIES or other == entity:
            errors.append((str(index), [Wrong("NotSupportedChoice", "to_entity_type")]))
            continue
        if type(other_id) is not int or type(row_id) is not int:
            errors.append((str(index), [Wrong("InvalidType", "to_entity_id")]))
            continue
        if row_id not in call.store.tables[entity] or other_id not in call.store.tables[other]:
            if call.switches.missing_link_target == HTTPStatus.NOT_FOUND:
                raise Refusal(HTTPStatus.NOT_FOUND, "Element not found")
            errors.append((str(index), [Wrong("NotSupportedChoice", "to_entity_id")]))
            continue
        metadata = element.get("metadata")
        pairs.append((entity, row_id, other, other_id, metadata if isinstance(metadata, dict) else {}))
    if errors:
        raise invalid(errors)
    return pairs


def _linked(call: Call, entity: str, row_id: int, other: str) -> list[int]:
    if KEEPER[frozenset({entity, other})] != entity:
        return call.store.linked(entity, row_id, other)
    held = call.store.tables[entity][row_id]
    if other == "contacts":
        return [int(one["id"]) for one in held["contacts"]]
    return [int(held["company_id"])] if held["company_id"] else []


def _shown(call: Call, entity: str, row_id: int, other: str, other_id: int) -> Row:
    metadata = None
    if {entity, other} == {"leads", "contacts"}:
        _, lead, _, contact = _sides(entity, row_id, other, other_id)
        main = [one["id"] for one in call.store.tables["leads"][lead]["contacts"] if one["is_main"]]
        metadata = {"main_contact": contact in main}
    return {
        "entity_id": row_id,
        "entity_type": entity,
        "to_entity_id": other_id,
        "to_entity_type": other,
        "metadata": metadata,
    }


LINKS = (
    Route("POST", "{entity}/link", _link),
    Route("POST", "{entity}/unlink", _unlink),
    Route("GET", "{entity}/links", _links),
    Route("POST", "{entity}/{id}/link", _link),
    Route("POST", "{entity}/{id}/unlink", _unlink),
    Route("GET", "{entity}/{id}/links", _links),
)
