"""Who may call the amoCRM stand-in and how often (facts/amocrm.md §2, §3, §4), and its faults over real sockets."""

import base64
import hashlib
import hmac
import http.client
import json
import threading

import pytest

from sandbox.admin import Admin
from sandbox.world import Sandbox, World

NOON = "2026-01-07T12:00:00+00:00"


class Caller:
    """One client of the account, with the long-lived token unless another is given."""

    def __init__(self, sandbox):
        self.world, self.addresses = sandbox.world, sandbox.addresses()
        self.token = self.addresses["amocrm_token"]

    def send(self, http_method, path, body=None, *, listener="amocrm", **headers):
        line = http.client.HTTPConnection(self.addresses[listener].split("/")[2], timeout=10)
        sent = {"Authorization": f"Bearer {self.token}", **headers} if self.token else headers
        try:
            line.request(http_method, path, None if body is None else json.dumps(body), sent)
            answer = line.getresponse()
            return answer.status, answer.getheader("Content-Type"), answer.read(), dict(answer.getheaders())
        finally:
            line.close()

    def status(self, http_method="GET", path="/api/v4/account", body=None):
        return self.send(http_method, path, body)[0]

    def oauth(self, **body):
        known = {name: self.addresses[f"amocrm_{name}"] for name in ("client_id", "client_secret", "redirect_uri")}
        status, _, content, _ = self.send("POST", "/oauth2/access_token", known | body)
        return status, json.loads(content)

    def refresh(self, token, **body):
        return self.oauth(grant_type="refresh_token", refresh_token=token, **body)

    def admin(self, http_method, path, **body):
        answer = json.loads(self.send(http_method, path, body, listener="admin")[2])
        assert "error" not in answer, answer
        return answer

    def switch(self, **positions):
        self.admin("POST", "/switches/amocrm", **positions)

    def advance(self, seconds):
        self.admin("POST", "/clock", advance_s=seconds)

    def store(self, entity):
        return self.admin("GET", f"/store/amocrm/{entity}")["rows"]


@pytest.fixture(scope="module")
def running():
    world = World()
    with Sandbox(world, Admin(world).handle, {}) as sandbox:
        yield sandbox


@pytest.fixture
def crm(running):
    running.world.reset()
    running.world.clock.change(freeze=NOON)
    running.world.amocrm.switch({"rate_profile": "off"})
    return Caller(running)


# Tokens, §2.


def test_the_ready_file_tells_all_a_client_needs(crm):
    assert crm.addresses["amocrm"].startswith("http://127.0.0.1:")
    assert crm.status() == 200
    names = {"amocrm_token", "amocrm_client_id", "amocrm_client_secret", "amocrm_refresh_token", "amocrm_redirect_uri"}
    assert names <= crm.addresses.keys()


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}])
def test_others_are_not_let_in(crm, headers):
    crm.token = ""
    status, kind, content, _ = crm.send("GET", "/api/v4/account", **headers)
    assert (status, kind, json.loads(content)["status"]) == (401, "application/problem+json", 401)


@pytest.mark.parametrize("state", ["expired", "revoked"])
def test_a_long_lived_token_ends_by_a_switch(crm, state):
    crm.switch(token_state=state)
    assert crm.status() == 401


def test_a_refresh_token_works_once_and_gives_the_next(crm):
    status, first = crm.refresh(crm.addresses["amocrm_refresh_token"])
    assert (status, first["token_type"], first["expires_in"]) == (200, "Bearer", 86_400)
    status, refusal = crm.refresh(crm.addresses["amocrm_refresh_token"])
    assert (status, refusal["status"], refusal["hint"]) == (400, 400, "Token has been revoked")
    assert {"title", "type", "detail"} <= refusal.keys()
    crm.token = first["access_token"]
    assert crm.status() == 200
    assert crm.refresh(first["refresh_token"])[0] == 200


def test_of_many_that_refresh_at_once_one_succeeds(crm):
    answers = []
    token = crm.addresses["amocrm_refresh_token"]
    threads = [threading.Thread(target=lambda: answers.append(crm.refresh(token)[0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, *[400] * 7]
    assert crm.admin("GET", "/amocrm/tokens") == {"access": 1, "refresh": 1, "spent": 1, "is_banned": False}


def test_lives_end_on_the_sandboxs_clock(crm):
    _, pair = crm.refresh(crm.addresses["amocrm_refresh_token"])
    crm.token = pair["access_token"]
    crm.advance(86_399)
    assert crm.status() == 200
    crm.advance(1)
    assert crm.status() == 401
    crm.advance(89 * 86_400)
    assert crm.refresh(pair["refresh_token"])[1]["hint"] == "Invalid refresh token"


def test_an_access_token_tells_its_claims(crm):
    _, pair = crm.refresh(crm.addresses["amocrm_refresh_token"])
    for token in (pair["access_token"], crm.addresses["amocrm_token"]):
        _, middle, _ = token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        assert (claims["aud"], claims["account_id"]) == (crm.addresses["amocrm_client_id"], 31_000_001)
        assert claims["exp"] > claims["iat"]


def test_a_code_is_exchanged_once_within_twenty_minutes(crm):
    first, late = (crm.admin("POST", "/amocrm/code")["code"] for _ in range(2))
    assert crm.oauth(grant_type="authorization_code", code=first)[0] == 200
    again = crm.oauth(grant_type="authorization_code", code=first)[1]
    crm.advance(1200)
    expired = crm.oauth(grant_type="authorization_code", code=late)[1]
    unknown = crm.oauth(grant_type="authorization_code", code="x")[1]
    assert [one["hint"] for one in (again, expired, unknown)] == [
        "Authorization code has been revoked",
        "Authorization code has expired",
        "Cannot decrypt the authorization code",
    ]


@pytest.mark.parametrize(
    "wrong", [{"client_id": "x"}, {"client_secret": "x"}, {"redirect_uri": "https://x.example"}, {"grant_type": "x"}]
)
def test_an_exchange_of_somebody_else_spends_nothing(crm, wrong):
    crm.switch(oauth_error_status=401)
    assert crm.refresh(crm.addresses["amocrm_refresh_token"], **({} if "grant_type" in wrong else wrong))[0] in (
        200,
        401,
    )
    token = {"grant_type": "refresh_token", "refresh_token": crm.addresses["amocrm_refresh_token"]}
    assert crm.oauth(**(token | wrong))[0] == 401


def test_what_a_refresh_and_a_reuse_do_to_others_is_a_switch(crm):
    crm.switch(refresh_revokes_access=True, reuse_revokes_family=True)
    _, first = crm.refresh(crm.addresses["amocrm_refresh_token"])
    _, second = crm.refresh(first["refresh_token"])
    crm.token = first["access_token"]
    assert crm.status() == 401
    assert crm.refresh(first["refresh_token"])[0] == 400
    assert crm.refresh(second["refresh_token"])[0] == 400


def test_a_renamed_account_is_found_by_its_refresh_token(crm):
    crm.switch(subdomain="renamed", subdomain_state="renamed")
    token = crm.addresses["amocrm_refresh_token"]
    assert (crm.status(), crm.send("POST", "/oauth2/access_token", {})[0]) == (404, 404)
    content = crm.send("GET", "/oauth2/account/current/subdomain", **{"X-Refresh-Token": token})[2]
    assert json.loads(content)["subdomain"] == "renamed"
    assert crm.send("GET", "/oauth2/account/current/subdomain", **{"X-Refresh-Token": "x"})[0] == 401
    crm.switch(subdomain_state="current")
    assert crm.refresh(token)[0] == 200


def test_an_uninstall_revokes_everything_and_signs_its_farewell(crm):
    _, pair = crm.refresh(crm.addresses["amocrm_refresh_token"])
    farewell = crm.admin("DELETE", "/amocrm/tokens")
    signed = f"{farewell['client_uuid']}|{farewell['account_id']}".encode()
    key = crm.addresses["amocrm_client_secret"].encode()
    assert farewell["signature"] == hmac.new(key, signed, hashlib.sha256).hexdigest()
    crm.token = pair["access_token"]
    assert (crm.status(), crm.refresh(pair["refresh_token"])[0]) == (401, 400)
    crm.token = crm.admin("POST", "/amocrm/tokens")["access_token"]
    assert crm.status() == 200
    crm.admin("POST", "/amocrm/tokens/expire")
    assert crm.status() == 401


def test_the_journal_shows_no_secret(crm):
    crm.refresh(crm.addresses["amocrm_refresh_token"])
    text = json.dumps(crm.admin("GET", "/journal"))
    assert crm.addresses["amocrm_client_secret"] not in text
    assert crm.addresses["amocrm_refresh_token"] not in text


# States of the account, §3 and §4.


@pytest.mark.parametrize(
    ("switch", "read", "write"),
    [
        ({"account_state": "writes_blocked"}, 200, 402),
        ({"account_state": "unpaid"}, 402, 402),
        ({"rights": "read_only"}, 200, 403),
        ({"rights": "none"}, 403, 403),
    ],
)
def test_states_and_rights_are_told_as_json(crm, switch, read, write):
    crm.switch(**switch)
    assert crm.status() == read
    status, kind, _, _ = crm.send("POST", "/api/v4/contacts", [{"name": "Анна"}])
    assert (status, kind) == (write, "application/problem+json")
    assert crm.store("contacts") == []


# Rate, §3.


def refused_of(crm, count):
    return [crm.status() for _ in range(count)].count(429)


@pytest.mark.parametrize(("other", "refused"), [(0, 3), (46, 6), (50, 10)])
def test_seven_a_second_and_what_others_leave_of_fifty(crm, other, refused):
    crm.switch(rate_profile="standard", other_load_per_s=other)
    crm.world.clock.elapsed = lambda: 100.5
    try:
        assert refused_of(crm, 10) == refused
        crm.world.clock.elapsed = lambda: 101.6
        assert refused_of(crm, 4) == (0 if other < 50 else 4)
    finally:
        del crm.world.clock.elapsed


@pytest.mark.parametrize(("window", "refused"), [("sliding", 7), ("fixed", 0)])
def test_the_second_slides_or_is_that_of_the_clock(crm, window, refused):
    crm.switch(rate_profile="standard", rate_window=window)
    try:
        crm.world.clock.elapsed = lambda: 100.9
        assert refused_of(crm, 7) == 0
        crm.world.clock.elapsed = lambda: 101.1
        assert refused_of(crm, 7) == refused
    finally:
        del crm.world.clock.elapsed


@pytest.mark.parametrize(("counts", "refused"), [(False, 0), (True, 7)])
def test_refused_requests_count_by_a_switch(crm, counts, refused):
    crm.switch(rate_profile="standard", rejected_requests_count=counts)
    try:
        crm.world.clock.elapsed = lambda: 100.0
        refused_of(crm, 7)
        crm.world.clock.elapsed = lambda: 100.5
        assert refused_of(crm, 7) == 7
        crm.world.clock.elapsed = lambda: 101.2
        assert refused_of(crm, 7) == refused
    finally:
        del crm.world.clock.elapsed


@pytest.mark.parametrize(
    ("position", "kind"), [("html", "text/html; charset=utf-8"), ("json", "application/problem+json")]
)
def test_a_throttled_client_is_told_in_either_form(crm, position, kind):
    crm.switch(rate_profile="standard", integration_per_s=0, throttle_body=position, retry_after_s=300)
    status, told, content, headers = crm.send("GET", "/api/v4/account")
    assert (status, told, "Retry-After" in headers) == (429, kind, False)
    if position == "json":
        assert json.loads(content)["retry_after"] == 300
    crm.switch(retry_after_header=True)
    assert crm.send("GET", "/api/v4/account")[3]["Retry-After"] == "300"
    assert crm.send("POST", "/oauth2/access_token", {})[0] == 429


def test_who_is_refused_too_often_is_banned_until_a_person_lifts_it(crm):
    crm.switch(rate_profile="standard", integration_per_s=0, ban_after=5)
    assert [crm.status() for _ in range(6)] == [429, 429, 429, 429, 403, 403]
    crm.switch(rate_profile="off")
    crm.advance(86_400)
    status, kind, _, _ = crm.send("POST", "/oauth2/access_token", {})
    assert (status, kind) == (403, "text/html; charset=utf-8")
    assert crm.admin("GET", "/amocrm/tokens")["is_banned"] is True
    crm.admin("DELETE", "/amocrm/ban")
    assert crm.status() == 200
    crm.admin("POST", "/amocrm/ban")
    assert crm.status() == 403


def test_refusals_of_long_ago_do_not_ban(crm):
    crm.switch(rate_profile="standard", integration_per_s=0, ban_after=3)
    for _ in range(4):
        assert crm.status() == 429
        crm.advance(31)


# Faults pass every route.


@pytest.mark.parametrize(
    ("fault", "status", "written"),
    [
        ({"action": "status", "status": 504, "commit": True}, 504, 1),
        ({"action": "status", "status": 502}, 502, 0),
        ({"action": "revoke"}, 401, 0),
        ({"action": "throttle"}, 429, 0),
        ({"action": "error", "status": 500, "text": "Internal error"}, 500, 0),
        ({"action": "html", "commit": True}, 200, 1),
    ],
)
def test_an_armed_fault_happens_before_or_after_the_commit(crm, fault, status, written):
    crm.admin("POST", "/faults", system="amocrm", match="contacts", **fault)
    assert crm.status("POST", "/api/v4/contacts", [{"name": "Анна"}]) == status
    assert len(crm.store("contacts")) == written
    (entry,) = crm.admin("GET", "/journal?system=amocrm")["entries"]
    assert (entry["fault"], entry["committed"], entry["entity"]) == (fault["action"], bool(written), "contacts")


@pytest.mark.parametrize(("action", "written"), [("reset_after", 1), ("reset_before", 0)])
def test_an_answer_may_be_lost(crm, action, written):
    crm.admin("POST", "/faults", system="amocrm", action=action)
    with pytest.raises((OSError, http.client.HTTPException)):
        crm.status("POST", "/api/v4/contacts", [{"name": "Анна"}])
    assert len(crm.store("contacts")) == written


# The admin side.


def test_an_administrator_makes_fields(crm):
    shown = crm.admin("POST", "/amocrm/fields", leads=[{"name": "Статус", "type": "text", "code": "STATUS"}])
    (made,) = shown["leads"]
    assert made in crm.store("custom_fields")
    for wrong in ({"name": "Статус", "type": "text", "code": "STATUS"}, {"name": "Статус", "type": "dream"}):
        assert crm.send("POST", "/amocrm/fields", {"leads": [wrong]}, listener="admin")[0] == 400
    assert [row["code"] for row in crm.store("custom_fields")].count("STATUS") == 1


def test_a_person_works_through_the_admin_side(crm):
    contact = crm.admin("POST", "/amocrm/contacts", name="Анна", phones=["8 999"])["id"]
    crm.admin("POST", f"/amocrm/contacts/{contact}", name="Вера", fields={"POSITION": "Директор"}, user_id=8_000_004)
    (row,) = crm.store("contacts")
    assert (row["name"], row["updated_by"]) == ("Вера", 8_000_004)
    other = crm.admin("POST", "/amocrm/contacts", name="Зоя")["id"]
    crm.admin("POST", f"/amocrm/contacts/{other}/merge", into=contact)
    crm.admin("DELETE", f"/amocrm/contacts/{contact}")
    assert crm.store("contacts") == []
    crm.admin("POST", f"/amocrm/contacts/{contact}/restore")
    assert [one["id"] for one in crm.store("contacts")] == [contact]
    told = crm.admin("GET", "/chronicle?system=amocrm")["entries"]
    assert {entry["who"] for entry in told} == {"person"}
    assert len(crm.store("custom_fields")) == 16
    assert crm.store("leads") == crm.store("companies") == crm.store("notes") == crm.store("tasks") == []


def test_rows_of_long_ago_are_seeded(crm):
    answer = crm.admin("POST", "/amocrm/seed", contacts=20, companies=5, leads=10, seed=3)
    assert {entity: len(kinds) for entity, kinds in answer["kinds"].items()} == {
        "companies": 5,
        "contacts": 20,
        "leads": 10,
    }
    assert [len(crm.store(entity)) for entity in ("contacts", "companies", "leads", "events")] == [20, 5, 10, 0]


def test_unknown_rows_and_routes_are_told(crm):
    for http_method, path in (
        ("POST", "/amocrm/contacts/5"),
        ("GET", "/store/amocrm/dreams"),
        ("POST", "/amocrm/dreams"),
    ):
        status, _, content, _ = crm.send(http_method, path, {}, listener="admin")
        assert (status, "error" in json.loads(content)) == (404, True)
    assert crm.send("POST", "/switches/amocrm", {"timezone": "Europe/Nowhere"}, listener="admin")[0] == 400
