"""What 1C sends us by itself: durable before it is answered, item by item, and nobody else's to send."""

import json
from datetime import timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.exc import OperationalError

from connectors import onec_inbox
from connectors.base import Malformed
from mappings import onec_to_comagic
from tasks.flows import ONEC_INTERESTS_TO_COMAGIC_CONTACTS, ONEC_INTERESTS_TO_COMAGIC_DEALS
from tasks.ledger import report
from tests import siblings
from workers.web.app import create_app

TOKEN = "invented-inbox-token"
ZONE = ZoneInfo("Asia/Yekaterinburg")
INTEREST = {
    "id": "6F9619FF-8B86-D011-B42D-00C04FC964FF",
    "name": "Пробное занятие",
    "created_at": "2026-01-10T12:00:00",
    "stage": "new",
    "stage_changed_at": "2026-01-10T12:00:00",
    "phones": ["+7 999 000-00-01"],
}


class PushSource(siblings.MemorySource):
    def received(self, item):
        return onec_inbox.received(item, ZONE)


@pytest.fixture
def runtime(ledger, redis):
    source = siblings.MemoryConnector(PushSource())
    target = siblings.MemoryConnector(siblings.MemoryTarget())
    contact = onec_to_comagic.OneCInterestToCoMagicContact(onec_to_comagic.ContactOptions())
    stages = {"new": onec_to_comagic.Stage("NEW"), "won": onec_to_comagic.Stage("WON", closes=True)}
    deal = onec_to_comagic.OneCInterestToCoMagicDeal(onec_to_comagic.DealOptions(funnel="123", stages=stages))
    people = siblings.flow_of("people", contact, source, target, kind=ONEC_INTERESTS_TO_COMAGIC_CONTACTS)
    more = {"kind": ONEC_INTERESTS_TO_COMAGIC_DEALS, "parent_flows": {"onec-interests-to-comagic-contacts": "people"}}
    interests = siblings.flow_of("interests", deal, source, target, **more)
    return siblings.runtime_of(ledger, redis, {"people": people, "interests": interests})


@pytest.fixture
def client(runtime):
    flows = {
        name: SimpleNamespace(name=name, enabled=True, inbox_token=token, inbox_patience=timedelta())
        for name, token in {"interests": TOKEN, "people": None}.items()
    }
    return create_app(SimpleNamespace(connections={}, flows=flows), runtime).test_client()


def push(client, body, *, to="interests", token=TOKEN):
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    return client.post(f"/inbox/{to}", data=data, headers=headers)


def seen(runtime, flow):
    return sum(report.of_flow(runtime.ledger, flow).by_state.values())


@pytest.mark.parametrize("body", [INTEREST, [INTEREST], {"items": [INTEREST]}])
def test_an_interest_reaches_the_flow_and_the_one_it_needs_first(client, runtime, body):
    answer = push(client, body)
    assert answer.status_code == 200
    assert answer.json == {"items": [{"id": INTEREST["id"], "status": "accepted"}]}
    assert (seen(runtime, "people"), seen(runtime, "interests")) == (1, 1)


def test_the_same_twice_is_one_and_every_stage_is_an_event(client, runtime):
    won = {**INTEREST, "stage": "won", "stage_changed_at": "2026-01-12T12:00:00"}
    for body in ([won, INTEREST], INTEREST, won):
        assert push(client, body).status_code == 200
    assert (seen(runtime, "people"), seen(runtime, "interests")) == (1, 2)


def test_times_without_an_offset_are_the_bases(client, runtime):
    push(client, INTEREST)
    key = f"{INTEREST['id'].lower()}/20260110T070000Z/new"
    assert report.of_record(runtime.ledger, "interests", key).state in ("pending", "queued")


WRONG = {
    "no object": "text",
    "no id": {},
    "a number for an id": {**INTEREST, "id": 7},
    "an id with a slash": {**INTEREST, "id": "a/b"},
    "an id that is long": {**INTEREST, "id": "a" * 65},
    "a mistyped field": {**INTEREST, "phone": "+7 999 000-00-01"},
    "phones as a string": {**INTEREST, "phones": "+7 999 000-00-01"},
    "an unreadable time": {**INTEREST, "created_at": "10.01.2026"},
    "a time as a number": {**INTEREST, "stage_changed_at": 1700000000},
    "a name as an object": {**INTEREST, "name": {}},
    "a flag as a word": {**INTEREST, "is_deleted": "да"},
    "a comment that is long": {**INTEREST, "comment": "я" * 10_001},
    "many phones": {**INTEREST, "phones": ["1"] * 101},
}


@pytest.mark.parametrize("item", WRONG.values(), ids=WRONG)
def test_a_malformed_item_is_named_and_the_others_are_kept(client, runtime, item):
    answer = push(client, [item, {**INTEREST, "id": "sound"}])
    assert answer.status_code == 422
    bad, good = answer.json["items"]
    assert (bad["status"], good["status"]) == ("malformed", "accepted")
    assert bad["error"]
    assert "999 000" not in bad["error"]
    assert seen(runtime, "interests") == 1


@pytest.mark.parametrize("body", ["", "{", b"\xff", "[" * 100_000, json.dumps(["x"] * 1001)])
def test_a_body_that_cannot_be_read_stores_nothing(client, runtime, body):
    answer = push(client, body)
    assert answer.status_code == 400
    assert answer.json["error"]
    assert seen(runtime, "interests") == 0


def test_a_body_that_is_too_large_is_refused_unread(client):
    assert push(client, "x" * 300_000).status_code == 413


@pytest.mark.parametrize(
    ("to", "token"), [("interests", "wrong"), ("interests", None), ("people", ""), ("nobody", TOKEN)]
)
def test_only_who_knows_the_token_may_push_and_nobody_learns_which_flows_exist(client, runtime, to, token):
    answer = push(client, INTEREST, to=to, token=token)
    assert (answer.status_code, answer.json) == (403, {"error": "forbidden"})
    assert seen(runtime, "interests") == 0


def test_what_is_older_than_the_flow_is_said_to_be_ignored(client, runtime):
    answer = push(client, {**INTEREST, "created_at": "2020-01-01T00:00:00"})
    assert answer.json["items"][0]["status"].startswith("ignored")
    assert seen(runtime, "interests") == 0


def test_without_its_database_it_says_that_nothing_was_stored(client, runtime, monkeypatch):
    def away(*_):
        raise OperationalError("", {}, Exception())

    monkeypatch.setattr(runtime.ledger.engine, "begin", away)
    answer = push(client, INTEREST)
    assert (answer.status_code, answer.json) == (503, {"error": "not stored, send it again"})


def test_a_message_that_redis_does_not_take_is_no_loss(client, runtime):
    runtime.publisher.is_down = True
    assert push(client, INTEREST).status_code == 200
    assert seen(runtime, "interests") == 1


def test_a_malformed_item_raises_what_shows_no_value():
    with pytest.raises(Malformed) as caught:
        onec_inbox.received({**INTEREST, "created_at": "секрет"}, ZONE)
    assert "секрет" not in str(caught.value)
