"""A hostile client of the API for 1C: a uniform error, nothing changed, nothing shown of what was sent."""

import json
import logging

import pytest
from redis import ConnectionError as Away
from werkzeug.test import create_environ, run_wsgi_app

from connectors import onec_handlers_base
from connectors.base import Secret
from tests.unit.onec_public import (
    AUTH,
    HOME,
    KEY,
    LOGIN,
    OTHER_KEY,
    PASSWORD,
    PUBLIC_ADDRESS,
    TOKEN,
    WHO,
    World,
    basic,
    config_of,
    is_refusal,
    resolve,
    success,
)
from workers.web.onec_public.limits import Limits

OTHER_TOKEN = "another-token-of-another-base"
CONTACT = {**WHO, "id_1c": "c-1", "name": "Иван Выдуманный", "phone": "+7 999 000-00-01"}
PATHS = (
    "base",
    "clients_contacts",
    "clients_companies",
    "leads",
    "orders",
    "process_event",
    "clients_contacts_save_fields",
    "clients_companies_save_fields",
    "leads_save_fields",
)
BODY = {
    **CONTACT,
    "web_address": "https://1c.example/hs/amo",
    "url_address": "https://1c.example",
    "param1": "login",
    "param2": "password",
    "event_name": "payment",
    "p_1": None,
}


@pytest.fixture
def world(ledger, redis):
    nothing_else = dict.fromkeys(("login", "password", "handlers_publisher_login", "handlers_publisher_password"))
    other = config_of(id_base="other", token=Secret(OTHER_TOKEN), **nothing_else)
    return World(ledger, redis, {"base": config_of(legacy_addresses=(f"{HOME}/32",)), "other": other})


def is_untouched(world):
    with world.runtime.ledger.read() as connection:
        tables = ("field_maps", "handler_packages", "records")
        rows = [connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() for table in tables]
    return not world.ferry.rows and not world.vault.writes and rows == [0, 0, 0]


STRANGERS = {
    "no credentials": {"auth": "nothing"},
    "a wrong token": {"auth": "Bearer wrong"},
    "an empty token": {"auth": "Bearer "},
    "a token that goes on": {"auth": f"Bearer {TOKEN}x"},
    "a scheme nobody knows": {"auth": f"Digest {TOKEN}"},
    "a token without a scheme": {"auth": TOKEN},
    "a wrong password": {"auth": basic(LOGIN, "wrong")},
    "a wrong login": {"auth": basic("wrong", PASSWORD)},
    "an empty login and password": {"auth": basic("", "")},
    "Basic that is none": {"auth": "Basic %%%"},
    "the operators' token": {"auth": "operator"},
    "the publisher": {"auth": "publisher"},
    "the token of another base": {"auth": f"Bearer {OTHER_TOKEN}"},
    "another account": {"body": {**BODY, "key": OTHER_KEY}},
    "another base": {"body": {**BODY, "id_base": "other"}},
    "a base that there is not": {"body": {**BODY, "id_base": "none"}},
    "the right address, and a wrong token with it": {"auth": "Bearer wrong", "address": HOME},
    "a neighbour of the right address": {"auth": "nothing", "address": "192.0.2.8"},
    "another base from the right address": {"auth": "nothing", "address": HOME, "body": {**BODY, "id_base": "other"}},
    "a header that claims the right address": {"auth": "nothing", "X-Forwarded-For": HOME},
}


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
def test_strangers_all_get_the_same_answer(world, stranger):
    shown = {"body": BODY, **stranger}
    answers = [world.post(f"/sync/{path}", **shown) for path in PATHS]
    answers += [world.post(f"/update_handlers/get_actual_{what}", **shown) for what in ("version", "handlers")]
    assert {(answer.status_code, answer.text) for answer in answers} == {(401, answers[0].text)}
    assert answers[0].json["error"] == "UNAUTHORIZED: unknown base or wrong credentials"
    assert "WWW-Authenticate" in answers[0].headers
    assert is_untouched(world)


@pytest.mark.parametrize("auth", ["nothing", "token", "basic", "publisher"])
def test_handlers_are_published_by_nobody_else(world, auth):
    body = {**WHO, "handlers": ["Выполнить"], **({"id_base": "other"} if auth == "publisher" else {})}
    assert is_refusal(world.post("/update_handlers/set_handlers", body, auth=auth), "UNAUTHORIZED", 401)
    assert is_untouched(world)


def test_a_stranger_learns_nothing_of_accounts(world):
    answers = [world.get(f"/sync/check_active?key={key}", auth="nothing") for key in (KEY, OTHER_KEY, "x", "")]
    assert {(answer.status_code, answer.text) for answer in answers} == {(401, answers[0].text)}


@pytest.mark.parametrize("auth", ["token", "basic"])
def test_who_shows_the_bases_own_secret_is_let_in(world, auth):
    assert world.post("/sync/clients_contacts", CONTACT, auth=auth).json == success(1000)


@pytest.mark.parametrize("token", ["invented=token=of-the-base", 'a="b",c=invented-token', "invented-token-of-base=="])
def test_a_token_may_hold_any_sign(ledger, redis, token):
    world = World(ledger, redis, {"base": config_of(token=Secret(token))}, api_token=Secret(f"{token}="))
    for scheme in ("Bearer", "bearer"):
        assert world.post("/sync/clients_contacts", CONTACT, auth=f"{scheme} {token}").json == success(1000)
    assert is_refusal(world.post("/sync/clients_contacts", CONTACT, auth=f"Bearer {token}="), "UNAUTHORIZED", 401)
    assert is_refusal(world.post("/api/onec/none/get_orders", {"id": 1}, auth=f"Bearer {token}="), "NOT_FOUND", 404)


@pytest.mark.parametrize("address", [HOME, f"::ffff:{HOME}"])
def test_the_legacy_address_is_let_in_without_any(world, address):
    assert world.post("/sync/clients_contacts", CONTACT, auth="nothing", address=address).json == success(1000)


def body_of(**more):
    return json.dumps({**CONTACT, **more}).encode()


UNREADABLE = {
    "nothing": b"",
    "no JSON": b"{",
    "text after it": body_of() + b"{}",
    "a list": b"[]",
    "a string": b'"text"',
    "null": b"null",
    "not UTF-8": json.dumps(CONTACT, ensure_ascii=False).encode("cp1251"),
    "half a surrogate pair": b'{"name": "\\ud800"}',
    "a key twice": body_of()[:-1] + b', "key": 1}',
    "a nested key twice": body_of()[:-1] + b', "x": {"a": 1, "a": 2}}',
    "an endless number": body_of()[:-1] + b', "x": ' + b"9" * 5000 + b"}",
    "an endless fraction": body_of()[:-1] + b', "x": 0.' + b"9" * 5000 + b"}",
    "a number above all": body_of()[:-1] + b', "x": 1e999}',
    "NaN": body_of()[:-1] + b', "x": NaN}',
    "Infinity": body_of()[:-1] + b', "x": -Infinity}',
    "21 levels": body_of()[:-1] + b', "x": ' + b"[" * 20 + b"]" * 20 + b"}",
    "100,000 levels": b"[" * 100_000,
    "100,000 objects": b'{"a":' * 40_000,
    "a string that never ends": b'"' + b'\\"' * 131_000,
    "objects, and then a string that never ends": b'{"a":' * 5 + b'"' + b'\\"' * 130_000,
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_a_body_that_is_no_plain_json_object_is_refused(world, body):
    for path in ("/sync/clients_contacts", "/update_handlers/set_handlers"):
        auth = "publisher" if path.endswith("set_handlers") else "token"
        assert is_refusal(world.post(path, body, auth=auth), "BAD_REQUEST", 400)
    assert is_untouched(world)


def test_20_levels_are_read(world):
    body = body_of()[:-1] + b', "x": ' + b"[" * 19 + b"]" * 19 + b', "brackets": "[[[[[[[[[[[[[[[[[[[[[\\"[["}'
    assert world.post("/sync/clients_contacts", body).json == success(1000)


def test_ten_megabytes_are_refused_unread(world):
    answer = world.post("/sync/clients_contacts", b"x" * 10 * 1024 * 1024)
    assert is_refusal(answer, "BAD_REQUEST", 413)
    assert is_untouched(world)


class Endless:
    """A body that never ends."""

    def __init__(self):
        self.given = 0

    def read(self, size=-1):
        self.given += size
        return b" " * size

    readline = read


def test_a_body_that_does_not_say_how_long_it_is_is_refused_as_well(world):
    source = Endless()
    headers = {"Authorization": AUTH["token"], "Transfer-Encoding": "chunked"}
    environ = create_environ("/sync/clients_contacts", method="POST", headers=headers)
    environ.pop("CONTENT_LENGTH", None)
    environ |= {"REMOTE_ADDR": "203.0.113.9", "wsgi.input": source, "wsgi.input_terminated": True}
    parts, status, _ = run_wsgi_app(world.app, environ)
    assert status.startswith("413")
    assert json.loads(b"".join(parts))["error"].startswith("BAD_REQUEST: ")
    assert source.given < 2 * 1024 * 1024


def test_what_was_sent_is_never_shown(world, caplog):
    secret = "ЖЖsecretЖЖ"
    spoilt = {**BODY, "name": secret * 100, "event_name": secret, "id": secret, "budget": secret, secret: secret}
    with caplog.at_level(logging.DEBUG):
        for path in (*(f"/sync/{name}" for name in PATHS), "/sync/check_active?key=" + secret, f"/sync/{secret}"):
            for body in (spoilt, {**spoilt, "web_address": f"ftp://{secret}", "key": secret}):
                answer = world.post(path, body)
                assert secret not in answer.text
                assert "secret" not in answer.text
    assert secret not in caplog.text
    assert not world.ferry.rows


@pytest.mark.parametrize(
    ("path", "code", "status"), [("/sync/none", "NOT_FOUND", 404), ("/update_handlers/", "NOT_FOUND", 404)]
)
def test_paths_that_there_are_not_answer_in_the_envelope(world, path, code, status):
    assert is_refusal(world.post(path, BODY), code, status)


def test_a_wrong_method_is_told_the_right_one(world):
    answer = world.get("/sync/clients_contacts")
    assert is_refusal(answer, "BAD_REQUEST", 405)
    assert "POST" in answer.headers["Allow"]


# --- where a base wants to be called ---


def binding(web_address, **more):
    return {**BODY, "web_address": web_address, "param2": "secret of 1C", **more}


FORBIDDEN = {
    "a link-local address": "https://169.254.169.254/latest/meta-data",
    "a name of one": "https://metadata.example/",
    "in decimal": "https://2852039166/",
    "in octal": "https://0251.0376.0251.0376/",
    "short": "https://127.1/",
    "IPv6 within which is IPv4": "https://[::ffff:169.254.169.254]/",
    "a login in it": "https://user:password@1c.example/",
    "a fragment": "https://1c.example/#@metadata.example/",
    "a backslash": "https://1c.example\\@metadata.example/",
    "another scheme": "file:///etc/passwd",
    "a gopher": "gopher://1c.example/",
    "no host": "https:///hs",
    "a line feed": "https://1c.example/\r\nHost: metadata.example",
}


@pytest.mark.parametrize("address", FORBIDDEN.values(), ids=FORBIDDEN)
def test_an_address_that_nobody_may_call_is_refused(world, address):
    answer = world.post("/sync/base", binding(address))
    assert answer.status_code in (400, 422)
    assert is_refusal(answer, "BAD_REQUEST", answer.status_code)
    assert "169.254" not in answer.text
    assert onec_handlers_base.current(world.vault, world.configs["base"]) is None
    assert onec_handlers_base.pending(world.vault, world.configs["base"]) is None


DOUBTFUL = {
    "a private address": "https://192.168.0.5/hs",
    "a name of one": "https://office.example/hs",
    "our own host": "https://localhost/hs",
    "plain http": "http://1c.example/hs",
    "an odd port": "https://1c.example:6379/hs",
    "a name that nobody knows": "https://nowhere.example/hs",
}


@pytest.mark.parametrize("address", DOUBTFUL.values(), ids=DOUBTFUL)
def test_a_doubtful_address_waits_for_an_operator(world, caplog, address):
    for _ in range(2):
        answer = world.post("/sync/base", binding(address))
        assert is_refusal(answer, "CONFLICT", 409)
    assert onec_handlers_base.current(world.vault, world.configs["base"]) is None
    assert len([record for record in caplog.records if getattr(record, "alert", False)]) == 1
    assert "secret of 1C" not in caplog.text + answer.text


def test_a_base_is_not_bound_to_another_address_unasked(world, caplog):
    config = world.configs["base"]
    assert world.post("/sync/base", binding("https://1c.example/hs")).json == success(None)
    bound = onec_handlers_base.current(world.vault, config)
    thief = binding(f"https://{PUBLIC_ADDRESS}/steal", url_address=f"https://{PUBLIC_ADDRESS}")
    assert is_refusal(world.post("/sync/base", thief), "CONFLICT", 409)
    assert onec_handlers_base.current(world.vault, config) == bound
    approved = onec_handlers_base.approve(world.vault, config, private=False, pin=None, resolve=resolve)
    assert approved.address.host == PUBLIC_ADDRESS
    assert world.post("/sync/base", thief).json == success(None)


# --- too often ---


def test_a_base_that_asks_too_often_is_slowed_down(ledger, redis):
    world = World(ledger, redis, {"base": config_of()}, limits=Limits(per_address=100, per_base=3))
    answers = [world.post("/sync/clients_contacts", CONTACT) for _ in range(8)]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert refused
    assert all(is_refusal(answer, "RATE_LIMIT", 429) for answer in refused)
    assert int(refused[0].headers["Retry-After"]) >= 1
    assert len(world.ferry.rows) == 8 - len(refused)


def test_an_address_that_asks_too_often_is_slowed_down_before_anything_is_read(ledger, redis):
    world = World(ledger, redis, {"base": config_of()}, limits=Limits(per_address=3, per_base=100))
    answers = [world.post("/sync/clients_contacts", CONTACT, auth="nothing") for _ in range(8)]
    assert {answer.status_code for answer in answers} == {401, 429}
    assert world.post("/sync/clients_contacts", CONTACT, address="203.0.113.10").status_code == 200


def test_without_redis_nobody_is_turned_away(ledger, redis, monkeypatch, caplog):
    world = World(ledger, redis, {"base": config_of()})

    def away(*_, **__):
        raise Away

    monkeypatch.setattr(world.runtime.redis, "pipeline", away)
    assert world.post("/sync/clients_contacts", CONTACT).json == success(1000)
    assert "not counted" in caplog.text
