"""Events: every stage of a deal travels, each after the one before, whatever order they come in."""

import random
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from connectors.base import Row, WriteClass
from connectors.errors import InDoubt, Rejected, Transient
from mappings.outcome import Mapped
from tasks import dispatch, resync
from tasks.flow import Stream
from tasks.ledger import intake, report
from tasks.resync import Choice
from tests import siblings
from tests.siblings import START


@dataclass
class HistoryTarget:
    """Keeps every row that is uploaded, and refuses one that is older than the last of its deal."""

    rows: list = field(default_factory=list)
    errors: list = field(default_factory=list)
    write_class = WriteClass.UPSERT
    updates = True
    settle = timedelta(0)
    during_write = None

    def find(self, key):
        return None

    def create(self, payload):
        if self.during_write:
            self.during_write()
        if self.errors and (error := self.errors.pop(0)):
            raise error
        assert all(row["at"] <= payload["at"] for row in self.rows if row["key"] == payload["key"]), "went back"
        self.rows.append(payload)
        return payload["key"]

    def match(self, payload):
        return None

    def update(self, id_, payload):
        return self.create(payload)


class StageMapping(siblings.NameMapping):
    fields = ("ID", "NAME", "STAGE", "AT", "CREATED")

    def map(self, raw, *, today):
        super().map(raw, today=today)
        return Mapped({"key": raw["ID"], "name": raw["NAME"], "stage": raw["STAGE"], "at": raw["AT"]})


KIND = replace(siblings.KIND, name="stages", stream=Stream(at="AT", mark="STAGE", begins="CREATED"), status_types=())


@pytest.fixture
def deals(ledger, redis):
    source, target = siblings.MemorySource(), HistoryTarget()
    sides = siblings.MemoryConnector(source), siblings.MemoryConnector(target)
    flow = replace(siblings.flow_of("stages", StageMapping(), *sides, kind=KIND), status_field=None)
    runtime = siblings.runtime_of(ledger, redis, {"stages": flow})
    return siblings.World(runtime, source, target, SimpleNamespace(source=sides[0], target=sides[1]), flow)


def moment(hour):
    return (START + timedelta(hours=hour)).isoformat()


def event(deal, stage, hour, name="Сделка"):
    fields = {
        "ID": deal,
        "NAME": name,
        "STAGE": stage,
        "AT": None if hour is None else moment(hour),
        "CREATED": moment(0),
    }
    return Row(deal, fields, START + timedelta(hours=hour or 0), START)


def push(deals, *rows, ripens_in=timedelta()):
    flow, ledger = deals.flow, deals.runtime.ledger
    seen = [flow.seen(row) for row in rows]
    with ledger.write() as connection:
        now = ledger.now(connection)
        patient = [replace(one, event=replace(one.event, ripens_in=ripens_in)) for one in seen]
        return intake.take(connection, "stages", patient, now=now, asked_at=now)


def stages(deals, deal="1"):
    return [row["stage"] for row in deals.target.rows if row["key"] == deal]


def test_events_that_come_in_any_order_leave_in_theirs(deals):
    rows = [event(deal, stage, hour) for deal in "123" for hour, stage in enumerate("ABCDE")]
    random.Random(1).shuffle(rows)
    for row in rows:
        push(deals, row)
    deals.work()
    assert [stages(deals, deal) for deal in "123"] == [list("ABCDE")] * 3


def test_the_same_event_again_is_no_work(deals):
    rows = [event("1", stage, hour) for hour, stage in enumerate("AB")]
    push(deals, *rows)
    deals.work()
    assert push(deals, *rows).unchanged == 2
    deals.work()
    assert stages(deals) == ["A", "B"]


def test_an_event_waits_for_the_one_before_it_and_no_other_deal_does(deals):
    deals.target.errors = [Transient("down"), None]
    push(deals, event("1", "A", 0), event("1", "B", 1), event("2", "A", 0))
    deals.work()
    assert (stages(deals, "1"), stages(deals, "2")) == ([], ["A"])
    deals.later(minutes=1)
    deals.work()
    assert stages(deals, "1") == ["A", "B"]


def test_an_earlier_event_that_comes_late_goes_first_if_the_later_one_has_not_left(deals):
    push(deals, event("1", "B", 1))
    push(deals, event("1", "A", 0))
    deals.work()
    assert stages(deals) == ["A", "B"]


def test_an_earlier_event_goes_first_although_the_later_one_is_in_the_queue(deals):
    push(deals, event("1", "B", 1))
    dispatch.dispatch(deals.runtime, "stages")
    assert report.of_flow(deals.runtime.ledger, "stages").by_state == {"queued": 1}
    push(deals, event("1", "A", 0))
    deals.work()
    assert stages(deals) == ["A", "B"]


def test_an_event_waits_for_those_that_arrive_after_it_and_happened_before(deals):
    for stage, hour, pause in (("C", 2, 6), ("A", 0, 3), ("B", 1, 8)):
        push(deals, event("1", stage, hour), ripens_in=timedelta(seconds=10))
        deals.work()
        assert stages(deals) == []
        deals.later(seconds=pause)
    deals.work()
    assert stages(deals) == ["A"]
    deals.later(seconds=3)
    deals.work()
    assert stages(deals) == ["A", "B", "C"]


def test_an_event_older_than_what_the_target_has_is_superseded(deals):
    push(deals, event("1", "B", 1))
    deals.work()
    push(deals, event("1", "A", 0))
    deals.work()
    assert stages(deals) == ["B"]
    assert report.of_flow(deals.runtime.ledger, "stages").by_state == {"done": 1, "skipped": 1}


def test_an_event_that_comes_while_an_earlier_one_is_sent_waits_for_it(deals):
    def come():
        deals.target.during_write = None
        push(deals, event("1", "B", 1))
        assert report.of_flow(deals.runtime.ledger, "stages").by_state == {"running": 1, "waiting": 1}

    deals.target.during_write = come
    push(deals, event("1", "A", 0))
    deals.work()
    assert stages(deals) == ["A", "B"]


def test_an_earlier_event_does_not_overtake_one_whose_answer_was_lost(deals):
    deals.target.settle = timedelta(seconds=60)
    deals.target.errors = [InDoubt("no answer")]
    push(deals, event("1", "B", 1))
    deals.work()
    push(deals, event("1", "A", 0))
    deals.work()
    assert stages(deals) == []
    deals.later(minutes=5)
    deals.work()
    assert stages(deals) == ["B"]


def test_a_refused_event_holds_up_no_later_one(deals):
    deals.target.errors = [Rejected("wrong", told="ошибка")]
    push(deals, event("1", "A", 0), event("1", "B", 1))
    deals.work()
    assert stages(deals) == ["B"]


def test_a_source_without_times_shows_an_event_by_its_mark(deals):
    push(deals, event("1", "A", None))
    push(deals, event("1", "A", None, name="Новое имя"))
    deals.work()
    assert [(row["stage"], row["name"], row["at"]) for row in deals.target.rows] == [("A", "Новое имя", moment(0))]
    for number, stage in enumerate("BAB", 1):
        deals.later(minutes=number)
        row = replace(event("1", stage, None), modified=deals.source.clock)
        push(deals, row)
        deals.work()
    assert stages(deals) == ["A", "B", "A", "B"]
    assert deals.target.rows == sorted(deals.target.rows, key=lambda row: row["at"])


def test_a_changed_event_is_sent_again_and_the_note_says_nothing(deals):
    push(deals, event("1", "A", 0))
    deals.work()
    deals.later(minutes=1)
    push(deals, replace(event("1", "A", 0, name="Новое имя"), modified=deals.source.clock))
    deals.work()
    assert [row["name"] for row in deals.target.rows] == ["Сделка", "Новое имя"]
    assert deals.source.notes == {}
    assert report.of_flow(deals.runtime.ledger, "stages").notes_due == 0


def test_a_resync_sends_the_last_event_again_and_none_before_it(deals):
    push(deals, *(event("1", stage, hour) for hour, stage in enumerate("ABC")))
    deals.work()
    resync.resync(deals.runtime, "stages", Choice())
    deals.work()
    assert stages(deals) == ["A", "B", "C", "C"]
