"""Whatever JSON a vendor sends: a payload that travels, a skip, or a ValidationError that a person can read."""

import json
import re
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from mappings.bitrix24_to_otmechalka import Bitrix24ContactToOtmechalkaClient, ContactOptions
from mappings.fields import DatePart, EnumIds, FirstEmail, PersonName, PhoneNumber, SourceId
from mappings.outcome import LONGEST_NOTE, Mapped, Skipped, told

TODAY = date(2020, 12, 24)
MAPPINGS = tuple(
    Bitrix24ContactToOtmechalkaClient(ContactOptions(reference_mode="name", **switches))
    for switches in ({}, {"allow_foreign_phones": True, "require_parent_name": False, "send_nulls": True})
)
FUZZ = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))

NASTY = [
    *("\x00", "\ud800", "\u200b", "\u00a0", "а" * 10_000, "9" * 5_000, "@", "a@b@c", "٤٠٤", "1e3", "None"),
    *("0000-00-00", "9999-12-31", "2009-11-29T03:00:00+03:00", "+7 999 000-00-01", "доб", "{}", "%s", "{label}"),
    *(float("nan"), float("inf"), 10**30, 10**4000, -1, 0, 0.0, True, False, None, [], {}, [[]], [{}], [None]),
]
SCALARS = st.one_of(
    st.sampled_from(NASTY), st.text(st.characters(codec=None), max_size=12), st.integers(), st.floats(), st.booleans()
)
MULTIFIELDS = st.lists(st.fixed_dictionaries({}, optional={"VALUE": SCALARS, "ID": SCALARS}), max_size=3)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
ANYTHING = JSON | MULTIFIELDS
GOOD = {
    "ID": "39558",
    "UF_CRM_57AD7FAF7E6C4": "Петров",
    "UF_CRM_1608028374": "Василий",
    "PHONE": [{"VALUE": "9990000001"}],
    "EMAIL": [{"VALUE": "ivan.petrov@example.com"}],
    "UF_CRM_58D15BB9CA8F4": [404, 410],
    "UF_CRM_1470852549": [48],
    "UF_CRM_1607943642": "2009-11-29T03:00:00+03:00",
    "LAST_NAME": "Петров",
    "NAME": "Иван",
}
CODES = st.sampled_from(list(GOOD))


def outcome_or_error(mapping, raw):
    try:
        return mapping.map(raw, today=TODAY)
    except ValidationError as error:
        return error


def check(outcome, mapping):
    match outcome:
        case ValidationError():
            assert set(outcome.messages_dict) <= set(mapping.fields)
            assert 0 < len(told(outcome)) <= LONGEST_NOTE
        case Skipped(reason):
            assert reason
        case Mapped(payload):
            check_payload(payload)


def check_payload(payload):
    json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()
    assert re.fullmatch(r"[0-9]+", payload["origin_id"])
    assert re.fullmatch(r"[0-9]{11,15}", payload["phone"])
    assert all(payload[field] for field in ("last_name", "first_name", "courses", "branchoffices"))
    if payload.get("birthdate"):
        assert date(1900, 1, 1) <= date.fromisoformat(payload["birthdate"]) <= TODAY


@pytest.mark.parametrize("field", [SourceId, PersonName, PhoneNumber, FirstEmail, DatePart, EnumIds])
@given(value=ANYTHING)
@settings(FUZZ, max_examples=500)
def test_a_field_reads_any_json_or_says_in_russian_that_it_cannot(field, value):
    message = ""
    try:
        field("Поле").deserialize(value)
    except ValidationError as error:
        message = told(error)
    assert not message or message.endswith("поле «Поле»")


# Few fields change at a time, so that a bad one is met alone as well as in company.
@given(
    changes=st.dictionaries(CODES, ANYTHING, max_size=3),
    missing=st.sets(CODES, max_size=1),
    mapping=st.sampled_from(MAPPINGS),
)
@settings(FUZZ, max_examples=3000)
def test_a_contact_of_any_json_has_one_of_three_outcomes(changes, missing, mapping):
    raw = {code: value for code, value in (GOOD | changes).items() if code not in missing}
    check(outcome_or_error(mapping, raw), mapping)
