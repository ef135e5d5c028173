"""Two flows that carry the same people both ways: links, echoes, and who wins when both sides change at once."""

import random
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from connectors.base import Found, Page, Row, WriteClass
from connectors.errors import InDoubt
from mappings.outcome import Mapped
from tasks import parents, resync
from tasks.flow import Parent, Twin
from tasks.ledger import pauses, report
from tasks.ledger.tables import history, records
from tasks.resync import Choice
from tests import siblings
from tests.siblings import START, MemoryConnector, World

HOME, AWAY = "erp to crm", "crm to erp"


@dataclass
class System:
    """A table of people, each with the other system's id if that is known; read as a source, written as a target."""

    prefix: str
    clock: datetime = START
    rows: dict[str, Row] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    lost_answers: deque = field(default_factory=deque)
    while_writing: deque = field(default_factory=deque)
    finds_by_key: bool = True
    write_class: WriteClass = WriteClass.CREATE_AND_FIND
    updates: bool = True
    settle: timedelta = timedelta(0)

    def edit(self, id_, name, other=None):
        """What a person does; returns the id."""
        old = self.rows.get(id_)
        fields = {"ID": id_, "NAME": name, "OTHER": other or (old.fields["OTHER"] if old else None)}
        self.rows[id_] = Row(id_, fields, self.clock, old.created if old else self.clock)
        return id_

    def add(self, name, other=None):
        return self.edit(f"{self.prefix}{len(self.rows) + 1}", name, other)

    def names(self):
        return {id_: row.fields["NAME"] for id_, row in self.rows.items()}

    def page(self, window, fields):
        changed = [row for row in self.rows.values() if row.modified >= window.modified_since]
        return Page(tuple(changed), last=True, server_time=self.clock, last_id=None)

    @contextmanager
    def unread(self):
        """Polls see nothing of it."""
        self.page = lambda window, fields: Page((), last=True, server_time=self.clock, last_id=None)
        yield
        del self.page

    def read(self, ids, fields, conditions):
        return tuple(self.rows[id_] for id_ in ids if id_ in self.rows)

    def find(self, key):
        found = [row.id for row in self.rows.values() if row.fields["OTHER"] == key]
        assert len(found) < 2, "doubled"
        return Found(found[0], {}) if found and self.finds_by_key else None

    def match(self, payload):
        same = [
            row.id for row in self.rows.values() if not row.fields["OTHER"] and row.fields["NAME"] == payload["name"]
        ]
        return same[0] if same and self.finds_by_key else None

    def create(self, payload):
        return self._written(lambda: self.add(payload["name"], payload["key"]))

    def update(self, id_, payload):
        return self._written(lambda: self.edit(id_, payload["name"], payload["key"])) if id_ in self.rows else None

    def _written(self, write):
        if self.while_writing:
            self.while_writing.popleft()()
        id_ = write()
        self.writes.append(id_)
        if self.lost_answers and (error := self.lost_answers.popleft()):
            raise error
        return id_


class PersonMapping(siblings.NameMapping):
    fields = ("ID", "NAME", "OTHER")

    def map(self, raw, *, today):
        return Mapped({"key": raw["ID"], "name": raw["NAME"], "other": raw["OTHER"]})

    def common(self, raw):
        return {"name": raw["NAME"]}


@dataclass
class Both:
    """Two systems and the flows between them, which share one runtime."""

    erp: System
    crm: System
    home: World
    away: World

    def run(self):
        for world in (self.home, self.away):
            world.poll()
        self.home.work()

    def later(self, **amount):
        self.home.runtime.ledger.ahead += timedelta(**amount)
        for system in (self.erp, self.crm):
            system.clock += timedelta(**amount)

    def settle(self):
        for _ in range(6):
            self.run()
            self.later(minutes=2)

    def assert_alike(self):
        assert sorted(self.erp.names().values()) == sorted(self.crm.names().values())
        links = {(row.id, row.fields["OTHER"]) for row in self.crm.rows.values() if row.fields["OTHER"]}
        assert len({other for _, other in links}) == len(links), "doubled"
        for crm_id, erp_id in links:
            assert self.erp.names()[erp_id] == self.crm.names()[crm_id]


@pytest.fixture
def both(ledger, redis):
    erp, crm = System("e"), System("c")
    sides = MemoryConnector(erp), MemoryConnector(crm)
    home = _flow(HOME, AWAY, *sides, leads=True)
    away = _flow(AWAY, HOME, *reversed(sides), leads=False)
    runtime = siblings.runtime_of(ledger, redis, {HOME: home, AWAY: away})
    worlds = [World(runtime, flow.source, flow.target, SimpleNamespace(), flow) for flow in (home, away)]
    return Both(erp, crm, *worlds)


def _flow(name, twin, source, target, *, leads):
    twins = Twin(twin, leads=leads, field="other", nameless=None if leads else "amo:")
    kind = replace(siblings.KIND, name=name, twin=twins, status_types=())
    flow = siblings.flow_of(name, PersonMapping(), source, target, kind=kind, twin_flow=twin)
    return replace(flow, status_field=None)


def test_what_one_flow_brought_the_other_does_not_bring_back(both):
    both.erp.add("Анна")
    both.crm.add("Борис")
    both.settle()
    both.assert_alike()
    assert (both.crm.writes, both.erp.writes) == (["c2", "c1"], ["e2"]), "c1 is told who it is in 1C"
    assert both.away.events("c2") == ["seen", "echo"]
    both.settle()
    assert (both.crm.writes, both.erp.writes) == (["c2", "c1"], ["e2"])


def test_an_edit_travels_and_does_not_bounce(both):
    both.erp.add("Анна")
    both.settle()
    both.crm.edit("c1", "Анна Петрова")
    both.settle()
    both.erp.edit("e1", "Анна Сидорова")
    both.settle()
    both.assert_alike()
    assert (both.crm.writes, both.erp.writes) == (["c1", "c1"], ["e1"])


def test_a_name_that_goes_there_and_back_travels_each_time(both):
    both.erp.add("Анна")
    both.settle()
    for name in ("Анна Петрова", "Анна", "Анна Петрова"):
        both.crm.edit("c1", name)
        both.settle()
        assert both.erp.names() == {"e1": name}
    both.assert_alike()


def test_an_edit_that_is_taken_back_before_anybody_saw_it_travels(both):
    both.erp.add("Анна")
    both.settle()
    both.erp.edit("e1", "Анна из 1С")
    with both.crm.unread():
        both.home.poll()
        both.home.work()
    assert both.crm.names() == {"c1": "Анна из 1С"}
    both.crm.edit("c1", "Анна")
    both.settle()
    assert set(both.erp.names().values()) == set(both.crm.names().values()) == {"Анна"}


@pytest.mark.parametrize("leads", [True, False])
def test_an_edit_that_is_taken_back_before_its_echo_was_worked_off_travels(both, leads):
    both.erp.add("Анна")
    both.settle()
    ours, theirs = (both.erp, both.crm) if leads else (both.crm, both.erp)
    flow, twin = (both.home, both.away) if leads else (both.away, both.home)
    ours.edit(next(iter(ours.rows)), "Анна Петрова")
    with theirs.unread():
        flow.poll()
        flow.work()
    for name in ("Анна Петрова", "Анна"):
        theirs.edit(next(iter(theirs.rows)), name)
        twin.poll()
    both.settle()
    assert set(both.erp.names().values()) == set(both.crm.names().values()) == {"Анна"}


def test_what_1c_says_once_more_does_not_undo_an_edit(both):
    both.erp.add("Анна")
    both.settle()
    old = both.erp.rows["e1"]
    both.crm.edit("c1", "Анна Петрова")
    both.away.poll()
    both.away.work()
    now, both.erp.rows["e1"] = both.erp.rows["e1"], old
    both.home.poll()
    both.home.work()
    both.erp.rows["e1"] = now
    both.settle()
    assert set(both.erp.names().values()) == set(both.crm.names().values()) == {"Анна Петрова"}


def test_of_two_edits_at_once_that_of_the_leading_flow_wins(both):
    both.erp.add("Анна")
    both.settle()
    both.erp.edit("e1", "Анна из 1С")
    both.crm.edit("c1", "Анна из amoCRM")
    both.settle()
    assert set(both.erp.names().values()) == set(both.crm.names().values()) == {"Анна из 1С"}


def test_an_edit_on_the_other_side_while_one_is_being_written_is_not_lost_and_settles(both):
    both.erp.add("Анна")
    both.settle()
    both.erp.while_writing.append(lambda: both.erp.edit("e1", "Анна из 1С"))
    both.crm.edit("c1", "Анна из amoCRM")
    both.settle()
    both.assert_alike()


def linked(both):
    """One person of the CRM, whom both systems know by each other's id."""
    both.crm.add("Анна")
    both.settle()
    assert both.crm.rows["c1"].fields["OTHER"] == "e1"


def test_a_copy_in_the_crm_is_not_taken_for_its_original(both):
    linked(both)
    both.crm.add("Анна, копия", other="e1")
    both.settle()
    assert both.erp.names() == {"e1": "Анна"}
    copy = both.away.record("c2")
    assert (copy.state, copy.cause) == ("rejected", "rejected")
    del both.crm.rows["c2"]
    both.crm.edit("c2", "Борис")
    both.settle()
    assert both.erp.names() == {"e1": "Анна", "e2": "Борис"}
    both.assert_alike()


def test_who_was_merged_goes_on_as_who_is_left(both):
    linked(both)
    del both.crm.rows["c1"]
    both.crm.edit("c2", "Анна Петрова", other="e1")
    both.settle()
    assert both.erp.names() == {"e1": "Анна Петрова"}


def test_an_id_that_1c_does_not_know_itself_by_is_never_sent_there(both):
    both.crm.add("Анна")
    both.crm.edit("c1", "Анна", other="amo:c1")
    both.erp.edit("amo:c1", "Анна", other="c1")
    both.home.poll()
    both.home.work()
    del both.erp.rows["amo:c1"]
    both.crm.edit("c1", "Анна Петрова")
    both.away.poll()
    both.away.work()
    assert both.erp.names() == {"e1": "Анна Петрова"}
    assert both.away.record("c1").target_id == "e1"


def test_a_resync_brings_what_the_other_system_has_lost(both):
    linked(both)
    both.erp.rows["e1"] = replace(both.erp.rows["e1"], fields={"ID": "e1", "NAME": "старое", "OTHER": "c1"})
    resync.resync(both.home.runtime, AWAY, Choice(ids=("c1",)))
    both.away.work()
    assert both.erp.names() == {"e1": "Анна"}


def test_a_resync_brings_also_what_the_other_system_had_told_us_itself(both):
    both.erp.add("Анна")
    both.settle()
    assert both.away.events("c1") == ["seen", "echo"]
    with both.erp.unread():
        both.erp.rows["e1"] = replace(both.erp.rows["e1"], fields={"ID": "e1", "NAME": "старое", "OTHER": "c1"})
        resync.resync(both.home.runtime, AWAY, Choice(ids=("c1",)))
        both.away.work()
    assert both.erp.names() == {"e1": "Анна"}


def due_in(both, world, source_id):
    query = select(records.c.due_at).where(records.c.flow == world.flow.name, records.c.source_id == source_id)
    with both.home.runtime.ledger.read() as connection:
        return (connection.execute(query).scalar_one() - both.home.runtime.ledger.now(connection)).total_seconds()


def test_while_the_leading_flow_is_paused_the_other_one_does_not_ask_again_and_again(both):
    linked(both)
    both.erp.edit("e1", "Анна из 1С")
    both.home.poll()
    pauses.pause(both.home.runtime.ledger, HOME, reason="holiday")
    both.crm.edit("c1", "Анна из amoCRM")
    both.away.poll()
    both.away.work()
    assert due_in(both, both.away, "c1") > 50
    pauses.resume(both.home.runtime.ledger, HOME)
    both.settle()
    assert set(both.erp.names().values()) == set(both.crm.names().values()) == {"Анна из 1С"}


def test_what_nobody_will_find_out_holds_nobody_up(both):
    both.erp.write_class, both.erp.finds_by_key = WriteClass.CREATE_BLIND, False
    both.erp.lost_answers.append(InDoubt("no answer"))
    both.crm.add("Анна")
    with both.erp.unread():
        both.away.poll()
        both.away.work()
        del both.erp.rows["e1"]
        both.later(minutes=5)
        both.away.work()
    assert both.away.record("c1").state == "parked"
    both.erp.add("Анна")
    both.home.poll()
    both.home.work()
    assert both.home.record("e1").state == "done"


def test_a_creation_whose_answer_was_lost_is_not_doubled_by_its_echo(both):
    both.erp.finds_by_key = False
    both.erp.write_class = WriteClass.UPSERT
    both.crm.finds_by_key = False
    both.erp.lost_answers.append(None)
    both.crm.add("Борис")
    both.away.poll()
    hint = both.away.runtime.publisher.hints.popleft()

    def echoed():
        """1C tells of what is just being written before its writer has had an answer."""
        both.erp.add("Борис", "c1")
        both.home.poll()
        both.erp.rows.pop("e1")

    both.erp.while_writing.append(echoed)
    both.away.take(*hint)
    both.settle()
    assert list(both.crm.names()) == ["c1"]


def test_a_lost_answer_on_the_way_back_doubles_nobody(both):
    both.crm.lost_answers.append(InDoubt("no answer"))
    both.erp.add("Анна")
    both.settle()
    both.assert_alike()
    assert list(both.crm.names()) == ["c1"]
    assert {both.home.record("e1").state, both.away.record("c1").state} == {"done"}


@pytest.mark.parametrize("seed", range(2))
def test_a_day_of_edits_on_both_sides_settles_and_nothing_bounces(both, seed):
    dice = random.Random(seed)
    for hour in range(24):
        for _ in range(dice.randrange(4)):
            side = dice.choice((both.erp, both.crm))
            if not side.rows or dice.random() < 0.3:
                side.add(f"Новый {hour}.{dice.random()}")
            else:
                side.edit(dice.choice(list(side.rows)), f"Имя {hour}.{dice.random()}")
            if dice.random() < 0.2:
                dice.choice((both.erp, both.crm)).lost_answers.append(InDoubt("no answer"))
            if dice.random() < 0.5:
                dice.choice((both.home, both.away)).poll()
        both.later(minutes=dice.randrange(1, 60))
        if dice.random() < 0.7:
            both.run()
    both.settle()
    both.assert_alike()
    written = len(both.erp.writes) + len(both.crm.writes)
    both.settle()
    assert len(both.erp.writes) + len(both.crm.writes) == written
    states = [report.of_flow(both.home.runtime.ledger, name).by_state for name in (HOME, AWAY)]
    assert all(set(by_state) == {"done"} for by_state in states)


def test_who_waits_for_what_the_other_flow_delivers_is_let_go_at_once(both):
    """An event names an order by 1C's id, which is being made of a lead at this moment."""
    child = {"flow": "events", "source_id": "9", "snapshot": {}, "content_hash": "", "version": 1, "modified": START}
    waits = {"state": "waiting", "priority": 0, "parent_flow": HOME, "parent_id": "e1"}
    with both.home.runtime.ledger.write() as connection:
        connection.execute(records.insert().values(child | waits))
    both.crm.add("Борис")
    with both.erp.unread():
        both.away.poll()
        both.away.work()
    with both.home.runtime.ledger.read() as connection:
        query = select(records.c.state).where(records.c.flow == "events")
        assert connection.execute(query).scalar_one() == "pending"


def test_a_child_finds_the_parent_that_the_other_flow_brought_from_there(both):
    both.crm.add("Борис")
    both.settle()
    flow = replace(both.home.flow, kind=replace(both.home.flow.kind, parents=(Parent(HOME, "owner", "клиент", "id"),)))
    flow = replace(flow, parent_flows={HOME: HOME})
    payload = {"owner": "e1", "id": None}
    assert parents.linked(both.home.runtime, flow, "x", payload)["id"] == "c1"
    with both.home.runtime.ledger.write() as connection:  # 1C itself never told of it
        connection.execute(history.delete())
        connection.execute(records.delete().where(records.c.flow == HOME))
    assert parents.linked(both.home.runtime, flow, "x", payload)["id"] == "c1"
