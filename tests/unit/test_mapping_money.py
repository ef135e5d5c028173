"""Numbers of a vendor's JSON: read exactly, rounded once, refused rather than guessed."""

import math
from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError, missing

from mappings.money import Amount, Number, rounded


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("9000", "9000.00"),
        ("0", "0.00"),
        ("0.005", "0.01"),
        ("0.0049999", "0.00"),
        ("2.675", "2.68"),
        ("8699.999999999998", "8700.00"),
        ("1E+7", "10000000.00"),
        ("5E-324", "0.00"),
    ],
)
def test_an_amount_has_two_places_half_up_and_no_exponent(amount, expected):
    assert str(rounded(Decimal(amount))) == expected


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (Number, 3.3300000000000001, "3.33"),
        (Number, 8699.999999999998, "8699.999999999998"),
        (Number, 1e-07, "0.0000001"),
        (Number, 0, "0"),
        (Number, -20, "-20"),
        (Number, 99_999_999.99, "99999999.99"),
        (Amount, 0.0, "0"),
        (Amount, -0.004, "0"),
        (Amount, 2.675, "2.675"),
    ],
)
def test_a_number_is_what_it_prints_as(field, value, expected):
    assert field("Цена").deserialize(value) == Decimal(expected)


def test_zero_has_no_sign():
    assert not Amount("Цена").deserialize(-0.0).is_signed()
    assert not Amount("Цена").deserialize(-1e-12).is_signed()


@pytest.mark.parametrize(
    "value",
    [
        *(math.nan, math.inf, -math.inf, 1e400, 10**8, -(10**8)),
        pytest.param(10**5000, id="a number that Python refuses to print"),
        *("8700", "8700.00", "1E+999999", "NaN", True, [1], {"VALUE": 1}, Decimal(1), 1j),
    ],
)
@pytest.mark.parametrize("field", [Number, Amount])
def test_what_is_no_number_of_a_sane_size_is_an_error_that_names_the_field(field, value):
    with pytest.raises(ValidationError, match=r"^Не распознано число в поле «Цена»$"):
        field("Цена").deserialize(value)


@pytest.mark.parametrize("blank", [missing, None, False, "", [], {}])
def test_nothing_is_not_zero(blank):
    assert Amount("Цена").deserialize(blank) is None
    with pytest.raises(ValidationError, match="Не заполнено поле «Цена»"):
        Amount("Цена", required=True).deserialize(blank)


@pytest.mark.parametrize("value", [-1, -0.005, -99_999_999])
def test_an_amount_is_not_negative(value):
    with pytest.raises(ValidationError, match="Отрицательное число в поле «Цена»"):
        Amount("Цена").deserialize(value)


@given(values=st.tuples(*3 * [st.floats(0, 99_999_999.99)]))
@settings(derandomize=True, deadline=None)
def test_no_product_of_three_numbers_is_too_long_to_be_rounded(values):
    one, two, three = (Amount("Цена").deserialize(value) for value in values)
    product = rounded(one * (1 + three * Decimal("0.01")) * two)
    with localcontext(prec=100):
        exact = one * (1 + three * Decimal("0.01")) * two
        assert abs(product - exact) <= Decimal("0.006")
    assert "E" not in str(product)
