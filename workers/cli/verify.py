"""Verification against a sandbox: maps every entity anew and compares what both systems hold, field by field."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from marshmallow import ValidationError

from mappings.outcome import Mapped, told
from tasks.flow import Flow


class Store(Protocol):
    """The side door of a sandbox."""

    def get(self, path: str) -> Any:
        """The JSON that the path answers with."""


@dataclass(frozen=True)
class Verdict:
    """Ids of source entities whose target entity or note is as it should be, or is not."""

    flow: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]
    notes_wrong: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        return not self.wrong and not self.notes_wrong


def verify(flow: Flow, store: Store, zone: ZoneInfo) -> Verdict:
    """What the sandbox holds against what the mapping says it should hold; nothing may be there unasked."""
    target = TARGETS[flow.kind.target_system]
    held = {
        row[flow.kind.key]: row
        for row in store.get(f"/store/{flow.kind.target_system}/{flow.kind.target_entity}")["rows"]
    }
    right: list[str] = []
    wrong: list[str] = []
    notes_wrong: list[str] = []
    for id_, row in _ours(flow, store):
        payload, note = expected(flow, row, zone)
        (right if _is_equal(payload and target(payload), held.pop(id_, None)) else wrong).append(id_)
        if flow.status_field and row.get(flow.status_field) != note:
            notes_wrong.append(id_)
    return Verdict(flow.name, tuple(right), (*wrong, *held), tuple(notes_wrong))


def expected(flow: Flow, row: Mapping[str, Any], zone: ZoneInfo) -> tuple[dict[str, Any] | None, str]:
    """The payload that the target should hold, or None, and the note that the source should show."""
    try:
        mapped = flow.mapping.map(row, today=datetime.now(zone).date())
    except ValidationError as error:
        return None, told(error)
    return (mapped.payload, flow.success_note) if isinstance(mapped, Mapped) else (None, flow.skipped_note)


def _is_equal(payload: Mapping[str, Any] | None, held: Mapping[str, Any] | None) -> bool:
    if payload is None or held is None:
        return payload is held
    return all(held.get(name) == value for name, value in payload.items())


@dataclass(frozen=True)
class _Source:
    """How a sandbox source shows its rows: the fields of id and creation, and the rows by entity."""

    id: str
    created: str
    rows: Mapping[str, Callable[[Store], Iterable[dict[str, Any]]]]


def _ours(flow: Flow, store: Store) -> Iterator[tuple[str, dict[str, Any]]]:
    source = SOURCES[flow.kind.source_system]
    for row in source.rows[flow.kind.source_entity](store):
        meets = all(str(row.get(code)) in values for code, values in flow.mapping.conditions.items())
        if meets and (not row[source.created] or datetime.fromisoformat(row[source.created]) >= flow.since):
            yield row[source.id], row


def _contacts(store: Store) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = store.get("/store/bitrix24/contacts")["rows"]
    return rows


def _deals(store: Store) -> Iterator[dict[str, Any]]:
    """As the connector shows them: with their product rows and the seller's name."""
    users = {user["ID"]: user for user in store.get("/store/bitrix24/users")["rows"]}
    products: dict[str, list[Any]] = {}
    for product in store.get("/store/bitrix24/product_rows")["rows"]:
        products.setdefault(str(product["OWNER_ID"]), []).append(product)
    for deal in store.get("/store/bitrix24/deals")["rows"]:
        seller = users.get(str(deal["ASSIGNED_BY_ID"]))
        yield {**deal, "PRODUCT_ROWS": products.get(deal["ID"], []), "ASSIGNED_BY": seller}


def _interests(store: Store) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = store.get("/store/onec/interests")["rows"]
    return rows


def _as_is(payload: dict[str, Any]) -> dict[str, Any]:
    return payload


def _in_comagic(payload: dict[str, Any]) -> dict[str, Any]:
    """Without times, which it keeps in its own zone and may set itself; with numbers."""
    shown = {name: value for name, value in payload.items() if not name.endswith("_date_time")}
    numbers = {"revenue": float, "communication_id": int}
    return shown | {name: read(shown[name]) for name, read in numbers.items() if name in shown}


SOURCES: Mapping[str, _Source] = {
    "bitrix24": _Source("ID", "DATE_CREATE", {"contacts": _contacts, "deals": _deals}),
    "onec": _Source("id", "created_at", {"interests": _interests}),
}
TARGETS: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {"otmechalka": _as_is, "comagic": _in_comagic}
