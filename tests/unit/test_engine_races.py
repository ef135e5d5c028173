"""Races on PostgreSQL: two real connections, interleaved by hand at a chosen statement."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text

from tasks import dispatch, resync
from tasks.ledger import cursors, notes, records, window
from tasks.resync import Choice
from tests import siblings

LEASE = timedelta(seconds=15)
NOW = {"lease": LEASE, "asked_at": datetime(2100, 1, 1, tzinfo=UTC)}


@pytest.fixture
def world(postgres_ledger, redis):
    with postgres_ledger.write() as connection:
        connection.execute(text("TRUNCATE flows, records, history RESTART IDENTITY CASCADE"))
    postgres_ledger.ahead = timedelta()
    return siblings.build(postgres_ledger, redis, window=10)


class Pause:
    """Stops a thread just after its first statement that contains `text`, until `go`."""

    def __init__(self, engine, thread_name, text):
        self.reached, self.go = threading.Event(), threading.Event()
        self.name, self.text = thread_name, text
        event.listen(engine, "after_cursor_execute", self.after)
        self.engine = engine

    def after(self, conn, cursor, statement, *_):
        if threading.current_thread().name == self.name and self.text in statement and not self.reached.is_set():
            self.reached.set()
            self.go.wait(5)

    def off(self):
        event.remove(self.engine, "after_cursor_execute", self.after)


def run(name, function, errors):
    def body():
        try:
            function()
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not be
            errors.append((name, error))

    thread = threading.Thread(target=body, name=name)
    thread.start()
    return thread


def second_one_waits(ledger):
    """Until the other transaction is held up by a lock, or has nothing to wait for and is through."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    for _ in range(100):
        with ledger.engine.connect() as connection:
            if connection.execute(waiting).scalar():
                return
        time.sleep(0.005)


def seen(world, *ids):
    rows = [world.source.rows[i] for i in ids]
    return [world.flow.seen(row) for row in rows]


def test_the_keeper_and_a_page_do_not_deadlock(world):
    ledger = world.runtime.ledger
    world.source.edit("1", ID="1", NAME="Анна")
    world.poll()
    (_, record_id) = world.runtime.publisher.hints.popleft()
    records.claim(ledger, record_id, flows_known=["students"], owner="test", lease=LEASE)
    turn = cursors.take_turn(ledger, "students", owner="test", lease=LEASE, every=LEASE, force=True)
    errors = []
    stop = Pause(ledger.engine, "keeper", "FROM flows")
    keeper = run(
        "keeper",
        lambda: records.renew(ledger, owner="test", lease=LEASE, record_ids=[record_id], turns=["students"]),
        errors,
    )
    stop.reached.wait(5)
    poller = run(
        "poller",
        lambda: cursors.store_page(ledger, turn, seen(world, "1"), turn.position, **NOW),
        errors,
    )
    second_one_waits(ledger)
    stop.go.set()
    keeper.join(), poller.join()
    stop.off()
    assert errors == []


def test_written_notes_and_a_page_do_not_deadlock(world):
    ledger = world.runtime.ledger
    for n in "12":
        world.source.edit(n, ID=n, NAME="Анна")
    world.poll()
    hints = list(world.runtime.publisher.hints)
    for kind, record_id in reversed(hints):  # 2 finishes first, so its note is the older one
        if kind == "sync":
            world.take(kind, record_id)
    due = notes.claim(ledger, "students", limit=50, lease=LEASE)
    due = sorted(due, key=lambda n: -n.record_id)  # RETURNING promises no order
    turn = cursors.take_turn(ledger, "students", owner="test", lease=LEASE, every=LEASE, force=True)
    errors = []
    stop = Pause(ledger.engine, "notes", "UPDATE records")
    writer = run("notes", lambda: notes.written(ledger, due), errors)
    stop.reached.wait(5)
    poller = run(
        "poller",
        lambda: cursors.store_page(ledger, turn, seen(world, "1", "2"), turn.position, **NOW),
        errors,
    )
    second_one_waits(ledger)
    stop.go.set()
    writer.join(), poller.join()
    stop.off()
    assert errors == []


def test_a_resync_by_id_and_a_poll_take_in_the_same_new_contact(world):
    ledger = world.runtime.ledger
    world.source.edit("7", ID="7", NAME="Анна")
    errors = []
    stop = Pause(ledger.engine, "resync", "FROM records")
    first = run("resync", lambda: resync.resync(world.runtime, "students", Choice(ids=("7",))), errors)
    stop.reached.wait(5)
    second = run("poll", world.poll, errors)
    second_one_waits(ledger)
    second.join(1)
    stop.go.set()
    first.join(), second.join()
    stop.off()
    assert errors == []


def test_two_dispatchers_keep_the_window(world):
    ledger = world.runtime.ledger
    world.source.page_size = 50
    for n in range(1, 51):
        world.source.edit(str(n), ID=str(n), NAME="Анна")
    world.connectors.target.room = 0
    world.poll()
    world.connectors.target.room = 1000
    errors = []
    stop = Pause(ledger.engine, "one", "UPDATE records")
    one = run("one", lambda: dispatch.dispatch(world.runtime, "students"), errors)
    stop.reached.wait(5)
    two = run("two", lambda: dispatch.dispatch(world.runtime, "students"), errors)
    second_one_waits(ledger)
    stop.go.set()
    one.join(), two.join()
    stop.off()
    with ledger.read() as connection:
        assert window.in_flight(connection, "students") <= 10
