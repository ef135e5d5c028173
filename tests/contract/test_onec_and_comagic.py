"""What only 1C or CoMagic do: calls at a time, points, and histories that repeats leave in order."""

import time
from functools import partial

import fakeredis
import pytest
import requests

from connectors.base import FieldNeed, Window
from connectors.errors import InDoubt, ParentMissing, Throttled
from tests.contract.subjects import LONG_AGO, SUBJECTS, failure, together

WAY = ("NEW", "QUALIFIED", "OFFER", "CONTRACT", "WON")
ALL_RIGHT = None


def shared():
    """The Redis of all workers."""
    return fakeredis.FakeRedis(server=fakeredis.FakeServer())


# 1C: calls at a time.


@pytest.mark.parametrize("reuse_sessions", [True, False])
def test_all_workers_together_never_have_more_calls_under_way_than_the_base_shall_bear(
    sandbox, connect, reuse_sessions
):
    sandbox("POST", "/seed", contacts=0, interests=30)
    sandbox("POST", "/switches/onec", latency_s=0.02, licences=4 if reuse_sessions else 2)
    # Each process may keep as many idle sessions as calls are allowed at a time.
    redis, limits = shared(), {"concurrency": 2, "reuse_sessions": reuse_sessions}
    workers = [connect("onec", redis=redis, sleep=time.sleep, **limits).source("interests") for _ in range(2)]
    pages = together(12, lambda number: len(workers[number % 2].page(Window(LONG_AGO), ("phones",)).rows))
    assert set(pages) <= {30, Throttled}
    assert pages.count(30) > 1
    (load,) = sandbox.table("onec", "load")
    assert load["peak"] == 2


# CoMagic: points.


def refused_for_points(sandbox):
    return [entry["error"] for entry in sandbox.journal("comagic") if entry["error"] == "limit_exceeded"]


@pytest.mark.parametrize("spent_elsewhere", [0, 12])
def test_a_hundred_threads_of_two_workers_are_never_refused_for_their_points(sandbox, connect, spent_elsewhere):
    """Cards are updated one by one, so each costs a point; somebody else may have spent some."""
    cards, known = SUBJECTS["cards"], [str(number) for number in range(100)]
    first = connect("comagic").target("contacts")
    assert together(100, lambda number: first.create(cards.payload(known[number]))) == known
    sandbox("POST", "/switches/comagic", minute_limit=40, day_limit=3000)
    stranger = connect("comagic")
    for _ in range(spent_elsewhere):
        stranger.probe()
    redis, asked = shared(), len(sandbox.journal("comagic"))
    workers = [connect("comagic", redis=redis, sleep=time.sleep).target("contacts") for _ in range(2)]
    outcomes = together(100, lambda number: workers[number % 2].update(known[number], cards.payload(known[number])))
    assert refused_for_points(sandbox) == []
    assert set(outcomes) <= {*known, Throttled}
    updated = 100 - outcomes.count(Throttled)
    assert len(sandbox.journal("comagic")) - asked == updated, "who must wait does not ask"
    assert 10 < updated < 40, "the points are used, and run out"


@pytest.mark.parametrize("metadata", ["always", "get_only", "empty_limits"])
def test_a_vendor_who_tells_less_of_the_points_does_not_have_to_refuse_either(sandbox, connect, metadata):
    limits = {"minute_limit": 60, "day_limit": 3000}
    sandbox("POST", "/switches/comagic", metadata=metadata, error_metadata="absent", **limits)
    redis, cards = shared(), SUBJECTS["cards"]
    workers = [connect("comagic", redis=redis, sleep=time.sleep, **limits) for _ in range(2)]
    together(70, lambda number: workers[number % 2].target("contacts").update(str(number), cards.payload(str(number))))
    probes = together(70, lambda number: workers[number % 2].probe())
    assert set(probes) == {ALL_RIGHT, Throttled}
    assert refused_for_points(sandbox) == []


def test_check_creates_the_field_of_the_communication_once(sandbox, connect):
    needs = (FieldNeed("communication_id", "ID обращения", ("user_field",)),)
    for _ in range(2):
        findings = list(connect("comagic").check("deals", needs))
        assert [finding for finding in findings if finding.level == "error"] == []
    assert [row["ext_id"] for row in sandbox.table("comagic", "user_fields")] == ["communication_id"]


# CoMagic: histories.


def history(sandbox, *, key="7"):
    """The stages of a deal, and when it came to them, as the vendor shows them."""
    params = {"access_token": sandbox.addresses["comagic_token"], "limit": 10_000}
    asked = {"jsonrpc": "2.0", "id": 1, "method": "get.deals_history", "params": params}
    answer = requests.post(sandbox.addresses["comagic"], json=asked, timeout=30).json()
    rows = [row for row in answer["result"]["data"] if row["ext_id"] == key]
    return [(row["stage_ext_id"], row["modified_stage_date_time"]) for row in rows]


def stage_row(number):
    """The row of the deal's stage by its number, each an hour after the one before."""
    at = f"2025-02-01T{12 + number}:00:00+03:00"
    row = SUBJECTS["stages"].payload("7") | {"created_date_time": "2025-02-01T12:00:00+03:00"}
    return row | {"stage_ext_id": WAY[number], "modified_date_time": at, "modified_stage_date_time": at}


EXPECTED = [(stage, f"2025-02-01 {12 + number}:00:00") for number, stage in enumerate(WAY)]
LOST = {
    "after the write": {"action": "reset_after"},
    "before the write": {"action": "reset_before"},
    "in half an answer": {"action": "cut"},
    "behind a 502": {"action": "status", "status": 502, "commit": True},
}


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
@pytest.mark.parametrize("same_stage_row", ["merged", "added"])
def test_stages_whose_answers_were_lost_and_that_are_repeated_leave_a_history_in_order(
    sandbox, connect, same_stage_row, lost
):
    sandbox("POST", "/switches/comagic", same_stage_row=same_stage_row)
    SUBJECTS["stages"].prepare(connect("comagic"))
    deals = connect("comagic").target("deals")
    for number in range(len(WAY)):
        upload = partial(deals.create, stage_row(number))
        sandbox("POST", "/faults", system="comagic", times=1, **lost)
        assert type(failure(sandbox, "comagic", upload)) is InDoubt
        assert upload() == "7"
    found = history(sandbox)
    assert list(dict.fromkeys(found)) == EXPECTED
    assert found == sorted(found, key=lambda row: row[1])
    assert len(found) == len(EXPECTED) or same_stage_row == "added"
    assert sandbox.keys(SUBJECTS["stages"]) == ["7"]


def test_a_card_whose_creation_was_lost_is_overwritten_by_its_repeat_and_not_doubled(sandbox, connect):
    cards = connect("comagic").target("contacts")
    sandbox("POST", "/faults", system="comagic", action="reset_after")
    first, second = (SUBJECTS["cards"].payload("7") | {"name": name} for name in ("Интерес 1", "Интерес 2"))
    assert type(failure(sandbox, "comagic", lambda: cards.create(first))) is InDoubt
    assert cards.create(second) == "7"
    assert [(key, row["name"]) for key, row in sandbox.held(SUBJECTS["cards"])] == [("7", "Интерес 2")]


@pytest.mark.parametrize("unknown_reference", ["entity_not_found", "invalid_parameter_value"])
@pytest.mark.parametrize("index_in_field", ["none", "dotted", "brackets"])
def test_a_deal_of_an_unknown_card_waits_until_the_card_is_there(sandbox, connect, index_in_field, unknown_reference):
    sandbox("POST", "/switches/comagic", index_in_field=index_in_field, unknown_reference=unknown_reference)
    connector, stages = connect("comagic"), SUBJECTS["stages"]
    error = failure(sandbox, "comagic", lambda: connector.target("deals").create(stages.payload("7")))
    assert type(error) is ParentMissing
    assert "контакт" in error.told
    stages.prepare(connector)
    assert connector.target("deals").create(stages.payload("7")) == "7"
