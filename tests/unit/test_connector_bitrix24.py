"""Bitrix24 as a source: what is asked, what is believed, and what each error of the vendor means."""

import json
import logging
import traceback
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import fakeredis
import pytest
import responses
import time_machine

from connectors.base import FieldNeed, Health, Note, Secret, Window
from connectors.bitrix24 import Bitrix24
from connectors.bitrix24_config import Bitrix24Config
from connectors.bitrix24_portal import Gone
from connectors.errors import ConnectorError, Refused, Rejected, Throttled, Transient

SECRET = "s3cr3ts3cr3t"
URL = f"https://portal.example/rest/1/{SECRET}"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TIMES = {"start": NOW.timestamp(), "finish": NOW.timestamp(), "date_start": "2026-03-01T15:00:00+03:00"}
SINCE = datetime.fromisoformat("2026-02-28T10:00:00.999+05:00")
WINDOW = Window(SINCE)
UF = "UF_CRM_NAME"


class FakePortal:
    """Answers each method from a list of answers, the last one for ever; keeps what it was asked."""

    def __init__(self, mock):
        self.mock, self.asked = mock, []

    def answers(self, method, *answers):
        left = list(answers)

        def answer(request):
            self.asked.append((method, json.loads(request.body)))
            status, body, headers = left.pop(0) if len(left) > 1 else left[0]
            return status, headers, body if isinstance(body, str) else json.dumps(body)

        self.mock.add_callback("POST", f"{URL}/{method}", answer)

    def lists(self, *pages):
        self.answers("crm.contact.list", *(ok(rows) for rows in pages))

    def params(self, method):
        return [params for asked, params in self.asked if asked == method]


def ok(result, **times):
    return 200, {"result": result, "time": TIMES | times}, {}


def error(status, code, text="", **headers):
    return status, {"error": code, "error_description": text}, headers


def page_of(status, body, **headers):
    return status, body, {"Content-Type": "text/html"} | headers


def row(id_, **fields):
    shown = {"ID": str(id_), "DATE_MODIFY": "2026-03-01T10:00:00+03:00", "DATE_CREATE": "2026-02-28T10:00:00+03:00"}
    return shown | {UF: ""} | fields


@pytest.fixture
def portal():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield FakePortal(mock)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def connector(clock):
    config = Bitrix24Config(webhook_url=Secret(URL), requests_per_second=1000.0, burst=1000)
    return Bitrix24(config, fakeredis.FakeRedis(server=fakeredis.FakeServer()), sleep=clock.shift)


@pytest.fixture
def contacts(connector):
    return connector.source("contacts")


# What an answer means.

MEANINGS = [
    (error(503, "QUERY_LIMIT_EXCEEDED", "Too many requests"), Throttled),
    (error(429, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit."), Throttled),
    (page_of(429, "<html>"), Throttled),
    (error(503, "OVERLOAD_LIMIT"), Refused),
    (error(500, "INTERNAL_SERVER_ERROR"), Transient),
    (error(200, "INTERNAL_SERVER_ERROR"), Transient),
    (error(500, "ERROR_UNEXPECTED_ANSWER"), Transient),
    (error(500, "PORTAL_DELETED"), Refused),
    (error(410, "PORTAL_DELETED"), Refused),
    (error(401, "NO_AUTH_FOUND", "Wrong authorization data"), Refused),
    (error(401, "INVALID_CREDENTIALS"), Refused),
    (error(403, "INVALID_CREDENTIALS"), Refused),
    (error(401, "insufficient_scope"), Refused),
    (error(403, "insufficient_scope"), Refused),
    (error(200, "insufficient_scope"), Refused),
    (error(401, "authorization_error"), Refused),
    (error(401, "expired_token"), Refused),
    (error(403, "ACCESS_DENIED", "REST API is available only on commercial plans"), Refused),
    (error(404, "ERROR_METHOD_NOT_FOUND", "Method not found!"), Refused),
    (error(400, "ERROR_METHOD_NOT_FOUND"), Refused),
    (error(400, "INVALID_REQUEST", "Https required"), Refused),
    (error(400, "", "Access denied."), Refused),
    (error(400, "", "Not found"), Refused),
    (error(400, "", "Parameter 'order' must be array."), Refused),
    (error(400, "", "Disk resource exhausted"), Refused),
    (error(400, "", "Failed to get list. General error."), Transient),
    (error(400, "SOMETHING_NEW"), Refused),
    (error(200, "SOMETHING_NEW"), Transient),
    (error(400, {"code": "BITRIX_REST_V3_EXCEPTION"}), Refused),
    (error(400, 100), Refused),
    (page_of(401, "<html>"), Refused),
    (page_of(403, "<html>"), Refused),
    (page_of(404, "<html>"), Refused),
    (page_of(408, "<html>"), Transient),
    (page_of(500, "<html>"), Transient),
    (page_of(502, "<html>"), Transient),
    (page_of(503, "<html>"), Transient),
    (page_of(504, ""), Transient),
    (page_of(200, "<html>"), Transient),
    (page_of(200, ""), Transient),
    (page_of(200, '{"result": ['), Transient),
    (page_of(200, "[]"), Transient),
    (page_of(200, "null"), Transient),
    (page_of(200, '{"time": {}}'), Transient),
]


@pytest.mark.parametrize(("answer", "meaning"), MEANINGS, ids=[str(answer[:2]) for answer, _ in MEANINGS])
def test_every_answer_that_is_no_result_has_its_meaning(portal, connector, answer, meaning):
    portal.answers("profile", answer)
    with pytest.raises(ConnectorError) as caught:
        connector.probe()
    assert type(caught.value) is meaning
    assert str(caught.value).startswith("Bitrix24 portal.example profile: ")
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert len(portal.asked) == (3 if meaning is Transient else 1)


def test_nothing_of_the_vendors_own_words_is_shown(portal, connector):
    portal.answers(
        "profile", error(400, "Ivan Petrov said no", "Ivan Petrov, +7 926 123-45-67 contains an invalid address")
    )
    with pytest.raises(Refused) as caught:
        connector.probe()
    assert str(caught.value) == "Bitrix24 portal.example profile: invalid address (HTTP 400)"


def test_a_portal_that_moved_is_named_by_its_host_alone(portal, connector):
    portal.answers("profile", page_of(302, "", Location=f"https://new.example/rest/1/{SECRET}/profile"))
    with pytest.raises(Refused, match=r"moved to new\.example: change webhook_url") as caught:
        connector.probe()
    assert SECRET not in str(caught.value)


def test_a_refusal_for_the_rate_silences_the_whole_account(portal, connector, contacts):
    portal.answers("profile", error(503, "QUERY_LIMIT_EXCEEDED"), error(429, "", **{"Retry-After": "30"}))
    portal.lists([])
    with pytest.raises(Throttled) as caught:
        connector.probe()
    assert caught.value.wait == 5
    assert connector.headroom() == 1
    with pytest.raises(Throttled):
        connector.probe()
    assert datetime.now(UTC) - NOW >= timedelta(seconds=5), "it waited before it asked again"
    with pytest.raises(Throttled) as caught:
        contacts.page(WINDOW, [])
    assert caught.value.wait == pytest.approx(30, abs=0.1)
    assert len(portal.asked) == 2


def test_a_method_that_ran_too_long_is_left_alone_and_no_other(portal, connector, contacts, clock):
    portal.lists([])
    portal.answers("profile", error(429, "OPERATION_TIME_LIMIT"), ok({}))
    for _ in range(2):
        with pytest.raises(Throttled) as caught:
            connector.probe()
        assert caught.value.wait == 60
    assert contacts.page(WINDOW, []).last
    assert len(portal.params("profile")) == 1
    clock.shift(60)
    connector.probe()


def test_a_method_that_is_about_to_run_too_long_is_paused_by_ourselves(portal, connector):
    busy = {"operating": 440.0, "operating_reset_at": NOW.timestamp() + 90}
    portal.answers("profile", ok({}, **busy))
    connector.probe()
    with pytest.raises(Throttled) as caught:
        connector.probe()
    assert caught.value.wait == pytest.approx(90, abs=1)


@pytest.mark.parametrize("nested", [0, 440.0])
def test_a_batch_counts_its_own_running_time_and_that_of_its_commands(portal, contacts, nested):
    times = {"operating": nested, "operating_reset_at": NOW.timestamp() + 90, "finish": NOW.timestamp()}
    outer = times | {"operating": 440.0 - nested}
    portal.answers("batch", ok({"result": {"c0": True}, "result_error": [], "result_time": {"c0": times}}, **outer))
    assert contacts.write_notes(UF, [Note("1", "a")]) == [None]
    (held,) = contacts.write_notes(UF, [Note("1", "b")])
    assert type(held) is Throttled
    assert held.wait == pytest.approx(90, abs=1)
    assert len(portal.asked) == 1


def test_a_running_time_without_its_reset_is_waited_for_as_long_as_one_basket(portal, connector):
    portal.answers("profile", ok({}, operating=440.0))
    connector.probe()
    with pytest.raises(Throttled) as caught:
        connector.probe()
    assert caught.value.wait == pytest.approx(60, abs=1)


def test_a_pause_is_shared_by_all_workers_of_a_webhook_and_by_no_other_webhook(portal, clock):
    redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())

    def connect(url, **changes):
        config = Bitrix24Config(webhook_url=Secret(url), requests_per_second=1000.0, burst=1000, **changes)
        return Bitrix24(config, redis, sleep=clock.shift)

    portal.answers("profile", ok({}, operating=440.0, operating_reset_at=NOW.timestamp() + 90), ok({}))
    other = "https://portal.example/rest/1/another0another0"
    portal.mock.add("POST", f"{other}/profile", json=ok({})[1])
    connect(URL).probe()
    for worker in (connect(URL + "/"), connect(URL.replace("portal", "PORTAL")), connect(URL, egress="office")):
        with pytest.raises(Throttled):
            worker.probe()
    connect(other).probe()
    assert len(portal.asked) == 1
    assert SECRET not in " ".join(key.decode() for key in redis.scan_iter())


def test_workers_share_one_budget_per_portal_and_egress_whatever_their_webhook(clock):
    redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    for url in (URL, "https://PORTAL.example/rest/7/another0another0/"):
        Bitrix24(Bitrix24Config(webhook_url=Secret(url)), redis, sleep=clock.shift).health()
    assert list(redis.scan_iter("parom:budget:*")) == [b"parom:budget:{bitrix24:portal.example}:0"]


def test_health_tells_of_the_budget_without_asking_the_portal(portal, connector, clock):
    portal.answers("profile", error(503, "QUERY_LIMIT_EXCEEDED"))
    connector.health()
    clock.shift(100)
    assert connector.health() == Health("closed", 0.0, 0.0)
    with suppress(Throttled):
        connector.probe()
    throttled = connector.health()
    assert (throttled.breaker, round(throttled.seconds)) == ("closed", 5)
    assert throttled.budget_used > 1
    assert len(portal.asked) == 1


def test_the_secret_stays_out_of_logs_and_representations(portal, connector, caplog):
    caplog.set_level(logging.DEBUG)
    portal.answers("profile", error(401, "NO_AUTH_FOUND"))
    with suppress(Refused):
        connector.probe()
    config = Bitrix24Config(webhook_url=Secret(URL))
    assert SECRET not in caplog.text + repr(config) + config.account + config.host


# Pages.


def test_a_page_asks_with_offsets_by_ascending_id_and_without_a_count(portal, contacts):
    portal.lists([row(7, PHONE=[{"VALUE": "1"}])])
    created = datetime.fromisoformat("2020-12-22T00:00:00+03:00")
    page = contacts.page(Window(SINCE, created_since=created, after_id="5"), ["ID", UF, "PHONE"])
    assert portal.asked == [
        (
            "crm.contact.list",
            {
                "filter": {
                    ">=DATE_MODIFY": "2026-02-28T10:00:00+05:00",
                    ">=DATE_CREATE": "2020-12-22T00:00:00+03:00",
                    ">ID": 5,
                },
                "order": {"ID": "ASC"},
                "start": -1,
                "select": ["ID", "DATE_MODIFY", "DATE_CREATE", UF, "PHONE"],
            },
        )
    ]
    assert page.last
    assert page.server_time == NOW
    assert page.server_time.utcoffset() == timedelta(hours=3)
    (only,) = page.rows
    assert (only.id, only.modified) == ("7", datetime(2026, 3, 1, 7, tzinfo=UTC))
    assert only.created == datetime(2026, 2, 28, 7, tzinfo=UTC)
    assert page.last_id == "7"
    assert only.fields["PHONE"] == [{"VALUE": "1"}]


def test_a_full_page_is_not_the_last(portal, contacts):
    portal.lists([row(number) for number in range(1, 51)], [])
    first = contacts.page(WINDOW, [UF])
    assert (first.last, first.last_id) == (False, "50")
    second = contacts.page(WINDOW, [UF])
    assert (second.rows, second.last, second.last_id) == ((), True, None)


def test_ids_may_be_numbers(portal, contacts):
    portal.lists([row(9) | {"ID": 9}, row(10) | {"ID": "10"}])
    assert [found.id for found in contacts.page(WINDOW, []).rows] == ["9", "10"]


def test_a_time_without_its_offset_is_a_mistake_of_ours(contacts):
    with pytest.raises(ValueError, match="offset"):
        contacts.page(Window(datetime(2026, 1, 1)), [])  # noqa: DTZ001 - the point


MALFORMED = {
    "result is no list": {"total": 0},
    "row is no object": ["1"],
    "row without ID": [{"DATE_MODIFY": "2026-03-01T10:00:00+03:00"}],
    "ID is no number": [row(1) | {"ID": "one"}],
    "ID is beyond measure": [row(1) | {"ID": "9" * 5000}],
    "ID is true": [row(1) | {"ID": True}],
    "no DATE_MODIFY": [row(1) | {"DATE_MODIFY": None}],
    "DATE_MODIFY is no time": [row(1) | {"DATE_MODIFY": "yesterday"}],
    "DATE_MODIFY without offset": [row(1) | {"DATE_MODIFY": "2026-03-01T10:00:00"}],
    "no DATE_CREATE": [row(1) | {"DATE_CREATE": ""}],
    "out of order": [row(3), row(2)],
    "twice": [row(3), row(3)],
    "not above": [row(1), row(2)],
}


@pytest.mark.parametrize("rows", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_page_that_cannot_be_believed_is_transient(portal, contacts, rows):
    portal.lists(rows)
    with pytest.raises(Transient):
        contacts.page(Window(SINCE, created_since=SINCE - timedelta(days=1), after_id="1"), [])


def test_a_page_without_the_portals_time_is_transient(portal, contacts):
    portal.answers("crm.contact.list", (200, {"result": []}, {}))
    with pytest.raises(Transient, match="time"):
        contacts.page(WINDOW, [])


def test_rows_created_earlier_are_dropped_even_if_the_portal_ignores_the_filter(portal, contacts):
    old = {"DATE_CREATE": "2020-12-21T23:59:59+03:00"}
    portal.lists([row(1, **old), row(2, DATE_CREATE="2020-12-22T00:00:00+03:00")])
    window = Window(SINCE, created_since=datetime.fromisoformat("2020-12-22T00:00:00.5+03:00"))
    assert [found.id for found in contacts.page(window, []).rows] == ["2"]


def test_a_page_that_loses_every_row_goes_on_to_the_next(portal, contacts, clock):
    old = {"DATE_CREATE": "2020-01-01T00:00:00+03:00"}
    first = ok([row(number, **old) for number in range(1, 51)])
    later = {"date_start": "2026-03-01T15:03:00+03:00"}
    portal.answers("crm.contact.list", first, ok([row(51, **old), row(52), row(53, **old)], **later))
    page = contacts.page(Window(SINCE, created_since=SINCE - timedelta(days=1)), [])
    assert [found.id for found in page.rows] == ["52"]
    assert (page.last, page.last_id) == (True, "53")
    assert page.server_time == NOW, "a row passed over may have changed since the first answer"
    assert [params["filter"][">ID"] for params in portal.params("crm.contact.list")] == [0, 50]


# Conditions.


def test_conditions_are_asked_for_and_selected(portal, contacts):
    portal.lists([row(1, TYPE_ID="CLIENT", OPENED="Y")])
    conditions = {"OPENED": ("Y",), "TYPE_ID": ("CLIENT", "PARTNER")}
    assert contacts.page(Window(SINCE, conditions=conditions), [UF, "OPENED"]).rows
    assert contacts.read(["1"], [], conditions)
    paged, single = portal.params("crm.contact.list")
    wanted = {"OPENED": "Y", "@TYPE_ID": ["CLIENT", "PARTNER"]}
    assert paged["filter"].items() >= wanted.items()
    assert single["filter"] == {"@ID": [1], **wanted}
    assert paged["select"] == ["ID", "DATE_MODIFY", "DATE_CREATE", "OPENED", "TYPE_ID", UF]


MEETING = ["7", 7, ["7"], [3, 7], "8", True]
FAILING = ["77", 9, [3], [], None, "", False]


@pytest.mark.parametrize("value", [*MEETING, *FAILING], ids=repr)
def test_a_row_that_fails_a_condition_is_dropped_even_if_the_portal_ignores_the_filter(portal, contacts, value):
    portal.lists([row(1, UF_LIST=value, OPENED="Y"), row(2, UF_LIST="7", OPENED="N"), row(3, UF_LIST=7, OPENED="Y")])
    conditions = {"UF_LIST": ("7", "8", "1"), "OPENED": ("Y",)}
    page = contacts.page(Window(SINCE, conditions=conditions), [])
    expected = ["1", "3"] if value in MEETING else ["3"]
    assert [found.id for found in page.rows] == expected
    assert [found.id for found in contacts.read(["1", "2", "3"], [], conditions)] == expected
    assert page.last_id == "3"


def test_a_condition_on_a_field_that_does_not_exist_is_refused_and_keeps_no_row_out(portal, contacts):
    portal.lists([row(1), row(2)])
    with pytest.raises(Refused, match=r"there is no field STAGEID$"):
        contacts.page(Window(SINCE, conditions={"STAGEID": ("WON",)}), [])


def test_a_condition_that_nothing_can_meet_is_a_mistake_of_ours(contacts):
    with pytest.raises(ValueError, match="STAGE_ID"):
        contacts.page(Window(SINCE, conditions={"STAGE_ID": ()}), [])


# Fields.


def test_a_custom_field_that_no_row_has_is_mistyped(portal, contacts):
    portal.lists([row(1), row(2)])
    with pytest.raises(Refused, match=r"there is no field UF_CRM_TYPO$"):
        contacts.page(WINDOW, ["PHONE", UF, "UF_CRM_TYPO"])


def test_an_empty_page_says_nothing_about_fields(portal, contacts):
    portal.lists([])
    assert contacts.page(WINDOW, ["UF_CRM_TYPO"]).rows == ()


# Single entities.


def test_entities_are_read_by_id_fifty_at_a_time(portal, contacts):
    portal.lists([row(number) for number in range(1, 50)], [row(60)])
    found = contacts.read([str(number) for number in range(60, 0, -1)] + ["gone", "60"], [UF], {})
    assert [each.id for each in found] == [*map(str, range(1, 50)), "60"]
    asked = portal.params("crm.contact.list")
    assert [params["filter"] for params in asked] == [{"@ID": list(range(1, 51))}, {"@ID": list(range(51, 61))}]
    assert contacts.read([], [UF], {}) == ()


def test_rows_that_nobody_asked_for_mean_that_the_filter_was_ignored(portal, contacts):
    portal.lists([row(1), row(2)])
    with pytest.raises(Transient, match="nobody asked for"):
        contacts.read(["2"], [], {})


# Notes.


def batch(result, errors, **more):
    return ok({"result": result, "result_error": errors, "result_total": [], "result_next": []} | more)


def test_notes_travel_in_one_batch_each_value_encoded_once(portal, contacts):
    portal.answers("batch", batch({"c0": True, "c1": True}, []))
    text = "Ошибка: «A&B» = 100% + \ud800"
    assert contacts.write_notes(UF, [Note("7", "Успешно"), Note("9", text)]) == [None, None]
    ((_, params),) = portal.asked
    assert params["halt"] == 0
    assert list(params["cmd"]) == ["c0", "c1"]
    parts = urlsplit(params["cmd"]["c1"])
    assert parts.path == "crm.contact.update"
    assert parse_qs(parts.query) == {"id": ["9"], f"fields[{UF}]": ["Ошибка: «A&B» = 100% + ?"]}
    assert " " not in params["cmd"]["c1"]


def test_more_than_fifty_notes_take_several_calls(portal, contacts):
    portal.answers("batch", *(batch({f"c{number}": True for number in range(50)}, []) for _ in range(3)))
    assert contacts.write_notes(UF, [Note(str(number), "x") for number in range(120)]) == [None] * 120
    assert [len(params["cmd"]) for params in portal.params("batch")] == [50, 50, 20]
    assert contacts.write_notes(UF, []) == []


COMMAND_ERRORS = [
    ({"error": "", "error_description": "Not found"}, Gone),
    ({"error": "ERROR_CORE", "error_description": "Element not found"}, Gone),
    ({"error": "NOT_FOUND", "error_description": ""}, Gone),
    ({"error": "", "error_description": "Method not found!"}, Refused),
    ({"error": "", "error_description": "Access denied."}, Rejected),
    ({"error": "", "error_description": "ID is not defined or invalid."}, Rejected),
    ({"error": "SOMETHING_NEW", "error_description": ""}, Rejected),
    ({"error": "insufficient_scope", "error_description": ""}, Refused),
    ({"error": "ERROR_METHOD_NOT_FOUND", "error_description": ""}, Refused),
    ({"error": "OPERATION_TIME_LIMIT", "error_description": ""}, Throttled),
    ({"error": "QUERY_LIMIT_EXCEEDED", "error_description": ""}, Throttled),
    ({"error": "INTERNAL_SERVER_ERROR", "error_description": ""}, Transient),
    ("odd", Rejected),
]


@pytest.mark.parametrize(("body", "meaning"), COMMAND_ERRORS, ids=[str(body) for body, _ in COMMAND_ERRORS])
def test_each_command_of_a_batch_has_its_own_result(portal, contacts, body, meaning):
    portal.answers("batch", batch({"c0": True, "c2": True}, {"c1": body}))
    first, second, third = contacts.write_notes(UF, [Note(id_, "x") for id_ in "123"])
    assert (first, third) == (None, None)
    assert type(second) is meaning
    if issubclass(meaning, Rejected):
        assert second.told.startswith("Битрикс24 не принял: ")


ODD_BATCHES = {
    "all executed, no sections but lists": batch([], []),
    "lists by position": batch([True, True], [{"error": "", "error_description": "Not found"}]),
    "null instead of true": batch({"c0": None, "c1": False}, []),
    "result is a list": ok([]),
    "result is null": ok(None),
    "sections are missing": ok({}),
}


@pytest.mark.parametrize("answer", ODD_BATCHES.values(), ids=ODD_BATCHES.keys())
def test_a_command_that_is_in_no_section_was_not_executed(portal, contacts, answer):
    portal.answers("batch", answer)
    results = contacts.write_notes(UF, [Note("1", "x"), Note("2", "y")])
    assert [type(result) for result in results] == [Transient, Transient]


def test_a_batch_that_fails_as_a_whole_fails_each_note_and_is_not_halved(portal, contacts):
    portal.answers("batch", error(401, "NO_AUTH_FOUND"))
    assert [type(result) for result in contacts.write_notes(UF, [Note("1", "x"), Note("2", "y")])] == [Refused] * 2
    assert len(portal.asked) == 1


# Configuration and check.


@pytest.mark.parametrize(
    "url",
    [
        *("portal.example", "https://portal.example", f"{URL}/profile.json", f"ftp://portal.example/rest/1/{SECRET}/"),
        *("https://portal.example/rest/me/secret/", "https://user:pass@portal.example/rest/1/secret/", ""),
    ],
)
def test_a_webhook_that_cannot_work_is_a_problem_named_without_its_value(url):
    ((key, problem),) = Bitrix24Config(webhook_url=Secret(url)).problems()
    assert key == "webhook_url"
    assert "must look like" in problem
    assert not url or url not in problem


def test_a_sound_configuration_has_no_problems_and_its_plan_sets_the_rate():
    standard = Bitrix24Config(webhook_url=Secret(URL + "/"))
    assert list(standard.problems()) == []
    assert (standard.rate.per_second, standard.rate.burst) == (2, 40)
    other = Bitrix24Config(webhook_url=Secret(URL), plan="enterprise", burst=10, egress="office")
    assert (other.rate.per_second, other.rate.burst) == (5, 10)
    assert (standard.account, other.account) == ("bitrix24:portal.example", "bitrix24:portal.example@office")


FIELDS = {
    UF: {"type": "string", "isReadOnly": False, "isMultiple": False},
    "UF_LIST": {"type": "enumeration", "isMultiple": True, "items": [{"ID": "404"}, {"ID": "410"}]},
    "UF_FIXED": {"type": "string", "isReadOnly": True, "isMultiple": False},
    "UF_MANY": {"type": "string", "isReadOnly": False, "isMultiple": True},
}
NEEDS = [
    (FieldNeed(UF, "Статус", ("string",), writable=True), None),
    (FieldNeed("UF_LIST", "Продукт", ("enumeration",), options=frozenset({404, 410})), None),
    (FieldNeed("UF_LIST", "Продукт", ("enumeration",), options=frozenset({404, 411, 412})), "has no option 411, 412"),
    (FieldNeed("UF_NONE", "Имя", ("string",)), "does not exist"),
    (FieldNeed(UF, "Дата", ("date", "datetime")), "is of type string, expected date or datetime"),
    (FieldNeed("UF_FIXED", "Статус", ("string",), writable=True), "cannot take a text"),
    (FieldNeed("UF_MANY", "Статус", ("string",), writable=True), "cannot take a text"),
    (FieldNeed("UF_LIST", "Статус", (), writable=True), "cannot take a text"),
]


@pytest.mark.parametrize(("need", "fault"), NEEDS)
def test_check_names_each_field_that_is_not_as_needed(portal, connector, need, fault):
    portal.answers("scope", ok(["crm", "user"]))
    portal.answers("crm.contact.fields", ok(FIELDS))
    findings = list(connector.check("contacts", [need]))
    assert [finding.level for finding in findings] == ["ok", "ok", "error" if fault else "ok"]
    assert need.code in findings[-1].text
    assert (fault or need.label) in findings[-1].text


def test_check_finds_a_missing_scope_and_a_wrong_clock(portal, connector, clock):
    portal.answers("scope", ok(["user"]))
    portal.answers("crm.contact.fields", ok([]))
    clock.shift(-61)
    findings = list(connector.check("contacts", []))
    assert [finding.level for finding in findings] == ["error", "warning"]
    assert "61 s" in findings[1].text


SYNTHETIC = [FieldNeed("PRODUCT_ROWS", "Товары", ()), FieldNeed("ASSIGNED_BY", "Ответственный", ())]


@pytest.mark.parametrize(
    ("granted", "level", "named"),
    [
        (["crm", "user"], "ok", "scope user"),
        (["user_brief", "crm"], "ok", "scope user_brief"),
        (["crm", "user_basic"], "ok", "scope user_basic"),
        (["crm"], "error", "lacks the scope user or user_basic or user_brief"),
    ],
)
def test_check_of_deals_looks_for_the_scope_of_users_and_not_for_fields_that_it_makes(
    portal, connector, granted, level, named
):
    portal.answers("scope", ok(granted))
    portal.answers("crm.deal.fields", ok(FIELDS))
    crm, user, clock, field = connector.check("deals", [*SYNTHETIC, FieldNeed(UF, "Статус", ("string",))])
    assert [crm.level, user.level, clock.level, field.level] == ["ok", level, "ok", "ok"]
    assert named in user.text
    assert UF in field.text


def test_check_asks_for_no_scope_that_nothing_needs(portal, connector):
    portal.answers("scope", ok(["crm"]))
    portal.answers("crm.deal.fields", ok(FIELDS))
    assert [finding.level for finding in connector.check("deals", SYNTHETIC[:1])] == ["ok", "ok"]


def test_check_reports_what_it_could_not_ask(portal, connector):
    portal.answers("scope", ok(["crm"]))
    portal.answers("crm.contact.fields", error(403, "insufficient_scope"))
    assert [finding.level for finding in connector.check("contacts", [])] == ["ok", "ok", "error"]


def test_entities_that_it_does_not_know_are_key_errors(connector):
    for ask in (connector.source, connector.target, lambda name: list(connector.check(name, []))):
        with pytest.raises(KeyError):
            ask("invoices")
