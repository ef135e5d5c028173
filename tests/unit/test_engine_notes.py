"""Notes whose writer dies or is held back, and records that meet an outage."""

from connectors.breaker import BreakerOpen
from connectors.errors import Transient
from tasks.dispatch import NOTE_BATCH
from tasks.ledger import notes
from workers.keeper import prolong


def deliver_one(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()
    world.take(*world.runtime.publisher.hints.popleft())


def claimed(world):
    return notes.claim(world.runtime.ledger, "students", limit=NOTE_BATCH, lease=world.runtime.lease)


def test_a_note_claimed_by_a_dead_worker_is_written_after_a_lease(world):
    deliver_one(world)
    assert len(claimed(world)) == 1
    world.work()
    assert world.source.notes == {}
    world.later(seconds=world.runtime.lease.total_seconds() + 1)
    world.work()
    assert world.source.notes == {"1": "Успешно"}


def test_a_note_is_claimed_for_as_long_as_its_writer_lives(world):
    deliver_one(world)
    (held,) = claimed(world)
    with world.runtime.holdings.notes([(held.record_id, held.fence)]):
        for _ in range(5):
            world.later(seconds=10)
            prolong(world.runtime)
        assert claimed(world) == ()
    world.later(seconds=16)
    prolong(world.runtime)
    assert len(claimed(world)) == 1


def test_a_source_that_is_away_for_long_delays_its_notes_no_longer_than_it_is_away(world):
    deliver_one(world)
    world.source.errors.extend(BreakerOpen("not available", wait=30.0) for _ in range(20))
    for _ in range(20):
        world.work()
        world.later(seconds=40)
    world.source.errors.clear()
    world.later(seconds=40)
    world.work()
    assert world.source.notes == {"1": "Успешно"}
    assert "note failed" not in world.events("1")  # it was held back, and nothing happened to it


def test_a_record_that_met_a_long_outage_goes_on_within_a_minute_of_its_end(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.target.errors.extend(Transient("down") for _ in range(12))
    world.poll()
    for _ in range(12):
        world.work()
        world.later(seconds=61)
    world.work()
    assert world.record("1").state == "done"
