"""Hints from a source: read at once, trusted never, missed without harm."""

from datetime import timedelta

import pytest

from connectors.errors import Transient
from tasks import look
from tasks.ledger import pauses
from tests import siblings


def test_a_hint_makes_the_record_due_before_any_poll(world, redis):
    world.run()
    world.source.edit("1", ID="1", NAME="Анна")
    world.source.calls.clear()
    assert look.hint(redis, "students", ["1"])
    assert look.look(world.runtime, "students") == 1
    world.work()
    assert set(world.target.held) == {"1"}
    assert "page" not in world.source.calls


def test_many_hints_are_read_together_and_somebody_is_asked_once(world, redis):
    for n in range(1, 121):
        world.source.edit(str(n), ID=str(n), NAME="Анна")
    asked = [look.hint(redis, "students", [str(n)]) for n in range(1, 121)]
    assert asked.count(True) == 1
    look.look(world.runtime, "students")
    assert world.source.calls == ["read"] * 3
    world.work()
    assert len(world.target.held) == 120


def test_our_own_note_comes_back_as_a_hint_and_is_no_work(world, redis):
    world.source.edit("1", ID="1", NAME="Анна")
    world.run()
    world.target.calls.clear()
    look.hint(redis, "students", ["1"])
    look.look(world.runtime, "students")
    world.work()
    assert world.target.calls == []


def test_a_hint_of_what_is_older_than_the_start_or_gone_is_no_work(world, redis):
    world.source.clock = world.flow.since - timedelta(days=1)
    world.source.edit("1", ID="1", NAME="Анна")
    look.hint(redis, "students", ["1", "404"])
    look.look(world.runtime, "students")
    world.work()
    assert world.target.held == {}


def test_a_hint_that_cannot_be_followed_is_left_to_the_poll(world, redis):
    world.source.edit("1", ID="1", NAME="Анна")
    world.source.errors.append(Transient("down"))
    look.hint(redis, "students", ["1"])
    assert look.look(world.runtime, "students") == 0
    world.run()
    assert set(world.target.held) == {"1"}


def test_a_paused_flow_follows_no_hints(world, redis):
    world.source.edit("1", ID="1", NAME="Анна")
    pauses.pause(world.runtime.ledger, "students", reason="x")
    look.hint(redis, "students", ["1"])
    look.look(world.runtime, "students")
    assert world.source.calls == []


@pytest.mark.parametrize("ledger", ["sqlite"], indirect=True)
def test_hints_do_not_heap_up_without_end(ledger, redis):
    siblings.build(ledger, redis)
    look.hint(redis, "students", [str(n) for n in range(look.MOST_WAITING)])
    assert not look.hint(redis, "students", ["x"])
    assert redis.scard("parom:changed:students") == look.MOST_WAITING
