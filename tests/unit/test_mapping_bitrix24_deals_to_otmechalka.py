"""What the golden cases of deals cannot say: which deals are read, configuration, privacy, prices in general."""

from dataclasses import fields, is_dataclass, replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from mappings.bitrix24_to_otmechalka import (
    BRANCHES,
    BRANCHOFFICES,
    Bitrix24DealToOtmechalkaTicket,
    DealFields,
    DealOptions,
    Reference,
)
from mappings.bitrix24_to_otmechalka.deals import DealSchema
from mappings.outcome import FieldUse

TODAY = date(2020, 12, 24)
BY_NAME = DealOptions(reference_mode="name")
ROW = {
    "PRODUCT_NAME": "6 КМС индивидуальные 45 мин",
    "PRICE": 8700,
    "PRICE_NETTO": 9000,
    "PRICE_BRUTTO": 9000,
    "QUANTITY": 1,
    "DISCOUNT_SUM": 300,
    "TAX_RATE": None,
}
DEAL = {
    "ID": "96038",
    "CONTACT_ID": "39910",
    "PRODUCT_ROWS": [ROW],
    "ASSIGNED_BY": {"NAME": "Андрей", "LAST_NAME": "Сергеев"},
    "UF_CRM_58D1057919A6F": "2020-12-13T03:00:00+03:00",
    "UF_CRM_1470852549": [186],
    "UF_CRM_1490347942": 450,
}


def ticket(options=BY_NAME, **changes):
    return Bitrix24DealToOtmechalkaTicket(options).map(DEAL | changes, today=TODAY)


def test_what_is_read_by_default():
    mapping = Bitrix24DealToOtmechalkaTicket(DealOptions())
    assert mapping.fields == DealOptions().codes == (*DEAL, "STAGE_SEMANTIC_ID", "IS_RECURRING")
    assert mapping.conditions == {"STAGE_SEMANTIC_ID": ("S",), "IS_RECURRING": ("N",)}


@pytest.mark.parametrize(
    ("options", "conditions"),
    [
        ({"pipelines": (0, 3)}, {"STAGE_SEMANTIC_ID": ("S",), "IS_RECURRING": ("N",), "CATEGORY_ID": ("0", "3")}),
        ({"won_stages": ("WON", "C3:WON")}, {"STAGE_ID": ("WON", "C3:WON"), "IS_RECURRING": ("N",)}),
        (
            {"won_stages": ("C3:WON",), "pipelines": (3,)},
            {"STAGE_ID": ("C3:WON",), "IS_RECURRING": ("N",), "CATEGORY_ID": ("3",)},
        ),
    ],
)
def test_stages_and_pipelines_decide_which_deals_are_read(options, conditions):
    mapping = Bitrix24DealToOtmechalkaTicket(DealOptions(**options))
    assert mapping.conditions == conditions
    assert set(mapping.fields) == {*DEAL, *conditions}


def test_the_live_portal_must_have_every_field_that_is_read():
    options = DealOptions(
        fields=DealFields(sale_date="UF_CRM_SOLD"), pipelines=(1,), branches=BRANCHES | {"190": "online"}
    )
    mapping = Bitrix24DealToOtmechalkaTicket(options)
    needs = mapping.needs()
    assert tuple(use.code for use in needs) == mapping.fields
    assert FieldUse("CONTACT_ID", "Контакт", ("crm_contact",)) in needs
    assert FieldUse("UF_CRM_SOLD", "Дата продажи", ("date", "datetime")) in needs
    assert FieldUse("UF_CRM_1470852549", "Филиал", ("enumeration",), frozenset({186, 12706, 190})) in needs
    assert FieldUse("UF_CRM_1490347942", "Способ оплаты", ("enumeration",), frozenset({450})) in needs
    assert FieldUse("CATEGORY_ID", "Воронка", ("crm_category",)) in needs
    assert {use.code for use in needs if not use.types} == {"PRODUCT_ROWS", "ASSIGNED_BY"}


def test_the_ids_that_the_brief_leaves_open_must_be_asked_for():
    problems = dict(DealOptions().problems())
    assert list(problems) == ["branchoffices.gogolevsky.id", "branchoffices.skolkovo.id"]
    assert all("ask otmechalka" in message for message in problems.values())


@pytest.mark.parametrize(
    "options",
    [
        BY_NAME,
        DealOptions(branches={"186": "online"}),
        replace(BY_NAME, ticket_pattern="^[0-9]+ (КМС|занят)", ticket_names=("Пробное занятие",)),
        replace(BY_NAME, branches={"0": "online", "999999999999999999": "skolkovo"}),
        replace(BY_NAME, cash_payments=()),
    ],
)
def test_what_is_fine_is_no_problem(options):
    assert not list(options.problems())


@pytest.mark.parametrize(
    ("changes", "path", "hint"),
    [
        ({"fields": DealFields(branch="")}, "fields.branch", "is empty"),
        ({"fields": DealFields(branch="UF_CRM_1490347942")}, "fields.payment", "fields.branch"),
        ({"fields": DealFields(sale_date="CONTACT_ID")}, "fields.sale_date", "the deal's contact"),
        ({"fields": DealFields(payment="PRODUCT_ROWS")}, "fields.payment", "product rows"),
        ({"fields": DealFields(payment="IS_RECURRING")}, "fields.payment", "selected by"),
        ({"branches": {}}, "branches", "leave it out"),
        ({"branches": {"Гоголевский": "gogolevsky"}}, "branches.Гоголевский", "digits"),
        ({"branches": {"0186": "gogolevsky"}}, "branches.0186", "digits"),
        ({"branches": {"1" * 19: "gogolevsky"}}, f"branches.{'1' * 19}", "digits"),
        ({"branches": {"186": "mars"}}, "branches.186", ", ".join(BRANCHOFFICES)),
        (
            {"branchoffices": {"online": Reference("1", "")}, "branches": {"1": "online"}},
            "branchoffices.online.name",
            "",
        ),
        ({"ticket_pattern": "(КМС"}, "ticket_pattern", "regular expression"),
        ({"ticket_pattern": "а{99999999999999999999}"}, "ticket_pattern", "regular expression"),
        ({"ticket_names": ("6 КМС", " ")}, "ticket_names", "take it out"),
        ({"won_stages": ("",)}, "won_stages", "take it out"),
    ],
)
def test_a_problem_says_where_it_is_and_what_to_do(changes, path, hint):
    ((found, message),) = replace(BY_NAME, **changes).problems()
    assert found == path
    assert hint in message


def test_all_problems_are_named_at_once():
    options = DealOptions(fields=DealFields(sale_date="X", branch="X"), ticket_pattern="(", branches={"a": "mars"})
    assert [path for path, _ in options.problems()] == ["fields.branch", "ticket_pattern", "branches.a", "branches.a"]


def test_every_option_explains_itself_in_one_line():
    for option in (DealOptions, DealFields):
        assert is_dataclass(option)
        for field in fields(option):
            assert field.metadata["help"]
            assert "\n" not in field.metadata["help"]


def test_the_schema_has_a_row_for_every_code():
    named = {field.name for field in fields(DealFields)}
    assert DealSchema(BY_NAME).fields.keys() == named | {"origin_id", "client_origin_id", "sold", "seller"}


def test_only_the_declared_fields_are_read():
    assert ticket(TITLE="Заказ", UF_CRM_OTHER=object()) == ticket()


@pytest.mark.parametrize(
    ("code", "value"),
    [
        *((code, {"VALUE": "Тайна-12345"}) for code in DEAL),
        ("PRODUCT_ROWS", [{code: ["Тайна-12345"] for code in ROW}]),
        ("PRODUCT_ROWS", [ROW | {"PRODUCT_NAME": "Тайна-12345", "PRICE": 1}]),
        ("ASSIGNED_BY", {"NAME": "Тайна-12345", "LAST_NAME": None}),
    ],
)
def test_an_error_never_carries_what_a_person_typed(code, value):
    with pytest.raises(ValidationError) as caught:
        ticket(**{code: value})
    error = caught.value
    assert "Тайна" not in repr(vars(error))
    assert error.data is None
    assert error.__context__ is None


def test_mapping_changes_nothing_in_its_input():
    before = repr(DEAL)
    ticket()
    assert repr(DEAL) == before


# A row as the vendor computes it: discount by percent without tax, every shown number rounded to eight places or two.
@given(
    price=st.decimals(0, 1_000_000, places=2),
    percent=st.decimals(0, 100, places=2),
    tax=st.sampled_from([None, 0, 5, 10, 20, 22]),
    quantity=st.sampled_from([1, 2, 3, 10, 0.5]),
    places=st.sampled_from([2, 8]),
)
@settings(derandomize=True, deadline=None, max_examples=1000)
def test_whatever_the_tax_and_discount_the_three_prices_agree_to_the_kopeck(price, percent, tax, quantity, places):
    factor = 1 + Decimal(tax or 0) / 100
    exclusive = price * (1 - percent / 100)
    shown = {
        "PRICE_NETTO": price,
        "PRICE_BRUTTO": price * factor,
        "PRICE": exclusive * factor,
        "DISCOUNT_SUM": price - exclusive,
    }
    row = ROW | {code: float(round(value, places)) for code, value in shown.items()}
    payload = ticket(PRODUCT_ROWS=[row | {"TAX_RATE": tax, "QUANTITY": quantity}]).payload
    initial, discount, final = (Decimal(payload[code]) for code in ("price_initial", "discount", "price_final"))
    assert initial - discount == final
    assert abs(discount - shown["DISCOUNT_SUM"] * factor * Decimal(quantity)) <= Decimal("0.02") * max(1, quantity)
