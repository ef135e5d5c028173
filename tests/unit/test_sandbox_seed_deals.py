"""Seeded deals: what can become a ticket does, and what is peculiar is peculiar."""

import json
from collections import Counter
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

import pytest

from sandbox import seed, seed_deals
from sandbox.admin import Admin
from sandbox.otmechalka.forms import TICKET, validated
from sandbox.otmechalka.reference import TICKET_TYPES
from sandbox.wire import Request
from sandbox.world import World

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
BRANCHES = {186: "2634", 12706: "2635"}


@pytest.fixture(scope="module")
def world():
    world = World()
    ask(world, "/seed", {"contacts": 200, "deals": 400, "seed": 3})
    return world


@pytest.fixture(scope="module")
def deals(world):
    return {row["ID"]: row for row in world.portal.rows("deals")}


def ask(world, path, body):
    request = Request("POST", path, "", {}, json.dumps(body).encode(), "127.0.0.1", is_last=False)
    response = Admin(world).handle(request)
    answer = json.loads(response.body)
    assert response.status == 200, answer
    return answer


def of_kind(world, deals, *kinds):
    return [deals[row_id] for row_id, kind in world.deal_kinds.items() if kind in kinds]


def rows_of(world, deal):
    return world.portal.store.product_rows[int(deal["ID"])]


def ticket_of(world, deal):
    """The ticket of a deal, its discount being what BRUTTO and PRICE differ by: DISCOUNT_SUM is without tax."""
    (row,) = rows_of(world, deal)
    initial, final = (money(row[code], row["QUANTITY"]) for code in ("PRICE_BRUTTO", "PRICE"))
    (branch,) = [int(option) for option in as_list(deal[seed_deals.BRANCH])]
    seller = world.portal.store.tables["user"].rows[int(deal["ASSIGNED_BY_ID"])].values
    return {
        "origin_id": deal["ID"],
        "client_origin_id": deal["CONTACT_ID"],
        "ticket_type": row["PRODUCT_NAME"].strip(),
        "price_initial": str(initial),
        "discount": str(initial - final),
        "price_final": str(final),
        "selling_date": deal[seed_deals.SALE_DAY][:10],
        "selling_branchoffice": BRANCHES[branch],
        "employee": f"{seller['NAME']} {seller['LAST_NAME']}",
        "payment_method": "CASH" if str(deal[seed_deals.PAYMENT]) == "450" else "ONLINE",
    }


def as_list(value):
    return value if isinstance(value, list) else [value]


def money(price, quantity):
    return (Decimal(str(price)) * Decimal(str(quantity))).quantize(Decimal("0.01"), ROUND_HALF_UP)


def test_the_same_seed_gives_the_same_deals_and_another_gives_others():
    def made(number):
        return seed_deals.deals(200, ["2", "4"], seed=number, now=NOW)

    assert made(1) == made(1)
    assert made(1) != made(2)


def test_contacts_are_the_same_with_and_without_deals(world):
    plain = World()
    plain.clock.change(freeze=NOW.isoformat())
    both = World()
    both.clock.change(freeze=NOW.isoformat())
    assert set(ask(plain, "/seed", {"contacts": 50})) == {"contacts", "by_kind"}
    ask(both, "/seed", {"contacts": 50, "deals": 50})
    assert plain.portal.rows("contacts") == both.portal.rows("contacts")


def test_kinds_come_in_fixed_shares_and_most_are_valid(world):
    shares = Counter(world.deal_kinds.values())
    assert shares == {kind: 4 * share for kind, share in seed_deals.SHARES.items()}
    assert sum(seed_deals.SHARES.values()) == 100
    assert seed_deals.SHARES["valid"] >= 70


def test_deals_are_of_valid_contacts(world, deals):
    contacts = {deal["CONTACT_ID"] for deal in of_kind(world, deals, *set(seed_deals.SHARES) - {"missing_contact"})}
    assert {world.kinds[contact] for contact in contacts} == {"valid"}


def test_deals_without_contacts_are_refused():
    with pytest.raises(ValueError, match="seeded contacts"):
        seed_deals.deals(1, [], seed=1, now=NOW)


def test_more_deals_can_follow_for_contacts_seeded_before():
    world = World()
    ask(world, "/seed", {"contacts": 10})
    assert ask(world, "/seed", {"deals": 5, "seed": 2})["deals"] == 5
    assert len(world.deal_kinds) == len(world.portal.rows("deals")) == 5


@pytest.mark.parametrize("kind", seed_deals.SHARES_OF_TICKETS)
def test_what_makes_a_ticket_is_accepted_by_the_school(world, deals, kind):
    for deal in of_kind(world, deals, kind):
        ticket = ticket_of(world, deal)
        assert Decimal(ticket["discount"]) >= 0
        _, mistakes = validated(TICKET, ticket, ids_only=True)
        assert not mistakes
        assert deal["STAGE_ID"] == "WON"
        assert deal["DATE_CREATE"] >= "2020-12-22"


@pytest.mark.parametrize("kind", ["valid", "percent_discount", "quantity_two", "noisy_floats", "empty_payment"])
def test_without_tax_the_discount_of_the_row_says_the_same(world, deals, kind):
    for deal in of_kind(world, deals, kind):
        (row,) = rows_of(world, deal)
        assert row["PRICE_BRUTTO"] - row["DISCOUNT_SUM"] == pytest.approx(row["PRICE"], abs=0.005)


def test_prices_before_tax_differ_from_those_with_it(world, deals):
    for deal in of_kind(world, deals, "vat_on_top", "vat_included"):
        (row,) = rows_of(world, deal)
        assert row["PRICE_NETTO"] < row["PRICE_BRUTTO"]


@pytest.mark.parametrize(
    ("kind", "is_peculiar"),
    [
        ("no_rows", lambda deal, rows: rows == []),
        ("two_rows", lambda deal, rows: len(rows) == 2),
        ("two_branches", lambda deal, rows: len(deal[seed_deals.BRANCH]) == 2),
        ("missing_contact", lambda deal, rows: deal["CONTACT_ID"] in (None, "0", "")),
        ("seller_without_surname", lambda deal, rows: deal["ASSIGNED_BY_ID"] == "20"),
        ("percent_discount", lambda deal, rows: rows[0]["DISCOUNT_TYPE_ID"] == 2 and rows[0]["DISCOUNT_SUM"] > 0),
        ("quantity_two", lambda deal, rows: rows[0]["QUANTITY"] == 2),
        ("noisy_floats", lambda deal, rows: len(str(rows[0]["PRICE"])) > 12),
        ("empty_payment", lambda deal, rows: not deal[seed_deals.PAYMENT]),
        ("not_won", lambda deal, rows: deal["STAGE_SEMANTIC_ID"] != "S"),
        ("other_pipeline", lambda deal, rows: (deal["STAGE_ID"], deal["STAGE_SEMANTIC_ID"]) == ("C1:WON", "S")),
        ("recurring", lambda deal, rows: deal["IS_RECURRING"] == "Y"),
        ("tournament", lambda deal, rows: rows[0]["PRODUCT_NAME"] not in TICKET_TYPES),
        ("created_too_early", lambda deal, rows: deal["DATE_CREATE"] < "2020-12-22"),
    ],
)
def test_what_is_peculiar_is_peculiar(world, deals, kind, is_peculiar):
    assert all(is_peculiar(deal, rows_of(world, deal)) for deal in of_kind(world, deals, kind))


def test_the_amount_of_a_deal_is_that_of_its_rows(world, deals):
    for deal in of_kind(world, deals, "quantity_two", "two_rows", "no_rows"):
        amount = sum(row["PRICE"] * row["QUANTITY"] for row in rows_of(world, deal))
        assert float(deal["OPPORTUNITY"]) == amount


def test_seeded_deals_carry_no_hint(deals):
    text = json.dumps(list(deals.values()), ensure_ascii=False)
    assert not any(kind in text for kind in set(seed_deals.SHARES) | set(seed.SHARES))
