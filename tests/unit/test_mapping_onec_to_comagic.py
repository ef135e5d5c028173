"""What the golden cases of Interests cannot say: configuration problems, what is read at all, privacy, general laws."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from mappings.onec_to_comagic import (
    ContactOptions,
    DealOptions,
    OneCInterestToCoMagicContact,
    OneCInterestToCoMagicDeal,
    Stage,
)
from mappings.onec_to_comagic.interest import InterestSchema
from mappings.outcome import FieldUse, Mapped
from workers.schema import read

TODAY = date(2020, 12, 24)
OPTIONS = DealOptions(funnel="123", stages={"NEW": Stage("NEW"), "Won": Stage("WON", closes=True)})
INTEREST = {
    "id": "0f8fad5b-d9cb-11ea-80c1-00155d010203",
    "name": "Запись на пробное занятие",
    "created_at": "2020-12-10T10:00:00+03:00",
    "stage": "new",
    "stage_changed_at": "2020-12-11T10:00:00+03:00",
    "modified_at": "2020-12-12T10:00:00+03:00",
    "revenue": "50000",
    "comment": "Просит перезвонить",
    "phones": ["8 (999) 000-00-01"],
    "emails": ["ivan.petrov@example.com"],
    "communication_id": "12345678",
    "communication_type": "call",
    "is_deleted": False,
}
CONTACT = OneCInterestToCoMagicContact(ContactOptions(contact_user_fields=True))
DEAL = OneCInterestToCoMagicDeal(OPTIONS)


def card(**changes):
    return OneCInterestToCoMagicContact(ContactOptions()).map(INTEREST | changes, today=TODAY)


def row(options=OPTIONS, **changes):
    return OneCInterestToCoMagicDeal(options).map(INTEREST | changes, today=TODAY)


def test_a_card_reads_only_what_it_shows():
    mapping = OneCInterestToCoMagicContact(ContactOptions())
    assert mapping.fields == ContactOptions().codes
    assert mapping.fields == ("id", "name", "created_at", "phones", "emails", "is_deleted")
    assert set(CONTACT.fields) == {*mapping.fields, "communication_id"}


def test_a_row_reads_all_of_an_interest_but_a_comment_that_is_not_sent():
    assert DEAL.fields == OPTIONS.codes == tuple(INTEREST)
    quiet = OneCInterestToCoMagicDeal(replace(OPTIONS, send_comment=False))
    assert set(quiet.fields) == INTEREST.keys() - {"comment"}


@pytest.mark.parametrize("mapping", [CONTACT, DEAL])
def test_the_source_is_asked_for_everything_that_is_read_and_filtered_by_nothing(mapping):
    needs = mapping.needs()
    assert tuple(use.code for use in needs) == mapping.fields
    assert FieldUse("created_at", "Дата", ()) in needs
    assert not any(use.types for use in needs)
    assert mapping.conditions == {}


def test_a_stage_change_is_the_same_card_and_another_row():
    changes = {"stage": "won", "stage_changed_at": "2020-12-13T10:00:00+03:00", "modified_at": None}
    assert card(**changes) == card()
    assert row(**changes) != row()


def test_another_phone_is_another_card_and_the_same_row():
    changes = {"phones": ["8 (999) 000-00-02", "нет"], "emails": []}
    assert card(**changes) != card()
    assert row(**changes) == row()


def test_the_row_names_the_card_exactly_if_there_is_one():
    for phones, emails in ((["9990000001"], []), ([], ["a@example.com"]), (["нет"], []), ([], []), (None, None)):
        has_card = isinstance(card(phones=phones, emails=emails), Mapped)
        payload = row(phones=phones, emails=emails).payload
        expected = {"contact_ext_ids": [INTEREST["id"]], "main_contact_ext_id": INTEREST["id"]} if has_card else {}
        assert {key: value for key, value in payload.items() if "contact" in key} == expected


def test_only_the_declared_fields_are_read():
    with_more = INTEREST | {"СостояниеИнтереса_Key": object(), "Number": object()}
    for mapping in (CONTACT, DEAL):
        selected = {code: with_more[code] for code in mapping.fields}
        assert mapping.map(with_more, today=TODAY) == mapping.map(selected, today=TODAY)


@pytest.mark.parametrize("mapping", [CONTACT, DEAL])
@pytest.mark.parametrize("code", sorted(INTEREST))
@pytest.mark.parametrize("typed", ["Тайна-12345", ["Тайна-12345"], {"VALUE": "Тайна-12345"}])
def test_neither_error_nor_warning_nor_skip_ever_carries_what_a_person_typed(mapping, code, typed):
    outcome = outcome_or_error(mapping, INTEREST | {code: typed})
    if isinstance(outcome, ValidationError):
        assert "Тайна" not in repr(vars(outcome))
        assert outcome.data is None
        assert outcome.__context__ is None
    else:
        assert "Тайна" not in repr(getattr(outcome, "warnings", outcome))


def outcome_or_error(mapping, raw):
    try:
        return mapping.map(raw, today=TODAY)
    except ValidationError as error:
        return error


def test_mapping_changes_nothing_in_its_input():
    before = repr(INTEREST)
    CONTACT.map(INTEREST, today=TODAY)
    DEAL.map(INTEREST, today=TODAY)
    assert repr(INTEREST) == before


def test_one_mapping_serves_many_threads_each_with_its_own_today():
    def is_mapped(number):
        today = date(2020, 12, 8 + number % 2)  # in two days, tomorrow
        try:
            return isinstance(CONTACT.map(INTEREST, today=today), Mapped)
        except ValidationError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(is_mapped, range(400))) == [False, True] * 200


def test_what_is_fine_is_no_problem():
    assert not list(ContactOptions().problems())
    assert not list(OPTIONS.problems())
    both_lost = {"Отказ": Stage("LOST", closes=True), "Дубль": Stage("LOST", closes=True)}
    assert not list(replace(OPTIONS, stages=both_lost).problems())


@pytest.mark.parametrize(
    ("options", "path", "hint"),
    [
        (ContactOptions(communication_field=" "), "communication_field", "leave it out"),
        (replace(OPTIONS, communication_field=""), "communication_field", "leave it out"),
        (replace(OPTIONS, funnel=""), "funnel", "get.sales_funnel"),
        (replace(OPTIONS, stages={}), "stages", "every state"),
        (replace(OPTIONS, stages={" ": Stage("NEW")}), "stages", "take it out"),
        (replace(OPTIONS, stages={"a": Stage("")}), "stages.a.id", "get.sales_funnel"),
        (replace(OPTIONS, stages={"Won": Stage("WON"), "WON ": Stage("WON")}), "stages.WON ", "as Won"),
        (replace(OPTIONS, stages={"a": Stage("X"), "b": Stage("X", closes=True)}), "stages.b.closes", "agree"),
    ],
)
def test_a_problem_says_where_it_is_and_what_to_do(options, path, hint):
    ((found, message),) = options.problems()
    assert found == path
    assert hint in message


def test_the_options_are_read_from_the_file():
    table = {"funnel": "123", "stages": {"NEW": {"id": "NEW"}, "Won": {"id": "WON", "closes": True}}}
    assert read(table, DealOptions) == ([OPTIONS], [])
    _, faults = read({"stages": {"NEW": {"closes": 1}}}, DealOptions)
    assert {fault.path for fault in faults} == {("funnel",), ("stages", "NEW", "id"), ("stages", "NEW", "closes")}


def test_every_option_explains_itself_in_one_line():
    for option in (ContactOptions, DealOptions, Stage):
        assert is_dataclass(option)
        for field in fields(option):
            assert field.metadata["help"]
            assert "\n" not in field.metadata["help"]


def test_the_schema_has_a_row_for_every_code():
    assert InterestSchema(OPTIONS.codes).declared_fields.keys() == set(OPTIONS.codes)


MOMENTS = st.none() | st.datetimes(
    datetime(2020, 1, 1),  # noqa: DTZ001 - zones are drawn apart
    datetime(2020, 12, 24),  # noqa: DTZ001
    timezones=st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
LAWS = settings(derandomize=True, deadline=None, max_examples=1000)


@given(created=MOMENTS.filter(bool), moved=MOMENTS, modified=MOMENTS, stage=st.sampled_from(["new", "won"]))
@LAWS
def test_whenever_things_happened_the_dates_are_in_the_order_that_comagic_demands(created, moved, modified, stage):
    given_at = {"created_at": created, "stage_changed_at": moved, "modified_at": modified}
    payload = row(stage=stage, **{code: at and at.isoformat() for code, at in given_at.items()}).payload
    dates = {key: datetime.fromisoformat(value) for key, value in payload.items() if key.endswith("date_time")}
    assert all(at.tzinfo and not at.microsecond for at in dates.values())
    assert dates["created_date_time"] == created.replace(microsecond=0)
    assert ("modified_date_time" in dates) == bool(modified)
    modified_at = dates.get("modified_date_time", dates["modified_stage_date_time"])
    assert dates["created_date_time"] <= dates["modified_stage_date_time"] <= modified_at
    assert dates.get("closed_date_time") == (dates["modified_stage_date_time"] if stage == "won" else None)
    latest = max(at for at in given_at.values() if at).astimezone(UTC)
    assert modified_at <= latest


@given(kopecks=st.integers(0, 10**15 - 1), point=st.sampled_from(".,"), space=st.sampled_from(" \u00a0\u202f"))
@LAWS
def test_revenue_is_exact_however_1c_prints_it(kopecks, point, space):
    amount = Decimal(kopecks).scaleb(-2)
    printed = f"{amount:,.2f}".translate({ord(","): space, ord("."): point})
    assert row(revenue=printed).payload["revenue"] == f"{amount:.2f}"


@given(phones=st.lists(st.sampled_from(["9990000001", "8 (999) 000-00-01", "+7 999 000-00-02", "нет", ""]), min_size=1))
@LAWS
def test_phones_are_unique_and_in_the_order_of_their_first_mention(phones):
    known = {"9990000001": "79990000001", "8 (999) 000-00-01": "79990000001", "+7 999 000-00-02": "79990000002"}
    outcome = card(phones=phones)
    assert outcome.payload["phone_numbers"] == list(dict.fromkeys(known[each] for each in phones if each in known))
    assert bool(outcome.warnings) == ("нет" in phones)
