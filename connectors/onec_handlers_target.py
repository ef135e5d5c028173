"""Counterparties and orders of a 1C base as targets (brief 001 §1.2, §1.3): one request creates or updates.

A base knows an amoCRM id again (facts/onec.md D5), so a repeat is harmless; where `repeats_are_safe` says otherwise, a
lost answer is a person's to look at.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from connectors.base import Found, Located, WriteClass
from connectors.onec_handlers_calls import Handlers

FieldMap = Callable[[str], Collection[str]]
"""By amoCRM's entity (contacts, companies, leads): the ids of the fields that the base has asked for, as text."""
Wire = dict[str, Any]

_ALWAYS = ("name", "responsible_user_id")
_IF_KNOWN: Mapping[str, tuple[str, ...]] = {
    "contacts": ("phone", "email", "id_1c"),
    "companies": ("inn", "id_1c"),
    "leads": ("id_1c", "price"),
}


class Target:
    """What all three share: one request, and a link in its answer."""

    updates = True
    kind: str
    thing: str

    def __init__(self, handlers: Handlers, field_map: FieldMap) -> None:
        self._handlers, self._field_map = handlers, field_map
        self.settle = handlers.config.settle
        is_safe = handlers.config.repeats_are_safe
        self.write_class = WriteClass.UPSERT if is_safe else WriteClass.CREATE_BLIND

    def find(self, key: str) -> Found | None:  # noqa: ARG002 - the base cannot be asked
        return None

    def match(self, payload: Mapping[str, Any]) -> str | None:  # noqa: ARG002 - the base matches by itself
        return None

    def create(self, payload: Mapping[str, Any]) -> Located:
        """As `TargetEntity`: the id and link of what the base made or changed."""
        return self._handlers.write(self.kind, self.fields(payload), thing=self.thing)

    def update(self, id_: str, payload: Mapping[str, Any]) -> Located | None:
        return self.create({**payload, "id_1c": id_})

    def fields(self, payload: Mapping[str, Any]) -> Wire:
        """The request's own fields."""
        raise NotImplementedError

    def person(self, entity: str, payload: Mapping[str, Any]) -> Wire:
        """One entity as the brief shows it; of its custom fields, those that the base has asked for."""
        wire: Wire = {"id": int(payload["id"]), **{name: payload.get(name) for name in _ALWAYS}}
        wire |= {name: payload[name] for name in _IF_KNOWN[entity] if payload.get(name) is not None}
        custom = payload.get("custom") or {}
        asked = self._field_map(entity) if custom else ()
        return wire | {f"p_{id_}": value for id_, value in custom.items() if str(id_) in asked}


class Contacts(Target):
    """Individuals, from contacts."""

    kind, thing = "new_lead", "контакт"

    def fields(self, payload: Mapping[str, Any]) -> Wire:
        return {"clients": {self._handlers.config.contact_key: self.person("contacts", payload)}}


class Companies(Target):
    """Legal entities, from companies."""

    kind, thing = "new_lead", "компанию"

    def fields(self, payload: Mapping[str, Any]) -> Wire:
        return {"clients": {"company": self.person("companies", payload)}}


class Orders(Target):
    """Orders, from leads with their contact and company."""

    kind, thing = "new_order", "заказ"

    def fields(self, payload: Mapping[str, Any]) -> Wire:
        parties = {"contact": "contacts", "company": "companies"}
        clients = {
            name: self.person(entity, payload[name])
            for name, entity in parties.items()
            if payload.get(name) is not None
        }
        return {**self.person("leads", payload), "clients": clients}
