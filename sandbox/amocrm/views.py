"""Rows as the API shows them (facts/amocrm.md §6 to §8): links under `_embedded`, and what `with` asks for."""

from typing import Any

from sandbox.amocrm.call import Call
from sandbox.amocrm.reference import LOSS_REASONS

Row = dict[str, Any]
_KEPT_BELOW = {"tags", "contacts", "company_id"}


def self_link(call: Call, entity: str, row_id: Any) -> dict[str, Any]:
    return {"_links": call.link(f"{entity}/{row_id}")}


def shown(call: Call, entity: str, row: Row) -> Row:
    plain = {name: value for name, value in row.items() if name not in _KEPT_BELOW}
    if entity == "leads":
        plain |= _price(row)
    return {**plain, **self_link(call, entity, row["id"]), "_embedded": _embedded(call, entity, row)}


def shown_deleted(call: Call, entity: str, row: Row) -> Row:
    told = {name: row[name] for name in ("id", "updated_by", "updated_at")}
    return {**told, "is_deleted": True, **self_link(call, entity, row["id"])}


def _price(row: Row) -> Row:
    return {"price": int(row["price"]), "price_with_minor_units": row["price"]}


def _embedded(call: Call, entity: str, row: Row) -> Row:
    withs = call.withs()
    embedded: Row = {"tags": row["tags"]}
    if entity != "companies":
        company = row["company_id"]
        embedded["companies"] = [{"id": company, **self_link(call, "companies", company)}] if company else []
    if entity == "leads":
        return embedded | _of_lead(call, row, withs)
    for other in (other for other in ("leads", "contacts") if other in withs and other != entity):
        ids = call.store.linked(entity, row["id"], other)
        embedded[other] = [{"id": one, **self_link(call, other, one)} for one in ids]
    return embedded | {name: [] for name in ("customers", "catalog_elements") if name in withs}


def _of_lead(call: Call, row: Row, withs: set[str]) -> Row:
    embedded: Row = {}
    if "contacts" in withs:
        embedded["contacts"] = [{**link, **self_link(call, "contacts", link["id"])} for link in row["contacts"]]
    if "loss_reason" in withs:
        reason = row["loss_reason_id"]
        embedded["loss_reason"] = [{"id": reason, "name": LOSS_REASONS[reason]}] if reason else []
    return embedded | ({"catalog_elements": []} if "catalog_elements" in withs else {})
