"""What a record needs of other records' targets, what its source is told of its own, and what nobody can be asked."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from connectors.base import Located, WriteClass
from connectors.errors import InDoubt
from mappings.outcome import Mapped
from tasks import resync
from tasks.flow import Parent, Stream
from tasks.resync import Choice
from tests import siblings
from tests.siblings import KIND, MemoryConnector, MemorySource, MemoryTarget, World

EVENTS = Stream(at="AT", mark="STAGE", begins="CREATED", supersedes=False, same_within=timedelta(days=1))


class Shelf(MemoryTarget):
    """A target that says where a person finds what it holds."""

    def create(self, payload):
        return Located(super().create(payload), link=f"https://erp.example/{payload['key']}")


class OrderMapping(siblings.NameMapping):
    fields = ("ID", "NAME", "CONTACT", "COMPANY")

    def map(self, raw, *, today):
        mapped = super().map(raw, today=today)
        clients = {name: {"id": raw[name.upper()]} for name in ("contact", "company") if raw.get(name.upper())}
        return Mapped({**mapped.payload, **clients})


class Notes(MemorySource):
    """Has places for the target's id and its link."""

    def write_notes(self, code, notes):
        self.told = {note.id: (note.text, note.target_id, note.link) for note in notes}
        return super().write_notes(code, notes)


def world(runtime, flow):
    return World(runtime, flow.source, flow.target, SimpleNamespace(), flow)


@pytest.fixture
def trade(ledger, redis):
    """Contacts, companies, and orders that name one of each by the target's ids."""
    flows = {}
    for name in ("contacts", "companies"):
        sides = MemoryConnector(Notes()), MemoryConnector(Shelf())
        flows[name] = siblings.flow_of(name, siblings.NameMapping(), *sides, kind=replace(KIND, name=name))
    parents = (
        Parent("contacts", field="contact.id", label="контакт", link="contact.id_1c"),
        Parent("companies", field="company.id", label="компания", link="company.id_1c"),
    )
    kind = replace(KIND, name="orders", parents=parents)
    sides = MemoryConnector(Notes()), MemoryConnector(Shelf())
    both = {name: name for name in flows}
    flows["orders"] = siblings.flow_of("orders", OrderMapping(), *sides, kind=kind, parent_flows=both)
    runtime = siblings.runtime_of(ledger, redis, flows)
    return {name: world(runtime, flow) for name, flow in flows.items()}


def test_an_order_waits_for_both_its_clients_and_names_them_as_the_target_does(trade):
    orders = trade["orders"]
    orders.source.edit("9", ID="9", NAME="Заказ", CONTACT="1", COMPANY="2")
    orders.run()
    assert orders.record("9").state == "waiting"
    for name, key in (("contacts", "1"), ("companies", "2")):
        trade[name].source.edit(key, ID=key, NAME="Клиент")
        trade[name].run()
    orders.work()
    assert orders.target.held["9"]["contact"] == {"id": "1", "id_1c": "t1"}
    assert orders.target.held["9"]["company"] == {"id": "2", "id_1c": "t2"}


def test_a_parent_that_nobody_polled_is_fetched_before_its_child(trade):
    orders = trade["orders"]
    trade["contacts"].source.edit("1", ID="1", NAME="Клиент")
    orders.source.edit("9", ID="9", NAME="Заказ", CONTACT="1")
    orders.run()
    assert orders.target.held["9"]["contact"]["id_1c"] == "t1"


def test_the_source_is_told_what_the_target_made_of_it_and_where(trade):
    contacts = trade["contacts"]
    contacts.source.edit("1", ID="1", NAME="Анна")
    contacts.run()
    assert contacts.source.told == {"1": ("Успешно", "t1", "https://erp.example/1")}


def test_what_cannot_be_found_again_is_not_guessed_and_a_person_lets_it_go(trade):
    contacts = trade["contacts"]
    contacts.target.write_class = WriteClass.CREATE_BLIND
    contacts.target.find = lambda _key: None
    contacts.target.lost_answers.append(InDoubt("no answer"))
    contacts.source.edit("1", ID="1", NAME="Анна")
    contacts.run()
    contacts.later(minutes=5)
    contacts.work()
    assert (contacts.record("1").state, contacts.record("1").cause) == ("parked", "in doubt")
    contacts.target.held.clear()  # a person has looked: it is not there
    resync.resync(contacts.runtime, "contacts", Choice(ids=("1",)))
    contacts.later(minutes=5)
    contacts.work()
    assert contacts.record("1").state == "done"
    assert [call for call in contacts.target.calls if call[0] == "create"] == [("create", "1")] * 2


def test_an_event_told_twice_within_a_day_is_one_and_each_is_delivered(ledger, redis):
    from tests.unit.test_engine_streams import HistoryTarget, StageMapping, event, push

    kind = replace(KIND, name="payments", status_types=(), stream=EVENTS)
    source, target = MemorySource(), HistoryTarget()
    flow = siblings.flow_of("stages", StageMapping(), MemoryConnector(source), MemoryConnector(target), kind=kind)
    runtime = siblings.runtime_of(ledger, redis, {"stages": replace(flow, status_field=None)})
    payments = world(runtime, runtime.flows["stages"])
    push(payments, event("1", "paid 5", 0), event("1", "paid 7", 1))
    push(payments, event("1", "paid 5", 3))
    payments.work()
    assert [row["stage"] for row in target.rows] == ["paid 5", "paid 7"]
    push(payments, event("1", "paid 5", 30))
    payments.work()
    assert [row["stage"] for row in target.rows] == ["paid 5", "paid 7", "paid 5"]


def test_an_event_that_is_told_again_until_it_is_delivered_is_one(ledger, redis):
    from tests.unit.test_engine_streams import HistoryTarget, StageMapping, event, push

    kind = replace(KIND, name="payments", status_types=(), stream=EVENTS)
    source, target = MemorySource(), HistoryTarget()
    flow = siblings.flow_of("stages", StageMapping(), MemoryConnector(source), MemoryConnector(target), kind=kind)
    runtime = siblings.runtime_of(ledger, redis, {"stages": replace(flow, status_field=None)})
    payments = world(runtime, runtime.flows["stages"])
    for hours in (0, 25, 50):
        push(payments, event("1", "paid 5", hours))
    payments.work()
    assert [row["stage"] for row in target.rows] == ["paid 5"]


def test_where_the_target_has_another_id_for_it_by_now_the_source_is_told_again(trade):
    contacts = trade["contacts"]
    contacts.source.edit("1", ID="1", NAME="Анна")
    contacts.run()
    contacts.target.update = lambda id_, payload: Located("t1 anew", link="https://erp.example/anew")
    contacts.later(minutes=5)
    contacts.source.edit("1", NAME="Анна Петрова")
    contacts.run()
    assert contacts.source.told == {"1": ("Успешно", "t1 anew", "https://erp.example/anew")}


def test_what_was_merged_in_the_target_is_found_by_what_it_shows_and_not_doubled(trade):
    contacts = trade["contacts"]
    contacts.source.edit("1", ID="1", NAME="Анна")
    contacts.run()
    target = contacts.target
    target.held["2"] = {**target.held.pop("1"), "key": "2"}  # a person has merged it with another
    target.match = lambda payload: "t2" if payload["name"].startswith("Анна") else None
    updated = []
    target.update = lambda id_, payload: updated.append(id_) or ("t2" if id_ == "t2" else None)
    contacts.later(minutes=5)
    contacts.source.edit("1", NAME="Анна Петрова")
    contacts.run()
    assert updated == ["t1", "t2"]
    assert contacts.record("1").target_id == "t2"
