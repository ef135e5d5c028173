"""Classic list methods (facts/bitrix24.md §5): filter, order, select, pages of 50, `start: -1` without counting."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from sandbox.bitrix24.errors import not_array
from sandbox.bitrix24.filters import Filter, compile_filter
from sandbox.bitrix24.php import items_of
from sandbox.bitrix24.switches import Switches
from sandbox.bitrix24.table import Row, Table
from sandbox.bitrix24.values import to_int

T = TypeVar("T")

PAGE = 50
UNCOUNTED = -1


@dataclass(frozen=True, slots=True)
class Result:
    """What a method returns; `total` and `next` only for lists, `key` is the id that an add gave."""

    value: Any
    total: int | None = None
    next: int | None = None
    key: str = ""


def list_rows(
    table: Table, params: dict[str, Any], switches: Switches, *, is_visible: Callable[[Row], bool] | None = None
) -> Result:
    """One page. Raises Refusal for parameters of a wrong shape."""
    wanted = compile_filter(table, as_map(params, "filter"), switches)
    codes = _codes(table, items_of(params.get("select")), switches)
    order = _order(table, as_map(params, "order"))
    rows = ordered(table, matches(table, wanted, is_visible), order)
    return page(rows, params, switches, show=lambda row: table.shown(row, codes))


def page(rows: Iterable[T], params: dict[str, Any], switches: Switches, *, show: Callable[[T], Any]) -> Result:
    """The fifty rows from `start` on, counted unless `start` is -1."""
    start = to_int(params.get("start"))
    if start == UNCOUNTED:
        return Result([show(row) for row in islice(rows, PAGE)], total=0)
    everything = list(rows)
    total = len(everything)
    shown = everything[max(0, start) : max(0, start) + PAGE]
    has_more = start + PAGE < total or (switches.next_on_full_page and len(shown) == PAGE)
    return Result([show(row) for row in shown], total, start + PAGE if has_more else None)


def as_map(params: dict[str, Any], name: str) -> dict[str, Any]:
    """A parameter that must be a PHP array with string keys; raises Refusal."""
    value = params.get(name)
    if value in (None, "", []):
        return {}
    if isinstance(value, list):
        return {str(index): item for index, item in enumerate(value)}
    if not isinstance(value, dict):
        raise not_array(name)
    return value


def _codes(table: Table, select: list[Any], switches: Switches) -> list[str]:
    names = {"ID" if name == "id" else name for name in select if isinstance(name, str)}
    if not names:
        names = {"*", "UF_*"} | ({"PHONE", "EMAIL"} if switches.phone_in_default_select else set())
    return [
        field.code
        for field in table.schema.values()
        if field.code in names
        or ("UF_*" in names and field.is_custom)
        or ("*" in names and not field.is_custom and not field.is_multifield)
        if not field.is_write_only
    ]


def _order(table: Table, given: dict[str, Any]) -> list[tuple[str, bool]]:
    named = [("ID" if code == "id" else code, str(way).upper().startswith("DESC")) for code, way in given.items()]
    return [(code, is_descending) for code, is_descending in named if code in table.schema]


def matches(table: Table, wanted: Filter, is_visible: Callable[[Row], bool] | None) -> Iterator[Row]:
    """Rows that fit, by id ascending, lazily: an uncounted page stops after 50."""
    first = 0 if wanted.first_id is None else bisect_left(table.ids, wanted.first_id)
    last = len(table.ids) if wanted.last_id is None else bisect_right(table.ids, wanted.last_id)
    rows: Iterator[Row] = (table.rows[row_id] for row_id in table.ids[first:last])
    for predicate in wanted.predicates:
        rows = filter(predicate, rows)
    return rows if is_visible is None else filter(is_visible, rows)


def ordered(table: Table, rows: Iterator[Row], order: list[tuple[str, bool]]) -> Iterable[Row]:
    if order in ([], [("ID", False)]):
        return rows
    ordered = list(rows)
    for code, is_descending in reversed(order):
        ordered.sort(key=lambda row: _sortable(table.parsed(row, code)), reverse=is_descending)
    return ordered


def _sortable(value: Any) -> Any:
    """Empty values first, lists by their text, as nothing else compares with everything."""
    return (False, 0) if value is None else (True, str(value) if isinstance(value, list) else value)
