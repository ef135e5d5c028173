"""The chronicle of the sandbox: every version of every row, in the order in which the systems committed them."""

import http.client
import json
import threading
import time
from collections import deque
from datetime import UTC, datetime, timedelta

import pytest

from sandbox.admin import Admin
from sandbox.chronicle import Change, Chronicle
from sandbox.server import Front
from sandbox.wire import Request
from sandbox.world import Sandbox, World

TOKEN = {"Authorization": "Token sandbox-otmechalka-token", "Content-Type": "application/json"}
CLIENT = {
    "origin_id": "39558",
    "last_name": "Ладейкин",
    "first_name": "Василий",
    "phone": "79990000001",
    "courses": ["10985"],
    "branchoffices": ["2633"],
    "gender": "M",
}
TICKET = {
    "origin_id": "7",
    "client_origin_id": "39558",
    "ticket_type": "4 занятия групповые 60 мин",
    "price_initial": "3000.00",
    "discount": "0.00",
    "price_final": "3000.00",
    "selling_date": "2026-03-02",
    "selling_branchoffice": "2633",
    "employee": "Андрей Сергеев",
    "payment_method": "CASH",
}
CRM = "/rest/1/sandboxsecret00"
NOON = "2026-03-02T12:00:00+03:00"
ENTITIES = (
    ("bitrix24", "contacts"),
    ("bitrix24", "companies"),
    ("bitrix24", "deals"),
    ("bitrix24", "stage_history"),
    ("otmechalka", "clients"),
    ("otmechalka", "tickets"),
)


class Caller:
    """The admin side and both systems of one world in memory; `news` is what was told since it was last read."""

    def __init__(self):
        self.world = World()
        self._admin = Admin(self.world)
        self._read = 0

    def admin(self, http_method, path, body=None):
        response = self._admin.handle(_request(http_method, path, body))
        answer = json.loads(response.body)
        assert response.status == 200, answer
        return answer

    def crm(self, method, **params):
        return self._front("bitrix24", "POST", f"{CRM}/{method}", params)

    def school(self, http_method, path, body=None):
        return self._front("otmechalka", http_method, path, body)

    def entries(self, **query):
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        return self.admin("GET", f"/chronicle?{asked}")["entries"]

    def news(self):
        entries = self.entries(since=self._read)
        self._read = entries[-1]["seq"] if entries else self._read
        return entries

    def store(self, system, entity):
        """What /store shows by key, deals with their product rows."""
        rows = self.admin("GET", f"/store/{system}/{entity}")["rows"]
        if entity == "deals":
            products = self.admin("GET", "/store/bitrix24/product_rows")["rows"]
            rows = [
                deal | {"PRODUCT_ROWS": [row for row in products if row["OWNER_ID"] == deal["ID"]]} for deal in rows
            ]
        return {row["origin_id" if system == "otmechalka" else "ID"]: row for row in rows}

    def _front(self, system, http_method, path, body):
        world = self.world
        front = Front(world.systems[system], clock=world.clock, faults=world.faults, journal=world.journal)
        response, _ = front.answer(_request(http_method, path, body))
        return json.loads(response.body)


def _request(http_method, path, body):
    content = b"" if body is None else json.dumps(body).encode()
    address, _, query = path.partition("?")
    headers = {name.lower(): value for name, value in TOKEN.items()}
    return Request(http_method, address, query, headers, content, "127.0.0.1", is_last=False)


def told(entries):
    return [(entry["entity"], entry["key"], entry["verb"], entry["who"]) for entry in entries]


def replayed(entries):
    """The rows that are left when every version has been written over the one before."""
    rows = {}
    for entry in entries:
        rows.setdefault((entry["system"], entry["entity"]), {})[entry["key"]] = entry["state"]
    return {place: {key: row for key, row in of.items() if row is not None} for place, of in rows.items()}


@pytest.fixture
def caller():
    caller = Caller()
    caller.admin("POST", "/clock", {"freeze": NOON})
    yield caller
    caller.world.portal.stop()


@pytest.fixture
def settled(caller):
    """Two contacts of a company, a deal of the first with one product row, and everything so far is old news."""
    caller.admin("POST", "/bitrix24/companies", {"ID": 10, "TITLE": "Ладья"})
    for contact in (2, 4):
        caller.admin("POST", "/bitrix24/contacts", {"ID": contact, "NAME": f"Анна {contact}", "COMPANY_ID": "10"})
    deal = {"ID": 6, "CONTACT_ID": "2", "PRODUCT_ROWS": [{"PRICE": 10}]}
    caller.admin("POST", "/bitrix24/deals", deal)
    caller.news()
    return caller


# What is told.


def test_an_entry_has_the_whole_row_and_real_times_beside_the_movable_clock(caller):
    before = time.monotonic(), datetime.now(UTC)
    contact = caller.admin("POST", "/bitrix24/contacts", {"ID": 2, "NAME": "Анна"})
    (entry,) = caller.entries()
    assert before[0] <= entry.pop("at") <= time.monotonic()
    moment = datetime.fromisoformat(entry.pop("time"))
    assert before[1] <= moment <= datetime.now(UTC)
    assert moment.utcoffset() == timedelta(0)
    assert entry == {
        "seq": 1,
        "system": "bitrix24",
        "entity": "contacts",
        "key": "2",
        "verb": "created",
        "who": "person",
        "state": contact,
    }


MERGE = "crm.entity.mergebatch?params[entityTypeId]=3&params[entityIds][]=2&params[entityIds][]=4"
ACTS = {
    "a person edits": (
        lambda on: on.admin("POST", "/bitrix24/contacts/2", {"NAME": "Яна"}),
        [("contacts", "2", "updated", "person")],
    ),
    "a person replaces products": (
        lambda on: on.admin("POST", "/bitrix24/deals/6", {"PRODUCT_ROWS": [{"PRICE": 7}, {"PRICE": 8}]}),
        [("deals", "6", "updated", "person")],
    ),
    "a person deletes": (
        lambda on: on.admin("DELETE", "/bitrix24/companies/10"),
        [
            ("contacts", "2", "updated", "person"),
            ("contacts", "4", "updated", "person"),
            ("companies", "10", "deleted", "person"),
        ],
    ),
    "a person merges": (
        lambda on: on.admin("POST", "/bitrix24/contacts/2/merge", {"into": 4}),
        [
            ("contacts", "4", "updated", "person"),
            ("contacts", "2", "deleted", "person"),
            ("deals", "6", "updated", "person"),
        ],
    ),
    "a person turns a switch": (
        lambda on: on.admin("POST", "/switches/bitrix24", {"server_offset": "+05:00"}),
        [
            ("contacts", "2", "updated", "person"),
            ("contacts", "4", "updated", "person"),
            ("companies", "10", "updated", "person"),
            ("deals", "6", "updated", "person"),
            ("stage_history", "1000", "updated", "person"),
        ],
    ),
    "a person has emptiness shown otherwise": (
        lambda on: on.admin("POST", "/switches/bitrix24", {"empty_multifield": "list"}),
        [
            ("contacts", "2", "updated", "person"),
            ("contacts", "4", "updated", "person"),
            ("companies", "10", "updated", "person"),
        ],
    ),
    "a row is added": (
        lambda on: on.crm("crm.contact.add", fields={"NAME": "Ян", "PHONE": [{"VALUE": "1"}]}),
        [("contacts", "1000", "created", "api")],
    ),
    "an item without a name is added": (
        lambda on: on.crm("crm.item.add", entityTypeId=3, fields={}),
        [("contacts", "1000", "created", "api")],
    ),
    "an item moves": (
        lambda on: on.crm("crm.item.update", entityTypeId=2, id=6, fields={"stageId": "WON"}),
        [("deals", "6", "updated", "api"), ("stage_history", "1002", "created", "api")],
    ),
    "an item is deleted": (
        lambda on: on.crm("crm.item.delete", entityTypeId=2, id=6),
        [("deals", "6", "deleted", "api")],
    ),
    "a status is written": (
        lambda on: on.crm("crm.contact.update", id=2, fields={"UF_CRM_SYNC_STATUS": "Успешно"}),
        [("contacts", "2", "updated", "api")],
    ),
    "the same is written again": (
        lambda on: on.crm("crm.contact.update", id=2, fields={"NAME": "Анна 2"}),
        [("contacts", "2", "updated", "api")],
    ),
    "a batch writes": (
        lambda on: on.crm(
            "batch",
            cmd=[
                "crm.contact.update?id=4&fields[NAME]=A",
                "crm.contact.get?id=4",
                "crm.deal.delete?id=6",
                "crm.contact.update?id=4&fields[NAME]=B",
            ],
        ),
        [
            ("contacts", "4", "updated", "api"),
            ("deals", "6", "deleted", "api"),
            ("contacts", "4", "updated", "api"),
        ],
    ),
    "product rows are set": (
        lambda on: on.crm("crm.deal.productrows.set", id=6, rows=[{"PRICE": 5, "QUANTITY": 2}]),
        [("deals", "6", "updated", "api")],
    ),
    "a contact is unlinked": (
        lambda on: on.crm("crm.contact.company.items.delete", id=2),
        [("contacts", "2", "updated", "api")],
    ),
    "duplicates are merged": (
        lambda on: on.crm("batch", cmd=["crm.contact.update?id=4&fields[NAME]=Анна 2", MERGE]),
        [
            ("contacts", "4", "updated", "api"),
            ("contacts", "2", "updated", "api"),
            ("contacts", "4", "deleted", "api"),
        ],
    ),
    "nothing is found": (lambda on: on.crm("crm.contact.update", id=99, fields={"NAME": "Я"}), []),
    "somebody reads": (lambda on: on.crm("crm.contact.list", filter={"NAME": "Анна"}), []),
}


@pytest.mark.parametrize("name", ACTS)
def test_every_way_to_change_a_row_is_told_as_one_commit(settled, name):
    act, expected = ACTS[name]
    act(settled)
    assert told(one for one in settled.news() if one["entity"] != "users") == expected
    rows = replayed(settled.entries())
    for place in ENTITIES[:4]:
        assert rows.get(place, {}) == settled.store(*place)


def test_a_world_that_has_been_through_much_is_what_its_chronicle_says(caller):
    caller.admin("POST", "/switches/bitrix24", {"delete_unbinds_deals": True, "merge_touches_deals": True})
    caller.admin("POST", "/seed", {"contacts": 60, "deals": 60})
    contacts = [int(key) for key in caller.store("bitrix24", "contacts")]
    for number, contact in enumerate(contacts[:40]):
        caller.admin("POST", "/clock", {"advance_s": 1})
        if number % 4 == 0:
            caller.admin("DELETE", f"/bitrix24/contacts/{contact}")
        elif number % 4 == 1:
            caller.admin("POST", f"/bitrix24/contacts/{contact}/merge", {"into": contacts[-1]})
        else:
            caller.crm("crm.contact.update", id=contact, fields={"PHONE": [{"VALUE": str(number)}]})
    caller.admin("POST", "/switches/bitrix24", {"empty_multifield": "list", "server_offset": "+00:00"})
    caller.school("POST", "/api/clients/", CLIENT)
    caller.school("POST", "/api/tickets/", TICKET)
    caller.admin("POST", "/otmechalka/clients/39558/archive")
    assert all(caller.store(*place) for place in ENTITIES if place != ("bitrix24", "companies"))
    rows = replayed(caller.entries())
    assert [place for place in ENTITIES if rows.get(place, {}) != caller.store(*place)] == []


def test_a_version_keeps_what_it_was_when_the_row_moves_on(settled):
    for name in ("Яна", "Зоя"):
        settled.crm("crm.contact.update", id=2, fields={"NAME": name, "PHONE": [{"VALUE": name}]})
    first, second = settled.news()
    assert (first["state"]["NAME"], second["state"]["NAME"]) == ("Яна", "Зоя")
    assert [len(version["state"]["PHONE"]) for version in (first, second)] == [1, 2]


def test_a_system_may_go_on_with_the_row_that_it_gave():
    row = {"name": "Анна"}
    kept = Chronicle()
    kept.record("1c", "api", [Change("orders", "1", "created", row)])
    row["name"] = "Яна"
    assert [version.state for version in kept.since(0)] == [{"name": "Анна"}]


def test_the_school_tells_creations_updates_and_archiving(caller):
    caller.school("POST", "/api/clients/", CLIENT)
    caller.school("POST", "/api/tickets/", TICKET)
    caller.school("POST", "/api/clients/39558/", CLIENT | {"first_name": "Пётр", "email": "p@mail.example"})
    caller.school("POST", "/api/clients/39558/", CLIENT | {"phone": "wrong"})
    caller.school("POST", "/api/clients/", CLIENT)
    caller.admin("POST", "/otmechalka/clients/39558/archive")
    entries = caller.entries(system="otmechalka")
    assert told(entries) == [
        ("clients", "39558", "created", "api"),
        ("tickets", "7", "created", "api"),
        ("clients", "39558", "updated", "api"),
        ("clients", "39558", "updated", "person"),
    ]
    names = [(entry["state"]["first_name"], entry["state"]["is_archived"]) for entry in entries if entry["key"] != "7"]
    assert names == [("Василий", False), ("Пётр", False), ("Пётр", True)]


def test_a_second_client_under_the_same_id_is_told_as_created_again(caller):
    caller.admin("POST", "/switches/otmechalka", {"unique_origin_id": False})
    for _ in range(2):
        caller.school("POST", "/api/clients/", CLIENT)
    first, second = caller.entries()
    assert (first["verb"], second["verb"]) == ("created", "created")
    assert first["state"]["id"] != second["state"]["id"]


# What can be asked for.


def test_one_sequence_runs_through_all_systems(caller):
    caller.admin("POST", "/bitrix24/contacts", {"ID": 2})
    caller.school("POST", "/api/clients/", CLIENT)
    caller.crm("crm.company.add", fields={"TITLE": "Ладья"})
    entries = caller.entries()
    assert [(entry["seq"], entry["entity"]) for entry in entries] == [(1, "contacts"), (2, "clients"), (3, "companies")]
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
    assert caller.entries(since=1) == entries[1:]
    assert caller.entries(since=1, limit=1) == entries[1:2]
    assert caller.entries(system="bitrix24") == [entries[0], entries[2]]
    assert caller.entries(entity="companies") == [entries[2]]
    assert caller.entries(since=3) == []


def test_a_reset_begins_the_chronicle_again(caller):
    caller.admin("POST", "/bitrix24/contacts", {"ID": 2})
    caller.school("POST", "/api/clients/", CLIENT)
    caller.admin("POST", "/reset")
    assert caller.entries() == []
    caller.admin("POST", "/bitrix24/contacts", {"ID": 2})
    assert told(caller.entries()) == [("contacts", "2", "created", "person")]


def test_when_it_is_full_the_oldest_versions_go_and_numbers_stay():
    kept = Chronicle(kept=3)
    for number in range(5):
        kept.record("1c", "api", [Change("orders", str(number), "created", {"n": number})])
    assert [(version.seq, version.state) for version in kept.since(0)] == [(3, {"n": 2}), (4, {"n": 3}), (5, {"n": 4})]
    assert [version.seq for version in kept.since(4)] == [5]


# Threads.


class Dawdling(Chronicle):
    """Writes the first version of each pair late: whoever lets go of a row before it is told is told out of order."""

    def __init__(self):
        super().__init__()
        self._pauses = deque((0.03, 0) * 20)

    def record(self, system, who, changes):
        if changes and changes[0].verb == "updated":
            time.sleep(self._pauses.popleft())
        super().record(system, who, changes)


def _school_write(name):
    return "POST", "/api/clients/39558/", CLIENT | {"first_name": name}


def _crm_write(name):
    return "POST", f"{CRM}/crm.contact.update", {"id": 2, "fields": {"NAME": name}}


@pytest.mark.parametrize(
    ("system", "entity", "write"),
    [("otmechalka", "clients", _school_write), ("bitrix24", "contacts", _crm_write)],
)
def test_two_clients_of_one_row_are_told_in_the_order_of_their_commits(system, entity, write):
    world = World(chronicle=Dawdling())
    with Sandbox(world, Admin(world).handle, {}) as sandbox:
        host = sandbox.addresses()[system].split("/")[2]
        _send(sandbox.addresses()["admin"].split("/")[2], "POST", "/bitrix24/contacts", {"ID": 2})
        _send(sandbox.addresses()["otmechalka"].split("/")[2], "POST", "/api/clients/", CLIENT)
        for turn in range(5):
            threads = [
                threading.Thread(target=_send, args=(host, *write(f"{thread} {turn}"))) for thread in ("Аня", "Боря")
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            (row,) = world.systems[system].rows(entity)
            versions = world.chronicle.since(0, system=system)
            assert (versions[-1].state, len(versions)) == (row, 3 + 2 * turn)
    assert [version.seq for version in world.chronicle.since(0)] == list(range(1, 13))


def _send(host, http_method, path, body):
    line = http.client.HTTPConnection(host, timeout=5)
    line.request(http_method, path, json.dumps(body), TOKEN)
    response = line.getresponse()
    assert (response.status, response.read()[:0]) == (200, b"")
    line.close()
