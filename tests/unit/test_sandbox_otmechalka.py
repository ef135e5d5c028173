"""The otmechalka stand-in against facts/otmechalka.md §2, §9, §10, called in memory: no sockets, a frozen clock."""

import json

import pytest

from sandbox.chronicle import Chronicle
from sandbox.clock import Clock
from sandbox.otmechalka.school import School
from sandbox.wire import Request

CLIENT = {
    "origin_id": "39558",
    "last_name": "Ладейкин",
    "first_name": "Василий",
    "phone": "79990000001",
    "email": "p1@mail.example",
    "courses": ["10985", "10986"],
    "branchoffices": ["2633"],
    "birthdate": "2009-11-29",
    "gender": "M",
    "additional_data": "Ладейкина Анна",
}
TICKET = {
    "origin_id": "96036",
    "client_origin_id": "39558",
    "ticket_type": "6 КМС индивидуальные 45 мин",
    "price_initial": "9000.00",
    "discount": "300.00",
    "price_final": "8700.00",
    "selling_date": "2020-12-13",
    "selling_branchoffice": "2634",
    "employee": "Андрей Сергеев",
    "payment_method": "ONLINE",
}


class Caller:
    def __init__(self):
        self.clock = Clock()
        self.school = School(self.clock, Chronicle())
        self.headers = {"authorization": "Token sandbox-otmechalka-token", "content-type": "application/json"}

    def send(self, http_method, path, content=b""):
        request = Request(http_method, path, "", self.headers, content, "10.0.0.1", is_last=False)
        return self.school.handle(request)

    def __call__(self, http_method, path, body=None):
        response = self.send(http_method, path, b"" if body is None else json.dumps(body).encode())
        return response.status, json.loads(response.body)

    def create(self, **fields):
        return self("POST", "/api/clients/", CLIENT | fields)

    def update(self, **fields):
        return self("POST", "/api/clients/39558/", CLIENT | fields)

    def sell(self, **fields):
        return self("POST", "/api/tickets/", TICKET | fields)


@pytest.fixture
def school():
    return Caller()


# Clients.


def test_a_created_client_has_an_own_id_and_is_read_by_origin_id(school):
    status, created = school.create()
    assert (status, created["origin_id"], type(created["id"])) == (200, "39558", int)
    assert school("GET", "/api/clients/39558/") == (200, created)


def test_groups_are_the_product_of_branches_and_courses(school):
    _, client = school.create(courses=["10985", "10987", "10988"], branchoffices=["2633", "2635"])
    assert client["groups"] == ["Он-лайн группа 1", "Сколково младшая группа", "Сколково с тренером"]


def test_names_of_courses_and_branches_are_accepted_and_stored_as_ids(school):
    _, client = school.create(courses=["Он-лайн Групповое"], branchoffices=["+Он-лайн `МСК"])
    assert (client["courses"], client["branchoffices"]) == (["10985"], ["2633"])
    school.school.switch({"ids_only": True})
    status, answer = school.update(courses=["Он-лайн Групповое"])
    assert (status, list(answer)) == (400, ["courses"])


def test_an_update_replaces_what_is_sent_and_keeps_what_is_omitted(school):
    school.create()
    body = {name: value for name, value in CLIENT.items() if name not in ("email", "origin_id")}
    status, client = school("POST", "/api/clients/39558/", body | {"courses": ["10986"]})
    assert (status, client["courses"], client["email"]) == (200, ["10986"], "p1@mail.example")


def test_omitted_optional_fields_are_cleared_if_switched(school):
    school.create()
    school.school.switch({"omitted_optional": "cleared"})
    body = {name: value for name, value in CLIENT.items() if name != "email"}
    assert "email" not in school("POST", "/api/clients/39558/", body)[1]


def test_optional_fields_may_be_null(school):
    assert school.create(email=None, birthdate=None, additional_data=None)[0] == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("origin_id", 39558),
        ("origin_id", "A1"),
        ("last_name", " "),
        ("first_name", None),
        ("phone", "+79990000001"),
        ("phone", "89990000001"),
        ("phone", "7999000000"),
        ("email", "nobody"),
        ("courses", []),
        ("courses", "10985"),
        ("courses", [10985]),
        ("courses", ["1"]),
        ("branchoffices", ["+Он-лайн"]),
        ("birthdate", "2009-11-29T03:00:00+03:00"),
        ("birthdate", "20091129"),
        ("birthdate", "2009-02-30"),
        ("gender", "male"),
    ],
)
def test_a_client_with_a_wrong_field_is_refused_naming_the_field(school, field, value):
    status, answer = school.create(**{field: value})
    assert (status, list(answer)) == (400, [field])
    assert school.school.rows("clients") == []


def test_every_mistake_is_named_at_once(school):
    status, answer = school("POST", "/api/clients/", {"gender": "M"})
    assert status == 400
    assert set(answer) == {
        "origin_id",
        "last_name",
        "first_name",
        "phone",
        "courses",
        "branchoffices",
    }


@pytest.mark.parametrize("status", [409, 400])
def test_a_duplicate_is_refused_naming_origin_id(school, status):
    school.school.switch({"duplicate_status": status})
    school.create()
    answered, answer = school.create()
    assert (answered, list(answer)) == (status, ["origin_id"])
    assert len(school.school.rows("clients")) == 1


@pytest.mark.parametrize(
    ("position", "status", "body"),
    [
        ("404", 404, {"detail": "Не найдено."}),
        ("null", 200, None),
        ("empty", 200, {}),
        ("null_id", 200, {"id": None}),
    ],
)
def test_an_absent_client_is_told_as_the_switch_says(school, position, status, body):
    school.school.switch({"absent": position})
    assert school("GET", "/api/clients/1/") == (status, body)
    assert school.update()[0] == 404


def test_an_update_cannot_move_the_origin_id(school):
    school.create()
    assert school.update(origin_id="1")[0] == 400


@pytest.mark.parametrize("http_method", ["PUT", "PATCH"])
def test_the_update_method_can_be_another(school, http_method):
    school.create()
    school.school.switch({"update_method": http_method})
    assert school.update()[0] == 405
    assert school(http_method, "/api/clients/39558/", CLIENT)[0] == 200


def test_the_limit_counts_active_clients_only(school):
    school.school.switch({"client_limit": 1})
    school.create()
    status, answer = school.create(origin_id="2")
    assert (status, answer["code"]) == (400, "limit")
    school.school.archive("39558", is_archived=True)
    assert school.create(origin_id="2")[0] == 200


def test_an_archived_client_is_shown_and_cannot_be_updated_unless_switched(school):
    school.create()
    school.school.archive("39558", is_archived=True)
    assert school("GET", "/api/clients/39558/")[1]["is_archived"] is True
    assert school.update()[0] == 400
    school.school.switch({"archived_update": "allowed", "archived_shown": False})
    status, client = school.update()
    assert (status, "is_archived" in client) == (200, False)


def test_a_new_client_can_be_read_only_after_the_lag(school):
    school.school.switch({"read_lag_s": 3})
    school.create()
    assert school("GET", "/api/clients/39558/")[0] == 404
    school.clock.change(advance_s=3)
    assert school("GET", "/api/clients/39558/")[0] == 200


# Tickets.


def test_a_ticket_is_created_once_for_a_known_client(school):
    school.create()
    status, ticket = school.sell()
    assert (status, ticket["is_paid"]) == (200, True)
    assert school("GET", "/api/tickets/96036/") == (200, ticket)
    assert school.sell()[0] == 409


@pytest.mark.parametrize("status", [400, 404])
def test_a_ticket_for_an_unknown_client_names_it(school, status):
    school.school.switch({"unknown_client_status": status})
    answered, answer = school.sell()
    assert (answered, list(answer)) == (status, ["client_origin_id"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ticket_type", " 6 КМС индивидуальные 45 мин"),
        ("price_initial", 9000),
        ("discount", "300"),
        ("price_final", "8700.01"),
        ("selling_date", "13.12.2020"),
        ("selling_branchoffice", "186"),
        ("employee", "Сергеев Андрей"),
        ("payment_method", "CARD"),
    ],
)
def test_a_ticket_with_a_wrong_field_is_refused_naming_the_field(school, field, value):
    school.create()
    status, answer = school.sell(**{field: value})
    assert (status, list(answer)) == (400, [field])


def test_tickets_are_never_updated(school):
    school.create()
    school.sell()
    assert school("POST", "/api/tickets/96036/", TICKET)[0] == 405


# Access.


def test_a_wrong_or_missing_token_is_401(school):
    school.headers["authorization"] = "Token other"
    assert school.create()[0] == 401
    del school.headers["authorization"]
    assert school.create()[0] == 401
    assert school.school.rows("clients") == []


def test_header_and_scheme_can_be_others(school):
    school.school.switch({"auth_header": "X-Api-Key", "auth_scheme": ""})
    school.headers = {"x-api-key": "sandbox-otmechalka-token"}
    assert school.create()[0] == 200


def test_a_path_without_slash_is_redirected_and_nothing_is_created(school):
    response = school.send("POST", "/api/clients", json.dumps(CLIENT).encode())
    assert (response.status, response.headers) == (301, (("Location", "/api/clients/"),))
    assert school("GET", "/api/groups/")[0] == 404
    assert school.school.rows("clients") == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"'])
def test_a_body_that_is_no_json_object_is_400(school, content):
    assert school.send("POST", "/api/clients/", content).status == 400


def test_the_rate_limit_answers_429_with_retry_after(school):
    school.school.switch({"rate_per_s": 0.5, "rate_burst": 2})
    assert [school("GET", "/api/clients/1/")[0] for _ in range(2)] == [404, 404]
    response = school.send("GET", "/api/clients/1/")
    assert (response.status, response.headers) == (429, (("Retry-After", "2"),))
    school.clock.change(advance_s=2)
    assert school("GET", "/api/clients/1/")[0] == 404


def test_the_trace_names_method_kind_and_key_and_whether_it_was_committed(school):
    content = json.dumps(CLIENT).encode()
    first, second = school.send("POST", "/api/clients/", content), school.send("POST", "/api/clients/", content)
    assert (first.trace.method, first.trace.kind, first.trace.key) == ("POST /api/clients/", "write", "39558")
    assert (first.trace.is_committed, second.trace.is_committed) == (True, False)
    read = school.send("GET", "/api/clients/39558/").trace
    assert (read.method, read.kind, read.is_committed) == ("GET /api/clients/{origin_id}/", "read", False)
