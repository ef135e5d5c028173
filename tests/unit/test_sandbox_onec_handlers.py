"""1C with handlers against briefs/001 §1 and facts/onec.md §D1, §D3, §D5: its endpoint and its people, in memory."""

import base64
import json
from collections import Counter
from decimal import Decimal

import pytest

from sandbox import seed_handlers
from sandbox.admin import Admin
from sandbox.amocrm import reference as amocrm
from sandbox.onec_handlers.reference import PATH
from sandbox.server import Front
from sandbox.wire import Request
from sandbox.world import Sandbox, World

BOM = b"\xef\xbb\xbf"
KEY, ID_BASE = 31_000_001, "trade-1"
CONTACT = {
    "id": 101,
    "name": "Анна Ладейкина",
    "responsible_user_id": 8_000_003,
    "phone": "79990000001",
    "email": "p1@mail.example",
}
COMPANY = {"id": 202, "name": "ООО «Эндшпиль»", "responsible_user_id": 8_000_003, "inn": "0000000017"}
ORDER = {"id": 303, "name": "Абонемент", "responsible_user_id": 8_000_003}
NOBODY = "11111111-1111-4111-8111-111111111111"


def basic(login, password, encoding="utf-8"):
    return "Basic " + base64.b64encode(f"{login}:{password}".encode(encoding)).decode()


class Answer:
    def __init__(self, response):
        self.status, self.body, self.trace = response.status, response.body, response.trace
        self.content_type, self.headers = response.content_type, dict(response.headers)

    @property
    def text(self):
        return self.body.decode("utf-8-sig")

    @property
    def json(self):
        return json.loads(self.text)


class Base:
    """Our service's way to the handlers, and the admin side, of one world."""

    def __init__(self):
        self.world = World()
        world = self.world
        self._admin = Admin(world)
        self._front = Front(world.onec_handlers, clock=world.clock, faults=world.faults, journal=world.journal)
        switches = world.onec_handlers.switches
        self.authorization = basic(switches.login, switches.password)

    def send(self, content, http_method="POST", path=PATH, authorization=None):
        headers = {"authorization": self.authorization if authorization is None else authorization}
        request = Request(http_method, path, "", headers, content, "10.0.0.1", is_last=False)
        response, self.delivery = self._front.answer(request)
        return Answer(response)

    def ask(self, type_, **body):
        return self.send(json.dumps({"key": KEY, "id_base": ID_BASE, "type": type_, **body}).encode())

    def __call__(self, type_, **body):
        answer = self.ask(type_, **body)
        assert answer.status == 200, answer.text
        return answer.json

    def lead(self, slot="company", **client):
        return self("new_lead", clients={slot: client})

    def contact(self, **changes):
        return self.lead(**CONTACT | changes)

    def company(self, **changes):
        return self.lead(**COMPANY | changes)

    def order(self, **changes):
        return self("new_order", **ORDER | changes)

    def asked(self, http_method, path, body=None):
        content = b"" if body is None else json.dumps(body).encode()
        address, _, query = path.partition("?")
        request = Request(http_method, address, query, {}, content, "10.0.0.1", is_last=False)
        return Answer(self._admin.handle(request))

    def admin(self, http_method, path, body=None):
        answer = self.asked(http_method, path, body)
        assert answer.status == 200, answer.text
        return answer.json

    def hand(self, path, **fields):
        return self.admin("POST", f"/onec_handlers/{path}", fields)

    def switch(self, **changes):
        return self.admin("POST", "/switches/onec_handlers", changes)

    def arm(self, action, **fault):
        return self.admin("POST", "/faults", {"system": "onec_handlers", "action": action, **fault})

    def rows(self, entity):
        return self.admin("GET", f"/store/onec_handlers/{entity}")["rows"]

    def versions(self, entity):
        entries = self.admin("GET", f"/chronicle?system=onec_handlers&entity={entity}")["entries"]
        return [(one["who"], one["verb"], one["key"], one["state"]) for one in entries]

    def outbox(self):
        return [(entry["entity"], entry["id_1c"]) for entry in self.rows("outbox")]


@pytest.fixture
def base():
    one = Base()
    yield one
    one.world.portal.stop()


# Counterparties.


def test_a_contact_under_company_is_an_individual_and_its_repeat_the_same(base):
    told = base.contact(p_77="VIP", junk=1)
    assert base.contact() == told
    (row,) = base.rows("counterparties")
    assert row == {
        "id_1c": told["id_1c"],
        "kind": "individual",
        "amo_id": 101,
        "name": "Анна Ладейкина",
        "inn": None,
        "phone": "79990000001",
        "email": "p1@mail.example",
        "responsible_user_id": 8_000_003,
        "fields": {"p_77": "VIP"},
        "link": told["link"],
    }
    assert len(told["id_1c"]) == 36


def test_an_inn_makes_it_legal_and_a_contact_may_stand_under_its_own_name(base):
    legal, person = base.company(), base.lead("contact", **CONTACT)
    kinds = {row["id_1c"]: (row["kind"], row["inn"]) for row in base.rows("counterparties")}
    assert kinds == {legal["id_1c"]: ("legal", "0000000017"), person["id_1c"]: ("individual", None)}


def test_one_amo_id_is_two_counterparties_when_it_is_of_a_contact_and_of_a_company(base):
    assert base.contact(id=7)["id_1c"] != base.company(id=7)["id_1c"]


def test_an_update_keeps_what_it_does_not_give_and_a_null_blanks(base):
    told = base.contact(p_1="a", p_2="b")
    changed = {"id": "101", "name": " Анна Ферзева ", "responsible_user_id": "5", "email": None, "p_2": 3}
    assert base.lead(**changed, id_1c=told["id_1c"].upper()) == told
    (row,) = base.rows("counterparties")
    assert (row["name"], row["phone"], row["email"]) == ("Анна Ферзева", "79990000001", None)
    assert (row["responsible_user_id"], row["fields"]) == (5, {"p_1": "a", "p_2": 3})


def test_repeats_double_without_an_id_of_1c_when_switched_so(base):
    base.switch(repeats="double")
    first = base.contact()
    assert base.contact()["id_1c"] != first["id_1c"]
    assert base.contact(id_1c=first["id_1c"]) == first
    assert len(base.rows("counterparties")) == 2


def test_a_known_inn_is_the_same_company_once(base):
    entered = base.hand("legals", name="ООО «Эндшпиль»", inn=COMPANY["inn"])
    assert base.company()["id_1c"] == entered["id_1c"]
    other = base.company(id=203).get("error")
    assert COMPANY["inn"] in other
    assert [row["amo_id"] for row in base.rows("counterparties")] == [202]


def test_a_known_inn_can_be_refused_or_doubled(base):
    base.hand("legals", name="ООО «Эндшпиль»", inn=COMPANY["inn"])
    base.switch(inn_taken="refused")
    assert "error" in base.company()
    base.switch(inn_taken="double")
    assert "id_1c" in base.company()
    assert len(base.rows("counterparties")) == 2


def test_a_change_of_inn_to_a_taken_one_is_refused_and_changes_nothing(base):
    base.company()
    other = base.company(id=203, inn="0000000025")
    before = base.rows("counterparties")
    assert "error" in base.company(id=203, id_1c=other["id_1c"])
    assert base.rows("counterparties") == before
    base.company(id=203, inn="0000000033")
    assert "id_1c" in base.company(id=204, inn="0000000025")


@pytest.mark.parametrize("switched", ["ignored", "refused"])
def test_an_id_that_1c_does_not_know_is_passed_over_or_refused(base, switched):
    told = base.contact()
    base.switch(unknown_id_1c=switched)
    answer = base.contact(id_1c="qweqwe")
    assert answer == told if switched == "ignored" else "qweqwe" in answer["error"]


def test_the_id_of_a_company_is_no_contact(base):
    legal = base.company()
    assert "другого вида" in base.contact(id_1c=legal["id_1c"])["error"]


def test_links_are_navigation_links_or_those_of_the_web_client(base):
    told = base.contact()
    ref = told["id_1c"].split("-")
    turned = ref[3] + ref[4] + ref[2] + ref[1] + ref[0]
    assert told["link"] == f"e1cib/data/Справочник.Контрагенты?ref={turned}"
    base.switch(link_shape="https")
    link = base.order()["link"]
    assert link.startswith("https://onec.example/trade/#e1cib/data/Документ.ЗаказКлиента?ref=")
    assert base.contact()["link"] == told["link"]


# Orders.


def test_an_order_creates_the_counterparties_that_it_brings(base):
    clients = {"contact": CONTACT, "company": COMPANY}
    told = base.order(clients=clients, price="1 234,5", p_9=True)
    contact, company = base.rows("counterparties")
    (row,) = base.rows("orders")
    assert (contact["kind"], contact["amo_id"], company["kind"], company["amo_id"]) == ("individual", 101, "legal", 202)
    assert row == {
        "id_1c": told["id_1c"],
        "amo_id": 303,
        "number": "ЗК00-000001",
        "date": row["date"],
        "name": "Абонемент",
        "budget": "1234.50",
        "responsible_user_id": 8_000_003,
        "contact_id_1c": contact["id_1c"],
        "company_id_1c": company["id_1c"],
        "fields": {"p_9": True},
        "link": told["link"],
    }
    assert base.order(clients=clients) == told
    assert len(base.rows("counterparties")) == 2


def test_an_order_finds_counterparties_by_either_id_and_keeps_whom_it_does_not_name(base):
    contact, company = base.contact(), base.company()
    base.order(clients={"contact": CONTACT | {"id_1c": contact["id_1c"]}, "company": COMPANY})
    told = base.order(name="Турнир")
    (row,) = base.rows("orders")
    assert (row["contact_id_1c"], row["company_id_1c"]) == (contact["id_1c"], company["id_1c"])
    assert (row["name"], row["budget"], row["id_1c"]) == ("Турнир", "0.00", told["id_1c"])


def test_an_order_whose_company_is_refused_brings_nobody(base):
    base.company()
    answer = base.order(clients={"contact": CONTACT, "company": COMPANY | {"id": 203}})
    assert "error" in answer
    assert base.rows("orders") == []
    assert [row["amo_id"] for row in base.rows("counterparties")] == [202]


def test_documents_of_a_lead_are_its_order_and_what_was_made_from_it(base):
    assert base("get_orders", id=303) == []
    order = base.order(price=100)
    base.hand(f"orders/{order['id_1c']}/events", event_name="part_payment", sum=30)
    base.hand(f"orders/{order['id_1c']}/events", event_name="shipment", document_name="Накладная 7")
    itself, payment, shipment = base("get_orders", id="303")
    assert set(itself) == {"title", "doc_type", "link", "parent_link", "google_drive_id", "google_drive_link"}
    assert itself["title"].startswith("Заказ клиента ЗК00-000001 от ")
    assert (itself["doc_type"], itself["link"], itself["parent_link"]) == ("leads", order["link"], "")
    assert payment["title"].startswith("Поступление на расчётный счёт 0000-000001 от ")
    assert shipment["title"] == "Накладная 7"
    base.switch(unknown_lead="refused")
    assert "error" in base("get_orders", id=304)


# The rest of the protocol.


def test_the_version_is_told_and_the_table_is_kept_row_by_row(base):
    row = {"amo_name": "ИНН", "amo_id": 55, "entity_name": "Компания"}
    assert base("get_handlers_version") == {"version": "1.4.2"}
    assert base("corr_table", user_id=8_000_003, table=row) == {"version": "1.4.2"}
    base("corr_table", table=[row | {"amo_name": "УНП"}, row | {"entity_name": "Сотрудник"}])
    assert base.rows("corr_table") == [
        {"entity_name": "Компания", "amo_id": 55, "amo_name": "УНП", "user_id": None},
        {"entity_name": "Сотрудник", "amo_id": 55, "amo_name": "ИНН", "user_id": None},
    ]


@pytest.mark.parametrize(
    ("type_", "body", "text"),
    [
        ("drop_base", {}, "Неизвестный тип запроса: drop_base"),
        ("", {}, "Не заполнено поле: type"),
        ("get_orders", {}, "Не заполнено поле: id"),
        ("get_orders", {"id": "x"}, "Неверный тип: id"),
        ("get_orders", {"id": True}, "Неверный тип: id"),
        ("get_orders", {"id": 1, "key": 5}, "Неизвестный key или id_base"),
        ("get_orders", {"id": 1, "id_base": "other"}, "Неизвестный key или id_base"),
        ("get_orders", {"id": 1, "id_base": None}, "Не заполнено поле: id_base"),
        ("new_lead", {}, "Не заполнено поле: clients"),
        ("new_lead", {"clients": []}, "Неверный тип: clients"),
        ("new_lead", {"clients": {}}, "В clients должен быть один контрагент"),
        ("new_lead", {"clients": {"contact": CONTACT, "company": COMPANY}}, "В clients должен быть один контрагент"),
        ("new_lead", {"clients": {"company": 5}}, "Неверный тип: company"),
        ("new_lead", {"clients": {"company": COMPANY | {"inn": ""}}}, "Не заполнено поле: inn"),
        ("new_lead", {"clients": {"company": CONTACT | {"name": " "}}}, "Не заполнено поле: name"),
        ("new_lead", {"clients": {"company": CONTACT | {"phone": ["7"]}}}, "Неверный тип: phone"),
        ("new_order", {"id": 1, "name": "x"}, "Не заполнено поле: responsible_user_id"),
        ("new_order", ORDER | {"price": "дорого"}, "Неверный тип: price"),
        ("new_order", ORDER | {"price": -1}, "Неверный тип: price"),
        ("new_order", ORDER | {"clients": {"company": CONTACT}}, "Не заполнено поле: inn"),
        ("new_order", ORDER | {"clients": 5}, "Неверный тип: clients"),
        ("corr_table", {}, "Не заполнено поле: table"),
        ("corr_table", {"table": ["x"]}, "Неверный тип: table"),
        ("corr_table", {"table": {"amo_name": "x", "amo_id": 1, "entity_name": "Лид"}}, "Неизвестная сущность"),
    ],
)
def test_what_no_handler_understands_is_a_400_in_plain_text(base, type_, body, text):
    answer = base.ask(type_, **body)
    assert (answer.status, answer.content_type) == (400, "text/plain; charset=utf-8")
    assert answer.text.startswith(text)
    assert (base.rows("counterparties"), base.rows("orders"), base.rows("outbox")) == ([], [], [])
    (entry,) = base.admin("GET", "/journal")["entries"]
    assert (entry["status"], entry["committed"], entry["error"]) == (400, False, answer.text)


def test_a_byte_order_mark_and_trailing_commas_are_taken(base):
    content = f'{{"key": "{KEY}", "id_base": "{ID_BASE}", "type": "new_lead", "clients": {{"company": {{"id": 5,'
    content += '"name": "A,} \\",]", "responsible_user_id": 1, "p_1": [1, 2, ], } , }, }'
    assert base.send(BOM + content.encode()).status == 200
    (row,) = base.rows("counterparties")
    assert (row["name"], row["fields"]) == ('A,} ",]', {"p_1": [1, 2]})


@pytest.mark.parametrize(
    ("content", "status"), [(b"{", 500), (b"", 500), ("\u00e9".encode("latin-1"), 500), (b"[]", 400)]
)
def test_what_is_no_json_object_is_refused(base, content, status):
    assert base.send(content).status == status


def test_only_one_address_and_one_method_are_served(base):
    assert base.send(b"{}", path="/trade/hs/other").status == 404
    assert base.send(b"", http_method="GET").status == 405


# Access and states.


def test_basic_is_utf_8_and_nothing_else(base):
    switches = base.world.onec_handlers.switches
    wrong = (
        "",
        "Bearer x",
        basic("Обмен", "другой"),
        basic(switches.login, switches.password, "cp1251"),
        basic(switches.login.lower(), switches.password),
    )
    for authorization in wrong:
        answer = base.send(b"{}", authorization=authorization)
        assert (answer.status, answer.content_type) == (401, "text/html; charset=utf-8")
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    base.switch(login="Паром", password="х" * 40)
    assert base.ask("get_handlers_version").status == 401
    base.authorization = basic("Паром", "х" * 40)
    assert base("get_handlers_version") == {"version": "1.4.2"}


def innermost(answer):
    inner = answer.json["exception"]
    while inner.get("inner"):
        inner = inner["inner"]
    return answer.json["exception"]["reason"], inner["descr"]


@pytest.mark.parametrize("status", [403, 500, 503])
def test_maintenance_is_exception_json_whatever_the_status(base, status):
    base.switch(locked=True, locked_status=status, locked_text="Обновление до 12:00")
    answer = base.ask("new_lead", clients={"company": CONTACT})
    assert (answer.status, answer.json["#exception"][-9:]) == (status, "Exception")
    assert innermost(answer) == (403, "Начало сеанса с информационной базой запрещено.\nОбновление до 12:00")
    assert base.rows("counterparties") == []


def test_no_licence_is_exception_json_too(base):
    base.switch(no_licence=True, licence_status=406)
    answer = base.ask("get_handlers_version")
    assert (answer.status, innermost(answer)) == (406, (500, "Не обнаружено свободной лицензии!"))


def test_an_exception_in_bsl_is_a_500_with_module_and_line_and_keeps_nothing(base):
    base.switch(exception="Дата запрета изменения: 31.01.2026")
    answer = base.ask("new_lead", clients={"company": CONTACT})
    assert (answer.status, answer.content_type) == (500, "text/html; charset=utf-8")
    assert "{ОбщийМодуль.ОбменAmoCRM.Модуль(412)}" in answer.text
    assert "Дата запрета изменения" in answer.text
    base.switch(exception_shape="json")
    assert "Дата запрета изменения" in innermost(base.ask("new_lead", clients={"company": CONTACT}))[1]
    assert base.rows("counterparties") == []


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        ("error", {"error": "Нет"}),
        ("success", {"success": False, "error": "Нет"}),
        ("Ошибка", {"Ошибка": True, "ТекстОшибки": "Нет"}),
    ],
)
def test_a_polite_error_is_a_200(base, shape, body):
    base.switch(error="Нет", error_shape=shape)
    answer = base.ask("new_lead", clients={"company": CONTACT})
    assert (answer.status, answer.json, answer.trace.is_committed) == (200, body, False)
    assert base.rows("counterparties") == []


def test_answers_come_with_or_without_a_mark_and_under_any_type(base):
    assert base.ask("get_handlers_version").body.startswith(BOM)
    base.switch(bom=False, content_type="text/plain; charset=utf-8")
    answer = base.ask("get_handlers_version")
    assert (answer.body, answer.content_type) == (b'{"version": "1.4.2"}', "text/plain; charset=utf-8")


def test_shared_faults_answer_as_1c_does(base):
    base.arm("reset_after", key='"type": "new_lead"')
    assert base.ask("get_handlers_version").status == 200
    base.ask("new_lead", clients={"company": CONTACT})
    assert base.delivery.__name__ == "reset"
    assert len(base.rows("counterparties")) == 1
    base.arm("throttle")
    assert innermost(base.ask("get_handlers_version"))[1] == "Не обнаружено свободной лицензии!"
    base.arm("error", code="X", text="Нет", commit=True)
    assert base.ask("new_lead", clients={"company": COMPANY}).json == {"error": "X: Нет"}
    assert len(base.rows("counterparties")) == 2
    base.arm("revoke")
    assert base.ask("get_handlers_version").status == 401
    entries = base.admin("GET", "/journal")["entries"]
    assert [entry["status"] for entry in entries if entry["fault"]] == [0, 500, 200, 401]


# Journal, chronicle, outbox.


def test_the_journal_tells_types_entities_and_keys(base):
    base.contact()
    base.company()
    base.order()
    base("get_orders", id=303)
    entries = base.admin("GET", "/journal?system=onec_handlers")["entries"]
    told = [(one["method"], one["kind"], one["entity"], one["key"], one["committed"]) for one in entries]
    assert told == [
        ("new_lead", "write", "contact", "101", True),
        ("new_lead", "write", "company", "202", True),
        ("new_order", "write", "order", "303", True),
        ("get_orders", "read", "order", "303", False),
    ]
    assert entries[0]["params"]["clients"]["company"]["name"] == "Анна Ладейкина"


def test_every_new_state_is_in_the_chronicle_once(base):
    told = base.contact()
    base.contact()
    base.contact(name="Анна Ферзева")
    row = base.hand(f"counterparties/{told['id_1c']}", phone="8 999 000-00-02")
    states = base.versions("counterparties")
    assert [state[:3] for state in states] == [
        ("api", "created", told["id_1c"]),
        ("api", "updated", told["id_1c"]),
        ("person", "updated", told["id_1c"]),
    ]
    assert [states[0][3]["name"], states[1][3]["name"], states[2][3]] == ["Анна Ладейкина", "Анна Ферзева", row]
    order = base.order(clients={"contact": CONTACT})
    assert [state[:3] for state in base.versions("orders")] == [("api", "created", order["id_1c"])]


def test_every_write_is_for_the_outbox_even_our_own_unless_switched(base):
    contact = base.contact()
    base.contact()
    order = base.order(clients={"contact": CONTACT})
    expected = [("contact", contact["id_1c"])] * 3 + [("order", order["id_1c"])]
    assert base.outbox() == expected
    base.switch(echo_own_writes=False)
    base.company()
    base.order(name="Турнир")
    assert base.outbox() == expected
    base.hand(f"orders/{order['id_1c']}")
    assert base.outbox() == [*expected, ("order", order["id_1c"])]


# People.


def test_people_enter_counterparties_and_orders_and_edit_them(base):
    person = base.hand("individuals", name="Пётр Слонов", phone="8 (999) 000-00-03", fields={"p_1": 1})
    firm = base.hand("legals", name="АО «Гамбит»", inn="0000000017", responsible_user_id="8000003")
    order = base.hand("orders", name="Аренда зала", budget="12 600,5", contact=person["id_1c"], company=firm["id_1c"])
    assert (person["kind"], firm["kind"], firm["responsible_user_id"]) == ("individual", "legal", 8_000_003)
    assert (order["budget"], order["number"], order["amo_id"]) == ("12600.50", "ЗК00-000001", None)
    assert (order["contact_id_1c"], order["company_id_1c"]) == (person["id_1c"], firm["id_1c"])
    edited = base.hand(f"orders/{order['id_1c']}", company=None, number="Ф-7", amo_id=303)
    assert edited == order | {"company_id_1c": None, "number": "Ф-7", "amo_id": 303}
    assert base.rows("orders") == [edited]
    assert [entity for entity, _ in base.outbox()] == ["contact", "company", "order", "order"]
    contents = [entry["content"] for entry in base.rows("outbox")]
    assert contents == [person, firm, order, edited]


def test_events_count_what_is_left_of_an_order(base):
    order = base.hand("orders", name="Аренда", budget=100)
    path = f"orders/{order['id_1c']}/events"
    booked = [
        base.hand(path, event_name="part_payment", sum="30"),
        base.hand(path, event_name="part_shipment", sum="55.55"),
        base.hand(path, event_name="payment"),
        base.hand(path, event_name="shipment", sum=44.45, debt_sum=1),
        base.hand(path, event_name="payment"),
        base.hand(path, event_name="cancel_order"),
    ]
    assert [(event["sum"], event["debt_sum"]) for event in booked] == [
        ("30.00", "70.00"),
        ("55.55", "44.45"),
        ("70.00", "0.00"),
        ("44.45", "1.00"),
        ("0.00", "0.00"),
        (None, None),
    ]
    assert base.rows("events") == booked
    assert len({event["document_name"] for event in booked}) == len(booked)
    assert [(event["seq"], event["order_id_1c"]) for event in booked] == [(n, order["id_1c"]) for n in range(1, 7)]
    assert base.outbox() == [("order", order["id_1c"])] + [("event", order["id_1c"])] * 6
    assert base.rows("orders") == [order]


def test_what_no_form_takes_is_refused(base):
    person = base.hand("individuals", name="Пётр")
    base.hand("legals", name="АО", inn="0000000017")
    order = base.hand("orders", name="Аренда")
    events = f"orders/{order['id_1c']}/events"
    wrong = [
        ("individuals", {"age": 5}),
        ("individuals", {"id_1c": NOBODY}),
        ("legals", {"name": "АО", "inn": "0000000017"}),
        ("orders", {"budget": "много"}),
        ("orders", {"budget": -1}),
        ("orders", {"company": person["id_1c"]}),
        (events, {"event_name": "refund"}),
        (events, {"event_name": "part_payment"}),
        (events, {"event_name": "payment", "amount": 5}),
    ]
    for path, fields in wrong:
        assert base.asked("POST", f"/onec_handlers/{path}", fields).status == 400, (path, fields)
    for path in (f"counterparties/{NOBODY}", f"orders/{NOBODY}", f"orders/{NOBODY}/events"):
        assert base.asked("POST", f"/onec_handlers/{path}", {}).status == 404, path
    assert base.asked("POST", "/onec_handlers/orders", {"contact": NOBODY}).status == 404
    assert base.asked("GET", "/store/onec_handlers/cats").status == 404
    assert base.asked("POST", "/switches/onec_handlers", {"repeats": "thrice"}).status == 400
    assert len(base.outbox()) == 3


def test_a_reset_forgets_everything_but_where_the_base_listens(base):
    base.world.onec_handlers.web_address = "http://127.0.0.1:1/x"
    base.switch(bom=False)
    base.order(clients={"contact": CONTACT})
    base.hand("legals", name="АО", inn="0000000017")
    base.admin("POST", "/seed", {"counterparties": 3})
    base.admin("POST", "/reset")
    tables = ("counterparties", "orders", "documents", "events", "corr_table", "outbox", "sent")
    assert [base.rows(table) for table in tables] == [[]] * 7
    assert base.admin("GET", "/seed/counterparties") == {"kinds": {}}
    assert base.world.onec_handlers.switches.bom
    assert base.world.onec_handlers.web_address == "http://127.0.0.1:1/x"


def test_the_ready_file_says_where_the_base_listens_and_as_whom(base):
    sandbox = Sandbox(base.world, Admin(base.world).handle, {})
    with sandbox:
        told = sandbox.addresses()
    assert told["onec_handlers"].startswith("http://127.0.0.1:")
    assert told["onec_handlers"].endswith(PATH)
    assert told["onec_handlers"] == base.world.onec_handlers.web_address
    assert (told["onec_handlers_login"], told["onec_handlers_password"]) == ("Обмен", "пароль-обработчиков")
    assert (told["onec_handlers_key"], told["onec_handlers_id_base"]) == (KEY, ID_BASE)
    assert amocrm.ACCOUNT_ID == KEY


# Seeds.


def seeded(base, **counts):
    return base.admin("POST", "/seed", counts)


def test_seeds_are_deterministic_and_hold_every_kind_in_its_share(base):
    counts = {"counterparties": 100, "orders": 40, "order_events": 130, "seed": 5}
    assert seeded(base, **counts)["counterparties_by_kind"] == seed_handlers.SHARES
    entities = ("counterparties", "orders", "events", "outbox")
    first = {entity: base.rows(entity) for entity in entities}
    assert {entity: len(rows) for entity, rows in first.items()} == {
        "counterparties": 100,
        "orders": 40,
        "events": 130,
        "outbox": 270,
    }
    kinds = base.admin("GET", "/seed/counterparties")["kinds"]
    assert set(kinds) == {row["id_1c"] for row in first["counterparties"]}
    base.admin("POST", "/reset")
    base.admin("POST", "/clock", {"freeze": "2026-02-05T07:00:00+00:00"})
    seeded(base, **counts)
    assert base.rows("counterparties") == first["counterparties"]
    again = [{name: order[name] for name in order if name != "date"} for order in base.rows("orders")]
    assert again == [{name: order[name] for name in order if name != "date"} for order in first["orders"]]
    base.admin("POST", "/reset")
    seeded(base, **counts | {"seed": 6})
    assert base.rows("counterparties") != first["counterparties"]


def test_two_seeds_share_no_phone_and_no_inn(base):
    for number in (1, 2):
        seeded(base, counterparties=300, seed=number)
    rows = base.rows("counterparties")
    kinds = base.admin("GET", "/seed/counterparties")["kinds"]
    inns = [row["inn"] for row in rows if row["inn"]]
    phones = ["".join(filter(str.isdecimal, row["phone"])) for row in rows if kinds[row["id_1c"]] == "individual"]
    assert len(set(inns)) == len(inns) > 200
    assert len({phone.removesuffix("12")[-10:] if len(phone) > 11 else phone[-10:] for phone in phones}) == len(phones)
    assert all(phone.startswith(("7999000", "8999000", "999000")) for phone in phones)


@pytest.mark.parametrize(
    ("kind", "is_peculiar"),
    [
        ("individual", lambda row: row["phone"] and row["kind"] == "individual"),
        ("email_only", lambda row: row["email"] and not row["phone"]),
        ("bare", lambda row: row["name"] and not row["email"] and not row["phone"]),
        ("bad_phone", lambda row: len(row["phone"]) < 13),
        ("untidy_name", lambda row: row["name"] != row["name"].strip() or "<b>" in row["name"]),
        ("legal", lambda row: len(row["inn"]) == 10 and row["kind"] == "legal"),
        ("sole_trader", lambda row: len(row["inn"]) == 12 and row["name"].startswith("ИП ")),
        ("unp", lambda row: len(row["inn"]) == 9),
        ("no_inn", lambda row: row["kind"] == "legal" and row["inn"] is None),
        ("nameless", lambda row: row["name"] == ""),
    ],
)
def test_a_kind_is_what_it_says(base, kind, is_peculiar):
    seeded(base, counterparties=200)
    rows = {row["id_1c"]: row for row in base.rows("counterparties")}
    mine = [rows[id_1c] for id_1c, named in base.admin("GET", "/seed/counterparties")["kinds"].items() if named == kind]
    assert mine
    assert all(is_peculiar(row) for row in mine)


def test_seeded_orders_and_events_are_of_every_sort(base):
    seeded(base, counterparties=100, orders=60, order_events=240)
    orders, events = base.rows("orders"), base.rows("events")
    rows = {row["id_1c"]: row for row in base.rows("counterparties")}
    shapes = Counter((bool(order["contact_id_1c"]), bool(order["company_id_1c"])) for order in orders)
    assert len(shapes) == 4
    assert all(rows[order["company_id_1c"]]["kind"] == "legal" for order in orders if order["company_id_1c"])
    assert set(Counter(event["event_name"] for event in events)) == {
        "cancel_order",
        "payment",
        "part_payment",
        "shipment",
        "part_shipment",
    }
    assert all(Decimal(event["debt_sum"]) >= 0 for event in events if event["debt_sum"])
    assert {row["responsible_user_id"] for row in rows.values()} <= {*amocrm.USERS, None}
    assert base.asked("POST", "/seed", {"counterparties": 1, "order_events": 1}).status == 400


def test_the_check_digits_of_an_inn_are_those_of_the_tax_service():
    assert seed_handlers.inn_of("001234567") == "0012345673"
    assert seed_handlers.inn_of("0012345678") == "001234567887"
