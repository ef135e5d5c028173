"""The admin side in memory, and the sandbox once as a real process."""

import json
import signal
import subprocess
import sys
import urllib.request

import pytest

from sandbox.admin import Admin
from sandbox.server import Front
from sandbox.wire import Request
from sandbox.world import World


def asked(http_method, path, body=None):
    content = b"" if body is None else json.dumps(body).encode()
    address, _, query = path.partition("?")
    headers = {"content-type": "application/json", "authorization": "Token sandbox-otmechalka-token"}
    return Request(http_method, address, query, headers, content, "127.0.0.1", is_last=False)


class Caller:
    """The admin side and both systems of one world."""

    def __init__(self):
        self.world = World()
        self._admin = Admin(self.world)
        world = self.world
        self._fronts = {
            name: Front(system, clock=world.clock, faults=world.faults, journal=world.journal)
            for name, system in world.systems.items()
        }

    def send(self, http_method, path, body=None):
        response = self._admin.handle(asked(http_method, path, body))
        return response.status, json.loads(response.body)

    def __call__(self, http_method, path, body=None):
        status, answer = self.send(http_method, path, body)
        assert status == 200, answer
        return answer

    def crm(self, method, **params):
        response, _ = self._fronts["bitrix24"].answer(asked("POST", f"/rest/1/sandboxsecret00/{method}", params))
        return json.loads(response.body)

    def school(self, http_method, path, body=None):
        response, _ = self._fronts["otmechalka"].answer(asked(http_method, path, body))
        return json.loads(response.body)


@pytest.fixture
def admin():
    caller = Caller()
    yield caller
    caller.world.portal.stop()


# Rows.


def test_a_row_is_created_raw_and_edited_as_a_human(admin):
    fields = {"ID": 39558, "NAME": "Анна", "PHONE": ["8 999"], "DATE_MODIFY": "2021-01-01T00:00:00+03:00"}
    assert admin("POST", "/bitrix24/contacts", fields)["DATE_MODIFY"] == "2021-01-01T00:00:00+03:00"
    edited = admin("POST", "/bitrix24/contacts/39558", {"fields": {"PHONE": []}})
    assert (edited["HAS_PHONE"], edited["MODIFY_BY_ID"]) == ("N", "12")
    assert admin("GET", "/store/bitrix24/contacts")["rows"] == [edited]
    admin("DELETE", "/bitrix24/contacts/39558")
    assert admin("GET", "/store/bitrix24/contacts")["rows"] == []


def test_a_deal_comes_with_its_product_rows(admin):
    deal = admin("POST", "/bitrix24/deals", {"STAGE_ID": "WON", "PRODUCT_ROWS": [{"PRICE": 10, "PRICE_BRUTTO": 11}]})
    (row,) = admin("GET", "/store/bitrix24/product_rows")["rows"]
    assert (row["OWNER_ID"], row["PRICE"], row["PRICE_BRUTTO"]) == (deal["ID"], 10, 11)
    admin("DELETE", f"/bitrix24/deals/{deal['ID']}")
    assert admin("GET", "/store/bitrix24/product_rows")["rows"] == []


@pytest.mark.parametrize(
    ("http_method", "path", "body", "status"),
    [
        ("GET", "/nothing", None, 404),
        ("GET", "/store/bitrix24/leads", None, 404),
        ("GET", "/store/1c/contacts", None, 404),
        ("DELETE", "/bitrix24/contacts/5", None, 404),
        ("POST", "/bitrix24/contacts/5", {"NAME": "x"}, 404),
        ("POST", "/bitrix24/contacts/5/merge", {"into": 7}, 404),
        ("POST", "/bitrix24/contacts/5/merge", {"into": 5}, 400),
        ("POST", "/seed", {"deals": 5}, 400),
        ("DELETE", "/faults/5", None, 404),
        ("POST", "/otmechalka/clients/5/archive", {}, 404),
        ("POST", "/switches/bitrix24", {"colour": "red"}, 400),
        ("POST", "/switches/bitrix24", {"server_offset": "soon"}, 400),
        ("POST", "/clock", {"tomorrow": True}, 400),
        ("POST", "/clock", {"freeze": "soon"}, 400),
        ("POST", "/seed", [], 400),
    ],
)
def test_mistakes_are_answered_with_an_error(admin, http_method, path, body, status):
    answered, answer = admin.send(http_method, path, body)
    assert (answered, list(answer)) == (status, ["error"])


def test_an_id_that_is_taken_is_refused(admin):
    admin("POST", "/bitrix24/contacts", {"ID": 2})
    assert admin.send("POST", "/bitrix24/contacts", {"ID": 2})[0] == 400


def test_merged_contacts_are_one_and_their_deals_are_the_winners(admin):
    admin("POST", "/bitrix24/contacts", {"ID": 2, "NAME": "Анна", "PHONE": ["1", "2"], "POST": "тренер"})
    admin("POST", "/bitrix24/contacts", {"ID": 4, "NAME": "Аня", "PHONE": ["2", "3"]})
    for contact in (2, 4, 6):
        admin("POST", "/bitrix24/deals", {"CONTACT_ID": str(contact), "DATE_MODIFY": "2021-01-01T00:00:00+03:00"})
    winner = admin("POST", "/bitrix24/contacts/2/merge", {"into": 4})
    assert [phone["VALUE"] for phone in winner["PHONE"]] == ["2", "3", "1"]
    assert (winner["NAME"], winner["POST"], winner["MODIFY_BY_ID"]) == ("Аня", "тренер", "12")
    assert admin("GET", "/store/bitrix24/contacts")["rows"] == [winner]
    deals = admin("GET", "/store/bitrix24/deals")["rows"]
    assert [deal["CONTACT_ID"] for deal in deals] == ["4", "4", "6"]
    assert {deal["DATE_MODIFY"] for deal in deals} == {"2021-01-01T00:00:00+03:00"}


def test_a_merge_moves_the_dates_of_deals_only_if_switched(admin):
    admin("POST", "/switches/bitrix24", {"merge_touches_deals": True})
    admin("POST", "/clock", {"freeze": "2026-03-02T12:00:00+03:00"})
    for contact in (2, 4):
        admin("POST", "/bitrix24/contacts", {"ID": contact})
    admin("POST", "/bitrix24/deals", {"CONTACT_ID": "2", "DATE_MODIFY": "2021-01-01T00:00:00+03:00"})
    admin("POST", "/bitrix24/contacts/2/merge", {"into": 4})
    assert admin("GET", "/store/bitrix24/deals")["rows"][0]["DATE_MODIFY"] == "2026-03-02T12:00:00+03:00"


def test_a_company_is_a_row_like_the_others(admin):
    company = admin("POST", "/bitrix24/companies", {"TITLE": "Ладья"})["ID"]
    assert admin("POST", f"/bitrix24/companies/{company}", {"TITLE": "Ферзь"})["TITLE"] == "Ферзь"
    assert [row["TITLE"] for row in admin("GET", "/store/bitrix24/companies")["rows"]] == ["Ферзь"]
    admin("DELETE", f"/bitrix24/companies/{company}")
    assert admin("GET", "/store/bitrix24/companies")["rows"] == []


def test_the_moves_of_a_deal_can_be_looked_at(admin):
    deal = admin("POST", "/bitrix24/deals", {})["ID"]
    admin("POST", f"/bitrix24/deals/{deal}", {"STAGE_ID": "WON"})
    rows = admin("GET", "/store/bitrix24/stage_history")["rows"]
    assert [(row["TYPE_ID"], row["STAGE_ID"]) for row in rows] == [(1, "NEW"), (3, "WON")]


# Outgoing webhooks.


def test_a_webhook_is_registered_listed_and_removed(admin):
    wanted = {"url": "http://127.0.0.1:9/hook", "events": ["ONCRMDEALADD"], "application_token": "t"}
    registered = admin("POST", "/bitrix24/webhooks", wanted)
    assert registered == {"id": 975, **wanted}
    assert admin("GET", "/bitrix24/webhooks") == {"webhooks": [registered]}
    admin("DELETE", "/bitrix24/webhooks/975")
    admin("DELETE", "/bitrix24/webhooks")
    assert admin("GET", "/bitrix24/webhooks") == {"webhooks": []}
    assert admin.send("DELETE", "/bitrix24/webhooks/975")[0] == 404
    for wrong in ({}, {**wanted, "events": ["ONTASKADD"]}, {**wanted, "colour": 1}):
        assert admin.send("POST", "/bitrix24/webhooks", wrong)[0] == 400


def test_events_are_listed_with_their_fate(admin):
    admin("POST", "/switches/bitrix24", {"event_drop_share": 1.0})
    admin("POST", "/bitrix24/webhooks", {"url": "http://127.0.0.1:9/", "events": ["ONCRMCONTACTADD"]})
    admin("POST", "/seed", {"contacts": 3})
    contact = int(admin("POST", "/bitrix24/contacts", {})["ID"])
    admin("DELETE", f"/bitrix24/contacts/{contact}")
    dropped, unheard = admin("GET", "/events")["events"]
    assert (dropped["event"], dropped["id"], dropped["fate"], dropped["handler_id"]) == (
        "ONCRMCONTACTADD",
        contact,
        "dropped",
        975,
    )
    assert (unheard["event"], unheard["fate"], unheard["url"]) == ("ONCRMCONTACTDELETE", "unheard", None)
    assert admin("GET", f"/events?since={dropped['seq']}")["events"] == [unheard]


# Journal.


def test_an_item_is_named_by_its_entity(admin):
    item = admin.crm("crm.item.add", entityTypeId=3, fields={})["result"]["item"]["id"]
    admin.crm("crm.item.update", entityTypeId=2, id=5, fields={})
    added, refused = admin("GET", "/journal")["entries"]
    assert (added["entity"], added["key"], added["kind"], added["committed"]) == ("contact", str(item), "write", True)
    assert (refused["entity"], refused["key"], refused["committed"], refused["error"]) == (
        "deal",
        "5",
        False,
        "NOT_FOUND",
    )


def test_the_journal_tells_calls_and_commands_apart(admin):
    admin("POST", "/bitrix24/contacts", {"ID": 2})
    admin.crm("batch", cmd=["crm.contact.update?id=2&fields[NAME]=A", "crm.contact.get?id=2", "nope"])
    bitrix24 = admin("GET", "/journal/summary")["systems"]["bitrix24"]
    assert bitrix24["http"] == {"total": 1, "by_method": {"batch": 1}, "by_kind": {"write": 1}}
    assert bitrix24["commands"]["by_method"] == {"crm.contact.update": 1, "crm.contact.get": 1, "nope": 1}
    (entry,) = admin("GET", "/journal")["entries"]
    commands = [(command["kind"], command["key"], command["committed"]) for command in entry["commands"]]
    assert commands == [("write", "2", True), ("read", "2", False), ("other", "", False)]
    assert entry["commands"][0]["params"] == {"id": "2", "fields": {"NAME": "A"}}


def test_the_journal_can_be_read_from_a_number_on_and_by_system(admin):
    admin.crm("profile")
    admin.school("GET", "/api/clients/1/")
    admin.crm("scope")
    assert [entry["method"] for entry in admin("GET", "/journal?since=1")["entries"]][-1] == "scope"
    (entry,) = admin("GET", "/journal?since=0&system=otmechalka")["entries"]
    assert (entry["seq"], entry["status"], entry["key"]) == (2, 404, "1")
    assert admin("GET", "/journal?since=3")["entries"] == []


def test_what_a_fault_kept_from_being_handled_is_named_all_the_same(admin):
    admin("POST", "/faults", {"system": "bitrix24", "action": "throttle"})
    admin.crm("crm.contact.update", id=2, fields={})
    (entry,) = admin("GET", "/journal")["entries"]
    assert (entry["method"], entry["key"], entry["kind"], entry["committed"]) == (
        "crm.contact.update",
        "2",
        "write",
        False,
    )
    assert (entry["status"], entry["fault"]) == (503, "throttle")


def test_the_key_of_an_added_row_is_its_new_id(admin):
    contact = admin.crm("crm.contact.add", fields={})["result"]
    assert admin("GET", "/journal")["entries"][0]["key"] == str(contact)


# Clock, switches, reset.


def test_the_clock_freezes_advances_and_runs_on(admin):
    admin("POST", "/clock", {"freeze": "2026-03-02T12:00:00+03:00"})
    admin("POST", "/clock", {"advance_s": 90})
    assert admin.crm("server.time")["result"] == "2026-03-02T12:01:30+03:00"
    admin("POST", "/clock", {"freeze": False, "offset_s": 3600})
    state = admin("GET", "/clock")
    assert (state["frozen"], state["offset_s"]) == (False, 3600)


def test_switches_are_shown_and_turned(admin):
    assert admin("POST", "/switches/otmechalka", {"client_limit": 3})["client_limit"] == 3
    assert admin("GET", "/switches/bitrix24")["noop_update_touches"] is True


def test_archiving_is_for_people(admin):
    client = {"origin_id": "5", "last_name": "А", "first_name": "Б", "phone": "79990000001", "gender": "M"}
    admin.school("POST", "/api/clients/", client | {"courses": ["10985"], "branchoffices": ["2633"]})
    assert admin("POST", "/otmechalka/clients/5/archive")["is_archived"] is True
    assert admin("POST", "/otmechalka/clients/5/archive", {"archived": False})["is_archived"] is False


def test_reset_gives_a_fresh_world(admin):
    admin("POST", "/seed", {"contacts": 3})
    admin("POST", "/switches/bitrix24", {"rate_profile": "off"})
    admin("POST", "/clock", {"freeze": True})
    admin.crm("profile")
    admin("POST", "/faults", {"system": "bitrix24", "action": "html"})
    admin("POST", "/reset")
    assert admin("GET", "/store/bitrix24/contacts")["rows"] == []
    assert admin("GET", "/seed") == {"kinds": {}, "deal_kinds": {}}
    assert admin("GET", "/faults") == {"faults": []}
    assert admin("GET", "/journal/summary") == {"last_seq": 0, "systems": {}}
    assert admin("GET", "/clock")["frozen"] is False
    assert admin("GET", "/switches/bitrix24")["rate_profile"] == "standard"


# The process.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_writes_where_it_listens_and_ends_without_a_word(tmp_path, number):
    ready = tmp_path / "ready.json"
    command = [sys.executable, "-m", "sandbox", "--ready-file", str(ready)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            addresses = json.loads(line)
            assert json.loads(ready.read_text()) == addresses
            assert addresses["bitrix24"].endswith("/rest/1/sandboxsecret00/")
            with urllib.request.urlopen(f"{addresses['admin']}/health", timeout=5) as answer:
                assert json.load(answer)["ok"] is True
            process.send_signal(number)
            _, errors = process.communicate(timeout=5)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, "")
