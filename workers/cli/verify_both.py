"""Verification of a sandbox 1C and a sandbox amoCRM that told each other everything: both stores say the same, once."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from workers.cli.verify import Store

Row = Mapping[str, Any]
Rows = Mapping[str, Mapping[Any, Row]]
"""By table or entity: rows by id."""

TABLES = ("counterparties", "orders")
ENTITIES = ("contacts", "companies", "leads")
KINDS = {"individual": "contacts", "legal": "companies"}
DIGITS = 10
MARK = "[parom:"


def disagreements(store: Store) -> list[str]:
    """All in which the two sides differ, as texts; nothing but the stores is asked."""
    base = {table: {row["id_1c"]: row for row in _rows(store, "onec_handlers", table)} for table in TABLES}
    amo = {entity: {row["id"]: row for row in _rows(store, "amocrm", entity)} for entity in ENTITIES}
    told: dict[str, list[Row]] = defaultdict(list)
    for event in sorted(_rows(store, "onec_handlers", "events"), key=lambda event: int(event["seq"])):
        told[event["order_id_1c"]].append(event)
    notes: dict[int, list[str]] = defaultdict(list)
    for note in sorted(_rows(store, "amocrm", "notes"), key=lambda note: int(note["id"])):
        if note["entity_type"] == "leads" and MARK in (text := str(note["params"].get("text"))):
            notes[note["entity_id"]].append(text)
    return [
        *_doubled(base, amo),
        *(text for row in base["counterparties"].values() for text in _of_counterparty(row, amo)),
        *(text for row in base["orders"].values() for text in _of_order(row, base, amo)),
        *(text for row in base["orders"].values() for text in _of_events(row, told, notes)),
        *(text for entity, rows in amo.items() for row in rows.values() for text in _of_amo(entity, row, base)),
    ]


def _rows(store: Store, system: str, table: str) -> list[Row]:
    found: list[Row] = store.get(f"/store/{system}/{table}")["rows"]
    return found


def _doubled(base: Rows, amo: Rows) -> Iterator[str]:
    for entity, rows in amo.items():
        known = (_value(row, "PAROM_ID_1C") for row in rows.values())
        yield from (f"{entity}: {times} have the id {id_1c}" for id_1c, times in _repeated(known))
    for table, rows in base.items():
        linked = ((row.get("kind"), row["amo_id"]) for row in rows.values() if row["amo_id"])
        yield from (f"{table}: {times} are {which}" for which, times in _repeated(linked))


def _repeated(values: Iterable[Any]) -> list[tuple[Any, int]]:
    return [(value, times) for value, times in Counter(filter(None, values)).items() if times > 1]


def _of_counterparty(row: Row, amo: Rows) -> Iterator[str]:
    if not row["name"].strip():
        return  # amoCRM takes nobody without a name, so it was refused
    entity, named = KINDS[row["kind"]], f"{row['kind']} {row['id_1c']}"
    shown = amo[entity].get(row["amo_id"])
    if shown is None:
        yield f"{named}: is not in amoCRM ({row['amo_id']})"
        return
    pairs = {
        "id": (row["id_1c"], _value(shown, "PAROM_ID_1C")),
        "name": (_plain(row["name"]), _plain(shown["name"])),
    }
    if entity == "contacts":
        pairs["phone"] = (_tail(row["phone"]), _tail(_value(shown, "PHONE")))
        pairs["email"] = ((row["email"] or "").lower(), (_value(shown, "EMAIL") or "").lower())
    else:
        pairs["inn"] = ((row["inn"] or "").strip("0") and row["inn"], _value(shown, "INN") or "")
    yield from _differing(named, pairs)


def _of_order(row: Row, base: Rows, amo: Rows) -> Iterator[str]:
    lead = amo["leads"].get(row["amo_id"])
    if lead is None:
        yield f"order {row['id_1c']}: is not in amoCRM ({row['amo_id']})"
        return
    main = next((link["id"] for link in lead["contacts"] if link["is_main"]), None)
    yield from _differing(
        f"order {row['id_1c']}",
        {
            "id": (row["id_1c"], _value(lead, "PAROM_ID_1C")),
            "price": (int(Decimal(row["budget"]).quantize(Decimal(1), ROUND_HALF_UP)), lead["price"]),
            "contact": (_amo_id(base, row["contact_id_1c"]), main),
            "company": (_amo_id(base, row["company_id_1c"]), lead["company_id"]),
        },
    )


def _of_events(row: Row, told: Mapping[str, list[Row]], notes: Mapping[int, list[str]]) -> Iterator[str]:
    """The title of a document is unlike any other, and stands in the note."""
    titles = [event["document_name"] for event in told.get(row["id_1c"], ())]
    texts = notes.get(row["amo_id"], [])
    shown = [next((title for title in titles if _has_line(text, title)), "?") for text in texts]
    if shown != titles:
        yield f"order {row['id_1c']}: {len(titles)} events, {len(texts)} notes: {titles} became {shown}"


def _of_amo(entity: str, row: Row, base: Rows) -> Iterator[str]:
    """What came to be in amoCRM is in 1C, unless its status says why not."""
    id_1c, table = _value(row, "PAROM_ID_1C"), "orders" if entity == "leads" else "counterparties"
    status = _value(row, "PAROM_STATUS") or ""
    if id_1c is None and status in ("", "Успешно"):
        yield f"{entity} {row['id']}: has no id of 1C, and its status is {status!r}"
    elif id_1c is not None and (found := base[table].get(id_1c, {}).get("amo_id")) != row["id"]:
        yield f"{entity} {row['id']}: {id_1c} in 1C is {found}"


def _differing(named: str, pairs: Mapping[str, tuple[Any, Any]]) -> list[str]:
    return [f"{named}: {what} {in_1c!r} is {in_amo!r}" for what, (in_1c, in_amo) in pairs.items() if in_1c != in_amo]


def _amo_id(base: Rows, id_1c: str | None) -> Any:
    return base["counterparties"].get(id_1c, {}).get("amo_id")


def _value(row: Row, code: str) -> Any:
    held = next((each["values"] for each in row["custom_fields_values"] or () if each["field_code"] == code), ())
    return held[0]["value"] if held else None


def _has_line(text: str, title: str) -> bool:
    return any(line.endswith(f" {title}") for line in text.splitlines())


def _plain(name: str) -> str:
    return " ".join(re.sub(r"[^\w\s«»&.-]", "", name).split())


def _tail(phone: str | None) -> str:
    """The ten digits that tell numbers apart; an extension may follow them."""
    digits = re.sub(r"\D", "", phone or "")
    own = digits[1:] if digits[:1] in ("7", "8") else digits
    return own[:DIGITS] if len(own) >= DIGITS else ""
