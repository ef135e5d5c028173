"""Lists (facts/amocrm.md §5): pages without a total, 204 for an empty one, `_links.next` until the last."""

import random
from collections.abc import Callable, Container, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from sandbox.amocrm.call import NOTHING, Answer, Call, Route
from sandbox.amocrm.filters import query_test, require_known_order, tests_of
from sandbox.amocrm.refusal import Refusal
from sandbox.amocrm.views import shown, shown_deleted

Row = dict[str, Any]
View = Callable[[Row], Row]

PAGE, MOST = 50, 250
SORTABLE = {"updated_at", "created_at", "id"}


def paged(call: Call, name: str, rows: list[Row], view: View, *, most: int = MOST, **more: Any) -> Answer:
    """The asked page of `rows` under `_embedded`; `more` goes into the envelope."""
    page, limit = max(1, _number(call, "page", 1)), _limit(call, most)
    first = (page - 1) * limit
    found = rows[first : first + limit]
    if not found:
        return NOTHING
    links = {"self": _page_link(call, page, limit)}
    if first + limit < len(rows):
        links["next"] = _page_link(call, page + 1, limit)
    if page > 1:
        links |= {"first": _page_link(call, 1, limit), "prev": _page_link(call, page - 1, limit)}
    return Answer({"_page": page, **more, "_links": links, "_embedded": {name: [view(row) for row in found]}})


def ordered(call: Call, rows: Iterable[Row], columns: set[str] = SORTABLE) -> list[Row]:
    """By id unless `order` says otherwise; rows of one second by id as well, or in no order at all by a switch."""
    asked = require_known_order(call.query.get("order"), columns)
    column, is_falling = asked or ("id", False)
    if call.switches.equal_times == "shuffled":
        return sorted(rows, key=lambda row: (row[column] or 0, random.random()), reverse=is_falling)
    return sorted(rows, key=lambda row: (row[column] or 0, row["id"]), reverse=is_falling)


def _listed(call: Call) -> Answer:
    entity = call.entity()
    if "only_deleted" in call.withs():
        rows, view = call.store.trash[entity].values(), shown_deleted
    else:
        rows, view = call.store.tables[entity].values(), shown
    tests = tests_of(call, entity) if call.switches.is_api_filter_enabled else []
    if query := query_test(call, entity):
        tests.append(query)
    found = [row for row in rows if all(test(row) for test in tests)]
    return paged(call, entity, ordered(call, found), lambda row: view(call, entity, row))


def _one(call: Call) -> Answer:
    entity, row = call.entity(), call.store.tables[call.entity()].get(call.number())
    return Answer(shown(call, entity, row)) if row else NOTHING


def _limit(call: Call, most: int) -> int:
    limit = _number(call, "limit", min(PAGE, most))
    if limit > most:
        if call.switches.over_limit == "refused":
            raise Refusal(HTTPStatus.BAD_REQUEST, f"limit must not be above {most}.")
        return most if call.switches.over_limit == "clamped" else min(PAGE, most)
    return limit if limit > 0 else min(PAGE, most)


def _number(call: Call, name: str, default: int) -> int:
    text = str(call.query.get(name, default))
    return int(text) if text.isdecimal() else default


def _page_link(call: Call, page: int, limit: int) -> dict[str, str]:
    pairs = [*_flat(call.query, skipped={"page", "limit"}), ("page", page), ("limit", limit)]
    origin = call.switches.next_link_origin or call.origin
    return {"href": f"{origin}{call.path}?{urlencode(pairs)}"}


def _flat(value: Any, prefix: str = "", skipped: Container[Any] = ()) -> list[tuple[str, Any]]:
    """Nested parameters as PHP writes them into a query."""
    if not isinstance(value, dict | list):
        return [(prefix, value)]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [
        pair
        for name, item in items
        if name not in skipped
        for pair in _flat(item, f"{prefix}[{name}]" if prefix else str(name))
    ]


LISTS = (Route("GET", "{entity}", _listed), Route("GET", "{entity}/{id}", _one))
