"""get.* methods (facts/comagic.md §4): filter, sort, fields and pages. `jsquery` is not understood here."""

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sandbox.comagic.forms import Form, any_text, between, list_of, one_of
from sandbox.comagic.method import Call, Page
from sandbox.comagic.refusal import Refusal
from sandbox.comagic.store import Row
from sandbox.comagic.switches import Switches

Test = Callable[[Row], bool]
Compare = Callable[[Any, Any], bool]


@dataclass(frozen=True, slots=True)
class Columns:
    """What a get method knows: names in their order, those it filters and those it sorts by."""

    names: tuple[str, ...]
    filterable: frozenset[str]
    sortable: frozenset[str]


def _as_sent(value: Any, _switches: Switches) -> Any:
    return value


_SORT = Form({"field": any_text}, {"order": one_of("asc", "desc")})
LISTING = Form(
    optional={
        "limit": between(1, 10_000),
        "offset": between(0, 100_000),
        "filter": _as_sent,
        "sort": list_of(_SORT.checked),
        "fields": list_of(any_text),
    }
)


def listed(call: Call, rows: Iterable[Row], columns: Columns) -> Page:
    """The asked page of `rows`, which have every column; raises Refusal."""
    params = call.params
    fields = params.get("fields") or columns.names
    for name in fields:
        _known(name, columns, "fields")
    test = _tree(params["filter"], columns) if params.get("filter") else None
    found = _filtered(rows, test) if test else list(rows)
    for rule in reversed(params.get("sort") or []):
        name = _known(rule["field"], columns, "sort", "field")
        if name not in columns.sortable:
            raise Refusal("sort_prohibited", "sort", "field", value=name)
        # Two keys, so that nulls are never compared with anything.
        found.sort(key=lambda row: (row[name] is None, row[name]), reverse=rule.get("order") == "desc")
    first, count = params.get("offset") or 0, params.get("limit") or 1000
    page = [{name: row[name] for name in fields} for row in found[first : first + count]]
    return Page(page, len(found))


def _known(name: str, columns: Columns, *path: str) -> str:
    if name not in columns.names:
        raise Refusal("unexpected_parameters", *path, value=name)
    return name


def _filtered(rows: Iterable[Row], test: Test) -> list[Row]:
    try:
        return [row for row in rows if test(row)]
    except TypeError:
        raise Refusal("invalid_parameter_value", "filter", "value") from None


def _tree(given: Any, columns: Columns) -> Test:
    if not isinstance(given, dict):
        raise Refusal("data_type_error", "filter", value=given)
    if "filters" not in given:
        return _leaf(given, columns)
    for name, value in given.items():
        if name not in ("filters", "condition"):
            raise Refusal("unexpected_parameters", "filter", name, value=value)
    joined = {"and": all, "or": any}.get(str(given.get("condition")))
    if joined is None or not isinstance(given["filters"], list):
        raise Refusal("invalid_parameter_value", "filter", "condition")
    tests = [_tree(one, columns) for one in given["filters"]]
    return lambda row: joined(test(row) for test in tests)


def _leaf(given: dict[str, Any], columns: Columns) -> Test:
    for name, value in given.items():
        if name not in ("field", "operator", "value"):
            raise Refusal("unexpected_parameters", "filter", name, value=value)
    for name in ("field", "operator"):
        if not isinstance(given.get(name), str):
            raise Refusal("required_parameter_missed", "filter", name)
    field, sign, wanted = _known(given["field"], columns, "filter", "field"), given["operator"], given.get("value")
    if field not in columns.filterable:
        raise Refusal("filter_prohibited", "filter", "field", value=field)
    compare = COMPARISONS.get(sign)
    if compare is None:
        raise Refusal("invalid_parameter_value", "filter", "operator", value=sign)
    if sign == "regexp":
        wanted = _compiled(wanted)
    if field == "phone_numbers":
        wanted = _digits(wanted)
    return lambda row: compare(row[field], wanted)


def _compiled(wanted: Any) -> re.Pattern[str]:
    try:
        return re.compile(wanted)
    except (re.error, TypeError):
        raise Refusal("invalid_parameter_value", "filter", "value", value=wanted) from None


def _digits(wanted: Any) -> Any:
    """Phones are compared by digits."""
    if isinstance(wanted, list):
        return [_digits(one) for one in wanted]
    return wanted.lstrip("+") if isinstance(wanted, str) else wanted


def _equal(has: Any, wanted: Any) -> bool:
    """A list equals its own like, and any one of its items."""
    return has == wanted or (isinstance(has, list) and wanted in has)


def _like(has: Any, wanted: Any, flags: int = 0) -> bool:
    pattern = ".*".join(re.escape(part) for part in wanted.split("%")) if isinstance(wanted, str) else None
    if pattern is None:
        raise TypeError(wanted)
    return any(re.fullmatch(pattern, one, flags | re.DOTALL) for one in _items(has))


def _items(has: Any) -> list[Any]:
    return has if isinstance(has, list) else [] if has is None else [has]


def _is_among(has: Any, wanted: Any) -> bool:
    if not isinstance(wanted, list):
        raise TypeError(wanted)
    return has in wanted


def _is_overlapping(has: Any, wanted: Any) -> bool:
    if not isinstance(wanted, list):
        raise TypeError(wanted)
    return any(one in wanted for one in _items(has))


def _ordered(compare: Compare) -> Compare:
    return lambda has, wanted: has is not None and compare(has, wanted)


def _not(compare: Compare) -> Compare:
    return lambda has, wanted: not compare(has, wanted)


def _ilike(has: Any, wanted: Any) -> bool:
    return _like(has, wanted, re.IGNORECASE)


COMPARISONS: dict[str, Compare] = {
    "=": _equal,
    "!=": _not(_equal),
    "<": _ordered(operator.lt),
    ">": _ordered(operator.gt),
    "<=": _ordered(operator.le),
    ">=": _ordered(operator.ge),
    "like": _like,
    "not_like": _not(_like),
    "ilike": _ilike,
    "not_ilike": _not(_ilike),
    "regexp": lambda has, wanted: any(wanted.search(one) for one in _items(has)),
    "in": _is_among,
    "not_in": _not(_is_among),
    "overlap": _is_overlapping,
    "not_overlap": _not(_is_overlapping),
    "is_null": lambda has, _wanted: has is None,
    "is_not_null": lambda has, _wanted: has is not None,
}
