"""Rows of a set for a query: what is forbidden, found, ordered, counted and cut to a page (facts/onec.md §A2)."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from sandbox.onec.errors import no_rights
from sandbox.onec.filters import Node
from sandbox.onec.interests import Values
from sandbox.onec.query import Query
from sandbox.onec.schema import Shape
from sandbox.onec.store import Store


@dataclass(frozen=True, slots=True)
class Page:
    """`count` is of all rows that fulfil the filter."""

    rows: list[Values]
    count: int


def page(store: Store, shape: Shape, query: Query) -> Page:
    """Raises Refusal if a row is forbidden and the client did not ask for the allowed ones only."""
    check = query.condition.check
    rows = _allowed([row for row in _rows(store, shape, query.condition) if check(row)], store, shape, query)
    rows = _sorted(rows, store, shape, query)
    last = None if query.top is None else query.skip + query.top
    return Page(rows[query.skip : last], len(rows))


def one(store: Store, shape: Shape, ref: str, line: str) -> Values | None:
    """The object, or the row of a tabular part."""
    rows = _rows(store, shape, Node(lambda _row: True, frozenset({ref})))
    return next((row for row in rows if not shape.part or row["LineNumber"] == line), None)


def _rows(store: Store, shape: Shape, condition: Node) -> list[Values]:
    """By reference, rows of a tabular part by their lines."""
    if condition.refs is None:
        objects = store.ordered(shape.owner)
    else:
        table = store.tables[shape.owner]
        objects = [table[ref] for ref in sorted(condition.refs & table.keys(), key=store.rank)]
    if not shape.part:
        return objects
    rows = (row for values in objects for row in values[shape.part])
    if shape.key == "Ref_Key":
        return list(rows)
    return [{shape.key: row["Ref_Key"], **row} for row in rows]


def _allowed(rows: list[Values], store: Store, shape: Shape, query: Query) -> list[Values]:
    hidden = frozenset(store.switches.hidden_rows)
    if not hidden:
        return rows
    allowed = [row for row in rows if row[shape.key] not in hidden]
    if len(allowed) < len(rows) and not query.is_allowed_only:
        raise no_rights(shape.name, store.switches)
    return allowed


def _sorted(rows: list[Values], store: Store, shape: Shape, query: Query) -> list[Values]:
    """Rows that the order does not tell apart come the other way round in every second answer: pages lose such."""
    is_turned = bool(next(store.reads) % 2) and store.switches.unordered_rows == "turning"
    natural = (shape.key, "LineNumber") if shape.part else (shape.key,)
    if query.order[: len(natural)] == tuple((name, False) for name in natural):
        return rows
    if is_turned and not set(natural) <= {name for name, _ in query.order}:
        rows.reverse()
    for name, is_descending in reversed(query.order):
        rows.sort(key=partial(_weight, name=name, store=store, shape=shape), reverse=is_descending)
    return rows


def _weight(row: Values, *, name: str, store: Store, shape: Shape) -> Any:
    kind = shape.fields[name].type
    if kind == "guid":
        return store.rank(row[name])
    return int(row[name]) if kind == "int64" else row[name]
