"""A lead of amoCRM → an order of 1C's, with its client. Brief 001 §1.3 as facts/onec.md D3 #17 resolves it: a price and
no lines. The connector adds `main_contact` and `company`, whole rows, which their own mappings read.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from marshmallow import ValidationError

from mappings.amocrm_to_onec_handlers.companies import AmoCRMCompanyToOneCClient
from mappings.amocrm_to_onec_handlers.contacts import AmoCRMContactToOneCClient
from mappings.amocrm_to_onec_handlers.lead_options import LeadOptions
from mappings.amocrm_to_onec_handlers.shown import DELETED, TYPES, ShownSchema, custom, custom_uses, heading
from mappings.onec_fields import Revenue
from mappings.onec_public import views
from mappings.onec_public.fields import AmoId, LinkedRow, whole_roubles
from mappings.onec_public.rows import Errors, Values, filled
from mappings.outcome import EntityMapping, FieldUse, Mapped, Skipped

CLIENTS: Mapping[str, str] = {"main_contact": "contact", "company": "company"}
"""Keys of a row → keys of the payload."""


class LeadSchema(ShownSchema):
    """What the brief's request holds of a lead, and by what leads are chosen."""

    price = Revenue("Бюджет")
    pipeline_id = AmoId("Воронка")
    status_id = AmoId("Этап")
    main_contact = LinkedRow("Контакт")
    company = LinkedRow("Компания")


class AmoCRMLeadToOneCOrder:
    """A lead → the order that 1C made of it, or is to make."""

    def __init__(self, options: LeadOptions) -> None:
        self._options = options
        self._schema = LeadSchema(options.keys)
        self._clients: Mapping[str, EntityMapping] = {
            "main_contact": AmoCRMContactToOneCClient(options.of_contacts),
            "company": AmoCRMCompanyToOneCClient(options.of_companies),
        }
        self.fields = options.codes
        self.conditions: Mapping[str, tuple[str, ...]] = options.conditions

    def needs(self) -> tuple[FieldUse, ...]:
        """What amoCRM shows of a lead, the field with 1C's id, and those that are configured.

        Of pipelines and stages those that count; the fields of its client are not the lead's.
        """
        counted = {code: frozenset(map(int, ids)) for code, ids in self.conditions.items()}
        own = [replace(use, options=counted.get(use.code, use.options)) for use in self._schema.needs(TYPES)]
        seen = {use.code for use in own}
        linked = (use for mapping in self._clients.values() for use in mapping.needs() if use.code in self.fields)
        foreign = {use.code: FieldUse(use.code, use.label, ()) for use in linked if use.code not in seen}
        return (*own, *foreign.values(), *custom_uses(self._options, self.fields))

    def map(self, raw: Mapping[str, Any], *, today: date) -> Mapped | Skipped:
        """The order to send; Skipped if the lead is deleted or not where leads count, whatever is wrong.

        Raises ValidationError if a field of it or of its client is wrong.
        """
        lead, errors = self._schema.read(raw)
        if lead.get("is_deleted"):
            return Skipped(DELETED)
        for name, ids in self.conditions.items():
            if str(lead.get(name)) not in ids:
                return Skipped(f"«{self._schema.label(name)}»: не из тех, что передаются")
        warnings = [*self._schema.left_out(errors, "custom"), *self._schema.cut(lead, "name")]
        clients: dict[str, Any] = {}
        for key, name in CLIENTS.items():
            mapped = self._client(key, lead.get(key), errors, today=today)
            warnings += mapped.warnings
            clients |= {name: mapped.payload} if mapped.payload else {}
        if errors:
            raise ValidationError({code: errors[code] for code in self.fields if code in errors})
        return Mapped(self._payload(lead, clients), tuple(warnings))

    def common(self, row_fields: Mapping[str, Any]) -> views.View | None:
        """The order as 1C shows it too; None if the row shows nothing of it."""
        lead, _ = self._schema.read(row_fields)
        if lead.get("is_deleted"):
            return None
        return views.of_order(
            lead.get("price"),
            contact_id=_id_of(lead.get("main_contact")),
            company_id=_id_of(lead.get("company")),
            responsible_user_id=lead.get("responsible_user_id"),
        )

    def _client(self, key: str, row: Values | None, errors: Errors, *, today: date) -> Mapped:
        """What is sent of one of the lead's two clients, nothing for want of it; what is wrong goes into `errors`."""
        label = self._schema.label(key)
        if row is None:
            return Mapped({})
        try:
            mapped = self._clients[key].map(row, today=today)
        except ValidationError as error:
            errors[key] = [f"{label}: {text}" for texts in error.messages_dict.values() for text in texts]
            return Mapped({})
        if isinstance(mapped, Skipped):
            return Mapped({}, (f"{label}: {mapped.reason}",))
        return Mapped(mapped.payload, tuple(f"{label}: {text}" for text in mapped.warnings))

    def _payload(self, lead: Values, clients: Mapping[str, Any]) -> dict[str, Any]:
        price = lead["price"]
        return {
            **heading(lead),
            **filled(id_1c=lead["id_1c"], price=None if price is None else whole_roubles(price)),
            **clients,
            "custom": custom(lead, self._options, self._options.id_field),
        }


def _id_of(row: Values | None) -> int | None:
    shown = row and row.get("id")
    return shown if type(shown) is int else None
