"""Events of 1C in leads: a note and all that goes with it, exactly once, whatever gets lost on the way."""

import hashlib
from datetime import UTC, datetime, timedelta

import fakeredis
import pytest
import responses
import time_machine

from connectors.amocrm import AmoCrm
from connectors.amocrm_config import AmoCrmConfig
from connectors.base import Secret
from connectors.errors import ConnectorError, InDoubt, Refused, Rejected
from tests.unit.amocrm_vendor import HOST, Vendor

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEX = hashlib.sha1(b"event", usedforsecurity=False).hexdigest()


@pytest.fixture
def vendor():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield Vendor(mock)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def events(vendor):
    config = AmoCrmConfig(base_url=HOST, token=Secret("t0k3n-of-the-account"), default_user=8)
    redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    return AmoCrm(config, redis, sleep=lambda _: None).target("events")


@pytest.fixture
def lead(vendor):
    vendor.field("leads", "PAID", "numeric")
    vendor.field("leads", "STATE", "select", enums=[{"id": 5}, {"id": 6}])
    return vendor.add("leads", responsible_user_id=7, fields={"PAROM_ID_1C": "o1"})


def event(lead, **changes):
    return {"key": f"{lead}/{HEX}", "lead_id": lead, "note": "Оплата 1500.00"} | changes


def whole(lead):
    return event(
        lead,
        status={"pipeline_id": 1, "status_id": 142},
        fields={"PAID": "1500.00", "STATE": "Оплачен"},
        task={"text": "Отгрузить", "in_hours": 4},
    )


def notes(vendor):
    return [note["params"]["text"] for note in vendor.tables["notes"].values()]


def tasks(vendor):
    return list(vendor.tables["tasks"].values())


def test_an_event_is_a_note_that_people_cannot_change(vendor, events, lead):
    created = events.create(event(lead))
    assert (created.link, created) == (f"{HOST}/leads/detail/{lead}", str(next(iter(vendor.tables["notes"]))))
    (note,) = vendor.tables["notes"].values()
    assert (note["entity_id"], note["note_type"], note["params"]["service"]) == (lead, "service_message", "1С")
    assert note["params"]["text"] == f"Оплата 1500.00\n[parom:{HEX}]"
    assert vendor.bodies("PATCH", "leads") == []


def test_an_event_is_found_by_its_key_in_its_lead(vendor, events, lead):
    assert events.find(f"{lead}/{HEX}") is None
    created = events.create(event(lead))
    found = events.find(f"{lead}/{HEX}")
    assert (found.id, found.id.link) == (created, created.link)
    assert events.find(f"{lead}/{'0' * 40}") is None
    assert events.find(f"{vendor.add('leads')}/{HEX}") is None


def test_a_note_is_found_behind_many_others(vendor, events, lead):
    created = events.create(event(lead))
    for number in range(600):
        vendor.add("notes", entity_id=lead, note_type="common", params={"text": f"Заметка {number}"})
    assert events.find(f"{lead}/{HEX}").id == created


def test_an_event_moves_the_lead_fills_fields_and_makes_a_task(vendor, events, lead):
    events.create(whole(lead))
    (body,) = vendor.bodies("PATCH", "leads")[0]
    assert (body["pipeline_id"], body["status_id"]) == (1, 142)
    sent = {field["field_id"]: field["values"] for field in body["custom_fields_values"]}
    assert sent == {
        vendor.id_of("leads", "PAID"): [{"value": "1500.00"}],
        vendor.id_of("leads", "STATE"): [{"value": "Оплачен"}],
    }
    (task,) = tasks(vendor)
    assert task["text"] == f"Отгрузить\n[parom:{HEX}]"
    assert (task["entity_id"], task["entity_type"], task["responsible_user_id"]) == (lead, "leads", 7)
    assert task["complete_till"] == int((NOW + timedelta(hours=4)).timestamp())


def test_the_note_goes_last(vendor, events, lead):
    events.create(whole(lead))
    writes = [call["path"] for call in vendor.calls if call["method"] != "GET"]
    assert writes == ["leads", "tasks", "leads/notes"]


def test_what_is_there_already_is_not_written(vendor, events, lead):
    vendor.tables["leads"][lead] |= {"status_id": 142}
    vendor.put("leads", lead, {"PAID": "1500.00", "STATE": {"enum_id": 6, "value": "Оплачен"}})
    events.create(whole(lead))
    assert vendor.bodies("PATCH", "leads") == []


STEPS = [("PATCH", "leads"), ("POST", "tasks"), ("POST", "leads/notes")]


@pytest.mark.parametrize("step", STEPS, ids=str)
@pytest.mark.parametrize("committed", [True, False], ids=["after it was done", "before it was done"])
def test_a_lost_answer_at_any_step_ends_in_exactly_one_of_everything(vendor, events, lead, step, committed):
    def lose(call):
        if committed:
            vendor.route(call)
        return 504, "<html>"

    method, path = step
    vendor.on(method, path, lose, lambda _: None)
    with pytest.raises(InDoubt):
        events.create(whole(lead))
    if events.find(f"{lead}/{HEX}") is None:
        events.create(whole(lead))
    assert notes(vendor) == [f"Оплата 1500.00\n[parom:{HEX}]"]
    assert len(tasks(vendor)) == 1
    assert vendor.tables["leads"][lead]["status_id"] == 142


def test_an_event_of_a_lead_that_is_gone_is_told_to_the_manager(vendor, events):
    with pytest.raises(Rejected) as caught:
        events.create(whole(777))
    assert "нет сделки с номером 777" in caught.value.told
    assert notes(vendor) == []


def test_notes_of_a_lead_that_is_gone_are_none(vendor, events):
    vendor.on("GET", "leads/777/notes", (404, {"status": 404}))
    assert events.find(f"777/{HEX}") is None


@pytest.mark.parametrize("lead_id", [int, str])
def test_a_key_that_does_not_name_its_lead_is_matched_there(vendor, events, lead, lead_id):
    """The engine finds by the key alone, then matches by the whole payload."""
    bare = event(lead, key=HEX, lead_id=lead_id(lead))
    assert (events.find(HEX), events.match(bare)) == (None, None)
    created = events.create(bare)
    assert (events.match(bare), events.match(bare).link) == (created, created.link)
    assert events.find(f"{lead}/{HEX}").id == created
    assert events.match(event(vendor.add("leads"), key=HEX)) is None


@pytest.mark.parametrize("key", ["", f"abc/{HEX}", f"1/{HEX[:-1]}", f"1/{HEX}/2"])
def test_an_event_without_a_key_is_impossible(vendor, events, key):
    assert events.find(key) is None
    for call in (events.match, events.create):
        with pytest.raises(Rejected):
            call(event(1, key=key))
    assert vendor.calls == []


@pytest.mark.parametrize("lead_id", [None, "", "abc", "1/2"])
def test_an_event_without_a_lead_is_impossible(vendor, events, lead_id):
    with pytest.raises(Rejected):
        events.create(event(1, key=HEX, lead_id=lead_id))
    assert vendor.calls == []


def test_tasks_of_other_leads_are_not_ours(vendor, events, lead):
    """Where the filter is ignored, the tasks of everybody come back."""
    other = vendor.add("leads")
    vendor.add("tasks", entity_id=other, entity_type="leads", text=f"[parom:{HEX}]")
    events.create(whole(lead))
    assert [task["entity_id"] for task in tasks(vendor)] == [other, lead]


def test_a_field_that_does_not_exist_is_refused_before_anything_is_done(vendor, events, lead):
    with pytest.raises(Refused):
        events.create(event(lead, fields={"NO_SUCH": "1"}, task={"text": "x", "in_hours": 1}))
    assert (notes(vendor), tasks(vendor)) == ([], [])


def test_what_happened_does_not_change(events, lead):
    with pytest.raises(ConnectorError):
        events.update("1", event(lead))
