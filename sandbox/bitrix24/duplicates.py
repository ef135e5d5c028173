"""`crm.duplicate.findbycomm` and `crm.entity.mergebatch` (facts/bitrix24.md §9)."""

import re
from typing import TYPE_CHECKING

from sandbox.bitrix24.entities import COMPANIES, CONTACTS, Entity
from sandbox.bitrix24.errors import phrase
from sandbox.bitrix24.listing import Result, as_map
from sandbox.bitrix24.merging import conflicts, merge
from sandbox.bitrix24.method import Method, Params
from sandbox.bitrix24.php import items_of
from sandbox.bitrix24.values import to_int

if TYPE_CHECKING:
    from sandbox.bitrix24.portal import Portal

SEARCHED = {"CONTACT": CONTACTS, "COMPANY": COMPANIES}
KINDS = ("PHONE", "EMAIL")
MOST_VALUES = 20
# So many hits of one kind of entity keep the kinds after it out of the answer.
MANY = 20
LEAST_MERGED = 2

_EXTENSION = re.compile(r"\s*(?:доб|ext|[;,#]).*", re.IGNORECASE | re.DOTALL)


def _find(portal: "Portal", params: Params) -> Result:
    kind, values = params.get("type"), items_of(params.get("values"))
    if not kind:
        raise phrase("Communication type is not defined", "Parameter 'type' is required.")
    if kind not in KINDS:
        raise phrase(f"Communication type '{kind}' is not supported in current context", "")
    if not values:
        raise phrase("Communication values is not defined", "Parameter 'values' is required.")
    wanted = {_normal(portal, str(kind), str(value)) for value in values[:MOST_VALUES]} - {""}
    asked = params.get("entity_type")
    found: dict[str, list[int]] = {}
    for name, entity in SEARCHED.items():
        if asked in (None, "", name):
            found[name] = _holders(portal, entity, str(kind), wanted)
        if len(found.get(name, ())) >= MANY:
            break
    return Result({name: ids for name, ids in found.items() if ids} or [])


def _holders(portal: "Portal", entity: Entity, kind: str, wanted: set[str]) -> list[int]:
    table = portal.store.table(entity)
    return [
        row_id
        for row_id in table.ids
        if any(_normal(portal, kind, str(one["VALUE"])) in wanted for one in table.rows[row_id].values.get(kind, ()))
    ]


def _normal(portal: "Portal", kind: str, value: str) -> str:
    """Numbers are compared without their extension, and by their digits unless switched to the letter."""
    if kind == "EMAIL":
        return value.strip().casefold()
    number = _EXTENSION.sub("", value)
    return re.sub(r"\D", "", number) if portal.switches.duplicate_phones == "digits" else number.strip()


def _merge_batch(portal: "Portal", params: Params) -> Result:
    """Into the first id; when two filled fields differ, nothing happens and the status is CONFLICT."""
    given = as_map(params, "params")
    ids = [to_int(item) for item in items_of(given.get("entityIds"))]
    if not given.get("entityTypeId"):
        raise phrase("0", "The parameter entityTypeId is required.")
    if to_int(given["entityTypeId"]) != CONTACTS.type_id:
        raise phrase("0", f"Entity type {given['entityTypeId']} is not supported")
    rows = portal.store.table(CONTACTS).rows
    if not all(row_id in rows for row_id in ids):
        raise phrase("0", "Owner was not found")
    if len(set(ids)) < LEAST_MERGED:
        raise phrase("0", "The parameter entityIds must contains at least two elements.")
    winner, *losers = dict.fromkeys(ids)
    if any(conflicts(rows[loser], rows[winner]) for loser in losers):
        return Result({"STATUS": "CONFLICT", "ENTITY_IDS": []})
    for loser in losers:
        merge(loser, winner, portal.context())
    return Result({"STATUS": "SUCCESS", "ENTITY_IDS": losers})


DUPLICATES = {
    "crm.duplicate.findbycomm": Method(_find, "crm", "read"),
    "crm.entity.mergebatch": Method(_merge_batch, "crm", "write", "contact"),
}
