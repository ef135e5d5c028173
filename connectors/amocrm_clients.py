"""Counterparties in an amoCRM account: people are contacts, organisations companies (facts/amocrm.md §6, §7, §12)."""

from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

from connectors.amocrm_shapes import (
    MULTITEXT,
    TELL_APART,
    Shown,
    Wire,
    inn_of,
    legal_entity,
    merged,
    spellings,
    values,
)
from connectors.amocrm_target import AmoCrmTarget, Payload, Trait


class Contacts(AmoCrmTarget):
    """People: known by phone, then by e-mail."""

    kind = "contacts"

    def _traits(self, payload: Payload) -> Iterator[Trait]:
        for code, label, named in (("PHONE", "телефон", "phones"), ("EMAIL", "e-mail", "emails")):
            wanted = dict.fromkeys(key for text in payload.get(named) or () for key in TELL_APART[code](text))
            if wanted:
                yield Trait(label, partial(self._with, code, wanted))

    def _with(self, code: str, wanted: Collection[str]) -> list[Shown]:
        """Each spelling is looked for, whatever the others find: several contacts are left to a person."""

        def holds(shown: Shown) -> bool:
            return any(key in wanted for value in values(shown, code) if value for key in TELL_APART[code](str(value)))

        texts = (text for key in wanted for text in spellings(code, key))
        return [shown for text in texts for shown in self._entities.search(text, holds)]

    def _held(self, shown: Shown) -> Wire:
        phones, emails = ([str(value) for value in values(shown, code) if value] for code in MULTITEXT)
        return super()._held(shown) | {"phones": phones, "emails": emails}

    def _custom(self, shown: Shown, payload: Payload) -> Iterator[Wire]:
        yield from super()._custom(shown, payload)
        for code, wanted in (("PHONE", payload.get("phones")), ("EMAIL", payload.get("emails"))):
            together = merged(shown, code, wanted or ())
            if together is not None:
                yield {"field_code": code, "values": together}


class Companies(AmoCrmTarget):
    """Organisations: known by their INN, where a field for it is configured."""

    kind = "companies"

    def _traits(self, payload: Payload) -> Iterator[Trait]:
        inn = inn_of(payload.get("inn"))
        if inn and self._config.inn_field:
            yield Trait("ИНН", lambda: self._with_inn(inn))

    def _with_inn(self, inn: str) -> list[Shown]:
        field = self._entities.fields.get(self._config.inn_field)
        return self._entities.holding(
            field, inn, lambda shown: inn in map(inn_of, values(shown, str(field.id))), is_exact=False
        )

    def _held(self, shown: Shown) -> Wire:
        inns = map(inn_of, values(shown, self._config.inn_field)) if self._config.inn_field else ()
        return super()._held(shown) | {"inn": next(iter(inns), "") or None}

    def _custom(self, shown: Shown, payload: Payload) -> Iterator[Wire]:
        yield from super()._custom(shown, payload)
        inn = inn_of(payload.get("inn"))
        if not inn or not self._config.inn_field:
            return
        field = self._entities.fields.get(self._config.inn_field)
        held = values(shown, str(field.id))
        if inn in map(inn_of, held):
            return
        value: Any = inn
        if field.type == "legal_entity":
            name = str(payload.get("name") or shown.get("name") or "")
            value = legal_entity(next(iter(held), None), inn, name)
        yield {"field_id": field.id, "values": [{"value": each} for each in (value, *held[1:])]}
