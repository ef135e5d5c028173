"""Custom fields of an entity (facts/amocrm.md §10): pages of 50, creation by array, deletion."""

from http import HTTPStatus
from typing import Any

from sandbox.amocrm import reference
from sandbox.amocrm.call import NOTHING, Answer, Call, Route, request_id
from sandbox.amocrm.drafts import Objections
from sandbox.amocrm.listing import ordered, paged
from sandbox.amocrm.refusal import Refusal, Wrong, invalid
from sandbox.amocrm.values import READERS, WITH_ENUMS
from sandbox.amocrm.views import self_link
from sandbox.bitrix24.php import items_of

Row = dict[str, Any]

CREATABLE = READERS.keys() - {"multitext", "price"}
_KINDS: dict[str, type] = {"name": str, "code": str, "sort": int, "group_id": str, "is_api_only": bool, "enums": list}


def _list(call: Call) -> Answer:
    wanted = {str(one) for one in items_of(call.filter().get("type"))}
    held = call.store.fields[call.entity()].values()
    rows = ordered(call, [row for row in held if not wanted or row["type"] in wanted], {"id", "sort"})
    page = call.switches.fields_page
    return paged(call, "custom_fields", rows, lambda row: _shown(call, row), most=page, _total_items=len(rows))


def _get(call: Call) -> Answer:
    return Answer(_shown(call, _held(call)))


def _create(call: Call) -> Answer:
    elements = call.elements()
    made = add(call, elements)
    told = [_shown(call, row) | {"request_id": request_id(elements[index], index)} for index, row in enumerate(made)]
    body = {"_total_items": len(made), "_links": call.link(_path(call)), "_embedded": {"custom_fields": told}}
    return Answer(body, HTTPStatus.CREATED, tuple(str(row["id"]) for row in made))


def add(call: Call, elements: list[Row]) -> list[Row]:
    """New fields of the call's entity. Raises Refusal."""
    errors, made = [], list[Row]()
    for index, element in enumerate(elements):
        try:
            made.append(_made(call, element, made))
        except Objections as objections:
            errors.append((request_id(element, index), objections.wrongs))
    if errors:
        raise invalid(errors)
    call.store.fields[call.entity()] |= {row["id"]: row for row in made}
    return made


def _update(call: Call) -> Answer:
    held, given = _held(call), call.object()
    errors = _wrongs(given)
    if errors:
        raise invalid([(request_id(given, 0), errors)])
    changes = {name: given[name] for name in ("name", "code", "sort", "is_api_only") if name in given}
    enums = {"enums": _enums(call, given["enums"])} if given.get("enums") else {}
    row = held | changes | enums
    call.store.fields[call.entity()][held["id"]] = row
    return Answer(_shown(call, row), keys=(str(row["id"]),))


def _delete(call: Call) -> Answer:
    """Values go with the field, and no row counts as changed by it."""
    held, entity = _held(call), call.entity()
    if not held["is_deletable"]:
        raise Refusal(HTTPStatus.BAD_REQUEST, "This field cannot be deleted.")
    del call.store.fields[entity][held["id"]]
    for row in list(call.store.tables[entity].values()):
        left = [one for one in row["custom_fields_values"] or () if one["field_id"] != held["id"]]
        if len(left) != len(row["custom_fields_values"] or ()):
            call.store.put(entity, row | {"custom_fields_values": left or None})
    return Answer(status=NOTHING.status, keys=(str(held["id"]),))


def _held(call: Call) -> Row:
    held = call.store.fields[call.entity()].get(call.number())
    if held is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "Custom field not found")
    return held


def _made(call: Call, given: Row, others: list[Row]) -> Row:
    """Raises Objections."""
    wrongs = [Wrong("FieldMissing", name) for name in ("name", "type") if given.get(name) is None] + _wrongs(given)
    kind, code, entity = given.get("type"), given.get("code"), call.entity()
    if kind is not None and str(kind) not in CREATABLE:
        wrongs.append(Wrong("NotSupportedChoice", "type"))
    taken = {row["code"] for row in [*call.store.fields[entity].values(), *others]}
    if isinstance(code, str) and code in taken and call.switches.duplicate_field_code == "refused":
        wrongs.append(Wrong("NotUnique", "code"))
    if wrongs:
        raise Objections(wrongs)
    row = reference.field(
        next(call.store.field_ids),
        entity,
        given["name"],
        str(kind),
        code=code,
        enums=_enums(call, given.get("enums") or []) if kind in WITH_ENUMS else None,
        is_api_only=bool(given.get("is_api_only")),
        sort=given.get("sort") or 500,
    )
    return row | {"group_id": given.get("group_id")}


def _wrongs(given: Row) -> list[Wrong]:
    wrongs = [
        Wrong("InvalidType", name)
        for name, kind in _KINDS.items()
        if given.get(name) is not None and type(given[name]) is not kind
    ]
    enums = given.get("enums")
    if isinstance(enums, list) and not all(isinstance(enum, dict) for enum in enums):
        wrongs.append(Wrong("InvalidType", "enums"))
    return wrongs


def _enums(call: Call, given: list[Row]) -> list[Row]:
    return [
        {
            "id": enum.get("id") or next(call.store.enum_ids),
            "value": str(enum.get("value", "")),
            "sort": enum.get("sort", number),
            "code": enum.get("code"),
        }
        for number, enum in enumerate(given, 1)
    ]


def _shown(call: Call, row: Row) -> Row:
    return row | self_link(call, _path(call), row["id"])


def _path(call: Call) -> str:
    return f"{call.entity()}/custom_fields"


FIELDS = (
    Route("GET", "{entity}/custom_fields", _list, "custom_fields"),
    Route("POST", "{entity}/custom_fields", _create, "custom_fields"),
    Route("GET", "{entity}/custom_fields/{id}", _get, "custom_fields"),
    Route("PATCH", "{entity}/custom_fields/{id}", _update, "custom_fields"),
    Route("DELETE", "{entity}/custom_fields/{id}", _delete, "custom_fields"),
)
