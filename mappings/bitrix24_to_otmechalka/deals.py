"""A Bitrix24 deal that was won → a season ticket of otmechalka. Brief 003 «Маппинг полей сделки» as facts/otmechalka
§6 and §7 resolve it. The connector adds PRODUCT_ROWS and ASSIGNED_BY; which deals are read at all, `conditions` say.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Any, cast

from marshmallow import EXCLUDE, Schema, ValidationError, validates
from marshmallow.fields import Field

from mappings.bitrix24_to_otmechalka.deal_options import DealOptions
from mappings.bitrix24_to_otmechalka.product_row import ProductRowSchema, SeasonTickets, Sold, SoldRow
from mappings.fields import DatePart, EnumIds, Labelled, LinkedId, PersonName, SourceId
from mappings.outcome import FieldUse, Mapped, Skipped


class Seller(Labelled[str]):
    """A user of the portal, {"NAME": …, "LAST_NAME": …} → "Given Family". Null is a user whom nobody may see."""

    empty = "Не найден сотрудник из поля «{label}»"

    def read(self, value: Any) -> str:
        if not isinstance(value, Mapping):
            raise self.make_error("unreadable")
        label = self.metadata["label"]
        given, family = (PersonName(label).deserialize(value.get(code)) for code in ("NAME", "LAST_NAME"))
        if given and family:
            return f"{given} {family}"
        what = "фамилии" if given else "имени" if family else "имени и фамилии"
        raise ValidationError(f"У сотрудника нет {what}: поле «{label}»")


class DealSchema(Schema):
    """The brief's table, row by row; what concerns the product row is a schema of its own."""

    class Meta:
        unknown = EXCLUDE

    origin_id = SourceId("Уникальный идентификатор", required=True)
    client_origin_id = LinkedId("Контакт", required=True)
    sold = SoldRow("Товарные позиции", required=True)
    seller = Seller("Ответственный", required=True)
    sale_date = DatePart("Дата продажи", required=True)
    branch = EnumIds("Филиал", required=True)
    payment = EnumIds("Способ оплаты")

    def __init__(self, options: DealOptions) -> None:
        self.options = options
        own = {"origin_id": "ID", "client_origin_id": "CONTACT_ID", "sold": "PRODUCT_ROWS", "seller": "ASSIGNED_BY"}
        self.codes = {**own, **asdict(options.fields)}
        super().__init__()

    def on_bind_field(self, field_name: str, field_obj: Field[Any]) -> None:
        field_obj.data_key = self.codes[field_name]
        if isinstance(field_obj, SoldRow):
            field_obj.row_schema = ProductRowSchema(self.options)
        if field_name == "payment":
            field_obj.required = self.options.require_payment_method

    @validates("branch")
    def one_branch_is_chosen(self, chosen: list[int], **_: Any) -> None:
        """Counted before anything is mapped: of two, an unsupported one is an error too (facts/otmechalka §7 #7)."""
        if len(chosen) > 1:
            raise ValidationError(f"Выбрано больше одного значения в поле «{self.label('branch')}»")

    @validates("payment")
    def payment_is_cash_or_not(self, chosen: list[int] | None, **_: Any) -> None:
        if len({payment in self.options.cash_payments for payment in chosen or ()}) > 1:
            raise ValidationError(f"И наличные, и безналичная оплата в поле «{self.label('payment')}»")

    def label(self, name: str) -> str:
        return str(self.fields[name].metadata["label"])


# Types in crm.deal.fields that each kind of field can read; none for what the connector fetches elsewhere.
BITRIX24_TYPES: Mapping[type[Field[Any]], tuple[str, ...]] = {
    SourceId: ("integer",),
    LinkedId: ("crm_contact",),
    SoldRow: (),
    Seller: (),
    DatePart: ("date", "datetime"),
    EnumIds: ("enumeration",),
}
CONDITIONS = {
    use.code: use
    for use in (
        FieldUse("STAGE_ID", "Стадия сделки", ("crm_status",)),
        FieldUse("STAGE_SEMANTIC_ID", "Группа стадий", ("string",)),
        FieldUse("IS_RECURRING", "Регулярная сделка", ("char",)),
        FieldUse("CATEGORY_ID", "Воронка", ("crm_category",)),
    )
}


class Bitrix24DealToOtmechalkaTicket:
    """A deal that was won, with one product that is a season ticket → the ticket whose `origin_id` is the deal's ID."""

    def __init__(self, options: DealOptions) -> None:
        self._options = options
        self._schema = DealSchema(options)
        self._season_tickets = SeasonTickets(options)
        self.fields = options.codes
        self.conditions: Mapping[str, tuple[str, ...]] = options.conditions

    def needs(self) -> tuple[FieldUse, ...]:
        """The fields of the brief's table with the options that the configuration names, and those of conditions."""
        options = {
            "branch": frozenset(map(int, self._options.branches)),
            "payment": frozenset(self._options.cash_payments),
        }
        read = []
        for name, code in self._schema.codes.items():
            types = BITRIX24_TYPES[type(self._schema.fields[name])]
            read.append(FieldUse(code, self._schema.label(name), types, options.get(name, frozenset())))
        return (*read, *(CONDITIONS[code] for code in self.conditions))

    def map(self, raw: Mapping[str, Any], *, today: date) -> Mapped | Skipped:  # noqa: ARG002 - a sale may be dated ahead
        """The ticket to send; Skipped if the deal sells none or its branch is not ours, however wrong the rest is.

        Raises ValidationError if a field is wrong. A way of payment that is not filled in is a warning.
        """
        if self._season_tickets.are_absent_from(raw.get("PRODUCT_ROWS")):
            return Skipped("no product is a season ticket")
        deal, errors = self._read(raw)
        branch = str(deal["branch"][0]) if "branch" in deal else None
        if branch is not None and branch not in self._options.branches:
            return Skipped(f"branch {branch} has no branch office")
        if errors:
            raise ValidationError(errors)
        return Mapped(self._payload(deal), self._warnings(deal))

    def _read(self, raw: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, list[str]]]:
        try:
            return self._schema.load(raw), {}
        except ValidationError as error:
            # People read the errors in the order of the table.
            errors = {code: error.messages_dict[code] for code in self.fields if code in error.messages_dict}
            return cast("dict[str, Any]", error.valid_data), errors

    def _payload(self, deal: Mapping[str, Any]) -> dict[str, Any]:
        sold: Sold = deal["sold"]
        return {
            "origin_id": deal["origin_id"],
            "client_origin_id": deal["client_origin_id"],
            "ticket_type": sold.ticket_type,
            "price_initial": str(sold.initial),
            "discount": str(sold.discount),
            "price_final": str(sold.final),
            "selling_date": deal["sale_date"].isoformat(),
            "selling_branchoffice": self._branchoffice(deal["branch"]),
            "employee": deal["seller"],
            "payment_method": self._payment_method(deal["payment"]),
        }

    def _branchoffice(self, chosen: list[int]) -> str:
        reference = self._options.branchoffices[self._options.branches[str(chosen[0])]]
        return reference.id if self._options.reference_mode == "id" else reference.name

    def _payment_method(self, chosen: list[int] | None) -> str:
        return "CASH" if chosen and chosen[0] in self._options.cash_payments else "ONLINE"

    def _warnings(self, deal: Mapping[str, Any]) -> tuple[str, ...]:
        if deal["payment"]:
            return ()
        return (f"Не заполнено поле «{self._schema.label('payment')}», передана безналичная оплата",)
