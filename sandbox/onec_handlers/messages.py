"""Bodies in which the exchange tells our service of entries of the outbox: all keys of briefs/001 §2, in its order."""

from typing import Any

from sandbox.onec_handlers.outbox import Entry
from sandbox.onec_handlers.reference import Values
from sandbox.onec_handlers.store import COUNTERPARTIES, Store
from sandbox.onec_handlers.switches import Switches
from sandbox.onec_handlers.texts import amount_as

PATHS = {
    "contact": "/sync/clients_contacts",
    "company": "/sync/clients_companies",
    "order": "/sync/leads",
    "event": "/sync/process_event",
}
BASE_PATH = "/sync/base"
# As the brief misprints it.
LEGACY_ORDERS_PATH = "/sync/clients_companies"
_BLANK = {"null": None, "blank": ""}


def base_of(switches: Switches, *, key: int | str, id_base: str, web_address: str) -> Values:
    return {
        "key": _id(key, switches),
        "id_base": id_base,
        "web_address": web_address,
        "url_address": switches.url_address,
        "param1": switches.login,
        "param2": switches.password,
    }


def body_of(store: Store, entry: Entry, *, key: int | str, id_base: str) -> Values:
    """What the entry held then, with the ids of amoCRM that are known now."""
    switches, content = store.switches, entry.content
    values = {
        "contact": lambda: _contact(store, content),
        "company": lambda: _company(store, content),
        "order": lambda: _order(store, content),
        "event": lambda: _event(store, content),
    }[entry.entity]()
    known = {name: value for name, value in values.items() if value is not None}
    if switches.unknown_values != "absent":
        known = {name: known.get(name, _BLANK[switches.unknown_values]) for name in values}
    return {"key": _id(key, switches), "id_base": id_base} | known


def _contact(store: Store, row: Values) -> Values:
    return {
        **_common(store, row),
        "name": row["name"],
        "responsible_user_id": _id(row["responsible_user_id"], store.switches),
        "email": row["email"],
        "phone": row["phone"],
    }


def _company(store: Store, row: Values) -> Values:
    return {
        **_common(store, row),
        "name": row["name"],
        "inn": row["inn"],
        "responsible_user_id": _id(row["responsible_user_id"], store.switches),
    }


def _order(store: Store, row: Values) -> Values:
    return {
        **_common(store, row),
        "company_id": _amo_id(store, row["company_id_1c"]),
        "contact_id": _amo_id(store, row["contact_id_1c"]),
        "budget": amount_as(row["budget"], store.switches.amounts),
        "order_number": row["number"],
        "responsible_user_id": _id(row["responsible_user_id"], store.switches),
    }


def _event(store: Store, event: Values) -> Values:
    amounts = store.switches.amounts
    values = {
        "event_name": event["event_name"],
        "id": _amo_id(store, event["order_id_1c"]),
        "id_1c": event["order_id_1c"],
        **{name: event[name] and amount_as(event[name], amounts) for name in ("sum", "debt_sum")},
        "document_name": event["document_name"],
    }
    return values | ({"event_id": f"{event['seq']}"} if store.switches.event_ids else {})


def _common(store: Store, row: Values) -> Values:
    return {"id": _amo_id(store, row["id_1c"]), "id_1c": row["id_1c"], "link": row["link"]}


def _amo_id(store: Store, id_1c: str | None) -> Any:
    row = store.find(id_1c) if id_1c else None
    return None if row is None else _id(row["amo_id"], store.switches)


def _id(given: int | str | None, switches: Switches) -> Any:
    if given is None:
        return None
    return str(given) if switches.ids_as_text else int(given)


def awaited(store: Store, entry: Entry) -> bool:
    """Whether an order would go before amoCRM knows one of its counterparties, which is on its way there."""
    if entry.entity != "order" or store.switches.orders_without_ids:
        return False
    parties = (store.tables[COUNTERPARTIES].get(entry.content[f"{slot}_id_1c"]) for slot in ("contact", "company"))
    return any(party and party["amo_id"] is None and store.outbox.awaits(party["id_1c"]) for party in parties)
