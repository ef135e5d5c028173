"""What operators' programs ask of a 1C base through us, and who may."""

import pytest

from connectors.base import Malformed
from connectors.errors import Refused, Rejected, Throttled, Transient
from connectors.onec_handlers import OneCHandlers
from tests.unit.onec_public import AUTH, World, config_of, is_refusal, success

DOCUMENT = {
    "title": "Счёт №1",
    "doc_type": "leads",
    "link": "https://1c.example/base#1",
    "parent_link": "",
    "google_drive_id": "",
    "google_drive_link": "",
}
ROW = {"amo_name": "ИНН", "amo_id": "15", "entity_name": "Компания"}


class Answering(OneCHandlers):
    """A base that answers without being called. `error` is what it raises instead."""

    error = None
    asked = ()

    def get_orders(self, lead_id):
        return self._answer([DOCUMENT], lead_id)

    def handlers_version(self):
        return self._answer("3.1")

    def send_table(self, rows, user_id=None):
        return self._answer(len(rows), rows, user_id)

    def _answer(self, data, *asked):
        if self.error:
            raise self.error
        self.asked = asked
        return data


@pytest.fixture
def world(ledger, redis):
    world = World(ledger, redis, {"base": config_of()})
    world.connectors["base"].__class__ = Answering
    return world


def ask(world, what, body, *, base="base", auth="operator"):
    return world.post(f"/api/onec/{base}/{what}", body, auth=auth)


def test_the_documents_of_a_lead(world):
    assert ask(world, "get_orders", {"id": "500"}).json == success([DOCUMENT])
    assert world.connectors["base"].asked == (500,)


@pytest.mark.parametrize("body", [b"", {}])
def test_the_version_of_the_handlers(world, body):
    assert ask(world, "get_handlers_version", body).json == success({"version": "3.1"})


def test_the_table_is_sent(world):
    assert ask(world, "corr_table", {"table": [ROW, ROW], "user_id": 7}).json == success({"sent": 2})
    rows, user = world.connectors["base"].asked
    assert (rows[0], user) == ({**ROW, "amo_id": 15}, 7)


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("get_orders", {}),
        ("get_orders", {"id": 0}),
        ("get_orders", b""),
        ("corr_table", {}),
        ("corr_table", {"table": []}),
        ("corr_table", {"table": ROW}),
        ("corr_table", {"table": [ROW] * 201}),
        ("corr_table", {"table": [{**ROW, "entity_name": "Задача"}]}),
        ("corr_table", {"table": [{**ROW, "amo_id": None}]}),
        ("get_handlers_version", b"["),
    ],
)
def test_a_question_must_be_whole(world, what, body):
    assert is_refusal(ask(world, what, body), "BAD_REQUEST", 400)
    assert world.connectors["base"].asked == ()


@pytest.mark.parametrize("auth", ["nothing", "token", "basic", "publisher", "Bearer ", "Bearer wrong"])
@pytest.mark.parametrize("base", ["base", "none"])
def test_only_operators_may_ask(world, auth, base):
    assert is_refusal(ask(world, "get_orders", {"id": 5}, base=base, auth=auth), "UNAUTHORIZED", 401)


def test_without_a_token_nobody_may_ask(ledger, redis):
    world = World(ledger, redis, {"base": config_of()}, api_token=None)
    for auth in AUTH:
        assert is_refusal(ask(world, "get_handlers_version", {}, auth=auth), "UNAUTHORIZED", 401)


def test_a_base_that_there_is_not(world):
    assert is_refusal(ask(world, "get_orders", {"id": 5}, base="none"), "NOT_FOUND", 404)


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (Refused("1C base-1: it has not registered yet"), "CONFLICT", 409),
        (Rejected("1C base-1: no such lead", told="нет"), "CONFLICT", 409),
        (Malformed("a row needs amo_name"), "BAD_REQUEST", 422),
        (Throttled("busy", wait=7), "RATE_LIMIT", 429),
        (Transient("down"), "UPSTREAM_TEMPORARY", 503),
    ],
)
def test_what_the_base_does_not_do_is_told(world, error, code, status):
    world.connectors["base"].error = error
    assert is_refusal(ask(world, "get_orders", {"id": 5}), code, status)
