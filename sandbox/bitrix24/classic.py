"""`crm.{contact,company,deal}.*` and product rows: marked deprecated by the vendor, used by everybody (§6.1, §7.2)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from sandbox.bitrix24 import writes
from sandbox.bitrix24.entities import COMPANIES, CONTACTS, DEALS, Entity
from sandbox.bitrix24.errors import bad_id, company_not_found, nothing_to_delete
from sandbox.bitrix24.listing import Result, as_map, list_rows
from sandbox.bitrix24.method import Method, Params, Run, fields_of, row_of
from sandbox.bitrix24.php import items_of
from sandbox.bitrix24.productrows import opportunity
from sandbox.bitrix24.values import to_int
from sandbox.wire import Kind

if TYPE_CHECKING:
    from sandbox.bitrix24.portal import Portal


def _list(entity: Entity) -> Run:
    def run(portal: "Portal", params: Params) -> Result:
        return list_rows(portal.store.table(entity), params, portal.switches, is_visible=portal.is_listed())

    return run


def _get(entity: Entity) -> Run:
    return lambda portal, params: Result(portal.store.table(entity).shown(row_of(portal, entity, params)))


def _fields(entity: Entity) -> Run:
    return lambda _portal, _params: Result({code: field.described() for code, field in entity.schema.items()})


def _add(entity: Entity) -> Run:
    def run(portal: "Portal", params: Params) -> Result:
        context, is_import = portal.context(), as_map(params, "params").get("IMPORT") == "Y"
        values = writes.accepted(entity, fields_of(params), None, context, is_import=is_import)
        row = writes.add(entity, values, context)
        return Result(row.id, key=str(row.id))

    return run


def _update(entity: Entity) -> Run:
    def run(portal: "Portal", params: Params) -> Result:
        context, row = portal.context(), row_of(portal, entity, params)
        values = writes.accepted(entity, fields_of(params), row.values, context)
        writes.update(entity, row, values, context, touches=portal.switches.noop_update_touches)
        return Result(value=True)

    return run


def _delete(entity: Entity) -> Run:
    def run(portal: "Portal", params: Params) -> Result:
        row_id = to_int(params.get("id"))
        if row_id <= 0:
            raise bad_id()
        try:
            writes.remove(entity, row_id, portal.context())
        except KeyError as error:
            raise (company_not_found() if entity is COMPANIES else nothing_to_delete()) from error
        return Result(value=True)

    return run


def _productrows_get(portal: "Portal", params: Params) -> Result:
    return Result(portal.store.product_rows.get(row_of(portal, DEALS, params).id, []))


def _productrows_set(portal: "Portal", params: Params) -> Result:
    deal = row_of(portal, DEALS, params)
    given = [row for row in items_of(params.get("rows")) if isinstance(row, dict)]
    rows = [portal.product_row(row, deal.id) for row in given]
    portal.store.put_product_rows(deal.id, rows)
    if deal.values.get("IS_MANUAL_OPPORTUNITY") != "Y":
        deal.put("OPPORTUNITY", opportunity(rows))
    if portal.switches.productrows_touch:
        writes.touch(deal, portal.context())
    return Result(value=True)


VERBS: dict[str, tuple[Callable[[Entity], Run], Kind]] = {
    "list": (_list, "read"),
    "get": (_get, "read"),
    "fields": (_fields, "other"),
    "add": (_add, "write"),
    "update": (_update, "write"),
    "delete": (_delete, "write"),
}
CLASSIC = {
    f"crm.{entity.name}.{verb}": Method(make(entity), "crm", kind, entity.name)
    for entity in (CONTACTS, COMPANIES, DEALS)
    for verb, (make, kind) in VERBS.items()
} | {
    "crm.deal.productrows.get": Method(_productrows_get, "crm", "read", "deal"),
    "crm.deal.productrows.set": Method(_productrows_set, "crm", "write", "deal"),
}
