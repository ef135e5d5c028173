"""What only amoCRM does: people's entities become ours, orders have parties, events are notes, tokens work once.

Under every behaviour that facts/amocrm.md leaves open.
"""

import hashlib
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import fakeredis
import pytest

from connectors.base import FieldNeed, Note, Secret, Window
from connectors.errors import ConnectorError, InDoubt, Refused, Rejected, Throttled
from tests.contract.subject import OWNER
from tests.contract.subjects import LONG_AGO, SUBJECTS, each, failure, is_wrong, together
from tests.contract.trade import AMO_STATUS, ID_1C, values_of
from tests.unit.vaults import MemoryVault

SWITCHES = [
    {},
    {"is_api_filter_enabled": False, "equal_times": "shuffled"},
    {"range_ends": "exclusive", "query_phones": "digits"},
    {"equal_times": "shuffled", "duplicate_ids": "refused", "unknown_keys": "refused", "fields_page": 250},
    {"batch_atomic": False, "missing_in_batch": "skipped", "missing_link_target": 400, "link_touches": "none"},
]


@pytest.fixture(params=SWITCHES, ids=str)
def account(sandbox, request):
    """The account as it may turn out to be."""
    sandbox("POST", "/switches/amocrm", **request.param)
    return sandbox


def rows_of(sandbox, table):
    return {row["id"]: row for row in sandbox.table("amocrm", table)}


def poll(source, window, fields=()):
    rows, after = [], None
    for _ in range(1000):
        page = source.page(Window(window.modified_since, window.created_since, after, window.conditions), fields)
        rows += page.rows
        after = page.last_id
        if page.last:
            return rows
    raise AssertionError("a poll that does not end")


def contact(number, **more):
    phone = f"7999000{number:04d}"
    return {
        "id_1c": f"k{number}",
        "name": f"Имя {number}",
        "phones": [phone],
        "emails": [f"k{number}@example.com"],
    } | more


# The account.


def test_check_makes_what_is_missing_and_then_has_nothing_to_make(account, connect):
    ours = {"id_field": "PAROM_ID_TOO", "link_field": "PAROM_LINK_TOO", "number_field": "PAROM_NUMBER_TOO"}
    connector = connect("amocrm", account_id=31000001, default_user=8000002, **ours)
    status = FieldNeed("PAROM_STATUS_TOO", "Статус", ("text",), writable=True)
    needs = [status, FieldNeed("7000001/142", "Успех", ("status",))]
    known = len(rows_of(account, "custom_fields"))
    for made in (10, 10):
        for entity in ("contacts", "companies", "leads", "events"):
            assert [found.text for found in connector.check(entity, needs) if found.level == "error"] == []
        assert len(rows_of(account, "custom_fields")) == known + made


def test_the_account_never_has_to_refuse_us(sandbox, connect):
    # One more than ours, for what a busy machine holds up between grant and arrival.
    sandbox("POST", "/switches/amocrm", rate_profile="standard", integration_per_s=8)
    redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    paced = {"requests_per_second": 7.0, "account_requests_per_second": 25.0, "sleep": time.sleep, "redis": redis}
    workers = [connect("amocrm", **paced) for _ in range(4)]
    began = time.monotonic()
    assert together(24, lambda number: workers[number % 4].probe()) == [None] * 24
    assert {entry["status"] for entry in sandbox.journal("amocrm")} == {200}
    assert time.monotonic() - began < 24 / 7 * 1.5


@pytest.mark.parametrize("body", ["html", "json"])
def test_a_429_and_a_ban_are_told_apart(sandbox, connect, body):
    sandbox("POST", "/switches/amocrm", rate_profile="standard", integration_per_s=1, throttle_body=body, ban_after=3)
    # Each of them believes that it is alone.
    connect("amocrm").probe()
    errors = [failure(sandbox, "amocrm", connect("amocrm").probe) for _ in range(4)]
    assert {type(error) for error in errors[:2]} == {Throttled}
    assert all(isinstance(error, Refused) and "shut out" in str(error) for error in errors[2:])


# Tokens.


def oauth(sandbox, **changes):
    at = sandbox.addresses
    given = {"token": None, "client_id": at["amocrm_client_id"], "client_secret": Secret(at["amocrm_client_secret"])}
    given |= {"redirect_uri": "https://parom.example/oauth", "refresh_token": Secret(at["amocrm_refresh_token"])}
    return given | changes


@pytest.mark.parametrize("switches", [{}, {"refresh_revokes_access": True, "reuse_revokes_family": True}], ids=str)
def test_a_refresh_token_is_exchanged_once_by_many(sandbox, connect, switches):
    sandbox("POST", "/switches/amocrm", **switches)
    vault = MemoryVault()
    connectors = [connect("amocrm", vault=vault, **oauth(sandbox)) for _ in range(8)]
    assert together(8, lambda number: connectors[number].probe()) == [None] * 8
    sandbox("POST", "/amocrm/tokens/expire")
    assert together(8, lambda number: connectors[number].probe()) == [None] * 8
    exchanges = [entry for entry in sandbox.journal("amocrm") if entry["path"] == "/oauth2/access_token"]
    assert [entry["status"] for entry in exchanges] == [200, 200]


@pytest.mark.parametrize("status", [400, 401])
def test_a_revoked_authorisation_needs_a_person_and_a_code_mends_it(sandbox, connect, status):
    sandbox("POST", "/switches/amocrm", oauth_error_status=status)
    vault = MemoryVault()
    connect("amocrm", vault=vault, **oauth(sandbox)).probe()
    sandbox("DELETE", "/amocrm/tokens")
    for _ in range(3):
        error = failure(sandbox, "amocrm", connect("amocrm", vault=vault, **oauth(sandbox)).probe)
        assert "needs re-authorisation" in str(error)
    code = Secret(sandbox("POST", "/amocrm/code")["code"])
    connect("amocrm", vault=vault, **oauth(sandbox, refresh_token=None, authorization_code=code)).probe()


# Reading.


def test_everything_that_changed_is_read_with_what_belongs_to_it(account, connect):
    connector = connect("amocrm", page_rows=20)
    account("POST", "/amocrm/seed", contacts=70, companies=10, leads=90)
    for kind in ("contacts", "companies", "leads"):
        rows = poll(connector.source(kind), Window(LONG_AGO), ("values", AMO_STATUS))
        assert sorted(int(row.id) for row in rows) == sorted(rows_of(account, kind))
    leads = poll(connector.source("leads"), Window(LONG_AGO), ("main_contact", "company"))
    stored = rows_of(account, "leads")
    for row in leads:
        lead = stored[int(row.id)]
        mains = [link["id"] for link in lead["contacts"] if link["is_main"]]
        assert [row.fields["main_contact"]["id"]] == mains if mains else row.fields["main_contact"] is None
        assert (row.fields["company"] or {"id": None})["id"] == lead["company_id"]


def test_only_what_changed_since_is_read_and_the_deleted_on_request(account, connect):
    account("POST", "/amocrm/seed", contacts=30)
    ids = sorted(rows_of(account, "contacts"))
    source = connect("amocrm").source("contacts")
    then = datetime.now(UTC) + timedelta(hours=1)
    account("POST", "/clock", advance_s=7200)
    account("POST", f"/amocrm/contacts/{ids[3]}", name="Новое имя")
    account("DELETE", f"/amocrm/contacts/{ids[5]}")
    rows = poll(source, Window(then), ("name", "is_deleted"))
    assert [(int(row.id), row.fields["is_deleted"]) for row in rows] == [(ids[3], False), (ids[5], True)]


def test_a_page_tells_the_accounts_clock_and_not_ours(account, connect):
    account("POST", "/clock", advance_s=7200)
    page = connect("amocrm").source("contacts").page(Window(LONG_AGO), ())
    assert abs(page.server_time - datetime.now(UTC) - timedelta(hours=2)) < timedelta(seconds=30)


def test_notes_bring_status_id_and_link(account, connect):
    source = connect("amocrm").source("contacts")
    ids = [account("POST", "/amocrm/contacts", name="Иван")["id"] for _ in range(3)]
    notes = [Note(str(id_), "Успешно", target_id=f"k{id_}", link="https://1c.example/1") for id_ in ids]
    assert source.write_notes(AMO_STATUS, notes) == [None] * 3
    for id_, row in rows_of(account, "contacts").items():
        held = [values_of(row, code) for code in (AMO_STATUS, ID_1C, "PAROM_LINK_1C")]
        assert held == [["Успешно"], [f"k{id_}"], ["https://1c.example/1"]]
    wrote, refused = source.write_notes(AMO_STATUS, [Note(str(ids[0]), "x"), Note("999999", "x")])
    assert wrote is None
    assert is_wrong(refused)


# Writing.


def test_a_person_whom_people_entered_is_matched_and_becomes_ours(account, connect):
    target = connect("amocrm").target("contacts")
    human = account("POST", "/amocrm/contacts", name="Иван", phones=["+79990000001"])["id"]
    assert target.find("k1") is None
    assert target.match(contact(1)) == str(human)
    assert target.update(str(human), contact(1, link="https://1c.example/k1")) == str(human)
    assert target.find("k1").id == str(human)
    assert target.match(contact(2, phones=["79990000001"])) is None, "it belongs to another of 1C's"
    assert target.update(str(human), contact(1, phones=["79990000002"])) == str(human)
    row = rows_of(account, "contacts")[human]
    assert (row["name"], values_of(row, "PHONE")) == ("Имя 1", ["+79990000002", "+79990000001"])
    assert (values_of(row, ID_1C), values_of(row, "PAROM_LINK_1C")) == (["k1"], ["https://1c.example/k1"])
    account("DELETE", f"/amocrm/contacts/{human}")
    assert target.find("k1") is None
    assert target.update(str(human), contact(1)) is None


@pytest.mark.parametrize("typed", ["+7 (999) 000-00-01", "8 999 000 00 01", "8-999-000-00-01 доб. 5"])
def test_a_person_is_matched_by_a_phone_however_people_typed_it(account, connect, typed):
    human = account("POST", "/amocrm/contacts", name="Иван", phones=[typed])["id"]
    assert connect("amocrm").target("contacts").match(contact(1)) == str(human)


@each("amo_contacts", "amo_companies", "amo_leads")
def test_a_key_that_two_carry_is_left_to_a_person(sandbox, connect, subject):
    """Nothing keeps it unique there: which is why a creation in doubt is looked for first."""
    target = connect("amocrm").target(subject.target)
    payload = {"id_1c": OWNER, "name": "Ромашка"}
    ids = [target.create(payload) for _ in range(2)]
    error = failure(sandbox, "amocrm", lambda: target.find(OWNER))
    assert is_wrong(error)
    assert all(id_ in error.told for id_ in ids)


def test_nothing_is_written_that_is_there(account, connect):
    contacts = connect("amocrm").target("contacts")
    id_ = contacts.create(contact(1))
    before = rows_of(account, "contacts")
    assert contacts.update(id_, contact(1)) == id_
    assert rows_of(account, "contacts") == before
    assert len(account.writes("amocrm")) == 1


def test_many_are_created_together_and_a_wrong_one_takes_nobody_along(account, connect):
    target = connect("amocrm").target("companies")
    account("POST", "/faults", system="amocrm", action="latency", before_s=0.3, times=3)
    nameless = 17

    def create(number):
        payload = contact(number, **({"name": ""} if number == nameless else {}))
        return (target.find(payload["id_1c"]) or target.create(payload)) and None

    waiting, outcomes = list(range(60)), {}
    for _ in range(4):
        if waiting:
            found = together(len(waiting), lambda place, numbers=waiting: create(numbers[place]))
            outcomes |= dict(zip(waiting, found, strict=True))
        waiting = [number for number, outcome in outcomes.items() if outcome is InDoubt]
    assert {number: outcome for number, outcome in outcomes.items() if outcome is not None} == {nameless: Rejected}
    assert sorted(account.keys(SUBJECTS["amo_companies"])) == sorted(
        f"k{number}" for number in range(60) if number != nameless
    )
    assert len(account.writes("amocrm")) < 50, "sixty records are not sixty calls"


def test_orders_have_their_contact_company_price_and_number(account, connect):
    connector = connect("amocrm")
    companies, leads = connector.target("companies"), connector.target("leads")
    person = int(connector.target("contacts").create(contact(1)))
    firm = int(companies.create({"id_1c": "c1", "name": "Ромашка", "inn": "7700000001"}))
    assert companies.match({"id_1c": "c2", "inn": "7700000001"}) is None, "it belongs to another of 1C's"
    order = {"id_1c": "o1", "name": "Заказ 15", "price": 1500, "order_number": "15"}
    lead = leads.create(order | {"contact_id": person, "company_id": firm})
    row = rows_of(account, "leads")[int(lead)]
    assert (row["price"], row["company_id"]) == (1500, firm)
    assert row["contacts"] == [{"id": person, "is_main": True}]
    bare = leads.create({"id_1c": "o2", "name": "Заказ 16", "order_number": "16"})
    assert leads.update(bare, {"id_1c": "o2", "contact_id": person, "company_id": firm, "price": 7}) == bare
    row = rows_of(account, "leads")[int(bare)]
    assert (row["price"], row["company_id"], row["contacts"]) == (7, firm, [{"id": person, "is_main": True}])
    assert is_wrong(failure(account, "amocrm", lambda: leads.update(bare, {"id_1c": "o2", "contact_id": 999})))
    other = int(companies.create({"id_1c": "c2", "name": "Василёк"}))
    leads.update(bare, {"id_1c": "o2", "company_id": other})
    assert rows_of(account, "leads")[int(bare)]["company_id"] == other
    assert leads.match({"id_1c": "o3", "order_number": "16"}) is None


@pytest.mark.parametrize("fault", ["reset_after", "reset_before"])
def test_an_event_is_there_once_whatever_gets_lost(account, connect, fault):
    connector = connect("amocrm")
    events, leads = connector.target("events"), connector.target("leads")
    lead = int(leads.create({"id_1c": "o1", "name": "Заказ 1"}))
    key = f"{lead}/{hashlib.sha1(b'1', usedforsecurity=False).hexdigest()}"
    event = {"key": key, "lead_id": lead, "note": "Оплата 10.00", "task": {"text": "Отгрузить", "in_hours": 4}}
    event |= {"status": {"pipeline_id": 7000001, "status_id": 142}}
    for path in ("PATCH /api/v4/leads", "POST /api/v4/tasks", "POST /api/v4/leads/notes"):
        account("POST", "/faults", system="amocrm", action=fault, match=path, times=1)
    for _ in range(6):
        if events.find(key):
            break
        with suppress(ConnectorError):
            events.create(event)
    assert events.find(key)
    assert len(rows_of(account, "notes")) == 1
    assert len(rows_of(account, "tasks")) == 1
    assert rows_of(account, "leads")[lead]["status_id"] == 142
