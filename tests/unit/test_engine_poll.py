"""Polling: windows, pages and the cursor; what moves or repeats between pages is neither lost nor worked twice."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.errors import Refused, Transient
from tasks import poll, resync, upkeep
from tasks.ledger import cursors, records
from tasks.resync import Choice
from tests.siblings import START
from workers.keeper import prolong


def names(world):
    return {key: held["name"] for key, held in world.target.held.items()}


def fill(world, count):
    for n in range(1, count + 1):
        world.source.edit(str(n), ID=str(n), NAME=f"имя {n}")


def test_rows_of_one_second_over_several_pages_all_arrive(world):
    fill(world, 9)
    world.run()
    assert len(world.target.held) == 9


def test_a_page_border_after_the_last_row_costs_one_empty_page(world):
    fill(world, 4)
    world.run()
    assert world.source.calls.count("page") == 3


def test_a_row_edited_while_its_window_is_read_arrives_with_its_newest_content(world):
    fill(world, 6)
    shown = world.source.page
    edits = iter([("1", "новое 1"), ("6", "новое 6")])

    def page(window, fields):
        result = shown(window, fields)
        edit = next(edits, None)
        if edit:
            world.source.clock += timedelta(seconds=1)
            world.source.edit(edit[0], NAME=edit[1])
        return result

    world.source.page = page
    world.run()
    world.run()
    assert names(world)["1"] == "новое 1"
    assert names(world)["6"] == "новое 6"
    assert len(world.target.held) == 6


def test_a_source_that_fails_in_the_middle_is_read_on_from_there(world):
    fill(world, 7)
    shown = world.source.page
    asked = []

    def page(window, fields):
        asked.append(window.after_id)
        if len(asked) == 3:
            raise Transient("portal down")
        return shown(window, fields)

    world.source.page = page
    world.run()
    assert len(world.target.held) == 4
    assert world.record("5") is None
    world.run()
    assert asked == [None, "2", "4", "4", "6"]
    assert len(world.target.held) == 7


def test_a_portal_that_is_down_ends_the_poll_at_once_and_changes_nothing(world):
    fill(world, 2)
    world.source.errors.append(Transient("portal down"))
    world.run()
    assert world.source.calls == ["page"]
    assert world.target.calls == []
    world.run()
    assert len(world.target.held) == 2


def test_a_refused_poll_pauses_the_flow_until_the_same_question_is_answered(world):
    fill(world, 2)
    world.source.errors.append(Refused("UF_CRM_1 is on no row"))
    world.run()
    world.source.calls.clear()
    world.run()
    assert world.source.calls == []
    world.source.errors.append(Refused("UF_CRM_1 is on no row"))
    for _ in range(2):
        world.later(seconds=31)
        upkeep.upkeep(world.runtime)
        world.run()
    assert len(world.target.held) == 2


def test_an_edit_in_the_very_second_of_the_last_poll_is_seen(world):
    world.run()
    world.source.edit("1", ID="1", NAME="Анна")
    world.run()
    assert names(world) == {"1": "Анна"}


def test_a_row_that_became_visible_late_is_seen_thanks_to_the_overlap(world):
    world.run()
    world.later(minutes=1)
    world.run()
    world.source.edit("1", ID="1", NAME="Анна")
    world.source.rows["1"] = replace(world.source.rows["1"], modified=world.source.clock - timedelta(seconds=100))
    world.run()
    assert names(world) == {"1": "Анна"}


@pytest.mark.parametrize("jump", [timedelta(minutes=-10), timedelta(minutes=10)])
def test_a_source_whose_clock_jumps_loses_nothing(world, jump):
    fill(world, 1)
    world.run()
    world.later(minutes=1)
    world.source.clock += jump
    world.source.edit("2", ID="2", NAME="Анна")
    world.later(minutes=1)
    world.run()
    world.source.clock -= jump
    world.source.edit("3", ID="3", NAME="Анна")
    world.later(minutes=1)
    world.run()
    assert set(world.target.held) == {"1", "2", "3"}


def test_a_page_that_shows_an_older_state_changes_nothing(world):
    fill(world, 1)
    world.later(minutes=1)
    asked_at, old = world.runtime.ledger.clock(), world.source.rows["1"]
    world.source.edit("1", NAME="новое")
    world.run()
    world.source.rows["1"] = old
    turn = cursors.take_turn(
        world.runtime.ledger, "students", owner="x", lease=timedelta(seconds=9), every=timedelta(0), force=True
    )
    seen = [world.flow.seen(old)]
    lease = timedelta(seconds=9)
    cursors.store_page(world.runtime.ledger, turn, seen, turn.position, lease=lease, asked_at=asked_at)
    world.work()
    assert names(world) == {"1": "новое"}


def test_a_doubled_tick_polls_once(world):
    poll.poll(world.runtime, "students")
    poll.poll(world.runtime, "students")
    assert world.source.calls == ["page"]
    world.later(seconds=60)
    poll.poll(world.runtime, "students")
    assert world.source.calls == ["page"] * 2


def test_two_polls_at_once_are_one(world):
    shown = world.source.page

    def page(window, fields):
        world.source.page = shown
        assert poll.poll(world.runtime, "students", force=True) is None
        return shown(window, fields)

    fill(world, 1)
    world.source.page = page
    world.run()
    assert len(world.target.held) == 1


def test_a_poller_that_was_frozen_stores_nothing(world):
    fill(world, 3)
    shown = world.source.page

    def page(window, fields):
        world.source.page = shown
        result = shown(window, fields)
        world.later(seconds=20)
        world.source.edit("1", NAME="новое")
        world.poll()
        return result

    world.source.page = page
    world.run()
    assert names(world)["1"] == "новое"
    assert world.record("1").version == 1


def test_a_long_read_goes_on_in_another_turn(world):
    world.source.page_size = 1
    fill(world, poll.PAGES_PER_TURN + 2)
    world.poll()
    assert world.record(str(poll.PAGES_PER_TURN + 1)) is None
    assert ("poll", "students") in world.runtime.publisher.hints
    world.work()
    assert len(world.target.held) == poll.PAGES_PER_TURN + 2


def test_a_rewound_cursor_reads_what_the_ledger_never_saw_and_repeats_the_rest(world):
    fill(world, 3)
    world.run()
    world.source.edit("4", ID="4", NAME="давно")
    world.source.rows["4"] = replace(world.source.rows["4"], modified=START - timedelta(days=20))
    world.later(minutes=10)
    world.run()
    assert "4" not in world.target.held
    world.target.calls.clear()
    assert resync.resync(world.runtime, "students", Choice(since=START - timedelta(days=25))) == 3
    world.run()
    assert set(world.target.held) == {"1", "2", "3", "4"}
    assert len([c for c in world.target.calls if c[0] == "update"]) == 3


def test_leases_are_prolonged_while_they_are_worked_on_and_no_longer(world):
    fill(world, 1)
    world.poll()
    (_, record_id) = world.runtime.publisher.hints.popleft()
    lease = world.runtime.lease
    claim = records.claim(world.runtime.ledger, record_id, flows_known=["students"], owner="test", lease=lease)
    with world.runtime.holdings.record(record_id):
        for _ in range(5):
            world.later(seconds=10)
            prolong(world.runtime)
        assert records.intend(world.runtime.ledger, claim)
    world.later(seconds=10)
    prolong(world.runtime)
    world.later(seconds=6)
    assert not records.intend(world.runtime.ledger, claim)


def test_a_poll_that_fails_unexpectedly_leaves_its_turn_to_another(world):
    fill(world, 1)
    shown = world.source.page

    def page(window, fields):
        world.source.page = shown
        raise MemoryError

    world.source.page = page
    with pytest.raises(MemoryError):
        world.poll()
    world.later(seconds=10)
    prolong(world.runtime)
    world.later(seconds=6)
    world.run()
    assert len(world.target.held) == 1
