"""Values of custom fields (facts/amocrm.md §10): each type's shape on write, and the one in which it is read again."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.amocrm.refusal import Wrong

Row = dict[str, Any]
Read = Callable[[Row, Row, ZoneInfo], Row]

ADDRESS_PARTS = ("address_line_1", "address_line_2", "city", "state", "zip", "country")
SEVERAL = {"multitext", "multiselect", "smart_address"}
DATES = {"date", "date_time", "birthday"}
ENTITY_TYPES = (1, 2)
LATEST = 1 << 35


def accepted(field: Row, given: Any, zone: ZoneInfo) -> list[Row] | None:
    """The values as they are stored, None for a field that is cleared; raises Wrong with a path below `values`."""
    if given is None or given == []:
        return None
    if not isinstance(given, list):
        raise Wrong("InvalidType")
    if len(given) > 1 and field["type"] not in SEVERAL:
        raise Wrong("InvalidCount")
    stored: list[Row] = []
    for index, value in enumerate(given):
        if not isinstance(value, dict):
            raise Wrong("InvalidType", index)
        try:
            stored.append(READERS[field["type"]](field, value, zone))
        except Wrong as wrong:
            raise wrong.within(index) from None
    return [value for value in stored if value["value"] not in ("", None)] or None


def _text(_field: Row, given: Row, _zone: ZoneInfo) -> Row:
    value = _present(given)
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        raise Wrong("InvalidType", "value")
    return {"value": "" if value is None else str(value)}


def _number(field: Row, given: Row, zone: ZoneInfo) -> Row:
    text = _text(field, given, zone)["value"]
    try:
        if text and not math.isfinite(Decimal(text)):
            raise Wrong("InvalidType", "value")
    except InvalidOperation:
        raise Wrong("InvalidType", "value") from None
    return {"value": text}


def _checkbox(_field: Row, given: Row, _zone: ZoneInfo) -> Row:
    if not isinstance(value := _present(given), bool):
        raise Wrong("InvalidType", "value")
    return {"value": value}


def _multitext(field: Row, given: Row, zone: ZoneInfo) -> Row:
    chosen = {name: given[name] for name in ("enum_id", "enum_code") if given.get(name) is not None}
    enum = _enum(field, chosen) if chosen else field["enums"][0]
    return _text(field, given, zone) | {"enum_id": enum["id"], "enum_code": enum["code"]}


def _select(field: Row, given: Row, _zone: ZoneInfo) -> Row:
    enum = _enum(field, given)
    return {"value": enum["value"], "enum_id": enum["id"], "enum_code": enum["code"]}


def _enum(field: Row, given: Row) -> Row:
    """By id, by code or by label, the first that is given."""
    for name, column in (("enum_id", "id"), ("enum_code", "code"), ("value", "value")):
        if given.get(name) is not None:
            found = next((enum for enum in field["enums"] if enum[column] == given[name]), None)
            if found is None:
                raise Wrong("NotSupportedChoice", name)
            return dict(found)
    raise Wrong("FieldMissing", "value")


def _moment(field: Row, given: Row, zone: ZoneInfo) -> Row:
    """Unix seconds; a date without time is midnight in the account's zone."""
    value = _present(given)
    if isinstance(value, str):
        try:
            read = datetime.fromisoformat(value)
        except ValueError:
            raise Wrong("InvalidType", "value") from None
        value = int((read if read.tzinfo else read.replace(tzinfo=zone)).timestamp())
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LATEST:
        raise Wrong("InvalidType", "value")
    if field["type"] != "date_time":
        local = datetime.fromtimestamp(value, UTC).astimezone(zone)
        value = int(local.replace(hour=0, minute=0, second=0).timestamp())
    return {"value": value}


def _address(field: Row, given: Row, zone: ZoneInfo) -> Row:
    if given.get("enum_code") not in ADDRESS_PARTS:
        raise Wrong("NotSupportedChoice", "enum_code")
    return _text(field, given, zone) | {"enum_code": given["enum_code"]}


def _legal_entity(_field: Row, given: Row, _zone: ZoneInfo) -> Row:
    value = _present(given)
    if not isinstance(value, dict):
        raise Wrong("InvalidType", "value")
    if value.get("entity_type") not in (None, *ENTITY_TYPES):
        raise Wrong("NotSupportedChoice", "value", "entity_type")
    return {"value": dict(value)}


def _present(given: Row) -> Any:
    if "value" not in given:
        raise Wrong("FieldMissing", "value")
    return given["value"]


READERS: dict[str, Read] = {
    **dict.fromkeys(("text", "textarea", "url", "streetaddress", "tracking_data"), _text),
    **dict.fromkeys(("numeric", "price", "monetary"), _number),
    "checkbox": _checkbox,
    "multitext": _multitext,
    **dict.fromkeys(("select", "radiobutton", "multiselect"), _select),
    **dict.fromkeys(DATES, _moment),
    "smart_address": _address,
    "legal_entity": _legal_entity,
}
WITH_ENUMS = {"select", "radiobutton", "multiselect"}


def container(field: Row, values: list[Row]) -> Row:
    """A field with its values, as an entity shows it."""
    return {
        "field_id": field["id"],
        "field_name": field["name"],
        "field_code": field["code"],
        "field_type": field["type"],
        "values": values,
    }


def values_of(row: Row, field_id: int) -> list[Row]:
    held = row["custom_fields_values"] or ()
    return next((list(one["values"]) for one in held if one["field_id"] == field_id), [])
