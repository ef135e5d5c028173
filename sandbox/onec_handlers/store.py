"""Counterparties, orders and what stands behind them; the caller holds the lock and tells the chronicle by `commit`.

Rows are maps that are replaced and never changed in place; every key is always there, null when unknown:
  counterparties  id_1c, kind (individual, legal), amo_id, name, inn, phone, email, responsible_user_id, fields, link
  orders          id_1c, amo_id, number, date, name, budget, responsible_user_id, contact_id_1c, company_id_1c,
                  fields, link
  documents       id_1c, order_id_1c, title, link
  events          seq, order_id_1c, event_name, sum, debt_sum, document_name
  corr_table      entity_name, amo_id, amo_name, user_id
Amounts are text ("1234.50"), dates are naive and in Moscow, `fields` holds the p_*** by their names.
"""

import itertools
import random
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from sandbox.chronicle import Change, Who
from sandbox.onec.moments import local
from sandbox.onec_handlers.outbox import Outbox
from sandbox.onec_handlers.reference import (
    COUNTERPARTY_METADATA,
    DOCUMENT_METADATA,
    ENTITIES,
    EVENTS,
    LEGAL,
    ORDER_METADATA,
    Values,
    link_of,
)
from sandbox.onec_handlers.refusal import polite
from sandbox.onec_handlers.requests import Deal, Party
from sandbox.onec_handlers.switches import Switches
from sandbox.onec_handlers.texts import CENT

Record = Callable[[Who, Sequence[Change]], None]
Index = tuple[str, str, str]

COUNTERPARTIES, ORDERS = "counterparties", "orders"
ZONE = ZoneInfo("Europe/Moscow")
NO_COUNTERPARTY: Values = {
    "id_1c": "",
    "kind": "",
    "amo_id": None,
    "name": "",
    "inn": None,
    "phone": None,
    "email": None,
    "responsible_user_id": None,
    "fields": {},
    "link": "",
}
NO_ORDER: Values = {
    "id_1c": "",
    "amo_id": None,
    "number": "",
    "date": "",
    "name": "",
    "budget": "0.00",
    "responsible_user_id": None,
    "contact_id_1c": None,
    "company_id_1c": None,
    "fields": {},
    "link": "",
}


class Store:
    """Methods named after a request return the row that it makes, unsaved, and raise Refusal."""

    def __init__(self, now: Callable[[], datetime], record: Record) -> None:
        self.switches = Switches()
        self.tables: dict[str, dict[str, Values]] = {COUNTERPARTIES: {}, ORDERS: {}}
        self.documents: dict[str, list[Values]] = defaultdict(list)
        self.events: dict[str, list[Values]] = defaultdict(list)
        self.corr_table: dict[tuple[str, int], Values] = {}
        self.outbox = Outbox()
        self._now = now
        self._record = record
        self._dice = random.Random("1C handlers")
        self._numbers: dict[str, itertools.count[int]] = defaultdict(lambda: itertools.count(1))
        self._index: dict[Index, dict[str, None]] = defaultdict(dict)
        self._changes: list[Change] = []

    def new_counterparty(self, kind: str) -> Values:
        id_1c = self._new_id()
        return NO_COUNTERPARTY | {"id_1c": id_1c, "kind": kind, "link": self._link(COUNTERPARTY_METADATA, id_1c)}

    def new_order(self) -> Values:
        id_1c = self._new_id()
        named = {"number": f"ЗК00-{next(self._numbers[ORDERS]):06}", "date": local(self._now(), ZONE)}
        return NO_ORDER | named | {"id_1c": id_1c, "link": self._link(ORDER_METADATA, id_1c)}

    def counterparty(self, party: Party) -> Values:
        before = self._known(COUNTERPARTIES, party.kind, party.id_1c, party.amo_id)
        holder = self.holder_of(party.values["inn"]) if party.kind == LEGAL else None
        if holder is not None and self.switches.inn_taken != "double" and holder is not before:
            is_free = before is None and holder["amo_id"] in (None, party.amo_id)
            if not is_free or self.switches.inn_taken == "refused":
                raise polite(f"Контрагент с ИНН {holder['inn']} уже есть: {holder['name']}", self.switches)
            before = holder
        row = before or self.new_counterparty(party.kind)
        return row | party.values | {"amo_id": party.amo_id, "fields": row["fields"] | party.fields}

    def order(self, deal: Deal) -> Values:
        """The parties of the deal apart, which its caller saves first."""
        row = self._known(ORDERS, "order", deal.id_1c, deal.amo_id) or self.new_order()
        return row | deal.values | {"amo_id": deal.amo_id, "fields": row["fields"] | deal.fields}

    def orders_of(self, amo_id: int) -> list[Values]:
        return [self.tables[ORDERS][id_1c] for id_1c in self._index.get(("amo_id", "order", str(amo_id)), ())]

    def holder_of(self, inn: str | None) -> Values | None:
        """The legal counterparty with this INN."""
        holders = list(self._index.get(("inn", LEGAL, inn), ())) if inn else []
        return self.tables[COUNTERPARTIES][holders[0]] if holders else None

    def find(self, id_1c: str) -> Values | None:
        """A counterparty or an order."""
        return self.tables[COUNTERPARTIES].get(id_1c) or self.tables[ORDERS].get(id_1c)

    def save(self, row: Values, *, is_told: bool) -> None:
        """`is_told`: the exchange shall tell our service, even of a write that changed nothing."""
        table = ORDERS if "number" in row else COUNTERPARTIES
        id_1c, before = row["id_1c"], self.tables[table].get(row["id_1c"])
        for key in _keys_of(before) if before else ():
            self._index[key].pop(id_1c, None)
        for key in _keys_of(row):
            self._index[key][id_1c] = None
        self.tables[table][id_1c] = row
        if row != before:
            self._changes.append(Change(table, id_1c, "updated" if before else "created", row))
        if is_told:
            self.outbox.append(ENTITIES.get(row.get("kind", ""), "order"), id_1c, row)

    def book(self, order: Values, event_name: str, *, total: str | None, debt: str | None, document: str) -> Values:
        """An event of an order and the document behind it, told in the order of booking; `document` names it anew."""
        name, _ = EVENTS[event_name]
        id_1c, date = self._new_id(), datetime.fromisoformat(local(self._now(), ZONE))
        title = document or f"{name} 0000-{next(self._numbers[name]):06} от {date:%d.%m.%Y %H:%M:%S}"
        link = self._link(DOCUMENT_METADATA[name], id_1c)
        named = {"order_id_1c": order["id_1c"]}
        self.documents[order["id_1c"]].append({"id_1c": id_1c, **named, "title": title, "link": link})
        event = {"seq": next(self._numbers["events"]), **named, "event_name": event_name}
        event |= {"sum": total, "debt_sum": debt, "document_name": title}
        self.events[order["id_1c"]].append(event)
        self.outbox.append("event", order["id_1c"], event)
        return event

    def left(self, order: Values, event_name: str) -> str:
        """What is still to be paid, or to be shipped, of an order."""
        family = EVENTS[event_name][1]
        booked = self.events.get(order["id_1c"], [])
        done = sum(
            Decimal(event["sum"]) for event in booked if event["sum"] and EVENTS[event["event_name"]][1] == family
        )
        return str(max(Decimal(order["budget"]) - done, Decimal()).quantize(CENT))

    def documents_of(self, order: Values) -> list[Values]:
        """The order itself, then what was made from it."""
        date = datetime.fromisoformat(order["date"])
        itself = {"title": f"Заказ клиента {order['number']} от {date:%d.%m.%Y %H:%M:%S}", "link": order["link"]}
        return [itself, *self.documents.get(order["id_1c"], [])]

    def commit(self, who: Who) -> None:
        self._record(who, self._changes)
        self._changes = []

    def _known(self, table: str, kind: str, id_1c: str, amo_id: int) -> Values | None:
        row = self.tables[table].get(id_1c)
        if row is not None and row.get("kind", kind) != kind:
            raise polite(f"Контрагент {row['name']} другого вида", self.switches)
        if row is None and id_1c and self.switches.unknown_id_1c == "refused":
            raise polite(f"Объект не найден: {id_1c}", self.switches)
        if row is None and self.switches.repeats == "same":
            newest = next(reversed(self._index.get(("amo_id", kind, str(amo_id)), {})), "")
            return self.tables[table].get(newest)
        return row

    def _link(self, metadata: str, id_1c: str) -> str:
        server = self.switches.url_address if self.switches.link_shape == "https" else ""
        return link_of(metadata, id_1c, server=server)

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._dice.getrandbits(128), version=4))


def _keys_of(row: Values) -> Iterator[Index]:
    kind = row.get("kind", "order")
    if row["amo_id"] is not None:
        yield "amo_id", kind, str(row["amo_id"])
    if row.get("inn"):
        yield "inn", kind, row["inn"]
