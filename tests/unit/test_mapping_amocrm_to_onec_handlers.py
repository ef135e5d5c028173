"""What the golden cases of amoCRM's rows cannot say: configuration, what `parom check` must find, privacy."""

from dataclasses import fields, is_dataclass
from datetime import date

import pytest
from marshmallow import ValidationError

from mappings.amocrm_to_onec_handlers import (
    AmoCRMCompanyToOneCClient,
    AmoCRMContactToOneCClient,
    AmoCRMLeadToOneCOrder,
    CompanyOptions,
    ContactOptions,
    LeadOptions,
)
from mappings.outcome import FieldUse, Mapped
from workers.schema import read

TODAY = date(2020, 12, 24)
PERSON = {
    "id": 10901,
    "name": "Петров Иван",
    "responsible_user_id": 504141,
    "is_deleted": False,
    "values": {"701": ["Розница"]},
    "PHONE": ["+7 999 000-00-01"],
    "EMAIL": ["ivan.petrov@example.com"],
    "company_id": None,
    "PAROM_ID_1C": "0f8fad5b-d9cb-11ea-80c1-00155d010203",
}
FIRM = {**PERSON, "id": 20901, "name": "ООО «Ромашка»", "INN": "7700000001"}
SALE = {
    "id": 30901,
    "name": "Ремонт кухни",
    "price": 1235,
    "status_id": 601,
    "pipeline_id": 501,
    "responsible_user_id": 504141,
    "is_deleted": False,
    "values": {"901": ["Сайт"]},
    "main_contact": PERSON,
    "company": FIRM,
    "PAROM_ID_1C": "5b2f6a1e-0c4d-11eb-80c1-00155d010101",
}
CONTACT = AmoCRMContactToOneCClient(ContactOptions())
COMPANY = AmoCRMCompanyToOneCClient(CompanyOptions(inn_field="INN"))
LEAD = AmoCRMLeadToOneCOrder(LeadOptions(inn_field="INN"))
CHOOSY = AmoCRMLeadToOneCOrder(LeadOptions(inn_field="INN", pipelines=(501,), stages=(142, 601)))
MAPPINGS = [(CONTACT, PERSON), (COMPANY, FIRM), (LEAD, SALE), (CHOOSY, SALE)]


def outcome_or_error(mapping, raw):
    try:
        return mapping.map(raw, today=TODAY)
    except ValidationError as error:
        return error


@pytest.mark.parametrize(("mapping", "row"), MAPPINGS)
def test_everything_that_is_read_is_named_once_and_described(mapping, row):
    assert len(set(mapping.fields)) == len(mapping.fields)
    assert {use.code for use in mapping.needs()} == set(mapping.fields)
    assert len(mapping.needs()) == len(mapping.fields)


def test_fields_of_amocrm_must_be_there_and_what_it_always_has_need_not():
    needs = {use.code: use for use in COMPANY.needs()}
    assert needs["PAROM_ID_1C"] == FieldUse("PAROM_ID_1C", "ID в 1С", ("text",))
    assert needs["INN"] == FieldUse("INN", "ИНН/УНП", ("text", "numeric", "legal_entity"))
    assert {code for code, use in needs.items() if not use.types} == {
        "id",
        "name",
        "responsible_user_id",
        "is_deleted",
        "values",
    }
    assert {use.code for use in CONTACT.needs() if use.types == ("multitext",)} == {"PHONE", "EMAIL"}


def test_a_lead_is_not_asked_for_the_fields_of_its_client_but_its_connector_is():
    options = LeadOptions(inn_field="INN", contact_id_field="778", company_id_field="779")
    needs = {use.code: use for use in AmoCRMLeadToOneCOrder(options).needs()}
    assert needs["PAROM_ID_1C"].types == ("text",)
    assert not any(needs[code].types for code in ("INN", "778", "779", "main_contact", "company"))
    assert {"INN", "778", "779", "PAROM_ID_1C", "main_contact", "company"} <= set(options.codes)


def test_what_the_configuration_names_must_be_there():
    needs = {use.code: use for use in CHOOSY.needs()}
    assert needs["pipeline_id"] == FieldUse("pipeline_id", "Воронка", (), options=frozenset({501}))
    assert needs["status_id"] == FieldUse("status_id", "Этап", (), options=frozenset({142, 601}))
    named = ("701", "702", "INN")
    for mapping in (
        AmoCRMContactToOneCClient(ContactOptions(custom_fields=named)),
        AmoCRMCompanyToOneCClient(CompanyOptions(inn_field="INN", custom_fields=named)),
        AmoCRMLeadToOneCOrder(LeadOptions(inn_field="INN", custom_fields=named)),
    ):
        codes = [use.code for use in mapping.needs()]
        assert len(set(codes)) == len(codes)
        assert set(named) <= set(codes)
        assert not {"701", "702"} & set(mapping.fields), "they come with the others"


def test_only_leads_that_count_are_asked_for():
    assert CONTACT.conditions == COMPANY.conditions == LEAD.conditions == {}
    assert CHOOSY.conditions == {"pipeline_id": ("501",), "status_id": ("142", "601")}
    assert all(str(SALE[code]) in values for code, values in CHOOSY.conditions.items())


def test_a_new_stage_is_no_work_unless_stages_count():
    assert set(CHOOSY.fields) - set(LEAD.fields) == {"pipeline_id", "status_id"}


@pytest.mark.parametrize(("mapping", "row"), MAPPINGS)
def test_only_the_declared_keys_are_read(mapping, row):
    selected = {code: row[code] for code in mapping.fields if code in row}
    with_more = row | {"group_id": object(), "_embedded": object(), "updated_at": object()}
    assert mapping.map(with_more, today=TODAY) == mapping.map(selected, today=TODAY)


def test_nothing_of_a_company_or_contact_is_different_for_being_a_leads():
    payload = LEAD.map(SALE, today=TODAY).payload
    assert payload["contact"] == CONTACT.map(PERSON, today=TODAY).payload
    assert payload["company"] == COMPANY.map(FIRM, today=TODAY).payload


@pytest.mark.parametrize(("mapping", "row"), MAPPINGS)
@pytest.mark.parametrize("typed", ["Тайна-12345", ["Тайна-12345"], {"VALUE": "Тайна-12345"}, {"vat_id": "Тайна-12345"}])
def test_neither_error_nor_warning_nor_skip_ever_carries_what_a_person_typed(mapping, row, typed):
    rows = [row | {code: typed} for code in mapping.fields]
    if mapping in (LEAD, CHOOSY):
        rows += [row | {"main_contact": PERSON | {code: typed}} for code in CONTACT.fields]
        rows += [row | {"company": FIRM | {code: typed}} for code in COMPANY.fields]
    for changed in rows:
        outcome = outcome_or_error(mapping, changed)
        if isinstance(outcome, ValidationError):
            assert "Тайна" not in repr(vars(outcome))
            assert outcome.data is None
            assert outcome.__context__ is None
        else:
            assert "Тайна" not in repr(outcome.warnings if isinstance(outcome, Mapped) else outcome)


@pytest.mark.parametrize(("mapping", "row"), MAPPINGS)
def test_mapping_changes_nothing_in_its_input(mapping, row):
    before = repr(row)
    mapping.map(row, today=TODAY)
    mapping.common(row)
    assert repr(row) == before


def test_what_is_fine_is_no_problem():
    for options in (
        ContactOptions(),
        ContactOptions(id_field="777", custom_fields=("701", "702")),
        CompanyOptions(inn_field="INN"),
        LeadOptions(inn_field="802"),
    ):
        assert not list(options.problems())


@pytest.mark.parametrize(
    ("options", "path", "hint"),
    [
        (ContactOptions(id_field=" "), "id_field", "the code or the id"),
        (ContactOptions(id_field="PHONE"), "id_field", "name another"),
        (ContactOptions(custom_fields=("701", "SITE")), "custom_fields.1", "digits only"),
        (ContactOptions(custom_fields=("0",)), "custom_fields.0", "digits only"),
        (CompanyOptions(inn_field=""), "inn_field", "the code or the id"),
        (CompanyOptions(inn_field="PAROM_ID_1C"), "inn_field", "id_field"),
        (LeadOptions(inn_field="name"), "inn_field", "name another"),
        (LeadOptions(inn_field="779", company_id_field="779"), "inn_field", "company_id_field"),
        (LeadOptions(inn_field="INN", contact_id_field="EMAIL"), "contact_id_field", "name another"),
        (LeadOptions(inn_field="INN", id_field="price"), "id_field", "name another"),
    ],
)
def test_a_problem_says_where_it_is_and_what_to_do(options, path, hint):
    ((found, message),) = options.problems()
    assert found == path
    assert hint in message


def test_the_options_are_read_from_the_file():
    table = {"pipelines": [501], "stages": [142], "inn_field": "INN", "inn_required": False, "custom_fields": ["701"]}
    expected = LeadOptions(pipelines=(501,), stages=(142,), inn_field="INN", inn_required=False, custom_fields=("701",))
    assert read(table, LeadOptions) == ([expected], [])
    _, faults = read({"pipelines": ["501"]}, LeadOptions)
    assert {fault.path[0] for fault in faults} == {"pipelines", "inn_field"}


def test_every_option_explains_itself_in_one_line():
    for option in (ContactOptions, CompanyOptions, LeadOptions):
        assert is_dataclass(option)
        for field in fields(option):
            assert field.metadata["help"]
            assert "\n" not in field.metadata["help"]
