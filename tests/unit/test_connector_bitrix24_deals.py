"""Deals of Bitrix24 with what their list does not show: product rows and the name of the person in charge."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import fakeredis
import pytest
import responses
import time_machine

from connectors.base import Note, Secret, Window
from connectors.bitrix24 import Bitrix24
from connectors.bitrix24_config import Bitrix24Config
from connectors.bitrix24_enrich import MOST_REMEMBERED, READINGS, Name, Names
from connectors.coalesce import Coalescer
from connectors.errors import ConnectorError, Refused, Throttled, Transient

URL = "https://portal.example/rest/1/s3cr3t"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TIMES = {"finish": NOW.timestamp(), "date_start": "2026-03-01T15:00:00+03:00"}
WINDOW = Window(datetime(2026, 2, 1, tzinfo=UTC))
ROWS, SELLER = "PRODUCT_ROWS", "ASSIGNED_BY"
BOTH = (ROWS, SELLER)
STATUS = "UF_CRM_SYNC_STATUS"
NOT_FOUND = {"error": "", "error_description": "Not found"}
ANDREY, OLGA = {"NAME": "Андрей", "LAST_NAME": "Сергеев"}, {"NAME": "Ольга", "LAST_NAME": "Ферзева"}


def values(given, prefix):
    return [value for name, (value,) in given.items() if name.startswith(prefix)]


class DealPortal:
    """A portal with deals, product rows and users, which ignores every filter but those on ID.

    `spoil` maps a command, as "method id", to an error or to None, which leaves it out of the answer; `before` maps it
    to what happens just before it is executed.
    """

    def __init__(self, mock):
        self.deals, self.users = {}, {"12": ANDREY, "18": OLGA}
        self.prices, self.spoil, self.before, self.times, self.calls, self.batches = {}, {}, {}, {}, [], []
        self.during_batch = lambda: None
        for method in ("crm.deal.list", "batch"):
            mock.add_callback("POST", f"{URL}/{method}", self.answer)

    def add(self, *ids, seller="12", **fields):
        for id_ in ids:
            dates = dict.fromkeys(("DATE_MODIFY", "DATE_CREATE"), "2026-02-02T10:00:00+03:00")
            self.deals[int(id_)] = {"ID": str(id_), STATUS: "", "ASSIGNED_BY_ID": seller, **dates, **fields}

    def answer(self, request):
        method, params = request.url.rpartition("/")[2], json.loads(request.body)
        self.calls.append((method, params))
        result = self.page(params) if method == "crm.deal.list" else self.batch(params["cmd"])
        return 200, {}, json.dumps({"result": result, "time": TIMES})

    def page(self, params):
        wanted = params["filter"]
        ids = [id_ for id_ in sorted(self.deals) if id_ > wanted.get(">ID", 0)]
        ids = [id_ for id_ in ids if id_ in wanted.get("@ID", [id_])]
        return self.listed(ids, params["select"])

    def listed(self, ids, select):
        return [{code: value for code, value in self.deals[id_].items() if code in select} for id_ in ids[:50]]

    def batch(self, cmd):
        self.batches.append(sorted(urlsplit(command).path for command in cmd.values()))
        self.during_batch()
        done, failed = {}, {}
        for key, command in cmd.items():
            method, given = urlsplit(command).path, parse_qs(urlsplit(command).query)
            id_ = given["id"][0] if "id" in given else ""
            name = f"{method} {id_}".strip()
            self.before.get(name, lambda: None)()
            outcome = self.spoil.get(name, self.run(method, id_, given))
            if outcome is not None:
                (failed if isinstance(outcome, dict) and "error" in outcome else done)[key] = outcome
        times = {key: self.times[urlsplit(cmd[key]).path] for key in done if urlsplit(cmd[key]).path in self.times}
        return {"result": done or [], "result_error": failed or [], "result_time": times or []}

    def run(self, method, id_, given):
        if method == "user.get":
            asked = values(given, "FILTER[@ID]")
            return [{"ID": user, **self.users[user], "EMAIL": None} for user in asked if user in self.users]
        if method == "crm.deal.list":
            wanted = {int(value) for value in values(given, "filter[@ID]")}
            return self.listed(sorted(wanted & self.deals.keys()), values(given, "select["))
        if int(id_) not in self.deals:
            return NOT_FOUND
        price = self.prices.get(id_, 8700)
        return True if method == "crm.deal.update" else [{"ID": "9", "OWNER_ID": id_, "PRICE": price}]

    def made(self, method):
        return [params for made, params in self.calls if made == method]


@pytest.fixture
def portal():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield DealPortal(mock)


@pytest.fixture
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def deals(clock):
    config = Bitrix24Config(webhook_url=Secret(URL), requests_per_second=1000.0, burst=1000)
    redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    return Bitrix24(config, redis, sleep=clock.shift, clock=lambda: datetime.now(UTC).timestamp()).source("deals")


def ids(page):
    return [row.id for row in page.rows]


def pages_of(source, fields=BOTH, **window):
    pages = []
    while not pages or not pages[-1].last:
        after = pages[-1].last_id if pages else None
        pages.append(source.page(Window(WINDOW.modified_since, after_id=after, **window), fields))
    return pages


def test_a_page_of_deals_brings_their_rows_and_sellers(portal, deals):
    portal.add(7, seller="12")
    portal.add(8, seller=18)
    page = deals.page(WINDOW, ["CONTACT_ID", STATUS, *BOTH])
    assert [row.fields[SELLER] for row in page.rows] == [ANDREY, OLGA]
    assert [row.fields[ROWS] for row in page.rows] == [[{"ID": "9", "OWNER_ID": id_, "PRICE": 8700}] for id_ in "78"]
    assert (page.last, page.last_id) == (True, "8")
    (listed,), (batch,) = portal.made("crm.deal.list"), portal.made("batch")
    assert listed["select"] == ["ID", "DATE_MODIFY", "DATE_CREATE", "CONTACT_ID", STATUS, "ASSIGNED_BY_ID"]
    assert batch["halt"] == 0
    assert not any(key.isdecimal() for key in batch["cmd"])
    assert page.rows == deals.read(["7", "8"], ["CONTACT_ID", STATUS, *BOTH], {})


def test_all_that_was_read_of_a_page_is_witnessed_by_the_same_list_at_last(portal, deals):
    portal.add(7, 8, STAGE_ID="WON")
    deals.page(Window(WINDOW.modified_since, conditions={"STAGE_ID": ("WON",)}), [STATUS, *BOTH])
    (listed,), (batch,) = portal.made("crm.deal.list"), portal.made("batch")
    witness = urlsplit(list(batch["cmd"].values())[-1])
    given = parse_qs(witness.query)
    assert witness.path == "crm.deal.list"
    assert values(given, "select[") == listed["select"]
    assert values(given, "filter[") == ["7", "8"]
    assert (given["order[ID]"], given["start"]) == (["ASC"], ["-1"])


def test_what_is_not_asked_for_costs_nothing(portal, deals):
    portal.add(7)
    assert ROWS not in deals.page(WINDOW, [STATUS]).rows[0].fields
    assert portal.batches == []
    deals.page(WINDOW, [SELLER])
    deals.page(WINDOW, [ROWS])
    assert portal.batches == [["crm.deal.list", "user.get"], ["crm.deal.list", "crm.deal.productrows.get"]]


def test_a_thousand_deals_cost_no_more_than_forty_two_calls(portal, deals):
    portal.users |= {str(user): ANDREY for user in range(100, 110)}
    for number in range(1, 1001):
        portal.add(number, seller=str(100 + number % 10))
    pages = pages_of(deals)
    assert sum(len(page.rows) for page in pages) == 1000
    assert all(row.fields[SELLER] == ANDREY and row.fields[ROWS] for page in pages for row in page.rows)
    assert len(portal.made("crm.deal.list")) == len(portal.batches) == 21
    assert max(map(len, portal.batches)) == 50


@pytest.mark.parametrize(
    ("count", "fields", "sizes"),
    [
        (48, BOTH, [48]),
        (49, BOTH, [48, 1]),
        (50, BOTH, [48, 2]),
        (98, BOTH, [48, 48, 2]),
        (49, [STATUS], [49]),
        (51, [STATUS], [50, 1]),
    ],
    ids=str,
)
def test_a_page_holds_what_one_batch_completes(portal, deals, count, fields, sizes):
    for number in range(1, count + 1):
        portal.add(number, seller=str(100 + number))
    pages = pages_of(deals, fields)
    assert [len(page.rows) for page in pages] == sizes
    assert [id_ for page in pages for id_ in ids(page)] == [str(number) for number in range(1, count + 1)]
    assert len(portal.batches) == (len(pages) if fields is BOTH else 0)


def test_single_deals_are_completed_too(portal, deals):
    portal.add(7, 9)
    (found,) = deals.read(["7", "8"], BOTH, {})
    assert (found.id, found.fields[SELLER], len(found.fields[ROWS])) == ("7", ANDREY, 1)
    assert deals.read(["8"], BOTH, {}) == ()
    assert len(portal.batches) == 1


def test_deals_that_fail_a_condition_are_not_completed(portal, deals):
    portal.add(1, 3, STAGE_ID="WON")
    portal.add(2, STAGE_ID="C1:NEW")
    page = deals.page(Window(WINDOW.modified_since, conditions={"STAGE_ID": ("WON", "C1:WON")}), [ROWS])
    assert ids(page) == ["1", "3"]
    assert portal.batches == [["crm.deal.list", *["crm.deal.productrows.get"] * 2]]


# Deals that go while they are read.


def test_a_deal_deleted_meanwhile_is_left_out_and_the_cursor_passes_it(portal, deals):
    portal.add(*range(1, 61))
    portal.spoil = {f"crm.deal.productrows.get {id_}": NOT_FOUND for id_ in (3, 48)}
    first, second = pages_of(deals)
    assert ids(first) == [str(id_) for id_ in range(1, 48) if id_ != 3]
    assert (first.last, first.last_id) == (False, "48")
    assert ids(second) == [str(id_) for id_ in range(49, 61)]
    portal.deals.pop(60)
    assert deals.read(["3", "60", "59"], [ROWS], {})[0].id == "59"


def test_a_page_whose_deals_all_went_goes_on_to_the_next(portal, deals):
    portal.add(*range(1, 50))
    portal.spoil = {f"crm.deal.productrows.get {id_}": NOT_FOUND for id_ in range(1, 49)}
    page = deals.page(WINDOW, BOTH)
    assert (ids(page), page.last, page.last_id) == (["49"], True, "49")


def test_a_deal_deleted_after_its_rows_were_read_is_left_out(portal, deals):
    portal.add(7, 8)
    portal.before = {"crm.deal.list": lambda: portal.deals.pop(8, None)}
    page = deals.page(WINDOW, BOTH)
    assert (ids(page), page.last, page.last_id) == (["7"], True, "8")
    assert len(portal.batches) == 1


def test_a_last_page_may_be_empty(portal, deals):
    portal.add(7)
    portal.spoil = {"crm.deal.productrows.get 7": NOT_FOUND}
    page = deals.page(WINDOW, BOTH)
    assert (page.rows, page.last, page.last_id) == ((), True, "7")


# Deals that change while they are read.


def moments(portal, id_, *, ends=99, **fields):
    """Changes the deal, its rows and its seller each time that it is called, until it was called `ends` times."""
    count = iter(range(1, ends + 1))

    def change():
        if number := next(count, None):
            portal.add(id_, seller="18", **{STATUS: f"v{number}", **fields})
            portal.deals[id_]["DATE_MODIFY"] = f"2026-03-01T15:00:{number:02}+03:00"
            portal.prices[str(id_)] = 8700 + number

    return change


@pytest.mark.parametrize("command", ["crm.deal.productrows.get 7", "user.get", "crm.deal.list"])
@pytest.mark.parametrize("ends", [1, 2])
def test_a_deal_that_changes_while_it_is_read_comes_as_it_is_after_the_change(portal, deals, command, ends):
    portal.add(6, 7, 8)
    portal.before = {command: moments(portal, 7, ends=ends)}
    page = deals.page(WINDOW, [STATUS, *BOTH])
    assert ids(page) == ["6", "7", "8"]
    seen = [(row.fields[STATUS], row.fields[ROWS][0]["PRICE"], row.fields[SELLER]) for row in page.rows]
    assert seen == [("", 8700, ANDREY), (f"v{ends}", 8700 + ends, OLGA), ("", 8700, ANDREY)]
    assert page.rows[1].modified == datetime(2026, 3, 1, 12, 0, ends, tzinfo=UTC)
    assert [batch.count("crm.deal.productrows.get") for batch in portal.batches] == [3] + [1] * ends


def test_a_single_deal_that_changes_while_it_is_read_is_read_again_too(portal, deals):
    portal.add(7)
    portal.before = {"crm.deal.productrows.get 7": moments(portal, 7, ends=1)}
    (row,) = deals.read(["7"], [STATUS, *BOTH], {})
    assert (row.fields[STATUS], row.fields[ROWS][0]["PRICE"], row.fields[SELLER]) == ("v1", 8701, OLGA)


def test_a_deal_that_does_not_stop_changing_is_left_to_a_later_poll(portal, deals):
    portal.add(7, 8)
    portal.before = {"crm.deal.productrows.get 8": moments(portal, 8)}
    page = deals.page(WINDOW, [STATUS, *BOTH])
    assert (ids(page), page.last, page.last_id) == (["7"], True, "8")
    assert [batch.count("crm.deal.productrows.get") for batch in portal.batches] == [2] + [1] * (READINGS - 1)
    portal.before = {}
    later = deals.page(Window(page.server_time), [STATUS, *BOTH]).rows[-1]
    assert later.modified > page.server_time, "the next poll asks for it"
    assert (later.id, later.fields[STATUS], later.fields[ROWS][0]["PRICE"]) == ("8", "v3", 8703)


def test_a_page_whose_deals_do_not_stop_changing_goes_on_to_the_next(portal, deals):
    portal.add(*range(1, 50))
    portal.before = {f"crm.deal.productrows.get {id_}": moments(portal, id_) for id_ in range(1, 49)}
    page = deals.page(WINDOW, [STATUS, *BOTH])
    assert (ids(page), page.last, page.last_id) == (["49"], True, "49")


def test_a_deal_that_fails_a_condition_when_it_is_read_again_is_left_out(portal, deals):
    portal.add(7, 8, STAGE_ID="WON")
    portal.before = {"crm.deal.productrows.get 7": moments(portal, 7, ends=1, STAGE_ID="C1:NEW")}
    page = deals.page(Window(WINDOW.modified_since, conditions={"STAGE_ID": ("WON",)}), BOTH)
    assert (ids(page), page.last_id) == (["8"], "8")
    portal.add(7, STAGE_ID="WON")
    portal.before = {"crm.deal.productrows.get 7": moments(portal, 7, ends=1, STAGE_ID="C1:NEW")}
    assert deals.read(["7"], BOTH, {"STAGE_ID": ("WON",)}) == ()


def test_a_deal_deleted_while_it_is_read_again_is_left_out(portal, deals):
    portal.add(7, 8)
    change = moments(portal, 7, ends=1)
    portal.before = {"crm.deal.list": lambda: portal.deals.pop(7, None) if len(portal.batches) == 2 else change()}
    assert ids(deals.page(WINDOW, BOTH)) == ["8"]
    assert len(portal.batches) == 2


def test_a_change_of_what_nobody_asked_for_costs_no_second_reading(portal, deals):
    portal.add(7, TITLE="old")
    portal.before = {"crm.deal.list": lambda: portal.deals[7].update(TITLE="new")}
    assert ids(deals.page(WINDOW, BOTH)) == ["7"]
    assert len(portal.batches) == 1


# Answers that end the page.

STRANGER = {"ID": "9", **dict.fromkeys(("DATE_MODIFY", "DATE_CREATE"), "2026-02-02T10:00:00+03:00")}

SPOILT = [
    ("crm.deal.productrows.get 7", None, Transient),
    ("user.get", None, Transient),
    ("crm.deal.productrows.get 7", {"error": "INTERNAL_SERVER_ERROR"}, Transient),
    ("crm.deal.productrows.get 7", {"error": "OPERATION_TIME_LIMIT"}, Throttled),
    ("crm.deal.productrows.get 7", {"error": "QUERY_LIMIT_EXCEEDED"}, Throttled),
    (
        "crm.deal.productrows.get 7",
        {"error": "ERROR_METHOD_NOT_FOUND", "error_description": "Method not found!"},
        Refused,
    ),
    ("crm.deal.productrows.get 7", {"error": "", "error_description": "Access denied."}, Refused),
    ("crm.deal.productrows.get 7", {"error": "SOMETHING_NEW"}, Refused),
    ("crm.deal.productrows.get 7", True, Transient),
    ("crm.deal.productrows.get 7", ["row"], Transient),
    ("user.get", {"error": "insufficient_scope", "error_description": ""}, Refused),
    ("user.get", "12", Transient),
    ("user.get", [{"ID": "12"}, {"ID": "14"}], Transient),
    ("crm.deal.list", None, Transient),
    ("crm.deal.list", {"error": "INTERNAL_SERVER_ERROR"}, Transient),
    ("crm.deal.list", {"error": "OPERATION_TIME_LIMIT"}, Throttled),
    ("crm.deal.list", {"error": "", "error_description": "Access denied."}, Refused),
    ("crm.deal.list", True, Transient),
    ("crm.deal.list", ["row"], Transient),
    ("crm.deal.list", [{"ID": "7"}], Transient),
    ("crm.deal.list", [STRANGER], Transient),
]


@pytest.mark.parametrize(("command", "outcome", "meaning"), SPOILT, ids=str)
def test_a_command_that_brings_nothing_usable_ends_the_page(portal, deals, command, outcome, meaning):
    portal.add(7, 8)
    portal.spoil = {command: outcome}
    with pytest.raises(ConnectorError) as caught:
        deals.page(WINDOW, BOTH)
    assert type(caught.value) is meaning
    with pytest.raises(ConnectorError):
        deals.read(["7"], BOTH, {})


def test_rows_may_come_as_php_maps_and_lists(portal, deals):
    portal.add(7, 8)
    portal.spoil = {
        "crm.deal.productrows.get 7": [],
        "crm.deal.productrows.get 8": {"1": {"ID": "9"}, "3": {"ID": "4"}},
    }
    rows = deals.page(WINDOW, [ROWS]).rows
    assert [row.fields[ROWS] for row in rows] == [[], [{"ID": "9"}, {"ID": "4"}]]


def test_a_command_that_is_in_no_section_was_not_executed(portal, deals):
    portal.add(7)
    portal.spoil = {"crm.deal.productrows.get 7": None}
    with pytest.raises(Transient, match="a command was not executed"):
        deals.page(WINDOW, [ROWS])


BUSY = TIMES | {"operating": 440, "operating_reset_at": NOW.timestamp() + 90}
LEARNT = {
    "it says how long it ran": ({"times": {"crm.deal.productrows.get": BUSY}}, 90),
    "it is refused": ({"spoil": {"crm.deal.productrows.get 7": {"error": "OPERATION_TIME_LIMIT"}}}, 60),
}


@pytest.mark.parametrize(("learnt", "wait"), LEARNT.values(), ids=LEARNT)
def test_a_method_that_ran_too_long_is_left_alone_and_the_others_still_leave(portal, deals, learnt, wait):
    portal.add(7)
    vars(portal).update(learnt)
    with suppress(Throttled):
        deals.page(WINDOW, [ROWS])
    with pytest.raises(Throttled) as caught:
        deals.page(WINDOW, BOTH)
    assert caught.value.wait == pytest.approx(wait, abs=1)
    assert len(portal.batches) == 1, "nothing leaves for a page that must wait"
    assert deals.page(WINDOW, [SELLER]).rows[0].fields[SELLER] == ANDREY
    assert deals.write_notes(STATUS, [Note("7", "Успешно")]) == [None]
    first, second, third = portal.batches
    assert (first, second) == (["crm.deal.list", "crm.deal.productrows.get"], ["crm.deal.list", "user.get"])
    assert third == ["crm.deal.update"]


# Sellers.


def test_a_seller_is_asked_for_once_an_hour(portal, deals, clock):
    portal.add(7)
    for _ in range(3):
        deals.page(WINDOW, [SELLER])
    clock.shift(3599)
    assert deals.read(["7"], [SELLER], {})[0].fields[SELLER] == ANDREY
    assert len(portal.batches) == 1
    portal.users["12"] = OLGA
    clock.shift(1)
    assert deals.page(WINDOW, [SELLER]).rows[0].fields[SELLER] == OLGA
    assert len(portal.batches) == 2


def test_a_seller_whom_nobody_may_see_is_null_and_asked_for_again_soon(portal, deals, clock):
    portal.add(7, seller="30")
    assert [deals.page(WINDOW, [SELLER]).rows[0].fields[SELLER] for _ in range(2)] == [None, None]
    assert len(portal.batches) == 1
    portal.users["30"] = {"NAME": "Система", "LAST_NAME": None}
    clock.shift(300)
    assert deals.page(WINDOW, [SELLER]).rows[0].fields[SELLER] == {"NAME": "Система", "LAST_NAME": ""}


@pytest.mark.parametrize("nobody", [None, "", "0", 0, False, [], "somebody"])
def test_a_deal_that_is_nobodys_has_no_seller(portal, deals, nobody):
    portal.add(7, seller=nobody)
    assert deals.page(WINDOW, [SELLER]).rows[0].fields[SELLER] is None
    assert portal.batches == []


def test_what_one_caller_does_to_a_name_reaches_no_other(portal, deals):
    portal.add(7)
    deals.page(WINDOW, [SELLER]).rows[0].fields[SELLER].clear()
    assert deals.page(WINDOW, [SELLER]).rows[0].fields[SELLER] == ANDREY


def test_names_are_bounded_and_the_oldest_go_first():
    names = Names(lambda: 0.0)
    name = Name("Андрей", "Сергеев")
    names.remember({"first": name, "second": name})
    names.remember({"first": name} | {str(number): name for number in range(MOST_REMEMBERED - 1)})
    assert names.known(["first", "second", "0"]).keys() == {"first", "0"}
    assert len(names._held) == MOST_REMEMBERED


def test_names_are_safe_for_many_threads():
    names = Names(lambda: 0.0)

    def work(number):
        for user in range(number, number + 2000):
            names.remember({str(user): None})
            names.known([str(user), "1"])

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(0, 64_000, 1000)))
    assert len(names._held) <= MOST_REMEMBERED


# Company.


def test_the_commands_of_several_callers_leave_together(portal, deals):
    portal.add(*range(1, 21))
    gate, begun = threading.Event(), threading.Semaphore(0)
    portal.during_batch = lambda: (begun.release(), gate.wait(20))
    with ThreadPoolExecutor(20) as pool:
        first = pool.submit(deals.read, ["1"], BOTH, {})
        begun.acquire()
        others = [pool.submit(deals.read, [str(id_)], [ROWS], {}) for id_ in range(2, 20)]
        note = pool.submit(deals.write_notes, STATUS, [Note("20", "Успешно")])
        commands: Coalescer = deals._batches._commands
        while len(commands._queue) < 18 * 2 + 1:
            threading.Event().wait(0.001)
        gate.set()
        assert [future.result(20)[0].id for future in [first, *others]] == [str(id_) for id_ in range(1, 20)]
        assert note.result(20) == [None]
    assert [len(batch) for batch in portal.batches] == [3, 18 * 2 + 1]


def test_notes_on_deals_are_updates_of_deals(portal, deals):
    portal.add(7)
    first, gone = deals.write_notes(STATUS, [Note("7", "Успешно"), Note("8", "x")])
    assert first is None
    assert gone.told == "Битрикс24 не принял: запись не найдена, возможно, её удалили"
    ((_, sent),) = portal.calls
    assert parse_qs(urlsplit(sent["cmd"]["c0"]).query) == {"id": ["7"], f"fields[{STATUS}]": ["Успешно"]}
