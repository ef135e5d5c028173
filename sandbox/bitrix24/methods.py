"""The methods of the portal, one table at the end: name → function, scope, what the journal calls it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.bitrix24 import entities, users
from sandbox.bitrix24.entities import CONTACTS, DEALS, Entity
from sandbox.bitrix24.errors import access_denied, bad_id, not_array, not_found, nothing_to_delete
from sandbox.bitrix24.listing import Result, as_map, list_rows
from sandbox.bitrix24.moments import printed
from sandbox.bitrix24.php import items_of
from sandbox.bitrix24.productrows import opportunity
from sandbox.bitrix24.stages import categories, statuses
from sandbox.bitrix24.values import to_int
from sandbox.wire import Kind

if TYPE_CHECKING:
    from sandbox.bitrix24.portal import Portal
    from sandbox.bitrix24.table import Row

Params = dict[str, Any]
Run = Callable[["Portal", Params], Result]


@dataclass(frozen=True, slots=True)
class Method:
    """`scope` empty means basic: every webhook may call it."""

    run: Run
    scope: str
    kind: Kind
    entity: str = ""


def _row(portal: "Portal", entity: Entity, params: Params) -> "Row":
    row_id = to_int(params.get("id"))
    if row_id <= 0:
        raise bad_id()
    row = portal.tables[entity.name].rows.get(row_id)
    if row is None:
        raise not_found()
    if not portal.is_readable(row):
        raise access_denied()
    return row


def _fields_param(params: Params) -> dict[str, Any]:
    fields = params.get("fields")
    if fields == []:
        return {}
    if not isinstance(fields, dict):
        raise not_array("fields")
    return fields


def _list(entity: Entity) -> Run:
    def run(portal: "Portal", params: Params) -> Result:
        return list_rows(portal.tables[entity.name], params, portal.switches, is_visible=portal.is_listed())

    return run


def _get(entity: Entity) -> Run:
    return lambda portal, params: Result(portal.tables[entity.name].shown(_row(portal, entity, params)))


def _fields(entity: Entity) -> Run:
    return lambda _portal, _params: Result({code: field.described() for code, field in entity.schema.items()})


def _add(entity: Entity) -> Run:
    def run(portal: "Portal", params: Params) -> Result:
        is_import = as_map(params, "params").get("IMPORT") == "Y"
        table, fields = portal.tables[entity.name], _fields_param(params)
        return Result(entities.add(entity, table, fields, portal.context(), is_import=is_import).id)

    return run


def _update(entity: Entity) -> Run:
    def run(portal: "Portal", params: Params) -> Result:
        row = _row(portal, entity, params)
        entities.update(entity, row, _fields_param(params), portal.context())
        return Result(value=True)

    return run


def _delete(entity: Entity) -> Run:
    def run(portal: "Portal", params: Params) -> Result:
        row_id = to_int(params.get("id"))
        if row_id <= 0:
            raise bad_id()
        try:
            portal.remove(entity, row_id)
        except KeyError as error:
            raise nothing_to_delete() from error
        return Result(value=True)

    return run


def _productrows_get(portal: "Portal", params: Params) -> Result:
    return Result(portal.product_rows.get(_row(portal, DEALS, params).id, []))


def _productrows_set(portal: "Portal", params: Params) -> Result:
    deal = _row(portal, DEALS, params)
    given = [row for row in items_of(params.get("rows")) if isinstance(row, dict)]
    rows = [portal.product_row(row, deal.id) for row in given]
    portal.product_rows[deal.id] = rows
    if deal.values.get("IS_MANUAL_OPPORTUNITY") != "Y":
        deal.put("OPPORTUNITY", opportunity(rows))
    if portal.switches.productrows_touch:
        entities.touch(deal, portal.context())
    return Result(value=True)


def _user_get(portal: "Portal", params: Params) -> Result:
    wanted = as_map(params, "filter") | ({"ID": params["id"]} if "id" in params else {})
    order = {str(params.get("sort") or "ID"): str(params.get("order") or "ASC")}
    asked = {**params, "filter": wanted, "order": order}
    return list_rows(portal.tables["user"], asked, portal.switches, is_visible=lambda row: row.id != users.HIDDEN_USER)


def _user_current(portal: "Portal", _params: Params) -> Result:
    return Result(portal.tables["user"].shown(portal.owner()))


def _profile(portal: "Portal", _params: Params) -> Result:
    owner = portal.owner()
    return Result(
        {
            "ID": str(owner.id),
            "ADMIN": True,
            "NAME": owner.values["NAME"],
            "LAST_NAME": owner.values["LAST_NAME"],
            "PERSONAL_GENDER": "",
            "TIME_ZONE": "",
        }
    )


def _scope(portal: "Portal", _params: Params) -> Result:
    return Result(list(portal.switches.scopes))


def _server_time(portal: "Portal", _params: Params) -> Result:
    return Result(printed(portal.clock.now(), portal.switches.server_offset))


def _status_list(_portal: "Portal", params: Params) -> Result:
    wanted = {code.removeprefix("="): value for code, value in as_map(params, "filter").items()}
    rows = [row for row in statuses() if all(row.get(code) == value for code, value in wanted.items())]
    return Result(rows, total=len(rows))


def _category_list(_portal: "Portal", _params: Params) -> Result:
    rows = categories()
    return Result({"categories": rows}, total=len(rows))


def _classic(entity: Entity) -> dict[str, Method]:
    verbs: dict[str, tuple[Callable[[Entity], Run], Kind]] = {
        "list": (_list, "read"),
        "get": (_get, "read"),
        "fields": (_fields, "other"),
        "add": (_add, "write"),
        "update": (_update, "write"),
        "delete": (_delete, "write"),
    }
    return {
        f"crm.{entity.name}.{verb}": Method(make(entity), "crm", kind, entity.name)
        for verb, (make, kind) in verbs.items()
    }


METHODS: dict[str, Method] = {
    **_classic(CONTACTS),
    **_classic(DEALS),
    "crm.deal.productrows.get": Method(_productrows_get, "crm", "read", "deal"),
    "crm.deal.productrows.set": Method(_productrows_set, "crm", "write", "deal"),
    "crm.status.list": Method(_status_list, "crm", "other"),
    "crm.category.list": Method(_category_list, "crm", "other"),
    "user.get": Method(_user_get, "user", "read", "user"),
    "user.current": Method(_user_current, "user", "other", "user"),
    "profile": Method(_profile, "", "other"),
    "scope": Method(_scope, "", "other"),
    "server.time": Method(_server_time, "", "other"),
}
