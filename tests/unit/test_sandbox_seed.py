"""Seeded contacts: the mix is what tests and demo rely on."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from sandbox import seed
from sandbox.bitrix24.hands import Hands
from sandbox.bitrix24.portal import Portal
from sandbox.chronicle import Chronicle
from sandbox.clock import Clock

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def seeded():
    return seed.contacts(500, seed=1, now=NOW)


def values_of(seeded, field, *, kind="valid"):
    return [contact.fields[field] for contact in seeded if contact.kind == kind]


def test_the_same_seed_gives_the_same_contacts_and_another_gives_others(seeded):
    assert seed.contacts(500, seed=1, now=NOW) == seeded
    assert seed.contacts(500, seed=2, now=NOW) != seeded


def test_kinds_come_in_fixed_shares(seeded):
    assert seed.by_kind(seeded) == {kind: 5 * share for kind, share in seed.SHARES.items()}
    assert sum(seed.SHARES.values()) == 100


def test_many_contacts_share_one_second_of_change(seeded):
    ((_, largest),) = Counter(contact.fields["DATE_MODIFY"] for contact in seeded).most_common(1)
    assert largest >= 60


def test_only_the_early_ones_were_created_before_the_start_date(seeded):
    early = {contact.kind for contact in seeded if contact.fields["DATE_CREATE"] < "2020-12-22"}
    assert early == {"created_too_early"}
    changes = [datetime.fromisoformat(contact.fields["DATE_MODIFY"]) for contact in seeded]
    assert min(changes) >= seed.EARLIEST
    assert max(changes) <= NOW


def test_every_odd_shape_is_there(seeded):
    shapes = {type(value) for value in values_of(seeded, seed.PRODUCT)}
    assert shapes == {list, int, str}
    assert {repr(value) for value in values_of(seeded, seed.BRANCH)} >= {"False", "''", "[]", "None", "[48, 12708]"}
    birthdays = [value for value in values_of(seeded, seed.BIRTHDAY) if value]
    assert {value[-6:] for value in birthdays} == {"+03:00", "+04:00"}
    phones = [phone for phones in values_of(seeded, "PHONE") for phone in phones]
    assert any("доб." in phone for phone in phones)
    assert any(", " in phone for phone in phones)
    assert {len(value) for value in values_of(seeded, "EMAIL")} == {0, 1, 2}
    names = "".join(values_of(seeded, seed.GIVEN_NAME))
    assert all(piece in names for piece in ("\u00a0", "\u0007", "\t", "  "))


def test_siblings_share_a_parent_and_a_phone(seeded):
    for first, second in zip(seeded[3::5], seeded[4::5], strict=True):
        if {first.kind, second.kind} == {"valid"}:
            assert first.fields["PHONE"] == second.fields["PHONE"]
            assert first.fields["LAST_NAME"] == second.fields["LAST_NAME"]


@pytest.mark.parametrize(
    ("kind", "field", "is_wrong"),
    [
        ("no_pupil_name", seed.GIVEN_NAME, lambda value: not (value or "").strip()),
        ("no_pupil_surname", seed.SURNAME, lambda value: not (value or "").strip()),
        ("parent_squeezed", "LAST_NAME", lambda value: value == ""),
        ("no_phone", "PHONE", lambda value: value == []),
        ("future_birth_date", seed.BIRTHDAY, lambda value: value > "2100"),
    ],
)
def test_what_is_wrong_is_wrong(seeded, kind, field, is_wrong):
    assert all(is_wrong(value) for value in values_of(seeded, field, kind=kind))


def test_all_phones_are_of_the_invented_range(seeded):
    for contact in seeded:
        for phone in contact.fields["PHONE"]:
            digits = "".join(filter(str.isdigit, phone))
            assert "999000" in digits or contact.kind == "bad_phone"


def test_seeded_rows_carry_no_hint(seeded):
    portal = Portal(Clock(), Chronicle())
    rows = Hands(portal).create_many("contacts", [contact.fields for contact in seeded[:100]])
    assert not any(kind in str(row) for row in rows for kind in seed.SHARES)
    assert "PHONE" not in next(row for row, contact in zip(rows, seeded, strict=False) if contact.kind == "no_phone")
