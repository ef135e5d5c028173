"""What the golden cases of 1C's requests cannot say: configuration, what is read at all, privacy, general laws."""

from dataclasses import fields, is_dataclass, replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from mappings.onec_handlers_to_amocrm import (
    EVENTS,
    CompanyOptions,
    ContactOptions,
    Effect,
    EventOptions,
    LeadOptions,
    OneCClientToAmoCRMCompany,
    OneCClientToAmoCRMContact,
    OneCEventToAmoCRMEvent,
    OneCOrderToAmoCRMLead,
    Stage,
    Task,
)
from mappings.outcome import FieldUse
from workers.schema import read

TODAY = date(2020, 12, 24)
WON, LOST = Stage(501, 142), Stage(501, 143)
PERSON = {
    "id_1c": "0f8fad5b-d9cb-11ea-80c1-00155d010203",
    "amo_id": None,
    "link": "https://1c.example/trade/",
    "name": "Петров Иван",
    "responsible_user_id": 504141,
    "email": "ivan.petrov@example.com",
    "phone": "8 (999) 000-00-01",
}
FIRM = {**{key: value for key, value in PERSON.items() if key not in {"email", "phone"}}, "inn": "7700000001"}
ORDER = {
    "id_1c": "5b2f6a1e-0c4d-11eb-80c1-00155d010101",
    "amo_id": None,
    "link": "https://1c.example/trade/",
    "company_id": 20901,
    "contact_id": 10901,
    "budget": "1234.50",
    "order_number": "00ЦБ-000123",
    "responsible_user_id": 504141,
}
EVENT = {
    "key": "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
    "event_id": None,
    "event_name": "payment",
    "amo_id": 30901,
    "id_1c": ORDER["id_1c"],
    "sum": "1234.50",
    "debt_sum": "0.00",
    "document_name": "Платёжное поручение № 17",
    "received_at": "2020-12-24T10:00:00+03:00",
}
CONTACT = OneCClientToAmoCRMContact(ContactOptions())
COMPANY = OneCClientToAmoCRMCompany(CompanyOptions())
LEAD = OneCOrderToAmoCRMLead(LeadOptions())
DEED = OneCEventToAmoCRMEvent(EventOptions())
MAPPINGS = [(CONTACT, PERSON), (COMPANY, FIRM), (LEAD, ORDER), (DEED, EVENT)]


def outcome_or_error(mapping, raw):
    try:
        return mapping.map(raw, today=TODAY)
    except ValidationError as error:
        return error


@pytest.mark.parametrize(("mapping", "row"), MAPPINGS)
def test_all_of_a_request_is_read(mapping, row):
    assert set(mapping.fields) == row.keys()


@pytest.mark.parametrize(("mapping", "row"), MAPPINGS)
def test_the_source_is_asked_for_everything_that_is_read_and_filtered_by_nothing(mapping, row):
    needs = mapping.needs()
    assert tuple(use.code for use in needs) == mapping.fields
    assert FieldUse("id_1c", "ID в 1С", ()) in needs
    assert not any(use.types for use in needs)
    assert mapping.conditions == {}


@pytest.mark.parametrize("options", [ContactOptions, CompanyOptions, LeadOptions])
def test_a_responsible_user_who_is_not_sent_is_no_work_either(options):
    assert set(options().codes) - set(options(send_responsible=False).codes) == {"responsible_user_id"}


@pytest.mark.parametrize(("mapping", "row"), MAPPINGS)
def test_only_the_declared_keys_are_read(mapping, row):
    selected = {code: row[code] for code in mapping.fields}
    with_more = row | {"p_701": object(), "custom_fields_values": object(), "status": object()}
    assert mapping.map(with_more, today=TODAY) == mapping.map(selected, today=TODAY)


@pytest.mark.parametrize(("mapping", "row"), MAPPINGS)
@pytest.mark.parametrize("typed", ["Тайна-12345", ["Тайна-12345"], {"VALUE": "Тайна-12345"}])
def test_neither_error_nor_warning_ever_carries_what_1c_sent(mapping, row, typed):
    for code in mapping.fields:
        outcome = outcome_or_error(mapping, row | {code: typed})
        if isinstance(outcome, ValidationError):
            assert "Тайна" not in repr(vars(outcome))
            assert outcome.data is None
            assert outcome.__context__ is None
        else:
            assert "Тайна" not in repr(outcome.warnings)


@pytest.mark.parametrize(("mapping", "row"), MAPPINGS)
def test_the_payload_is_found_by_the_id_of_the_row(mapping, row):
    if mapping is DEED:
        return  # by its key and when it came, see the next one
    assert mapping.map(row, today=TODAY).payload["id_1c"] == row["id_1c"]
    assert mapping.map(row | {"id_1c": None, "amo_id": 15}, today=TODAY).payload["id_1c"] == "amo:15"


def test_an_event_that_says_the_same_another_day_is_another():
    payloads = [DEED.map(EVENT | {"received_at": at}, today=TODAY).payload for at in ("2026-01-01", "2026-01-02", None)]
    assert payloads[0] == DEED.map(EVENT | {"received_at": "2026-01-01"}, today=TODAY).payload
    assert len({payload["key"] for payload in payloads}) == 3
    assert payloads[2]["key"] == EVENT["key"]


def test_an_event_with_an_id_of_its_own_is_the_same_one_on_any_day():
    told = [EVENT | {"event_id": "41", "received_at": at} for at in ("2026-01-01", "2026-01-02")]
    assert {DEED.map(each, today=TODAY).payload["key"] for each in told} == {EVENT["key"]}


def test_half_of_a_surrogate_pair_does_not_travel():
    assert CONTACT.map(PERSON | {"name": "Пет\ud800ров"}, today=TODAY).payload["name"] == "Петров"


def test_what_is_fine_is_no_problem():
    for options in (ContactOptions(), CompanyOptions(), LeadOptions(), EventOptions(), EventOptions(effects={})):
        assert not list(options.problems())
    assert not list(LeadOptions(name_pattern="№{order_number} {{!}}", pipeline_id=501, status_id=601).problems())


@pytest.mark.parametrize(
    ("options", "path", "hint"),
    [
        (LeadOptions(name_pattern=" "), "name_pattern", "leave it out"),
        (LeadOptions(name_pattern="Заказ {number}"), "name_pattern", "{order_number}"),
        (LeadOptions(name_pattern="Заказ {}"), "name_pattern", "{order_number}"),
        (LeadOptions(name_pattern="Заказ {order_number"), "name_pattern", "is not a template"),
        (LeadOptions(name_pattern="Заказ {order_number!r}"), "name_pattern", "{order_number}"),
        (LeadOptions(name_pattern="Заказ {order_number:>999999999}"), "name_pattern", "{order_number}"),
        (LeadOptions(name_pattern="{order_number.__class__}"), "name_pattern", "{order_number}"),
        (LeadOptions(status_id=142), "status_id", "pipeline_id"),
        (EventOptions(effects={"refund": Effect()}), "effects.refund", "part_shipment"),
        (EventOptions(effects={"payment": Effect(note="{total}")}), "effects.payment.note", "{debt_sum}"),
        (EventOptions(effects={"payment": Effect(fields={" ": "x"})}), "effects.payment.fields", "empty code"),
        (EventOptions(effects={"payment": Effect(fields={"7": " "})}), "effects.payment.fields.7", "take it out"),
        (EventOptions(effects={"payment": Effect(fields={"7": "}"})}), "effects.payment.fields.7", "not a template"),
        (EventOptions(effects={"payment": Effect(task=Task(" "))}), "effects.payment.task.text", "is to be done"),
        (EventOptions(effects={"payment": Effect(task=Task("{x}"))}), "effects.payment.task.text", "{sum}"),
    ],
)
def test_a_problem_says_where_it_is_and_what_to_do(options, path, hint):
    ((found, message),) = options.problems()
    assert found == path
    assert hint in message


def test_the_options_are_read_from_the_file():
    table = {
        "currency": "BYN",
        "effects": {
            "payment": {
                "note": "Оплачено",
                "stage": {"pipeline_id": 501, "status_id": 142},
                "fields": {"701": "{sum}"},
                "task": {"text": "Отгрузить", "in_hours": 2},
            }
        },
    }
    effect = Effect(note="Оплачено", stage=WON, fields={"701": "{sum}"}, task=Task("Отгрузить", 2))
    assert read(table, EventOptions) == ([EventOptions(effects={"payment": effect}, currency="BYN")], [])
    table = {"pipeline_id": 0, "effects": {"payment": {"task": {"in_hours": 0}, "stage": {"pipeline_id": 1}}}}
    _, faults = read(table, LeadOptions, EventOptions)
    assert {fault.path for fault in faults} == {
        ("pipeline_id",),
        ("effects", "payment", "task", "text"),
        ("effects", "payment", "task", "in_hours"),
        ("effects", "payment", "stage", "status_id"),
    }


def test_every_option_explains_itself_in_one_line():
    for option in (ContactOptions, CompanyOptions, LeadOptions, EventOptions, Effect, Stage, Task):
        assert is_dataclass(option)
        for field in fields(option):
            assert field.metadata["help"]
            assert "\n" not in field.metadata["help"]


def test_what_an_event_needs_of_amocrm_is_named_once():
    options = EventOptions(
        effects={
            "payment": Effect(stage=WON, fields={"701": "{sum}", "PAID": "да"}),
            "shipment": Effect(stage=WON, fields={"701": "{sum}"}),
            "cancel_order": Effect(stage=LOST),
        }
    )
    assert options.stages == (WON, LOST)
    assert options.lead_fields == ("701", "PAID")
    assert EventOptions().stages == EventOptions().lead_fields == ()


def test_an_effect_that_is_configured_leaves_the_others_as_they_are():
    options = EventOptions(effects={"payment": Effect(stage=WON)})
    assert options.effect_of("payment") == replace(EventOptions().effect_of("payment"), stage=WON)
    for event in set(EVENTS) - {"payment"}:
        assert options.effect_of(event) == EventOptions().effect_of(event)


def test_every_event_has_a_note_of_its_own():
    notes = {DEED.map(EVENT | {"event_name": event}, today=TODAY).payload["note"] for event in EVENTS}
    assert len(notes) == len(EVENTS) == 5


LAWS = settings(derandomize=True, deadline=None, max_examples=1000)


@given(
    kopecks=st.integers(0, 10**14), point=st.sampled_from(".,"), space=st.sampled_from(["", " ", "\u00a0", "\u202f"])
)
@LAWS
def test_a_budget_is_rounded_half_up_however_1c_prints_it(kopecks, point, space):
    amount = Decimal(kopecks).scaleb(-2)
    printed = f"{amount:,.2f}".translate({ord(","): space, ord("."): point})
    price = LEAD.map(ORDER | {"budget": printed}, today=TODAY).payload["price"]
    assert type(price) is int
    assert price == (kopecks + 50) // 100 == amount.to_integral_value(ROUND_HALF_UP)


@given(kopecks=st.integers(0, 10**14))
@LAWS
def test_a_sum_in_a_note_reads_as_what_it_is(kopecks):
    amount = Decimal(kopecks).scaleb(-2)
    note = DEED.map(EVENT | {"sum": str(amount)}, today=TODAY).payload["note"]
    (line,) = [line for line in note.splitlines() if line.startswith("Сумма: ")]
    roubles = line.removeprefix("Сумма: ").removesuffix("\u00a0₽").replace("\u00a0", "").replace(",", ".")
    assert Decimal(roubles) == amount
    assert all(len(group) == 3 for group in f"{line}".split("\u00a0")[1:-2])


@given(name=st.text(st.characters(codec=None), max_size=300))
@LAWS
def test_a_document_stays_on_its_own_line_and_is_never_read(name):
    options = EventOptions(effects={"payment": Effect(note="Документ: {document_name}\nИтого: {sum}")})
    note = OneCEventToAmoCRMEvent(options).map(EVENT | {"document_name": name}, today=TODAY).payload["note"]
    assert not {"<", ">", "\x00", "\r"} & set(note)
    lines = note.split("\n")
    assert lines[-1] == "Итого: 1\u00a0234,50\u00a0₽"
    assert len(lines) <= 2
    assert all(len(line) <= len("Документ: ") + 255 for line in lines)
