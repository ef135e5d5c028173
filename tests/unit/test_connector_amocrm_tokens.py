"""Tokens that work once: exchanged by one process in the whole cluster, stored before use, never sent twice."""

import http.server
import json
import os
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import fakeredis
import pytest
import requests
import responses
import time_machine

from connectors.amocrm import AmoCrm
from connectors.amocrm_config import AmoCrmConfig
from connectors.amocrm_tokens import Rotating
from connectors.base import Secret
from connectors.errors import ConnectorError, Refused, Throttled, Transient
from tasks.ledger import migrate
from tasks.ledger.database import Ledger
from tests.unit.amocrm_vendor import HOST, Vendor
from tests.unit.amocrm_worker import CALLS, config_of, vault_at
from tests.unit.vaults import MemoryVault

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = 86_400
GRANTS = f"{HOST}/oauth2/access_token"


class Desk:
    """The token endpoint: a refresh token works once; where `revokes`, an exchange ends the former access token."""

    def __init__(self, vendor, mock):
        self.vendor, self.requests, self.alive, self.revokes = vendor, [], {"refresh-0", "code-0"}, True
        self.number, self.answers, self.before = 0, [], lambda: None
        vendor.tokens.clear()
        mock.add_callback("POST", GRANTS, self)

    def __call__(self, request):
        body = json.loads(request.body)
        self.requests.append(body)
        self.before()
        if self.answers and (answer := self.answers.pop(0)) is not None:
            if isinstance(answer, Exception):
                raise answer
            status, shown = answer
            return status, {}, shown if isinstance(shown, str) else json.dumps(shown)
        spent = body.get("refresh_token", body.get("code"))
        if spent not in self.alive:
            return 400, {}, json.dumps({"hint": "Token has been revoked", "status": 400})
        self.alive.remove(spent)
        self.number += 1
        if self.revokes:
            self.vendor.tokens.clear()
        self.vendor.tokens.add(f"access-{self.number}")
        self.alive.add(f"refresh-{self.number}")
        tokens = {"access_token": f"access-{self.number}", "refresh_token": f"refresh-{self.number}"}
        return 200, {}, json.dumps({"token_type": "Bearer", "expires_in": DAY} | tokens)


@pytest.fixture
def mock():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def desk(mock):
    return Desk(Vendor(mock), mock)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def vault():
    return MemoryVault()


@pytest.fixture
def connect(clock, vault):
    def build(**changes):
        given = {
            "base_url": HOST,
            "client_id": "c11e",
            "client_secret": Secret("s3cret"),
            "redirect_uri": "https://parom.example/oauth",
            "refresh_token": Secret("refresh-0"),
        }
        redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
        return AmoCrm(AmoCrmConfig(**given | changes), redis, sleep=lambda _: None, vault=vault)

    return build


def failure(call):
    with pytest.raises(ConnectorError) as caught:
        call()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)
    for secret in ("s3cret", "refresh-", "access-", "code-0"):
        assert secret not in shown
    return caught.value


def test_the_first_refresh_token_is_exchanged_and_what_comes_is_stored_before_it_is_used(desk, connect, vault):
    stored = []
    desk.vendor.on("GET", "account", lambda _: stored.append("access-1" in str(vault.values)))
    connect().probe()
    assert stored == [True]
    assert desk.requests == [
        {
            "client_id": "c11e",
            "client_secret": "s3cret",
            "redirect_uri": "https://parom.example/oauth",
            "grant_type": "refresh_token",
            "refresh_token": "refresh-0",
        }
    ]
    assert desk.vendor.calls[0]["headers"]["Authorization"] == "Bearer access-1"


def test_an_authorization_code_is_exchanged_once(desk, connect):
    code = {"refresh_token": None, "authorization_code": Secret("code-0")}
    connect(**code).probe()
    connect(**code).probe()
    assert [(each["grant_type"], each["code"]) for each in desk.requests] == [("authorization_code", "code-0")]


def test_a_token_is_used_until_ten_minutes_before_its_end(desk, connect, clock):
    connector = connect()
    connector.probe()
    clock.shift(DAY - 601)
    connector.probe()
    assert len(desk.requests) == 1
    clock.shift(2)
    connector.probe()
    assert [each["refresh_token"] for each in desk.requests] == ["refresh-0", "refresh-1"]


def test_another_process_uses_what_is_stored(desk, connect):
    connect().probe()
    connect().probe()
    assert len(desk.requests) == 1


def test_a_token_that_another_process_replaced_is_read_again_and_not_exchanged(desk, connect, clock):
    one, two = connect(), connect()
    one.probe()
    two.probe()
    clock.shift(DAY - 300)
    one.probe()
    two.probe()
    assert len(desk.requests) == 2


def test_a_401_brings_one_exchange_and_one_more_try(desk, connect):
    connector = connect()
    connector.probe()
    desk.vendor.tokens.clear()
    connector.probe()
    assert len(desk.requests) == 2
    assert [call["path"] for call in desk.vendor.calls] == ["account"] * 3


def test_a_401_to_a_token_that_was_replaced_meanwhile_brings_no_exchange(desk, connect):
    one, two = connect(), connect()
    one.probe()
    two.probe()
    desk.vendor.tokens.clear()
    one.probe()
    two.probe()
    assert len(desk.requests) == 2


def test_a_write_that_was_refused_for_its_token_is_sent_again(desk, connect):
    contacts = connect().target("contacts")
    contacts.create({"id_1c": "a1", "name": "x"})
    desk.vendor.tokens.clear()
    assert contacts.create({"id_1c": "a2", "name": "x"})
    assert len(desk.vendor.tables["contacts"]) == 2


def test_tokens_that_are_never_accepted_are_not_exchanged_for_ever(desk, connect):
    desk.vendor.on("GET", "account", (401, {"status": 401}))
    connector = connect()
    for _ in range(20):
        assert type(failure(connector.probe)) in (Refused, *Refused.__subclasses__())
    assert len(desk.requests) <= 7


REFUSALS = [
    (400, {"hint": "Token has been revoked", "status": 400}),
    (400, {"hint": "Invalid refresh token"}),
    (401, {"hint": "Client authentication failed", "status": 401}),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
def test_a_refused_credential_needs_a_person_and_is_never_sent_again(desk, connect, refusal):
    desk.answers = [refusal]
    assert "needs re-authorisation" in str(failure(connect().probe))
    for connector in (connect(), connect()):
        assert "needs re-authorisation" in str(failure(connector.probe))
    assert len(desk.requests) == 1


def test_a_new_authorisation_starts_anew(desk, connect):
    desk.alive.clear()
    failure(connect().probe)
    desk.alive.add("refresh-new")
    connect(refresh_token=Secret("refresh-new")).probe()
    assert desk.requests[-1]["refresh_token"] == "refresh-new"


def test_a_mended_configuration_goes_on_with_what_is_stored(desk, connect, clock):
    connect().probe()
    clock.shift(DAY)
    desk.answers = [(401, {"hint": "Client authentication failed"})]
    failure(connect(client_secret=Secret("wrong")).probe)
    connect().probe()
    assert desk.requests[-1]["refresh_token"] == "refresh-1"


@pytest.mark.parametrize(
    "answer",
    [(402, {"status": 402}), (404, "<html>"), (403, "<html>")],
    ids=["not paid", "another host", "a ban"],
)
def test_what_says_nothing_of_the_credential_does_not_end_it(desk, connect, clock, answer):
    desk.answers = [answer]
    assert type(failure(connect().probe)) in (Refused, *Refused.__subclasses__())
    connect().probe()


@pytest.mark.parametrize("answer", [(500, "x"), (200, "<html>"), requests.ConnectionError(), (200, {})], ids=str)
def test_an_exchange_that_came_to_nothing_is_no_doubt_about_the_record(desk, connect, answer):
    desk.answers = [answer]
    contacts = connect().target("contacts")
    assert type(failure(lambda: contacts.create({"id_1c": "a1", "name": "x"}))) is Transient
    assert contacts.create({"id_1c": "a1", "name": "x"})


def test_the_token_endpoint_may_ask_for_patience(desk, connect):
    desk.answers = [(429, {"retry_after": 60})]
    error = failure(connect().probe)
    assert (type(error), error.wait) == (Throttled, 60)


def test_a_token_that_still_works_is_used_while_it_cannot_be_exchanged(desk, connect, clock, vault):
    connector = connect()
    connector.probe()
    clock.shift(DAY - 300)
    desk.answers = [(500, "x")]
    connector.probe()
    connector.probe()
    assert len(desk.requests) == 2, "and it is not tried again at once"
    clock.shift(60)
    connector.probe()
    assert len(desk.requests) == 3
    assert desk.vendor.calls[-1]["headers"]["Authorization"] == "Bearer access-2"


def test_a_token_that_still_works_is_used_while_another_process_holds_the_lock(desk, connect, clock, vault):
    connector = connect()
    connector.probe()
    clock.shift(DAY - 300)
    vault.exclusively = lambda name, longest: (_ for _ in ()).throw(Throttled("held", wait=1))
    connector.probe()
    clock.shift(301)
    assert type(failure(connector.probe)) is Throttled


def test_a_vault_that_takes_nothing_is_noticed_before_the_token_is_spent(desk, connect, vault):
    vault.write = lambda *_: (_ for _ in ()).throw(Refused("no key"))
    assert "no key" in str(failure(connect().probe))
    assert desk.requests == []


def test_a_pair_that_could_not_be_stored_is_not_used_and_not_lost(desk, connect, vault):
    desk.before = lambda: setattr(vault, "is_down", True)
    connector = connect()
    assert type(failure(connector.probe)) is Transient
    assert desk.vendor.calls == []
    vault.is_down = False
    connector.probe()
    assert len(desk.requests) == 1
    assert "access-1" in str(vault.values)


def test_a_pair_that_comes_late_is_saved_although_another_process_was_refused(desk, connect, vault):
    """Frozen between exchange and storing for longer than its lease: the other's refusal must not be the last word."""
    desk.before = lambda: setattr(vault, "is_down", True)
    late = connect()
    failure(late.probe)
    vault.is_down, desk.before = False, lambda: None
    assert "needs re-authorisation" in str(failure(connect().probe))
    late.probe()
    connect().probe()
    assert len(desk.requests) == 2


@pytest.mark.parametrize("when", ["before it is refused", "before it asks"])
def test_a_pair_that_is_saved_while_another_process_is_refused_is_not_lost(desk, connect, vault, when):
    desk.before = lambda: setattr(vault, "is_down", True)
    late = connect()
    failure(late.probe)
    vault.is_down, desk.before, tokens, write = False, lambda: None, late._api._tokens, vault.write

    def save_first(*_):
        vault.write, desk.before = write, lambda: None
        tokens._save(tokens._unsaved)

    if when == "before it asks":
        vault.write = lambda *given: (save_first(), write(*given))
    else:
        desk.before = save_first
    connect().probe()
    connect().probe()
    assert [each["refresh_token"] for each in desk.requests] == ["refresh-0", "refresh-0"]
    assert "refresh-1" in str(vault.values)


def test_a_pair_that_was_stored_although_the_vault_did_not_say_so_replaces_no_newer_one(desk, connect, clock, vault):
    write, doubtful = vault.write, connect()

    def stored_in_silence(name, value):
        write(name, value)
        if "access-1" in value:
            raise Transient("the vault does not answer")

    vault.write = stored_in_silence
    failure(doubtful.probe)
    vault.write = write
    clock.shift(DAY)
    connect().probe()
    doubtful.probe()
    connect().probe()
    assert [each["refresh_token"] for each in desk.requests] == ["refresh-0", "refresh-1"]
    assert "refresh-2" in str(vault.values)


def test_a_refusal_ahead_of_time_stops_nothing_and_is_told_once(desk, connect, clock, caplog):
    connector = connect()
    connector.probe()
    clock.shift(DAY - 300)
    desk.answers = [REFUSALS[0]]
    for _ in range(3):
        connector.probe()
        clock.shift(60)
    assert len(desk.requests) == 2
    (record,) = caplog.records
    assert record.alert
    assert "needs re-authorisation" in record.message
    clock.shift(121)
    assert "needs re-authorisation" in str(failure(connector.probe))


def test_nobody_waits_for_the_exchange_of_a_token_that_still_works(desk, connect, clock, vault):
    connector, is_held, may_end = connect(), threading.Event(), threading.Event()
    connector.probe()
    clock.shift(DAY - 300)

    @contextmanager
    def held(name, *, longest):
        is_held.set()
        may_end.wait(5)
        yield

    vault.exclusively = held
    with ThreadPoolExecutor(1) as another:
        waiting = another.submit(connector.probe)
        assert is_held.wait(5)
        connector.probe()
        assert len(desk.requests) == 1
        may_end.set()
        waiting.result()
    assert len(desk.requests) == 2


def test_threads_of_a_process_exchange_once(desk, connect):
    connector = connect()
    desk.before = lambda: threading.Event().wait(0.2)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: connector.probe(), range(16)))
    assert len(desk.requests) == 1


def test_a_short_life_is_not_due_from_the_beginning(vault):
    grants = []

    def grant(request):
        grants.append(request)
        return {"access_token": f"access-{len(grants)}", "refresh_token": "refresh-1", "expires_in": 60}

    config = config_of(HOST)
    tokens = Rotating(config, vault, grant, name="x")
    assert [str(tokens.current()) for _ in range(3)] == ["access-1"] * 3


# Eight processes.


class Endpoint(http.server.BaseHTTPRequestHandler):
    """A whole amoCRM as far as tokens go: /oauth2/access_token and /api/v4/account."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        state = self.server.state
        with state["lock"]:
            state["exchanges"].append(body["refresh_token"])
            if body["refresh_token"] != state["refresh"]:
                return self.answer(400, {"hint": "Token has been revoked"})
            number = len(state["exchanges"])
            state["refresh"], state["access"] = f"refresh-{number}", f"access-{number}"
            answer = {"access_token": state["access"], "refresh_token": state["refresh"], "expires_in": DAY}
        time.sleep(0.3)  # the others are to meet it while it is under way
        return self.answer(200, answer)

    def do_GET(self):
        state = self.server.state
        with state["lock"]:
            state["used"][self.headers["Authorization"]] += 1
            is_alive = self.headers["Authorization"] == f"Bearer {state['access']}"
        self.answer(200 if is_alive else 401, {"id": 31, "status": 401})

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    server.state = {"lock": threading.Lock(), "exchanges": [], "used": Counter(), "refresh": "refresh-0", "access": ""}
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["files", "ledger"])
def place(request, tmp_path):
    if request.param == "files":
        return str(tmp_path)
    url = f"sqlite:///{tmp_path}/ledger.db"
    ledger = Ledger(url)
    migrate.upgrade(ledger)
    ledger.close()
    return url


def eight_processes(url, place, go):
    command = [sys.executable, "-m", "tests.unit.amocrm_worker", url, place, str(go)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) for _ in range(8)]
    go.touch()
    return [line for process in processes for line in process.communicate(timeout=100)[0].splitlines()]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("stored", ["nothing yet", "a pair that is due"])
def test_eight_processes_exchange_a_token_that_works_once_exactly_once(endpoint, place, tmp_path, stored):
    url = f"http://127.0.0.1:{endpoint.server_port}"
    if stored == "a pair that is due":
        with time_machine.travel(datetime.now(UTC) - timedelta(days=1) + timedelta(minutes=5)):
            tokens = Rotating(config_of(url), vault_at(place), lambda _: dict(OLD), name="x")
            assert tokens.current() == "access-old"
        endpoint.state |= {"refresh": "refresh-old", "access": "access-old"}
    lines = eight_processes(url, place, tmp_path / "go")
    assert lines == ["ok"] * 8 * CALLS
    expected = "refresh-0" if stored == "nothing yet" else "refresh-old"
    assert endpoint.state["exchanges"] == [expected]
    assert endpoint.state["used"] == {"Bearer access-1": 8 * CALLS}, "nobody uses a dead token"


OLD = {"access_token": "access-old", "refresh_token": "refresh-old", "expires_in": DAY}
