"""Notes of an entity (facts/amocrm.md §13): never idempotent, a repeated one is a second one."""

from http import HTTPStatus
from typing import Any

from sandbox.amocrm.call import NOTHING, Answer, Call, Route, request_id
from sandbox.amocrm.drafts import Objections, author, user, whole
from sandbox.amocrm.filters import tests_of
from sandbox.amocrm.listing import ordered, paged
from sandbox.amocrm.reference import ACCOUNT_ID
from sandbox.amocrm.refusal import Refusal, Wrong, invalid
from sandbox.amocrm.views import self_link
from sandbox.amocrm.writes import touch

Row = dict[str, Any]

# What `params` of a type must hold.
REQUIRED: dict[str, tuple[str, ...]] = {
    "common": ("text",),
    "service_message": ("service", "text"),
    "extended_service_message": ("service", "text"),
    "invoice_paid": ("text", "service", "icon_url"),
    "call_in": ("uniq", "duration", "source", "phone"),
    "call_out": ("uniq", "duration", "source", "phone"),
    "attachment": ("file_uuid", "version_uuid", "file_name"),
    "message_cashier": ("status", "text"),
    "geolocation": ("text", "address", "longitude", "latitude"),
    "sms_in": ("text", "phone"),
    "sms_out": ("text", "phone"),
    "transaction": ("transaction_id",),
}
_READERS = {"created_by": author, "responsible_user_id": user, "created_at": whole}


def _list(call: Call) -> Answer:
    """Of one entity, or of all of a kind."""
    rows = [row for row in call.store.tables["notes"].values() if row["entity_type"] == call.entity()]
    if len(call.parts) > 1:
        rows = [row for row in rows if row["entity_id"] == call.number()]
    found = [row for row in rows if all(test(row) for test in tests_of(call, "notes"))]
    return paged(call, "notes", ordered(call, found, {"updated_at", "id"}), lambda row: _shown(call, row))


def _get(call: Call) -> Answer:
    row = call.store.tables["notes"].get(call.number())
    return Answer(_shown(call, row)) if row and row["entity_type"] == call.entity() else NOTHING


def _create(call: Call) -> Answer:
    entity, elements = call.entity(), call.elements()
    owner = call.number() if len(call.parts) > 1 else None
    if owner is not None and owner not in call.store.tables[entity]:
        raise Refusal(HTTPStatus.NOT_FOUND, "Element not found")
    read, errors = list[Row](), []
    for index, element in enumerate(elements):
        try:
            read.append(_read(call, element if owner is None else element | {"entity_id": owner}))
        except Objections as objections:
            errors.append((request_id(element, index), objections.wrongs))
    if errors:
        raise invalid(errors)
    made = [_made(call, values) for values in read]
    told = [
        {"id": row["id"], "entity_id": row["entity_id"], "request_id": request_id(elements[index], index)}
        | self_link(call, f"{entity}/{row['entity_id']}/notes", row["id"])
        for index, row in enumerate(made)
    ]
    body = {"_links": call.link(f"{entity}/notes"), "_embedded": {"notes": told}}
    return Answer(body, keys=tuple(str(row["id"]) for row in made))


def _update(call: Call) -> Answer:
    """Only `params` of those that a person can edit as well."""
    held, given = call.store.tables["notes"].get(call.number()), call.object()
    if held is None or held["entity_type"] != call.entity():
        raise Refusal(HTTPStatus.NOT_FOUND, "Note not found")
    params = given.get("params", {})
    if not isinstance(params, dict):
        raise invalid([(request_id(given, 0), [Wrong("InvalidType", "params")])])
    row = held | {"params": held["params"] | params, "updated_at": call.now(), "updated_by": call.author}
    call.store.put("notes", row, by=call.author)
    return Answer(
        {"id": row["id"], "entity_id": row["entity_id"], "updated_at": row["updated_at"]}, keys=(str(row["id"]),)
    )


def _read(call: Call, given: Row) -> Row:
    """Raises Objections."""
    wrongs, values = list[Wrong](), Row()
    for name, read in _READERS.items():
        try:
            values |= {name: read(given[name], call)} if name in given else {}
        except Wrong as wrong:
            wrongs.append(wrong.within(name))
    kind, params = given.get("note_type"), given.get("params", {})
    if not isinstance(kind, str) or kind not in REQUIRED:
        wrongs.append(Wrong("FieldMissing" if kind is None else "NotSupportedChoice", "note_type"))
    if not isinstance(params, dict):
        wrongs.append(Wrong("InvalidType", "params"))
    else:
        wrongs += [Wrong("FieldMissing", "params", name) for name in REQUIRED.get(str(kind), ()) if name not in params]
        if not isinstance(params.get("text", ""), str):
            wrongs.append(Wrong("InvalidType", "params", "text"))
    if not call.store.has(call.entity(), given.get("entity_id")):
        wrongs.append(Wrong("NotSupportedChoice" if "entity_id" in given else "FieldMissing", "entity_id"))
    if wrongs:
        raise Objections(wrongs)
    return values | {"note_type": kind, "params": params, "entity_id": given["entity_id"]}


def _made(call: Call, values: Row) -> Row:
    entity, now = call.entity(), call.now()
    owner = call.store.tables[entity][values["entity_id"]]
    row: Row = {
        "id": call.store.new_id("notes"),
        "entity_id": values["entity_id"],
        "entity_type": entity,
        "created_by": values.get("created_by", call.author),
        "updated_by": values.get("created_by", call.author),
        "created_at": values.get("created_at", now),
        "updated_at": now,
        "responsible_user_id": values.get("responsible_user_id", owner["responsible_user_id"]),
        "group_id": 0,
        "note_type": values["note_type"],
        "params": values["params"],
        "account_id": ACCOUNT_ID,
    }
    call.store.put("notes", row, by=row["created_by"])
    if call.switches.note_touches_entity:
        touch(call, entity, owner["id"])
    return row


def _shown(call: Call, row: Row) -> Row:
    plain = {name: value for name, value in row.items() if name != "entity_type"}
    return plain | self_link(call, f"{row['entity_type']}/{row['entity_id']}/notes", row["id"])


NOTES = (
    Route("GET", "{entity}/notes", _list, "notes"),
    Route("POST", "{entity}/notes", _create, "notes"),
    Route("GET", "{entity}/notes/{id}", _get, "notes"),
    Route("PATCH", "{entity}/notes/{id}", _update, "notes"),
    Route("GET", "{entity}/{id}/notes", _list, "notes"),
    Route("POST", "{entity}/{id}/notes", _create, "notes"),
    Route("GET", "{entity}/{id}/notes/{id}", _get, "notes"),
    Route("PATCH", "{entity}/{id}/notes/{id}", _update, "notes"),
)
