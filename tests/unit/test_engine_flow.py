"""The way of a record through the engine, on both databases, with in-memory siblings of the outside."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.errors import InDoubt, LimitReached, Refused, Rejected, Throttled, Transient
from tasks import dispatch, policy, resync, sync, upkeep
from tasks.ledger import pauses, records
from tasks.resync import Choice
from tests import siblings


def test_a_new_contact_is_found_missing_created_and_noted(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.run()
    assert world.target.calls == [("find", "1"), ("create", "1")]
    assert world.target.held["1"] == {"key": "1", "name": "Анна"}
    assert world.source.notes == {"1": "Успешно"}
    assert world.events("1") == ["seen", "created", "noted"]


def test_a_changed_contact_is_updated_without_being_searched(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.run()
    world.later(minutes=1)
    world.source.edit("1", NAME="Мария")
    world.target.calls.clear()
    world.run()
    assert world.target.calls == [("update", "1")]
    assert world.target.held["1"]["name"] == "Мария"


def test_a_client_that_exists_already_is_updated(world):
    world.target.held["1"] = {"key": "1", "name": "старое"}
    world.source.edit("1", ID="1", NAME="Анна")
    world.run()
    assert world.target.calls == [("find", "1"), ("update", "1")]


def test_a_client_deleted_in_the_target_is_created_again_on_the_next_change(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.run()
    world.target.held.clear()
    world.source.edit("1", NAME="Мария")
    world.run()
    assert world.target.held["1"]["name"] == "Мария"


def test_the_note_comes_back_as_a_change_and_is_no_work(world):
    for n in "12345":
        world.source.edit(n, ID=n, NAME="Анна")
    world.run()
    world.later(minutes=1)
    world.target.calls.clear()
    world.source.calls.clear()
    world.run()
    assert world.target.calls == []
    assert "notes" not in world.source.calls


def test_a_poll_that_finds_nothing_new_costs_one_source_call(world):
    world.run()
    world.source.calls.clear()
    world.run()
    assert world.source.calls == ["page"]


def test_records_that_are_none_of_the_flows_business_are_noted_as_success(world):
    world.source.edit("1", ID="1", NAME="-")
    world.run()
    assert world.target.calls == []
    assert world.source.notes == {"1": "Успешно"}
    assert world.record("1").state == "skipped"


def test_a_wrong_record_is_told_to_the_manager_and_waits_for_its_correction(world):
    world.source.edit("1", ID="1", NAME="")
    world.run()
    assert world.source.notes == {"1": "Не заполнено поле «Имя»"}
    assert world.record("1").state == "rejected"
    world.source.edit("1", NAME="Анна")
    world.run()
    assert world.source.notes == {"1": "Успешно"}
    assert world.target.held["1"]["name"] == "Анна"


def test_a_note_that_the_source_shows_already_is_not_written(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.source.notes["1"] = "Успешно"
    world.run()
    assert "notes" not in world.source.calls


def test_a_failing_note_neither_undoes_nor_repeats_the_delivery(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()
    world.source.errors.append(Transient("portal down"))
    world.work()
    assert world.source.notes == {}
    world.later(minutes=20)
    world.work()
    assert world.source.notes == {"1": "Успешно"}
    assert world.target.calls == [("find", "1"), ("create", "1")]


def test_a_note_to_a_deleted_contact_is_given_up(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()
    world.source.errors.append(Rejected("not found", told=""))
    world.work()
    world.later(days=2)
    world.source.calls.clear()
    world.work()
    assert "notes" not in world.source.calls
    assert world.events("1")[-1] == "note failed"


def test_one_rejected_record_does_not_hold_up_the_others(world):
    for n in "123":
        world.source.edit(n, ID=n, NAME="Анна")
    world.poll()
    world.target.errors.extend([Rejected("400", told="Отмечалка не приняла: телефон")])
    world.work()
    assert sorted(world.source.notes.values()) == ["Отмечалка не приняла: телефон", "Успешно", "Успешно"]


def test_a_target_that_is_down_burns_no_record(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()
    for _ in range(30):
        world.target.errors.append(Transient("connection refused"))
        world.later(minutes=16)
        world.work()
    assert world.record("1").state == "pending"
    assert world.source.notes == {}
    world.later(minutes=16)
    world.work()
    assert world.record("1").state == "done"


def test_being_throttled_costs_no_attempt_and_leaves_no_history(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()
    world.target.errors.append(Throttled("budget", wait=3))
    world.work()
    assert world.record("1").attempts == 0
    assert world.events("1") == ["seen"]


def test_a_lost_answer_is_looked_up_before_anything_is_sent_again(world):
    world.target.settle = timedelta(seconds=60)
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()
    world.target.lost_answers.append(InDoubt("no answer"))
    world.work()
    assert world.record("1").is_in_doubt
    world.later(seconds=30)
    world.work()
    assert world.target.calls == [("find", "1"), ("create", "1")]  # the target has not settled
    world.later(seconds=60)
    world.work()
    assert world.target.calls[2:] == [("find", "1"), ("update", "1")]
    assert not world.record("1").is_in_doubt


def test_a_newer_version_does_not_hurry_a_record_in_doubt(world):
    world.target.settle = timedelta(seconds=60)
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()
    world.target.lost_answers.append(InDoubt("no answer"))
    world.work()
    world.source.edit("1", NAME="Мария")
    world.run()
    assert len(world.target.calls) == 2
    world.later(minutes=2)
    world.work()
    assert world.target.held["1"]["name"] == "Мария"


def test_going_back_to_the_old_content_after_a_lost_update_still_writes_it(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.run()
    world.source.edit("1", NAME="Мария")
    world.poll()
    world.target.lost_answers.append(InDoubt("no answer"))
    world.work()
    world.source.edit("1", NAME="Анна")
    world.later(minutes=2)
    world.run()
    assert world.target.held["1"]["name"] == "Анна"


def test_a_version_that_arrives_during_the_attempt_is_delivered_after_it(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()

    def edit():
        world.target.during_write = None
        world.source.edit("1", NAME="Мария")
        world.poll()

    world.target.during_write = edit
    world.work()
    assert world.target.held["1"]["name"] == "Мария"
    assert world.record("1").state == "done"


def test_a_worker_that_died_leaves_its_record_to_another(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()
    (_, record_id) = world.runtime.publisher.hints.popleft()
    dead = records.claim(
        world.runtime.ledger, record_id, flows_known=["students"], owner="dead", lease=timedelta(seconds=15)
    )
    world.later(seconds=10)
    upkeep.upkeep(world.runtime)
    world.work()
    assert world.target.calls == []
    world.later(seconds=6)
    upkeep.upkeep(world.runtime)
    world.work()
    assert world.target.calls == [("find", "1"), ("create", "1")]
    assert not records.intend(world.runtime.ledger, dead)
    ending = policy.after_error(Transient("late"), policy.Situation(1, timedelta(), in_doubt=False))
    assert not records.finish(world.runtime.ledger, dead, ending)
    assert world.record("1").state == "done"


def test_a_frozen_worker_sends_nothing_after_its_lease(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()
    (_, record_id) = world.runtime.publisher.hints.popleft()
    find = world.target.find

    def freeze(key):
        world.later(seconds=20)
        return find(key)

    world.target.find = freeze
    assert sync.sync(world.runtime, record_id) is None
    assert world.target.held == {}


def test_a_record_that_kills_its_worker_three_times_is_parked(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()
    for _ in range(3):
        world.later(minutes=5)
        upkeep.tick(world.runtime)
        (_, record_id) = world.runtime.publisher.hints.pop()
        assert records.claim(
            world.runtime.ledger, record_id, flows_known=["students"], owner="dead", lease=timedelta(seconds=15)
        )
        world.later(seconds=16)
        upkeep.upkeep(world.runtime)
    assert world.record("1").state == "parked"


def test_our_own_bug_parks_the_record_with_its_place_and_without_its_data(world):
    world.source.edit("1", ID="1", NAME="bug")
    world.source.edit("2", ID="2", NAME="Анна")
    world.run()
    record = world.record("1")
    assert record.state == "parked"
    assert "RuntimeError" in record.detail
    assert "siblings.py" in record.detail
    assert "secret" not in record.detail
    assert world.record("2").state == "done"


def test_a_refused_connection_pauses_the_flow_until_a_probe_passes(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()
    world.target.errors.append(Refused("401"))
    world.work()
    assert world.record("1").state == "pending"
    assert world.record("1").attempts == 0
    world.later(seconds=31)
    world.connectors.target.probe_errors.append(Refused("401"))
    upkeep.upkeep(world.runtime)
    world.work()
    assert len(world.target.calls) == 1
    world.later(seconds=31)
    upkeep.upkeep(world.runtime)
    world.work()
    assert world.record("1").state == "done"


def test_an_operators_pause_stops_polls_and_deliveries_and_no_probe_ends_it(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()
    pauses.pause(world.runtime.ledger, "students", reason="holidays")
    world.source.calls.clear()
    world.later(hours=1)
    upkeep.upkeep(world.runtime)
    world.run()
    assert (world.source.calls, world.target.calls, world.connectors.target.probes) == ([], [], 0)
    pauses.resume(world.runtime.ledger, "students")
    world.later(seconds=6)
    world.run()
    assert world.record("1").state == "done"


def test_at_the_targets_limit_creations_pause_and_updates_go_on(world):
    world.target.held["3"] = {"key": "3", "name": "старое"}
    for n in "123":
        world.source.edit(n, ID=n, NAME="Анна")
    world.poll()
    world.target.errors.extend([LimitReached("full", told="Достигнут предел")])
    world.work()
    assert [verb for verb, _ in world.target.calls].count("create") == 0
    assert world.target.held["3"]["name"] == "Анна"
    assert world.source.notes["1"] == "Достигнут предел"
    world.later(hours=2)
    upkeep.upkeep(world.runtime)
    world.work()
    assert set(world.target.held) == {"1", "2", "3"}


def test_a_rejected_record_is_tried_again_slowly(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()
    world.target.errors.append(Rejected("400", told="нет"))
    world.work()
    world.later(hours=7)
    upkeep.upkeep(world.runtime)
    world.work()
    assert world.source.notes["1"] == "Успешно"


@pytest.mark.parametrize("everything_lost", ["hints", "redis"])
def test_lost_hints_are_sent_again(world, redis, everything_lost):
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()
    world.runtime.publisher.hints.clear()
    redis.flushall()
    upkeep.tick(world.runtime)
    assert not world.runtime.publisher.hints
    world.later(seconds=6)
    world.work()
    assert world.record("1").state == "done"


def test_doubled_hints_and_ticks_do_nothing_twice(world):
    for n in "123":
        world.source.edit(n, ID=n, NAME="Анна")
    world.poll()
    world.runtime.publisher.hints.extend(list(world.runtime.publisher.hints) * 3)
    world.work()
    assert sorted(world.target.calls) == [(verb, n) for verb in ("create", "find") for n in "123"]


def test_while_redis_is_down_nothing_is_lost(world):
    world.runtime.publisher.is_down = True
    world.source.edit("1", ID="1", NAME="Анна")
    world.run()
    world.runtime.publisher.is_down = False
    world.later(seconds=6)
    world.work()
    assert world.record("1").state == "done"


def test_no_more_than_the_window_is_handed_out(ledger, redis):
    world = siblings.build(ledger, redis, window=10)
    for n in range(1, 31):
        world.source.edit(str(n), ID=str(n), NAME="Анна")
    world.poll()
    assert len(world.runtime.publisher.hints) == 10
    assert dispatch.dispatch(world.runtime, "students") == 0
    world.work()
    assert len(world.target.held) == 30


def test_no_more_is_handed_out_than_the_target_can_serve(world):
    world.connectors.target.room = 3
    for n in range(1, 11):
        world.source.edit(str(n), ID=str(n), NAME="Анна")
    world.poll()
    assert dispatch.dispatch(world.runtime, "students") <= 3


def test_a_fresh_change_outranks_a_backlog_of_backfill(ledger, redis):
    world = siblings.build(ledger, redis, window=10)
    for n in range(1, 101):
        world.source.edit(str(n), ID=str(n), NAME="Анна")
    world.run()
    resync.resync(world.runtime, "students", Choice())
    upkeep.tick(world.runtime)
    assert len(world.runtime.publisher.hints) == 8  # the last places are kept
    world.later(minutes=1)
    world.source.edit("100", NAME="Мария")
    world.source.edit("101", ID="101", NAME="Новая")
    world.poll()
    world.target.calls.clear()
    handed_out = list(world.runtime.publisher.hints)
    for hint in handed_out:
        world.take(*hint)
    assert ("create", "101") in world.target.calls
    assert ("update", "100") in world.target.calls


def test_resync_delivers_again_what_did_not_change(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.source.edit("2", ID="2", NAME="Анна")
    world.run()
    world.target.held.clear()
    assert resync.resync(world.runtime, "students", Choice(ids=("1",)), dry_run=True) == 1
    assert resync.resync(world.runtime, "students", Choice(ids=("1",))) == 1
    world.work()
    assert set(world.target.held) == {"1"}


def test_resync_by_id_reads_what_the_ledger_never_saw(world):
    world.source.edit("7", ID="7", NAME="Анна")
    world.source.rows["7"] = replace(world.source.rows["7"], created=world.flow.since - timedelta(days=1))
    world.run()
    assert world.target.held == {}
    resync.resync(world.runtime, "students", Choice(ids=("7",)))
    world.work()
    assert set(world.target.held) == {"7"}


def test_resync_of_failed_takes_the_parked_and_the_rejected_only(world):
    for n, name in (("1", "Анна"), ("2", ""), ("3", "bug")):
        world.source.edit(n, ID=n, NAME=name)
    world.run()
    assert resync.resync(world.runtime, "students", Choice(failed=True)) == 2
    assert resync.resync(world.runtime, "students", Choice(cause="bug")) == 0


def test_hostile_text_is_stored_and_comes_out_the_same(world):
    text = "\ud800 \u0000 \u202e '; DROP TABLE records;-- \x1b[31m"
    world.source.edit("1", ID="1", NAME=text, EXTRA=float("nan"))
    world.run()
    assert world.target.held["1"]["name"] == text
