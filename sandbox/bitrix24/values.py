"""One value at a time: what a write stores, which is what the API shows, and what that compares as."""

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.bitrix24.fields import REFERENCES, Family, Field
from sandbox.bitrix24.moments import parsed, parsed_day, printed, printed_day
from sandbox.bitrix24.php import items_of
from sandbox.bitrix24.switches import Switches

_LEADING_DIGITS = re.compile(r"\s*-?\d{1,18}")


class Ignored(Exception):
    """The vendor drops this value silently and keeps what was there."""


def stored(field: Field, value: Any, switches: Switches) -> Any:
    """The form a write leaves in the store, None for empty; raises Ignored."""
    store = _STORED[field.family]
    if field.is_multiple:
        items = [store(field, item, switches) for item in items_of(value)]
        return [item for item in items if item is not None] or None
    if isinstance(value, list | dict):
        raise Ignored
    return None if value is None or value == "" else store(field, value, switches)


def empty(field: Field, switches: Switches) -> Any:
    """What the API shows for a field that holds nothing."""
    if field.is_custom and field.is_multiple:
        return [] if switches.empty_multiple_uf == "list" else False
    if field.is_custom:
        return "" if switches.empty_single_uf == "string" else None
    if field.type in REFERENCES and switches.empty_reference == "zero":
        return "0"
    return _EMPTY.get(field.family)


def comparable(field: Field, value: Any) -> Any:
    """What a stored value compares as: number, epoch second, day number or text; a list of them for multiple fields."""
    if field.is_multifield:
        return [str(item["VALUE"]) for item in value or ()]
    compare = COMPARABLE[field.family]
    if field.is_multiple:
        return [compare(item, "+00:00") for item in items_of(value)]
    return compare(value, "+00:00")


def to_int(value: Any, _offset: str = "") -> int:
    """PHP's intval: the leading digits, or 0."""
    if isinstance(value, str):
        leading = _LEADING_DIGITS.match(value)
        return int(leading[0]) if leading else 0
    try:
        return int(value or 0)
    except (TypeError, ValueError, OverflowError):
        return 0


def _to_number(value: Any, _offset: str) -> float:
    try:
        return float(value or 0)
    except (TypeError, ValueError):
        return 0.0


def _to_moment(value: Any, offset: str) -> float | None:
    moment = parsed(str(value), offset) if value else None
    return moment.timestamp() if moment else None


def _to_day(value: Any, _offset: str) -> int | None:
    day = parsed_day(str(value)) if value else None
    return day.toordinal() if day else None


def _to_text(value: Any, _offset: str) -> str:
    return "" if value is None or value is False else str(value)


def _to_bool(value: Any, _offset: str) -> bool:
    return value in (True, 1, "1", "Y", "true", "True")


COMPARABLE: dict[Family, Callable[[Any, str], Any]] = {
    "int": to_int,
    "number": _to_number,
    "flag": lambda value, _offset: _to_text(value, "") or "N",
    "bool": _to_bool,
    "moment": _to_moment,
    "day": _to_day,
    "text": _to_text,
    "option": to_int,
    "multifield": _to_text,
    "file": lambda value, _offset: to_int(value.get("id") if isinstance(value, dict) else value),
}


def _store_int(_field: Field, value: Any, _switches: Switches) -> str | None:
    number = to_int(value)
    return str(number) if number else None


def _store_number(_field: Field, value: Any, _switches: Switches) -> str:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return "0.00"
    return f"{amount:.2f}" if amount.is_finite() else "0.00"


def _store_flag(_field: Field, value: Any, _switches: Switches) -> str:
    return "Y" if _to_bool(value, "") else "N"


def _store_moment(_field: Field, value: Any, switches: Switches) -> str:
    moment = parsed(str(value), switches.server_offset)
    if moment is None:
        raise Ignored
    return printed(moment, switches.server_offset)


def _store_day(_field: Field, value: Any, switches: Switches) -> str:
    # Only the day somebody wrote down counts, whatever offset came with it.
    day = parsed_day(str(value)[:10])
    if day is None:
        raise Ignored
    return printed_day(day, switches.server_offset)


def _store_text(_field: Field, value: Any, _switches: Switches) -> str:
    return "1" if value is True else _to_text(value, "")


def _store_option(field: Field, value: Any, switches: Switches) -> int | str | None:
    option = to_int(value)
    if option not in dict(field.options):
        return None
    return option if switches.enumeration_as == "int" or field.is_multiple else str(option)


def _store_elsewhere(_field: Field, _value: Any, _switches: Switches) -> None:
    raise Ignored


_STORED: dict[Family, Callable[[Field, Any, Switches], Any]] = {
    "int": _store_int,
    "number": _store_number,
    "flag": _store_flag,
    "bool": lambda _field, value, _switches: _to_bool(value, ""),
    "moment": _store_moment,
    "day": _store_day,
    "text": _store_text,
    "option": _store_option,
    "multifield": _store_elsewhere,
    "file": _store_elsewhere,
}
_EMPTY: dict[Family, Any] = {"day": "", "flag": "N", "number": "0.00", "moment": "", "bool": False}
