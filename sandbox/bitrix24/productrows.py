"""Product rows of deals (facts/bitrix24.md §7.2): prices per unit, PRICE final, NETTO and BRUTTO before discount."""

from typing import Any

from sandbox.bitrix24.values import to_int

DISCOUNT_BY_PERCENT = 2
WHOLE_PERCENT = 100
# Field → default of a row that names only a product and a price.
DEFAULTS: dict[str, Any] = {
    "PRODUCT_ID": 0,
    "PRODUCT_NAME": "",
    "PRODUCT_DESCRIPTION": None,
    "PRICE": 0,
    "QUANTITY": 1,
    "DISCOUNT_TYPE_ID": 1,
    "DISCOUNT_RATE": 0,
    "DISCOUNT_SUM": 0,
    "TAX_RATE": 0,
    "TAX_INCLUDED": "N",
    "CUSTOMIZED": "Y",
    "MEASURE_CODE": 796,
    "MEASURE_NAME": "шт",
    "SORT": 10,
    "TYPE": 1,
    "XML_ID": "",
    "STORE_ID": None,
}
NUMBERS = ("PRICE", "QUANTITY", "DISCOUNT_RATE", "DISCOUNT_SUM", "TAX_RATE")


def product_row(given: dict[str, Any], *, row_id: int, owner_id: int, is_discount_taxed: bool) -> dict[str, Any]:
    """A row as `crm.deal.productrows.get` shows it, prices that were not sent computed from those that were."""
    row = DEFAULTS | {code: value for code, value in given.items() if code in DEFAULTS}
    row |= {code: _number(row[code]) for code in NUMBERS}
    row["PRODUCT_ID"], row["DISCOUNT_TYPE_ID"] = to_int(row["PRODUCT_ID"]), to_int(row["DISCOUNT_TYPE_ID"])
    tax = 1 + max(0, row["TAX_RATE"]) / WHOLE_PERCENT
    exclusive = row["PRICE"] / tax
    discounted = row["PRICE"] if is_discount_taxed else exclusive
    if row["DISCOUNT_TYPE_ID"] == DISCOUNT_BY_PERCENT and row["DISCOUNT_RATE"] < WHOLE_PERCENT:
        row["DISCOUNT_SUM"] = _plain(discounted / (1 - row["DISCOUNT_RATE"] / WHOLE_PERCENT) - discounted)
    netto = (discounted + row["DISCOUNT_SUM"]) / (tax if is_discount_taxed else 1)
    return {
        "ID": str(row_id),
        "OWNER_ID": str(owner_id),
        "OWNER_TYPE": "D",
        "ORIGINAL_PRODUCT_NAME": row["PRODUCT_NAME"],
        "PRICE_EXCLUSIVE": _plain(exclusive),
        "PRICE_NETTO": _plain(netto),
        "PRICE_BRUTTO": _plain(netto * tax),
        "PRICE_ACCOUNT": f"{row['PRICE']:.2f}",
        **row,
    }


def opportunity(rows: list[dict[str, Any]]) -> str:
    """The deal's amount when nobody typed one."""
    return f"{sum(float(row['PRICE']) * float(row['QUANTITY']) for row in rows):.2f}"


def _number(value: Any) -> float | int:
    try:
        return _plain(float(value or 0))
    except (TypeError, ValueError, OverflowError):
        return 0


def _plain(number: float) -> float | int:
    """Whole numbers print without a point, as PHP does."""
    return int(number) if number == int(number) else round(number, 4)
