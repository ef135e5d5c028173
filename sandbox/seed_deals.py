"""Invented deals of seeded contacts in every shape of facts/otmechalka.md §7 and §11, deterministic like contacts."""

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sandbox.bitrix24.moments import printed, printed_day
from sandbox.otmechalka.reference import TICKET_TYPES
from sandbox.seed import EARLIEST, OFFSET, STAFF, TOO_EARLY, Seeded, moments, shuffled

SALE_DAY, BRANCH, PAYMENT = "UF_CRM_58D1057919A6F", "UF_CRM_1470852549", "UF_CRM_1490347942"

# Of every hundred deals: those that make a ticket as they stand, and those that a rule of the brief keeps out.
SHARES_OF_TICKETS = {
    "valid": 70,
    "vat_on_top": 1,
    "vat_included": 1,
    "percent_discount": 2,
    "quantity_two": 1,
    "noisy_floats": 1,
    "empty_payment": 2,
}
SHARES_OF_OTHERS = {
    "no_rows": 2,
    "two_rows": 2,
    "two_branches": 2,
    "unknown_branch": 2,
    "missing_contact": 2,
    "seller_without_surname": 2,
    "not_won": 3,
    "other_pipeline": 2,
    "recurring": 1,
    "tournament": 2,
    "created_too_early": 2,
}
SHARES = SHARES_OF_TICKETS | SHARES_OF_OTHERS

FORMER_SELLER, SELLER_WITHOUT_SURNAME = "18", "20"
CASH = 450
OTHER_PAYMENTS = (452, 454)
BRANCHES = (186, 12706)
NO_BRANCH: tuple[Any, ...] = ([188], 188, "188", [], False)
PRICES = (2500, 6400, 9000, 9000, 12_600, 24_000)
DISCOUNTS = (0, 0, 300, 500)
PERCENTS = (5, 10, 3.33)
VAT = 20
NOISE = 1e-11
FIRST_PRODUCT = 60_130

Fields = dict[str, Any]


def deals(count: int, contacts: Sequence[str], *, seed: int, now: datetime) -> list[Seeded]:
    """`count` deals, each of one of `contacts`; `PRODUCT_ROWS` come with the fields. Raises ValueError for nobody."""
    if count and not contacts:
        raise ValueError("deals need seeded contacts of the kind valid")
    dice = random.Random(f"deals {seed}")
    kinds = shuffled(SHARES, count, dice)
    seeded = []
    for number, (kind, modified) in enumerate(zip(kinds, moments(count, dice, now), strict=True)):
        fields = _deal(number, dice.choice(contacts), modified, dice)
        SPOIL[kind](fields, dice)
        seeded.append(Seeded(kind, fields))
    return seeded


def _deal(number: int, contact: str, modified: datetime, dice: random.Random) -> Fields:
    created = max(EARLIEST, modified - timedelta(hours=dice.randrange(900)))
    seller = dice.choice((*STAFF, *STAFF, FORMER_SELLER))
    return {
        "TITLE": f"Заказ {number + 1}",
        "CONTACT_ID": contact,
        "STAGE_ID": "WON",
        "ASSIGNED_BY_ID": seller,
        "MODIFY_BY_ID": dice.choice(STAFF),
        "DATE_CREATE": printed(created, OFFSET),
        "DATE_MODIFY": printed(modified, OFFSET),
        "BEGINDATE": printed_day(created.date(), OFFSET),
        "CLOSEDATE": printed_day(modified.date(), OFFSET),
        SALE_DAY: printed_day(created.date(), OFFSET),
        BRANCH: _one_as_stored(dice.choice(BRANCHES), dice),
        PAYMENT: _payment(dice),
        "PRODUCT_ROWS": [_product(dice)],
    }


def _one_as_stored(option: int, dice: random.Random) -> Any:
    return dice.choice(([option], [option], [option], [str(option)], option, str(option)))


def _payment(dice: random.Random) -> int | str:
    payment = dice.choice((CASH, CASH, *OTHER_PAYMENTS))
    return dice.choice((payment, str(payment)))


def _product(dice: random.Random) -> Fields:
    """An absolute discount; the rate that goes with it is as long as PHP prints it."""
    kind, price, discount = dice.randrange(len(TICKET_TYPES)), dice.choice(PRICES), dice.choice(DISCOUNTS)
    return {
        "PRODUCT_ID": FIRST_PRODUCT + kind,
        "PRODUCT_NAME": dice.choice(("", "", " ")) + TICKET_TYPES[kind],
        "PRICE": price - discount,
        "DISCOUNT_SUM": discount,
        "DISCOUNT_RATE": 100 * discount / price,
        "MEASURE_NAME": "мес",
    }


def _leave(_fields: Fields, _dice: random.Random) -> None:
    pass


def _row(**values: Any) -> Callable[[Fields, random.Random], None]:
    return lambda fields, _dice: fields["PRODUCT_ROWS"][0].update(values)


def _always(**values: Any) -> Callable[[Fields, random.Random], None]:
    return lambda fields, _dice: fields.update(values)


def _one_of(code: str, values: Sequence[Any]) -> Callable[[Fields, random.Random], None]:
    return lambda fields, dice: fields.update({code: dice.choice(values)})


def _percent_discount(fields: Fields, dice: random.Random) -> None:
    (row,) = fields["PRODUCT_ROWS"]
    del row["DISCOUNT_SUM"]
    row |= {"DISCOUNT_TYPE_ID": 2, "DISCOUNT_RATE": dice.choice(PERCENTS)}


def _noisy_floats(fields: Fields, _dice: random.Random) -> None:
    """What floats make of 8700.10, 300.00 and 9000.10."""
    (row,) = fields["PRODUCT_ROWS"]
    final, discount = row["PRICE"] + 0.1 + NOISE, row["DISCOUNT_SUM"] + NOISE
    initial = final + discount - 3 * NOISE
    row |= {"PRICE": final, "PRICE_EXCLUSIVE": final, "DISCOUNT_SUM": discount}
    row |= {"PRICE_NETTO": initial, "PRICE_BRUTTO": initial}


def _two_rows(fields: Fields, dice: random.Random) -> None:
    fields["PRODUCT_ROWS"].append(_product(dice))


def _created_too_early(fields: Fields, dice: random.Random) -> None:
    fields["DATE_CREATE"] = printed(TOO_EARLY - timedelta(days=dice.randrange(300)), OFFSET)


SPOIL: dict[str, Callable[[Fields, random.Random], None]] = {
    "valid": _leave,
    "vat_on_top": _row(TAX_RATE=VAT, TAX_INCLUDED="N"),
    "vat_included": _row(TAX_RATE=VAT, TAX_INCLUDED="Y"),
    "percent_discount": _percent_discount,
    "quantity_two": _row(QUANTITY=2),
    "noisy_floats": _noisy_floats,
    "empty_payment": _one_of(PAYMENT, (None, "", False)),
    "no_rows": lambda fields, _dice: fields["PRODUCT_ROWS"].clear(),
    "two_rows": _two_rows,
    "two_branches": _one_of(BRANCH, (list(BRANCHES), [str(branch) for branch in BRANCHES])),
    "unknown_branch": _one_of(BRANCH, NO_BRANCH),
    "missing_contact": _one_of("CONTACT_ID", (None, "0", "")),
    "seller_without_surname": _always(ASSIGNED_BY_ID=SELLER_WITHOUT_SURNAME),
    "not_won": _one_of("STAGE_ID", ("NEW", "PREPARATION", "EXECUTING", "LOSE")),
    "other_pipeline": _always(CATEGORY_ID="1", STAGE_ID="C1:WON"),
    "recurring": _always(IS_RECURRING="Y"),
    "tournament": _row(PRODUCT_ID=0, PRODUCT_NAME="Турнир «Белая ладья»", MEASURE_NAME="шт"),
    "created_too_early": _created_too_early,
}
