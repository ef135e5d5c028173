"""What 1C pushes goes the whole way: into the ledger, to the target, and the target's id back into the answer."""

import logging
import queue
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from connectors.base import Found
from connectors.errors import Rejected, Transient
from mappings.outcome import Mapped
from tasks import inline
from tasks.ledger import intake, report
from tasks.ledger.seen import Seen
from tasks.ledger.tables import records
from tests import siblings
from tests.unit.onec_public import WHO, World, config_of, is_refusal, success

CONTACT = {**WHO, "id_1c": "500", "name": "Иван Выдуманный"}


class Mapping(siblings.NameMapping):
    fields = ("id_1c", "amo_id", "name", "event_name")

    def map(self, raw, *, today):
        return Mapped({"key": raw["id_1c"], "name": raw.get("name")})


class NumberedTarget(siblings.MemoryTarget):
    """Its ids are those of 1C; `noted` is what it adds to them."""

    noted = ""

    def find(self, key):
        found = super().find(key)
        return found and Found(key, found.fields)

    def _write(self, payload):
        super()._write(payload)
        return payload["key"] + self.noted


TWINS = {"leads": "amocrm-leads"}


class Whole(World):
    """As World, with the ferry that sails."""

    def _flow(self, name, entity):
        flow = super()._flow(name, entity)
        self.targets = {**getattr(self, "targets", {}), entity: NumberedTarget()}
        target = siblings.MemoryConnector(self.targets[entity])
        return replace(flow, mapping=Mapping(), target_connection=target, twin_flow=TWINS.get(entity))

    def born_in_amocrm(self, entity, amo_id, id_1c):
        """An entity that came to 1C from amoCRM."""
        ledger, flow = self.runtime.ledger, f"amocrm-{entity}"
        kind = replace(siblings.KIND, source_entity=entity, target_entity=entity)
        nobody = siblings.MemoryConnector(None)
        back = siblings.flow_of(flow, siblings.NameMapping(), nobody, nobody, kind=kind)
        self.runtime.flows[flow] = replace(back, target_name="base")
        now = datetime.now(UTC)
        with ledger.write() as connection:
            intake.take(connection, flow, [Seen(amo_id, {}, now)], now=now, asked_at=now)
            connection.execute(update(records).where(records.c.flow == flow).values(target_id=id_1c, state="done"))


@pytest.fixture
def world(ledger, redis):
    return Whole(ledger, redis, {"base": config_of(patience=timedelta(seconds=5))}, ferry=inline.carry)


def test_the_answer_is_the_targets_id_and_the_same_again_writes_nothing(world):
    for _ in range(3):
        assert world.post("/sync/clients_contacts", CONTACT).json == success(500)
    assert [verb for verb, _ in world.targets["clients_contacts"].calls].count("create") == 1


def test_a_target_that_is_away_has_it_later(world):
    world.targets["clients_contacts"].errors.append(Transient("away"))
    assert is_refusal(world.post("/sync/clients_contacts", CONTACT), "ACCEPTED", 202)
    assert report.of_record(world.runtime.ledger, "base-clients_contacts", "500").state == "pending"
    world.runtime.ledger.ahead += timedelta(hours=1)
    assert world.post("/sync/clients_contacts", CONTACT).json == success(500)


def test_what_the_target_refuses_is_a_conflict(world):
    world.targets["clients_contacts"].errors.append(Rejected("several have this phone", told="Несколько"))
    answer = world.post("/sync/clients_contacts", CONTACT)
    assert is_refusal(answer, "CONFLICT", 409)
    assert "several have this phone" in answer.json["error"]


def test_an_event_is_answered_with_the_lead_that_its_order_became(world):
    assert world.post("/sync/leads", {**WHO, "id_1c": "700", "order_number": "1"}).json == success(700)
    world.targets["events"].noted = "/note"
    event = {**WHO, "event_name": "payment", "id_1c": "700", "sum": 5}
    assert world.post("/sync/process_event", event).json == success(700)


def test_an_event_is_answered_with_the_lead_that_its_order_was(world):
    world.born_in_amocrm("leads", "800", "order-born-in-amocrm")
    world.targets["events"].noted = "/note"
    event = {**WHO, "event_name": "payment", "id_1c": "order-born-in-amocrm", "sum": 5}
    assert world.post("/sync/process_event", event).json == success(800)


# --- orders that the handlers name by their customer, as the brief has it ---


def alerts(caplog):
    return [record for record in caplog.records if getattr(record, "alert", False)]


@pytest.mark.parametrize("path", ["/sync/leads", "/sync/clients_companies"])
@pytest.mark.parametrize("is_born_in_amocrm", [False, True])
def test_an_order_with_the_id_of_a_counterparty_is_refused(world, caplog, path, is_born_in_amocrm):
    if is_born_in_amocrm:
        world.born_in_amocrm("companies", "15", CONTACT["id_1c"])
    else:
        world.post("/sync/clients_contacts", CONTACT)
    answer = world.post(path, {**WHO, "id_1c": CONTACT["id_1c"], "order_number": "1"})
    assert is_refusal(answer, "CONFLICT", 409)
    assert "counterparty" in answer.json["error"]
    assert world.targets["leads"].held == {}
    (alert,) = alerts(caplog)
    assert (alert.levelno, alert.base) == (logging.ERROR, "base")


def test_an_event_with_the_id_of_a_counterparty_is_taken_and_the_operator_told(world, caplog):
    world.post("/sync/clients_contacts", CONTACT)
    event = {**WHO, "event_name": "payment", "id": 700, "id_1c": CONTACT["id_1c"], "sum": 5}
    assert world.post("/sync/process_event", event).json == success(700)
    assert len(alerts(caplog)) == 1


def test_an_order_of_its_own_id_is_no_ones_counterparty(world, caplog):
    world.post("/sync/clients_contacts", CONTACT)
    world.born_in_amocrm("leads", "501", "501")
    for order in ({"id_1c": "700"}, {"id_1c": "501"}, {"id_1c": "700"}):
        world.post("/sync/leads", {**WHO, **order, "order_number": "1"})
    assert set(world.targets["leads"].held) == {"700", "501"}
    assert alerts(caplog) == []


# --- how long it takes ---


def test_what_is_settled_is_answered_before_the_next_records_are_handed_out(world):
    is_answered, in_time = threading.Event(), queue.Queue()

    def headroom():
        in_time.put(is_answered.wait(2))
        return 1

    world.runtime.flows["base-clients_contacts"].target_connection.headroom = headroom
    assert world.post("/sync/clients_contacts", CONTACT).json == success(500)
    is_answered.set()
    assert in_time.get(timeout=30)
