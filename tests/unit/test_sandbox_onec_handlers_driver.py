"""The exchange of a base with handlers against briefs/001 §2: it calls a tiny service of the test over real HTTP."""

import base64
import itertools
import json
import threading
from collections import Counter

import pytest

from sandbox import delivery
from sandbox.admin import Admin
from sandbox.onec_handlers import driver
from sandbox.onec_handlers.agenda import Agenda, shuffled
from sandbox.onec_handlers.calling import Reply
from sandbox.onec_handlers.outbox import Entry
from sandbox.server import Listener
from sandbox.wire import Request, Response, json_response
from sandbox.world import World

KEY, ID_BASE = 31_000_001, "trade-1"
NBSP = "\u00a0"


def taken(data):
    return 200, {"success": True, "data": data, "error": None}


def refused(status, text):
    return status, {"success": False, "data": None, "error": text}


class Service:
    """Finds or creates by id_1c, as ours does; `script` holds other answers, first come, first served, or by path."""

    def __init__(self):
        self.requests, self.script, self.by_path = [], [], {}
        self.deliver = delivery.whole
        self.ids = {}
        self._numbers = itertools.count(500)
        self._lock = threading.Lock()
        self.listener = Listener(0, self.answer)
        self.url = self.listener.url

    def answer(self, request):
        body = json.loads(request.body.decode("utf-8-sig"))
        with self._lock:
            self.requests.append((request, body))
            status, envelope = self._answered(request.path, body)
        if isinstance(envelope, bytes):
            return Response(status, envelope), self.deliver
        return json_response(status, envelope), self.deliver

    def _answered(self, path, body):
        if self.script:
            return self.script.pop(0)
        if path in self.by_path:
            return self.by_path[path]
        if path == "/sync/base":
            return taken(None)
        kind = "leads" if path == "/sync/process_event" else path
        key = (kind.removeprefix("/sync/"), body["id_1c"])
        if key not in self.ids:
            self.ids[key] = next(self._numbers)
        return taken(self.ids[key])

    def told(self):
        return [(request.path, body) for request, body in self.requests]

    def paths(self):
        return [request.path.removeprefix("/sync/") for request, _ in self.requests]


class Base:
    """A base with handlers in memory, and people in it."""

    def __init__(self, service):
        self.world = World()
        self.world.onec_handlers.web_address = "http://127.0.0.1:1/trade"
        self.service = service
        self._admin = Admin(self.world)

    def asked(self, http_method, path, body=None):
        content = b"" if body is None else json.dumps(body).encode()
        response = self._admin.handle(Request(http_method, path, "", {}, content, "10.0.0.1", is_last=False))
        return response.status, json.loads(response.body)

    def admin(self, http_method, path, body=None):
        status, answer = self.asked(http_method, path, body)
        assert status == 200, answer
        return answer

    def hand(self, path, **fields):
        return self.admin("POST", f"/onec_handlers/{path}", fields)

    def switch(self, **changes):
        self.admin("POST", "/switches/onec_handlers", changes)

    def push(self, **plan):
        return self.admin("POST", "/onec_handlers/push", {"url": self.service.url, **plan})

    def rows(self, entity):
        return self.admin("GET", f"/store/onec_handlers/{entity}")["rows"]

    def row(self, id_1c):
        return next(row for table in ("counterparties", "orders") for row in self.rows(table) if row["id_1c"] == id_1c)

    def person(self, **fields):
        return self.hand("individuals", **{"name": "Анна Ладейкина", "phone": "8 (999) 000-00-01", **fields})["id_1c"]

    def firm(self, **fields):
        return self.hand("legals", **{"name": "ООО «Эндшпиль»", "inn": "0000000017", **fields})["id_1c"]

    def order(self, **fields):
        return self.hand("orders", **{"name": "Аренда", "budget": "1234.50", **fields})["id_1c"]

    def book(self, order, event_name, **fields):
        return self.hand(f"orders/{order}/events", event_name=event_name, **fields)

    def case(self):
        """A person, a firm, an order of both, its payment."""
        person, firm = self.person(email="p1@mail.example", responsible_user_id=7), self.firm()
        order = self.order(contact=person, company=firm)
        self.book(order, "part_payment", sum="234.50", document_name="ПП 1")
        return person, firm, order


@pytest.fixture
def service():
    one = Service()
    one.listener.start()
    yield one
    one.listener.stop()


@pytest.fixture
def base(service):
    one = Base(service)
    yield one
    one.world.portal.stop()


# Bodies.


def test_every_message_has_the_keys_and_the_order_of_the_brief(base, service):
    person, firm, order = base.case()
    told = base.push(register=True)
    links = {one: base.row(one)["link"] for one in (person, firm, order)}
    common = {"key": KEY, "id_base": ID_BASE}
    expected = [
        (
            "/sync/base",
            {
                **common,
                "web_address": "http://127.0.0.1:1/trade",
                "url_address": "https://onec.example/trade",
                "param1": "Обмен",
                "param2": "пароль-обработчиков",
            },
        ),
        (
            "/sync/clients_contacts",
            {
                **common,
                "id": None,
                "id_1c": person,
                "link": links[person],
                "name": "Анна Ладейкина",
                "responsible_user_id": 7,
                "email": "p1@mail.example",
                "phone": "8 (999) 000-00-01",
            },
        ),
        (
            "/sync/clients_companies",
            {
                **common,
                "id": None,
                "id_1c": firm,
                "link": links[firm],
                "name": "ООО «Эндшпиль»",
                "inn": "0000000017",
                "responsible_user_id": None,
            },
        ),
        (
            "/sync/leads",
            {
                **common,
                "id": None,
                "id_1c": order,
                "link": links[order],
                "company_id": 501,
                "contact_id": 500,
                "budget": 1234.5,
                "order_number": "ЗК00-000001",
                "responsible_user_id": None,
            },
        ),
        (
            "/sync/process_event",
            {
                **common,
                "event_name": "part_payment",
                "id": 502,
                "id_1c": order,
                "sum": 234.5,
                "debt_sum": 1000,
                "document_name": "ПП 1",
            },
        ),
    ]
    assert service.told() == expected
    assert [list(body) for _, body in service.told()] == [list(body) for _, body in expected]
    assert told == {
        "registered": {"status": 200, "success": True, "error": ""},
        "entries": 4,
        "requests": 4,
        "outcomes": {"delivered": 4},
        "statuses": {"200": 4},
        "codes": {},
        "repeats": {"sent": 0, "different": 0},
        "changed_ids": [],
        "errors": [],
        "left": 0,
    }


def test_ids_of_amocrm_are_remembered_and_named_from_then_on_without_an_echo(base, service):
    person, firm, order = base.case()
    base.push()
    assert [base.row(one)["amo_id"] for one in (person, firm, order)] == [500, 501, 502]
    assert base.rows("outbox") == []
    base.hand(f"counterparties/{person}", name="Анна Ферзева")
    base.hand(f"orders/{order}", budget=5)
    base.push()
    (_, contact), (_, lead) = service.told()[-2:]
    assert (contact["id"], contact["name"]) == (500, "Анна Ферзева")
    assert (lead["id"], lead["contact_id"], lead["company_id"], lead["budget"]) == (502, 500, 501, 5)


def test_values_that_are_unknown_amounts_and_ids_are_written_as_switched(base, service):
    order = base.order(budget="1234567.80")
    base.book(order, "cancel_order")
    base.switch(unknown_values="blank", amounts="russian", ids_as_text=True, retry_body="rebuilt", event_ids=True)
    service.by_path["/sync/leads"] = refused(503, "UPSTREAM_TEMPORARY: нет")
    base.push()
    assert service.told()[0][1]["contact_id"] == ""
    assert service.told()[0][1]["budget"] == f"1{NBSP}234{NBSP}567,80"
    assert service.told()[0][1]["key"] == str(KEY)
    base.switch(unknown_values="absent", amounts="text", request_bom=True, request_content_type="text/plain")
    service.by_path.clear()
    base.push()
    request, lead = service.requests[1]
    assert set(lead) == {"key", "id_base", "id_1c", "link", "budget", "order_number"}
    assert lead["budget"] == "1234567.80"
    assert request.body.startswith(b"\xef\xbb\xbf")
    assert request.headers["content-type"] == "text/plain"
    event = service.told()[2][1]
    assert (event["id"], event["event_id"], "sum" in event) == ("500", "1", False)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"token": "t-1"}, "Bearer t-1"),
        (
            {"login": "Обмен", "password": "п:1"},
            "Basic " + base64.b64encode("Обмен:п:1".encode()).decode(),
        ),
    ],
)
def test_it_calls_as_told(base, service, given, expected):
    base.person()
    base.push(register=True, **given)
    assert [request.headers.get("authorization") for request, _ in service.requests] == [expected] * 2
    assert service.requests[0][0].headers["content-type"] == "application/json; charset=utf-8"


def test_key_base_and_address_can_be_another(base, service):
    base.person()
    base.push(register=True, key="77", id_base="зуп", web_address="https://proxy.example/h")
    (_, registered), (_, contact) = service.told()
    assert (registered["key"], registered["id_base"], registered["web_address"]) == (
        77,
        "зуп",
        "https://proxy.example/h",
    )
    assert (contact["key"], contact["id_base"]) == (77, "зуп")


def test_orders_go_where_the_brief_misprints_their_path(base, service):
    base.case()
    base.push(legacy_orders=True)
    assert service.paths() == ["clients_contacts", "clients_companies", "clients_companies", "process_event"]
    assert "order_number" in service.told()[2][1]


def test_a_base_that_is_not_taken_tells_nothing(base, service):
    base.person()
    service.script += [refused(409, "CONFLICT: другая база")]
    told = base.push(register=True)
    assert told["registered"] == {"status": 409, "success": False, "error": "CONFLICT: другая база"}
    assert (told["entries"], told["left"], service.paths()) == (0, 1, ["base"])
    assert base.push(register=True, limit=0)["registered"]["success"]
    assert service.paths() == ["base", "base"]


# What an answer means.


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (taken(5), "delivered"),
        (refused(202, "ACCEPTED: принято, ещё не доставлено"), "accepted"),
        (refused(200, "ACCEPTED: принято, ещё не доставлено"), "accepted"),
        (refused(503, "UPSTREAM_TEMPORARY: нет ответа"), "failed"),
        (refused(200, "UPSTREAM_TEMPORARY: нет ответа"), "failed"),
        (refused(429, "RATE_LIMIT: реже"), "failed"),
        (refused(200, "RATE_LIMIT: реже"), "failed"),
        (refused(500, "INTERNAL: сбой"), "failed"),
        ((502, b"<html>Bad Gateway</html>"), "failed"),
        (refused(400, "BAD_REQUEST: name"), "refused"),
        (refused(200, "CONFLICT: чужой id"), "refused"),
        (refused(401, "UNAUTHORIZED: нет"), "refused"),
        ((200, b"<html>ok</html>"), "refused"),
        ((200, {"success": "true", "data": 5}), "refused"),
        ((201, {"success": True, "data": 5}), "refused"),
        ((302, b""), "refused"),
    ],
)
def test_an_entry_stays_until_it_was_taken(base, service, answer, outcome):
    person = base.person()
    service.script += [answer]
    told = base.push()
    assert (told["outcomes"], told["statuses"]) == ({outcome: 1}, {str(answer[0]): 1})
    if outcome == "delivered":
        assert (told["left"], told["errors"], base.row(person)["amo_id"]) == (0, [], 5)
        return
    (entry,) = base.rows("outbox")
    assert (told["left"], entry["status"], entry["attempts"]) == (1, answer[0], 1)
    (error,) = told["errors"]
    assert error == {"seq": 1, "entity": "contact", "id_1c": person, "status": answer[0], "error": entry["error"]}
    if isinstance(answer[1], dict) and answer[1].get("error"):
        assert entry["error"] == answer[1]["error"]
        assert told["codes"] == {answer[1]["error"].partition(":")[0]: 1}
    assert base.row(person)["amo_id"] is None
    assert base.push()["outcomes"] == {"delivered": 1}
    assert base.row(person)["amo_id"] == 500


@pytest.mark.parametrize("deliver", [delivery.reset, delivery.cut(0.5)])
def test_a_lost_answer_is_asked_for_again_in_the_same_words(base, service, deliver):
    base.case()
    base.push(limit=3)
    service.deliver = deliver
    told = base.push()
    assert (told["outcomes"], told["statuses"], told["left"]) == ({"lost": 1}, {"0": 1}, 1)
    base.hand(f"orders/{base.rows('orders')[0]['id_1c']}", amo_id=999)
    service.deliver = delivery.whole
    assert base.push()["outcomes"] == {"delivered": 2}
    first, second = [body for path, body in service.told() if path == "/sync/process_event"]
    assert first == second


def test_nobody_there_is_a_lost_answer(base):
    base.person()
    told = base.push(url="http://127.0.0.1:9")
    assert (told["outcomes"], told["statuses"], told["left"]) == ({"lost": 1}, {"0": 1}, 1)


def test_a_service_that_is_too_slow_is_a_lost_answer(base, service):
    base.person()
    service.deliver = delivery.hang
    assert base.push(timeout_s=0.05)["outcomes"] == {"lost": 1}


def test_an_id_that_changes_is_told(base, service):
    person = base.person(amo_id=7)
    told = base.push()
    assert told["changed_ids"] == [{"entity": "contact", "id_1c": person, "from": 7, "to": 500}]
    assert base.row(person)["amo_id"] == 500


@pytest.mark.parametrize("data", [None, True, "", "abc", {"id": 5}])
def test_what_is_no_id_is_not_remembered(base, service, data):
    person = base.person()
    service.script += [taken(data)]
    assert base.push()["outcomes"] == {"delivered": 1}
    assert base.row(person)["amo_id"] is None


def test_the_chronicle_tells_when_an_id_was_learnt(base):
    person = base.person()
    base.push()
    versions = base.admin("GET", "/chronicle")["entries"]
    assert [(one["who"], one["verb"], one["key"], one["state"]["amo_id"]) for one in versions] == [
        ("person", "created", person, None),
        ("api", "updated", person, 500),
    ]


# Order.


def test_what_was_not_taken_holds_back_its_own_object_alone(base, service):
    person, firm, order = base.case()
    base.book(order, "shipment")
    other = base.order()
    service.by_path["/sync/process_event"] = refused(503, "INTERNAL: x")
    told = base.push()
    assert told["outcomes"] == {"delivered": 4, "failed": 1, "blocked": 1}
    assert [entry["entity"] for entry in base.rows("outbox")] == ["event", "event"]
    assert base.row(other)["amo_id"] is not None
    service.by_path.clear()
    assert base.push()["outcomes"] == {"delivered": 2}
    sent = [body["event_name"] for path, body in service.told() if path == "/sync/process_event"]
    assert sent == ["part_payment", "part_payment", "shipment"]


def test_what_is_stuck_stays_so_in_later_batches(base, service):
    order = base.order()
    for number in range(5):
        base.book(order, "part_payment", sum=number + 1)
    service.by_path["/sync/leads"] = refused(202, "ACCEPTED: ждите")
    told = base.push(batch=2)
    assert (told["outcomes"], service.paths()) == ({"accepted": 1, "blocked": 5}, ["leads"])


def test_orders_wait_for_counterparties_that_are_on_their_way(base, service):
    base.case()
    service.by_path["/sync/clients_contacts"] = refused(202, "ACCEPTED: ждите")
    told = base.push()
    assert told["outcomes"] == {"accepted": 1, "delivered": 1, "held": 1, "blocked": 1}
    assert service.paths() == ["clients_contacts", "clients_companies"]
    service.by_path.clear()
    assert base.push()["outcomes"] == {"delivered": 3}
    assert service.told()[-2][1]["contact_id"] == 501


def test_counterparties_go_before_orders_that_were_entered_earlier(base, service):
    order = base.order()
    base.hand(f"orders/{order}", contact=base.person())
    base.push()
    assert service.paths() == ["clients_contacts", "leads", "leads"]
    assert [body["contact_id"] for path, body in service.told() if path == "/sync/leads"] == [None, 500]


def test_orders_can_go_without_ids_as_they_were_entered(base, service):
    person = base.person()
    order = base.order(contact=person)
    base.switch(orders_without_ids=True)
    service.by_path["/sync/clients_contacts"] = refused(202, "ACCEPTED: ждите")
    assert base.push()["outcomes"] == {"accepted": 1, "delivered": 1}
    assert service.told()[1][1]["contact_id"] is None
    assert base.row(order)["amo_id"] == 500


def test_an_order_does_not_wait_for_whom_nobody_tells_of(base, service):
    service.by_path["/sync/clients_contacts"] = refused(400, "BAD_REQUEST: name")
    base.order(contact=base.person(name=""))
    assert base.push(drop_refused=True)["outcomes"] == {"dropped": 1, "delivered": 1}
    assert service.told()[-1][1]["contact_id"] is None
    assert [(one["outcome"], one["data"]) for one in base.rows("sent")] == [("dropped", None), ("delivered", 500)]


def test_a_refused_state_gives_way_to_a_later_one(base, service):
    person = base.person(name="")
    base.hand(f"counterparties/{person}", name="Анна")
    service.script += [refused(400, "BAD_REQUEST: name")]
    told = base.push()
    assert (told["outcomes"], told["left"]) == ({"superseded": 1, "delivered": 1}, 0)
    assert [body["name"] for _, body in service.told()] == ["", "Анна"]


def test_a_refused_event_stays_and_holds_back_what_follows(base, service):
    order = base.order()
    base.book(order, "payment")
    base.hand(f"orders/{order}", name="Турнир")
    service.by_path["/sync/process_event"] = refused(400, "BAD_REQUEST: sum")
    assert base.push()["outcomes"] == {"delivered": 1, "refused": 1, "blocked": 1}
    assert base.push(drop_refused=True)["outcomes"] == {"dropped": 1, "delivered": 1}


def test_a_limit_is_of_the_oldest_entries(base, service):
    people = [base.person(name=f"П{number}") for number in range(5)]
    told = base.push(limit=2)
    assert (told["entries"], told["left"]) == (2, 3)
    assert [body["id_1c"] for _, body in service.told()] == people[:2]


def test_shuffling_keeps_the_order_of_each_object_and_is_seeded(base, service):
    people = [base.person(name=f"{number}") for number in range(8)]
    for person, turn in itertools.product(people, range(1, 4)):
        base.hand(f"counterparties/{person}", name=f"{people.index(person)} {turn}")
    entered = [(entry["id_1c"], entry["content"]["name"]) for entry in base.rows("outbox")]
    orders = []
    for seed in (1, 1, 2):
        entries = base.world.onec_handlers._store.outbox.pending()
        orders.append([(entry.id_1c, entry.content["name"]) for entry in shuffled(entries, str(seed))])
    assert orders[0] == orders[1] != orders[2]
    base.push(shuffle=1)
    told = [(body["id_1c"], body["name"]) for _, body in service.told()]
    assert told != entered
    for person in people:
        mine = [name for id_1c, name in entered if id_1c == person]
        for sequence in (*orders, told):
            assert [name for id_1c, name in sequence if id_1c == person] == mine


# Repeats and threads.


def test_a_share_of_requests_is_sent_twice_in_the_same_words(base, service):
    base.case()
    told = base.push(repeat=1.0)
    assert (told["entries"], told["requests"], told["repeats"]) == (4, 8, {"sent": 4, "different": 0})
    bodies = [body for _, body in service.told()]
    assert bodies[::2] == bodies[1::2]
    for number in range(60):
        base.person(name=f"{number}", phone=None)
    assert 0 < base.push(repeat=0.5)["repeats"]["sent"] < 60


@pytest.mark.parametrize("at_once", [False, True])
def test_different_answers_to_one_request_are_told(base, service, at_once):
    base.person()
    service.script += [taken(5), taken(6)]
    assert base.push(repeat=1.0, repeat_at_once=at_once)["repeats"] == {"sent": 1, "different": 1}


def test_a_repeat_that_was_taken_is_enough(base, service):
    base.person()
    service.script += [refused(503, "INTERNAL: x"), taken(5)]
    told = base.push(repeat=1.0)
    assert (told["outcomes"], told["statuses"]) == ({"delivered": 1}, {"503": 1, "200": 1})


def test_many_threads_tell_everything_once_and_each_object_in_order(base, service):
    base.admin("POST", "/seed", {"counterparties": 60, "orders": 30, "order_events": 120})
    entered = base.rows("outbox")
    told = base.push(threads=8, shuffle=3, batch=70)
    assert (told["outcomes"], told["left"]) == ({"delivered": len(entered)}, 0)
    sent = [(path, body["id_1c"], body.get("document_name")) for path, body in service.told()]
    assert len(sent) == len(set(sent)) == len(entered)
    documents = {}
    for _, id_1c, document in sent:
        documents.setdefault(id_1c, []).append(document)
    for order in base.rows("orders"):
        booked = [event["document_name"] for event in base.rows("events") if event["order_id_1c"] == order["id_1c"]]
        assert documents[order["id_1c"]] == [None, *booked]
        assert bool(order["contact_id_1c"]) == any(
            body["contact_id"] is not None
            for path, body in service.told()
            if path == "/sync/leads" and body["id_1c"] == order["id_1c"]
        )


def entries(*objects):
    return [Entry(seq, "contact", id_1c, {}) for seq, id_1c in enumerate(objects, 1)]


def test_an_agenda_hands_out_one_entry_of_an_object_at_a_time():
    agenda = Agenda(entries("a", "a", "b", "c", "b"), stuck := {"c"})
    first, second = agenda.take(), agenda.take()
    assert (first.seq, second.seq) == (1, 3)
    agenda.done(second, goes_on=False)
    agenda.done(first, goes_on=True)
    third = agenda.take()
    agenda.done(third, goes_on=True)
    assert (third.seq, agenda.take(), agenda.blocked, stuck) == (2, None, 2, {"b", "c"})


def test_a_thread_waits_for_an_object_that_is_busy():
    agenda, handed = Agenda(entries("a", "a"), set()), []
    first = agenda.take()
    waiting = threading.Thread(target=lambda: handed.append(agenda.take()))
    waiting.start()
    agenda.done(first, goes_on=True)
    waiting.join(5)
    assert [entry.seq for entry in handed] == [2]


def test_a_call_that_breaks_leaves_the_exchange_usable(base):
    base.case()

    def broken(*_args):
        raise RuntimeError("ours")

    for threads in (1, 4):
        with pytest.raises(RuntimeError):
            driver.pushed(base.world.onec_handlers, send=broken, url="http://x", threads=threads)
    told = driver.pushed(
        base.world.onec_handlers, send=lambda *_: Reply(200, {"success": True, "data": 5}), url="http://x"
    )
    assert (told["outcomes"], told["left"]) == ({"delivered": 4}, 0)


def test_a_reset_amid_a_round_is_survived(base, service):
    base.case()

    def forgetful(*_args):
        base.admin("POST", "/reset")
        return Reply(200, {"success": True, "data": 5})

    driver.pushed(base.world.onec_handlers, send=forgetful, url="http://x")
    assert (base.rows("outbox"), base.rows("sent"), base.rows("counterparties")) == ([], [], [])


@pytest.mark.parametrize(
    "plan",
    [
        {"url": "ftp://x"},
        {"url": 5},
        {"url": None},
        {"batch": 0},
        {"threads": 0},
        {"threads": 65},
        {"repeat": 2},
        {"login": "x"},
        {"speed": 1},
    ],
)
def test_a_plan_that_is_none_is_refused(base, plan):
    base.person()
    status, answer = base.asked("POST", "/onec_handlers/push", {"url": base.service.url, **plan})
    assert (status, list(answer)) == (400, ["error"])
    assert base.service.requests == []


def test_statuses_are_counted(base, service):
    for number in range(3):
        base.person(name=f"{number}")
    service.script += [refused(503, "INTERNAL: x"), taken(1), refused(400, "BAD_REQUEST: y")]
    told = base.push()
    assert Counter(told["statuses"]) == Counter({"503": 1, "200": 1, "400": 1})
    assert told["codes"] == {"INTERNAL": 1, "BAD_REQUEST": 1}
