"""The story of the flow `tickets`: won deals become tickets after their clients, once and for all."""

import pytest

from tests.e2e.test_students import on_postgresql
from tests.harbour import assert_all_arrived, wait_until

SALE = {"UF_CRM_58D1057919A6F": "2026-05-20T03:00:00+03:00", "UF_CRM_1470852549": [186], "UF_CRM_1490347942": 450}
PRODUCT = {"PRODUCT_NAME": " 6 КМС индивидуальные 45 мин", "PRICE": 8700, "DISCOUNT_SUM": 300, "QUANTITY": 1}


PUPIL = {
    "UF_CRM_57AD7FAF7E6C4": "Петров",
    "UF_CRM_1608028374": "Василий",
    "UF_CRM_58D15BB9CA8F4": [410],
    "LAST_NAME": "Петров",
    "NAME": "Иван",
    "PHONE": ["8 (999) 000-00-01"],
}


def enrol(harbour, **fields):
    return harbour.sandbox.post("/bitrix24/contacts", fields={**PUPIL, **fields})["ID"]


def sell(harbour, contact, **fields):
    deal = {"CONTACT_ID": contact, "STAGE_ID": "WON", "ASSIGNED_BY_ID": "12", **SALE, "PRODUCT_ROWS": [PRODUCT]}
    return harbour.sandbox.post("/bitrix24/deals", fields={**deal, **fields})["ID"]


@on_postgresql
@pytest.mark.outside(contacts=60, deals=120, tickets=True)
def test_every_won_deal_is_a_ticket_after_its_client_and_a_second_run_writes_nothing(harbour):
    harbour.redis.stop()
    first = harbour.run("up", "--drain")
    assert first.returncode == 0, first.stderr
    assert_all_arrived(harbour)
    order = [key for method, key in harbour.sandbox.creations() if "clients" in method]
    tickets = harbour.sandbox.tickets().values()
    assert tickets
    assert {ticket["client_origin_id"] for ticket in tickets} <= set(order)
    writes = len(harbour.sandbox.writes("otmechalka")) + len(harbour.sandbox.writes("bitrix24"))
    assert harbour.run("up", "--drain").returncode == 0
    assert len(harbour.sandbox.writes("otmechalka")) + len(harbour.sandbox.writes("bitrix24")) == writes


@pytest.mark.outside(tickets=True)
def test_mending_a_contact_releases_its_tickets_and_only_they_waited(harbour):
    broken, sound = enrol(harbour, UF_CRM_1608028374=""), enrol(harbour)
    held = [sell(harbour, broken) for _ in range(3)]
    free = sell(harbour, sound)
    harbour.start_working()
    wait_until(lambda: harbour.settled(4, "tickets"), "the tickets are looked at")
    assert set(harbour.sandbox.tickets()) == {free}
    harbour.sandbox.post(f"/bitrix24/contacts/{broken}", fields={"UF_CRM_1608028374": "Анна"})
    wait_until(lambda: len(harbour.sandbox.tickets()) == 4, "the tickets follow their client")
    assert [key for method, key in harbour.sandbox.creations() if "tickets" in method] == [free, *held]


@pytest.mark.outside(tickets=True)
def test_a_client_older_than_the_start_comes_with_its_ticket(harbour):
    old = enrol(harbour, DATE_CREATE="2020-01-10T10:00:00+03:00", DATE_MODIFY="2020-01-10T10:00:00+03:00")
    deal = sell(harbour, old)
    harbour.start_working()
    wait_until(lambda: deal in harbour.sandbox.tickets(), "the ticket arrives")
    assert old in harbour.sandbox.clients()


@pytest.mark.outside(tickets=True)
def test_a_deal_deleted_between_list_and_delivery_is_delivered_and_its_note_given_up(harbour):
    deal = sell(harbour, enrol(harbour))
    harbour.sandbox.post("/faults", system="otmechalka", match="GET .*tickets", times=1, action="latency", before_s=3)
    harbour.start_working()
    wait_until(lambda: harbour.sandbox.get("/faults")["faults"][0]["hits"] == 1, "the ticket is on its way")
    harbour.sandbox.session.delete(harbour.sandbox.addresses["admin"] + f"/bitrix24/deals/{deal}").raise_for_status()
    wait_until(lambda: deal in harbour.sandbox.tickets(), "the ticket arrives")
    wait_until(lambda: harbour.settled(1, "tickets"), "the note is given up")
    assert "note failed" in harbour.run("history", "tickets", deal).stdout


@pytest.mark.outside(tickets=True)
def test_a_deal_that_changes_while_its_page_is_read_is_sold_as_it_is_after_the_change_and_never_again(harbour):
    deal = sell(harbour, enrol(harbour))
    harbour.sandbox.post("/faults", system="bitrix24", match="batch", times=1, action="latency", before_s=2)
    harbour.start_working()
    wait_until(lambda: harbour.sandbox.get("/faults")["faults"][0]["hits"] == 1, "its product rows are being read")
    dearer = PRODUCT | {"PRICE": 9000, "DISCOUNT_SUM": 0}
    harbour.sandbox.post(f"/bitrix24/deals/{deal}", fields={"UF_CRM_1490347942": 452, "PRODUCT_ROWS": [dearer]})
    wait_until(lambda: deal in harbour.sandbox.tickets(), "the ticket arrives")
    sold = harbour.sandbox.tickets()[deal]
    assert (sold["payment_method"], float(sold["price_final"]), float(sold["discount"])) == ("ONLINE", 9000, 0)
    harbour.sandbox.post(f"/bitrix24/deals/{deal}", fields={"UF_CRM_1490347942": 450})
    wait_until(lambda: "kept" in harbour.run("history", "tickets", deal).stdout, "the change is seen and not carried")
    assert harbour.sandbox.tickets()[deal] == sold
    assert [key for method, key in harbour.sandbox.creations() if "tickets" in method] == [deal]


@pytest.mark.outside(tickets=True)
def test_a_ticket_of_a_merged_contact_goes_to_the_survivor(harbour):
    loser, winner = enrol(harbour, UF_CRM_1608028374=""), enrol(harbour)
    deal = sell(harbour, loser)
    harbour.start_working()
    wait_until(lambda: harbour.settled(1, "tickets"), "the ticket waits")
    assert harbour.sandbox.tickets() == {}
    harbour.sandbox.post(f"/bitrix24/contacts/{loser}/merge", into=winner)
    harbour.run("resync", "tickets", deal)
    wait_until(lambda: deal in harbour.sandbox.tickets(), "the ticket follows the survivor")
    assert harbour.sandbox.tickets()[deal]["client_origin_id"] == winner


@pytest.mark.outside(contacts=10, tickets=True, crm='application_token = "${file:application_token}"', every="600s")
def test_an_event_brings_a_change_at_once_and_a_forged_one_nothing(harbour):
    (harbour.folder / "application_token").write_text("invented-application-token")
    web = harbour.start_web()
    harbour.start_working()
    wait_until(lambda: harbour.settled(8), "the first poll is over")
    wait_until(lambda: harbour.ready(web), "the web process answers")
    hook = f"{web}/hooks/bitrix24/crm"
    events = ["ONCRMCONTACTUPDATE", "ONCRMDEALADD"]
    harbour.sandbox.post("/bitrix24/webhooks", url=hook, events=events, application_token="invented-application-token")
    deal = sell(harbour, enrol(harbour))
    wait_until(lambda: deal in harbour.sandbox.tickets(), "the ticket arrives long before the next poll", patience=20)
    forged = {"event": "ONCRMDEALADD", "data[FIELDS][ID]": deal, "auth[application_token]": "wrong"}
    refused = harbour.sandbox.session.post(hook, data=forged, timeout=5)
    assert (refused.status_code, refused.json()) == (403, {"error": "forbidden"})
    elsewhere = harbour.sandbox.session.post(f"{web}/hooks/bitrix24/nobody", data=forged, timeout=5)
    assert (elsewhere.status_code, elsewhere.json()) == (403, {"error": "forbidden"})
    assert harbour.sandbox.session.post(hook, data="x" * 300_000, timeout=5).status_code == 413
