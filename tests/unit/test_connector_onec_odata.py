"""1C as a source: what is asked, in what letters, what is believed, and what each error of the base means."""

import base64
import json
import re
import threading
import time
import traceback
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import fakeredis
import pytest
import responses
import time_machine

from connectors.base import FieldNeed, Health, Note, Secret, Window
from connectors.errors import ConnectorError, Refused, Rejected, Throttled, Transient
from connectors.onec_odata import OneC
from connectors.onec_odata_config import ContactNames, InterestNames, OneCConfig
from connectors.onec_odata_errors import Gone
from connectors.onec_odata_interest import moment, number
from connectors.onec_odata_metadata import Unreadable, catalogue_of
from connectors.onec_slots import Slots

HOST = "https://1c.example"
URL = f"{HOST}/база crm"
LOGIN, PASSWORD = "Обмен", "пар0ль-s3cret"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DATE = "Sun, 01 Mar 2026 12:00:00 GMT"
WINDOW = Window(NOW - timedelta(minutes=3))
SET = "Document_CRM_Интерес"
PERSONS = "Catalog_КонтактныеЛицаПартнеров_КонтактнаяИнформация"
CLIENTS = "Catalog_CRM_ПотенциальныеКлиенты_КонтактнаяИнформация"
PARTNERS = "Catalog_Контрагенты_КонтактнаяИнформация"
NOBODY = "00000000-0000-0000-0000-000000000000"
ALL = ("name", "phones", "emails")


def guid(number):
    return f"{number:08x}-0000-4000-8000-000000000000"


def interest(number, **fields):
    shown = {
        "Ref_Key": guid(number),
        "DataVersion": "AAAAAAAAAAE=",
        "DeletionMark": False,
        "Date": "2026-02-20T10:15:00",
        "Тема": f"Интерес {number}",
        "СостояниеИнтереса_Key": guid(0xABC),
        "ОжидаемаяВыручка": 0,
        "Описание": "",
        "CoMagicID": "",
        "CoMagicТип": "",
        "КонтактноеЛицо_Key": NOBODY,
        "ПотенциальныйКлиент_Key": NOBODY,
        "Партнер_Key": NOBODY,
    }
    return shown | fields


def contact(owner, line, kind, shown, *, phone="", email=""):
    row = {"Ref_Key": guid(owner), "LineNumber": str(line), "Тип": kind, "Представление": shown}
    return row | {"НомерТелефона": phone, "АдресЭП": email}


class FakeBase:
    """A published base: sets of rows that are filtered, counted through and selected; keeps what it was asked."""

    def __init__(self, mock):
        self.sets = {SET: [], PERSONS: [], CLIENTS: [], PARTNERS: []}
        self.asked, self.headers, self.bodies, self.urls = [], [], [], []
        self.script = []
        self.session = 0
        for method in ("GET", "PATCH"):
            mock.add_callback(method, re.compile(re.escape(HOST)), self.answer)

    def interests(self, *rows):
        self.sets[SET] = list(rows)

    def answers(self, *answers):
        self.script += answers

    def calls(self, resource):
        return [options for asked, options in self.asked if asked == resource]

    def answer(self, request):
        parts = urlsplit(request.url)
        resource = unquote(parts.path).rpartition("/odata/standard.odata/")[2]
        options = {unquote(k): unquote(v) for k, _, v in (pair.partition("=") for pair in parts.query.split("&"))}
        self.asked.append((resource, options))
        self.urls.append(request.url)
        self.headers.append(dict(request.headers))
        self.bodies.append(request.body)
        if self.script:
            status, body, headers = self.script.pop(0)
        else:
            status, body, headers = 200, self.rows(resource, options), {}
        if request.headers.get("IBSession") == "start":
            self.session += 1
            headers = {"Set-Cookie": f"ibsession=id{self.session}; path=/"} | headers
        body = body if isinstance(body, str | bytes) else "\ufeff" + json.dumps(body, ensure_ascii=False)
        return status, {"Date": DATE, "Content-Type": "application/json;charset=utf-8"} | headers, body

    def rows(self, resource, options):
        if resource == "":
            return {"value": [{"name": name, "url": name} for name in self.sets]}
        if resource not in self.sets:
            return {"Ref_Key": resource}
        rows = [row for row in self.sets[resource] if passes(row, options.get("$filter", ""))]
        rows = sorted(rows, key=lambda row: (row["Ref_Key"], row.get("LineNumber", "")))
        skip = int(options.get("$skip", 0))
        rows = rows[skip : skip + int(options.get("$top", 10**6))]
        chosen = options.get("$select", "").split(",")
        return {"odata.metadata": "x", "value": [{key: row[key] for key in chosen if key in row} for row in rows]}


def passes(row, filter_):
    """`a ge datetime'…' or b eq guid'…'`, as far as we ask it."""
    tests = re.findall(r"(\w+) (ge|eq) (?:datetime|guid)'([^']*)'", filter_)
    return not tests or any(row[name] >= value if sign == "ge" else row[name] == value for name, sign, value in tests)


@pytest.fixture
def base():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield FakeBase(mock)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def config(**changes):
    known = {"base_url": URL, "login": LOGIN, "password": Secret(PASSWORD), "timezone": ZoneInfo("Europe/Moscow")}
    return OneCConfig(**known | {"scan_at": "23:30", "reuse_sessions": False} | changes)


@pytest.fixture
def connect(clock):
    def build(redis=None, **changes):
        redis = redis or fakeredis.FakeRedis(server=fakeredis.FakeServer())
        return OneC(config(**changes), redis, sleep=clock.shift, clock=time.time)

    return build


@pytest.fixture
def interests(connect):
    return connect().source("interests")


def only(page):
    (row,) = page.rows
    return row


def walk(source, window, fields=()):
    """All pages, to the last."""
    pages = [source.page(window, fields)]
    while not pages[-1].last:
        pages.append(source.page(Window(**vars(window) | {"after_id": pages[-1].last_id}), fields))
    return pages


def failure(call):
    with pytest.raises(ConnectorError) as caught:
        call()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__context__)
    assert PASSWORD not in shown
    assert base64.b64encode(f"{LOGIN}:{PASSWORD}".encode()).decode() not in shown
    assert len(str(caught.value)) <= 700
    return caught.value


# What an answer means.


def odata(status, code, text="", **headers):
    body = {"odata.error": {"code": str(code), "message": {"lang": "ru", "value": text}}}
    return status, body, headers


def xml(status, code, text):
    body = f'<?xml version="1.0"?><m:error xmlns:m="x"><m:code>{code}</m:code><m:message>{text}</m:message></m:error>'
    return status, body, {"Content-Type": "application/xml"}


def exception(status, text, reason=500):
    inner = {"descr": "Ошибка", "inner": {"descr": text, "creationStack": "", "data": ""}}
    return status, {"#exception": "{x}Exception", "exception": {"reason": reason, "descr": "HTTP", "inner": inner}}, {}


def html(status, text="<h1>Error</h1>", **headers):
    return status, f"<html><body>{text}</body></html>", {"Content-Type": "text/html"} | headers


LOCKED = "Начало сеанса с информационной базой запрещено. Иванов Иван обновляет базу до 12:00"
NO_LICENCE = "Не обнаружено свободной лицензии!"
DEADLOCK = "Конфликт блокировок при выполнении транзакции: Превышено время ожидания предоставления блокировки"
MEANINGS = [
    ((401, "", {"WWW-Authenticate": "Basic"}), Refused, "login and password"),
    (html(401), Refused, "login and password"),
    (odata(401, 20, "Нарушение прав доступа"), Refused, "give the user the right"),
    (odata(403, 20), Refused, "give the user the right"),
    (exception(403, "Forbidden", 403), Refused, "forbidden"),
    (exception(403, LOCKED, 403), Throttled, "maintenance"),
    (exception(500, LOCKED), Throttled, "maintenance"),
    (html(503, LOCKED), Throttled, "maintenance"),
    (exception(500, NO_LICENCE), Transient, "no free client licence"),
    (html(406, NO_LICENCE), Transient, "no free client licence"),
    (html(500, "There are no free licenses"), Transient, "no free client licence"),
    (odata(404, 8, "Тип сущности не найден"), Refused, "not published: switch it on in «Настройки"),
    (xml(404, 8, "не найден"), Refused, "not published"),
    (odata(400, 10, "Свойство Тема не найдено"), Refused, "about Тема"),
    (odata(400, 14), Refused, "query option"),
    (odata(500, -1, DEADLOCK), Transient, "locked by another transaction"),
    (exception(500, DEADLOCK), Transient, "locked by another transaction"),
    (odata(500, -1, "{Документ.CRM_Интерес.МодульОбъекта(12)}: Петрова +79261234567"), Refused, "МодульОбъекта(12)"),
    (odata(200, -1, "x"), Transient, "HTTP 200"),
    (odata(200, 8, "x"), Refused, "not published"),
    (odata(500, 99999), Refused, "unknown error"),
    (exception(500, "Сервер 1С:Предприятия не обнаружен"), Transient, "HTTP 500"),
    (html(406), Transient, "HTTP 406"),
    (html(400, "Bad Request - Invalid URL"), Transient, "HTTP 400"),
    (html(404), Refused, "is base_url right, and the set published?"),
    (html(405), Refused, "method is forbidden"),
    (html(429), Throttled, "too many"),
    (html(500, "1C:Enterprise 8 application error"), Transient, "HTTP 500"),
    (html(501), Refused, "not supported"),
    (html(502), Transient, "HTTP 502"),
    (html(503), Transient, "HTTP 503"),
    (html(200), Transient, "HTTP 200"),
    ((200, "", {}), Transient, "HTTP 200"),
    ((200, "[]", {}), Transient, "HTTP 200"),
    ((200, "null", {}), Transient, "HTTP 200"),
    ((200, '{"value": [', {}), Transient, "HTTP 200"),
    ((200, '{"value": [1]}', {}), Transient, "HTTP 200"),
    ((200, '{"value": {}}', {}), Transient, "HTTP 200"),
    ((200, b"\xff\xfe", {}), Transient, "HTTP 200"),
    ((200, {"value": []}, {}), Refused, "no set is published"),
    ((302, "", {"Location": "https://new.example/secret/path"}), Refused, "redirects to new.example"),
]


@pytest.mark.parametrize(("answer", "meaning", "said"), MEANINGS, ids=[str(row[0])[:60] for row in MEANINGS])
def test_every_answer_that_is_no_result_has_its_meaning(base, connect, answer, meaning, said):
    base.answers(*[answer] * 3)
    error = failure(connect().probe)
    assert type(error) is meaning
    assert str(error).startswith("1C 1c.example/база crm service document: " if meaning is Transient else "1C 1c.ex")
    assert said in str(error)
    for words in ("Иванов", "Петрова", "79261234567", "secret", "12:00"):
        assert words not in str(error)
    repeated = meaning is Transient and error.wait is None
    assert len(base.asked) == (3 if repeated else 1)


@pytest.mark.parametrize(
    ("answer", "wait"), [(exception(403, LOCKED, 403), 300), (exception(500, NO_LICENCE), 60), (html(503), None)]
)
def test_a_base_that_is_locked_or_full_is_left_alone_for_a_while(base, connect, answer, wait):
    base.answers(*[answer] * 3)
    assert failure(connect().probe).wait == wait


def test_a_lock_costs_no_breaker_for_the_base_is_at_home(base, connect):
    base.answers(*[exception(403, LOCKED, 403)] * 9)
    connector = connect()
    for _ in range(9):
        assert type(failure(connector.probe)) is Throttled
    assert connector.health().breaker == "closed"


def test_an_unpublished_set_is_named_with_where_to_switch_it_on(base, interests):
    base.answers(odata(404, 8, "Не найден тип сущности"))
    error = failure(lambda: interests.page(WINDOW, ()))
    assert SET in str(error)
    assert "Настройки стандартного интерфейса OData" in str(error)


def test_rights_to_a_contacts_set_are_refused_by_its_name(base, interests):
    base.interests(interest(1, КонтактноеЛицо_Key=guid(7)))
    base.answers((200, base.rows(SET, {"$select": ",".join(interest(1))}), {}), odata(401, 20))
    error = failure(lambda: interests.page(WINDOW, ALL))
    assert type(error) is Refused
    assert PERSONS in str(error)


# What is asked.


def test_login_and_names_travel_in_utf8_and_no_space_as_a_plus(base, interests):
    interests.page(WINDOW, ())
    assert base64.b64decode(base.headers[0]["Authorization"].removeprefix("Basic ")).decode() == f"{LOGIN}:{PASSWORD}"
    url = base.urls[0]
    assert url.isascii()
    assert url.startswith(f"{HOST}/%D0%B1%D0%B0%D0%B7%D0%B0%20crm/odata/standard.odata/Document_CRM_%D0%98")
    assert "+" not in url
    assert "ge%20datetime'2026-01-30T13:57:00'" in url, "thirty days back and an hour, in the base's time"
    assert base.headers[0]["Accept"] == "application/json"
    assert base.asked[0][1]["$format"] == "json"


def test_a_note_keeps_the_brackets_of_its_key_raw(base, connect):
    source = connect(status_attribute="СтатусОбмена").source("interests")
    assert source.write_notes("СтатусОбмена", [Note(guid(1).upper(), "Успешно")]) == [None]
    assert "(guid'00000001-0000-4000-8000-000000000000')?" in base.urls[0]
    assert json.loads(base.bodies[0]) == {"СтатусОбмена": "Успешно"}


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (odata(404, 9), Gone),
        (odata(500, -1, "Тайный текст"), Rejected),
        (odata(400, 16), Refused),
        (html(405), Refused),
        (odata(403, 20), Refused),
        (odata(500, -1, DEADLOCK), Transient),
        (html(502), Transient),
    ],
    ids=str,
)
def test_a_note_that_is_not_taken_fails_by_itself(base, connect, answer, meaning):
    source = connect(status_attribute="Статус").source("interests")
    base.answers(*[answer] * (3 if meaning is Transient else 1))
    failed, done = source.write_notes("Статус", [Note(guid(1), "Тайный текст"), Note(guid(2), "Успешно")])
    assert type(failed) is meaning
    assert done is None
    assert "Тайный" not in str(failed)


def test_without_a_status_attribute_no_note_is_written(base, interests):
    results = interests.write_notes("Статус", [Note(guid(1), "a"), Note(guid(2), "b")])
    assert [type(result) for result in results] == [Rejected, Rejected]
    assert base.asked == []


def test_a_note_shown_comes_with_the_row(base, connect):
    base.interests(interest(1, Статус="Успешно"))
    row = only(connect(status_attribute="Статус").source("interests").page(WINDOW, ()))
    assert row.fields["Статус"] == "Успешно"


# What is believed.


def test_an_interest_is_shown_in_the_shape_that_flows_know(base, interests):
    base.interests(
        interest(
            1,
            Ref_Key=guid(1).upper(),
            DeletionMark=True,
            ОжидаемаяВыручка=50000.5,
            Описание="Хочет « рыбу»",
            CoMagicID=812345,
            CoMagicТип="call",
            СостояниеИнтереса_Key=guid(0xABC).upper(),
        )
    )
    page = interests.page(WINDOW, ALL)
    row = only(page)
    assert row.fields == {
        "id": guid(1),
        "name": "Интерес 1",
        "created_at": "2026-02-20T10:15:00+03:00",
        "stage": guid(0xABC),
        "stage_changed_at": None,
        "modified_at": None,
        "revenue": "50000.5",
        "comment": "Хочет « рыбу»",
        "phones": [],
        "emails": [],
        "communication_id": "812345",
        "communication_type": "call",
        "is_deleted": True,
        "data_version": "AAAAAAAAAAE=",
    }
    assert row.id == guid(1)
    assert row.version == "AAAAAAAAAAE="
    assert row.created.isoformat() == "2026-02-20T10:15:00+03:00"
    assert row.modified == page.server_time == NOW
    assert page.last


def test_empty_references_and_texts_are_absent(base, interests):
    base.interests(interest(1, СостояниеИнтереса_Key=NOBODY, Тема=""))
    row = only(interests.page(WINDOW, ALL))
    assert [row.fields[key] for key in ("stage", "name", "comment", "communication_id")] == ["", "", None, None]
    assert [resource for resource, _ in base.asked] == [SET], "an Interest without persons asks for nobody"


def test_an_interest_without_a_date_is_shown_as_created_now(base, interests):
    base.interests(interest(1, Date="0001-01-01T00:00:00"))
    row = only(interests.page(Window(NOW - timedelta(days=3), created_since=NOW - timedelta(days=3)), ()))
    assert row.fields["created_at"] is None
    assert row.created == NOW
    assert row.created >= datetime(2020, 1, 1, tzinfo=UTC)


ZONES = [
    ("Europe/Moscow", "2026-07-01T12:00:00", "2026-07-01T12:00:00+03:00"),
    ("Europe/Berlin", "2026-03-29T01:59:59", "2026-03-29T01:59:59+01:00"),
    ("Europe/Berlin", "2026-03-29T02:30:00", "2026-03-29T03:30:00+02:00"),
    ("Europe/Berlin", "2026-03-29T03:00:00", "2026-03-29T03:00:00+02:00"),
    ("Europe/Berlin", "2026-10-25T02:30:00", "2026-10-25T02:30:00+02:00"),
    ("Europe/Berlin", "2026-10-25T03:00:00", "2026-10-25T03:00:00+01:00"),
    ("Asia/Yekaterinburg", "2014-10-25T12:00:00", "2014-10-25T12:00:00+06:00"),
    ("Asia/Yekaterinburg", "2014-10-27T12:00:00", "2014-10-27T12:00:00+05:00"),
    ("Asia/Yekaterinburg", "2010-07-01T12:00:00", "2010-07-01T12:00:00+06:00"),
]


@pytest.mark.parametrize(("zone", "naive", "aware"), ZONES)
def test_a_naive_time_is_of_the_bases_zone_as_it_was_then(zone, naive, aware):
    assert moment(naive, ZoneInfo(zone)).isoformat() == aware


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00", "", None, 5, "вчера", "2026-13-01T00:00:00"])
def test_what_tells_no_time_is_none(value):
    assert moment(value, ZoneInfo("Europe/Moscow")) is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (50000, "50000"), (1e21, "1000000000000000000000"), ("1 234,50", "1 234,50"), ("", None), (True, None)],
)
def test_a_number_has_no_exponent_and_a_text_stays_as_it_is(value, shown):
    assert number(value) == shown


def test_the_hour_that_comes_twice_is_never_left_out_of_a_window(base, connect):
    source = connect(timezone=ZoneInfo("Europe/Berlin"), days=1).source("interests")
    base.interests(interest(1, Date="2026-10-25T02:10:00"))
    # The day before ends at the first 02:50; the Interest may be of the second 02:10, twenty minutes later.
    source.page(Window(datetime(2026, 10, 26, 0, 50, tzinfo=UTC)), ())
    assert base.asked[0][1]["$filter"] == "Date ge datetime'2026-10-25T01:50:00'"


def test_phones_and_emails_come_by_person_client_partner_and_line(base, interests):
    base.interests(
        interest(1, КонтактноеЛицо_Key=guid(10), ПотенциальныйКлиент_Key=guid(20), Партнер_Key=guid(30)),
        interest(2, ПотенциальныйКлиент_Key=guid(20)),
    )
    base.sets[PERSONS] = [
        contact(10, 10, "Телефон", "десятая строка", phone="79990000010"),
        contact(10, 2, "Телефон", "+7 (999) 000-00-02"),
        contact(10, 1, "АдресЭлектроннойПочты", "a@example.org (личная)", email="a@example.org"),
        contact(10, 3, "Skype", "live:somebody"),
        contact(10, 4, "Телефон", "8 999 0000004 доб. 12", phone="8999000000412"),
        contact(10, 5, "Телефон", "123-45-67, приёмная", phone="74951234567"),
        contact(11, 1, "Телефон", "чужой"),
    ]
    base.sets[CLIENTS] = [contact(20, 1, "Телефон", "", phone="79990000020"), contact(20, 2, "Телефон", "")]
    base.sets[PARTNERS] = [contact(30, 1, "АдресЭлектроннойПочты", "p@example.org")]
    first, second = interests.page(WINDOW, ALL).rows
    assert first.fields["phones"] == [
        "+7 (999) 000-00-02",
        "8 999 0000004 доб. 12",
        "74951234567",
        "79990000010",
        "79990000020",
    ]
    assert first.fields["emails"] == ["a@example.org", "p@example.org"]
    assert second.fields["phones"] == ["79990000020"]
    assert [len(base.calls(set_)) for set_ in (PERSONS, CLIENTS, PARTNERS)] == [1, 1, 1]


def test_where_no_attribute_tells_the_kind_the_filled_one_does(base, connect):
    base.interests(interest(1, Партнер_Key=guid(30)))
    base.sets[PARTNERS] = [
        contact(30, 1, "", "Москва, Тверская, 1"),
        contact(30, 2, "", "x", phone="79990000001"),
        contact(30, 3, "", "x", email="a@example.org"),
    ]
    row = only(connect(contacts=ContactNames(kind="")).source("interests").page(WINDOW, ALL))
    assert row.fields["phones"] == ["79990000001"]
    assert row.fields["emails"] == ["a@example.org"]


@pytest.mark.parametrize(("longest", "calls"), [(2000, 5), (8000, 1)])
def test_persons_of_a_page_are_asked_for_in_as_few_urls_as_their_length_allows(base, connect, longest, calls):
    base.interests(*(interest(n, КонтактноеЛицо_Key=guid(1000 + n % 100)) for n in range(150)))
    base.sets[PERSONS] = [contact(1000 + n, 1, "Телефон", f"phone {n}") for n in range(100)]
    page = connect(longest_url=longest).source("interests").page(WINDOW, ALL)
    assert [row.fields["phones"] for row in page.rows] == [[f"phone {n % 100}"] for n in range(150)]
    assert len(base.calls(PERSONS)) == calls
    assert max(map(len, base.urls)) <= longest


def test_contacts_are_not_read_where_nobody_wants_them_or_their_set_is_switched_off(base, connect):
    base.interests(interest(1, КонтактноеЛицо_Key=guid(10), Партнер_Key=guid(30)))
    connect().source("interests").page(WINDOW, ("name", "stage"))
    assert [resource for resource, _ in base.asked] == [SET]
    names = {"interest": InterestNames(contact_person=""), "contacts": ContactNames(partner_set="")}
    connect(**names).source("interests").page(WINDOW, ALL)
    assert {resource for resource, _ in base.asked} == {SET}
    assert "КонтактноеЛицо_Key" not in base.asked[-1][1]["$select"]


def test_an_empty_name_switches_its_field_off(base, connect):
    row = {key: value for key, value in interest(1).items() if key not in ("CoMagicID", "ОжидаемаяВыручка")}
    base.interests(row)
    source = connect(interest=InterestNames(communication_id="", revenue="")).source("interests")
    fields = only(source.page(WINDOW, ())).fields
    assert fields["communication_id"] is None
    assert fields["revenue"] is None


def test_a_name_that_no_row_bears_is_refused_and_not_taken_for_empty(base, connect):
    base.interests(interest(1))
    source = connect(interest=InterestNames(comment="Опсание")).source("interests")
    error = failure(lambda: source.page(WINDOW, ()))
    assert type(error) is Refused
    assert "Опсание" in str(error)


def test_other_peoples_rows_end_the_page(base, interests):
    base.interests(interest(1, КонтактноеЛицо_Key=guid(10)))
    whole = (200, base.rows(SET, {"$select": ",".join(interest(1))}), {})
    base.answers(whole, (200, {"value": [contact(11, 1, "Телефон", "чужой")]}, {}))
    assert type(failure(lambda: interests.page(WINDOW, ALL))) is Transient
    base.answers((200, {"value": [interest(5)]}, {}))
    assert type(failure(lambda: interests.read([guid(1)], (), {}))) is Transient


def test_the_named_are_read_whatever_their_date_and_what_is_no_guid_is_absent(base, interests):
    base.interests(*(interest(n, Date="2001-01-01T00:00:00") for n in range(100)))
    rows = interests.read([guid(7).upper(), guid(8), guid(8), guid(1000), "9", NOBODY], (), {})
    assert [row.id for row in rows] == [guid(7), guid(8)]
    assert len(base.asked) == 1
    assert len(interests.read([guid(n) for n in range(100)], (), {})) == 100
    assert interests.read(["x"], (), {}) == ()
    assert interests.read([guid(7)], (), {"name": ("Интерес 8",)}) == ()


def test_what_the_base_sends_by_itself_is_the_same_interest(interests):
    row = interests.received({"id": guid(1), "name": "Интерес", "created_at": "2026-02-20T10:15:00+03:00"})
    assert row.id == guid(1)


# Pages.


def numbers(pages):
    return [int(row.id[:8], 16) for page in pages for row in page.rows]


def test_pages_cover_the_window_and_nothing_else(base, connect):
    base.interests(*(interest(n) for n in range(45)), *(interest(n, Date="2025-12-01T00:00:00") for n in range(50, 60)))
    pages = walk(connect(page_rows=20).source("interests"), WINDOW)
    assert sorted(set(numbers(pages))) == list(range(45))
    assert len(numbers(pages)) < 60, "an overlap is not read anew"
    assert pages[0].last_id.startswith("window 20 ")
    assert {page.server_time for page in pages} == {NOW}


@pytest.mark.parametrize("removed", [range(5), range(18, 20), range(15), range(2, 20)], ids=str)
def test_rows_deleted_between_two_pages_make_the_next_skip_none(base, connect, removed):
    base.interests(*(interest(n) for n in range(60)))
    source = connect(page_rows=20).source("interests")
    first = source.page(WINDOW, ())
    base.interests(*(interest(n) for n in range(60) if n not in removed))
    rest = walk(source, Window(WINDOW.modified_since, after_id=first.last_id))
    assert set(numbers([first, *rest])) == set(range(60))


def test_rows_inserted_between_two_pages_are_read_once_more_at_the_most(base, connect):
    base.interests(*(interest(n) for n in range(100, 160)))
    source = connect(page_rows=20).source("interests")
    first = source.page(WINDOW, ())
    base.interests(*(interest(n) for n in range(95, 160)))
    rest = walk(source, Window(WINDOW.modified_since, after_id=first.last_id))
    assert set(range(100, 160)) <= set(numbers([first, *rest]))


def test_a_base_that_shows_the_same_rows_for_another_skip_is_not_believed(base, connect):
    base.interests(*(interest(n) for n in range(20)))
    source = connect(page_rows=20).source("interests")
    first = source.page(WINDOW, ())
    assert not first.last
    same = (200, base.rows(SET, {"$select": ",".join(interest(1))}), {})
    base.answers(same)
    assert type(failure(lambda: source.page(Window(NOW, after_id=first.last_id), ()))) is Transient


@pytest.mark.parametrize("after", ["12", "scan", "scan x", "window -3", "", "elsewhere 20 a"])
def test_a_position_of_another_making_begins_at_the_beginning(base, interests, after):
    base.interests(interest(1))
    assert numbers([interests.page(Window(WINDOW.modified_since, after_id=after), ())]) == [1]


def test_interests_of_before_since_are_not_shown(base, interests):
    base.interests(interest(1, Date="2026-02-19T23:59:59"), interest(2, Date="2026-02-20T00:00:00"))
    since = datetime(2026, 2, 20, tzinfo=ZoneInfo("Europe/Moscow"))
    assert numbers([interests.page(Window(WINDOW.modified_since, created_since=since), ())]) == [2]


# The nightly scan.

NIGHT = {"scan_at": "14:59"}
"""Europe/Moscow: a minute ago."""


def known(versions):
    """What the ledger answers that knows `versions` by id."""
    return lambda shown: {id_ for id_, version in shown.items() if versions.get(id_) != version}


def test_a_scan_reads_in_full_what_is_not_known_and_nothing_else(base, connect):
    old = [interest(n, Date="2020-01-01T00:00:00", DataVersion=f"v{n}") for n in range(300)]
    base.interests(*old)
    versions = {row["Ref_Key"]: row["DataVersion"] for row in old} | {guid(7): "v6"}
    del versions[guid(250)]
    window = Window(WINDOW.modified_since, unknown=known(versions))
    pages = walk(connect(**NIGHT, scan_rows=100).source("interests"), window)
    assert numbers(pages) == [7, 250]
    asked = base.calls(SET)[1:]
    lists = [options for options in asked if options["$select"] == "Ref_Key,DataVersion,DeletionMark"]
    assert len(lists) == 4
    assert all("$filter" not in options for options in lists)
    assert len(asked) == len(lists) + 2
    assert pages[0].last_id.startswith("scan 100 ")


def test_a_scan_without_a_ledger_that_knows_reads_everything_by_the_page(base, connect):
    base.interests(*(interest(n, Date="2020-01-01T00:00:00") for n in range(70)))
    pages = walk(connect(**NIGHT, page_rows=20, scan_rows=40).source("interests"), WINDOW)
    assert sorted(set(numbers(pages))) == list(range(70))
    assert max(len(page.rows) for page in pages) == 20
    assert max(map(len, base.urls)) <= 2000


def test_a_scan_goes_on_where_it_was_although_rows_were_deleted(base, connect):
    base.interests(*(interest(n) for n in range(60)))
    source = connect(**NIGHT, scan_rows=20, page_rows=20).source("interests")
    first = source.page(WINDOW, ())
    base.interests(*(interest(n) for n in range(60) if n not in range(16)))
    rest = walk(source, Window(WINDOW.modified_since, after_id=first.last_id))
    assert set(numbers([first, *rest])) == set(range(60))


def test_a_scan_heeds_since_and_shows_what_has_no_date(base, connect):
    base.interests(interest(1, Date="2020-01-01T00:00:00"), interest(2), interest(3, Date="0001-01-01T00:00:00"))
    window = Window(WINDOW.modified_since, created_since=datetime(2026, 1, 1, tzinfo=UTC))
    assert numbers(walk(connect(**NIGHT).source("interests"), window)) == [2, 3]


def test_rows_that_moved_since_their_versions_were_listed_are_read_by_id(base, connect):
    base.interests(*(interest(n) for n in range(60)))
    source = connect(**NIGHT, page_rows=100).source("interests")
    whole, rows = base.rows, [interest(n) for n in range(60)]

    def moving(resource, options):
        base.interests(*(rows[30:] if "$skip" in options and "Тема" in options["$select"] else rows))
        return whole(resource, options)

    base.rows = moving
    assert sorted(numbers(walk(source, WINDOW))) == list(range(60))


@pytest.mark.parametrize(
    ("scan_at", "since", "due"),
    [
        ("03:00", NOW - timedelta(minutes=3), False),
        ("14:58", NOW - timedelta(minutes=3), True),
        ("14:57", NOW - timedelta(minutes=3), False),
        ("15:00", NOW - timedelta(minutes=3), True),
        ("15:01", NOW - timedelta(minutes=3), False),
        ("15:01", NOW - timedelta(days=1), True),
        ("03:00", NOW - timedelta(days=9), True),
    ],
)
def test_the_night_has_come_when_its_time_lies_between_window_and_now(base, connect, scan_at, since, due):
    connect(scan_at=scan_at).source("interests").page(Window(since), ())
    assert (base.asked[-1][1]["$select"] == "Ref_Key,DataVersion,DeletionMark") is due


def test_the_bases_clock_decides_and_not_ours(base, connect, clock):
    clock.shift(timedelta(hours=5))
    page = connect(scan_at="15:30").source("interests").page(WINDOW, ())
    assert len(base.asked) == 1
    assert page.server_time == NOW


def test_an_answer_is_as_old_as_its_question(base, interests, clock):
    whole = base.rows

    def slow(resource, options):
        clock.shift(40)
        return whole(resource, options)

    base.rows = slow
    base.interests(interest(1))
    page = interests.page(WINDOW, ())
    assert page.server_time == only(page).modified == NOW - timedelta(seconds=40)


def test_an_answer_without_a_date_is_as_old_as_our_question(base, interests, clock):
    base.answers((200, {"value": []}, {"Date": "x"}))
    clock.shift(60)
    assert interests.page(WINDOW, ()).server_time == NOW + timedelta(seconds=60)


# Sessions.


def test_a_session_is_started_once_and_used_again(base, connect):
    connector = connect(reuse_sessions=True)
    for _ in range(3):
        connector.probe()
    assert [headers.get("IBSession") for headers in base.headers] == ["start", None, None]
    assert [headers.get("Cookie") for headers in base.headers] == [None, "ibsession=id1", "ibsession=id1"]


@pytest.mark.parametrize("status", [400, 404, 406, 500])
def test_a_session_that_ended_is_dropped_and_another_started_once(base, connect, status):
    connector = connect(reuse_sessions=True)
    connector.probe()
    base.answers(html(status))
    connector.probe()
    assert [headers.get("Cookie") for headers in base.headers] == [None, "ibsession=id1", None]
    connector.probe()
    assert base.headers[-1]["Cookie"] == "ibsession=id2"


def test_what_fails_in_a_new_session_too_is_meant(base, connect):
    connector = connect(reuse_sessions=True)
    connector.probe()
    base.answers(odata(404, 8), odata(404, 8))
    assert type(failure(connector.probe)) is Refused
    assert len(base.asked) == 3


def test_a_session_begun_by_a_failing_call_is_no_reason_to_try_for_ever(base, connect):
    base.answers(*[html(503), html(500), html(500)])
    assert type(failure(connect(reuse_sessions=True).probe)) is Transient
    assert len(base.asked) == 3


def test_a_base_that_starts_no_session_is_called_without_one(base, connect, clock):
    connector = connect(reuse_sessions=True)
    base.answers(exception(406, "Не удалось начать сеанс"))
    connector.probe()
    connector.probe()
    assert [headers.get("IBSession") for headers in base.headers] == ["start", None, None]
    clock.shift(600)
    connector.probe()
    assert base.headers[-1]["IBSession"] == "start"


def test_a_session_that_no_licence_is_left_for_is_not_asked_for_in_another_way(base, connect):
    base.answers(exception(406, NO_LICENCE))
    assert failure(connect(reuse_sessions=True).probe).wait == 60
    assert len(base.asked) == 1


def test_a_write_starts_no_session(base, connect):
    source = connect(reuse_sessions=True, status_attribute="Статус").source("interests")
    source.write_notes("Статус", [Note(guid(1), "a")])
    assert "IBSession" not in base.headers[0]
    source.page(WINDOW, ())
    source.write_notes("Статус", [Note(guid(1), "a")])
    assert base.headers[-1]["Cookie"] == "ibsession=id1"


def test_sessions_can_be_left_alone(base, connect):
    connector = connect(reuse_sessions=False)
    base.answers((200, {"value": [{"name": SET}]}, {"Set-Cookie": "ibsession=x"}))
    connector.probe()
    connector.probe()
    assert not any("IBSession" in headers or "Cookie" in headers for headers in base.headers)


# How many at a time.


def slots(redis, clock, **changes):
    return Slots(redis, "onec:1c.example/base", **{"most": 2, "lease": 60.0, "each": 1, "sleep": clock.shift} | changes)


def in_thread(call):
    """What `call` raises in a thread of its own, or None."""
    errors = []

    def run():
        try:
            call()
        except ConnectorError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return errors[0] if errors else None


def test_no_more_calls_are_under_way_than_the_base_shall_bear(clock):
    redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    here, there = slots(redis, clock), slots(redis, clock)
    here.reserve()
    assert in_thread(there.reserve) is None
    error = in_thread(here.reserve)
    assert type(error) is Throttled
    assert error.wait
    assert here.level().used == 1.0
    here.release()
    assert in_thread(here.reserve) is None


def test_a_thread_that_has_a_slot_keeps_it_through_its_repeats(clock):
    mine = slots(fakeredis.FakeRedis(server=fakeredis.FakeServer()), clock, most=1)
    mine.reserve()
    mine.reserve()
    mine.release()
    mine.release()
    assert mine.level().used == 0.0


def test_the_slot_of_a_process_that_died_is_free_after_its_lease(clock):
    redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    dead, living = slots(redis, clock, most=1), slots(redis, clock, most=1)
    dead.reserve()
    assert in_thread(living.reserve) is not None
    clock.shift(60)
    assert in_thread(living.reserve) is None


def test_calls_give_their_slot_back_however_they_end(base, connect):
    connector = connect(concurrency=1)
    base.answers(*[html(502)] * 3, odata(404, 8), exception(403, LOCKED))
    for _ in range(3):
        failure(connector.probe)
    connector.probe()
    assert connector.health() == Health("closed", 0.0, 0.0)
    assert connector.headroom() > 100


def test_a_process_keeps_no_more_sessions_than_it_may_have_calls_under_way(base, connect):
    connector, whole, barrier = connect(reuse_sessions=True), base.rows, threading.Barrier(6)

    def probe():
        barrier.wait()
        return in_thread(connector.probe)

    def slow(resource, options):
        threading.Event().wait(0.02)
        return whole(resource, options)

    base.rows = slow
    threads = [threading.Thread(target=probe) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert base.session <= 2


# What `parom check` finds.


def edmx(sets):
    types = "".join(
        f'<EntityType Name="{name}"><Key><PropertyRef Name="Ref_Key"/></Key>'
        + "".join(f'<Property Name="{prop}" Type="Edm.String"/>' for prop in props)
        + '<NavigationProperty Name="Партнер" Relationship="x"/></EntityType>'
        for name, props in sets.items()
    )
    entries = "".join(f'<EntitySet Name="{name}" EntityType="StandardODATA.{name}"/>' for name in sets)
    return (
        '\ufeff<?xml version="1.0" encoding="UTF-8"?><edmx:Edmx Version="1.0" xmlns:edmx="urn:e"><edmx:DataServices>'
        f'<Schema Namespace="StandardODATA" xmlns="urn:s">{types}<EntityContainer Name="C">{entries}'
        "</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"
    )


SETS = {name: tuple(contact(1, 1, "", "")) for name in (PERSONS, CLIENTS, PARTNERS)} | {SET: tuple(interest(1))}
NEEDS = (FieldNeed("name", "Тема", ()), FieldNeed("phones", "Телефоны", ()))


@pytest.fixture
def published(base):
    """The base with a `$metadata`, which tests may change."""
    sets, whole = dict(SETS), base.rows
    base.rows = lambda resource, options: edmx(sets) if resource == "$metadata" else whole(resource, options)
    base.interests(interest(1))
    return sets


def findings(connector, level, needs=NEEDS):
    return [found.text + " " + found.hint for found in connector.check("interests", needs) if found.level == level]


def test_a_base_that_fits_its_configuration_has_no_fault(base, published, connect):
    connector = connect()
    assert findings(connector, "error") == findings(connector, "warning") == []
    assert len(base.calls("$metadata")) == 1, "both checks had the same document"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"interest": InterestNames(name="тема")}, "no attribute тема did you mean Тема?"),
        ({"interest": InterestNames(comment="Пожелания")}, "no attribute Пожелания an empty name switches it off"),
        ({"interest": InterestNames(set="Document_CRM_Интересы")}, "did you mean Document_CRM_Интерес?"),
        ({"contacts": ContactNames(email="АдресПочты")}, "no attribute АдресПочты"),
        ({"contacts": ContactNames(partner_set="Catalog_Партнеры_КонтактнаяИнформация")}, "is not published"),
        ({"status_attribute": "СтатусПарома"}, "no attribute СтатусПарома"),
    ],
)
def test_every_name_that_the_base_does_not_know_is_told_with_a_likely_one(published, connect, changes, expected):
    assert any(expected in text for text in findings(connect(**changes), "error"))


def test_rights_are_told_by_their_set(base, published, connect):
    whole = base.rows

    def rows(resource, options):
        return odata(401, 20)[1] if resource == CLIENTS else whole(resource, options)

    base.rows = rows
    (error,) = findings(connect(), "error")
    assert CLIENTS in error
    assert "give the user the right" in error


@pytest.mark.usefixtures("published")
def test_a_wrong_clock_a_wrong_zone_and_plain_http_are_warned_of(base, connect, clock):
    clock.shift(timedelta(minutes=9))
    base.interests(interest(1, Date="2026-03-01T17:00:00"))
    clocks, zone = findings(connect(), "warning")
    assert "differ by 540 s" in clocks
    assert "120 minutes ahead, by Europe/Moscow" in zone


def test_plain_http_is_warned_of(base, connect):
    (unencrypted,) = findings(connect(base_url="http://1c.example/base"), "warning", needs=())
    assert "unencrypted" in unencrypted


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(
    ("need", "level"),
    [
        (FieldNeed("comment", "Описание", ()), "warning"),
        (FieldNeed("colour", "Цвет", ()), "error"),
        (FieldNeed("name", "Статус", (), writable=True), "error"),
    ],
)
def test_what_a_flow_needs_and_the_configuration_does_not_name_is_told(connect, need, level):
    connector = connect(interest=InterestNames(comment=""))
    assert any(need.code in text for text in findings(connector, level, [need]))


def test_a_base_that_refuses_us_is_one_finding(base, connect):
    base.answers(html(401))
    assert len(findings(connect(), "error")) == 1


def test_what_the_base_does_not_have_is_a_key_error(connect):
    for ask in (connect().source, connect().target, lambda name: list(connect().check(name, ()))):
        with pytest.raises(KeyError):
            ask("unicorns")


@pytest.mark.parametrize("document", ["", "<a/>", "<edmx:Edmx", '<!DOCTYPE x [<!ENTITY a "b">]><x/>', edmx(SETS)[:-9]])
def test_metadata_that_is_none_is_unreadable(document):
    with pytest.raises(Unreadable):
        catalogue_of(document.encode())


def test_a_big_metadata_document_is_read_at_once(base, connect):
    sets = {f"Catalog_Справочник{n}": tuple(f"Реквизит{m}" for m in range(30)) for n in range(2000)} | SETS
    document = edmx(sets).encode()
    assert len(document) > 2_000_000
    catalogue = catalogue_of(document)
    assert len(catalogue.sets) == 2004
    assert catalogue.close_property(SET, "Тэма") == "Тема"


# The configuration.


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"base_url": "https://1c.example/base/odata/standard.odata"}, "base_url"),
        ({"base_url": "1c.example"}, "base_url"),
        ({"base_url": "https://u:p@1c.example/base"}, "base_url"),
        ({"login": "a:b"}, "login"),
        ({"scan_at": "25:00"}, "scan_at"),
        ({"status_attribute": "Тема"}, "status_attribute"),
        ({"status_attribute": "a b"}, "status_attribute"),
        ({"interest": InterestNames(date="")}, "interest.date"),
        ({"interest": InterestNames(name="a' or 1")}, "interest.name"),
        ({"contacts": ContactNames(owner="")}, "contacts.owner"),
    ],
)
def test_what_cannot_be_is_told_by_its_key(changes, key):
    assert [path for path, _ in config(**{"base_url": "https://1c.example/base"} | changes).problems()] == [key]


def test_the_defaults_are_without_fault_and_the_password_is_not_shown():
    assert list(config(base_url="https://1c.example/base").problems()) == []
    assert PASSWORD not in repr(config())
