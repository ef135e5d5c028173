"""What a review of the engine found wrong, each as the schedule that showed it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from connectors.errors import InDoubt, Refused, Rejected, Transient
from tasks import dispatch, look, poll, resync, sync, upkeep
from tasks.ledger import pauses, records, report
from tasks.ledger.intake import fingerprint
from tasks.ledger.tables import records as table
from tasks.resync import Choice
from tests.siblings import START
from workers import drain
from workers.cli.status import advice


def sync_one(world):
    """Take the next sync hint."""
    hints = world.runtime.publisher.hints
    hint = next(h for h in hints if h[0] == "sync")
    hints.remove(hint)
    world.take(*hint)


@pytest.mark.parametrize("then", ["-", "", "bug"])
def test_a_page_with_a_record_in_doubt_that_was_then_skipped_or_refused_can_be_stored(world, then):
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()
    world.target.lost_answers.append(InDoubt("no answer"))
    world.work()
    world.source.edit("1", NAME=then)
    world.later(minutes=20)
    world.run()
    world.source.edit("1", NAME="Мария")
    world.source.edit("2", ID="2", NAME="Ольга")
    world.run()  # TypeError: '>' not supported between NoneType and datetime
    assert world.record("2").state == "done"


def test_backfill_leaves_although_the_target_serves_few_at_a_time(world):
    for n in range(1, 11):
        world.source.edit(str(n), ID=str(n), NAME="Анна")
    world.run()
    world.connectors.target.room = 6  # otmechalka's default: (2/s * 5 s + 2) // 2
    resync.resync(world.runtime, "students", Choice())
    for _ in range(50):
        world.work()
        world.later(seconds=5)
    assert report.of_flow(world.runtime.ledger, "students").by_state == {"done": 10}


def test_resync_since_never_moves_the_cursor_forward(world):
    world.source.page_size = 1
    for n in range(1, poll.PAGES_PER_TURN + 3):
        world.source.edit(str(n), ID=str(n), NAME="Анна")
    world.poll()  # the first load, interrupted after PAGES_PER_TURN
    resync.resync(world.runtime, "students", Choice(since=START + timedelta(hours=1)))
    world.later(hours=2)
    world.run()
    assert len(world.target.held) == poll.PAGES_PER_TURN + 2


def test_a_contact_edited_after_the_sources_clock_was_set_back_is_not_older_news(world):
    world.source.clock += timedelta(minutes=10)  # the portal's clock is fast
    world.source.edit("1", ID="1", NAME="Анна")
    world.run()
    world.source.clock -= timedelta(minutes=10)  # and is corrected
    world.later(minutes=1)
    world.source.edit("1", NAME="Мария")
    world.run()
    world.later(minutes=1)
    world.run()
    assert world.target.held["1"]["name"] == "Мария"


def test_a_clock_that_was_set_back_before_a_long_pause_loses_nothing(world):
    world.source.clock += timedelta(minutes=10)
    world.run()
    world.source.clock -= timedelta(minutes=10)
    world.later(minutes=1)
    world.source.edit("1", ID="1", NAME="Анна")
    world.later(minutes=30)  # paused, or the workers were away
    world.run()
    assert "1" in world.target.held


def test_content_that_goes_back_after_a_lost_update_and_a_refused_one_is_written(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.run()
    world.source.edit("1", NAME="Мария")
    world.poll()
    world.target.lost_answers.append(InDoubt("no answer"))
    world.work()  # the target holds Мария, we do not know
    world.source.edit("1", NAME="Плохая")
    world.later(minutes=2)
    world.poll()
    world.target.errors.append(Rejected("400", told="нет"))
    world.work()
    world.source.edit("1", NAME="Анна")
    world.later(minutes=2)
    world.run()
    assert world.record("1").state == "done"
    assert world.target.held["1"]["name"] == "Анна"


def test_a_note_in_flight_does_not_outlive_the_text_that_replaces_it(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.run()
    assert world.source.notes["1"] == "Успешно"
    world.later(minutes=1)
    world.source.edit("1", NAME="")
    world.poll()
    sync_one(world)  # rejected: its note is due
    shown = world.source.write_notes

    def slow(code, batch):
        world.source.write_notes = shown
        world.source.edit("1", NAME="Мария")  # meanwhile the manager corrects it
        world.poll()
        sync_one(world)
        return shown(code, batch)

    world.source.write_notes = slow
    world.work()
    world.later(hours=1)
    world.run()
    assert world.record("1").state == "done"
    assert world.source.notes["1"] == "Успешно"


def test_a_probe_that_passes_does_not_end_the_operators_pause(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()
    world.target.errors.append(Refused("401"))
    world.work()
    world.later(seconds=31)
    ledger = world.runtime.ledger
    world.connectors.target.probe = lambda: pauses.pause(ledger, "students", reason="holidays")
    upkeep.upkeep(world.runtime)
    assert report.of_flow(ledger, "students").paused_by == "operator"


def test_a_database_that_is_away_for_a_moment_parks_nothing(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()
    ledger, write = world.runtime.ledger, world.runtime.ledger.write

    def find(key):
        def away():
            ledger.write = write
            raise OperationalError("UPDATE", {}, Exception("server closed the connection"))

        ledger.write = away  # between find and the intent

    world.target.find = find
    world.work()
    assert world.record("1").state != "parked"


def test_drain_waits_for_no_record_of_a_paused_flow(world):
    for n in "123":
        world.source.edit(n, ID=n, NAME="Анна")
    world.poll()
    world.target.errors.append(Refused("401"))
    world.work()
    world.later(hours=1)
    assert report.unfinished_soon(world.runtime.ledger, "students", within=drain.SOON) == 0


def drained(world, watch=lambda _: None):
    sent = []

    class App:
        def send_task(self, name, args):
            sent.append(args)
            poll.poll(world.runtime, args[0], force=True)

    return drain.drain(world.runtime, App(), watch=watch, mend=lambda: None), sent


def test_drain_polls_although_an_earlier_poll_had_failed(world):
    world.source.errors.append(Transient("portal down"))
    world.poll()
    world.source.edit("1", ID="1", NAME="Анна")
    result, sent = drained(world, watch=lambda _: world.work())
    assert sent
    assert result.is_clean


def test_drain_reports_how_it_ended_and_not_the_moment_before(world):
    world.source.edit("1", ID="1", NAME="Анна")
    hints = world.runtime.publisher.hints
    result, _ = drained(world, watch=lambda _: world.work() if hints else None)
    assert result.is_clean, result.reports


def test_resync_of_all_does_not_put_a_fresh_change_behind_the_backlog(world):
    for n in range(1, 21):
        world.source.edit(str(n), ID=str(n), NAME="Анна")
    world.run()
    world.later(minutes=1)
    world.connectors.target.room = 0  # the fresh change has to wait a moment
    world.source.edit("20", NAME="Мария")
    world.poll()
    resync.resync(world.runtime, "students", Choice())
    with world.runtime.ledger.read() as connection:
        row = connection.execute(select(table.c.state, table.c.priority).where(table.c.source_id == "20")).one()
    assert tuple(row) == ("pending", 0)


@pytest.mark.parametrize("status", ["\ud800", "a\0b"])
def test_a_hostile_status_text_does_not_end_polling(world, status):
    world.source.edit("1", ID="1", NAME="Анна")
    world.source.notes["1"] = status
    world.run()
    assert world.record("1").state == "done"


def test_a_key_of_a_former_ledger_does_not_block_a_record(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.runtime.keys.hold("students", "1", fingerprint({"key": "1", "name": "Анна"}), fence=9)
    world.run()
    for _ in range(10):
        world.later(minutes=5)
        upkeep.upkeep(world.runtime)
        world.work()
    assert world.record("1").state == "done"


def test_a_second_attempt_in_the_same_process_keeps_its_lease_when_the_first_ends(world):
    with world.runtime.holdings.record(1):
        with world.runtime.holdings.record(1):
            pass
        assert 1 in world.runtime.holdings.now().records


def test_a_resync_during_the_attempt_delivers_again(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()

    def ask():
        world.target.during_write = None
        resync.resync(world.runtime, "students", Choice())

    world.target.during_write = ask
    world.work()
    assert [verb for verb, _ in world.target.calls] == ["find", "create", "update"]


def test_a_target_that_answers_reads_and_refuses_writes_is_not_hammered(world, caplog):
    for n in range(1, 21):
        world.source.edit(str(n), ID=str(n), NAME="Анна")
    world.poll()

    def create(payload):
        world.target.calls.append(("create", payload["key"]))
        raise Refused("403")

    world.target.create = create
    for _ in range(120):  # an hour
        world.work()
        world.later(seconds=31)
        upkeep.upkeep(world.runtime)
    alerts = [record for record in caplog.records if getattr(record, "alert", False)]
    creates = [verb for verb, _ in world.target.calls if verb == "create"]
    assert len(alerts) == 1
    assert len(creates) <= 10


def test_innocents_are_not_parked_with_the_poison_of_their_worker(world):
    """Record 1 kills its process as soon as it is claimed; the others would take a second each."""
    for n in range(1, 11):
        world.source.edit(str(n), ID=str(n), NAME="Анна")
    world.poll()
    for _ in range(3):
        for kind, record_id in list(world.runtime.publisher.hints):
            if kind == "sync":
                lease = timedelta(seconds=15)
                records.claim(world.runtime.ledger, record_id, flows_known=["students"], owner="dead", lease=lease)
        world.runtime.publisher.hints.clear()
        world.later(seconds=16)
        upkeep.upkeep(world.runtime)
        world.later(seconds=8)
        upkeep.tick(world.runtime)
    assert report.of_flow(world.runtime.ledger, "students").by_state.get("parked", 0) <= 1


def test_status_tells_days(world):
    flow = report.of_flow(world.runtime.ledger, "students")
    late = replace(flow, due=1, oldest_due=timedelta(days=2, seconds=61))
    assert "61 s" not in " ".join(advice([late]))


def test_a_note_of_an_expired_lease_does_not_overwrite_a_newer_one(world):
    world.source.edit("1", ID="1", NAME="")
    world.poll()
    kind, a = world.runtime.publisher.hints.popleft()
    sync.sync(world.runtime, a)
    shown = world.source.write_notes

    def slow(code, batch):  # waits its turn in the coalescer behind two slow batches
        world.source.write_notes = shown
        world.later(seconds=181)
        world.source.edit("1", NAME="Анна")
        world.poll()
        world.work()
        assert world.source.notes == {"1": "Успешно"}
        return shown(code, batch)

    world.source.write_notes = slow
    world.work()
    world.later(hours=1)
    world.run()
    assert world.source.notes == {"1": "Успешно"}


def test_suspects_follow_one_another_without_waiting_for_a_tick(world):
    for number in "123":
        world.source.edit(number, ID=number, NAME="Анна")
    world.poll()
    world.runtime.publisher.hints.clear()
    with world.runtime.ledger.write() as connection:
        connection.execute(update(table).values(state="pending", crashes=2))
    dispatch.dispatch(world.runtime, "students")
    alone = []
    while world.runtime.publisher.hints:
        alone.append(len(world.runtime.publisher.hints))
        world.take(*world.runtime.publisher.hints.popleft())
    assert alone == [1, 1, 1]
    assert set(world.target.held) == {"1", "2", "3"}


def test_a_lost_hint_is_sent_again_though_others_wait(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()
    lost = world.runtime.publisher.hints.popleft()
    world.runtime.publisher.hints.append(("sync", 999))
    world.later(seconds=16)
    dispatch.publish_lost_hints(world.runtime, "students")
    assert lost in world.runtime.publisher.hints


def test_slow_workers_park_no_record(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()

    def sleep():
        world.later(seconds=20)
        upkeep.upkeep(world.runtime)

    world.target.during_write = sleep
    for _ in range(4):
        sync_one(world)
        world.later(minutes=1)
        upkeep.tick(world.runtime)
    world.target.during_write = None
    world.work()
    assert world.record("1").state == "done"
    assert "parked" not in world.events("1")


def test_a_parked_record_whose_last_worker_turns_out_to_be_alive_goes_on(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()
    with world.runtime.ledger.write() as connection:
        connection.execute(update(table).values(crashes=2))

    def sleep():
        world.target.during_write = None
        world.later(seconds=20)
        upkeep.upkeep(world.runtime)
        assert world.record("1").state == "parked"

    world.target.during_write = sleep
    sync_one(world)
    assert world.record("1").state == "pending"
    world.later(minutes=1)
    world.work()
    assert world.record("1").state == "done"


def read_before_an_edit(world, method, *, seconds):
    """What the source shows to this call is stored only after an edit was seen and delivered by others."""
    ask = getattr(world.source, method)

    def slow(*args):
        setattr(world.source, method, ask)
        answer = ask(*args)
        world.later(seconds=seconds)
        world.source.edit("1", NAME="Мария")
        look.hint(world.runtime.redis, "students", ["1"])
        look.look(world.runtime, "students")
        world.work()
        return answer

    setattr(world.source, method, slow)


@pytest.mark.parametrize("seconds", [0, 2, 10])
@pytest.mark.parametrize("method", ["page", "read"])
def test_what_was_read_before_an_edit_does_not_undo_it(world, method, seconds):
    world.source.edit("1", ID="1", NAME="Анна")
    written = []
    world.target.during_write = lambda: written.append(world.target.calls[-1][0])
    read_before_an_edit(world, method, seconds=seconds)
    if method == "read":
        look.hint(world.runtime.redis, "students", ["1"])
        look.look(world.runtime, "students")
        world.work()
    world.run()
    assert world.target.held["1"]["name"] == "Мария"
    assert written == ["create"]


def test_a_note_whose_answer_was_lost_does_not_stand_when_the_record_is_mended(world):
    world.source.edit("1", ID="1", NAME="Анна")
    world.run()
    world.later(minutes=3)
    world.source.edit("1", NAME="Мария")
    write_notes = world.source.write_notes

    def lost(code, batch):
        world.source.write_notes = write_notes
        write_notes(code, batch)
        return [InDoubt("no answer")] * len(batch)

    world.source.write_notes = lost
    world.target.errors.append(Rejected("400", told="нет"))
    world.run()
    assert world.source.notes["1"] == "нет"
    world.source.edit("1", NAME="Мария Ивановна")
    world.run()
    world.later(hours=7)
    upkeep.upkeep(world.runtime)
    world.run()
    assert world.record("1").state == "done"
    assert world.source.notes["1"] == "Успешно"


def test_an_intent_that_took_too_long_to_write_down_is_followed_by_nothing(world, monkeypatch):
    world.source.edit("1", ID="1", NAME="Анна")
    monkeypatch.setattr(sync, "FRESH_INTENT", -1.0)
    world.poll()
    sync_one(world)
    monkeypatch.undo()
    assert world.target.calls == [("find", "1")]
    assert world.record("1").state == "pending"
    world.later(minutes=1)
    world.work()
    assert world.record("1").state == "done"
