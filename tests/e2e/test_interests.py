"""The story of Interests: from 1C, polled or pushed, to contacts and deals' histories in CoMagic, in order."""

import json
from itertools import pairwise

import pytest
import requests
from redis import Redis

from tests.e2e.test_students import on_postgresql
from tests.harbour import INBOX_TOKEN, kill, wait_until
from workers import compose
from workers.cli.verify import verify

FLOWS = ("people", "interests")
FAST = "window = 60"
NEW, QUALIFIED, OFFER = (f"5c0e000{number}-1f6a-11ee-8a2b-0050569a0c11" for number in (1, 2, 3))
PERSON = {"Тема": "Пробное занятие", "Состояние": NEW, "phones": ["+7 999 000-00-01"]}


def assert_all_there(harbour):
    settings = compose.read_settings(harbour.environ)
    flows = compose.build_flows(settings, compose.connect_redis("redis://127.0.0.1:1/0"))
    for name in FLOWS:
        verdict = verify(flows[name], harbour.sandbox, settings.timezone)
        assert verdict.right
        assert verdict.wrong == (), name


def is_settled(harbour, seen):
    waiting = [harbour.status(flow)["by_state"].get("waiting", 0) for flow in FLOWS]
    return harbour.settled(1, "people") and harbour.settled(seen, "interests") and waiting == [0, 0]


def calls(harbour):
    return [entry for entry in harbour.sandbox.journal() if entry["system"] == "comagic" and entry["committed"]]


def create(harbour, **fields):
    return harbour.sandbox.post("/onec/interests", fields={**PERSON, **fields})["id"]


def edit(harbour, interest, **fields):
    harbour.sandbox.post(f"/onec/interests/{interest}", fields=fields)


def push(harbour, web, **more):
    return harbour.sandbox.post("/onec/push", url=f"{web}/inbox/interests", token=INBOX_TOKEN, **more)


@pytest.mark.outside(interests=120)
def test_every_interest_is_a_contact_and_a_deal_and_a_second_run_writes_nothing(harbour):
    harbour.sandbox.post("/switches/comagic", minute_limit=100_000)
    harbour.redis.stop()
    first = harbour.run("up", "--drain")
    assert first.returncode == 0, first.stdout + first.stderr
    assert_all_there(harbour)
    before = harbour.sandbox.writes("comagic")
    assert harbour.run("up", "--drain").returncode == 0
    assert harbour.sandbox.writes("comagic") == before


@pytest.mark.outside(interests=0)
def test_a_change_in_1c_travels_stage_by_stage_and_a_new_phone_updates_the_card(harbour):
    harbour.sandbox.post("/switches/comagic", minute_limit=100_000)
    harbour.start_working()
    interest = create(harbour)
    wait_until(lambda: interest in harbour.sandbox.histories(), "the deal is there")
    edit(harbour, interest, Состояние=QUALIFIED)
    wait_until(lambda: len(harbour.sandbox.histories()[interest]) == 2, "the second stage is there")
    edit(harbour, interest, phones=["+7 999 000-00-02", "+7 999 000-00-01"])

    def phones():
        (card,) = harbour.sandbox.get("/store/comagic/contacts")["rows"]
        return card["phone_numbers"]

    wait_until(lambda: phones() == ["79990000002", "79990000001"], "the card is up to date")
    assert [row["stage_ext_id"] for row in harbour.sandbox.histories()[interest]] == ["NEW", "QUALIFIED"]


@on_postgresql
@pytest.mark.outside(interests=150, base="", flow=FAST)
def test_pushed_in_any_order_and_interrupted_every_history_is_whole_and_in_order(harbour):
    harbour.sandbox.post("/switches/comagic", minute_limit=200)
    web = harbour.start_web()
    wait_until(lambda: harbour.ready(web), "the web process answers")
    told = push(harbour, web, history=True, shuffle=7, batch=50)
    assert set(told["statuses"]) == {"200"}
    (first,) = harbour.start_working()
    wait_until(lambda: len(harbour.sandbox.histories()) >= 20, "histories are under way")
    kill(first)
    Redis.from_url(harbour.redis.url).flushall()
    harbour.start("worker")
    wait_until(lambda: is_settled(harbour, told["items"]), "everything arrives")
    assert_all_there(harbour)
    expected = {}
    for item in harbour.sandbox.get("/store/onec/history")["rows"]:
        if item["stage"] and not item["is_deleted"]:
            expected.setdefault(item["id"], []).append(item["stage_changed_at"])
    for interest, rows in harbour.sandbox.histories().items():
        # A row whose answer was lost is uploaded again, and is the same row there.
        stages = list(dict.fromkeys((row["modified_stage_date_time"], row["stage_ext_id"]) for row in rows))
        assert all(earlier < later for (earlier, _), (later, _) in pairwise(stages)), interest
        assert len(stages) == len(expected[interest]), interest
    assert len(calls(harbour)) <= told["items"] // 4


@pytest.mark.outside(interests=5)
def test_a_base_that_is_locked_says_so_and_everything_arrives_afterwards(harbour):
    harbour.sandbox.post("/switches/onec", locked=True)
    harbour.start_working()

    def poll_error():
        return harbour.status("people")["poll_error"] or ""

    wait_until(lambda: "lock" in poll_error() or "maintenance" in poll_error(), "the operator is told")
    harbour.sandbox.post("/switches/onec", locked=False)


@pytest.mark.outside(interests=5)
def test_an_object_that_is_not_published_pauses_the_flow_and_is_named(harbour):
    harbour.sandbox.post("/switches/onec", unpublished=["Document_CRM_Интерес"])
    harbour.start_working()
    wait_until(lambda: harbour.status("people")["paused_by"] == "refused", "the flow is paused")
    assert "Document_CRM_Интерес" in harbour.status("people")["paused_reason"]
    assert "Document_CRM_Интерес" in harbour.run("check").stdout


@pytest.mark.outside(interests=40)
def test_a_day_that_is_used_up_holds_everything_back_and_says_until_when(harbour):
    harbour.sandbox.post("/switches/comagic", day_limit=3, minute_limit=1000)
    harbour.start_working()
    wait_until(lambda: len(calls(harbour)) >= 3, "the day's points are used")
    wait_until(lambda: "allowance is used up" in harbour.run("status").stdout, "status says so")
    assert len(calls(harbour)) == 3
    harbour.sandbox.post("/switches/comagic", day_limit=3000)  # somebody buys points
    assert harbour.run("check").returncode == 0
    harbour.run("resync", "people", "--all")
    harbour.run("resync", "interests", "--all")
    wait_until(lambda: is_settled(harbour, 35), "everything arrives")
    assert_all_there(harbour)


@pytest.mark.outside(interests=0)
def test_nobody_else_can_push(harbour):
    web = harbour.start_web()
    wait_until(lambda: harbour.ready(web), "the web process answers")
    answer = requests.post(f"{web}/inbox/interests", json={}, headers={"Authorization": "Bearer wrong"}, timeout=5)
    assert (answer.status_code, answer.json()) == (403, {"error": "forbidden"})
    assert "invented" not in json.dumps(answer.json())


@pytest.mark.outside(interests=0)
def test_up_serves_the_inbox(harbour):
    harbour.redis.stop()
    web = harbour.start_web("up")
    wait_until(lambda: harbour.ready(web), "the web process answers")
