"""Bulk POST and PATCH of contacts, companies and leads (facts/amocrm.md §4, §6): checked as a whole, then written."""

from collections import Counter
from http import HTTPStatus
from typing import Any

from sandbox.amocrm.call import Answer, Call, Route, request_id
from sandbox.amocrm.drafts import Draft, Objections, drafted
from sandbox.amocrm.refusal import Refusal, Wrong, invalid
from sandbox.amocrm.views import self_link
from sandbox.amocrm.writes import create, update

Row = dict[str, Any]
Errors = list[tuple[str, list[Wrong]]]


def _create(call: Call) -> Answer:
    entity, elements = call.entity(), call.elements()
    drafts, errors = dict[int, Draft](), Errors()
    for index, element in enumerate(elements):
        try:
            drafts[index] = drafted(call, entity, element, None)
        except Objections as objections:
            errors.append((request_id(element, index), objections.wrongs))
    _refuse_atomically(call, errors)
    written = {index: create(call, entity, draft) for index, draft in drafts.items()}
    return _told(call, elements, written, errors)


def _update(call: Call) -> Answer:
    entity, elements = call.entity(), call.elements()
    counted = Counter(str(element.get("id")) for element in elements)
    drafts, errors = dict[int, Draft](), Errors()
    for index, element in enumerate(elements):
        held = call.store.tables[entity].get(_id_of(element))
        if held is None and isinstance(element.get("id"), int) and call.switches.missing_in_batch == "skipped":
            continue
        try:
            is_doubled = counted[str(element.get("id"))] > 1 and call.switches.duplicate_ids == "refused"
            drafts[index] = _checked(call, entity, element, held, is_doubled=is_doubled)
        except Objections as objections:
            errors.append((request_id(element, index), objections.wrongs))
    _refuse_atomically(call, errors)
    written = {index: update(call, entity, _id_of(elements[index]), draft) for index, draft in drafts.items()}
    return _told(call, elements, written, errors, is_update=True)


def _update_one(call: Call) -> Answer:
    entity, element = call.entity(), call.object()
    held = call.store.tables[entity].get(call.number())
    if held is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "Element not found")
    try:
        draft = drafted(call, entity, element, held)
    except Objections as objections:
        raise invalid([(request_id(element, 0), objections.wrongs)]) from None
    row = update(call, entity, held["id"], draft)
    told = {"id": row["id"], "name": row["name"], "updated_at": row["updated_at"]}
    return Answer(told | self_link(call, entity, row["id"]), keys=(str(row["id"]),))


def _id_of(element: Row) -> int:
    """Zero, which nobody has, for what is no id."""
    given = element.get("id")
    return given if isinstance(given, int) and not isinstance(given, bool) else 0


def _checked(call: Call, entity: str, element: Row, held: Row | None, *, is_doubled: bool) -> Draft:
    """Raises Objections."""
    if "id" not in element:
        raise Objections([Wrong("FieldMissing", "id")])
    if not _id_of(element):
        raise Objections([Wrong("InvalidType", "id")])
    if held is None:
        raise Objections([Wrong("NotFound", "id")])
    if is_doubled:
        raise Objections([Wrong("NotUnique", "id")])
    return drafted(call, entity, element, held)


def _refuse_atomically(call: Call, errors: Errors) -> None:
    if errors and call.switches.batch_atomic:
        raise invalid(errors)


def _told(
    call: Call, elements: list[Row], written: dict[int, Row], errors: Errors, *, is_update: bool = False
) -> Answer:
    """The reply by element; with `batch_atomic` off, what was refused is told although the rest is written."""
    if errors:
        raise invalid(errors, kept={index: str(row["id"]) for index, row in written.items()})
    entity = call.entity()
    told = []
    for index, row in written.items():
        bumped = {"updated_at": row["updated_at"]} if is_update else {}
        link = self_link(call, entity, row["id"])
        told.append({"id": row["id"], **bumped, "request_id": request_id(elements[index], index), **link})
    keys = tuple(str(written[index]["id"]) if index in written else "" for index in range(len(elements)))
    return Answer({"_links": call.link(entity), "_embedded": {entity: told}}, keys=keys)


ENTITIES = (
    Route("POST", "{entity}", _create),
    Route("PATCH", "{entity}", _update),
    Route("PATCH", "{entity}/{id}", _update_one),
)
