"""Requests to a 1C base: what is sent, where, how often; what its programmers' answers mean; what nobody is shown."""

import json
import re
import socket
import threading
import time
import traceback
from base64 import b64decode
from datetime import timedelta

import fakeredis
import pytest
import responses

from connectors.base import FieldNeed, Health, Located, Malformed, Secret, WriteClass
from connectors.errors import ConnectorError, InDoubt, Refused, Rejected, Throttled, Transient
from connectors.onec_handlers import OneCHandlers
from connectors.onec_handlers_base import approve, propose, registered
from connectors.onec_handlers_config import OneCHandlersConfig
from tests.unit.vaults import MemoryVault

URL = "https://1c.example/base/hs/amo"
LOGIN, PASSWORD = "Обмен", "пар0ль-s3cret"
INNER = "e1cib/data/Справочник.Контрагенты?ref=9a1a5e0e000040008000000000000001"
PERSON = "79990000001"
CONTACT = {"id": "15", "name": "Иван", "responsible_user_id": 3, "phone": PERSON, "email": None, "custom": {}}
COMPANY = {"id": "16", "name": "ООО", "responsible_user_id": 3, "inn": "7700000000", "id_1c": "co-1"}
ORDER = {"id": "17", "name": "Заказ", "responsible_user_id": 3, "price": 5, "contact": CONTACT, "company": COMPANY}
MADE = {"link": INNER, "id_1c": "c-1"}
LOCKED = "Начало сеанса с информационной базой запрещено.\nОбновление до 18:00"
NO_LICENCE = "Не обнаружено свободной лицензии!"
STACK = "{HTTPСервис.ОбменAmoCRM.Модуль(37)}: Не заполнен ИНН у " + PERSON


def config(**changes):
    known = {"key": "31000001", "id_base": "trade-1", "token": Secret("t" * 22)}
    return OneCHandlersConfig(**known | changes)


def public(*_):
    return ["93.184.216.34"]


class FakeHandlers:
    """Answers as told, or with MADE; keeps what it was asked. Nothing reaches a network."""

    def __init__(self, mock):
        self.script, self.bodies, self.requests = [], [], []
        mock.add_callback("POST", re.compile("https?://"), self.answer)

    def answers(self, *answers):
        self.script += answers

    def answer(self, request):
        self.requests.append(request)
        self.bodies.append(json.loads(request.body))
        status, body, kind = self.script.pop(0) if self.script else (200, MADE, "application/json")
        body = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        return status, {"Content-Type": kind}, body.encode("utf-8-sig")


def ok(body, kind="application/json"):
    return 200, body, kind


def html(status, text="x"):
    return status, f"<html><body><h1>{text}</h1></body></html>", "text/html"


def exception(status, reason, text):
    inner = {"descr": text, "inner": None}
    outer = {"reason": reason, "descr": "HTTP: Error", "inner": {"descr": "Ошибка", "inner": inner}}
    return status, {"#exception": "{http://v8.1c.ru}Exception", "exception": outer}, "application/json"


@pytest.fixture
def base():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield FakeHandlers(mock)


@pytest.fixture
def vault():
    return MemoryVault()


@pytest.fixture
def connect(base, vault):
    def build(redis=None, *, registers=True, field_map=lambda _: (), **changes):
        configured = config(**changes)
        if registers:
            made = registered(web_address=URL, url_address="https://1c.example/base", login=LOGIN, password=PASSWORD)
            propose(vault, configured, made, resolve=public)
        redis = redis or fakeredis.FakeRedis(server=fakeredis.FakeServer())
        return OneCHandlers(configured, redis, vault=vault, field_map=field_map, sleep=lambda _: None, resolve=public)

    return build


def failure(call):
    with pytest.raises(ConnectorError) as raised:
        call()
    shown = "".join(traceback.format_exception(raised.value)) + getattr(raised.value, "told", "")
    for secret in (PASSWORD, PERSON, "s3cret", "hs/amo"):
        assert secret not in shown
    return raised.value


# What is sent.


def test_a_contact_is_sent_as_the_brief_shows_it(base, connect):
    assert connect().target("contacts").create(CONTACT) == "c-1"
    assert base.bodies == [
        {
            "key": 31000001,
            "id_base": "trade-1",
            "type": "new_lead",
            "clients": {"company": {"id": 15, "name": "Иван", "responsible_user_id": 3, "phone": PERSON}},
        }
    ]
    (request,) = base.requests
    assert request.url == URL
    assert b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode() == f"{LOGIN}:{PASSWORD}"


def test_handlers_may_want_a_contact_under_its_own_name(base, connect):
    connect(contact_key="contact").target("contacts").create(CONTACT)
    assert list(base.bodies[0]["clients"]) == ["contact"]


def test_a_company_is_sent_with_its_inn_and_known_id(base, connect):
    connect(contact_key="contact").target("companies").create(COMPANY)
    assert base.bodies[0]["clients"] == {
        "company": {"id": 16, "name": "ООО", "responsible_user_id": 3, "inn": "7700000000", "id_1c": "co-1"}
    }


def test_an_order_is_sent_with_its_contact_and_company(base, connect):
    connect().target("orders").create(ORDER)
    body = base.bodies[0]
    assert (body["type"], body["id"], body["name"], body["price"]) == ("new_order", 17, "Заказ", 5)
    assert {name: party["id"] for name, party in body["clients"].items()} == {"contact": 15, "company": 16}
    connect().target("orders").create({**ORDER, "contact": None, "company": None})
    assert base.bodies[1]["clients"] == {}


def test_an_update_is_the_same_request_that_names_what_1c_has(base, connect):
    for entity, payload in (("contacts", CONTACT), ("orders", ORDER)):
        assert connect().target(entity).update("known-1", payload) == "c-1"
    assert base.bodies[0]["clients"]["company"]["id_1c"] == "known-1"
    assert base.bodies[1]["id_1c"] == "known-1"
    assert "id_1c" not in base.bodies[1]["clients"]["contact"]


def test_only_those_custom_fields_are_sent_that_the_base_has_asked_for(base, connect):
    wanted = {"contacts": {"1", "2"}, "leads": {"5"}}
    custom = {"1": "a\x02", "2": None, "3": "mass assignment"}
    order = {**ORDER, "custom": {"5": [1], "1": 2}, "contact": {**CONTACT, "custom": custom}, "company": COMPANY}
    connect(field_map=lambda entity: wanted.get(entity, ())).target("orders").create(order)
    body = base.bodies[0]
    assert {name: value for name, value in body.items() if name.startswith("p_")} == {"p_5": [1]}
    contact = body["clients"]["contact"]
    assert {name: value for name, value in contact.items() if name.startswith("p_")} == {"p_1": "a", "p_2": None}


def test_a_base_is_not_asked_what_it_has(base, connect):
    target = connect().target("contacts")
    assert (target.find("15"), target.match(CONTACT)) == (None, None)
    assert base.bodies == []


@pytest.mark.parametrize(("is_safe", "kind"), [(True, WriteClass.UPSERT), (False, WriteClass.CREATE_BLIND)])
def test_how_safe_a_repeat_is_decides_the_class(connect, is_safe, kind):
    target = connect(repeats_are_safe=is_safe).target("contacts")
    assert (target.write_class, target.updates, target.settle) == (kind, True, timedelta(seconds=120))


# What is answered.


@pytest.mark.parametrize(
    ("body", "made"),
    [
        (MADE, ("c-1", INNER)),
        (
            {"id_1c": 12, "link": "https://1c.example/base/#e1cib/data/x"},
            ("12", "https://1c.example/base/#e1cib/data/x"),
        ),
        ({"id_1c": "c-1", "link": "https://thief.example/"}, ("c-1", None)),
        ({"id_1c": "c-1", "link": "javascript:alert(1)"}, ("c-1", None)),
        ({"id_1c": "c-1"}, ("c-1", None)),
        ({"success": True, "data": MADE, "error": None}, ("c-1", INNER)),
        ({"error": "", "errors": [], "Ошибка": False, **MADE}, ("c-1", INNER)),
    ],
)
@pytest.mark.parametrize("kind", ["application/json", "text/plain; charset=utf-8", "text/html"])
def test_a_good_answer_is_read_whatever_it_calls_itself(base, connect, body, made, kind):
    base.answers(ok(body, kind))
    located = connect().target("contacts").create(CONTACT)
    assert isinstance(located, Located)
    assert (located, located.link) == made


def test_links_may_have_a_host_of_their_own(base, connect):
    base.answers(ok({"id_1c": "c-1", "link": "https://links.example/x"}))
    assert connect(links_host="Links.example").target("contacts").create(CONTACT).link == "https://links.example/x"


REFUSALS = [
    ok({"error": f"Дубль по телефону {PERSON}"}),
    ok({"error": f"Не заполнен ИНН {PERSON}"}, "text/html"),
    ok({"success": False, "error": PERSON}),
    ok({"Ошибка": True, "ТекстОшибки": PERSON}),
    (400, f"Неверный тип: inn {PERSON}", "text/plain"),
    (404, {"error": "Сделка не найдена"}, "application/json"),
]


@pytest.mark.parametrize("answer", REFUSALS)
@pytest.mark.parametrize("is_safe", [True, False])
def test_what_the_handlers_refuse_the_manager_is_told(base, connect, answer, is_safe):
    base.answers(answer)
    error = failure(lambda: connect(repeats_are_safe=is_safe).target("contacts").create(CONTACT))
    assert type(error) is Rejected
    assert error.told.startswith("1С не приняла контакт: обработчик сообщил об ошибке")
    assert len(error.told) <= 255


def test_the_manager_is_told_what_to_look_at(base, connect):
    base.answers(ok({"error": f"Инна: не заполнен ИНН и телефон {PERSON}, ответственный неизвестен"}))
    error = failure(lambda: connect().target("companies").create(COMPANY))
    assert error.told.endswith("в ней упомянуто: ИНН, телефон, ответственный")
    assert error.told.startswith("1С не приняла компанию")


LEFT_OPEN = [
    (500, {"error": PERSON}, "application/json"),
    (500, f"<html>{STACK}</html>", "text/html"),
    exception(500, 500, STACK),
    ok("Спасибо, принято"),
    ok({"link": INNER}),
    ok({"id_1c": ""}),
    ok({"id_1c": True}),
    ok({"id_1c": "a" * 101}),
    ok({"id_1c": "a\nb"}),
]


@pytest.mark.parametrize("answer", LEFT_OPEN)
def test_what_leaves_open_whether_it_was_written_is_refused_only_where_a_repeat_is_safe(base, connect, answer):
    base.answers(answer, answer)
    assert type(failure(lambda: connect().target("contacts").create(CONTACT))) is Rejected
    assert type(failure(lambda: connect(repeats_are_safe=False).target("contacts").create(CONTACT))) is InDoubt


def test_an_operator_is_told_the_module_and_the_line(base, connect):
    base.answers(exception(500, 500, STACK))
    error = failure(lambda: connect().target("contacts").create(CONTACT))
    assert "HTTPСервис.ОбменAmoCRM.Модуль(37)" in str(error)
    assert str(error).startswith("1C trade-1 new_lead: ")


LOST = [
    html(500),
    html(502),
    html(503, "Service Unavailable"),
    html(200),
    html(408),
    (408, {"error": "timeout"}, "application/json"),
    (503, {"error": "overloaded"}, "application/json"),
    (500, "", "text/plain"),
    exception(500, 500, "Ошибка соединения с сервером"),
    ok(""),
    ok("[]"),
    ok("5"),
    ok("null"),
    ok('{"id_1c": "c-'),
    ok('[{"id_1c": "c-1"}]'),
]


@pytest.mark.parametrize("answer", LOST, ids=repr)
@pytest.mark.parametrize("is_safe", [True, False])
def test_a_write_without_a_usable_answer_is_in_doubt_and_not_sent_again_at_once(base, connect, answer, is_safe):
    base.answers(answer)
    error = failure(lambda: connect(repeats_are_safe=is_safe).target("contacts").create(CONTACT))
    assert type(error) is InDoubt
    assert len(base.bodies) == 1


@pytest.mark.parametrize(
    ("answer", "kind", "wait"),
    [
        *(
            (each, Throttled, 300)
            for each in (exception(403, 403, LOCKED), exception(500, 403, LOCKED), html(503, LOCKED))
        ),
        *((each, Transient, 60) for each in (exception(500, 500, NO_LICENCE), html(406, NO_LICENCE), ok(NO_LICENCE))),
        (ok({"error": NO_LICENCE}), Transient, 60),
        (ok({"error": "Конфликт блокировок при выполнении транзакции"}), Transient, None),
        ((429, "", "text/plain"), Throttled, 60),
    ],
    ids=repr,
)
def test_a_base_that_cannot_now_is_asked_later(base, connect, answer, kind, wait):
    base.answers(answer)
    error = failure(lambda: connect().target("contacts").create(CONTACT))
    assert type(error) is kind
    assert error.wait == wait


@pytest.mark.parametrize(
    "answer",
    [
        *(html(status) for status in (401, 403, 404, 405, 407, 501)),
        *(exception(500, status, "Нет прав") for status in (401, 403)),
        (401, {"error": "login"}, "application/json"),
        (302, "", "text/html"),
    ],
    ids=repr,
)
def test_what_no_record_is_to_blame_for_pauses_the_flow(base, connect, answer):
    base.answers(answer)
    error = failure(lambda: connect().target("contacts").create(CONTACT))
    assert type(error) is Refused


def test_a_redirect_is_not_followed_and_its_place_not_shown(base, connect):
    base.answers((302, "", "text/html"))
    assert "redirects" in str(failure(lambda: connect().target("contacts").create(CONTACT)))
    assert len(base.bodies) == 1


# Requests for people.


def document(**changes):
    shown = {"title": "Заказ 5", "doc_type": "leads", "link": INNER, "parent_link": ""}
    return shown | {"google_drive_id": "", "google_drive_link": ""} | changes


def test_documents_of_a_deal_are_shown_harmless(base, connect):
    dirty = document(title="<b>\x1b[31m\u202eСчёт\n5", link="javascript:x", google_drive_link="https://thief.example/")
    base.answers(ok([document(), dirty | {"extra": 1}]))
    assert connect().get_orders(17) == [document(), document(title="<b>[31mСчёт 5", link="")]
    assert base.bodies == [{"key": 31000001, "id_base": "trade-1", "type": "get_orders", "id": 17}]


@pytest.mark.parametrize("body", [[], None, {"success": True, "data": [], "error": None}])
def test_a_deal_may_have_no_documents(base, connect, body):
    base.answers(ok(body))
    assert connect().get_orders(17) == []


@pytest.mark.parametrize("body", [{"x": 1}, ["a"], 5, "[", "<html>"])
def test_what_is_no_list_of_documents_is_asked_for_again(base, connect, body):
    base.answers(ok(body if isinstance(body, str) else json.dumps(body)), ok([document()]))
    assert len(connect().get_orders(17)) == 1
    assert len(base.bodies) == 2


def test_no_more_documents_are_shown_than_a_person_looks_at(base, connect):
    base.answers(ok([document()] * 600))
    assert len(connect().get_orders(17)) == 500


@pytest.mark.parametrize(("body", "expected"), [({"version": "1.4.2"}, "1.4.2"), ({"version": 14}, "14")])
def test_the_version_of_the_handlers_is_text(base, connect, body, expected):
    base.answers(ok(body))
    assert connect().handlers_version() == expected
    assert base.bodies[0]["type"] == "get_handlers_version"


ROW = {"amo_name": "Имя", "amo_id": 5, "entity_name": "Контакт"}


@pytest.mark.parametrize("answer", [ok({"version": "1"}), ok([]), ok(""), ok("OK"), ok("null")])
def test_each_row_of_the_table_is_a_request_and_its_answer_is_ignored(base, connect, answer):
    base.answers(answer, answer)
    assert connect().send_table([ROW, ROW | {"amo_id": 6, "entity_name": "Сделка", "more": 1}], 3) == 2
    assert base.bodies[0] == {"key": 31000001, "id_base": "trade-1", "type": "corr_table", "user_id": 3, "table": ROW}
    assert base.bodies[1]["table"] == {"amo_name": "Имя", "amo_id": 6, "entity_name": "Сделка"}


@pytest.mark.parametrize("answer", [ok({"error": "x"}), (400, "x", "text/plain")])
def test_an_error_is_not_ignored(base, connect, answer):
    base.answers(answer)
    assert type(failure(lambda: connect().send_table([ROW]))) is Rejected


@pytest.mark.parametrize("changes", [{"amo_name": ""}, {"amo_id": "5"}, {"amo_id": True}, {"entity_name": "Задача"}])
def test_a_wrong_row_is_told_before_anything_is_sent(base, connect, changes):
    with pytest.raises(Malformed, match="Сотрудник"):
        connect().send_table([ROW, ROW | changes])
    assert base.bodies == []


# Where it is called.


def test_a_base_that_has_not_registered_is_not_called(base, connect):
    connector = connect(registers=False)
    assert "POST /sync/base" in str(failure(lambda: connector.target("contacts").create(CONTACT)))
    assert "POST /sync/base" in str(failure(connector.probe))
    assert base.bodies == []


def test_a_base_that_is_not_approved_is_not_called(base, connect, vault):
    connector = connect(registers=False)
    made = registered(web_address="http://srv1c/hs", url_address="", login=LOGIN, password=PASSWORD)
    propose(vault, config(), made, resolve=lambda *_: ["10.0.0.5"])
    error = failure(connector.probe)
    assert type(error) is Refused
    assert "approval" in str(error)
    approve(vault, config(), private=True, pin=None, resolve=lambda *_: ["10.0.0.5"])
    connector.target("contacts").create(CONTACT)
    assert base.requests[0].url == "http://srv1c/hs"


def test_a_base_that_moved_or_changed_its_password_is_called_as_it_is_now(base, connect, vault):
    connector = connect()
    connector.target("contacts").create(CONTACT)
    new = registered(web_address=URL, url_address="https://1c.example/base", login=LOGIN, password="new")
    propose(vault, config(), new, resolve=public)
    connector.target("contacts").create(CONTACT)
    moved = registered(web_address="https://1c.example:8443/hs", url_address="", login=LOGIN, password="new")
    propose(vault, config(), moved, resolve=public)
    connector.target("contacts").create(CONTACT)
    approve(vault, config(), private=False, pin=None, resolve=public)
    connector.target("contacts").create(CONTACT)
    assert [request.url for request in base.requests] == [URL, URL, URL, "https://1c.example:8443/hs"]
    assert len({request.headers["Authorization"] for request in base.requests}) == 2


def test_a_configured_address_wins(base, connect):
    own = {"web_address": "http://10.0.0.9/hs", "handlers_login": "a", "handlers_password": Secret("b")}
    connect(**own).target("contacts").create(CONTACT)
    assert base.requests[0].url == "http://10.0.0.9/hs"


def test_a_vault_that_is_away_is_an_outage(base, connect, vault):
    connector = connect()
    vault.is_down = True
    assert type(failure(lambda: connector.target("contacts").create(CONTACT))) is Transient
    assert base.bodies == []


def test_the_connector_calls_under_the_guard(vault):
    """No mock here: a real listener that nobody may reach."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://1c.example:{listener.getsockname()[1]}/"
        made = registered(web_address=url, url_address="", login=LOGIN, password=PASSWORD)
        propose(vault, config(), made, resolve=public)
        approve(vault, config(), private=True, pin=None, resolve=lambda *_: ["10.0.0.5"])
        redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
        rebound = OneCHandlers(config(), redis, vault=vault, resolve=lambda *_: ["127.0.0.1"])
        error = failure(rebound.probe)
        assert type(error) is Refused
        assert "approve it again" in str(error)
        listener.settimeout(0.05)
        with pytest.raises(TimeoutError):
            listener.accept()


# How many at a time.


def test_no_more_requests_are_under_way_than_the_base_shall_bear(base, connect):
    under_way, most, wait = [], [], threading.Event()

    def slow(request):
        under_way.append(1)
        most.append(len(under_way))
        wait.wait(0.01)
        under_way.pop()
        return 200, {}, json.dumps(MADE)

    base.answer = slow
    redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.add_callback("POST", re.compile("https://"), slow)
        two = [connect(redis, concurrency=2), connect(redis, concurrency=2)]
        for connector in two:
            connector._handlers._slots._sleep = lambda _: time.sleep(0.005)
        threads = [threading.Thread(target=two[n % 2].target("contacts").create, args=[CONTACT]) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(most) == 12
    assert max(most) <= 2


def test_a_slot_is_given_back_however_the_request_ended(base, connect):
    connector = connect(concurrency=1)
    base.answers(html(502), html(401), ok({"error": "x"}))
    for _ in range(3):
        failure(lambda: connector.target("contacts").create(CONTACT))
    connector.target("contacts").create(CONTACT)
    assert connector.health() == Health("closed", 0.0, 0.0)
    assert connector.headroom() == 4


# What `parom check` finds.


def findings(connector, level, entity="contacts", needs=()):
    return [found.text + " " + found.hint for found in connector.check(entity, needs) if found.level == level]


def test_a_base_that_answers_has_no_fault(base, connect):
    base.answers(*[ok({"version": "1.4.2"})] * 2)
    connector = connect()
    (told,) = findings(connector, "ok")
    assert "version 1.4.2" in told
    assert findings(connector, "error") == findings(connector, "warning") == []


@pytest.mark.parametrize(("entity", "level"), [("contacts", "error"), ("leads", "warning")])
def test_a_base_that_is_not_registered_matters_to_what_is_sent_there(connect, entity, level):
    (told,) = findings(connect(registers=False), level, entity)
    assert "has not registered" in told


def test_what_waits_for_an_operator_is_told(base, connect, vault):
    base.answers(*[ok({"version": "1"})] * 3)
    connector = connect()
    other = registered(web_address="https://thief.example/hs", url_address="", login=LOGIN, password=PASSWORD)
    propose(vault, config(), other, resolve=public)
    (told,) = findings(connector, "warning")
    assert "thief.example" in told
    vault.values.clear()
    propose(vault, config(), other, resolve=lambda *_: ["10.0.0.1"])
    (told,) = findings(connector, "error")
    assert "thief.example is not approved" in told


def test_what_is_unsafe_is_warned_of(base, connect):
    base.answers(ok({"version": "1"}))
    own = {"web_address": "http://10.0.0.9/hs", "handlers_login": "a", "handlers_password": Secret("b")}
    warned = findings(connect(**own, token=None, legacy_addresses=("203.0.113.7",)), "warning")
    assert "legacy_addresses" in warned[0]
    assert "unencrypted" in warned[1]


def test_a_base_without_a_host_for_links_is_warned_of(base, connect, vault):
    base.answers(ok({"version": "1"}))
    made = registered(web_address=URL, url_address="srv1c", login=LOGIN, password=PASSWORD)
    propose(vault, config(), made, resolve=public)
    (warned,) = findings(connect(registers=False), "warning")
    assert "links" in warned


def test_a_base_that_refuses_us_is_one_finding(base, connect):
    base.answers(html(401))
    (told,) = findings(connect(), "error")
    assert "login and password" in told


def test_the_fields_that_a_flow_reads_are_those_that_1c_sends(base, connect):
    base.answers(*[ok({"version": "1"})] * 2)
    needs = [FieldNeed("inn", "ИНН", ()), FieldNeed("colour", "Цвет", ()), FieldNeed("name", "x", (), writable=True)]
    connector = connect()
    assert [
        "colour" in text or "name" in text for text in findings(connector, "error", "clients_companies", needs)
    ] == [True] * 2
    assert "inn" in findings(connector, "ok", "clients_companies", needs)[-1]


def test_a_base_that_does_not_know_the_question_is_alive(base, connect):
    base.answers((400, "Неизвестный тип запроса", "text/plain"))
    connect().probe()


def test_what_the_base_does_not_have_is_a_key_error(connect):
    for ask in (connect().source, connect().target, lambda name: list(connect().check(name, ()))):
        with pytest.raises(KeyError):
            ask("unicorns")
