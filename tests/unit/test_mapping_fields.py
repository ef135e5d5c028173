"""One field at a time: what it makes of the forms in which Bitrix24 sends a value."""

import math
from datetime import date

import pytest
from marshmallow import ValidationError, missing

from mappings.fields import (
    DatePart,
    EnumIds,
    ExactText,
    FirstEmail,
    LinkedId,
    PersonName,
    PhoneNumber,
    SourceId,
)

FIELDS = (SourceId, LinkedId, ExactText, PersonName, PhoneNumber, FirstEmail, DatePart, EnumIds)


def values(*texts):
    return [{"ID": "1", "VALUE": text} for text in texts]


@pytest.mark.parametrize("blank", [missing, None, False, "", [], {}])
@pytest.mark.parametrize("field", FIELDS)
def test_blank_in_any_spelling_is_nothing_or_an_error_if_required(field, blank):
    assert field("Поле").deserialize(blank) is None
    with pytest.raises(ValidationError, match="Не заполнено поле «Поле»"):
        field("Поле", required=True).deserialize(blank)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (SourceId, "39558", "39558"),
        (SourceId, 39558, "39558"),
        (SourceId, "0", "0"),
        (LinkedId, "39910", "39910"),
        (LinkedId, "0", None),
        (LinkedId, 0, None),
        (ExactText, "\u00a0 6  КМС\u00a045 мин\r\n", "6  КМС\u00a045 мин"),
        (ExactText, "две\nстроки", "две\nстроки"),
        (ExactText, " \t", None),
        (PersonName, " \u00a0 ", None),
        (PersonName, "\u200b", None),
        (PersonName, " Анна\u00a0\n\tМария\u202f", "Анна Мария"),
        (PersonName, "Пет\x00ров\u200b\ufeff\u00ad\ud83d", "Петров"),
        (PersonName, "Анна \u200b Мария", "Анна Мария"),
        (PersonName, "Հակոբյան", "Հակոբյան"),
        (PhoneNumber, values("", None, " ", "9990000001"), "79990000001"),
        (PhoneNumber, values(89990000001), "79990000001"),
        (PhoneNumber, values("", None), None),
        (PhoneNumber, [{}], None),
        (FirstEmail, values("A.B@EXAMPLE.com"), "A.B@example.com"),
        (FirstEmail, values("\u00a0a@example.com\nb@example.com"), "a@example.com"),
        (FirstEmail, values("почта: a@example.com"), "a@example.com"),
        (FirstEmail, values("a@localhost", "b@example.com"), "b@example.com"),
        (FirstEmail, values("", None), None),
        (DatePart, "2009-11-29T00:00:00+03:00", date(2009, 11, 29)),
        (DatePart, "2009-11-29T23:00:00-05:00", date(2009, 11, 29)),
        (DatePart, "2012-02-29", date(2012, 2, 29)),
        (DatePart, "1900-01-01", date(1900, 1, 1)),
        (DatePart, "  ", None),
        (EnumIds, [404, "410"], [404, 410]),
        (EnumIds, [410, 404, "410"], [410, 404]),
        (EnumIds, 404, [404]),
        (EnumIds, " 404 ", [404]),
        (EnumIds, ["", None, False, 404], [404]),
        (EnumIds, [None], None),
        (EnumIds, 0, [0]),
    ],
)
def test_a_value_is_read(field, value, expected):
    assert field("Поле").deserialize(value) == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (SourceId, "39558a"),
        (SourceId, -1),
        (SourceId, 1.0),
        (SourceId, True),
        pytest.param(SourceId, 10**5000, id="a number that Python refuses to print"),
        (SourceId, "9" * 5000),
        (LinkedId, "C_39910"),
        (ExactText, 5),
        (ExactText, ["6 КМС"]),
        (ExactText, "6\x00КМС"),
        (ExactText, "6 КМС\ud83d"),
        (PersonName, 5),
        (PersonName, ["Петров"]),
        (PhoneNumber, "9990000001"),
        (PhoneNumber, ["9990000001"]),
        (PhoneNumber, {"VALUE": "9990000001"}),
        (PhoneNumber, values("12345", "9990000001")),
        (PhoneNumber, values(["9990000001"])),
        (FirstEmail, 5),
        (FirstEmail, values("нет", "a@\ud800.com", "@")),
        (DatePart, 20091129),
        (DatePart, "29.11.2009"),
        (DatePart, "2009-02-30"),
        (DatePart, "2009-W48-7"),
        (DatePart, "٢٠٠٩-11-29"),
        (DatePart, "1899-12-31"),
        (EnumIds, True),
        (EnumIds, 404.0),
        (EnumIds, math.nan),
        (EnumIds, [[404]]),
        (EnumIds, {"0": 404}),
        (EnumIds, "404, 410"),
        (EnumIds, [404, "Онлайн"]),
        (EnumIds, "٤٠٤"),
    ],
)
def test_an_unreadable_value_is_an_error_that_names_the_field(field, value):
    with pytest.raises(ValidationError) as caught:
        field("Поле").deserialize(value)
    (message,) = caught.value.messages
    assert message.endswith("поле «Поле»")


def test_a_foreign_phone_needs_permission():
    field = PhoneNumber("Телефон")
    field.allow_foreign = True
    assert field.deserialize(values("+374 99 000001")) == "37499000001"
