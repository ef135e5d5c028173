"""CoMagic as a target: what is sent, together or alone, what each answer means, and what the manager is told."""

import json
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import fakeredis
import pytest
import responses
import time_machine

from connectors.base import FieldNeed, Secret, WriteClass
from connectors.coalesce import Coalescer
from connectors.comagic import CoMagic
from connectors.comagic_answer import Duplicate, NotFound
from connectors.comagic_config import CoMagicConfig
from connectors.comagic_target import json_number, local
from connectors.errors import (
    ConnectorError,
    InDoubt,
    LimitReached,
    ParentMissing,
    Refused,
    Rejected,
    Throttled,
    Transient,
)

TOKEN, PASSWORD = "t0k3n-of-the-account", "p4ssw0rd"
URL = "https://dataapi.comagic.ru/v2.0"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONTACT = {
    "ext_id": "a1",
    "name": "Интерес 17",
    "created_date_time": "2026-03-01T12:00:00+05:00",
    "phone_numbers": ["79990000001"],
    "emails": ["ivan@example.com"],
}
DEAL = {
    "ext_id": "a1",
    "name": "Интерес 17",
    "created_date_time": "2026-03-01T12:00:00+05:00",
    "modified_date_time": "2026-03-01T12:00:01.750+05:00",
    "modified_stage_date_time": "2026-03-01T12:00:00+05:00",
    "sales_funnel_ext_id": "123",
    "stage_ext_id": "NEW",
    "contact_ext_ids": ["a1"],
    "main_contact_ext_id": "a1",
    "revenue": "50000.50",
    "communication_id": "12345678",
    "communication_type": "call",
    "user_fields": [{"ext_id": "communication_id", "value": "12345678"}],
}


def limits(minute=59, day=2999, minute_reset=59, day_reset=50000):
    values = {"limit": 60, "remaining": minute, "reset": minute_reset}
    days = {"limit": 3000, "remaining": day, "reset": day_reset}
    return {
        f"{name}_{key}": value for name, shown in (("minute", values), ("day", days)) for key, value in shown.items()
    }


def error(mnemonic, code=-32602, *, told=None, message="Something of +79990000001", **data):
    found = {"mnemonic": mnemonic, **data, "metadata": {"limits": told or {}}}
    return {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message, "data": found}}


def success(data=None, told=None):
    return {
        "jsonrpc": "2.0",
        "id": "x",
        "result": {"data": {} if data is None else data, "metadata": {"limits": told or {}}},
    }


class Vendor:
    """Answers by the method: each answer once, the last for ever; a callable is asked."""

    def __init__(self, mock):
        self.calls, self.answers, self.lock = [], {}, threading.Lock()
        self.statuses = {}
        mock.add_callback("POST", URL, self)

    def on(self, method, *answers, status=200):
        self.answers[method] = list(answers)
        self.statuses[method] = status

    def __call__(self, request):
        body = json.loads(request.body)
        with self.lock:
            self.calls.append(body)
            answers = self.answers.get(body["method"]) or [success()]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        answer = answer(body["params"]) if callable(answer) else answer
        if isinstance(answer, Exception):
            raise answer
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return self.statuses.get(body["method"], 200), {}, text

    def sent(self, method):
        return [call["params"] for call in self.calls if call["method"] == method]


@pytest.fixture
def vendor():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        vendor = Vendor(mock)
        vendor.mock = mock
        yield vendor


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def config(**changes):
    given = {"timezone": ZoneInfo("Europe/Moscow"), "token": Secret(TOKEN)} | changes
    return CoMagicConfig(**given)


@pytest.fixture
def connect(clock):
    def build(redis=None, **changes):
        redis = redis or fakeredis.FakeRedis(server=fakeredis.FakeServer())
        return CoMagic(config(**changes), redis, sleep=clock.shift)

    return build


def failure(call):
    """What `call` raises; with nothing in it that must not be shown."""
    with pytest.raises(ConnectorError) as caught:
        call()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(caught.value.__context__)
    for secret in (TOKEN, PASSWORD, "79990000001", "ivan@example.com"):
        assert secret not in shown
    assert str(caught.value).startswith(("CoMagic dataapi.comagic.ru", "comagic:"))
    return caught.value


def throng(count, call):
    """`count` threads at once."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


def outcome(call):
    try:
        return call()
    except ConnectorError as failed:
        return failed


# What is sent.


def test_the_envelope_is_json_rpc_with_the_token_in_the_body(vendor, connect):
    connect(user_id=77).target("contacts").create(CONTACT)
    (call,) = vendor.calls
    assert call.keys() == {"jsonrpc", "id", "method", "params"}
    assert (call["jsonrpc"], len(call["id"])) == ("2.0", 36)
    assert (call["params"]["access_token"], call["params"]["user_id"]) == (TOKEN, 77)
    assert vendor.mock.calls[0].request.headers["Content-Type"] == "application/json; charset=UTF-8"


def test_a_contact_is_sent_in_the_accounts_zone_and_known_by_our_id(vendor, connect):
    contacts = connect().target("contacts")
    assert contacts.find("a1") is None
    assert contacts.create(CONTACT) == "a1"
    (params,) = vendor.sent("create.deal_contacts")
    assert params["contacts"] == [CONTACT | {"created_date_time": "2026-03-01 10:00:00"}]
    assert len(vendor.calls) == 1, "nothing is looked up"


@pytest.mark.parametrize(("plus", "sent"), [(False, "79990000001"), (True, "+79990000001")])
@pytest.mark.parametrize("given", ["79990000001", "+79990000001"])
def test_phones_have_a_plus_if_configured(vendor, connect, plus, sent, given):
    connect(phone_plus=plus).target("contacts").create(CONTACT | {"phone_numbers": [given]})
    assert vendor.sent("create.deal_contacts")[0]["contacts"][0]["phone_numbers"] == [sent]


def test_an_update_replaces_both_lists(vendor, connect):
    assert connect().target("contacts").update("a1", {"ext_id": "a1", "name": "Интерес"}) == "a1"
    (params,) = vendor.sent("update.deal_contacts")
    wanted = {"access_token": TOKEN, "ext_id": "a1", "name": "Интерес", "phone_numbers": [], "emails": []}
    assert params == wanted


def test_an_update_of_an_unknown_contact_is_none(vendor, connect):
    vendor.on("update.deal_contacts", error("entity_not_found", field="ext_id", value="a1"))
    assert connect().target("contacts").update("a1", CONTACT) is None


@pytest.mark.parametrize("verb", ["create", "update"])
def test_a_deal_is_a_row_of_its_history(vendor, connect, verb):
    deals = connect().target("deals")
    assert deals.find("a1") is None
    assert (deals.create(DEAL) if verb == "create" else deals.update("a1", DEAL)) == "a1"
    (params,) = vendor.sent("upload.deals_history")
    (row,) = params["deals"]
    assert row == DEAL | {
        "created_date_time": "2026-03-01 10:00:00",
        "modified_date_time": "2026-03-01 10:00:01",
        "modified_stage_date_time": "2026-03-01 10:00:00",
        "revenue": 50000.5,
        "communication_id": 12345678,
    }


@pytest.mark.parametrize(("text", "number"), [("50000", "50000"), ("50000.00", "50000"), ("0", "0"), ("0.1", "0.1")])
def test_revenue_is_a_json_number(text, number):
    assert json.dumps(json_number(text)) == number


@pytest.mark.parametrize(
    ("moment", "zone", "there"),
    [
        ("2025-03-04T10:00:00+05:00", "Europe/Moscow", "2025-03-04 08:00:00"),
        ("2025-03-30T00:59:59+00:00", "Europe/Berlin", "2025-03-30 01:59:59"),
        ("2025-03-30T01:00:00+00:00", "Europe/Berlin", "2025-03-30 03:00:00"),
        ("2025-10-26T00:30:00+00:00", "Europe/Berlin", "2025-10-26 02:30:00"),
        ("2025-10-26T01:30:00+00:00", "Europe/Berlin", "2025-10-26 02:30:00"),
        ("2025-12-31T23:30:00.999+00:00", "Asia/Yekaterinburg", "2026-01-01 04:30:00"),
    ],
)
def test_times_lose_their_offset_in_the_accounts_zone(moment, zone, there):
    assert local(moment, ZoneInfo(zone)) == there


def test_a_time_without_an_offset_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match="offset"):
        local("2025-03-04T10:00:00", ZoneInfo("Europe/Moscow"))


def test_a_target_declares_how_it_repeats(connect):
    for entity in ("contacts", "deals"):
        target = connect(settle=timedelta(seconds=99)).target(entity)
        assert (target.write_class, target.updates) == (WriteClass.UPSERT, True)
        assert target.settle == timedelta(seconds=99)


# Many together.


class Gate:
    """Holds the first call back until so many others wait behind it."""

    def __init__(self, coalescer, waiting):
        self.coalescer, self.waiting = coalescer, waiting

    def __call__(self, _params):
        while len(self.coalescer._queue) < self.waiting:
            threading.Event().wait(0.001)
        return success(told=limits())


def test_three_hundred_creations_at_once_are_two_calls(vendor, connect):
    contacts = connect().target("contacts")
    vendor.on("create.deal_contacts", Gate(contacts._creations, 299), success(told=limits(58, 2998)))
    ids = throng(300, lambda number: contacts.create(CONTACT | {"ext_id": f"a{number}"}))
    assert ids == [f"a{number}" for number in range(300)]
    assert [len(params["contacts"]) for params in vendor.sent("create.deal_contacts")] == [1, 299]


def test_no_call_carries_more_rows_than_configured_and_rows_keep_their_order(vendor, connect):
    deals = connect(rows_per_call=2).target("deals")
    rows = [DEAL | {"stage_ext_id": str(number)} for number in range(5)]
    assert deals._uploads.submit(rows) == [None] * 5
    sent = [[row["stage_ext_id"] for row in params["deals"]] for params in vendor.sent("upload.deals_history")]
    assert sent == [["0", "1"], ["2", "3"], ["4"]]


def refuse_bad(**named):
    """A call that holds a row named «bad» is refused; `named` is what the error tells of it."""

    def answer(params):
        rows = params.get("deals") or params.get("contacts")
        bad = [row for row in rows if row["name"] == "bad"]
        told = {key: bad[0][value] for key, value in named.items()} if bad else {}
        return error("invalid_parameter_value", field="deals.name", **told) if bad else success(told=limits())

    return answer


@pytest.mark.parametrize(
    ("named", "most_calls", "most_points"), [({}, 19, 9), ({"value": "name"}, 4, 2)], ids=["halved", "named"]
)
def test_one_bad_row_of_three_hundred_fails_alone(vendor, connect, named, most_calls, most_points):
    vendor.on("upload.deals_history", refuse_bad(**named))
    rows = [DEAL | {"ext_id": f"a{number}", "name": "bad" if number == 137 else "good"} for number in range(300)]
    results = connect().target("deals")._uploads.submit(rows)
    assert [number for number, result in enumerate(results) if result is not None] == [137]
    assert type(results[137]) is Rejected
    assert len(vendor.calls) <= most_calls
    good = [
        params for params in vendor.sent("upload.deals_history") if all(d["name"] == "good" for d in params["deals"])
    ]
    assert len(good) <= most_points, "what succeeds costs a point"
    sent = [row["ext_id"] for params in good for row in params["deals"]]
    assert sent == [row["ext_id"] for row in rows if row["name"] == "good"], "each once and in order"


def test_a_named_row_that_is_innocent_is_delivered(vendor, connect):
    vendor.on("upload.deals_history", error("invalid_parameter_value", value="a1"), success())
    rows = [DEAL | {"ext_id": f"a{number}"} for number in range(3)]
    assert connect().target("deals")._uploads.submit(rows) == [None] * 3


# Duplicates.


def known(*ids, named=True):
    def answer(params):
        held = [contact["ext_id"] for contact in params["contacts"] if contact["ext_id"] in ids]
        told = {"field": "contacts.ext_id", "value": held[0]} if named and held else {}
        return error("duplicate_entity", **told) if held else success(told=limits())

    return answer


def test_a_contact_that_exists_is_overwritten(vendor, connect):
    vendor.on("create.deal_contacts", known("a1"))
    assert connect().target("contacts").create(CONTACT) == "a1"
    (params,) = vendor.sent("update.deal_contacts")
    assert params["phone_numbers"] == CONTACT["phone_numbers"]


@pytest.mark.parametrize("named", [True, False])
def test_of_many_contacts_those_that_exist_are_overwritten_and_the_others_created(vendor, connect, named):
    contacts = connect().target("contacts")
    answer, gate = known("a3", "a7", named=named), Gate(contacts._creations, 19)
    vendor.on("create.deal_contacts", gate, answer)
    first = threading.Thread(target=lambda: contacts.create(CONTACT | {"ext_id": "first"}))
    first.start()
    while not vendor.calls:
        threading.Event().wait(0.001)
    ids = throng(19, lambda number: contacts.create(CONTACT | {"ext_id": f"a{number}"}))
    first.join()
    assert ids == [f"a{number}" for number in range(19)]
    assert sorted(params["ext_id"] for params in vendor.sent("update.deal_contacts")) == ["a3", "a7"]
    assert len(vendor.sent("create.deal_contacts")) <= (9 if named else 18)


def test_a_thousand_culprits_that_are_named_one_by_one_are_no_burden():
    calls = []

    def send(items):
        calls.append(len(items))
        named = Duplicate("exists", told="есть")
        named.culprit = 0
        raise named

    assert {type(result) for result in Coalescer(send, limit=1000).submit(range(1000))} == {Duplicate}
    assert len(calls) < 2000


def test_callers_of_one_failed_call_do_not_share_their_error(vendor, connect):
    deals = connect().target("deals")
    vendor.on("upload.deals_history", Gate(deals._uploads, 9), error("access_token_expired", -32001))
    failures = throng(10, lambda _: outcome(lambda: deals.create(DEAL)))
    raised = [failed for failed in failures if failed != "a1"]
    assert {type(failed) for failed in raised} == {Refused}
    assert len({id(failed) for failed in raised}) == len({str(failed) for failed in raised}) * 9


def test_a_duplicate_that_cannot_be_updated_is_rejected_as_one(vendor, connect):
    vendor.on("create.deal_contacts", error("duplicate_entity", field="contacts.phone_numbers", value="79990000001"))
    vendor.on("update.deal_contacts", error("entity_not_found", field="ext_id"))
    failed = failure(lambda: connect().target("contacts").create(CONTACT))
    assert type(failed) is Duplicate
    assert failed.told == "CoMagic не принял: телефон: такая запись уже есть"


# What an answer means.

MEANINGS = [
    ("parse_error", -32700, Refused),
    ("invalid_request", -32600, Refused),
    ("batch_opreations_not_supported", -32099, Refused),
    ("batch_operations_not_supported", -32099, Refused),
    ("notifications_not_supported", -32099, Refused),
    ("method_not_found", -32601, Refused),
    ("auth_error", -32001, Refused),
    ("access_token_invalid", -32001, Refused),
    ("access_token_expired", -32001, Refused),
    ("access_token_blocked", -32001, Refused),
    ("ip_not_whitelisted", -32003, Refused),
    ("forbidden", -32003, Refused),
    ("account_inactive", -32009, Refused),
    ("method_component_disabled", -32008, Refused),
    ("parameter_component_disabled", -32008, Refused),
    ("tariff_restrictions", -32602, Refused),
    ("campaign_is_inactive", -32602, Refused),
    ("unexpected_parameters", -32602, Refused),
    ("limit_exceeded", -32029, Throttled),
    ("internal_error", -32603, InDoubt),
    ("data_type_error", -32602, Rejected),
    ("required_parameter_missed", -32602, Rejected),
    ("invalid_parameter_value", -32602, Rejected),
    ("invalid_parameters_combination", -32602, Rejected),
    ("invalid_date_time", -32602, Rejected),
    ("already_in_use", -32602, Rejected),
    ("dependency_error", -32602, Rejected),
    ("data_limit_exceeded", -32602, LimitReached),
    ("error", -32602, Rejected),
    ("never_heard_of", -32602, Rejected),
    ("never_heard_of", -32003, Refused),
    ("never_heard_of", -32603, InDoubt),
    ("", -32004, Rejected),
    ("", -1, Rejected),
]


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("known_error", MEANINGS, ids=str)
def test_every_mnemonic_has_its_meaning_whatever_the_status(vendor, connect, status, known_error):
    mnemonic, code, meaning = known_error
    vendor.on("upload.deals_history", error(mnemonic, code), status=status)
    failed = failure(lambda: connect().target("deals").create(DEAL))
    assert type(failed) is meaning
    assert len(vendor.calls) == 1, "a write is not repeated"
    if isinstance(failed, Rejected):
        assert failed.told.startswith("CoMagic не принял: ")
        assert "9990000001" not in failed.told


FOREIGN = [
    (200, "<html>", InDoubt),
    (200, "", InDoubt),
    (200, "null", InDoubt),
    (200, '["x"]', InDoubt),
    (200, '{"result": "ok"}', InDoubt),
    (200, '{"result": null}', InDoubt),
    (200, '{"error": "oops"}', InDoubt),
    (200, '{"error": {}}', InDoubt),
    (500, '{"message": "timeout"}', InDoubt),
    (502, "<html>", InDoubt),
    (429, "<html>", Throttled),
    (403, "<html>", Refused),
    (404, "<html>", Refused),
    (405, "", Refused),
    (301, "", Refused),
]


@pytest.mark.parametrize(("status", "body", "meaning"), FOREIGN)
def test_what_is_not_json_rpc_was_said_by_somebody_on_the_way(vendor, connect, status, body, meaning):
    vendor.on("upload.deals_history", body, status=status)
    assert type(failure(lambda: connect().target("deals").create(DEAL))) is meaning
    vendor.on("get.sales_funnel", body, status=status)
    assert type(failure(connect().probe)) is (Transient if meaning is InDoubt else meaning)


@pytest.mark.parametrize(
    "data",
    [
        {"mnemonic": "entity_not_found", "field": "deals.contact_ext_ids", "value": ["a1"]},
        {"mnemonic": "entity_not_found", "field": "deals[0].main_contact_ext_id", "value": "a1"},
        {"mnemonic": "entity_not_found", "field": "deals.0.contact_ext_ids.0"},
        {"mnemonic": "entity_not_found", "value": "a1"},
        {"mnemonic": "invalid_parameter_value", "field": "deals.contact_ext_ids", "value": "a1"},
    ],
    ids=str,
)
def test_a_deal_whose_contact_is_unknown_waits_for_it(vendor, connect, data):
    vendor.on("upload.deals_history", error(**data))
    assert type(failure(lambda: connect().target("deals").create(DEAL))) is ParentMissing


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"field": "deals.stage_ext_id", "value": "NEW"}, "этап: не найдено"),
        ({"field": "deals[0].sales_funnel_ext_id"}, "воронка: не найдено"),
        ({"field": "deals.user_fields.ext_id"}, "пользовательское поле: не найдено"),
        ({}, "не найдено"),
    ],
    ids=str,
)
def test_whatever_else_is_unknown_is_told_by_its_name(vendor, connect, data, told):
    vendor.on("upload.deals_history", error("entity_not_found", **data))
    failed = failure(lambda: connect().target("deals").create(DEAL))
    assert type(failed) is NotFound
    assert failed.told == f"CoMagic не принял: {told}"


def test_the_vendors_own_words_are_shown_masked(vendor, connect):
    vendor.on("upload.deals_history", error("error", message="Нельзя: +7 999 000-00-01, ivan@example.com"))
    failed = failure(lambda: connect().target("deals").create(DEAL))
    assert failed.told == "CoMagic не принял: Нельзя: *** , ***"


def test_an_address_that_is_not_listed_is_named_with_what_to_do(vendor, connect):
    vendor.on("get.account", error("ip_not_whitelisted", -32003, message="Your IP 203.0.113.7 is not whitelisted"))
    (finding,) = connect().check("deals", ())
    assert finding.level == "error"
    assert "list our address in the cabinet" in finding.text
    assert "203.0.113.7" in finding.text


# Points.


def test_points_that_are_used_up_are_known_without_asking_again(vendor, connect):
    vendor.on("upload.deals_history", success(told=limits(minute=0, minute_reset=40)))
    connector = connect()
    connector.target("deals").create(DEAL)
    failed = failure(lambda: connector.target("deals").create(DEAL))
    assert type(failed) is Throttled
    assert 40 <= failed.wait <= 41
    assert len(vendor.calls) == 1


def test_a_day_that_is_used_up_holds_everybody_and_hands_nothing_out(vendor, connect, clock):
    redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    one, other = connect(redis), connect(redis)
    vendor.on("upload.deals_history", error("limit_exceeded", -32029, told=limits(day=0, day_reset=7200)), success())
    failed = failure(lambda: one.target("deals").create(DEAL))
    assert (type(failed), failed.wait) == (Throttled, 7200)
    assert 7200 <= failure(lambda: other.target("contacts").create(CONTACT)).wait <= 7201
    assert [one.headroom(), other.headroom()] == [0, 0]
    assert 7200 <= other.health().seconds <= 7201
    assert (other.health().budget_used, other.health().breaker) == (1.0, "closed")
    assert len(vendor.calls) == 1
    clock.shift(7202)
    assert other.headroom() == 600
    assert other.target("deals").create(DEAL) == "a1"


@pytest.mark.parametrize(("limit_type", "wait"), [("minute", 60), ("day", 9 * 3600), ("", 60)])
def test_a_refusal_that_does_not_tell_until_when_holds_for_a_minute_or_till_midnight(vendor, connect, limit_type, wait):
    vendor.on("upload.deals_history", error("limit_exceeded", -32029, params={"limit_type": limit_type}))
    connector = connect()
    assert failure(lambda: connector.target("deals").create(DEAL)).wait == wait
    assert failure(lambda: connector.target("deals").create(DEAL)).wait == pytest.approx(wait)
    assert len(vendor.calls) == 1


def test_a_failed_call_costs_nothing(vendor, connect):
    vendor.on("upload.deals_history", success(told=limits(1, 1)), error("invalid_date_time"))
    connector = connect()
    connector.target("deals").create(DEAL)
    for _ in range(5):
        assert type(failure(lambda: connector.target("deals").create(DEAL))) is Rejected
    assert connector.headroom() == 1


# Sessions.


def session(number=1, lives=3600):
    return success({"access_token": f"session-{number}", "expire_at": int(NOW.timestamp()) + lives, "app_id": 1})


@pytest.fixture
def user(connect):
    def build(redis=None, **changes):
        return connect(redis, token=None, login="ivan@example.com", password=Secret(PASSWORD), **changes)

    return build


def tokens(vendor, method="upload.deals_history"):
    return [params["access_token"] for params in vendor.sent(method)]


def test_a_session_is_shared_and_made_anew_a_minute_before_it_ends(vendor, user, clock):
    redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    vendor.on("login.user", session(1), session(2, 7200))
    one, other = user(redis), user(redis)
    for connector in (one, other, one):
        connector.target("deals").create(DEAL)
    assert tokens(vendor) == ["session-1"] * 3
    clock.shift(3541)
    other.target("deals").create(DEAL)
    assert tokens(vendor)[-1] == "session-2"
    assert vendor.sent("login.user") == [{"login": "ivan@example.com", "password": PASSWORD}] * 2


def test_a_session_that_is_over_is_renewed_once_by_one_worker(vendor, user):
    redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    vendor.on("login.user", session(1), session(2))

    def answer(params):
        return success() if params["access_token"] == "session-2" else error("access_token_invalid", -32001)

    vendor.on("update.deal_contacts", answer)
    connector = user(redis)
    connector.target("deals").create(DEAL)
    settings = config(token=None, login="ivan@example.com", password=Secret(PASSWORD))
    workers = [CoMagic(settings, redis, sleep=lambda _: time.sleep(0.02)).target("contacts") for _ in range(8)]
    assert throng(8, lambda number: workers[number].update("a1", CONTACT)) == ["a1"] * 8
    assert len(vendor.sent("login.user")) == 2


def test_a_second_refusal_of_the_token_is_final(vendor, user):
    vendor.on("login.user", session(1), session(2))
    vendor.on("upload.deals_history", error("access_token_invalid", -32001))
    assert type(failure(lambda: user().target("deals").create(DEAL))) is Refused
    assert tokens(vendor) == ["session-1", "session-2"]


def test_a_wrong_password_is_not_tried_by_everybody(vendor, user):
    vendor.on("login.user", error("auth_error", -32001))
    redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    for _ in range(5):
        assert type(failure(user(redis).probe)) is Refused
    assert len(vendor.calls) == 1


@pytest.mark.parametrize("data", [{"access_token": "s", "expire": 4}, {"access_token": "s"}])
def test_an_end_that_is_spelt_otherwise_or_missing_is_no_obstacle(vendor, user, data):
    vendor.on("login.user", success(data))
    connector = user()
    for _ in range(2):
        connector.target("deals").create(DEAL)
    assert tokens(vendor) == ["s", "s"]
    assert len(vendor.sent("login.user")) == 1


@pytest.mark.parametrize("data", [[], {}, {"access_token": None}], ids=str)
def test_a_login_without_a_token_is_transient(vendor, user, data):
    vendor.on("login.user", success(data))
    assert type(failure(user().probe)) is Transient


# Check.

FUNNEL = {"ext_id": "123", "name": "x", "stages": [{"stage_ext_id": "NEW"}, {"stage_ext_id": "WON"}]}


def levels(findings):
    return [finding.level for finding in findings]


def account(zone="Europe/Moscow"):
    return {
        "jsonrpc": "2.0",
        "id": 1,
        "result": {"data": [{"app_id": 1, "timezone": zone}], "meta_data": {"limits": limits()}},
    }


def test_check_compares_the_zone_and_tells_the_points(vendor, connect):
    vendor.on("get.account", account())
    vendor.on("get.sales_funnel", success([FUNNEL], told=limits(41, 2000)))
    findings = list(connect().check("deals", ()))
    assert levels(findings) == ["ok", "ok", "ok"]
    assert "41 of 60 points are left this minute, 2000 of 3000 today" in findings[-1].text
    vendor.on("get.account", account("Asia/Omsk"))
    findings = list(connect().check("contacts", ()))
    assert levels(findings) == ["error", "ok", "ok"]
    assert "Asia/Omsk" in findings[0].text


def test_check_says_that_the_component_is_missing_and_probe_fails_for_it(vendor, connect):
    vendor.on("get.account", account())
    vendor.on("get.sales_funnel", error("method_component_disabled", -32008))
    findings = list(connect().check("deals", ()))
    assert levels(findings) == ["ok", "error"]
    assert "sales_funnel" in findings[1].text
    assert type(failure(connect().probe)) is Refused


def test_check_asks_even_if_no_points_are_left(vendor, connect):
    vendor.on("get.account", account())
    vendor.on("get.sales_funnel", success([], told=limits(0, 0)))
    connector = connect()
    assert levels(connector.check("deals", ())) == ["ok", "ok", "warning"]
    vendor.on("get.sales_funnel", success([], told=limits(50, 900)))
    assert levels(connector.check("deals", ())) == ["ok", "ok", "ok"]
    assert connector.headroom() == 500


@pytest.mark.parametrize(
    ("funnel", "stages", "found"),
    [("123", ["NEW", "WON"], ["ok"]), ("123", ["NEW", "X", "Y"], ["error", "error"]), ("9", ["NEW"], ["error"])],
)
def test_funnel_and_stages_are_looked_up(vendor, connect, funnel, stages, found):
    vendor.on("get.sales_funnel", success([FUNNEL]))
    vendor.on("get.account", account())
    needs = [FieldNeed(stage, "Этап", (f"stage of {funnel}",)) for stage in stages]
    assert levels(connect().check("deals", needs))[3:] == found


@pytest.mark.parametrize(
    ("fields", "answer", "end"),
    [
        ([{"ext_id": "communication_id"}], success(), ("ok", 0)),
        ([], success({"ext_id": "communication_id"}), ("ok", 1)),
        ([], error("duplicate_entity", field="ext_id"), ("ok", 1)),
        ([], error("forbidden", -32003), ("error", 1)),
    ],
)
def test_the_field_of_the_communication_is_created_where_it_is_missing(vendor, connect, fields, answer, end):
    level, created = end
    vendor.on("get.deal_user_fields", success(fields))
    vendor.on("create.deal_user_field", answer)
    vendor.on("get.account", account())
    vendor.on("get.sales_funnel", success([]))
    needs = [FieldNeed("communication_id", "ID обращения", ("user_field",))]
    assert levels(connect().check("deals", needs))[3:] == [level]
    sent = vendor.sent("create.deal_user_field")
    assert [(params["ext_id"], params["data_type"]) for params in sent] == [("communication_id", "string")] * created


def test_entities_that_it_does_not_know_are_key_errors(connect):
    for ask in (connect().source, connect().target, lambda name: list(connect().check(name, []))):
        with pytest.raises(KeyError):
            ask("groups")


# Configuration.


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("base_url", {"base_url": "dataapi.comagic.ru"}),
        ("token", {"token": Secret("два слова")}),
        ("token", {"token": None}),
        ("token", {"login": "x", "password": Secret("y")}),
        ("password", {"token": None, "login": "x"}),
        ("rows_per_call", {"rows_per_call": 1001}),
        ("settle", {"settle": timedelta(seconds=1)}),
    ],
    ids=str,
)
def test_a_configuration_that_cannot_work_is_a_problem(key, changes):
    assert [named for named, _ in config(**changes).problems()] == [key]


def test_a_sound_configuration_has_no_problems_and_shows_no_secret():
    for sound in (config(), config(token=None, login="ivan@example.com", password=Secret(PASSWORD))):
        assert list(sound.problems()) == []
        for secret in (TOKEN, PASSWORD):
            assert secret not in repr(sound) + sound.account
        assert "ivan" not in sound.account
    assert config(user_id=7).account != config().account
