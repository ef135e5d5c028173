"""Seeded contacts, companies and leads: the mix is what tests and demo rely on."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from sandbox import seed_amocrm
from sandbox.amocrm.account import AmoCrm
from sandbox.amocrm.reference import LOST, WON
from sandbox.chronicle import Chronicle
from sandbox.clock import Clock
from sandbox.seed import by_kind

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def entered():
    account = AmoCrm(Clock(), Chronicle())
    kinds = seed_amocrm.enter(account, contacts=200, companies=100, leads=100, seed=1, now=NOW)
    return account, kinds


def values(row, code):
    held = row["custom_fields_values"] or ()
    return [value["value"] for one in held if one["field_code"] == code for value in one["values"]]


def test_the_same_seed_gives_the_same_rows_and_another_gives_others():
    first, again, other = (seed_amocrm.invented_contacts(50, seed=seed, now=NOW) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("shares", [seed_amocrm.CONTACTS, seed_amocrm.COMPANIES, seed_amocrm.LEADS])
def test_shares_are_of_a_hundred(shares):
    assert sum(shares.values()) == 100


def test_kinds_come_in_fixed_shares():
    assert by_kind(seed_amocrm.invented_companies(100, seed=1, now=NOW)) == seed_amocrm.COMPANIES


def test_phones_are_invented_and_mostly_of_one(entered):
    account, kinds = entered
    valid = [row for row in account.rows("contacts") if kinds["contacts"][str(row["id"])] == "valid"]
    digits = [
        "".join(sign for sign in phone if sign.isdigit())[-10:] for row in valid for phone in values(row, "PHONE")
    ]
    assert all(phone.startswith("999000") for phone in digits)
    assert set(Counter(digits).values()) == {1}


def test_leads_are_linked_and_some_closed(entered):
    account, kinds = entered
    leads = account.rows("leads")
    assert sum(bool(row["contacts"] and row["company_id"]) for row in leads) == 70
    assert {row["status_id"] for row in leads} >= {WON, LOST}
    assert all(row["closed_at"] for row in leads if row["status_id"] in (WON, LOST))
    assert {row["updated_by"] for row in leads} <= set(seed_amocrm.STAFF)


def test_rows_are_of_the_past_and_nobody_is_told(entered):
    account, _ = entered
    rows = [row for entity in ("contacts", "companies", "leads") for row in account.rows(entity)]
    assert max(row["updated_at"] for row in rows) <= NOW.timestamp()
    assert all(row["created_at"] < row["updated_at"] for row in rows)
    assert account.rows("events") == []
