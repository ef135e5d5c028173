"""The product row of a deal (facts/bitrix24 §7.2): what was sold and for how much (brief 003 «Маппинг полей сделки»,
facts/otmechalka §6 and §7: #2, #10, #25).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, post_load, validates
from marshmallow.fields import Field

from mappings.bitrix24_to_otmechalka.deal_options import DealOptions
from mappings.fields import ExactText, Labelled
from mappings.money import KOPECK, Amount, Number, rounded

PRODUCT_NAME = ExactText("Тип абонемента", required=True)
PERCENT = Decimal("0.01")


@dataclass(frozen=True)
class Sold:
    """Prices are those of the whole row, in kopecks: initial - discount = final."""

    ticket_type: str
    initial: Decimal
    final: Decimal

    @property
    def discount(self) -> Decimal:
        return self.initial - self.final


class SeasonTickets:
    """Which products are season tickets: brief 003 carries no others, such as tournaments, and does not tell how."""

    def __init__(self, options: DealOptions) -> None:
        self._names = frozenset(map(str.strip, options.ticket_names))
        self._pattern = re.compile(options.ticket_pattern) if options.ticket_pattern else None
        self._are_all = not self._names and not self._pattern

    def __contains__(self, name: str) -> bool:
        return self._are_all or name in self._names or bool(self._pattern and self._pattern.search(name))

    def are_absent_from(self, rows: Any) -> bool:
        """Whether every row is known to be something else. Of no rows, or of a nameless one, nothing is known."""
        names = [_name(row) for row in rows] if isinstance(rows, list) else []
        return bool(names) and all(name is not None and name not in self for name in names)


def _name(row: Any) -> str | None:
    try:
        return PRODUCT_NAME.deserialize(row.get("PRODUCT_NAME")) if isinstance(row, Mapping) else None
    except ValidationError:
        return None


class ProductRowSchema(Schema):
    """The vendor's prices are per unit."""

    class Meta:
        unknown = EXCLUDE

    ticket_type = PRODUCT_NAME
    initial = Amount("Стоимость", required=True)
    discount = Amount("Скидка", required=True)
    final = Amount("Стоимость со скидкой", required=True)
    quantity = Amount("Количество", required=True)
    tax_rate = Number("Ставка налога")

    def __init__(self, options: DealOptions) -> None:
        self.options = options
        self.codes = {
            "ticket_type": "PRODUCT_NAME",
            "initial": options.price_initial_field,
            "discount": "DISCOUNT_SUM",
            "final": "PRICE",
            "quantity": "QUANTITY",
            "tax_rate": "TAX_RATE",
        }
        super().__init__()

    def on_bind_field(self, field_name: str, field_obj: Field[Any]) -> None:
        field_obj.data_key = self.codes[field_name]

    @validates("quantity")
    def quantity_makes_sense(self, value: Decimal, **_: Any) -> None:
        label = self.fields["quantity"].metadata["label"]
        if not value:
            raise ValidationError(f"Ноль в поле «{label}»")
        if self.options.refuse_quantity and value != 1:
            raise ValidationError(f"Должна быть единица в поле «{label}»")

    @post_load
    def total(self, row: Mapping[str, Any], **_: Any) -> Sold:
        initial, final = (rounded(row[price] * row["quantity"]) for price in ("initial", "final"))
        if not _adds_up(row) or final > initial:
            raise ValidationError(
                "Стоимость за вычетом скидки не равна стоимости со скидкой: проверьте цену, скидку и налог товара"
            )
        return Sold(row["ticket_type"], initial, final)


def _adds_up(row: Mapping[str, Any]) -> bool:
    """Whether initial - discount = final for one unit, if the vendor may have rounded each of the three to a kopeck.

    Bitrix24 shows the discount without tax even where the price includes it: its own example has 100000 with 20 % tax
    before and 80000 after a DISCOUNT_SUM of 16666.67. So the difference may be the discount, or the discount with its
    tax; anything else is an error. What is sent as discount is the difference itself, so that the three agree exactly.
    """
    with_tax = 1 + max(Decimal(0), row["tax_rate"] or Decimal(0)) * PERCENT
    difference = row["initial"] - row["final"]
    return any(
        abs(difference - row["discount"] * factor) <= (2 + factor) * KOPECK / 2 for factor in (Decimal(1), with_tax)
    )


class SoldRow(Labelled[Sold]):
    """The list of product rows, which must be one → what was sold. Its errors are those of the row."""

    empty = "Нет товарной позиции в сделке"
    row_schema: ProductRowSchema

    def read(self, value: Any) -> Sold:
        if not isinstance(value, list) or not all(isinstance(row, Mapping) for row in value):
            raise self.make_error("unreadable")
        if len(value) > 1:
            raise ValidationError("Несколько товарных позиций в сделке, а должна быть одна")
        try:
            return self.row_schema.load(value[0])  # type: ignore[no-any-return]
        except ValidationError as error:
            found = error.messages_dict
        order = (*self.row_schema.codes.values(), "_schema")
        raise ValidationError([text for code in order for text in found.get(code, ())])
