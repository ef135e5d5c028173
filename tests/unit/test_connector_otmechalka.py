"""otmechalka as a target: what is sent, what each answer means, and what the manager is told."""

import json
import traceback
from datetime import UTC, datetime, timedelta

import fakeredis
import pytest
import responses
import time_machine

from connectors.base import Health, Secret, WriteClass
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
from connectors.otmechalka import Otmechalka
from connectors.otmechalka_config import OtmechalkaConfig
from connectors.otmechalka_target import ENTITIES

TOKEN = "t0k3n-of-the-school"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CLIENTS = "https://school.example/api/clients/"
ONE = CLIENTS + "39558/"
PAYLOAD = {"origin_id": "39558", "first_name": "Василий", "phone": "79991234567", "courses": ["10985"]}
FOUND = {"id": 7, "origin_id": "39558"}
TICKETS = "https://school.example/api/tickets/"
TICKET = {"origin_id": "501", "client_origin_id": "39558", "ticket_type": "8 занятий", "price_final": "8700.00"}
SOLD = {"id": 90, "origin_id": "501"}


@pytest.fixture
def mock():
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def connect(clock):
    def build(**changes):
        config = {"base_url": "https://school.example", "token": Secret(TOKEN), "requests_per_second": 1000.0}
        redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
        return Otmechalka(OtmechalkaConfig(**config | {"burst": 1000} | changes), redis, sleep=clock.shift)

    return build


@pytest.fixture
def clients(connect):
    return connect().target("clients")


@pytest.fixture
def tickets(connect):
    return connect().target("tickets")


def json_404(mock, method="GET"):
    mock.add(method, ONE, status=404, json={"detail": "Страница не найдена."})


def sent(mock):
    return [(call.request.method, call.request.url) for call in mock.calls]


def test_a_client_is_found_by_the_key_and_known_by_the_schools_id(mock, clients):
    mock.add("GET", ONE, json=FOUND)
    assert clients.find("39558").id == "7"
    assert mock.calls[0].request.headers["Authorization"] == f"Token {TOKEN}"


def test_a_client_that_is_not_there_is_none(mock, clients):
    json_404(mock)
    assert clients.find("39558") is None


def test_a_client_is_created_with_the_payload_as_given(mock, clients):
    mock.add("POST", CLIENTS, status=201, json=FOUND | {"id": "7"})
    assert clients.create(PAYLOAD) == "7"
    assert json.loads(mock.calls[0].request.body) == PAYLOAD


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_an_update_goes_to_the_key_by_the_configured_method(mock, connect, method):
    mock.add(method, ONE, json=FOUND)
    assert connect(update_method=method).target("clients").update("39558", PAYLOAD) == "7"


def test_an_update_of_an_unknown_client_is_none(mock, clients):
    json_404(mock, "POST")
    assert clients.update("39558", PAYLOAD) is None


def test_keys_are_quoted(mock, clients):
    mock.add("GET", CLIENTS + "..%2Ftickets%2F1%3Fx%20%D1%8F/", status=404, json={})
    assert clients.find("../tickets/1?x я") is None


def test_the_wire_is_configuration(mock, connect):
    mock.add("GET", "http://school.example:8080/crm/api/clients/0/", status=404, json={})
    connector = connect(base_url="http://school.example:8080/crm/", auth_header="X-Api-Key", auth_scheme="")
    connector.probe()
    assert mock.calls[0].request.headers["X-Api-Key"] == TOKEN
    assert "Authorization" not in mock.calls[0].request.headers
    assert [finding.level for finding in connector.check("clients", [])] == ["warning", "ok"]


def test_a_target_declares_how_it_repeats(connect):
    clients = connect(settle=timedelta(seconds=3)).target("clients")
    assert clients.write_class is WriteClass.CREATE_AND_FIND
    assert clients.settle == timedelta(seconds=3)
    assert (clients.updates, connect().target("tickets").updates) == (True, False)


# Absence.


@pytest.mark.parametrize("body", ["null", "{}", '{"id": null}'])
def test_an_empty_200_is_absence_only_where_configured(mock, connect, body):
    mock.add("GET", ONE, body=body)
    assert connect(absent_as_empty_200=True).target("clients").find("39558") is None
    with pytest.raises(Transient):
        connect().target("clients").find("39558")


def test_an_empty_200_never_is_a_creation(mock, connect):
    mock.add("POST", CLIENTS, body="null")
    with pytest.raises(InDoubt):
        connect(absent_as_empty_200=True).target("clients").create(PAYLOAD)


@pytest.mark.parametrize("kind", ["text/html", "text/plain", ""])
def test_a_404_without_json_is_no_word_about_the_client(mock, connect, kind):
    mock.add("GET", ONE, status=404, body="404 page not found", content_type=kind)
    with pytest.raises(Refused):
        connect().target("clients").find("39558")
    assert connect(absent_as_any_404=True).target("clients").find("39558") is None


def test_a_404_with_broken_json_is_no_word_either(mock, clients):
    mock.add("GET", ONE, status=404, body='{"detail": "Не', content_type="application/json")
    with pytest.raises(Transient):
        clients.find("39558")


# Duplicates.


@pytest.mark.parametrize(
    ("status", "body", "config"),
    [
        (409, {"detail": "exists"}, {}),
        (409, "<html>", {}),
        (400, {"origin_id": ["Посетитель с таким origin_id уже существует."]}, {}),
        (422, {"detail": "exists"}, {"duplicate_statuses": (409, 422)}),
    ],
)
def test_a_client_that_exists_already_is_updated(mock, connect, status, body, config):
    mock.add("POST", CLIENTS, status=status, **({"json": body} if isinstance(body, dict) else {"body": body}))
    mock.add("POST", ONE, json=FOUND)
    assert connect(**config).target("clients").create(PAYLOAD) == "7"
    assert sent(mock) == [("POST", CLIENTS), ("POST", ONE)]
    assert json.loads(mock.calls[1].request.body) == PAYLOAD


def test_a_key_that_is_wrong_and_not_there_is_rejected_in_the_words_of_the_creation(mock, clients):
    mock.add("POST", CLIENTS, status=400, json={"origin_id": ["Ожидалась строка из цифр."]})
    json_404(mock, "POST")
    with pytest.raises(Rejected) as caught:
        clients.create(PAYLOAD)
    assert caught.value.told == "Отмечалка не приняла: внешний код: Ожидалась строка из цифр."


# Tickets.


def test_a_ticket_is_found_and_created_under_its_own_path(mock, tickets):
    mock.add("GET", TICKETS + "501/", json=SOLD)
    mock.add("POST", TICKETS, json=SOLD)
    assert tickets.find("501").id == "90"
    assert tickets.create(TICKET) == "90"
    assert json.loads(mock.calls[1].request.body) == TICKET


def test_a_ticket_cannot_be_updated_and_nothing_is_sent(mock, tickets):
    with pytest.raises(Refused, match="the API has no call that changes tickets"):
        tickets.update("501", TICKET)
    assert sent(mock) == []


@pytest.mark.parametrize(
    ("status", "body"), [(409, {"detail": "exists"}), (409, {}), (400, {"origin_id": ["уже существует"]})], ids=str
)
def test_a_ticket_that_exists_already_is_our_own_and_left_as_it_is(mock, tickets, status, body):
    mock.add("POST", TICKETS, status=status, json=body)
    mock.add("GET", TICKETS + "501/", json=SOLD)
    assert tickets.create(TICKET) == "90"
    assert sent(mock) == [("POST", TICKETS), ("GET", TICKETS + "501/")]


def test_a_ticket_that_is_refused_for_its_key_and_not_there_is_rejected_in_the_words_of_the_creation(mock, tickets):
    mock.add("POST", TICKETS, status=400, json={"origin_id": ["Ожидалась строка из цифр."]})
    mock.add("GET", TICKETS + "501/", status=404, json={})
    with pytest.raises(Rejected) as caught:
        tickets.create(TICKET)
    assert caught.value.told == "Отмечалка не приняла: внешний код: Ожидалась строка из цифр."
    assert not isinstance(caught.value, ParentMissing)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"client_origin_id": ["Посетитель не найден."]}),
        (404, {"client_origin_id": ["Посетитель не найден."]}),
        (404, {"detail": "Не найдено."}),
    ],
    ids=str,
)
def test_a_ticket_of_an_unknown_client_waits_for_it(mock, tickets, status, body):
    mock.add("POST", TICKETS, status=status, json=body)
    with pytest.raises(ParentMissing) as caught:
        tickets.create(TICKET)
    assert caught.value.told.startswith("Отмечалка не приняла: ")
    assert len(mock.calls) == 1


NOT_ABOUT_THE_CLIENT = [
    (404, "<html>", {}, Refused),
    (404, "<html>", {"absent_as_any_404": True}, ParentMissing),
    (422, {"client_origin_id": ["x"]}, {}, Rejected),
    (400, {"ticket_type": ["нет такого"]}, {}, Rejected),
    (400, {"detail": "client_origin_id"}, {}, Rejected),
    (400, {"code": "limit", "detail": "Превышено"}, {}, LimitReached),
    (403, {"client_origin_id": ["Нет прав."]}, {}, Refused),
    (500, {"client_origin_id": ["x"]}, {}, InDoubt),
]


@pytest.mark.parametrize("answer", NOT_ABOUT_THE_CLIENT, ids=lambda answer: str(answer[:3]))
def test_no_other_answer_makes_a_ticket_wait(mock, connect, answer):
    status, body, config, meaning = answer
    given = {"json": body} if isinstance(body, dict) else {"body": body, "content_type": "text/html"}
    mock.add("POST", TICKETS, status=status, **given)
    with pytest.raises(ConnectorError) as caught:
        connect(**config).target("tickets").create(TICKET)
    assert type(caught.value) is meaning


def test_a_ticket_that_is_wrong_is_told_in_the_words_of_the_school(mock, tickets):
    wrong = {"ticket_type": ["Нет такого."], "price_final": ["Не равна стоимости за вычетом скидки."]}
    mock.add("POST", TICKETS, status=400, json=wrong)
    with pytest.raises(Rejected) as caught:
        tickets.create(TICKET)
    told = "тип абонемента: Нет такого.; стоимость со скидкой: Не равна стоимости за вычетом скидки."
    assert caught.value.told == f"Отмечалка не приняла: {told}"


def test_a_client_is_nobodys_child(mock, clients):
    mock.add("POST", CLIENTS, status=400, json={"client_origin_id": ["x"]})
    with pytest.raises(Rejected) as caught:
        clients.create(PAYLOAD)
    assert type(caught.value) is Rejected


# What an answer means.

MEANINGS = [
    (429, {"detail": "Too many requests"}, Throttled, Throttled),
    (401, {"detail": "Недопустимый токен."}, Refused, Refused),
    (403, {"detail": "Нет прав."}, Refused, Refused),
    (403, {"code": "limit", "detail": "Превышено"}, LimitReached, LimitReached),
    (400, {"detail": "Client LIMIT exceeded"}, LimitReached, LimitReached),
    (400, {"errors": ["Превышен лимит посетителей"]}, LimitReached, LimitReached),
    (400, {"first_name": ["Length limit is 50."]}, Rejected, Rejected),
    (400, {"detail": "Посетитель находится в архиве."}, Rejected, Rejected),
    (422, "[]", Rejected, Rejected),
    (405, {"detail": "Метод не разрешен."}, Refused, Refused),
    (415, "", Refused, Refused),
    (301, "", Refused, Refused),
    (408, "", Transient, Transient),
    (500, "<html>", Transient, InDoubt),
    (502, "<html>", Transient, InDoubt),
    (503, {"detail": "maintenance"}, Transient, InDoubt),
    (200, "<html>", Transient, InDoubt),
    (200, "", Transient, InDoubt),
    (200, "[]", Transient, InDoubt),
    (200, '"ok"', Transient, InDoubt),
    (200, {"result": "ok"}, Transient, InDoubt),
    (200, {"id": "seven"}, Transient, InDoubt),
    (200, {"id": True}, Transient, InDoubt),
    (200, {"id": 7.5}, Transient, InDoubt),
    (200, {"id": 7, "origin_id": "40000"}, Transient, InDoubt),
    (200, {"error": "oops"}, Transient, InDoubt),
]


CALLS = {
    "find": lambda clients: clients.find("39558"),
    "create": lambda clients: clients.create(PAYLOAD),
    "update": lambda clients: clients.update("39558", PAYLOAD),
}


@pytest.mark.parametrize("verb", CALLS)
@pytest.mark.parametrize("answer", MEANINGS, ids=lambda answer: str(answer[:2]))
def test_every_other_answer_has_its_meaning(mock, clients, verb, answer):
    status, body, after_read, after_write = answer
    method, url = {"find": ("GET", ONE), "create": ("POST", CLIENTS), "update": ("POST", ONE)}[verb]
    mock.add(method, url, status=status, **({"json": body} if isinstance(body, dict) else {"body": body}))
    with pytest.raises(ConnectorError) as caught:
        CALLS[verb](clients)
    assert type(caught.value) is (after_read if verb == "find" else after_write)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    assert str(caught.value).startswith("otmechalka school.example")
    is_repeated = verb == "find" and after_read is Transient
    assert len(mock.calls) == (3 if is_repeated else 1), "a read is repeated, a write never"


def test_creating_at_a_wrong_address_is_refused_and_not_taken_for_absence(mock, clients):
    mock.add("POST", CLIENTS, status=404, json={"detail": "Страница не найдена."})
    with pytest.raises(Refused):
        clients.create(PAYLOAD)


def test_a_redirect_is_not_followed_and_names_the_host_alone(mock, clients):
    mock.add("GET", ONE, status=301, headers={"Location": "https://new.example/api/clients/39558/"})
    with pytest.raises(Refused, match=r"redirects to new\.example: change base_url$"):
        clients.find("39558")


def test_being_throttled_holds_everybody_back_for_as_long_as_asked(mock, connect, clock):
    mock.add("GET", ONE, status=429, headers={"Retry-After": "30"})
    connector = connect()
    for _ in range(2):
        with pytest.raises(Throttled) as caught:
            connector.target("clients").find("39558")
        assert caught.value.wait == pytest.approx(30, abs=1)
    assert len(mock.calls) == 1
    assert connector.headroom() == 1
    clock.shift(40)
    assert connector.headroom() > 1


def test_an_outage_with_a_time_is_waited_for_as_asked(mock, clients):
    mock.add("GET", ONE, status=503, headers={"Retry-After": "120"})
    with pytest.raises(Transient) as caught:
        clients.find("39558")
    assert caught.value.wait == 120
    assert len(mock.calls) == 1


# What the manager is told.

TOLD = [
    ({"phone": ["Неверный номер."]}, "телефон: Неверный номер."),
    ({"phone": ["a", "b"], "email": "c"}, "телефон: a; телефон: b; e-mail: c"),
    ({"detail": "Посетитель находится в архиве."}, "Посетитель находится в архиве."),
    ({"code": "archived", "detail": "В архиве."}, "В архиве."),
    ({"errors": {"courses": {"0": ["Нет такого."]}}}, "направления: Нет такого."),
    ({"group": ["x"]}, "group: x"),
    (["a", {"detail": "b"}, None, ""], "a; b"),
    ({}, "ошибка 422 без объяснения"),
    ("<html><h1>Server error</h1>", "ошибка 422 без объяснения"),
    ({"detail": "<b>нет</b> <script>x"}, "нет x"),
    ({"phone": ["+7 (926) 123-45-67 занят"]}, "телефон: *** занят"),
    ({"phone": ["79261234567"]}, "телефон: ***"),
    ({"email": ["ivan.petrov@mail.example неверен"]}, "e-mail: *** неверен"),
    ({"detail": f"token {TOKEN} is old"}, "token *** is old"),
    ({"birthdate": ["2009-11-29 в будущем"]}, "дата рождения: 2009-11-29 в будущем"),
    ({"courses": ["Объект «10985» не найден."]}, "направления: Объект «10985» не найден."),
    ({"detail": "две\n\x0bстроки"}, "две строки"),
]


@pytest.mark.parametrize(("body", "told"), TOLD, ids=[str(told) for _, told in TOLD])
def test_the_manager_reads_the_reason_and_nothing_private(mock, clients, body, told):
    answer = {"body": body, "content_type": "text/html"} if isinstance(body, str) else {"json": body}
    mock.add("POST", ONE, status=422, **answer)
    with pytest.raises(Rejected) as caught:
        clients.update("39558", PAYLOAD)
    assert caught.value.told == f"Отмечалка не приняла: {told}"
    assert "926" not in str(caught.value)


def test_plain_text_is_shown_and_everything_is_cut(mock, clients):
    mock.add("POST", ONE, status=400, body="Слишком много " * 1000, content_type="text/plain; charset=utf-8")
    with pytest.raises(Rejected) as caught:
        clients.update("39558", PAYLOAD)
    assert len(caught.value.told) == 255


def test_an_error_of_endless_depth_and_size_is_survived(mock, clients):
    mock.add("POST", ONE, status=400, body="[" * 900 + '"x"' + "]" * 900)
    mock.add("POST", ONE, status=400, json={"detail": "a" * 5_000_000})
    for _ in range(2):
        with pytest.raises(Rejected) as caught:
            clients.update("39558", PAYLOAD)
        assert len(caught.value.told) <= 255


def test_the_log_names_the_fields_and_no_text(mock, clients):
    mock.add("POST", ONE, status=400, json={"phone": ["79261234567"], "Ivan Petrov": ["x"]})
    with pytest.raises(Rejected) as caught:
        clients.update("39558", PAYLOAD)
    assert str(caught.value).startswith("otmechalka school.example update clients: HTTP 400, application/json, ")
    assert str(caught.value).endswith(" bytes about phone")


def test_health_is_what_the_account_remembers(mock, connect, clock):
    connector = connect()
    connector.health()
    clock.shift(10)
    assert connector.health() == Health("closed", 0.0, 0.0)
    mock.add("GET", ONE, status=429, headers={"Retry-After": "30"})
    with pytest.raises(Throttled):
        connector.target("clients").find("39558")
    assert connector.health().seconds == pytest.approx(30, abs=0.1)
    assert len(mock.calls) == 1


# Configuration and check.


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("base_url", value) for value in ("", "school.example", "https://?", "https://x y", "https://x/?a=1")),
        *(("token", Secret(value)) for value in ("", "два слова", "a b", "a\r\nX: y")),
        *(("auth_header", value) for value in ("", "X Y", "X:")),
        ("auth_scheme", "два"),
    ],
)
def test_a_configuration_that_cannot_work_is_a_problem_named_without_its_value(key, value):
    config = OtmechalkaConfig(**{"base_url": "https://school.example", "token": Secret(TOKEN)} | {key: value})
    ((named, problem),) = config.problems()
    assert named == key
    assert not value or value not in problem


def test_a_sound_configuration_has_no_problems_and_does_not_show_its_token():
    config = OtmechalkaConfig(base_url="https://school.example", token=Secret(TOKEN), auth_scheme="")
    assert list(config.problems()) == []
    assert TOKEN not in repr(config) + config.account


def test_probe_and_check_look_for_a_client_that_nobody_is(mock, connect):
    mock.add("GET", CLIENTS + "0/", status=404, json={"detail": "Не найдено."})
    connector = connect()
    connector.probe()
    (finding,) = connector.check("clients", [])
    assert finding.level == "ok"


def test_check_reports_a_token_that_is_refused(mock, connect):
    mock.add("GET", CLIENTS + "0/", status=401, json={"detail": "Недопустимый токен."})
    (finding,) = connect().check("clients", [])
    assert (finding.level, "HTTP 401" in finding.text) == ("error", True)


def test_entities_that_it_does_not_know_are_key_errors(connect):
    for ask in (connect().source, connect().target, lambda name: list(connect().check(name, []))):
        with pytest.raises(KeyError):
            ask("groups")


def test_every_field_of_an_entity_has_a_name_for_people():
    for entity in ENTITIES.values():
        assert entity.key in entity.labels
        assert all(label and label != code for code, label in entity.labels.items() if code != "email")
