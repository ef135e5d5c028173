"""What the golden cases cannot say: configuration problems, what the live portal must have, privacy, threads."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass, replace
from datetime import date

import pytest
from marshmallow import ValidationError

from mappings.bitrix24_to_otmechalka import (
    BRANCHOFFICES,
    COURSES,
    RULES,
    Bitrix24ContactToOtmechalkaClient,
    ContactFields,
    ContactOptions,
    Reference,
    Rule,
)
from mappings.bitrix24_to_otmechalka.contacts import ContactSchema
from mappings.outcome import FieldUse, Mapped

TODAY = date(2020, 12, 24)
BY_NAME = ContactOptions(reference_mode="name")
CONTACT = {
    "ID": "39558",
    "UF_CRM_57AD7FAF7E6C4": "Петров",
    "UF_CRM_1608028374": "Василий",
    "PHONE": [{"VALUE": "8 (999) 000-00-01"}],
    "EMAIL": [{"VALUE": "ivan.petrov@example.com"}],
    "UF_CRM_58D15BB9CA8F4": [410],
    "UF_CRM_1470852549": [48],
    "UF_CRM_1607943642": "2009-11-29T03:00:00+03:00",
    "LAST_NAME": "Петров",
    "NAME": "Иван",
}


def paths(options):
    return [path for path, _ in options.problems()]


def test_the_ids_that_the_brief_leaves_open_must_be_asked_for():
    problems = dict(ContactOptions().problems())
    assert list(problems) == [
        "courses.group.id",
        "courses.individual.id",
        "branchoffices.gogolevsky.id",
        "branchoffices.skolkovo.id",
    ]
    assert all("ask otmechalka" in message for message in problems.values())
    assert "«Групповые занятия»" in problems["courses.group.id"]


def test_an_unknown_id_that_no_rule_uses_is_no_problem():
    assert paths(ContactOptions(rules=RULES[:1])) == []


def test_names_are_enough_to_send_names():
    assert paths(BY_NAME) == []
    assert paths(replace(BY_NAME, courses=COURSES | {"group": Reference("1", "")})) == ["courses.group.name"]


@pytest.mark.parametrize(
    ("options", "path", "hint"),
    [
        (replace(BY_NAME, rules=()), "rules", "leave it out"),
        (
            replace(BY_NAME, rules=(Rule(product=1, courses=("judo",), branchoffice="online"),)),
            "rules.0.courses",
            "judo",
        ),
        (
            replace(BY_NAME, rules=(Rule(product=1, courses=(), branchoffice="online"),)),
            "rules.0.courses",
            "online_group",
        ),
        (
            replace(BY_NAME, rules=(*RULES, Rule(product=1, courses=("group",), branchoffice="mars"))),
            "rules.3.branchoffice",
            ", ".join(BRANCHOFFICES),
        ),
        (replace(BY_NAME, fields=ContactFields(first_name="NAME")), "fields.parent_first_name", "fields.first_name"),
        (replace(BY_NAME, fields=ContactFields(last_name="ID")), "fields.last_name", "own id"),
        (replace(BY_NAME, fields=ContactFields(branches="")), "fields.branches", "is empty"),
    ],
)
def test_a_problem_says_where_it_is_and_what_to_do(options, path, hint):
    ((found, message),) = options.problems()
    assert found == path
    assert hint in message


def test_all_problems_are_named_at_once():
    options = ContactOptions(
        fields=ContactFields(first_name="X", last_name="X"),
        rules=(Rule(product=1, courses=("judo", "group"), branchoffice="mars"),),
    )
    assert paths(options) == ["fields.first_name", "rules.0.courses", "rules.0.branchoffice", "courses.group.id"]


def test_every_option_explains_itself_in_one_line():
    for option in (ContactOptions, ContactFields, Reference, Rule):
        assert is_dataclass(option)
        for field in fields(option):
            assert field.metadata["help"]
            assert "\n" not in field.metadata["help"]


def test_the_schema_has_a_row_for_every_code():
    assert {field.name for field in fields(ContactFields)} | {"origin_id"} == ContactSchema(BY_NAME).fields.keys()


def test_the_live_portal_must_have_every_field_that_is_read():
    options = ContactOptions(fields=ContactFields(birthdate="UF_CRM_BORN"))
    mapping = Bitrix24ContactToOtmechalkaClient(options)
    needs = mapping.needs()
    assert tuple(use.code for use in needs) == mapping.fields
    assert {"ID", "PHONE", "EMAIL", "NAME", "LAST_NAME"} < set(mapping.fields)
    assert FieldUse("UF_CRM_BORN", "Дата рождения ученика", ("date", "datetime")) in needs
    assert FieldUse("UF_CRM_58D15BB9CA8F4", "Продукт", ("enumeration",), frozenset({404, 410})) in needs
    assert FieldUse("UF_CRM_1470852549", "Филиал", ("enumeration",), frozenset({48, 12708})) in needs


def test_only_the_declared_fields_are_read():
    mapping = Bitrix24ContactToOtmechalkaClient(BY_NAME)
    with_more = CONTACT | {"BIRTHDATE": "1999-01-01T03:00:00+03:00", "UF_CRM_OTHER": object()}
    selected = {code: with_more[code] for code in mapping.fields}
    assert mapping.map(with_more, today=TODAY) == mapping.map(selected, today=TODAY)


@pytest.mark.parametrize("code", sorted(CONTACT.keys() - {"EMAIL"}))
def test_an_error_never_carries_what_a_person_typed(code):
    mapping = Bitrix24ContactToOtmechalkaClient(BY_NAME)
    typed = "Тайна-12345"
    with pytest.raises(ValidationError) as caught:
        mapping.map(CONTACT | {code: {"VALUE": typed}}, today=TODAY)
    error = caught.value
    assert typed not in repr(vars(error))
    assert error.data is None
    assert error.__context__ is None


def test_a_warning_never_carries_what_a_person_typed():
    mapping = Bitrix24ContactToOtmechalkaClient(BY_NAME)
    outcome = mapping.map(CONTACT | {"EMAIL": [{"VALUE": "Тайна-12345"}]}, today=TODAY)
    assert outcome.warnings
    assert "Тайна" not in repr(outcome)


def test_one_mapping_serves_many_threads_each_with_its_own_today():
    mapping = Bitrix24ContactToOtmechalkaClient(BY_NAME)

    def is_mapped(number):
        today = date(2009, 11, 28 + number % 2)  # born tomorrow, born today
        try:
            return isinstance(mapping.map(CONTACT, today=today), Mapped)
        except ValidationError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(is_mapped, range(400))) == [False, True] * 200


def test_mapping_changes_nothing_in_its_input():
    before = repr(CONTACT)
    Bitrix24ContactToOtmechalkaClient(BY_NAME).map(CONTACT, today=TODAY)
    assert repr(CONTACT) == before
