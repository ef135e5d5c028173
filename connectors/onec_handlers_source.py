"""What 1C sends us itself (brief 001 §2.3-2.6): nothing can be asked of it, and what it sends is shaped here."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from connectors.base import Conditions, Malformed, Note, Page, Row, Window
from connectors.errors import ConnectorError, Rejected
from connectors.onec_handlers_config import OneCHandlersConfig
from connectors.onec_handlers_texts import amount, clean, link

EVENTS = ("cancel_order", "payment", "part_payment", "shipment", "part_shipment")
LONGEST_ID = 100
AMO = "amo:"
"""Begins the id of a row that 1C names by nothing but its id in amoCRM."""
LARGEST_ID = 2**63
NO_REFERENCE = "00000000-0000-0000-0000-000000000000"
KEY_LENGTH = 40

_WHO = ("id_1c", "amo_id", "link", "name", "responsible_user_id")
FIELDS: Mapping[str, tuple[str, ...]] = {
    "clients_contacts": (*_WHO, "email", "phone"),
    "clients_companies": (*_WHO, "inn"),
    "leads": (*_WHO[:3], "company_id", "contact_id", "budget", "order_number", "responsible_user_id"),
    "events": ("key", "event_id", "event_name", "amo_id", "id_1c", "sum", "debt_sum", "document_name", "received_at"),
}
"""The fields of each entity's rows; all are always there, null if 1C told nothing."""
NUMBERS = ("amo_id", "responsible_user_id", "company_id", "contact_id")
IDS = ("id_1c", "event_id")
SUMS = ("budget", "sum", "debt_sum")
TEXTS: Mapping[str, int] = {
    "name": 255,
    "email": 255,
    "phone": 64,
    "inn": 32,
    "order_number": 64,
    "document_name": 255,
}
"""Texts, and to how many characters they are cut."""
OF_AN_EVENT = ("event_name", "amo_id", "id_1c", "sum", "debt_sum", "document_name")


class Pushed:
    """As `SourceEntity`, of what is pushed only."""

    def __init__(self, entity: str, config: OneCHandlersConfig, links_host: Callable[[], str | None]) -> None:
        self._entity, self._config, self._links_host = entity, config, links_host

    def page(self, window: Window, fields: Sequence[str]) -> Page:  # noqa: ARG002 - there is nobody to ask
        return Page((), last=True, server_time=datetime.now(UTC), last_id=None)

    def read(self, ids: Sequence[str], fields: Sequence[str], conditions: Conditions) -> tuple[Row, ...]:  # noqa: ARG002
        return ()

    def write_notes(self, field: str, notes: Sequence[Note]) -> list[ConnectorError | None]:
        message = f"{self._config.title} {self._entity}: has no place for notes in {field}"
        return [Rejected(message, told="В 1С нет места для статуса") for _ in notes]

    def received(self, item: Any) -> Row:
        """A row of what 1C sent; `amo_id` may also be called `id`.

        An event is known again by its `event_id`, if 1C gives one, or by all that it says. Raises Malformed, and as
        `Vault.read` for a link, which must be one into the base.
        """
        if not isinstance(item, Mapping):
            raise Malformed("it must be an object")
        shown = {"amo_id": item.get("id"), **item}
        now = datetime.now(UTC)
        fields = {name: self._value(name, shown.get(name)) for name in FIELDS[self._entity]}
        if fields["id_1c"] is None and fields["amo_id"] is None:
            raise Malformed("id or id_1c is needed")
        if self._entity == "events":
            fields |= {"key": self._key(fields), "received_at": now.isoformat()}
        return Row(_named(fields), fields, now, now)

    def _key(self, fields: Mapping[str, Any]) -> str:
        own = fields["event_id"]
        told = ["event_id", own] if own else [fields[name] for name in OF_AN_EVENT]
        said = json.dumps([self._config.id_base, *told], ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(said.encode()).hexdigest()[:KEY_LENGTH]

    def _value(self, name: str, value: Any) -> Any:
        if name in TEXTS:
            return _text(name, value)
        if name in NUMBERS:
            return _number(name, value)
        if name in SUMS:
            return _sum(name, value)
        if name == "link":
            return self._link(value)
        if name in IDS:
            return _id(name, value)
        return _event_name(value) if name == "event_name" else None

    def _link(self, value: Any) -> str | None:
        _text("link", value)
        is_web = isinstance(value, str) and value.strip().lower().startswith("http")
        return link(value, self._links_host() if is_web else None)


def _named(fields: Mapping[str, Any]) -> str:
    """By what 1C names the entity, or the order that something happened to."""
    return fields["id_1c"] or f"{AMO}{fields['amo_id']}"


def _text(name: str, value: Any) -> str | None:
    if isinstance(value, bool | Mapping | list):
        raise Malformed(f"{name} must be a string")
    return clean(value, TEXTS.get(name, 1))


def _number(name: str, value: Any) -> int | None:
    """0 and an empty string are how 1C says nothing."""
    if value in (None, "", 0, "0") and not isinstance(value, bool):
        return None
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) < LARGEST_ID):  # noqa: PLR2004
        raise Malformed(f"{name} must be an id of amoCRM: a whole number")
    return int(text)


def _sum(name: str, value: Any) -> str | None:
    try:
        return amount(value)
    except ValueError:
        pass
    raise Malformed(f"{name} must be a sum, not less than zero")


def _id(name: str, value: Any) -> str | None:
    """The empty reference is nothing, as is an empty string."""
    is_text = isinstance(value, str | int) and not isinstance(value, bool)
    text = str(value).strip() if is_text else ""
    is_fine = is_text and len(text) <= LONGEST_ID and text.isprintable() and not text.startswith(AMO)
    if value is not None and not is_fine:
        raise Malformed(f"{name} must be a string of at most {LONGEST_ID} characters")
    return text if text not in ("", NO_REFERENCE) else None


def _event_name(value: Any) -> str:
    if value not in EVENTS:
        raise Malformed(f"event_name must be one of {', '.join(EVENTS)}")
    return str(value)
