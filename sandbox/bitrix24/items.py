"""`crm.item.*` for deals, contacts and companies: the current methods, over the same rows (facts/bitrix24.md §7.4)."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from sandbox.bitrix24 import writes
from sandbox.bitrix24.entities import COMPANIES, ENTITIES, Entity
from sandbox.bitrix24.errors import Refusal, bad_argument, no_element, no_such_type
from sandbox.bitrix24.files import whole_set
from sandbox.bitrix24.itemfilters import compile_item_filter, item_order
from sandbox.bitrix24.itemnames import NAMES, upper
from sandbox.bitrix24.itemviews import MULTIFIELDS, item
from sandbox.bitrix24.listing import Result, as_map, matches, ordered, page
from sandbox.bitrix24.method import Method, Params, fields_of
from sandbox.bitrix24.multifields import merged
from sandbox.bitrix24.php import items_of
from sandbox.bitrix24.values import to_int

if TYPE_CHECKING:
    from sandbox.bitrix24.portal import Portal
    from sandbox.bitrix24.table import Row

TYPES = {entity.type_id: entity for entity in ENTITIES.values()}
UNWRITABLE = ("contacts", "companies")

Values = dict[str, Any]


def entity_of(params: Params) -> Entity:
    """Raises Refusal."""
    entity = TYPES.get(to_int(params.get("entitytypeid")))
    if entity is None:
        raise no_such_type()
    return entity


def _row(portal: "Portal", entity: Entity, params: Params) -> "Row":
    row = portal.store.table(entity).rows.get(to_int(params.get("id")))
    if row is None:
        raise no_element()
    if not portal.is_readable(row):
        raise Refusal(HTTPStatus.BAD_REQUEST, "ACCESS_DENIED", "Access denied")
    return row


def _is_original(params: Params) -> bool:
    return params.get("useoriginalufnames") in ("Y", "y", True, "true", 1, "1")


def _shown(portal: "Portal", entity: Entity, row: "Row", params: Params) -> Result:
    shown = item(portal.store, entity, row, None, original_names=_is_original(params))
    return Result({"item": shown}, key=str(row.id))


def _list(portal: "Portal", params: Params) -> Result:
    entity = entity_of(params)
    table, wanted = portal.store.table(entity), _wanted(entity, params)
    chosen = compile_item_filter(entity, table, as_map(params, "filter"), portal.switches)
    order = item_order(entity, as_map(params, "order"))
    rows = ordered(table, matches(table, chosen, portal.is_listed()), order)
    is_original = _is_original(params)
    found = page(
        rows,
        params,
        portal.switches,
        show=lambda row: item(portal.store, entity, row, wanted, original_names=is_original),
    )
    return Result({"items": found.value}, found.total, found.next)


def _wanted(entity: Entity, params: Params) -> set[str] | None:
    """What `select` names, None for everything; what it does not know is dropped."""
    names = [str(name) for name in items_of(params.get("select"))]
    if not names or "*" in names:
        return None
    codes = NAMES[entity.name].code_of
    return {codes.get(name, name) for name in names}


def _get(portal: "Portal", params: Params) -> Result:
    entity = entity_of(params)
    return _shown(portal, entity, _row(portal, entity, params), params)


def _add(portal: "Portal", params: Params) -> Result:
    entity, context = entity_of(params), portal.context()
    row = writes.add(entity, _accepted(entity, fields_of(params), {}, context, is_new=True), context)
    if not row.values.get(entity.name_field):
        row.put(entity.name_field, f"{entity.label} #{row.id}")
    return _shown(portal, entity, row, params)


def _update(portal: "Portal", params: Params) -> Result:
    """Nothing is saved, and nobody told, when nothing changes."""
    entity, context = entity_of(params), portal.context()
    row, fields = _row(portal, entity, params), fields_of(params)
    if "id" in fields:
        text = "Setting value for Primary ID is not allowed, it is read-only field"
        raise Refusal(HTTPStatus.BAD_REQUEST, "", text)
    values = _accepted(entity, fields, row.values, context, is_new=False)
    if values.get("CATEGORY_ID") not in (None, row.values.get("CATEGORY_ID")):
        values.setdefault("STAGE_ID", "NEW")
    writes.update(entity, row, values, context, touches=False)
    return _shown(portal, entity, row, params)


def _delete(portal: "Portal", params: Params) -> Result:
    entity = entity_of(params)
    writes.remove(entity, _row(portal, entity, params).id, portal.context())
    return Result([])


def _fields(_portal: "Portal", params: Params) -> Result:
    entity, is_original = entity_of(params), _is_original(params)
    described = {}
    for code, name in NAMES[entity.name].name_of.items():
        field = entity.schema[code]
        upper_name = code if field.is_custom else upper(name)
        shown = code if is_original and field.is_custom else name
        is_fixed = field.is_immutable and code != "CATEGORY_ID"
        described[shown] = field.described() | {"upperName": upper_name, "isImmutable": is_fixed}
    return Result({"fields": described})


def _accepted(entity: Entity, fields: Values, held: Values, context: writes.Context, *, is_new: bool) -> Values:
    """Named fields in classic codes and stored form; unknown names are ignored. Raises Refusal."""
    names = NAMES[entity.name]
    classic: Values = {}
    taken: Values = {}
    for name, value in fields.items():
        code = names.code_of.get(name)
        if name in UNWRITABLE:
            raise bad_argument(f"field {name} cannot be written")
        if name == names.whole_set[0]:
            classic[names.whole_set[1]] = _iterable(value)
        elif name == "fm" and "PHONE" in entity.schema:
            taken |= _contact_details(value, held, context)
        elif code is not None and entity.schema[code].family == "file":
            field = entity.schema[code]
            sent = _iterable(value) if field.is_multiple else value
            taken[code] = whole_set(field, held.get(code), sent, context.next_file_id)
        elif code is not None and not _is_kept(entity, code, value, context):
            classic[code] = _iterable(value) if entity.schema[code].is_multiple else value
    pipeline = {"CATEGORY_ID": str(to_int(classic.pop("CATEGORY_ID")))} if "CATEGORY_ID" in classic else {}
    return writes.accepted(entity, classic, None if is_new else held, context) | taken | pipeline


def _is_kept(entity: Entity, code: str, value: Any, context: writes.Context) -> bool:
    """The vendor's bugs: `[]` does not clear a list of options, and nothing may clear a field of a company."""
    field, switches = entity.schema[code], context.switches
    if items_of(value):
        return False
    is_list = field.is_multiple and field.family == "option"
    return (is_list and not switches.item_clears_multiple_enum) or (
        entity is COMPANIES and not switches.item_clears_company
    )


def _iterable(value: Any) -> Any:
    if value is None or isinstance(value, list | dict) or value == "":
        return value
    raise bad_argument(f"Expected iterable value for multiple field, but got `{_php_type(value)}` instead")


def _php_type(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "double"}
    return names.get(type(value), "string")


def _contact_details(given: Any, held: Values, context: writes.Context) -> Values:
    """`fm`: keys that are ids change or delete, others add; an array only adds; without `typeId` nothing happens."""
    known = {one["ID"] for code in MULTIFIELDS for one in held.get(code, ())}
    sent: dict[str, list[Values]] = {}
    for key, one in given.items() if isinstance(given, dict) else [("", one) for one in items_of(given)]:
        code = one.get("typeId") if isinstance(one, dict) else None
        if code in MULTIFIELDS:
            item_id = key if key in known else ""
            line = {"ID": item_id, "VALUE": one.get("value"), "VALUE_TYPE": one.get("valueType")}
            sent.setdefault(str(code), []).append(line)
    return {
        code: merged(code, held.get(code, []), lines, context.next_multifield_id) or None
        for code, lines in sent.items()
    }


ITEMS = {
    "crm.item.list": Method(_list, "crm", "read"),
    "crm.item.get": Method(_get, "crm", "read"),
    "crm.item.add": Method(_add, "crm", "write"),
    "crm.item.update": Method(_update, "crm", "write"),
    "crm.item.delete": Method(_delete, "crm", "write"),
    "crm.item.fields": Method(_fields, "crm", "other"),
}
