"""Twins: what was added, what only one side knows, and what comes back of our own doing."""

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from connectors.base import Found, Page, Row, WriteClass
from connectors.errors import InDoubt
from mappings.outcome import Mapped
from tasks.flow import Twin
from tests import siblings
from tests.siblings import START, MemoryConnector, World

HOME, AWAY = "erp to crm", "crm to erp"
CODES = ("ID", "NAME", "PHONE", "CITY", "OTHER")


@dataclass
class System:
    """People with a name and a phone; a city is known to whoever was told of it. `fills_in` is entered by itself."""

    prefix: str
    clock: datetime = START
    rows: dict[str, Row] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    fills_in: dict[str, str] = field(default_factory=dict)
    lost_answers: deque = field(default_factory=deque)
    write_class: WriteClass = WriteClass.CREATE_AND_FIND
    updates: bool = True
    settle: timedelta = timedelta(0)

    def edit(self, id_, **values):
        old = self.rows.get(id_)
        blank = dict.fromkeys(CODES) | self.fills_in | {"ID": id_}
        self.rows[id_] = Row(id_, (old.fields if old else blank) | values, self.clock, self.clock)
        return id_

    def page(self, window, fields):
        changed = [row for row in self.rows.values() if row.modified >= window.modified_since]
        return Page(tuple(changed), last=True, server_time=self.clock, last_id=None)

    def read(self, ids, fields, conditions):
        return tuple(self.rows[id_] for id_ in ids if id_ in self.rows)

    def find(self, key):
        found = [row.id for row in self.rows.values() if row.fields["OTHER"] == key]
        return Found(found[0], {}) if found else None

    def match(self, payload):
        return None

    def create(self, payload):
        return self.update(f"{self.prefix}{len(self.rows) + 1}", payload)

    def update(self, id_, payload):
        self.writes.append(id_)
        self._write(id_, payload)
        if self.lost_answers:
            raise self.lost_answers.popleft()
        return id_

    def _write(self, id_, payload):
        told = {"NAME": payload["name"], "PHONE": payload.get("phone"), "CITY": payload.get("city")}
        self.edit(id_, OTHER=payload["key"], **{code: value for code, value in told.items() if value})


class Mapping(siblings.NameMapping):
    fields = CODES

    def map(self, raw, *, today):
        shown = {"phone": raw["PHONE"], "city": raw["CITY"], "other": raw["OTHER"]}
        return Mapped({"key": raw["ID"], "name": raw["NAME"]} | {name: value for name, value in shown.items() if value})

    def common(self, raw):
        phone = (raw["PHONE"] or "").partition(" ")[0]
        return {name: value for name, value in {"name": raw["NAME"], "phone": phone}.items() if value}


@pytest.fixture
def both(ledger, redis):
    erp, crm = System("e"), System("c", fills_in={"PHONE": "0"})
    sides = MemoryConnector(erp), MemoryConnector(crm)
    home, away = _flow(HOME, AWAY, *sides, leads=True), _flow(AWAY, HOME, *reversed(sides), leads=False)
    runtime = siblings.runtime_of(ledger, redis, {HOME: home, AWAY: away})
    return SimpleNamespace(
        erp=erp,
        crm=crm,
        home=World(runtime, home.source, home.target, SimpleNamespace(), home),
        away=World(runtime, away.source, away.target, SimpleNamespace(), away),
    )


def _flow(name, twin, source, target, *, leads):
    twins = Twin(twin, leads=leads, field="other", spared=() if leads else ("phone",))
    kind = replace(siblings.KIND, name=name, twin=twins, status_types=())
    return replace(siblings.flow_of(name, Mapping(), source, target, kind=kind, twin_flow=twin), status_field=None)


def settle(both):
    for _ in range(5):
        both.home.poll()
        both.away.poll()
        both.home.work()
        both.home.runtime.ledger.ahead += timedelta(minutes=2)
        for system in (both.erp, both.crm):
            system.clock += timedelta(minutes=2)


def value(system, code):
    (row,) = system.rows.values()
    return row.fields[code]


def test_what_the_target_filled_in_by_itself_does_not_come_back(both):
    both.erp.edit("e1", NAME="Анна")
    settle(both)
    assert (both.erp.writes, value(both.erp, "PHONE")) == ([], None)
    both.erp.edit("e1", NAME="Анна Петрова")
    settle(both)
    assert (both.erp.writes, both.crm.writes) == ([], ["c1", "c1"])


def test_what_was_empty_and_is_filled_in_travels(both):
    both.erp.edit("e1", NAME="Анна")
    settle(both)
    both.crm.edit("c1", PHONE="1")
    settle(both)
    assert value(both.erp, "PHONE") == "1"
    assert (both.erp.writes, both.crm.writes) == (["e1"], ["c1"])


def test_a_phone_that_1c_adds_after_an_edit_on_the_other_side_travels(both):
    both.crm.fills_in = {}
    both.erp.edit("e1", NAME="Анна")
    settle(both)
    both.crm.edit("c1", NAME="Анна Петрова")
    settle(both)
    both.erp.edit("e1", PHONE="1")
    settle(both)
    assert value(both.crm, "PHONE") == "1"


@pytest.mark.parametrize("edited", ["erp", "crm"])
def test_what_only_one_side_compares_travels(both, edited):
    both.erp.edit("e1", NAME="Анна")
    settle(both)
    both.crm.edit("c1", NAME="Анна Петрова")
    settle(both)
    getattr(both, edited).edit(f"{edited[0]}1", CITY="Казань")
    settle(both)
    assert value(both.erp, "CITY") == value(both.crm, "CITY") == "Казань"


def test_a_link_that_was_written_back_is_nothing_new(both):
    both.crm.edit("c1", NAME="Анна")
    settle(both)
    both.crm.edit("c1", OTHER="e1")
    settle(both)
    assert both.erp.writes == ["e1"]


def test_what_1c_added_before_it_told_of_somebody_first_travels(both):
    both.crm.edit("c1", NAME="Анна", PHONE=None)
    both.away.poll()
    both.away.work()
    both.erp.edit("e1", PHONE="1")
    settle(both)
    assert value(both.crm, "PHONE") == "1"


def test_a_link_is_nothing_new_although_the_other_side_never_tells_of_it(both):
    both.erp.page = lambda window, fields: Page((), last=True, server_time=both.erp.clock, last_id=None)
    both.crm.edit("c1", NAME="Анна")
    settle(both)
    both.crm.edit("c1", OTHER="e1")
    settle(both)
    assert both.away.events("c1") == ["seen", "created", "changed", "unchanged"]


def test_what_may_have_been_created_is_known_again_by_its_echo_and_not_a_persons_to_look_at(both):
    both.erp.write_class, both.erp.find = WriteClass.CREATE_BLIND, lambda key: None
    both.erp.lost_answers.append(InDoubt("no answer"))
    both.crm.edit("c1", NAME="Анна")
    both.away.poll()
    both.away.work()
    both.home.poll()
    both.home.work()
    settle(both)
    assert list(both.erp.rows) == ["e1"]
    assert both.away.record("c1").state == "done"


def test_what_1c_knows_more_exactly_outlives_an_edit_on_the_other_side(both):
    both.erp.edit("e1", NAME="Анна", PHONE="1 ext. 5")
    settle(both)
    both.crm.edit("c1", PHONE="1")
    settle(both)
    both.crm.edit("c1", NAME="Анна Петрова")
    settle(both)
    assert (value(both.erp, "NAME"), value(both.erp, "PHONE")) == ("Анна Петрова", "1 ext. 5")
    both.crm.edit("c1", PHONE="2")
    settle(both)
    both.crm.edit("c1", PHONE="1")
    settle(both)
    assert value(both.erp, "PHONE") == "1"
