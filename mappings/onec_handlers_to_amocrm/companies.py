"""A legal entity of 1C's → a company of amoCRM. Brief 001 §2.4 as facts/onec.md D3 #8 resolves it. What is not filled
in is not sent, so nothing is blanked.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from marshmallow import ValidationError

from mappings.onec_handlers_to_amocrm.company_options import CompanyOptions
from mappings.onec_handlers_to_amocrm.pushed import OPTIONAL, ClientSchema, heading
from mappings.onec_public import views
from mappings.onec_public.fields import Inn, shortened
from mappings.onec_public.rows import Values, filled
from mappings.outcome import FieldUse, Mapped


class CompanySchema(ClientSchema):
    """The brief's request but for its envelope."""

    inn = Inn("ИНН/УНП")


class OneCClientToAmoCRMCompany:
    """A legal entity → the company that has its `id_1c`."""

    def __init__(self, options: CompanyOptions) -> None:
        self._schema = CompanySchema(options.codes)
        self.fields = options.codes
        self.conditions: Mapping[str, tuple[str, ...]] = {}

    def needs(self) -> tuple[FieldUse, ...]:
        """The keys of 1C's request."""
        return self._schema.needs()

    def map(self, raw: Mapping[str, Any], *, today: date) -> Mapped:  # noqa: ARG002 - nothing is dated
        """The company to send. Raises ValidationError if 1C names none or nothing to call a new company by.

        An INN, link or responsible user that cannot be read is a warning.
        """
        client, errors = self._schema.read(raw)
        warnings = [*self._schema.left_out(errors, "inn", *OPTIONAL)]
        if errors:
            raise ValidationError(errors)
        return Mapped(self._payload(client), (*warnings, *self._schema.cut(client, "name")))

    def common(self, row_fields: Mapping[str, Any]) -> views.View | None:
        """The company as amoCRM shows it too; None if the row shows nothing of it."""
        return views.of_company(self._schema.read(row_fields)[0])

    def _payload(self, client: Values) -> dict[str, Any]:
        return heading(client) | filled(
            name=client["name"] and shortened(client["name"]),
            responsible_user_id=client.get("responsible_user_id"),
            inn=client.get("inn"),
            link=client.get("link"),
        )
