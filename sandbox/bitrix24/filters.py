"""The `filter` of classic lists (facts/bitrix24.md §5.1, §5.2): AND of conditions, an operator before each code."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sandbox.bitrix24.errors import Refusal
from sandbox.bitrix24.fields import Field
from sandbox.bitrix24.php import items_of
from sandbox.bitrix24.switches import Switches
from sandbox.bitrix24.table import Row, Table
from sandbox.bitrix24.values import COMPARABLE, to_int

Check = Callable[[Any], bool]
Predicate = Callable[[Row], bool]

KEY = re.compile(r"(!=%|!%=|!%|!@|!=|>=|<=|=%|%=|!|=|>|<|@|%)?(\w+)")
_EMPTY_OPERAND: tuple[Any, ...] = (None, "", [], {})
_NO_TEXT_SEARCH = {"crm_status", "crm_contact", "crm_company"}


@dataclass(frozen=True, slots=True)
class Filter:
    """`first_id` and `last_id` narrow the rows to look at, `predicates` decide on each."""

    predicates: tuple[Predicate, ...] = ()
    first_id: int | None = None
    last_id: int | None = None


def compile_filter(table: Table, given: dict[str, Any], switches: Switches) -> Filter:
    """Raises Refusal for an unknown key if the portal is switched to refuse those."""
    predicates: list[Predicate] = []
    bounds: dict[str, int] = {}
    for name, operand in given.items():
        key = KEY.fullmatch(name)
        operator, code = (key[1] or "", key[2]) if key else ("", name)
        field = table.schema.get("ID" if code == "id" else code)
        if field is None or field.is_write_only or not _is_usable(field, operator, switches):
            if switches.unknown_filter_key == "error":
                raise Refusal(
                    HTTPStatus.BAD_REQUEST, "INVALID_ARG_VALUE", f"Invalid filter: field '{code}' is not allowed"
                )
            continue
        if field.code == "ID" and operand not in _EMPTY_OPERAND:
            _narrow(bounds, operator, [to_int(item) for item in items_of(operand)])
        if (check := _check(field, operator, operand, switches)) is not None:
            predicates.append(_predicate(table, field.code, check))
    return Filter(tuple(predicates), bounds.get("first"), bounds.get("last"))


def _is_usable(field: Field, operator: str, switches: Switches) -> bool:
    if operator in _NOT_LIKE and not switches.not_like_in_classic:
        return False
    return operator not in _TEXT_OPERATORS or field.type not in _NO_TEXT_SEARCH


def _narrow(bounds: dict[str, int], operator: str, ids: list[int]) -> None:
    """Ids are sorted, so a condition on them spares looking at most rows; it is checked as well."""
    if ids and operator in _FROM:
        bounds["first"] = max(bounds.get("first", 0), min(ids))
    if ids and operator in _UP_TO:
        bounds["last"] = min(bounds.get("last", max(ids)), max(ids))


def _predicate(table: Table, code: str, check: Check) -> Predicate:
    if table.schema[code].is_multiple or table.schema[code].is_multifield:
        return lambda row: check(table.parsed(row, code))

    def predicate(row: Row) -> bool:
        # The cached value is asked first: a poll looks at every row of the table.
        held = row.parsed.get(code)
        return check(table.parsed(row, code) if held is None else held)

    return predicate


def _check(field: Field, operator: str, operand: Any, switches: Switches) -> Check | None:
    """None is no condition at all, which is what an empty comparison amounts to."""
    if isinstance(operand, list | dict) or operator in ("@", "!@"):
        operator = {"": "@", "=": "@", "!": "!@", "!=": "!@"}.get(operator, operator)
        return _membership(field, operator, items_of(operand), switches)
    if operator in _TEXT_OPERATORS:
        return _TEXT_OPERATORS[operator](str(operand))
    if operator in _ORDERINGS:
        return None if operand in _EMPTY_OPERAND else _ordering(field, operator, operand, switches)
    if operand in _EMPTY_OPERAND or operand is False:
        return _is_filled if operator.startswith("!") else _is_empty
    return _membership(field, "!@" if operator.startswith("!") else "@", [operand], switches)


def _operand(field: Field, value: Any, switches: Switches) -> Any:
    offset = switches.server_offset if switches.filter_zone == "server" else switches.user_offset
    return COMPARABLE[field.family](value, offset)


def _membership(field: Field, operator: str, operands: list[Any], switches: Switches) -> Check:
    wanted = frozenset(_operand(field, operand, switches) for operand in operands)
    is_listed = _any(wanted.__contains__) if field.is_multiple or field.is_multifield else wanted.__contains__
    return _not(is_listed) if operator == "!@" else is_listed


def _ordering(field: Field, operator: str, operand: Any, switches: Switches) -> Check | None:
    limit = _operand(field, operand, switches)
    if limit is None:
        return None if switches.unparsable_date == "ignored" else _never
    compare = _ORDERINGS[operator](limit)

    def check(held: Any) -> bool:
        return held is not None and compare(held)

    return _any(check) if field.is_multiple or field.is_multifield else check


def _any(check: Check) -> Check:
    return lambda held: any(check(item) for item in held)


def _not(check: Check) -> Check:
    return lambda held: not check(held)


def _never(_held: Any) -> bool:
    return False


def _is_empty(held: Any) -> bool:
    return not held


def _is_filled(held: Any) -> bool:
    return bool(held)


def _text_check(check: Callable[[str], bool]) -> Check:
    return lambda held: any(check(str(item)) for item in held) if isinstance(held, list) else check(str(held or ""))


def _contains(operand: str) -> Check:
    needle = operand.casefold()
    return _text_check(lambda held: needle in held.casefold())


def _like(operand: str) -> Check:
    pattern = re.escape(operand).replace("%", ".*").replace("_", ".")
    return _text_check(lambda held: re.fullmatch(pattern, held, re.IGNORECASE | re.DOTALL) is not None)


_FROM = {"", "=", "@", ">", ">="}
_UP_TO = {"", "=", "@", "<", "<="}
_ORDERINGS: dict[str, Callable[[Any], Check]] = {
    ">": lambda limit: lambda held: bool(held > limit),
    ">=": lambda limit: lambda held: bool(held >= limit),
    "<": lambda limit: lambda held: bool(held < limit),
    "<=": lambda limit: lambda held: bool(held <= limit),
}
_TEXT_OPERATORS: dict[str, Callable[[str], Check]] = {
    "%": _contains,
    "=%": _like,
    "%=": _like,
    "!%": lambda operand: _not(_contains(operand)),
    "!=%": lambda operand: _not(_like(operand)),
    "!%=": lambda operand: _not(_like(operand)),
}
_NOT_LIKE = {"!%", "!=%", "!%="}
