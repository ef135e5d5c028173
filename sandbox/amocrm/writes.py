"""What a write does to a row and to those it is linked with; whoever looks on is told by the store's news."""

from typing import Any

from sandbox.amocrm.call import Call
from sandbox.amocrm.drafts import Draft, with_main
from sandbox.amocrm.reference import ACCOUNT_ID, CLOSED, LOST

Row = dict[str, Any]


def create(call: Call, entity: str, draft: Draft, *, row_id: int | None = None) -> Row:
    """Raises ValueError for an id that is taken."""
    if row_id is not None and (row_id in call.store.tables[entity] or row_id in call.store.trash[entity]):
        raise ValueError(f"{entity} {row_id} is taken")
    row = _blank(call, entity, row_id or call.store.new_id(entity))
    if entity == "leads":
        row |= {"contacts": draft.contacts, "company_id": draft.company_id}
    row = _merged(call, entity, row, draft)
    if not row["name"] and entity == "leads":
        row["name"] = f"Сделка #{row['id']}"
    call.store.put(entity, row, by=row["created_by"])
    if call.switches.link_touches == "both":
        for other, other_id in linked_rows(entity, row):
            touch(call, other, other_id)
    return row


def update(call: Call, entity: str, row_id: int, draft: Draft) -> Row:
    """An empty draft bumps `updated_at` as well."""
    held = call.store.tables[entity][row_id]
    bumped = {"updated_at": call.now(), "updated_by": call.author}
    row = _merged(call, entity, held | bumped, draft)
    return call.store.put(entity, row, by=row["updated_by"])


def touch(call: Call, entity: str, row_id: int) -> None:
    """A row changed by what happened to another one."""
    held = call.store.tables[entity][row_id]
    call.store.put(entity, held | {"updated_at": call.now(), "updated_by": call.author}, by=call.author)


def put_links(call: Call, entity: str, row_id: int, changes: Row, others: list[tuple[str, int]]) -> None:
    """New `contacts` or `company_id` of a row, `others` being those at the other end of what changed."""
    held = call.store.tables[entity][row_id]
    if all(held[name] == value for name, value in changes.items()):
        return
    if call.switches.link_touches == "none":
        call.store.put(entity, held | changes)
        return
    changes |= {"updated_at": call.now(), "updated_by": call.author}
    call.store.put(entity, held | changes, by=call.author)
    for other, other_id in others:
        if other_id in call.store.tables[other]:
            touch(call, other, other_id)


def discard(call: Call, entity: str, row_id: int) -> None:
    """As a person deletes: links to the row are gone. Raises KeyError."""
    store = call.store
    if row_id not in store.tables[entity]:
        raise KeyError(row_id)
    for lead in store.linked(entity, row_id, "leads"):
        held = store.tables["leads"][lead]
        changes = (
            {"company_id": None}
            if entity == "companies"
            else {"contacts": with_main([link for link in held["contacts"] if link["id"] != row_id])}
        )
        put_links(call, "leads", lead, changes, [])
    for contact in store.linked(entity, row_id, "contacts"):
        put_links(call, "contacts", contact, {"company_id": None}, [])
    store.discard(entity, row_id, by=call.author)


def restore(call: Call, entity: str, row_id: int) -> Row:
    """Out of the trash; raises KeyError."""
    row = call.store.trash[entity].pop(row_id)
    row |= {"is_deleted": False, "updated_at": call.now(), "updated_by": call.author}
    row |= _surviving(call, entity, row)
    return call.store.put(entity, row, by=call.author, deed="restore")


def linked_rows(entity: str, row: Row) -> list[tuple[str, int]]:
    companies = [("companies", int(row["company_id"]))] if row.get("company_id") else []
    return [("contacts", int(link["id"])) for link in row["contacts"]] + companies if entity == "leads" else companies


def _surviving(call: Call, entity: str, row: Row) -> Row:
    """The links of a restored row whose other ends are still there."""
    tables, links = call.store.tables, Row()
    if entity != "companies":
        links["company_id"] = row["company_id"] if row["company_id"] in tables["companies"] else None
    if entity == "leads":
        links["contacts"] = with_main([link for link in row["contacts"] if link["id"] in tables["contacts"]])
    return links


def _blank(call: Call, entity: str, row_id: int) -> Row:
    now, author = call.now(), call.author
    row: Row = {"id": row_id, "name": ""}
    if entity == "contacts":
        row |= {"first_name": "", "last_name": ""}
    if entity == "leads":
        row |= {"price": 0, "status_id": 0, "pipeline_id": 0, "loss_reason_id": None, "closed_at": None}
        row |= {"score": None, "labor_cost": None}
    row |= {"responsible_user_id": author, "group_id": 0, "created_by": author, "updated_by": author}
    row |= {"created_at": now, "updated_at": now, "closest_task_at": None, "is_deleted": False}
    row |= {} if entity == "companies" else {"is_unsorted": False}
    row |= {"custom_fields_values": None, "account_id": ACCOUNT_ID, "tags": []}
    links: Row = {"company_id": None} if entity != "companies" else {}
    return row | links | ({"contacts": []} if entity == "leads" else {})


def _merged(call: Call, entity: str, row: Row, draft: Draft) -> Row:
    """`row` with the draft in it; unlisted fields keep their values, a listed one loses all it had."""
    values, before = draft.values, row
    row = row | values
    if entity == "contacts" and values.keys() & {"first_name", "last_name"}:
        row["name"] = _full_name(call, row)
    if entity == "leads":
        row |= _closing(call, before, row, values)
    if draft.fields:
        kept = {one["field_id"]: one for one in row["custom_fields_values"] or ()}
        merged = {**kept, **draft.fields}
        row["custom_fields_values"] = [one for one in merged.values() if one is not None] or None
    if draft.tags:
        row["tags"] = _tagged(call, entity, row["tags"], draft.tags)
    return row


def _full_name(call: Call, row: Row) -> str:
    parts = (row["first_name"], row["last_name"])
    ordered = parts if call.switches.contact_name_display_order == 1 else reversed(parts)
    return " ".join(part for part in ordered if part)


def _closing(call: Call, before: Row, row: Row, values: Row) -> Row:
    if row["status_id"] not in CLOSED:
        return {"closed_at": None, "loss_reason_id": None}
    is_moved = before["status_id"] != row["status_id"] or before["pipeline_id"] != row["pipeline_id"]
    closed_at = call.now() if is_moved and values.get("closed_at") is None else row["closed_at"]
    return {"closed_at": closed_at, "loss_reason_id": row["loss_reason_id"] if row["status_id"] == LOST else None}


def _tagged(call: Call, entity: str, held: list[Row], asked: dict[str, list[Row]]) -> list[Row]:
    def read(tag: Row) -> Row | None:
        names = {number: name for name, number in call.store.tags[entity].items()}
        name = tag.get("name") or names.get(tag.get("id") or 0)
        return call.store.tag(entity, str(name)) if name else None

    given = {name: [found for tag in tags if (found := read(tag))] for name, tags in asked.items()}
    if "tags" in given:
        return given["tags"]
    gone = {tag["id"] for tag in given.get("tags_to_delete", ())}
    added = given.get("tags_to_add", ())
    return list({tag["id"]: tag for tag in [*held, *added] if tag["id"] not in gone}.values())
