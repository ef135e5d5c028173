"""What webhooks tell (facts/amocrm.md §14): rows in the old layout, and PHP's way of nesting them into a form."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from sandbox.amocrm.reference import ACCOUNT_ID, SINGULAR
from sandbox.amocrm.store import News, Store
from sandbox.amocrm.switches import Switches
from sandbox.amocrm.values import DATES

Row = dict[str, Any]

ELEMENT_TYPES = {"contacts": 1, "leads": 2, "companies": 3}
DEEDS = {"add": "add", "update": "update", "delete": "delete", "restore": "restore", "merge": "update"}
_OF_ENTITIES = ("add", "update", "delete", "restore", "responsible", "note")
SETTINGS = (
    *(f"{deed}_{name}" for deed in _OF_ENTITIES for name in ("lead", "contact", "company")),
    "status_lead",
    *(f"{deed}_customer" for deed in ("add", "update", "delete", "responsible", "note")),
    *(f"{deed}_task" for deed in ("add", "update", "delete", "responsible")),
    *(f"{deed}_unsorted" for deed in ("add", "update", "delete")),
    "add_message",
    "add_talk",
    "update_talk",
)


@dataclass(frozen=True, slots=True)
class Item:
    """One event for whoever set `setting`: `top[deed][n]` holds `fields`; a scalar for the odd form of deletions."""

    setting: str
    top: str
    deed: str
    fields: Any


def items_of_news(news: News, store: Store, switches: Switches) -> list[Item]:
    if news.entity == "notes":
        return _of_note(news, store, switches)
    if news.entity == "tasks":
        return _of_task(news)
    name, top = SINGULAR[news.entity], _top(news.entity, switches)
    deed, row = DEEDS[news.deed], news.after or news.before or {}
    if deed == "delete":
        return [Item(f"delete_{name}", top, deed, _deleted(news.entity, row, switches))]
    fields = _fields(news.entity, row, store, switches)
    items = [Item(f"{deed}_{name}", top, deed, fields)]
    if deed != "update" or news.before is None:
        return items
    before = news.before
    if before["responsible_user_id"] != row["responsible_user_id"]:
        old = {"old_responsible_user_id": before["responsible_user_id"]}
        items.append(Item(f"responsible_{name}", top, "responsible", fields | old))
    if news.entity == "leads" and _place(before) != _place(row):
        items.append(Item("status_lead", top, "status", _moved(fields, before, switches)))
    return items


def _top(entity: str, switches: Switches) -> str:
    return "contacts" if entity == "companies" and switches.hook_companies == "under_contacts" else entity


def _place(lead: Row) -> tuple[int, int]:
    return lead["pipeline_id"], lead["status_id"]


def _deleted(entity: str, row: Row, switches: Switches) -> Any:
    if switches.hook_delete == "scalar":
        return row["id"]
    more = {"status_id": row["status_id"], "pipeline_id": row["pipeline_id"]} if entity == "leads" else {}
    return {"id": row["id"], **more, **({"type": SINGULAR[entity]} if switches.hook_delete_type else {})}


def _moved(fields: Row, before: Row, switches: Switches) -> Row:
    moved = fields | {"old_status_id": before["status_id"], "old_pipeline_id": before["pipeline_id"]}
    if not switches.hook_status_pipeline:
        del moved["pipeline_id"], moved["old_pipeline_id"]
    return moved


def _fields(entity: str, row: Row, store: Store, switches: Switches) -> Row:
    fields: Row = {"id": row["id"], "name": row["name"]}
    if entity == "leads":
        fields |= {name: row[name] for name in ("status_id", "pipeline_id", "price")}
    fields |= {
        "responsible_user_id": row["responsible_user_id"],
        "date_create": row["created_at"],
        "last_modified": row["updated_at"],
        "created_user_id": row["created_by"],
        "modified_user_id": row["updated_by"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "account_id": ACCOUNT_ID,
    }
    if row["tags"]:
        fields["tags"] = [{"id": tag["id"], "name": tag["name"]} for tag in row["tags"]]
    if row["custom_fields_values"]:
        fields["custom_fields"] = [_custom(one, switches) for one in row["custom_fields_values"]]
    if entity == "leads":
        return fields
    leads = store.linked(entity, row["id"], "leads")
    company = store.tables["companies"].get(row.get("company_id") or 0)
    named = {"company_name": company["name"], "linked_company_id": company["id"]} if company else {}
    return fields | {"type": SINGULAR[entity]} | named | {"linked_leads_id": {lead: {"ID": lead} for lead in leads}}


def _custom(one: Row, switches: Switches) -> Row:
    values = [_value(value, one["field_type"], switches) for value in one["values"]]
    code = {"code": one["field_code"]} if one["field_code"] else {}
    return {"id": one["field_id"], "name": one["field_name"], **code, "values": values}


def _value(value: Row, kind: str, switches: Switches) -> Any:
    if kind in DATES and switches.hook_dates != "value":
        if switches.hook_dates == "scalar":
            return value["value"]
        local = datetime.fromtimestamp(value["value"], UTC).astimezone(ZoneInfo(switches.timezone))
        return {"value": local.strftime("%d.%m.%Y")}
    return {"value": value["value"], **({"enum": value["enum_id"]} if value.get("enum_id") else {})}


def _of_note(news: News, store: Store, switches: Switches) -> list[Item]:
    """Only new notes of entities that are there."""
    row = news.after or {}
    if news.deed != "add" or row["entity_id"] not in store.tables[row["entity_type"]]:
        return []
    note: Row = {
        "id": row["id"],
        "element_id": row["entity_id"],
        "element_type": ELEMENT_TYPES[row["entity_type"]],
        "note_type": row["note_type"],
        "text": row["params"].get("text", ""),
        "created_by": row["created_by"],
        "modified_by": row["updated_by"],
        "date_create": datetime.fromtimestamp(row["created_at"], UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "responsible_user_id": row["responsible_user_id"],
        "account_id": ACCOUNT_ID,
    }
    if switches.hook_odd_keys:
        note |= {"type": 4, "type][message_uuid": "00000000-0000-4000-8000-00000000f00d"}
    setting = f"note_{SINGULAR[row['entity_type']]}"
    return [Item(setting, _top(row["entity_type"], switches), "note", {"note": note})]


def _of_task(news: News) -> list[Item]:
    row = news.after or {}
    fields = {
        "id": row["id"],
        "element_id": row["entity_id"],
        "element_type": ELEMENT_TYPES.get(row["entity_type"]),
        "task_type": row["task_type_id"],
        "text": row["text"],
        "status": int(row["is_completed"]),
        "complete_till": row["complete_till"],
        "responsible_user_id": row["responsible_user_id"],
        "created_user_id": row["created_by"],
        "account_id": ACCOUNT_ID,
    }
    items = [Item(f"{DEEDS[news.deed]}_task", "task", DEEDS[news.deed], fields)]
    if news.before and news.before["responsible_user_id"] != row["responsible_user_id"]:
        old = {"old_responsible_user_id": news.before["responsible_user_id"]}
        items.append(Item("responsible_task", "task", "responsible", fields | old))
    return items


def encoded(items: list[Item], switches: Switches, origin: str) -> str:
    """The body of one POST."""
    pairs: list[tuple[str, str]] = []
    counts: Counter[tuple[str, str]] = Counter()
    for item in items:
        if isinstance(item.fields, dict):
            pairs += _flat(f"{item.top}[{item.deed}][{counts[item.top, item.deed]}]", item.fields)
            counts[item.top, item.deed] += 1
        else:
            pairs += _flat(f"{item.top}[{item.deed}]", item.fields)
    account = {"subdomain": switches.subdomain, "id": ACCOUNT_ID, "_links": {"self": origin}}
    return urlencode(pairs + _flat("account", account))


def _flat(prefix: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [pair for name, item in items for pair in _flat(f"{prefix}[{name}]", item)]
    if isinstance(value, bool):
        return [(prefix, "1" if value else "0")]
    return [(prefix, "" if value is None else str(value))]
