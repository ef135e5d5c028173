"""Faults, journal and admin side of the sandbox over real sockets, the transport served in this process."""

import http.client
import json
import socket

import pytest

from sandbox.admin import Admin
from sandbox.world import Sandbox, World

TOKEN = {"Authorization": "Token sandbox-otmechalka-token"}
CLIENT = {
    "origin_id": "39558",
    "last_name": "Ладейкин",
    "first_name": "Василий",
    "phone": "79990000001",
    "courses": ["10985"],
    "branchoffices": ["2633"],
    "gender": "M",
}
CRM = "/rest/1/sandboxsecret00"


class Caller:
    """Clients of both systems and of the admin side; `line` keeps one socket open per system."""

    def __init__(self, sandbox):
        self.addresses = sandbox.addresses()
        self.lines = {}

    def line(self, system):
        if system not in self.lines:
            host = self.addresses[system].split("/")[2]
            self.lines[system] = http.client.HTTPConnection(host, timeout=5)
        return self.lines[system]

    def send(self, system, http_method, path, body=None):
        content = None if body is None else json.dumps(body)
        headers = TOKEN | {"Content-Type": "application/json"}
        self.line(system).request(http_method, path, content, headers)
        return self.line(system).getresponse()

    def admin(self, http_method, path, body=None):
        answer = json.loads(self.send("admin", http_method, path, body).read())
        assert "error" not in answer, answer
        return answer

    def arm(self, system="otmechalka", **fault):
        return self.admin("POST", "/faults", {"system": system, **fault})["id"]

    def create(self):
        return self.send("otmechalka", "POST", "/api/clients/", CLIENT)

    def clients(self):
        return self.admin("GET", "/store/otmechalka/clients")["rows"]

    def journal(self, **query):
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        return self.admin("GET", f"/journal?{asked}")["entries"]

    def close(self):
        for line in self.lines.values():
            line.close()


@pytest.fixture
def caller():
    world = World()
    with Sandbox(world, Admin(world).handle, {}) as sandbox:
        caller = Caller(sandbox)
        yield caller
        caller.close()


# What happens to a request.


@pytest.mark.parametrize("commit", [False, True])
def test_a_status_replaces_the_answer_before_or_after_the_write(caller, commit):
    caller.arm(action="status", status=502, html="<h1>gateway</h1>", commit=commit)
    response = caller.create()
    assert (response.status, response.read()) == (502, b"<h1>gateway</h1>")
    assert len(caller.clients()) == commit
    (entry,) = caller.journal(system="otmechalka")
    assert (entry["status"], entry["fault"], entry["committed"]) == (502, "status", commit)


def test_a_status_may_carry_json_and_headers(caller):
    caller.arm(action="status", status=503, json={"detail": "busy"}, headers={"Retry-After": "7"})
    response = caller.create()
    assert (response.status, response.headers["Retry-After"]) == (503, "7")
    assert json.loads(response.read()) == {"detail": "busy"}


def test_html_can_come_with_200(caller):
    caller.arm(action="html")
    response = caller.create()
    assert (response.status, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


def test_an_error_body_can_come_with_200_in_the_vendors_shape(caller):
    caller.arm("bitrix24", action="error", code="ERROR_CORE", text="no")
    response = caller.send("bitrix24", "POST", f"{CRM}/profile")
    assert (response.status, json.loads(response.read())) == (200, {"error": "ERROR_CORE", "error_description": "no"})


def test_a_truncated_answer_is_whole_http_and_broken_json_after_the_write(caller):
    caller.arm(action="truncated")
    response = caller.create()
    assert response.status == 200
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(response.read())
    assert len(caller.clients()) == 1


def test_a_cut_answer_ends_before_its_announced_length(caller):
    caller.arm(action="cut")
    with pytest.raises(http.client.IncompleteRead):
        caller.create().read()
    assert len(caller.clients()) == 1


@pytest.mark.parametrize("value", [[], "text", 5, None])
def test_the_answer_can_be_of_a_wrong_type(caller, value):
    caller.arm(action="wrong_type", value=value)
    assert json.loads(caller.create().read()) == value


@pytest.mark.parametrize(("action", "kept"), [("reset_before", 0), ("reset_after", 1)])
def test_a_reset_before_or_after_the_commit(caller, action, kept):
    caller.arm(action=action)
    with pytest.raises(ConnectionResetError):
        caller.create()
    caller.close()
    assert len(caller.clients()) == kept
    (entry,) = caller.journal(system="otmechalka")
    assert (entry["status"], entry["committed"], entry["key"]) == (0, bool(kept), "39558")


def test_a_hanging_answer_is_never_sent_though_the_write_is_done(caller):
    caller.arm(action="hang")
    caller.line("otmechalka").timeout = 0.1
    with pytest.raises(TimeoutError):
        caller.create()
    assert len(caller.clients()) == 1


def test_slow_bytes_begin_with_the_headers(caller):
    caller.arm(action="slow", bytes_per_s=20)
    host, port = caller.addresses["otmechalka"].removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as line:
        line.sendall(b"GET /api/clients/1/ HTTP/1.1\r\nHost: x\r\n\r\n")
        assert line.recv(100) == b"H"
        assert line.recv(100) == b"T"


def test_a_huge_answer_is_valid_json(caller):
    caller.arm(action="huge", size=3_000_000)
    body = caller.create().read()
    assert (len(body), json.loads(body)["origin_id"]) == (3_000_000, "39558")
    assert caller.create().read()


def test_a_redirect_names_another_host_and_nothing_is_handled(caller):
    caller.arm("bitrix24", action="redirect", location="https://new.example/rest/")
    response = caller.send("bitrix24", "POST", f"{CRM}/crm.contact.add", {"fields": {}})
    assert (response.status, response.headers["Location"]) == (302, "https://new.example/rest/")
    assert caller.admin("GET", "/store/bitrix24/contacts")["rows"] == []


def test_revoked_access_is_401_until_disarmed(caller):
    fault = caller.arm("bitrix24", action="revoke")
    for _ in range(3):
        response = caller.send("bitrix24", "GET", f"{CRM}/profile")
        assert (response.status, json.loads(response.read())["error"]) == (401, "INVALID_CREDENTIALS")
    caller.admin("DELETE", f"/faults/{fault}")
    assert caller.send("bitrix24", "GET", f"{CRM}/profile").status == 200


@pytest.mark.parametrize(("system", "path", "status"), [("bitrix24", f"{CRM}/scope", 503), ("otmechalka", "/", 429)])
def test_throttling_speaks_the_vendors_language(caller, system, path, status):
    caller.arm(system, action="throttle", retry_after_s=9)
    response = caller.send(system, "GET", path)
    response.read()
    assert (response.status, response.headers["Retry-After"]) == (status, "9" if status == 429 else None)


def test_latency_is_before_or_after_the_handling(caller):
    caller.arm(action="latency", before_s=0.01, after_s=0.01)
    assert caller.create().status == 200
    assert caller.journal(system="otmechalka")[0]["fault"] == "latency"


# A source whose pages repeat and move rows.


def test_repeated_rows_are_in_another_order_and_all_else_is_as_it_was(caller):
    for contact in (2, 4, 6):
        caller.admin("POST", "/bitrix24/contacts", {"ID": contact, "PHONE": [f"1{contact}", f"2{contact}"]})
    asked = {"select": ["ID", "PHONE"], "order": {"ID": "ASC"}}
    plain = json.loads(caller.send("bitrix24", "POST", f"{CRM}/crm.contact.list", asked).read())
    caller.arm("bitrix24", action="repeat_rows")
    moved = json.loads(caller.send("bitrix24", "POST", f"{CRM}/crm.contact.list", asked).read())
    assert [row["ID"] for row in moved["result"]] == ["6", "4", "2", "6", "4"]
    rows = {row["ID"]: row for row in plain["result"]}
    assert all(row == rows[row["ID"]] and len(row["PHONE"]) == 2 for row in moved["result"])
    assert (moved["total"], list(moved)) == (3, list(plain))
    assert json.loads(caller.send("bitrix24", "POST", f"{CRM}/crm.contact.list", asked).read())["result"] == [
        *rows.values()
    ]


def test_repeated_rows_keep_the_way_to_the_next_page(caller):
    caller.admin("POST", "/seed", {"contacts": 51})
    caller.arm("bitrix24", action="repeat_rows", times=2)
    first = json.loads(caller.send("bitrix24", "POST", f"{CRM}/crm.contact.list", {}).read())
    second = json.loads(caller.send("bitrix24", "POST", f"{CRM}/crm.contact.list", {"start": 50}).read())
    assert (first["next"], first["total"], len(first["result"])) == (50, 51, 75)
    assert len({row["ID"] for row in first["result"]}) == 50
    assert ("next" in second, len(second["result"]), len({row["ID"] for row in second["result"]})) == (False, 2, 1)


@pytest.mark.parametrize(("spared", "products"), [({}, 3), ({"unless_has": "OWNER_TYPE"}, 2)])
def test_rows_repeat_in_a_batch_and_product_rows_unless_spared(caller, spared, products):
    for contact in (2, 4):
        caller.admin("POST", "/bitrix24/contacts", {"ID": contact, "PHONE": ["1", "2"]})
    caller.admin("POST", "/bitrix24/deals", {"ID": 6, "PRODUCT_ROWS": [{"PRICE": 1}, {"PRICE": 2}]})
    caller.arm("bitrix24", action="repeat_rows", **spared)
    commands = {
        "list": "crm.contact.list?order[ID]=ASC",
        "one": "crm.contact.get?id=2",
        "rows": "crm.deal.productrows.get?id=6",
        "update": "crm.contact.update?id=2&fields[NAME]=A",
    }
    answer = json.loads(caller.send("bitrix24", "POST", f"{CRM}/batch", {"cmd": commands}).read())["result"]
    results = answer["result"]
    assert [row["ID"] for row in results["list"]] == ["4", "2", "4"]
    assert (len(results["one"]["PHONE"]), results["update"], len(results["rows"])) == (2, True, products)
    assert answer["result_total"] == {"list": 2}
    (entry,) = caller.journal(system="bitrix24")
    assert (entry["fault"], entry["committed"], len(entry["commands"])) == ("repeat_rows", True, 4)


def test_an_answer_without_rows_is_not_touched(caller):
    caller.arm(action="repeat_rows")
    response = caller.create()
    assert (response.status, json.loads(response.read())["origin_id"]) == (200, "39558")


# Which requests are hit.


def test_a_fault_happens_as_many_times_as_armed(caller):
    caller.arm(action="status", status=500, times=2)
    statuses = []
    for _ in range(3):
        response = caller.send("otmechalka", "GET", "/api/clients/1/")
        response.read()
        statuses.append(response.status)
    assert statuses == [500, 500, 404]
    assert caller.admin("GET", "/faults")["faults"][0]["hits"] == 2


def test_a_fault_picks_its_requests_by_path_and_by_text(caller):
    caller.arm("bitrix24", action="html", match=r"crm\.contact\.(get|list)", times=None)
    caller.arm("bitrix24", action="html", match="batch", key="Успешно", times=None)
    kinds = []
    for path, body in (
        ("profile", None),
        ("crm.contact.list", None),
        ("batch", {"cmd": ["profile"]}),
        ("batch", {"cmd": ["crm.contact.update?id=1&fields[X]=%D0%A3%D1%81%D0%BF%D0%B5%D1%88%D0%BD%D0%BE"]}),
    ):
        response = caller.send("bitrix24", "POST", f"{CRM}/{path}", body)
        response.read()
        kinds.append("html" in response.headers["Content-Type"])
    assert kinds == [False, True, False, True]


def test_a_probability_repeats_with_its_seed(caller):
    def hits():
        fault = caller.arm(action="status", status=500, probability=0.5, seed=7)
        statuses = []
        for _ in range(20):
            response = caller.send("otmechalka", "GET", "/api/clients/1/")
            response.read()
            statuses.append(response.status)
        caller.admin("DELETE", f"/faults/{fault}")
        return statuses

    first = hits()
    assert set(first) == {500, 404}
    assert hits() == first


@pytest.mark.parametrize(
    "fault",
    [
        {"system": "1c", "action": "html"},
        {"system": "bitrix24", "action": "explode"},
        {"system": "bitrix24", "action": "html", "colour": 1},
        {"system": "bitrix24", "action": "redirect"},
        {"system": "bitrix24", "action": "html", "match": "("},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(caller, fault):
    response = caller.send("admin", "POST", "/faults", fault)
    assert (response.status, list(json.loads(response.read()))) == (400, ["error"])


# Transport.


def test_one_socket_serves_many_requests(caller):
    for _ in range(3):
        assert caller.send("bitrix24", "GET", f"{CRM}/profile").read()
    assert caller.line("bitrix24").sock is not None


def test_a_chunked_body_is_read(caller):
    line = caller.line("otmechalka")
    chunks = iter([json.dumps(CLIENT).encode()[:20], json.dumps(CLIENT).encode()[20:]])
    line.request("POST", "/api/clients/", chunks, TOKEN, encode_chunked=True)
    assert line.getresponse().status == 200


def test_what_is_not_http_is_answered_400(caller):
    host, port = caller.addresses["otmechalka"].removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as line:
        line.sendall(b"hello\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 400 ")
