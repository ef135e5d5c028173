"""A row as `crm.item.*` shows it: numbers as numbers, 0 for no reference, contact details in `fm` (§7.4)."""

from collections.abc import Callable, Collection
from typing import Any

from sandbox.bitrix24.entities import DEALS, Entity
from sandbox.bitrix24.fields import REFERENCES, Field
from sandbox.bitrix24.files import as_item
from sandbox.bitrix24.itemnames import NAMES
from sandbox.bitrix24.php import items_of
from sandbox.bitrix24.store import Store
from sandbox.bitrix24.table import Row
from sandbox.bitrix24.values import COMPARABLE, to_int

MULTIFIELDS = ("PHONE", "EMAIL", "WEB", "IM", "LINK")
FIRST_VALUES = {"phone": "PHONE", "email": "EMAIL"}


def item(
    store: Store, entity: Entity, row: Row, wanted: Collection[str] | None, *, original_names: bool
) -> dict[str, Any]:
    """`wanted` are classic codes and names of what has no code; None is everything, and only then comes `fm`."""
    shown: dict[str, Any] = {}
    for code, name in NAMES[entity.name].name_of.items():
        if wanted is None or code in wanted:
            field = entity.schema[code]
            name = code if original_names and field.is_custom else name  # noqa: PLW2901
            shown[name] = row.id if code == "ID" else typed(field, row.values.get(code))
    for name, compute in _COMPUTED.items():
        if wanted is None or name in wanted:
            value = compute(store, entity, row)
            if value is not None:
                shown[name] = value
    if wanted is None:
        shown |= {"observers": [], "webformId": 0, "entityTypeId": entity.type_id}
        if entity is not DEALS:
            shown["fm"] = _contact_details(row)
    return shown


def typed(field: Field, value: Any) -> Any:
    """A stored value, in whatever odd shape a person left it, as this API prints it."""
    show = _TYPED.get(field.family, _text)
    if field.is_multiple:
        return [show(field, one) for one in items_of(value)]
    return show(field, value)


def _integer(field: Field, value: Any) -> int | None:
    if value in (None, "") and field.type not in REFERENCES:
        return None
    return to_int(value)


def _number(_field: Field, value: Any) -> float | int:
    number = float(COMPARABLE["number"](value, ""))
    return int(number) if number.is_integer() else number


def _yes_or_no(_field: Field, value: Any) -> str:
    return "Y" if value in (True, 1, "1", "Y") else "N"


def _text(field: Field, value: Any) -> Any:
    if value is None or value is False:
        return "" if field.is_custom else None
    return value


def _option(_field: Field, value: Any) -> int | None:
    return to_int(value) or None


def _file(field: Field, value: Any) -> Any:
    if not isinstance(value, dict):
        return None
    return as_item(value) if field.is_custom else value["id"]


_TYPED: dict[str, Callable[[Field, Any], Any]] = {
    "int": _integer,
    "number": _number,
    "flag": _yes_or_no,
    "bool": _yes_or_no,
    "moment": lambda _field, value: value or None,
    "day": lambda _field, value: value or None,
    "option": _option,
    "file": _file,
}


def _contact_details(row: Row) -> list[dict[str, Any]]:
    return [
        {"id": to_int(one["ID"]), "valueType": one["VALUE_TYPE"], "value": one["VALUE"], "typeId": code}
        for code in MULTIFIELDS
        for one in row.values.get(code, ())
    ]


def _first(code: str) -> Callable[[Store, Entity, Row], str | None]:
    def compute(_store: Store, entity: Entity, row: Row) -> str | None:
        if code not in entity.schema:
            return None
        return next((str(one["VALUE"]) for one in row.values.get(code, ())), "")

    return compute


def _contacts(store: Store, entity: Entity, row: Row) -> list[int] | None:
    sides = {"deal": store.contacts_of_deals.near, "company": store.companies_of_contacts.far}
    return sides[entity.name].others(row.id) if entity.name in sides else None


def _companies(store: Store, entity: Entity, row: Row) -> list[int] | None:
    return store.companies_of_contacts.near.others(row.id) if entity.name == "contact" else None


_COMPUTED: dict[str, Callable[[Store, Entity, Row], Any]] = {
    **{name: _first(code) for name, code in FIRST_VALUES.items()},
    "contactIds": _contacts,
    "companyIds": _companies,
}
