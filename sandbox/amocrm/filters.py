"""`filter` and `query` of lists (facts/amocrm.md §5, §12): tests over rows, each filter one of them."""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from sandbox.amocrm.call import Call, numbers
from sandbox.amocrm.refusal import Refusal
from sandbox.amocrm.values import values_of
from sandbox.bitrix24.php import items_of

Row = dict[str, Any]
Test = Callable[[Row], bool]
Make = Callable[[Any, str, Call], Test]


def _among(given: Any, column: str, _call: Call) -> Test:
    wanted = set(numbers(given))
    return lambda row: row[column] in wanted


def _texts(given: Any, column: str, _call: Call) -> Test:
    wanted = {str(item) for item in items_of(given)}
    return lambda row: row[column] in wanted


def _range(given: Any, column: str, call: Call) -> Test:
    holds = _between(given, call)
    return lambda row: row[column] is not None and holds(row[column])


def _statuses(given: Any, _column: str, _call: Call) -> Test:
    pairs = {
        (numbers(one.get("pipeline_id"))[0], numbers(one.get("status_id"))[0])
        for one in items_of(given)
        if isinstance(one, dict) and one.get("pipeline_id") and one.get("status_id")
    }
    return lambda row: (row["pipeline_id"], row["status_id"]) in pairs


def _custom(given: Any, _column: str, call: Call) -> Test:
    """By numeric ids of fields only: a code is no field here, and asks for nothing."""
    given = given if isinstance(given, dict) else {}
    tests = [_of_field(int(name), wanted, call) for name, wanted in given.items() if name.isdecimal()]
    return lambda row: all(test(row) for test in tests)


def _of_field(field_id: int, wanted: Any, call: Call) -> Test:
    if isinstance(wanted, dict) and wanted.keys() & {"from", "to"}:
        holds = _between(wanted, call)
        return lambda row: any(holds(_amount(one["value"])) for one in values_of(row, field_id))
    texts = {str(item) for item in items_of(wanted)}
    return lambda row: any(texts & _spellings(one) for one in values_of(row, field_id))


def _spellings(value: Row) -> set[str]:
    held = value["value"]
    return {str(int(held)) if isinstance(held, bool) else str(held), str(value.get("enum_id", ""))} - {""}


def _amount(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _between(given: Any, call: Call) -> Callable[[float], bool]:
    given = given if isinstance(given, dict) else {}
    bounds = {end: numbers(given[end])[0] for end in ("from", "to") if given.get(end) not in (None, "")}
    least, most = bounds.get("from", float("-inf")), bounds.get("to", float("inf"))
    if call.switches.range_ends == "exclusive":
        return lambda value: least < value < most
    return lambda value: least <= value <= most


_COMMON: dict[str, Make] = {
    "id": _among,
    "name": _texts,
    "created_by": _among,
    "updated_by": _among,
    "responsible_user_id": _among,
    "created_at": _range,
    "updated_at": _range,
    "closest_task_at": _range,
    "custom_fields_values": _custom,
}
FILTERS: dict[str, dict[str, Make]] = {
    "contacts": _COMMON,
    "companies": _COMMON,
    "leads": {**_COMMON, "price": _range, "closed_at": _range, "statuses": _statuses, "pipeline_id": _among},
    "notes": {"id": _among, "entity_id": _among, "note_type": _texts, "updated_at": _range},
    "tasks": {
        "id": _among,
        "entity_id": _among,
        "responsible_user_id": _among,
        "task_type": _among,
        "is_completed": _among,
        "entity_type": _texts,
        "updated_at": _range,
    },
}
_COLUMNS = {"task_type": "task_type_id"}


def tests_of(call: Call, table: str) -> list[Test]:
    """What the call asks of the rows of a table; names that are no filter ask nothing. Raises Refusal."""
    known = FILTERS[table]
    return [
        known[name](given, _COLUMNS.get(name, name), call) for name, given in call.filter().items() if name in known
    ]


def query_test(call: Call, entity: str) -> Test | None:
    """A substring of anything that is filled, without regard to case; None when nothing is asked."""
    wanted = str(call.query.get("query", "")).strip().lower()
    if not wanted:
        return None
    is_digital = call.switches.query_phones == "digits"
    return lambda row: (
        call.store.age_s(entity, row["id"]) >= call.switches.search_lag_s
        and any(wanted in text for text in _filled(row, is_digital=is_digital))
    )


def _filled(row: Row, *, is_digital: bool) -> list[str]:
    texts = [str(row["name"])]
    for field in row["custom_fields_values"] or ():
        for value in field["values"]:
            texts.append(str(value["value"]))
            if is_digital and field["field_code"] == "PHONE":
                texts.append(re.sub(r"\D", "", texts[-1]))
    return [text.lower() for text in texts]


def require_known_order(given: Any, columns: set[str]) -> tuple[str, bool] | None:
    """(column, is descending) of `order`; raises Refusal for one that cannot be sorted by."""
    if not given:
        return None
    column, direction = next(iter(given.items())) if isinstance(given, dict) else ("", "")
    if column not in columns or direction not in ("asc", "desc"):
        raise Refusal(HTTPStatus.BAD_REQUEST, f"order must be one of {', '.join(sorted(columns))}, asc or desc.")
    return column, direction == "desc"
