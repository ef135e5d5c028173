"""amoCRM: what each answer means, how often it is called, who is let in, and what `parom check` says and makes."""

import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import fakeredis
import pytest
import requests
import responses
import time_machine
from redis.exceptions import ConnectionError as RedisConnectionError

from connectors.amocrm import AmoCrm
from connectors.amocrm_account import Account
from connectors.amocrm_answer import Banned, UnknownUser
from connectors.amocrm_config import AmoCrmConfig
from connectors.amocrm_fields import Fields
from connectors.amocrm_pace import Together
from connectors.base import FieldNeed, Note, Secret, WriteClass
from connectors.budget import NoBudget
from connectors.errors import ConnectorError, InDoubt, Refused, Rejected, Throttled, Transient
from tests.unit.amocrm_vendor import HOST, Vendor

TOKEN = "t0k3n-of-the-account"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONTACT = {"id_1c": "a1", "name": "Иван", "phones": ["79990000001"], "emails": ["ivan@example.com"]}
HTML = "<html><body>openresty</body></html>"


@pytest.fixture
def vendor():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield Vendor(mock)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def connect(clock):
    def build(redis=None, **changes):
        given = {"base_url": HOST, "token": Secret(TOKEN)} | changes
        redis = redis or fakeredis.FakeRedis(server=fakeredis.FakeServer())
        return AmoCrm(AmoCrmConfig(**given), redis, sleep=clock.shift)

    return build


def failure(call):
    """What `call` raises; with nothing in it that must not be shown."""
    with pytest.raises(ConnectorError) as caught:
        call()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)
    for secret in (TOKEN, "9990000001", "ivan@example", "Иван"):
        assert secret not in shown
    return caught.value


# What an answer means.

AFTER_A_READ = [
    ((204, None), None),
    ((500, {"status": 500}), Transient),
    ((502, HTML), Transient),
    ((504, HTML), Transient),
    ((200, HTML), Transient),
    ((200, "[]"), Transient),
    ((200, "null"), Transient),
    ((200, {"_embedded": {"contacts": [{}]}, "_links": {}}), Transient),
    ((400, {"status": 400, "detail": "+79990000001 ivan@example.com"}), Refused),
    ((402, {"status": 402}), Refused),
    ((403, {"status": 403}), Refused),
    ((403, HTML), Banned),
    ((404, {"status": 404}), Refused),
    ((404, HTML), Refused),
    ((409, {"status": 409}), Transient),
    ((423, {"status": 423}), Transient),
    ((429, HTML), Throttled),
    ((429, {"retry_after": 300}), Throttled),
    ((requests.ConnectionError()), Transient),
]


@pytest.mark.parametrize(("answer", "meaning"), AFTER_A_READ, ids=str)
def test_an_answer_to_a_read_is_called_by_its_name(vendor, connect, answer, meaning):
    vendor.on("GET", "contacts", answer)
    source = connect().source("contacts")
    if meaning is None:
        assert source.read(["1", "2"], (), {}) == ()
    else:
        assert type(failure(lambda: source.read(["1", "2"], (), {}))) in (meaning, *meaning.__subclasses__())


AFTER_A_WRITE = [
    ((500, {"status": 500}), InDoubt),
    ((504, HTML), InDoubt),
    ((200, HTML), InDoubt),
    ((200, {"_embedded": {"contacts": []}}), InDoubt),
    ((200, {"title": "Internal error", "status": 500}), InDoubt),
    ((200, "[]"), InDoubt),
    ((200, "null"), InDoubt),
    ((204, None), InDoubt),
    ((429, HTML), Throttled),
    ((423, {"status": 423}), Transient),
    ((403, HTML), Banned),
    ((402, {"status": 402}), Refused),
    ((400, {"status": 400, "detail": "нельзя"}), Rejected),
]


@pytest.mark.parametrize(("answer", "meaning"), AFTER_A_WRITE, ids=str)
def test_an_answer_to_a_creation_is_called_by_its_name(vendor, connect, answer, meaning):
    vendor.on("POST", "contacts", answer)
    error = failure(lambda: connect().target("contacts").create(CONTACT))
    assert type(error) is meaning
    assert len(vendor.sent("POST", "contacts")) == 1, "a write is not repeated within the call"


@pytest.mark.parametrize("body", ["null", "[]", {}, {"title": "Internal error", "status": 500}], ids=str)
def test_a_probe_believes_in_an_account_that_tells_its_id(vendor, connect, body):
    vendor.on("GET", "account", (200, body), (200, body), (200, body), (200, {"id": 31}))
    connector = connect()
    while len(vendor.calls) < 3:
        assert type(failure(connector.probe)) is Transient
    connector.probe()


def test_a_redirect_is_not_followed(vendor, connect):
    vendor.on("GET", "account", (301, HTML))
    assert "redirects" in str(failure(connect().probe))


def test_the_bans_text_says_whom_to_ask_and_nobody_calls_again_for_a_while(vendor, connect):
    redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    vendor.on("GET", "account", (403, HTML))
    assert "support" in str(failure(connect(redis).probe))
    assert type(failure(connect(redis).probe)) is Throttled, "for the whole account, whichever process asks"
    assert len(vendor.calls) == 1


def test_a_missing_right_is_no_ban(vendor, connect):
    connector = connect()
    vendor.on("GET", "account", (403, {"status": 403}), (200, {"id": 31}))
    assert type(failure(connector.probe)) is Refused
    connector.probe()


def test_a_429_silences_everybody_for_as_long_as_it_says_or_longer_each_time(vendor, connect, clock):
    connector = connect()
    vendor.on("GET", "account", (429, HTML), (429, HTML), (429, HTML), (429, {"retry_after": 300}), (200, {"id": 31}))
    waits = []
    for _ in range(4):
        error = failure(connector.probe)
        waits.append(error.wait)
        clock.shift(error.wait + 1)
    assert waits == [1, 2, 4, 300]
    connector.probe()


def test_every_request_bears_the_token_and_says_who_we_are(vendor, connect):
    connect().probe()
    headers = vendor.calls[0]["headers"]
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert "Parom" in headers["User-Agent"]


def test_a_long_lived_token_that_is_not_accepted_is_never_refreshed(vendor, connect):
    vendor.tokens.clear()
    assert "long-lived" in str(failure(connect().probe))
    assert [call["path"] for call in vendor.calls] == ["account"]


def test_calls_that_are_refused_together_make_the_pause_no_longer(vendor, connect):
    together, vendor.lock = threading.Barrier(10), nullcontext()
    vendor.on("GET", "account", lambda _: (together.wait(5), (429, HTML))[1])
    connector = connect(requests_per_second=10_000.0, account_requests_per_second=10_000.0)
    with ThreadPoolExecutor(10) as pool:
        errors = list(pool.map(lambda _: failure(connector.probe), range(10)))
    assert {error.wait for error in errors} == {1}


def test_an_answer_to_what_left_before_a_refusal_does_not_end_it():
    pace = Together(NoBudget())
    with ThreadPoolExecutor(1) as another:
        another.submit(pace.reserve).result()
        pace.reserve()
        assert pace.refused(None) == 1
        another.submit(pace.accepted).result()
        pace.reserve()
        assert pace.refused(None) == 2
        pace.reserve()
        pace.accepted()
        assert another.submit(pace.refused, None).result() == 1


# How often.


def test_an_integration_calls_seven_times_a_second_at_most_however_many_processes(vendor, connect):
    redis, times, lock = fakeredis.FakeRedis(server=fakeredis.FakeServer()), [], threading.Lock()
    workers = [connect(redis) for _ in range(4)]
    with time_machine.travel(NOW, tick=False) as clock:

        def sleep(seconds):
            with lock:
                clock.shift(seconds)

        for worker in workers:
            for budget in worker._api._pace._budgets:
                budget._sleep = sleep
        for number in range(40):
            workers[number % 4].probe()
            times.append(time.time())
    assert all(later - earlier > 1 for earlier, later in zip(times, times[7:], strict=False))
    assert times[-1] - times[0] < 40 / 7 * 1.12


def test_the_part_of_the_account_is_shared_by_all_its_integrations(vendor, connect):
    redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    vendor.tokens.add("another-token")
    one = connect(redis, requests_per_second=1000.0, account_requests_per_second=5.0)
    two = connect(redis, requests_per_second=1000.0, account_requests_per_second=5.0, token=Secret("another-token"))
    began = time.time()
    for _ in range(10):
        one.probe()
        two.probe()
    assert time.time() - began > 3.5
    assert one._api.config.integration != two._api.config.integration


def test_headroom_is_what_the_tighter_limit_leaves(vendor, connect):
    assert 28 <= connect().headroom() <= 35
    assert connect(account_requests_per_second=1.0).headroom() < 10


def test_without_redis_nobody_calls(vendor, connect):
    class Away(fakeredis.FakeRedis):
        def execute_command(self, *args, **options):
            raise RedisConnectionError

    connector = connect(Away())
    assert type(failure(connector.probe)) is Throttled
    assert connector.health().breaker == "unknown"
    assert vendor.calls == []


# What is written together.


def together(target, payloads):
    def create(payload):
        try:
            return target.create(payload)
        except ConnectorError as error:
            return error

    with ThreadPoolExecutor(len(payloads)) as pool:
        return list(pool.map(create, payloads))


def payloads(number, **changes):
    return [{"id_1c": f"a{each}", "name": f"Имя {each}"} | changes for each in range(number)]


def slow_first(vendor, path):
    """The first call waits until the others have gathered."""
    gathered = threading.Event()
    timer = threading.Timer(0.3, gathered.set)
    timer.start()
    vendor.on("POST", path, lambda _: gathered.wait(5) and None)


def test_creations_of_many_threads_leave_together_and_each_gets_its_own_id(vendor, connect):
    slow_first(vendor, "contacts")
    results = together(connect().target("contacts"), payloads(60))
    for number, result in enumerate(results):
        assert vendor.values("contacts", int(result), "PAROM_ID_1C") == [f"a{number}"]
    assert len(vendor.bodies("POST", "contacts")) < 30, "sixty records are not sixty calls"
    assert max(map(len, vendor.bodies("POST", "contacts"))) <= 50


def test_answers_are_told_apart_by_our_own_key_and_not_by_their_place(vendor, connect):
    def reversed_answer(call):
        status, body = vendor.route(call)
        body["_embedded"]["contacts"].reverse()
        return status, body

    target = connect().target("contacts")
    target.create(CONTACT)
    vendor.on("POST", "contacts", reversed_answer)
    for number, result in enumerate(together(target, payloads(8))):
        assert vendor.values("contacts", int(result), "PAROM_ID_1C") == [f"a{number}"]


def test_of_changes_that_leave_together_only_the_wrong_one_fails(vendor, connect):
    source = connect().source("contacts")
    ids = [str(vendor.add("contacts")) for _ in range(5)]
    notes = [Note(id_, "wrong" if number == 2 else "ok") for number, id_ in enumerate(ids)]
    results = source.write_notes("PAROM_STATUS", notes)
    assert [type(result) for result in results] == [type(None)] * 2 + [Rejected] + [type(None)] * 2
    assert results[2].told == "amoCRM не принимает: Поле PAROM_STATUS: неверный тип значения"
    assert vendor.values("contacts", int(ids[4]), "PAROM_STATUS") == ["ok"]


def batch_of(vendor, connect, bodies, **changes):
    """What comes of creations that leave in one call."""
    from connectors.amocrm_batch import Batch, Item

    api = connect(**changes)._api
    batch = Batch(api, "POST", "contacts", "contacts")
    return batch, [Item(str(body.get("key", number)), body) for number, body in enumerate(bodies)]


def test_creations_beside_a_wrong_one_are_in_doubt_until_it_is_known_that_they_were_not_made(vendor, connect):
    """That a refused call writes nothing is not documented."""
    batch, items = batch_of(vendor, connect, [{"name": "a"}, {"responsible_user_id": 99}, {"name": "c"}])
    first, wrong, last = batch.write(items)
    assert [type(result) for result in (first, wrong, last)] == [InDoubt, UnknownUser, InDoubt]
    assert "ответственный: недопустимое значение" in wrong.told
    again = batch.write([items[0], items[2]])
    assert [type(result) for result in again] == [dict, dict], "who comes again has looked"
    results = batch.write(items)
    assert [type(result) for result in results] == [dict, UnknownUser, dict], "from now on it is known"


def test_who_is_refused_may_be_named_by_its_place_in_the_call(vendor, connect):
    def refuse(call):
        status, body = vendor.route(call)
        keys = [item["request_id"] for item in call["body"]]
        for error in body.get("validation-errors", ()):
            error["request_id"] = str(keys.index(error["request_id"]))
        return status, body

    vendor.on("POST", "contacts", refuse)
    bodies = [{"name": "a", "key": "k1"}, {"responsible_user_id": 99, "key": "k2"}, {"name": "c", "key": "k3"}]
    batch, items = batch_of(vendor, connect, bodies)
    assert [type(result) for result in batch.write(items)] == [InDoubt, UnknownUser, InDoubt]
    assert [type(result) for result in batch.write(items)] == [dict, UnknownUser, dict]


def refuse_many(call):
    return (400, {"status": 400, "detail": "нет"}) if len(call["body"]) > 2 else None


def test_changes_that_are_refused_without_a_culprit_are_halved(vendor, connect):
    vendor.on("PATCH", "contacts", refuse_many)
    notes = [Note(str(vendor.add("contacts")), "ok") for _ in range(8)]
    assert connect().source("contacts").write_notes("PAROM_STATUS", notes) == [None] * 8


def test_creations_that_are_refused_without_a_culprit_are_in_doubt_and_come_again_alone(vendor, connect):
    vendor.on("POST", "contacts", refuse_many)
    batch, items = batch_of(vendor, connect, [{"name": str(number)} for number in range(8)])
    assert {type(result) for result in batch.write(items)} == {InDoubt}
    assert {type(result) for result in batch.write(items)} == {dict}
    assert [len(body) for body in vendor.bodies("POST", "contacts")] == [8] + [1] * 8


def test_who_comes_again_after_a_refusal_without_a_culprit_proves_nothing(vendor, connect):
    """It may be the culprit, and the others may have been made."""
    vendor.on("POST", "contacts", refuse_many)
    batch, items = batch_of(vendor, connect, [{"name": str(number)} for number in range(8)], batch_rows=4)
    batch.write(items[:4])
    batch.write(items[:3])
    assert {type(result) for result in batch.write(items[4:])} == {InDoubt}


def test_after_a_lost_call_the_next_are_half_as_large(vendor, connect):
    vendor.on("POST", "contacts", (504, HTML), lambda _: None)
    batch, items = batch_of(vendor, connect, [{"name": str(number)} for number in range(40)])
    assert {type(result) for result in batch.write(items)} == {InDoubt}
    batch.write(items)
    assert [len(body) for body in vendor.bodies("POST", "contacts")] == [40, 20, 20]


def test_equal_keys_do_not_share_a_call(vendor, connect):
    batch, items = batch_of(vendor, connect, [{"key": "a"}, {"key": "b"}, {"key": "a"}])
    assert len({result["id"] for result in batch.write(items)}) == 3
    assert [len(body) for body in vendor.bodies("POST", "contacts")] == [2, 1]


def test_what_was_not_sent_after_an_outage_is_not_in_doubt(vendor, connect):
    vendor.on("POST", "contacts", (504, HTML))
    batch, items = batch_of(vendor, connect, [{"name": str(number)} for number in range(4)], batch_rows=2)
    assert [type(result) for result in batch.write(items)] == [InDoubt, InDoubt, Transient, Transient]


def test_a_field_that_is_gone_is_a_matter_for_the_operator_and_looked_up_anew(vendor, connect):
    target = connect().target("contacts")
    target.create(CONTACT)
    del vendor.fields["contacts"][vendor.id_of("contacts", "PAROM_ID_1C")]
    assert "parom check" in str(failure(lambda: target.create(CONTACT | {"id_1c": "a2"})))
    vendor.field("contacts", "PAROM_ID_1C")
    assert target.create(CONTACT | {"id_1c": "a2"})


# What `parom check` says and makes.


def levels(findings):
    return [finding.level for finding in findings]


def texts(findings):
    return " | ".join(f"{finding.text} {finding.hint}" for finding in findings)


@pytest.mark.parametrize("entity", ["contacts", "companies", "leads", "events"])
def test_an_account_that_is_ready_has_nothing_to_complain_of(vendor, connect, entity):
    findings = list(connect().check(entity, [FieldNeed("PAROM_STATUS", "Статус", ("text",), writable=True)]))
    assert set(levels(findings)) == {"ok"}
    assert "account 31" in texts(findings)
    assert "Europe/Moscow" in texts(findings)
    assert vendor.sent("POST", f"{entity}/custom_fields") == []


def test_our_fields_are_made_where_they_are_missing(vendor, connect):
    vendor.fields["leads"].clear()
    need = FieldNeed("PAROM_STATUS", "Статус синхронизации", ("text",), writable=True)
    assert set(levels(connect().check("leads", [need]))) == {"ok"}
    made = [body[0] for body in vendor.bodies("POST", "leads/custom_fields")]
    assert [(field["code"], field["type"]) for field in made] == [
        ("PAROM_ID_1C", "text"),
        ("PAROM_LINK_1C", "url"),
        ("PAROM_ORDER_NUMBER", "text"),
        ("PAROM_STATUS", "text"),
    ]
    assert {field["is_api_only"] for field in made} == {True}
    assert made[-1]["name"] == "Статус синхронизации"
    list(connect().check("leads", [need]))
    assert len(vendor.bodies("POST", "leads/custom_fields")) == 4


def test_a_field_that_may_not_be_made_is_left_to_the_operator(vendor, connect):
    vendor.fields["contacts"].clear()
    vendor.on("POST", "contacts/custom_fields", (403, {"status": 403}))
    findings = list(connect().check("contacts", []))
    assert "create a text field with the code PAROM_ID_1C" in texts(findings)


def test_needs_are_looked_for_where_they_belong(vendor, connect):
    inn = vendor.field("companies", "INN")
    choice = vendor.field("leads", "SOURCE", "select", enums=[{"id": 5, "value": "Сайт"}])
    needs = [
        FieldNeed("name", "Название", ()),
        FieldNeed("company", "Компания", ()),
        FieldNeed(str(inn), "ИНН", ("text",)),
        FieldNeed("SOURCE", "Источник", ("select",), options=frozenset({5, 6})),
        FieldNeed(str(choice), "Источник", ("text",)),
        FieldNeed("NO_SUCH", "Нет", ()),
        FieldNeed("1/142", "Успех", ("status",)),
        FieldNeed("2/12", "Этап", ("status",)),
        FieldNeed("2", "Воронка", ("pipeline",)),
    ]
    findings = list(connect(inn_field=str(inn)).check("leads", needs))
    errors = [finding.text for finding in findings if finding.level == "error"]
    assert len(errors) == 4
    for expected in ("has no option 6", "is of type select", "NO_SUCH", "2/12"):
        assert any(expected in text for text in errors)


@pytest.mark.parametrize(
    ("pipelines", "stages", "lacking"),
    [
        ({1, 2}, {11, 21, 142}, []),
        ((), {11, 21}, []),
        ({2}, {142, 11}, ["status 11 "]),
        ({3}, {11}, ["pipeline 3 "]),
        ((), {999}, ["status 999 "]),
    ],
    ids=str,
)
def test_pipelines_and_stages_that_count_must_be_there(vendor, connect, pipelines, stages, lacking):
    chosen = (("pipeline_id", "Воронка", pipelines), ("status_id", "Этап", stages))
    needs = [FieldNeed(code, label, (), options=frozenset(ids)) for code, label, ids in chosen]
    errors = [finding.text for finding in connect().check("leads", needs) if finding.level == "error"]
    assert len(errors) == len(lacking)
    assert all(part in text for part, text in zip(lacking, errors, strict=True))


def test_the_account_its_clock_and_its_filters_are_compared(vendor, connect, clock):
    vendor.has_filters = False
    findings = list(connect(account_id=32, default_user=99).check("contacts", []))
    assert "this is account 31, configured is 32" in texts(findings)
    assert "cannot be filtered" in texts(findings)
    assert "no active user 99" in texts(findings)


def test_a_token_that_ends_soon_is_warned_of(vendor, connect):
    import base64
    import json

    ends = int((NOW + timedelta(days=3)).timestamp())
    middle = base64.urlsafe_b64encode(json.dumps({"exp": ends, "aud": "client"}).encode()).decode().rstrip("=")
    token = Secret(f"x.{middle}.y")
    vendor.tokens.add(str(token))
    assert "ends in 3 days" in texts(connect(token=token).check("contacts", []))
    assert (
        connect(token=token)._api.config.integration == connect(token=Secret(f"z.{middle}.z"))._api.config.integration
    )


def test_an_account_that_does_not_answer_ends_the_check(vendor, connect):
    vendor.on("GET", "account", (402, {"status": 402}))
    findings = list(connect().check("contacts", []))
    assert levels(findings) == ["error"]
    assert "not paid" in texts(findings)


def test_users_cannot_be_checked_without_an_administrators_token(vendor, connect):
    vendor.on("GET", "users", (403, {"status": 403}))
    findings = list(connect(default_user=7).check("contacts", []))
    assert levels(findings)[-1] == "warning"


def test_what_is_not_there_is_a_key_error(connect):
    connector = connect()
    for call in (connector.source, connector.target):
        with pytest.raises(KeyError):
            call("interests")
    with pytest.raises(KeyError):
        connector.source("events")
    with pytest.raises(KeyError):
        list(connector.check("interests", []))


def test_targets_say_how_they_repeat(connect):
    connector = connect(settle=timedelta(seconds=90))
    for name in ("contacts", "companies", "leads", "events"):
        target = connector.target(name)
        assert target.write_class is WriteClass.CREATE_AND_FIND
        assert target.settle == timedelta(seconds=90)
        assert target.updates == (name != "events")


# Its configuration.

OAUTH = {"client_id": "c", "client_secret": Secret("s"), "redirect_uri": "https://parom.example/oauth"}


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"base_url": "parom.amocrm.ru"}, "base_url"),
        ({"base_url": "https://parom.amocrm.ru/api"}, "base_url"),
        ({"token": Secret("две части")}, "token"),
        ({"client_id": "c"}, "token"),
        ({"token": None}, "token"),
        ({"token": None, **OAUTH}, "refresh_token"),
        ({"token": None, **OAUTH, "refresh_token": Secret("r"), "authorization_code": Secret("c")}, "refresh_token"),
        ({"token": None, "client_id": "c", "refresh_token": Secret("r")}, "client_secret"),
        ({"token": None, **OAUTH, "redirect_uri": "", "refresh_token": Secret("r")}, "redirect_uri"),
        ({"id_field": "поле"}, "id_field"),
        ({"inn_field": "a b"}, "inn_field"),
        ({"link_field": "PAROM_ID_1C"}, "link_field"),
        ({"page_rows": 500}, "page_rows"),
        ({"batch_rows": 251}, "batch_rows"),
        ({"settle": timedelta(seconds=1)}, "settle"),
    ],
    ids=str,
)
def test_a_configuration_that_cannot_work_is_named(changes, key):
    given = {"base_url": HOST, "token": Secret(TOKEN)} | changes
    assert key in [found for found, _ in AmoCrmConfig(**given).problems()]


@pytest.mark.parametrize(
    "changes", [{}, {"token": None, **OAUTH, "refresh_token": Secret("r")}], ids=["token", "oauth"]
)
def test_a_configuration_that_can_work_is_let_pass(changes):
    config = AmoCrmConfig(**{"base_url": f"{HOST}/", "token": Secret(TOKEN)} | changes)
    assert list(config.problems()) == []
    assert (config.root, config.subdomain) == (HOST, "parom")
    assert TOKEN not in repr(config) + config.account + config.integration


def test_oauth_without_a_vault_is_a_mistake_of_ours():
    config = AmoCrmConfig(base_url=HOST, refresh_token=Secret("r"), **OAUTH)
    with pytest.raises(ValueError):
        AmoCrm(config, fakeredis.FakeRedis())


# What is remembered.


class Hands:
    now = 0.0

    def __call__(self):
        return self.now


def test_fields_are_remembered_and_asked_for_again_in_time(vendor, connect):
    hands, api = Hands(), connect()._api
    fields = Fields(api, "contacts", clock=hands)
    assert fields.find("PAROM_ID_1C") == fields.find(str(vendor.id_of("contacts", "PAROM_ID_1C")))
    assert fields.find("CITY") is None
    vendor.field("contacts", "CITY")
    assert fields.find("CITY") is None, "not everybody who misses a field may ask"
    assert len(vendor.calls) == 1
    hands.now = 31
    assert fields.find("CITY").type == "text"
    vendor.fields["contacts"].clear()
    assert fields.find("CITY")
    hands.now = 31 + 901
    assert failure(lambda: fields.get("CITY"))


def test_whether_an_account_has_filters_is_remembered_for_a_while(vendor, connect):
    hands, api = Hands(), connect()._api
    account = Account(api, clock=hands)
    assert account.has("changes")
    vendor.has_filters = False
    assert account.has("ids")
    assert len(vendor.calls) == 1
    hands.now = 1801
    assert not account.has("changes")
    vendor.has_filters = True
    hands.now = 3700
    assert account.has("changes")
    account.distrust("fields")
    assert not account.has("fields"), "whatever it says of itself"
    assert account.has("changes")
    hands.now = 5600
    assert account.has("fields")
