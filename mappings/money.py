"""Money (facts/otmechalka §6): a number of JSON → Decimal, and the only place where an amount is rounded.

Floats are read by what they print as and never calculated with: 8699.999999999998 is what a vendor made of 8700.
"""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from marshmallow import ValidationError

from mappings.fields import Labelled

KOPECK = Decimal("0.01")
_TOO_LARGE = 10**8  # for a price or a quantity; products of three stay within the 28 digits that Decimal keeps


def rounded(amount: Decimal) -> Decimal:
    """`amount` in whole kopecks, halves up; prints with two places and without exponent."""
    return amount.quantize(KOPECK, rounding=ROUND_HALF_UP)


class Number(Labelled[Decimal]):
    """A number as JSON has it; text that looks like one is not."""

    unreadable = "Не распознано число в поле «{label}»"

    def read(self, value: Any) -> Decimal:
        # NaN and infinity compare false, and what is compared first need not be printed at any length.
        if type(value) not in (int, float) or not -_TOO_LARGE < value < _TOO_LARGE:
            raise self.make_error("unreadable")
        return Decimal(str(value))


class Amount(Number):
    """A number that is not negative; noise of less than half a kopeck below zero is zero."""

    def read(self, value: Any) -> Decimal:
        number = super().read(value)
        if rounded(number) < 0:
            raise ValidationError(f"Отрицательное число в поле «{self.metadata['label']}»")
        return max(Decimal(0), number)
