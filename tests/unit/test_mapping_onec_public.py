"""The two directions of brief 001 together: what one said, the other shows, and nobody takes it for news."""

import json
import re
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from mappings import amocrm_to_onec_handlers as to_onec
from mappings import onec_handlers_to_amocrm as to_amocrm
from mappings.onec_public import fields
from mappings.outcome import LONGEST_NOTE, Mapped, Skipped, agree, told

TODAY = date(2020, 12, 24)
GUID = "0f8fad5b-d9cb-11ea-80c1-00155d010203"
CONTACT_THERE = to_amocrm.OneCClientToAmoCRMContact(to_amocrm.ContactOptions())
COMPANY_THERE = to_amocrm.OneCClientToAmoCRMCompany(to_amocrm.CompanyOptions())
LEAD_THERE = to_amocrm.OneCOrderToAmoCRMLead(to_amocrm.LeadOptions(pipeline_id=501))
EVENT_THERE = to_amocrm.OneCEventToAmoCRMEvent(
    to_amocrm.EventOptions(
        effects={
            "payment": to_amocrm.Effect(
                stage=to_amocrm.Stage(501, 142),
                fields={"701": "{sum} {document_name}"},
                task=to_amocrm.Task("{document_name}: {sum}\n{debt_sum}"),
            )
        }
    )
)
CONTACT_BACK = to_onec.AmoCRMContactToOneCClient(to_onec.ContactOptions())
COMPANY_BACK = to_onec.AmoCRMCompanyToOneCClient(to_onec.CompanyOptions(inn_field="INN"))
LEAD_BACK = to_onec.AmoCRMLeadToOneCOrder(to_onec.LeadOptions(inn_field="INN"))


def amocrm_contact(payload):
    """As amoCRM shows what was sent to it."""
    return {
        "id": 10901,
        "name": payload["name"],
        "responsible_user_id": payload.get("responsible_user_id", 1),
        "is_deleted": False,
        "values": {},
        "PHONE": [f"+{phone}" for phone in payload.get("phones", [])],
        "EMAIL": payload.get("emails", []),
        "PAROM_ID_1C": payload["id_1c"],
    }


def amocrm_company(payload):
    return amocrm_contact(payload) | {"INN": payload.get("inn")}


def amocrm_lead(payload):
    contact, company = payload.get("contact_id"), payload.get("company_id")
    return {
        "id": 30901,
        "name": payload["name"],
        "price": payload.get("price", 0),
        "status_id": 601,
        "pipeline_id": 501,
        "responsible_user_id": payload.get("responsible_user_id", 1),
        "is_deleted": False,
        "values": {},
        "main_contact": contact and {"id": contact, "name": "Петров"},
        "company": company and {"id": company, "name": "Ромашка"},
        "PAROM_ID_1C": payload["id_1c"],
    }


def onec_client(payload):
    """As 1C pushes what was sent to it."""
    return {"id_1c": GUID, "amo_id": int(payload["id"]), "link": None, **payload}


def onec_order(payload):
    price = payload.get("price")
    return {
        "id_1c": GUID,
        "amo_id": int(payload["id"]),
        "link": None,
        "budget": None if price is None else f"{price}.00",
        "order_number": "17",
        "responsible_user_id": payload["responsible_user_id"],
        **{f"{name}_id": int(payload[name]["id"]) if name in payload else None for name in ("contact", "company")},
    }


NAMES = st.text(st.characters(codec=None), min_size=1, max_size=300).map(lambda text: f"А{text}")
PHONES = st.sampled_from(["8 (999) 000-00-01", "+375 29 000-00-01", "9990000002; +7 999 000 00 03", "нет", ""])
EMAILS = st.sampled_from(["Ivan@EXAMPLE.com", "a@example.com, b@example.com", "иван@почта.рф", "нет", ""])
INNS = st.sampled_from(["7700000001", "7700 0000 0001", "190000001", "123", "нет"])
IDS = st.none() | st.integers(1, 10**9)
BUDGETS = st.none() | st.integers(0, 10**12).map(lambda kopecks: f"{kopecks // 100}.{kopecks % 100:02}")
CLIENT = {"id_1c": st.just(GUID), "amo_id": IDS, "link": st.none(), "name": NAMES, "responsible_user_id": IDS}
PEOPLE = st.fixed_dictionaries(CLIENT | {"phone": st.none() | PHONES, "email": st.none() | EMAILS})
FIRMS = st.fixed_dictionaries(CLIENT | {"inn": st.none() | INNS})
ORDERS = st.fixed_dictionaries(
    {
        "id_1c": st.just(GUID),
        "amo_id": st.none(),
        "link": st.none(),
        "budget": BUDGETS,
        "order_number": st.none() | st.just("17"),
        "contact_id": IDS,
        "company_id": IDS,
        "responsible_user_id": IDS,
    }
)
SHOWN = {
    "id": st.integers(1, 10**9),
    "name": NAMES,
    "responsible_user_id": st.integers(1, 10**9),
    "is_deleted": st.just(value=False),
    "values": st.just({"701": ["Опт"]}),
    "PAROM_ID_1C": st.none() | st.just(GUID),
}
SHOWN_PEOPLE = st.fixed_dictionaries(
    SHOWN | {"PHONE": st.lists(PHONES, max_size=3), "EMAIL": st.lists(EMAILS, max_size=3)}
)
SHOWN_FIRMS = st.fixed_dictionaries(SHOWN | {"INN": st.sampled_from(["7700000001", "190000001"])})
SHOWN_LEADS = st.fixed_dictionaries(
    SHOWN
    | {"price": st.integers(0, 10**10), "main_contact": st.none() | SHOWN_PEOPLE, "company": st.none() | SHOWN_FIRMS}
)
LAWS = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


def check_echo(row, there, shown_by, back):
    """What one said is shown by the other in every detail that was said."""
    said = there.common(row)
    shown = back.common(shown_by(there.map(row, today=TODAY).payload))
    assert (said or {}).items() <= (shown or {}).items()
    assert agree(said, shown) == agree(shown, said) == bool(said)


@given(row=PEOPLE)
@settings(LAWS, max_examples=300)
def test_a_contact_that_shows_what_1c_said_is_an_echo(row):
    check_echo(row, CONTACT_THERE, amocrm_contact, CONTACT_BACK)


@given(row=FIRMS)
@settings(LAWS, max_examples=300)
def test_a_company_that_shows_what_1c_said_is_an_echo(row):
    check_echo(row, COMPANY_THERE, amocrm_company, COMPANY_BACK)


@given(row=ORDERS)
@settings(LAWS, max_examples=300)
def test_a_lead_that_shows_what_1c_said_is_an_echo(row):
    check_echo(row, LEAD_THERE, amocrm_lead, LEAD_BACK)


@given(row=SHOWN_PEOPLE)
@settings(LAWS, max_examples=300)
def test_an_individual_of_whom_1c_says_what_amocrm_showed_is_an_echo(row):
    check_echo(row, CONTACT_BACK, onec_client, CONTACT_THERE)


@given(row=SHOWN_FIRMS)
@settings(LAWS, max_examples=300)
def test_a_legal_entity_of_which_1c_says_what_amocrm_showed_is_an_echo(row):
    check_echo(row, COMPANY_BACK, onec_client, COMPANY_THERE)


@given(row=SHOWN_LEADS)
@settings(LAWS, max_examples=300)
def test_an_order_of_which_1c_says_what_amocrm_showed_is_an_echo(row):
    check_echo(row, LEAD_BACK, onec_order, LEAD_THERE)


PERSON = {
    "id_1c": GUID,
    "amo_id": None,
    "link": "https://1c.example/",
    "name": "Петров Иван",
    "responsible_user_id": 504141,
    "email": "ivan.petrov@example.com",
    "phone": "8 (999) 000-00-01",
}
FIRM = {
    "id_1c": GUID,
    "amo_id": None,
    "link": None,
    "name": "ООО <Ромашка>",
    "responsible_user_id": 504141,
    "inn": "7700000001",
}
SHOWN_PERSON = amocrm_contact(CONTACT_THERE.map(PERSON, today=TODAY).payload)
SHOWN_FIRM = amocrm_company(COMPANY_THERE.map(FIRM, today=TODAY).payload)
ORDER = {
    "id_1c": GUID,
    "amo_id": None,
    "link": None,
    "budget": "1234.50",
    "order_number": "17",
    "contact_id": 10901,
    "company_id": 20901,
    "responsible_user_id": 504141,
}
SHOWN_LEAD = amocrm_lead(LEAD_THERE.map(ORDER, today=TODAY).payload)
EVENT = {
    "key": "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
    "event_name": "payment",
    "amo_id": 30901,
    "id_1c": GUID,
    "sum": "1234.50",
    "debt_sum": "0.00",
    "document_name": "Платёжное поручение № 17",
}


def test_the_views_hold_what_both_systems_show():
    person = {
        "name": "Петров Иван",
        "phone": "79990000001",
        "email": "ivan.petrov@example.com",
        "responsible_user_id": 504141,
    }
    firm = {"name": "ООО ‹Ромашка›", "inn": "7700000001", "responsible_user_id": 504141}
    order = {"price": 1235, "contact_id": 10901, "company_id": 20901, "responsible_user_id": 504141}
    assert CONTACT_THERE.common(PERSON) == CONTACT_BACK.common(SHOWN_PERSON) == person
    assert COMPANY_THERE.common(FIRM) == COMPANY_BACK.common(SHOWN_FIRM) == firm
    assert LEAD_THERE.common(ORDER) == LEAD_BACK.common(SHOWN_LEAD) == order


@pytest.mark.parametrize(
    ("said", "back", "shown", "edits"),
    [
        (
            CONTACT_THERE.common(PERSON),
            CONTACT_BACK,
            SHOWN_PERSON,
            {"name": "Петров И.", "PHONE": ["9990000002"], "EMAIL": ["b@example.com"], "responsible_user_id": 5},
        ),
        (
            COMPANY_THERE.common(FIRM),
            COMPANY_BACK,
            SHOWN_FIRM,
            {"name": "ООО Ромашка", "INN": "7700000002", "responsible_user_id": 5},
        ),
        (
            LEAD_THERE.common(ORDER),
            LEAD_BACK,
            SHOWN_LEAD,
            {"price": 1234, "main_contact": {"id": 5}, "company": {"id": 5}, "responsible_user_id": 5},
        ),
    ],
)
def test_an_edit_of_anything_that_both_show_is_no_echo(said, back, shown, edits):
    assert agree(said, back.common(shown))
    for key, value in edits.items():
        assert not agree(said, back.common(shown | {key: value})), key


def test_another_spelling_is_an_echo():
    shown = SHOWN_PERSON | {
        "name": " Петров\u00a0Иван ",
        "PHONE": ["нет", "8-999-0000001"],
        "EMAIL": ["ivan.petrov@EXAMPLE.COM"],
    }
    assert agree(CONTACT_THERE.common(PERSON), CONTACT_BACK.common(shown))


@pytest.mark.parametrize("name", ["ю" * 300, "<" * 300])
def test_a_name_that_was_cut_is_an_echo(name):
    said = PERSON | {"name": name}
    check_echo(said, CONTACT_THERE, amocrm_contact, CONTACT_BACK)
    shown = SHOWN_PERSON | {"name": name}
    check_echo(shown, CONTACT_BACK, onec_client, CONTACT_THERE)


def test_what_says_nothing_that_both_know_is_no_echo():
    nothing = {"id_1c": GUID, "amo_id": 5, "link": "https://1c.example/"}
    assert CONTACT_THERE.common(nothing) is None
    assert LEAD_THERE.common(nothing) is None
    assert not agree(CONTACT_THERE.common(nothing), CONTACT_BACK.common(SHOWN_PERSON))
    assert not agree({"phone": "79990000001"}, {"name": "Петров"})


@pytest.mark.parametrize(
    ("back", "shown"), [(CONTACT_BACK, SHOWN_PERSON), (COMPANY_BACK, SHOWN_FIRM), (LEAD_BACK, SHOWN_LEAD)]
)
def test_what_is_deleted_shows_nothing(back, shown):
    assert back.common(shown | {"is_deleted": True}) is None


NASTY = [
    *("\x00", "\ud800", "\u200b", "\u00a0", "а" * 10_000, "9" * 5_000, "@", "a@b@c", "٤٠٤", "1e3", "{sum}", "<b>"),
    *(
        "+7 999 000-00-01",
        "доб",
        "amo:1",
        "https://[",
        "https://a:0/",
        "https://@/",
        "e1cib/",
        "7700000001",
        "-0",
        "0.5",
    ),
    *(float("nan"), float("inf"), 1e308, 10**30, 10**4000, -1, 0, 0.0, -0.001, True, False, None, [], {}, [[]], [None]),
]
SCALARS = st.one_of(
    st.sampled_from(NASTY), st.text(st.characters(codec=None), max_size=12), st.integers(), st.floats(), st.booleans()
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
CUSTOM = st.dictionaries(st.sampled_from(["701", "702", "x", ""]), JSON | st.lists(JSON, max_size=2), max_size=3)
MISSING = object()


def changed(good, values=JSON):
    changes = st.dictionaries(st.sampled_from(list(good)), values | CUSTOM | st.just(MISSING), max_size=3)
    return changes.map(lambda some: {code: value for code, value in (good | some).items() if value is not MISSING})


SHOWN_WITH_CLIENTS = changed(SHOWN_PERSON).flatmap(
    lambda person: changed(SHOWN_FIRM).flatmap(
        lambda firm: changed(SHOWN_LEAD | {"main_contact": person, "company": firm})
    )
)
ANY = st.one_of(
    st.tuples(st.just(CONTACT_THERE), changed(PERSON)),
    st.tuples(st.just(COMPANY_THERE), changed(FIRM)),
    st.tuples(st.just(LEAD_THERE), changed(ORDER)),
    st.tuples(st.just(EVENT_THERE), changed(EVENT)),
    st.tuples(st.just(CONTACT_BACK), changed(SHOWN_PERSON)),
    st.tuples(st.just(COMPANY_BACK), changed(SHOWN_FIRM)),
    st.tuples(st.just(LEAD_BACK), SHOWN_WITH_CLIENTS),
)


@given(given=ANY)
@settings(LAWS, max_examples=500)
def test_a_row_of_any_json_has_one_of_three_outcomes_and_a_view(given):
    mapping, row = given
    try:
        outcome = mapping.map(row, today=TODAY)
    except ValidationError as error:
        outcome = error
    match outcome:
        case ValidationError():
            assert set(outcome.messages_dict) <= set(mapping.fields)
            assert 0 < len(told(outcome)) <= LONGEST_NOTE
        case Skipped(reason):
            assert reason
        case Mapped(payload):
            json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()
            check_payload(payload)
            assert all(outcome.warnings)
    if mapping is not EVENT_THERE:
        view = mapping.common(row)
        assert view is None or (view and None not in view.values())
        json.dumps(view, allow_nan=False)


def check_payload(payload):
    assert None not in payload.values()
    for key, check in CHECKS.items():
        if key in payload:
            assert check(payload[key]), key
    for client in {"contact", "company"} & payload.keys():
        check_payload(payload[client])


def is_id(value):
    return type(value) is int and value > 0


CHECKS = {
    "id_1c": lambda text: text.strip() == text and 0 < len(text) <= 255,
    "id": lambda text: re.fullmatch("[0-9]+", text),
    "amo_id": is_id,
    "lead_id": is_id,
    "contact_id": is_id,
    "company_id": is_id,
    "responsible_user_id": is_id,
    "name": lambda text: 0 < len(text) <= 255 and text.isprintable() is not None and "\n" not in text,
    "order_number": lambda text: 0 < len(text) <= 255 and not {"<", ">"} & set(text),
    "phones": lambda phones: phones and all(re.fullmatch("[0-9]{11,15}", phone) for phone in phones),
    "phone": lambda phone: re.fullmatch("[0-9]{11,15}", phone),
    "emails": lambda emails: emails and all("@" in email for email in emails),
    "email": lambda email: "@" in email,
    "inn": lambda inn: re.fullmatch("[0-9]{9}|[0-9]{10}|[0-9]{12}", inn),
    "link": lambda link: re.match("https?://|e1cib/", link, re.IGNORECASE) and len(link) <= 1000,
    "price": lambda price: type(price) is int and price >= 0,
    "note": lambda note: note.strip() and not {"<", ">"} & set(note),
    "fields": lambda fields: all(0 < len(value) <= 255 for value in fields.values()),
    "task": lambda task: task["text"].strip() and task["in_hours"] > 0,
    "custom": lambda custom: all(
        code.isdigit() and type(value) in (str, int, float, bool) and value != "" for code, value in custom.items()
    ),
}

FIELDS = (fields.Line, fields.Number, fields.AmoId, fields.OneCId, fields.Link, fields.Inn, fields.Phones)
MORE_FIELDS = (fields.Emails, fields.CustomValues, fields.LinkedRow, fields.EventKey)


@pytest.mark.parametrize("field", FIELDS + MORE_FIELDS)
@given(value=JSON | CUSTOM)
@settings(LAWS, max_examples=500)
def test_a_field_reads_any_json_or_says_in_russian_that_it_cannot(field, value):
    message = ""
    try:
        field("Поле").deserialize(value)
    except ValidationError as error:
        message = told(error)
    assert not message or message.endswith("поле «Поле»")
