"""A company of amoCRM → a legal entity of 1C's. Brief 001 §1.2, which demands an INN or UNP. What is not filled in is
not sent, so nothing is blanked.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from marshmallow import ValidationError
from marshmallow.fields import Field

from mappings.amocrm_to_onec_handlers.company_options import CompanyOptions
from mappings.amocrm_to_onec_handlers.shown import DELETED, TYPES, ShownSchema, custom, custom_uses, heading
from mappings.onec_public import views
from mappings.onec_public.fields import Inn
from mappings.onec_public.rows import Values, filled
from mappings.outcome import FieldUse, Mapped, Skipped


class CompanySchema(ShownSchema):
    """What the brief's request holds of a company."""

    inn = Inn("ИНН/УНП")

    def __init__(self, options: CompanyOptions) -> None:
        self.inn_required = options.inn_required
        super().__init__(options.keys)

    def on_bind_field(self, field_name: str, field_obj: Field[Any]) -> None:
        super().on_bind_field(field_name, field_obj)
        if field_name == "inn":
            field_obj.required = self.inn_required


class AmoCRMCompanyToOneCClient:
    """A company → the legal entity that 1C made of it, or is to make."""

    def __init__(self, options: CompanyOptions) -> None:
        self._options = options
        self._schema = CompanySchema(options)
        self.fields = options.codes
        self.conditions: Mapping[str, tuple[str, ...]] = {}

    def needs(self) -> tuple[FieldUse, ...]:
        """What amoCRM shows of a company, the fields with the INN and 1C's id, and those that are configured."""
        return (*self._schema.needs(TYPES), *custom_uses(self._options, self.fields))

    def map(self, raw: Mapping[str, Any], *, today: date) -> Mapped | Skipped:  # noqa: ARG002 - nothing is dated
        """The legal entity to send; Skipped if the company is deleted, or has no INN and needs none, whatever is wrong.

        Raises ValidationError if a field is wrong, an unreadable INN always.
        """
        company, errors = self._schema.read(raw)
        if company.get("is_deleted"):
            return Skipped(DELETED)
        if company.get("inn", "unreadable") is None:
            return Skipped(f"не заполнено поле «{self._schema.label('inn')}»")
        warnings = [*self._schema.left_out(errors, "custom")]
        if errors:
            raise ValidationError(errors)
        return Mapped(self._payload(company), (*warnings, *self._schema.cut(company, "name")))

    def common(self, row_fields: Mapping[str, Any]) -> views.View | None:
        """The company as 1C shows it too; None if the row shows nothing of it."""
        company, _ = self._schema.read(row_fields)
        return None if company.get("is_deleted") else views.of_company(company)

    def _payload(self, company: Values) -> dict[str, Any]:
        options = self._options
        return {
            **heading(company),
            **filled(inn=company["inn"], id_1c=company["id_1c"]),
            "custom": custom(company, options, options.id_field, options.inn_field),
        }
