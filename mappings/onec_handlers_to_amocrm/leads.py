"""An order of 1C's → a lead of amoCRM. Brief 001 §2.5 as facts/onec.md D3 #3, #8 and #11 resolve it: `id_1c` and `link`
are the order's. What is not filled in is not sent, so nothing is blanked.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from marshmallow import ValidationError

from mappings.onec_fields import Revenue
from mappings.onec_handlers_to_amocrm.lead_options import ORDER_NUMBER, LeadOptions
from mappings.onec_handlers_to_amocrm.pushed import OPTIONAL, PushedSchema, heading
from mappings.onec_handlers_to_amocrm.templates import filled_in
from mappings.onec_public import views
from mappings.onec_public.fields import AmoId, Number, shortened, whole_roubles
from mappings.onec_public.rows import Values, filled
from mappings.outcome import FieldUse, Mapped


class LeadSchema(PushedSchema):
    """The brief's request but for its envelope."""

    contact_id = AmoId("Контакт")
    company_id = AmoId("Компания")
    budget = Revenue("Бюджет")
    order_number = Number("Номер заказа")


class OneCOrderToAmoCRMLead:
    """An order → the lead that has its `id_1c`."""

    def __init__(self, options: LeadOptions) -> None:
        self._options = options
        self._schema = LeadSchema(options.codes)
        self.fields = options.codes
        self.conditions: Mapping[str, tuple[str, ...]] = {}

    def needs(self) -> tuple[FieldUse, ...]:
        """The keys of 1C's request."""
        return self._schema.needs()

    def map(self, raw: Mapping[str, Any], *, today: date) -> Mapped:  # noqa: ARG002 - nothing is dated
        """The lead to send; its pipeline and stage are for a new one only.

        Raises ValidationError if 1C names no lead, or its budget, contact or company is wrong. A link or responsible
        user that cannot be read is a warning.
        """
        order, errors = self._schema.read(raw)
        warnings = [*self._schema.left_out(errors, *OPTIONAL)]
        if errors:
            raise ValidationError(errors)
        return Mapped(self._payload(order), (*warnings, *self._schema.cut(order, ORDER_NUMBER)))

    def common(self, row_fields: Mapping[str, Any]) -> views.View | None:
        """The order as amoCRM shows it too; None if the row shows nothing of it."""
        order, _ = self._schema.read(row_fields)
        return views.of_order(
            order.get("budget"),
            contact_id=order.get("contact_id"),
            company_id=order.get("company_id"),
            responsible_user_id=order.get("responsible_user_id"),
        )

    def _payload(self, order: Values) -> dict[str, Any]:
        budget, number = order["budget"], order[ORDER_NUMBER]
        return heading(order) | filled(
            name=self._name(order),
            price=None if budget is None else whole_roubles(budget),
            order_number=number and shortened(number),
            contact_id=order["contact_id"],
            company_id=order["company_id"],
            responsible_user_id=order.get("responsible_user_id"),
            link=order.get("link"),
            pipeline_id=self._options.pipeline_id,
            status_id=self._options.status_id,
        )

    def _name(self, order: Values) -> str | None:
        """None for a lead that is in amoCRM already: somebody has named it there."""
        if order["amo_id"] is not None:
            return None
        name = filled_in(self._options.name_pattern, {ORDER_NUMBER: order[ORDER_NUMBER] or order["id_1c"]})
        return name and shortened(name)
