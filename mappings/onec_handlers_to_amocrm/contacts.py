"""An individual counterparty of 1C's → a contact of amoCRM. Brief 001 §2.3 as facts/onec.md D3 #8 and #18 resolve it.
What is not filled in is not sent, so nothing is blanked.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from marshmallow import ValidationError

from mappings.onec_handlers_to_amocrm.contact_options import ContactOptions
from mappings.onec_handlers_to_amocrm.pushed import OPTIONAL, ClientSchema, heading
from mappings.onec_public import views
from mappings.onec_public.fields import Emails, Phones, shortened
from mappings.onec_public.rows import Values, filled, readable
from mappings.outcome import FieldUse, Mapped


class ContactSchema(ClientSchema):
    """The brief's request but for its envelope."""

    phone = Phones("Телефон")
    email = Emails("Email")


class OneCClientToAmoCRMContact:
    """An individual → the contact that has its `id_1c`."""

    def __init__(self, options: ContactOptions) -> None:
        self._schema = ContactSchema(options.codes)
        self.fields = options.codes
        self.conditions: Mapping[str, tuple[str, ...]] = {}

    def needs(self) -> tuple[FieldUse, ...]:
        """The keys of 1C's request."""
        return self._schema.needs()

    def map(self, raw: Mapping[str, Any], *, today: date) -> Mapped:  # noqa: ARG002 - nothing is dated
        """The contact to send. Raises ValidationError if 1C names nobody or nothing to call a new contact by.

        A phone, e-mail, link or responsible user that cannot be read is a warning.
        """
        client, errors = self._schema.read(raw)
        warnings = [*self._schema.left_out(errors, "phone", "email", *OPTIONAL)]
        if errors:
            raise ValidationError(errors)
        warnings += [*self._schema.cut(client, "name"), *self._schema.lost(client, "phone", "email")]
        return Mapped(self._payload(client), tuple(warnings))

    def common(self, row_fields: Mapping[str, Any]) -> views.View | None:
        """The contact as amoCRM shows it too; None if the row shows nothing of it."""
        return views.of_contact(self._schema.read(row_fields)[0])

    def _payload(self, client: Values) -> dict[str, Any]:
        return heading(client) | filled(
            name=client["name"] and shortened(client["name"]),
            responsible_user_id=client.get("responsible_user_id"),
            phones=list(readable(client, "phone")),
            emails=list(readable(client, "email")),
            link=client.get("link"),
        )
