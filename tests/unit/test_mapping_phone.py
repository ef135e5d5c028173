"""Every form of facts/otmechalka §6, and where its edges are."""

import pytest

from mappings.phone import normalise_phone

OURS = "79990000001"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("8 (999) 000-00-01", OURS),
        ("+7 (999) 0000001", OURS),
        ("79990000001", OURS),
        ("9990000001", OURS),
        ("007 999 000-00-01", OURS),
        ("00 8 999 000-00-01", OURS),
        ("+7\u00a0999\u200b000–00–01", OURS),
        ("8 999 000-00-01, 8 999 000-00-02", OURS),
        ("8 999 000-00-01; мама", OURS),
        ("8 999 000-00-01 доб. 5", OURS),
        ("8 999 000-00-01 (ДОБ 5)", OURS),
        ("8 999 000-00-01#5", OURS),
        ("мама: 8 999 000-00-01", OURS),
        ("", None),
        ("нет", None),
        ("доб. 5", None),
        (", 8 999 000-00-01", None),
        ("999 000-00-1", None),
        ("8 999 000-00-01 8 999 000-00-02", None),
        ("6 999 000-00-01", None),
        ("+374 99 000001", None),
        ("٨٩٩٩٠٠٠٠٠٠١", None),
    ],
)
def test_a_russian_number_is_eleven_digits_from_seven_or_nothing(typed, expected):
    assert normalise_phone(typed) == expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("8 (999) 000-00-01", OURS),
        ("9990000001", OURS),
        ("+374 99 000001", "37499000001"),
        ("00 44 7999 000001", "447999000001"),
        ("123456789012345", "123456789012345"),
        ("1234567890123456", None),
        ("374 99 000", None),
    ],
)
def test_foreign_numbers_are_kept_on_request(typed, expected):
    assert normalise_phone(typed, allow_foreign=True) == expected
