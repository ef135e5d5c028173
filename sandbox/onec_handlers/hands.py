"""People in 1C: enter and edit counterparties and orders, book what happens to an order. Each write goes to the outbox.

Fields are the columns of `Store`; an order names its counterparties by `contact` and `company`, which hold an id_1c.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from sandbox.onec_handlers.base import OneCHandlers
from sandbox.onec_handlers.reference import EVENTS, INDIVIDUAL, KINDS, LEGAL, Values, guid_of
from sandbox.onec_handlers.store import COUNTERPARTIES, ORDERS, Store
from sandbox.onec_handlers.texts import amount

Fields = dict[str, Any]

_OF_EVENT = ("event_name", "sum", "debt_sum", "document_name")


def _line(value: Any) -> str:
    return "" if value is None else str(value)


def _optional(value: Any) -> str | None:
    return _line(value) or None


def _number(value: Any) -> int | None:
    return None if value is None or value == "" else int(value)


_COLUMNS: dict[str, dict[str, Callable[[Any], Any]]] = {
    COUNTERPARTIES: {
        "name": _line,
        "inn": _optional,
        "phone": _optional,
        "email": _optional,
        "responsible_user_id": _number,
        "amo_id": _number,
        "fields": dict,
    },
    ORDERS: {
        "name": _line,
        "number": _line,
        "budget": amount,
        "responsible_user_id": _number,
        "amo_id": _number,
        "fields": dict,
    },
}


class Hands:
    """Raises KeyError for an unknown object, ValueError for what no form takes."""

    def __init__(self, base: OneCHandlers) -> None:
        self._base = base

    def individual(self, fields: Fields) -> Values:
        return self._create(COUNTERPARTIES, [(INDIVIDUAL, fields)])[0]

    def legal(self, fields: Fields) -> Values:
        return self._create(COUNTERPARTIES, [(LEGAL, fields)])[0]

    def order(self, fields: Fields) -> Values:
        return self.orders([fields])[0]

    def counterparties(self, given: Sequence[tuple[bool, Fields]]) -> list[str]:
        """Ids of new ones, given as whether each is legal, and its fields."""
        kinds = [(LEGAL if is_legal else INDIVIDUAL, fields) for is_legal, fields in given]
        return [str(row["id_1c"]) for row in self._create(COUNTERPARTIES, kinds)]

    def orders(self, given: Sequence[Fields]) -> list[Values]:
        return self._create(ORDERS, [("", fields) for fields in given])

    def edit(self, table: str, id_1c: str, fields: Fields) -> Values:
        """What is not given stays; an edit that changes nothing is a write all the same."""
        with self._base.commit("person") as store:
            return _written(store, table, store.tables[table][id_1c], fields)

    def book(self, id_1c: str, fields: Fields) -> Values:
        return self.book_many([(id_1c, fields)])[0]

    def book_many(self, given: Sequence[tuple[str, Fields]]) -> list[Values]:
        """Events of orders: `event_name`, and if the bookkeeper knows better `sum`, `debt_sum`, `document_name`.

        A whole payment or shipment is of all that is left, a part of it needs its sum.
        """
        with self._base.commit("person") as store:
            return [_booked(store, store.tables[ORDERS][id_1c], fields) for id_1c, fields in given]

    def _create(self, table: str, given: Sequence[tuple[str, Fields]]) -> list[Values]:
        with self._base.commit("person") as store:
            return [
                _written(store, table, store.new_counterparty(kind) if kind else store.new_order(), fields)
                for kind, fields in given
            ]


def _written(store: Store, table: str, row: Values, fields: Fields) -> Values:
    columns = _COLUMNS[table]
    slots = KINDS if table == ORDERS else {}
    if unknown := fields.keys() - columns.keys() - slots.keys():
        raise ValueError(f"no such field: {', '.join(sorted(unknown))}; there are {', '.join((*columns, *slots))}")
    written = row | {name: columns[name](value) for name, value in fields.items() if name in columns}
    for slot in slots:
        if slot in fields:
            written[f"{slot}_id_1c"] = _party(store, fields[slot], slot)
    holder = store.holder_of(written.get("inn"))
    if holder and holder["id_1c"] != row["id_1c"] and written["kind"] == LEGAL and store.switches.inn_taken != "double":
        raise ValueError(f"the INN is taken by {holder['id_1c']}")
    store.save(written, is_told=True)
    return written


def _party(store: Store, given: str | None, slot: str) -> str | None:
    if not given:
        return None
    counterparty = store.tables[COUNTERPARTIES][guid_of(given)]
    if counterparty["kind"] != KINDS[slot]:
        raise ValueError(f"{slot} must be a counterparty of the kind {KINDS[slot]}")
    return str(counterparty["id_1c"])


def _booked(store: Store, order: Values, fields: Fields) -> Values:
    event_name, document = fields.get("event_name"), _line(fields.get("document_name"))
    if unknown := fields.keys() - _OF_EVENT:
        raise ValueError(f"no such field: {', '.join(sorted(unknown))}; there are {', '.join(_OF_EVENT)}")
    if event_name not in EVENTS:
        raise ValueError(f"no such event: {event_name}; there are {', '.join(EVENTS)}")
    if event_name == "cancel_order":
        return store.book(order, event_name, total=None, debt=None, document=document)
    if fields.get("sum") is None and event_name.startswith("part_"):
        raise ValueError(f"{event_name} needs a sum")
    left = store.left(order, event_name)
    total = left if fields.get("sum") is None else amount(fields["sum"])
    rest = str(max(Decimal(left) - Decimal(total), Decimal("0.00")))
    debt = rest if fields.get("debt_sum") is None else amount(fields["debt_sum"])
    return store.book(order, event_name, total=total, debt=debt, document=document)
