"""amoCRM's webhooks: bodies as the sandbox's own sender makes them, odd and hostile ones, and what becomes of them."""

import json
import logging
from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import quote

import fakeredis
import pytest
import responses
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError

from connectors import amocrm_hooks
from connectors.amocrm_api import Api
from connectors.amocrm_config import AmoCrmConfig
from connectors.amocrm_hooks import MOST_IDS, read_news
from connectors.base import Secret
from sandbox.amocrm import reference as ref
from sandbox.amocrm.hookforms import SETTINGS
from tasks import look
from tests import siblings
from tests.unit.amocrm_vendor import HOST, Vendor
from tests.unit.test_sandbox_amocrm import Caller, custom, with_fields
from workers.web.app import create_app

SECRET, OTHERS_SECRET = "invented-webhook-token-1", "invented-webhook-token-2"
URL = f"/hooks/amocrm/crm/{SECRET}"
KINDS = ("contacts", "companies", "leads")
FORM = "application/x-www-form-urlencoded"
OF_OURS = f"account%5Bid%5D={ref.ACCOUNT_ID}&account%5Bsubdomain%5D=sandbox"


def config_of(secret=SECRET, account_id=ref.ACCOUNT_ID):
    token = Secret(secret) if secret else None
    return AmoCrmConfig(base_url=HOST, token=Secret("t0k3n"), webhook_token=token, account_id=account_id)


class Web:
    """A web app with two accounts, one that takes no webhooks, and a flow from each for each kind of entity."""

    def __init__(self, ledger, redis, **crm):
        self.redis = redis
        configs = {"crm": config_of(**crm), "other": config_of(OTHERS_SECRET, 5), "silent": config_of(None)}
        flows = [self._flow(name, kind) for name in configs for kind in KINDS]
        flows.append(replace(self._flow("base", "leads"), target_name="crm"))
        self.runtime = siblings.runtime_of(ledger, redis, {flow.name: flow for flow in flows})
        connections = {name: SimpleNamespace(name=name, config=config) for name, config in configs.items()}
        self.app = create_app(SimpleNamespace(connections=connections, flows={}), self.runtime)
        self.client = self.app.test_client()

    def _flow(self, source, entity):
        kind = replace(siblings.KIND, name=entity, source_entity=entity)
        side = siblings.MemoryConnector(siblings.MemorySource())
        return replace(
            siblings.flow_of(f"{source}-{entity}", siblings.NameMapping(), side, side, kind=kind), source_name=source
        )

    def post(self, body, url=URL, **more):
        return self.client.post(url, data=body, content_type=more.get("content_type", FORM))

    def hinted(self):
        """By flow, the ids that wait."""
        found = {name: self.redis.smembers(f"parom:changed:{name}") for name in self.runtime.flows}
        return {name: {each.decode() for each in ids} for name, ids in found.items() if ids}

    def asked(self):
        return [argument for kind, argument in self.runtime.publisher.hints if kind == "look"]


@pytest.fixture
def web(ledger, redis):
    return Web(ledger, redis)


on_sqlite = pytest.mark.parametrize("ledger", ["sqlite"], indirect=True)


@pytest.fixture
def crm():
    """An account of the sandbox with a webhook of which nothing leaves, so that a test can take the bodies."""
    caller = Caller()
    caller.account.switch({"hook_delay_s": 1e9})
    caller.account.outgoing.subscribe("https://parom.example/hooks/amocrm/crm/x", SETTINGS)
    yield caller
    caller.account.stop()


def bodies(crm):
    return [delivery.as_json()["body"] for delivery in crm.account.outgoing.deliveries()]


def told(body):
    news = read_news(body if isinstance(body, bytes) else body.encode())
    return {kind: set(map(int, ids)) for kind, ids in news.ids.items()}


# What the vendor sends.


def test_all_kinds_and_deeds_of_one_body_are_read(crm):
    person = crm.create(
        "contacts",
        with_fields(custom("PHONE", "+79990000001"), custom(ref.BIRTHDAY, 0), name="id]=7&leads[add][0][id]=666"),
    )
    company, lead = crm.create("companies", {"name": "Ладья & Ко"}), crm.create("leads", {"price": 10})
    crm.patch(f"leads/{lead}", {"status_id": ref.WON, "responsible_user_id": ref.HUMAN})
    crm.patch(f"contacts/{person}", {"name": "Анна"})
    (body,) = bodies(crm)
    assert "leads%5Bstatus%5D%5B0%5D%5Bid%5D" in body
    assert told(body) == {"contacts": {person}, "companies": {company}, "leads": {lead}}
    assert read_news(body.encode()).accounts == {ref.ACCOUNT_ID}


@pytest.mark.parametrize(
    "switches",
    [
        {"hook_companies": "under_companies"},
        {"hook_dates": "scalar"},
        {"hook_dates": "text"},
        {"hook_status_pipeline": False},
        {"hook_odd_keys": True},
    ],
    ids=str,
)
def test_the_vendors_moods_do_not_matter(crm, switches):
    crm.account.switch(switches)
    fields = with_fields(custom(ref.BIRTHDAY, 86400), name="x")
    person, company, lead = (
        crm.create("contacts", fields),
        crm.create("companies", {"name": "Ладья"}),
        crm.create("leads", {}),
    )
    crm.post(f"leads/{lead}/notes", {"note_type": "common", "params": {"text": "Оплата"}})
    crm.patch(f"leads/{lead}", {"status_id": ref.WON})
    (body,) = bodies(crm)
    assert told(body) == {"contacts": {person}, "companies": {company}, "leads": {lead}}


@pytest.mark.parametrize(("shape", "has_type"), [("row", False), ("row", True), ("scalar", False)])
def test_a_deletion_without_a_type_may_be_of_a_contact_or_a_company(crm, shape, has_type):
    crm.account.switch({"hook_delete": shape, "hook_delete_type": has_type, "hook_batch": 1})
    company, lead = crm.create("companies", {"name": "Ладья"}), crm.create("leads", {})
    crm.hands.delete("companies", company)
    crm.hands.delete("leads", lead)
    either = {"companies": {company}} if has_type else {"companies": {company}, "contacts": {company}}
    assert [told(body) for body in bodies(crm)[-2:]] == [either, {"leads": {lead}}]


def test_a_restored_entity_is_told(crm):
    crm.account.switch({"hook_batch": 1})
    lead = crm.create("leads", {})
    crm.hands.delete("leads", lead)
    crm.hands.restore("leads", lead)
    assert "leads%5Brestore%5D" in bodies(crm)[-1]
    assert told(bodies(crm)[-1]) == {"leads": {lead}}


def test_notes_and_tasks_alone_tell_nothing(crm):
    lead = crm.create("leads", {})
    crm.account.outgoing.unsubscribe()
    crm.account.outgoing.subscribe("https://parom.example/x", [each for each in SETTINGS if "lead" not in each])
    crm.account.outgoing.subscribe("https://parom.example/y", ["note_lead"])
    crm.post(f"leads/{lead}/notes", {"note_type": "common", "params": {"text": "Оплата"}})
    crm.post("tasks", {"text": "Звонок", "complete_till": 1, "entity_id": lead, "entity_type": "leads"})
    assert [told(body) for body in bodies(crm)[-2:]] == [{}, {}]


# What it might send.

SHAPES = {
    "leads[delete]=5": {"leads": {5}},
    "leads[delete][0]=5&leads[delete][1]=6": {"leads": {5, 6}},
    "leads[delete]=5&leads[delete][0][id]=6&leads[delete][0][id][x]=7": {"leads": {5, 6}},
    "leads%5bupdate%5d%5b0%5d%5bid%5d=5": {"leads": {5}},
    "leads[update][7][id]=5&leads[update][7][type]=company": {"leads": {5}},
    "contacts[update][0][id]=5&contacts[update][0][type]=contact": {"contacts": {5}},
    "contacts[update][0][type]=company&contacts[update][0][id]=5": {"companies": {5}},
    "contacts[update][0][id]=5&contacts[update][1][type]=company": {"contacts": {5}, "companies": {5}},
    "contacts[add][0][id]=5&leads[add][0][type]=company": {"contacts": {5}, "companies": {5}},
    "contacts[update][0][id]=5&contacts[update][0][type]=": {"contacts": {5}, "companies": {5}},
    "contacts[update][0][id]=5&contacts[update][0][type]=person": {"contacts": {5}, "companies": {5}},
    "companies[update][0][id]=5": {"companies": {5}},
    "contacts[note][0][note][id]=5&contacts[note][0][id]=6": {},
    "contacts[update][0][linked_leads_id][5][ID]=5&contacts[update][0][custom_fields][0][id]=6": {},
    "leads[invented][0][id]=5&customers[add][0][id]=6&unsorted[add][0][id]=7&task[add][0][id]=8": {},
    "leads[add][0][id]=&leads[add][1][id]=x&leads[add][2][id]=-5&leads[add][3][id]=0&leads[add][4][id]=5.0": {},
    "leads[add][0][id]=1234567890123456789": {},
    "leads[add][][id]=5&leads[][0][id]=5&[add][0][id]=5&leads[add][0][id=5&leads]add[0[id]=5": {},
    "xleads[add][0][id]=5&x=leads[add][0][id]=5": {},
    "leads=5&leads[add]=&leads[add][0]=&leads[add][0][id][id]=5": {},
}


@pytest.mark.parametrize(("body", "expected"), SHAPES.items())
def test_odd_shapes_are_read_as_far_as_they_can_be(body, expected):
    assert told(body) == expected


@given(
    st.lists(st.sampled_from([*"&=[]%05", "leads", "contacts", "[add]", "[0]", "[id]", "[type]", "company", "\xff"]))
)
def test_whatever_comes_is_read(parts):
    news = read_news("".join(parts).encode("latin-1"))
    assert all(id_.isdecimal() for ids in news.ids.values() for id_ in ids)


# What becomes of it.


@on_sqlite
def test_every_flow_of_this_account_is_hinted_at_what_it_reads_and_somebody_is_asked_once(web, crm):
    people, company, lead = (
        crm.create("contacts", {}, {}),
        crm.create("companies", {"name": "Ладья"}),
        crm.create("leads", {}),
    )
    (body,) = bodies(crm)
    for _ in range(2):
        answer = web.post(body)
        assert (answer.status_code, answer.data) == (204, b"")
    assert web.hinted() == {
        "crm-contacts": {str(each) for each in people},
        "crm-companies": {str(company)},
        "crm-leads": {str(lead)},
    }
    assert sorted(web.asked()) == ["crm-companies", "crm-contacts", "crm-leads"]


@on_sqlite
def test_what_was_hinted_at_is_read_anew_and_not_believed(web):
    flow = web.runtime.flows["crm-leads"]
    flow.source.edit("5", ID="5", NAME="Анна")
    web.post(f"leads[update][0][id]=5&leads[update][0][name]=Вера&leads[update][1][id]=6&{OF_OURS}")
    assert look.look(web.runtime, "crm-leads") == 1
    assert flow.source.calls == ["read"]


STRANGERS = {
    "a wrong secret": "/hooks/amocrm/crm/wrong",
    "another's secret": f"/hooks/amocrm/crm/{OTHERS_SECRET}",
    "a part of the secret": f"/hooks/amocrm/crm/{SECRET[:-1]}",
    "more than the secret": f"/hooks/amocrm/crm/{SECRET}x",
    "odd letters": f"/hooks/amocrm/crm/{quote('сек')}%ff%00",
    "an unknown connection": f"/hooks/amocrm/nobody/{SECRET}",
    "a connection without a secret": "/hooks/amocrm/silent/None",
    "one that is no account": f"/hooks/amocrm/base/{SECRET}",
}


@on_sqlite
@pytest.mark.parametrize("url", STRANGERS.values(), ids=STRANGERS)
def test_who_does_not_know_the_secret_learns_nothing_and_changes_nothing(web, url):
    answer = web.post(f"leads[update][0][id]=5&{OF_OURS}", url)
    assert (answer.status_code, answer.json) == (403, {"error": "forbidden"})
    assert (web.hinted(), web.asked()) == ({}, [])


@on_sqlite
def test_strangers_are_refused_before_their_body_is_read(web):
    assert web.post(b"x" * 5_000_000, STRANGERS["a wrong secret"]).status_code == 403


@on_sqlite
@pytest.mark.parametrize("named", ["account[id]=5", f"{OF_OURS}&account[id]=5", "account%5Bid%5D=05"])
def test_another_account_is_a_stranger_even_with_the_secret(web, named, caplog):
    answer = web.post(f"leads[update][0][id]=5&{named}")
    assert (answer.status_code, answer.json) == (403, {"error": "forbidden"})
    assert (web.hinted(), web.asked()) == ({}, [])
    assert SECRET not in caplog.text


@on_sqlite
@pytest.mark.parametrize(
    ("account_id", "named"),
    [
        (None, "account[id]=5"),
        (ref.ACCOUNT_ID, ""),
        (ref.ACCOUNT_ID, f"account[id]={ref.ACCOUNT_ID}&account[subdomain]=x"),
    ],
)
def test_an_account_is_known_by_its_number_if_that_is_configured(ledger, redis, account_id, named):
    web = Web(ledger, redis, account_id=account_id)
    assert web.post(f"leads[update][0][id]=5&{named}").status_code == 204
    assert web.hinted() == {"crm-leads": {"5"}}


class AwayRedis(fakeredis.FakeRedis):
    """Answers until `is_away`."""

    is_away = False

    def execute_command(self, *args, **options):
        if self.is_away:
            raise RedisConnectionError
        return super().execute_command(*args, **options)


@on_sqlite
def test_when_redis_does_not_take_a_hint_amocrm_is_told_to_come_again(ledger, caplog):
    redis = AwayRedis()
    web = Web(ledger, redis)
    redis.is_away = True
    answer = web.post(f"leads[update][0][id]=5&{OF_OURS}")
    assert (answer.status_code, answer.json) == (503, {"error": "not kept, send it again"})
    assert SECRET not in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert web.post(f"task[add][0][id]=5&{OF_OURS}").status_code == 204, "there is nothing to keep"
    redis.is_away = False
    assert web.post(f"leads[update][0][id]=5&{OF_OURS}").status_code == 204
    assert (web.hinted(), web.asked()) == ({"crm-leads": {"5"}}, ["crm-leads"])


@on_sqlite
def test_a_message_that_workers_do_not_get_is_no_loss(web):
    web.runtime.publisher.is_down = True
    assert web.post(f"leads[update][0][id]=5&{OF_OURS}").status_code == 204
    assert look.is_waiting(web.redis, "crm-leads"), "so the next tick asks for a look"


@on_sqlite
def test_beyond_what_may_wait_nothing_is_kept_and_nobody_is_told(web):
    look.hint(web.redis, "crm-leads", [f"x{number}" for number in range(look.MOST_WAITING)])
    assert web.post(f"leads[update][0][id]=5&contacts[delete]=6&{OF_OURS}").status_code == 204
    assert len(web.hinted()["crm-leads"]) == look.MOST_WAITING
    assert web.hinted()["crm-contacts"] == {"6"}


HOSTILE = {
    "empty": b"",
    "no form": b'{"leads": {"update": [{"id": 5}]}}',
    "no text": bytes(range(256)) * 4000,
    "ampersands": b"&" * 1_000_000,
    "deep": b"leads" + b"[update]" * 100_000 + b"=5",
    "deep keys": (b"leads[update][0][id]" + b"[x]" * 30 + b"=5&") * 9000,
    "brackets": b"leads[update][0" * 60_000,
    "a long value": b"leads[update][0][id]=" + b"5" * 900_000,
}


@on_sqlite
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("content_type", [FORM, "application/json", "multipart/form-data; boundary=x", ""])
def test_a_hostile_body_that_says_nothing_changes_nothing(web, body, content_type):
    assert web.post(body, content_type=content_type).status_code == 204
    assert (web.hinted(), web.asked()) == ({}, [])


@on_sqlite
def test_of_very_many_keys_some_are_kept(web):
    body = "&".join(f"leads[update][{number}][id]={number + 1}" for number in range(10_000))
    assert web.post(body).status_code == 204
    assert len(web.hinted()["crm-leads"]) == MOST_IDS


@on_sqlite
def test_a_body_without_end_is_refused_unread_and_a_large_one_is_not(web):
    text = quote("я" * 150_000)
    assert web.post(f"leads[update][0][name]={text}&leads[update][0][id]=5&{OF_OURS}").status_code == 204
    assert web.hinted() == {"crm-leads": {"5"}}
    assert web.post(b"leads[update][0][id]=6&" + b"x" * 1_100_000).status_code == 413
    assert web.hinted() == {"crm-leads": {"5"}}


@on_sqlite
def test_only_a_post_is_a_hint_and_the_published_document_does_not_name_it(web):
    assert web.client.get(URL).status_code == 405
    assert web.client.get("/openapi.json").json["paths"] == {}


# What `parom check` says.


@pytest.fixture
def vendor():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        made = Vendor(mock)
        made.tokens.add("t0k3n")
        yield made


def hook(settings=SETTINGS, *, destination=f"https://parom.example/hooks/amocrm/crm/{SECRET}", disabled=False):
    return {"id": 1, "destination": destination, "settings": list(settings), "disabled": disabled}


def found(vendor, *hooks, entity="contacts", answer=None, **crm):
    listed = (200, {"_embedded": {"webhooks": list(hooks)}}) if hooks else (204, None)
    vendor.on("GET", "webhooks", answer or listed)
    api = Api(config_of(**crm), fakeredis.FakeRedis(server=fakeredis.FakeServer()), vault=None, sleep=lambda _: None)
    findings = list(amocrm_hooks.findings(api, entity))
    assert SECRET not in json.dumps([str(finding) for finding in findings])
    return [(finding.level, f"{finding.text} {finding.hint}") for finding in findings]


@pytest.mark.parametrize("entity", KINDS)
def test_a_webhook_that_tells_everything_is_ready(vendor, entity):
    ((level, _),) = found(vendor, hook(), entity=entity)
    assert level == "ok"


def test_several_webhooks_may_tell_it_together(vendor):
    parts = [hook(["add_lead", "update_lead"]), hook(["status_lead", "responsible_lead", "restore_lead"])]
    parts[1]["destination"] += "/?from=amo"
    assert found(vendor, *parts, entity="leads")[0][0] == "ok"


@pytest.mark.parametrize(
    ("hooks", "expected"),
    [
        ([], "no webhook leads to us"),
        ([hook(destination=f"https://parom.example/hooks/amocrm/crm/{OTHERS_SECRET}")], "no webhook leads to us"),
        ([hook(destination=f"https://parom.example/?{SECRET}")], "no webhook leads to us"),
        ([hook(destination="https://[parom.example/"), hook(destination=None)], "no webhook leads to us"),
        ([hook(disabled=True)], "switched our webhook off"),
        ([hook(["add_lead"]), hook(disabled=True)], "does not tell of responsible_lead, restore_lead, status_lead"),
        ([{**hook(), "settings": None}], "does not tell of add_lead"),
    ],
)
def test_what_a_webhook_lacks_is_a_warning_for_polls_find_the_rest(vendor, hooks, expected):
    ((level, text),) = found(vendor, *hooks, entity="leads")
    assert level == "warning"
    assert expected in text


def test_without_the_right_to_list_webhooks_that_is_said(vendor):
    ((level, text),) = found(vendor, answer=(403, {"status": 403}))
    assert level == "warning"
    assert "administrator" in text


@pytest.mark.parametrize(("entity", "secret"), [("contacts", None), ("events", SECRET)])
def test_where_webhooks_are_not_wanted_nobody_asks(vendor, entity, secret):
    assert found(vendor, entity=entity, secret=secret) == []
    assert vendor.calls == []
