"""The list of events (facts/amocrm.md §13): what happened to every entity, newest first, made of the store's news."""

from http import HTTPStatus
from typing import Any

from sandbox.amocrm.call import Answer, Call, Route, numbers
from sandbox.amocrm.listing import paged
from sandbox.amocrm.reference import ACCOUNT_ID, SINGULAR
from sandbox.amocrm.refusal import Refusal
from sandbox.amocrm.store import News, Store
from sandbox.amocrm.views import self_link
from sandbox.bitrix24.php import items_of

Row = dict[str, Any]

PAGE, MOST_IDS = 100, 10
_VERBS = {"add": "added", "delete": "deleted", "restore": "restored"}
_PLURAL = {singular: plural for plural, singular in SINGULAR.items()}


def happened(store: Store, news: News) -> None:
    """Into the list; notes are told by webhooks only."""
    if news.entity == "notes":
        return
    for kind, after, before in _kinds(news):
        number = next(store.event_ids)
        store.events.append(
            {
                "id": f"01sandbox{number:017}",
                "type": kind,
                "entity_id": news.row_id,
                "entity_type": SINGULAR[news.entity],
                "created_by": news.by,
                "created_at": store.now(),
                "value_after": after,
                "value_before": before,
                "account_id": ACCOUNT_ID,
            }
        )


def _kinds(news: News) -> list[tuple[str, list[Row], list[Row]]]:
    """(type, value after, value before)"""
    name, before, after = SINGULAR[news.entity], news.before, news.after
    if news.deed == "merge":
        return [("entity_merged", [], [])]
    if news.deed in _VERBS:
        return [(f"{name}_{_VERBS[news.deed]}", [], [])]
    if before is None or after is None or news.entity == "tasks":
        return [("task_completed", [], [])] if after and after.get("is_completed") else []
    told: list[tuple[str, list[Row], list[Row]]] = []

    def tell(kind: str, key: str, has: Any, had: Any) -> None:
        if has != had:
            told.append((kind, [{key: has}] if has is not None else [], [{key: had}] if had is not None else []))

    if news.entity == "leads":
        tell("lead_status_changed", "lead_status", _place(after), _place(before))
        tell("sale_field_changed", "sale_field_value", {"sale": after["price"]}, {"sale": before["price"]})
    tell("name_field_changed", "name_field_value", {"name": after["name"]}, {"name": before["name"]})
    ids = after["responsible_user_id"], before["responsible_user_id"]
    tell("entity_responsible_changed", "responsible_user", {"id": ids[0]}, {"id": ids[1]})
    has, had = _values(after), _values(before)
    for field in sorted(has.keys() | had.keys()):
        tell(f"custom_field_{field}_value_changed", "custom_field_value", has.get(field), had.get(field))
    linked = "entity_linked", "entity_unlinked"
    for kind, extra in zip(linked, (_linked(after) - _linked(before), _linked(before) - _linked(after)), strict=True):
        told += [(kind, [{"link": {"entity": {"type": other, "id": number}}}], []) for other, number in sorted(extra)]
    return told


def _place(lead: Row) -> Row:
    return {"id": lead["status_id"], "pipeline_id": lead["pipeline_id"]}


def _values(row: Row) -> dict[int, Any]:
    return {
        one["field_id"]: {"field_id": one["field_id"], "values": one["values"]}
        for one in row["custom_fields_values"] or ()
    }


def _linked(row: Row) -> set[tuple[str, int]]:
    contacts = {("contact", int(one["id"])) for one in row.get("contacts", ())}
    return contacts | ({("company", int(row["company_id"]))} if row.get("company_id") else set())


def _list(call: Call) -> Answer:
    asked = call.filter()
    kinds, entities = _texts(asked.get("type")), {one.rstrip("s") for one in _texts(asked.get("entity"))}
    ids, authors = _few(asked.get("entity_id")), _few(asked.get("created_by"))
    when = asked.get("created_at") if isinstance(asked.get("created_at"), dict) else {}
    first, last = (numbers((when or {}).get(end) or default)[0] for end, default in (("from", 0), ("to", 1 << 62)))
    found = [
        row
        for row in reversed(call.store.events)
        if (not kinds or row["type"] in kinds or _general(row["type"]) in kinds)
        and (not entities or row["entity_type"] in entities)
        and (not ids or row["entity_id"] in ids)
        and (not authors or row["created_by"] in authors)
        and first <= row["created_at"] <= last
    ]
    return paged(call, "events", found, lambda row: _shown(call, row), most=PAGE)


def _general(kind: str) -> str:
    return "custom_field_value_changed" if kind.startswith("custom_field_") else kind


def _texts(given: Any) -> set[str]:
    return {text.strip() for item in items_of(given) for text in str(item).split(",") if text.strip()}


def _few(given: Any) -> set[int]:
    ids = numbers(given, comma=True)
    if len(ids) > MOST_IDS:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"Not more than {MOST_IDS} ids in one filter.")
    return set(ids)


def _shown(call: Call, row: Row) -> Row:
    entity = {"id": row["entity_id"], **self_link(call, _PLURAL[row["entity_type"]], row["entity_id"])}
    return {**row, **self_link(call, "events", row["id"]), "_embedded": {"entity": entity}}


EVENTS = (Route("GET", "events", _list, "events"),)
