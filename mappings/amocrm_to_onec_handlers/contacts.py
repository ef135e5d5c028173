"""A contact of amoCRM → an individual counterparty of 1C's. Brief 001 §1.2 as facts/onec.md D3 #18 resolves it: of the
phones and e-mails the first that can be read. What is not filled in is not sent, so nothing is blanked.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from marshmallow import ValidationError

from mappings.amocrm_to_onec_handlers.contact_options import ContactOptions
from mappings.amocrm_to_onec_handlers.shown import DELETED, TYPES, ShownSchema, custom, custom_uses, heading
from mappings.fields import PersonName
from mappings.onec_public import views
from mappings.onec_public.fields import Emails, Phones
from mappings.onec_public.rows import Values, filled, readable
from mappings.outcome import FieldUse, Mapped, Skipped


class ContactSchema(ShownSchema):
    """What the brief's request holds of a contact."""

    name = PersonName("Имя", required=True)
    phone = Phones("Телефон")
    email = Emails("Email")


class AmoCRMContactToOneCClient:
    """A contact → the individual that 1C made of it, or is to make."""

    def __init__(self, options: ContactOptions) -> None:
        self._options = options
        self._schema = ContactSchema(options.keys)
        self.fields = options.codes
        self.conditions: Mapping[str, tuple[str, ...]] = {}

    def needs(self) -> tuple[FieldUse, ...]:
        """What amoCRM shows of a contact, the field with 1C's id, and those that are configured."""
        return (*self._schema.needs(TYPES), *custom_uses(self._options, self.fields))

    def map(self, raw: Mapping[str, Any], *, today: date) -> Mapped | Skipped:  # noqa: ARG002 - nothing is dated
        """The individual to send; Skipped if the contact is deleted or is none to be sent, whatever is wrong.

        Raises ValidationError if a field is wrong. A phone or e-mail that cannot be read is a warning.
        """
        contact, errors = self._schema.read(raw)
        if contact.get("is_deleted"):
            return Skipped(DELETED)
        if self._options.reachable_only and contact.get("id_1c") is None and not _is_reachable(contact):
            return Skipped("ни телефона, ни адреса почты")
        warnings = [*self._schema.left_out(errors, "phone", "email", "custom")]
        if errors:
            raise ValidationError(errors)
        return Mapped(self._payload(contact), (*warnings, *self._warnings(contact)))

    def common(self, row_fields: Mapping[str, Any]) -> views.View | None:
        """The contact as 1C shows it too; None if the row shows nothing of it."""
        contact, _ = self._schema.read(row_fields)
        return None if contact.get("is_deleted") else views.of_contact(contact)

    def _payload(self, contact: Values) -> dict[str, Any]:
        phones, emails = readable(contact, "phone"), readable(contact, "email")
        return {
            **heading(contact),
            **filled(
                phone=phones[0] if phones else None,
                email=emails[0] if emails else None,
                id_1c=contact["id_1c"],
            ),
            "custom": custom(contact, self._options, self._options.id_field),
        }

    def _warnings(self, contact: Values) -> Iterator[str]:
        yield from self._schema.cut(contact, "name")
        for name in ("phone", "email"):
            if not readable(contact, name):
                yield from self._schema.lost(contact, name)


def _is_reachable(contact: Values) -> bool:
    return bool(readable(contact, "phone") or readable(contact, "email"))
