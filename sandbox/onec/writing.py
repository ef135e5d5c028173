"""PATCH and PUT of one object (facts/onec.md §A4), with every trap that live bases showed."""

import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from sandbox.onec.errors import BUSINESS, Refusal, business, unknown_property
from sandbox.onec.interests import Values
from sandbox.onec.reference import EMPTY_REF, MODIFIED, STAGE_CHANGED, guid_of
from sandbox.onec.schema import BLANK, EMPTY, PARTS, Field, Shape, Type
from sandbox.onec.switches import Switches

KEPT = {"Ref_Key", "DataVersion", "LineNumber"}
BIND = "@odata.bind"
_BOUND = re.compile(r".*\(guid'([^']*)'\)")
_DATETIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


class _NotStored(Exception):
    """200, and nothing happened."""


def json_object(content: bytes) -> Values:
    """Raises Refusal: what is not JSON is an exception inside 1C, not a mistake of the client."""
    try:
        body = json.loads(content)
    except ValueError as error:
        raise business(f"Ошибка чтения JSON: {error}") from error
    if not isinstance(body, dict):
        raise Refusal(HTTPStatus.BAD_REQUEST, 2, "Неверный формат запроса")
    return body


def check_version(values: Values, if_match: str | None, switches: Switches) -> None:
    """Raises Refusal: the optimistic lock that the documentation promises."""
    if if_match is None or switches.if_match == "ignore":
        return
    if if_match.removeprefix("W/").strip('"') not in ("*", values["DataVersion"]):
        raise Refusal(HTTPStatus.PRECONDITION_FAILED, BUSINESS, "Версия объекта изменилась")


def emptied(values: Values, shape: Shape) -> Values:
    """What PUT leaves of an object before it writes; the dates that 1C itself keeps stay."""
    kept = {name: values[name] for name in (*KEPT, MODIFIED, STAGE_CHANGED) if name in values}
    return BLANK[shape.owner] | kept


def written(values: Values, shape: Shape, body: Values, switches: Switches) -> Values:
    """The properties of `body` as they are stored in `values`. Raises Refusal."""
    stored: Values = {}
    for name, value in (_unbound(*given) for given in body.items()):
        field = shape.fields.get(name)
        if field is None and switches.unknown_property == "error" and "@" not in name and "odata." not in name:
            raise unknown_property(name)
        if field is None or name in KEPT:
            continue
        try:
            stored[name] = _rows(field, values, value) if field.type == "part" else _CONVERTED[field.type](field, value)
        except _NotStored:
            continue
    return stored


def _unbound(name: str, value: Any) -> tuple[str, Any]:
    if not name.endswith(BIND):
        return name, value
    match = _BOUND.fullmatch(str(value))
    return f"{name.removesuffix(BIND)}_Key", match[1] if match else value


def _rows(part: Field, values: Values, given: Any) -> list[Values]:
    """All rows are replaced, and they must be numbered from 1."""
    if not isinstance(given, list) or not all(isinstance(row, dict) for row in given):
        raise Refusal(HTTPStatus.BAD_REQUEST, 4, f"Неверное значение свойства {part.name}")
    if any("LineNumber" not in row for row in given):
        raise business("{ОбщийМодуль.OData.Модуль(118)}: Не указан номер строки")
    if [str(row["LineNumber"]) for row in given] != [str(number) for number in range(1, len(given) + 1)]:
        raise Refusal(HTTPStatus.BAD_REQUEST, 4, f"Неверный номер строки в {part.name}")
    return [_row(part, values["Ref_Key"], row) for row in given]


def _row(part: Field, ref: str, given: Values) -> Values:
    row = {field.name: EMPTY[field.type] for field in PARTS[part.name]}
    for field in PARTS[part.name]:
        if field.name in given and field.name not in KEPT:
            row[field.name] = _CONVERTED[field.type](field, given[field.name])
    return row | {"Ref_Key": ref, "LineNumber": str(given["LineNumber"])}


def _unparsable(field: Field, value: Any) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, 1, f"Не удалось преобразовать строку: {field.name} = {value!r}")


def _string(field: Field, value: Any) -> str:
    """Cut to what fits, without a word."""
    if isinstance(value, list | dict):
        raise business(f"Значение свойства {field.name} не может быть прочитано")
    if value is not None and not isinstance(value, str):
        raise Refusal(HTTPStatus.BAD_REQUEST, 4, f"Неверное значение свойства {field.name}")
    return (value or "")[: field.length or None]


def _guid(field: Field, value: Any) -> str:
    """Nobody checks that the object exists."""
    try:
        return guid_of(value or EMPTY_REF)
    except (ValueError, TypeError, AttributeError) as error:
        raise _unparsable(field, value) from error


def _datetime(field: Field, value: Any) -> str:
    if not isinstance(value, str) or not _DATETIME.fullmatch(value):
        raise _unparsable(field, value)
    return value


def _bool(field: Field, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _unparsable(field, value)
    return value


def _number(field: Field, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _unparsable(field, value)
    return value


def _int64(_field: Field, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _NotStored
    return str(value)


_CONVERTED: dict[Type, Callable[[Field, Any], Any]] = {
    "string": _string,
    "composite": _string,
    "guid": _guid,
    "datetime": _datetime,
    "bool": _bool,
    "int16": _number,
    "double": _number,
    "int64": _int64,
}
