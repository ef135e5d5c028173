"""The `filter` and `order` of `crm.item.list`: nested, with OR, and strict about names (facts/bitrix24.md §7.4)."""

from dataclasses import replace
from http import HTTPStatus
from typing import Any

from sandbox.bitrix24.entities import Entity
from sandbox.bitrix24.errors import Refusal
from sandbox.bitrix24.filters import KEY, Filter, Predicate, compile_filter
from sandbox.bitrix24.itemnames import NAMES
from sandbox.bitrix24.php import items_of
from sandbox.bitrix24.switches import Switches
from sandbox.bitrix24.table import Row, Table

WAYS = ("ASC", "DESC")


def compile_item_filter(entity: Entity, table: Table, given: dict[str, Any], switches: Switches) -> Filter:
    """Raises Refusal for an unknown field. Rows are narrowed by the conditions on the id at the top."""
    lenient = replace(switches, not_like_in_classic=True)
    conditions: dict[str, Any] = {}
    groups: list[Predicate] = []
    is_any = False
    for key, operand in given.items():
        if key == "logic":
            is_any = str(operand).upper() == "OR"
        elif key.isdecimal() and isinstance(operand, dict | list):
            groups.append(_all(compile_item_filter(entity, table, _as_map(operand), switches).predicates))
        else:
            conditions |= _condition(entity, key, operand, switches)
    if not is_any:
        flat = compile_filter(table, conditions, lenient)
        return replace(flat, predicates=(*flat.predicates, *groups))
    alternatives = [_all(compile_filter(table, {key: value}, lenient).predicates) for key, value in conditions.items()]
    return Filter((_any([*alternatives, *groups]),))


def item_order(entity: Entity, given: dict[str, Any]) -> list[tuple[str, bool]]:
    """Classic codes and whether each descends; raises Refusal."""
    order = []
    for name, way in given.items():
        code = NAMES[entity.name].code_of.get(name)
        if code is None:
            raise _invalid(f"Invalid order: field '{name}' is not allowed in order")
        if str(way).upper() not in WAYS:
            text = f"Invalid order: allowed sort directions are `ASC, DESC`. But got '{way}' for field '{name}'"
            raise _invalid(text)
        order.append((code, str(way).upper() == "DESC"))
    return order


def _condition(entity: Entity, key: str, operand: Any, switches: Switches) -> dict[str, Any]:
    """The same condition in classic codes; none where a portal ignores moments that carry an offset."""
    match = KEY.fullmatch(key)
    operator, name = (match[1] or "", match[2]) if match else ("", key)
    code = NAMES[entity.name].code_of.get(name)
    if code is None:
        raise _invalid(f"Invalid filter: field '{name}' is not allowed in filter")
    is_moment = entity.schema[code].family == "moment"
    if is_moment and switches.item_filter_offset == "ignored" and any("T" in str(one) for one in items_of(operand)):
        return {}
    return {f"{operator}{code}": operand}


def _as_map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {str(index): item for index, item in enumerate(value)}


def _all(predicates: tuple[Predicate, ...]) -> Predicate:
    return lambda row: all(predicate(row) for predicate in predicates)


def _any(predicates: list[Predicate]) -> Predicate:
    def holds(row: Row) -> bool:
        return not predicates or any(predicate(row) for predicate in predicates)

    return holds


def _invalid(text: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "INVALID_ARG_VALUE", text)
