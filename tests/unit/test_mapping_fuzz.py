"""Whatever JSON a vendor sends: a payload that travels, a skip, or a ValidationError that a person can read."""

import json
import re
from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from mappings.bitrix24_to_otmechalka import (
    Bitrix24ContactToOtmechalkaClient,
    Bitrix24DealToOtmechalkaTicket,
    ContactOptions,
    DealOptions,
)
from mappings.bitrix24_to_otmechalka.deals import Seller
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
from mappings.money import Amount, Number
from mappings.onec_fields import Comment, EmailAddresses, Flag, Moment, OneCKey, PhoneNumbers, Revenue
from mappings.onec_to_comagic import ContactOptions as CardOptions
from mappings.onec_to_comagic import DealOptions as HistoryOptions
from mappings.onec_to_comagic import (
    OneCInterestToCoMagicContact,
    OneCInterestToCoMagicDeal,
    Stage,
)
from mappings.onec_to_comagic.interest_fields import COMMUNICATION_TYPES, CommunicationId, CommunicationType
from mappings.outcome import LONGEST_NOTE, Mapped, Skipped, told

TODAY = date(2020, 12, 24)
CONTACT_MAPPINGS = tuple(
    Bitrix24ContactToOtmechalkaClient(ContactOptions(reference_mode="name", **switches))
    for switches in ({}, {"allow_foreign_phones": True, "require_parent_name": False, "send_nulls": True})
)
DEAL_MAPPINGS = tuple(
    Bitrix24DealToOtmechalkaTicket(DealOptions(reference_mode="name", **switches))
    for switches in (
        {},
        {"ticket_pattern": "КМС", "price_initial_field": "PRICE_NETTO", "refuse_quantity": True},
        {"ticket_names": ("6 КМС",), "require_payment_method": True, "cash_payments": (0, 1)},
    )
)
CARD_MAPPINGS = tuple(OneCInterestToCoMagicContact(CardOptions(contact_user_fields=chosen)) for chosen in (False, True))
HISTORY_MAPPINGS = tuple(
    OneCInterestToCoMagicDeal(HistoryOptions(funnel="123", stages={"186": Stage("NEW", closes=True)}, **switches))
    for switches in ({}, {"skip_unknown_stages": True, "send_comment": False})
)
FUZZ = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))

NASTY = [
    *("\x00", "\ud800", "\u200b", "\u00a0", "а" * 10_000, "9" * 5_000, "@", "a@b@c", "٤٠٤", "1e3", "None"),
    *(
        "0000-00-00",
        "9999-12-31",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "2009-11-29T03:00:00+03:00",
        "+7 999 000-00-01",
        "доб",
        "{}",
        "%s",
        "{label}",
    ),
    *("1E+999999", "1E-999999", "-0", "8700.00", "186", 186, 450, 8700, 0.005, -0.0, 5e-324, 99_999_999.99, 1e308),
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
MISSING = object()
GOOD_CONTACT = {
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
GOOD_ROW = {
    "PRODUCT_NAME": "6 КМС",
    "PRICE": 8700,
    "PRICE_NETTO": 9000,
    "PRICE_BRUTTO": 9000,
    "QUANTITY": 1,
    "DISCOUNT_SUM": 300,
    "TAX_RATE": 0,
}
GOOD_SELLER = {"NAME": "Андрей", "LAST_NAME": "Сергеев"}
GOOD_DEAL = {
    "ID": "96038",
    "CONTACT_ID": "39910",
    "PRODUCT_ROWS": [GOOD_ROW],
    "ASSIGNED_BY": GOOD_SELLER,
    "UF_CRM_58D1057919A6F": "2020-12-13T03:00:00+03:00",
    "UF_CRM_1470852549": [186],
    "UF_CRM_1490347942": 450,
}

GOOD_INTEREST = {
    "id": "0f8fad5b-d9cb-11ea-80c1-00155d010203",
    "name": "Запись",
    "created_at": "2020-12-10T10:00:00+03:00",
    "stage": "186",
    "stage_changed_at": "2020-12-11T10:00:00+03:00",
    "modified_at": "2020-12-12T10:00:00+03:00",
    "revenue": "50000",
    "comment": "Просит перезвонить",
    "phones": ["9990000001"],
    "emails": ["ivan.petrov@example.com"],
    "communication_id": "12345678",
    "communication_type": "call",
    "is_deleted": False,
}


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
            json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()
            CHECKS[next(key for key in CHECKS if key in payload)](payload)


def check_client(payload):
    assert re.fullmatch(r"[0-9]+", payload["origin_id"])
    assert re.fullmatch(r"[0-9]{11,15}", payload["phone"])
    assert all(payload[field] for field in ("last_name", "first_name", "courses", "branchoffices"))
    if payload.get("birthdate"):
        assert date(1900, 1, 1) <= date.fromisoformat(payload["birthdate"]) <= TODAY


def check_ticket(payload):
    assert None not in payload.values()
    assert all(re.fullmatch(r"[0-9]+", payload[field]) for field in ("origin_id", "client_origin_id"))
    assert all(payload[field].strip() for field in ("ticket_type", "selling_branchoffice", "employee"))
    prices = [payload[field] for field in ("price_initial", "discount", "price_final")]
    assert all(re.fullmatch(r"[0-9]+\.[0-9]{2}", price) for price in prices)
    initial, discount, final = map(Decimal, prices)
    assert initial - discount == final
    assert date.fromisoformat(payload["selling_date"]) >= date(1900, 1, 1)
    assert payload["payment_method"] in {"CASH", "ONLINE"}


def check_card(payload):
    check_interest(payload)
    assert all(re.fullmatch(r"[0-9]{11,15}", phone) for phone in payload["phone_numbers"])
    for texts in (payload["phone_numbers"], [email.lower() for email in payload["emails"]]):
        assert len(set(texts)) == len(texts)
    assert payload["phone_numbers"] or payload["emails"]


def check_row(payload):
    check_interest(payload)
    assert None not in payload.values()
    assert (payload["sales_funnel_ext_id"], payload["stage_ext_id"]) == ("123", "NEW")
    assert payload.get("contact_ext_ids", []) == [payload[key] for key in ("main_contact_ext_id",) if key in payload]
    assert ("communication_id" in payload) == ("communication_type" in payload)
    if "communication_id" in payload:
        assert int(payload["communication_id"]) > 0
        assert payload["communication_type"] in COMMUNICATION_TYPES
    assert re.fullmatch(r"[0-9]+\.[0-9]{2}", payload.get("revenue", "0.00"))
    assert 0 < len(payload.get("comments", "-")) <= 2000


def check_interest(payload):
    assert payload["ext_id"].strip()
    assert payload["name"].strip()
    dates = [datetime.fromisoformat(value) for key, value in payload.items() if key.endswith("date_time")]
    assert all(at.tzinfo and at.year >= 1900 and not at.microsecond for at in dates)
    assert min(dates) == datetime.fromisoformat(payload["created_date_time"])
    assert all(field["value"] for field in payload.get("user_fields", []))


CHECKS = {"phone": check_client, "price_final": check_ticket, "phone_numbers": check_card, "stage_ext_id": check_row}
"""By a key that only such a payload has."""

FIELDS = (
    *(SourceId, LinkedId, ExactText, PersonName, PhoneNumber, FirstEmail, DatePart, EnumIds, Number, Amount),
    Seller,
    *(OneCKey, Moment, Flag, Comment, Revenue, CommunicationId, CommunicationType, PhoneNumbers, EmailAddresses),
)


@pytest.mark.parametrize("field", FIELDS)
@given(value=ANYTHING)
@settings(FUZZ, max_examples=500)
def test_a_field_reads_any_json_or_says_in_russian_that_it_cannot(field, value):
    message = ""
    try:
        field("Поле").deserialize(value)
    except ValidationError as error:
        message = told(error)
    assert not message or message.endswith("поле «Поле»")


def changed(good, values=ANYTHING):
    """Few fields change at a time, so that a bad one is met alone as well as in company."""
    changes = st.dictionaries(st.sampled_from(list(good)), values | st.just(MISSING), max_size=2)
    return changes.map(lambda some: {code: value for code, value in (good | some).items() if value is not MISSING})


ROW = changed(GOOD_ROW, SCALARS)
ROWS = ROW.map(lambda row: [row]) | st.lists(ROW, max_size=3) | st.lists(ANYTHING, max_size=2) | ANYTHING


@given(raw=changed(GOOD_CONTACT), mapping=st.sampled_from(CONTACT_MAPPINGS))
@settings(FUZZ, max_examples=500)
def test_a_contact_of_any_json_has_one_of_three_outcomes(raw, mapping):
    check(outcome_or_error(mapping, raw), mapping)


@given(raw=changed(GOOD_DEAL), mapping=st.sampled_from(DEAL_MAPPINGS))
@settings(FUZZ, max_examples=500)
def test_a_deal_of_any_json_has_one_of_three_outcomes(raw, mapping):
    check(outcome_or_error(mapping, raw), mapping)


@given(
    raw=changed(GOOD_INTEREST, ANYTHING | st.lists(SCALARS, max_size=3)),
    mapping=st.sampled_from(CARD_MAPPINGS + HISTORY_MAPPINGS),
)
@settings(FUZZ, max_examples=500)
def test_an_interest_of_any_json_has_one_of_three_outcomes(raw, mapping):
    check(outcome_or_error(mapping, raw), mapping)


@given(rows=ROWS, seller=st.just(GOOD_SELLER) | changed(GOOD_SELLER), mapping=st.sampled_from(DEAL_MAPPINGS))
@settings(FUZZ, max_examples=500)
def test_product_rows_and_a_seller_of_any_json_have_one_of_three_outcomes(rows, seller, mapping):
    check(outcome_or_error(mapping, GOOD_DEAL | {"PRODUCT_ROWS": rows, "ASSIGNED_BY": seller}), mapping)


@given(
    netto=st.floats(0, 1e7),
    discount=st.floats(0, 1),
    tax=st.sampled_from([None, 0, 20, 22]),
    quantity=st.sampled_from([1, 2, 0.25, 1e3]),
)
@settings(FUZZ, max_examples=500)
def test_prices_that_agree_but_for_the_noise_of_floats_make_a_ticket(netto, discount, tax, quantity):
    factor = 1 + (tax or 0) / 100
    prices = {"PRICE_BRUTTO": netto * factor, "DISCOUNT_SUM": netto * discount}
    row = GOOD_ROW | prices | {"PRICE": (netto - netto * discount) * factor, "TAX_RATE": tax, "QUANTITY": quantity}
    outcome = outcome_or_error(DEAL_MAPPINGS[0], GOOD_DEAL | {"PRODUCT_ROWS": [row]})
    assert isinstance(outcome, Mapped)
    check(outcome, DEAL_MAPPINGS[0])
