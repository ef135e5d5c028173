"""Webhooks of the amoCRM stand-in (facts/amocrm.md §14): what is told, how it is nested, and what becomes of it."""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

import pytest

from sandbox.amocrm import reference as ref
from sandbox.amocrm.hookforms import SETTINGS
from sandbox.bitrix24.php import parse_query
from tests.unit.test_sandbox_amocrm import NOW, Caller, custom, with_fields

PATIENCE = 20


class Listening(ThreadingHTTPServer):
    """A receiver: keeps what it is told, answers `status`, once `gate` is open."""

    daemon_threads = True

    def __init__(self):
        self.told = []
        self.status = 204
        self.gate = threading.Event()
        self.gate.set()
        super().__init__(("127.0.0.1", 0), Receiving)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/amocrm/unguessable?x=1"


class Receiving(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.told.append(
            (self.path, self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"])))
        )
        self.server.gate.wait(PATIENCE)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def listening():
    with Listening() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.gate.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def crm():
    caller = Caller()
    yield caller
    caller.account.stop()


@pytest.fixture
def receiver(crm):
    with listening() as server:
        crm.account.outgoing.subscribe(server.url, SETTINGS)
        yield server


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def deliveries(crm):
    return crm.account.outgoing.deliveries()


def settled(crm):
    until(lambda: all(one.fate != "pending" for one in deliveries(crm)))
    return [one.fate for one in deliveries(crm)]


def attempted(crm, number):
    """Once every delivery has had that many attempts."""
    until(lambda: all(len(one.codes) >= number for one in deliveries(crm)))
    return [one.codes for one in deliveries(crm)]


def forms(receiver):
    return [parse_query(body.decode()) for _, _, body in receiver.told]


def events(receiver):
    """(top, deed, id, type) of everything told, in order."""
    return [
        (top, deed, int(item["id"]), item.get("type"))
        for form in forms(receiver)
        for top, deeds in form.items()
        if top != "account"
        for deed, items in deeds.items()
        for item in items
    ]


def test_a_contact_is_told_in_the_old_layout(crm, receiver):
    fields = with_fields(
        custom("PHONE", "+79990000001"),
        custom(ref.BIRTHDAY, NOW - 15 * 3600),
        custom(ref.ORIGIN, "Сайт"),
        name="Анна & Ко",
        tags_to_add=[{"name": "vip"}],
    )
    contact = crm.create("contacts", fields)
    settled(crm)
    ((path, kind, body),) = receiver.told
    assert (path, kind) == ("/amocrm/unguessable?x=1", "application/x-www-form-urlencoded")
    pairs = dict(parse_qsl(body.decode(), keep_blank_values=True))
    at = "contacts[add][0]"
    expected = {
        f"{at}[id]": str(contact),
        f"{at}[name]": "Анна & Ко",
        f"{at}[type]": "contact",
        f"{at}[last_modified]": str(NOW),
        f"{at}[updated_at]": str(NOW),
        f"{at}[modified_user_id]": str(ref.INTEGRATION),
        f"{at}[tags][0][name]": "vip",
        f"{at}[custom_fields][0][id]": str(ref.PHONE),
        f"{at}[custom_fields][0][code]": "PHONE",
        f"{at}[custom_fields][0][values][0][value]": "+79990000001",
        f"{at}[custom_fields][0][values][0][enum]": str(ref.PHONE * 10 + 1),
        f"{at}[custom_fields][1][values][0]": str(NOW - 15 * 3600),
        f"{at}[custom_fields][2][values][0][value]": "Сайт",
        "account[id]": str(ref.ACCOUNT_ID),
        "account[subdomain]": "sandbox",
        "account[_links][self]": "http://crm.example",
    }
    assert expected.items() <= pairs.items()
    assert f"{at}[custom_fields_values]" not in body.decode()


@pytest.mark.parametrize(("position", "shown"), [("value", {"value": "1767733200"}), ("text", {"value": "07.01.2026"})])
def test_dates_come_in_several_shapes(crm, receiver, position, shown):
    crm.account.switch({"hook_dates": position})
    crm.create("contacts", with_fields(custom(ref.BIRTHDAY, NOW)))
    settled(crm)
    assert forms(receiver)[0]["contacts"]["add"][0]["custom_fields"][0]["values"] == [shown]


def test_companies_come_as_contacts(crm, receiver):
    company = crm.create("companies", {"name": "Ладья"})
    crm.hands.delete("companies", company)
    settled(crm)
    crm.account.switch({"hook_companies": "under_companies", "hook_delete": "scalar"})
    other = crm.create("companies", {"name": "Слон"})
    settled(crm)
    assert events(receiver) == [
        ("contacts", "add", company, "company"),
        ("contacts", "delete", company, None),
        ("companies", "add", other, "company"),
    ]
    crm.hands.delete("companies", other)
    settled(crm)
    assert forms(receiver)[-1]["companies"] == {"delete": str(other)}


def test_a_lead_tells_its_way(crm, receiver):
    lead = crm.create("leads", {"price": 10})
    crm.patch(f"leads/{lead}", {"status_id": ref.WON, "responsible_user_id": ref.HUMAN})
    crm.hands.delete("leads", lead)
    crm.hands.restore("leads", lead)
    settled(crm)
    told = {}
    for form in forms(receiver):
        for deed, items in form["leads"].items():
            told.setdefault(deed, []).extend(items)
    assert sorted(told) == ["add", "delete", "responsible", "restore", "status", "update"]
    (moved,) = told["status"]
    assert (moved["status_id"], moved["old_status_id"]) == ("142", str(ref.MAIN_PIPELINE * 10 + 1))
    assert moved["pipeline_id"] == moved["old_pipeline_id"] == str(ref.MAIN_PIPELINE)
    assert told["responsible"][0]["old_responsible_user_id"] == str(ref.INTEGRATION)
    assert told["delete"] == [{"id": str(lead), "status_id": "142", "pipeline_id": str(ref.MAIN_PIPELINE)}]


def test_an_empty_patch_is_told_and_a_refused_one_is_not(crm, receiver):
    contact = crm.create("contacts", {"name": "Анна"})
    crm.patch(f"contacts/{contact}", {})
    crm("PATCH", f"contacts/{contact}", {"name": 5})
    settled(crm)
    assert [deed for _, deed, _, _ in events(receiver)] == ["add", "update"]


def test_notes_and_tasks_are_told(crm, receiver):
    crm.account.switch({"hook_odd_keys": True})
    lead = crm.create("leads", {})
    crm.post(f"leads/{lead}/notes", {"note_type": "common", "params": {"text": "Оплата"}})
    crm.post("tasks", {"text": "Звонок", "complete_till": NOW, "entity_id": lead, "entity_type": "leads"})
    settled(crm)
    pairs = [pair for _, _, body in receiver.told for pair in parse_qsl(body.decode())]
    assert ("leads[note][0][note][text]", "Оплата") in pairs
    assert ("leads[note][0][note][type]", "4") in pairs
    assert any(name == "leads[note][0][note][type][message_uuid]" for name, _ in pairs)
    assert ("task[add][0][element_id]", str(lead)) in pairs


def test_only_what_a_hook_wants_is_told(crm, receiver):
    crm.account.outgoing.subscribe(receiver.url, ["update_contact"])
    contact = crm.create("contacts", {"name": "Анна"})
    crm.create("leads", {})
    crm.patch(f"contacts/{contact}", {})
    settled(crm)
    assert events(receiver) == [("contacts", "update", contact, "contact")]
    crm.account.outgoing.unsubscribe()
    crm.patch(f"contacts/{contact}", {})
    assert len(deliveries(crm)) == 1


def test_several_events_leave_in_one_post(crm, receiver):
    crm.account.switch({"hook_batch": 20})
    ids = crm.create("contacts", *[{"name": "x"}] * 45)
    settled(crm)
    assert [len(form["contacts"]["add"]) for form in forms(receiver)] == [20, 20, 5]
    assert [row_id for _, _, row_id, _ in events(receiver)] == ids


def test_events_of_several_commits_gather_while_one_is_delivered(crm, receiver):
    receiver.gate.clear()
    contact = crm.create("contacts", {"name": "x"})
    until(lambda: receiver.told)
    crm.create("leads", {})
    crm.patch(f"contacts/{contact}", {})
    receiver.gate.set()
    settled(crm)
    assert [set(form) - {"account"} for form in forms(receiver)] == [{"contacts"}, {"leads", "contacts"}]


# What becomes of a delivery.


def test_a_refusal_is_retried_twice_and_a_broken_receiver_four_times(crm, receiver):
    receiver.status = 404
    crm.create("contacts", {"name": "x"})
    for number, pause in enumerate((300, 900), 1):
        attempted(crm, number)
        crm.advance(pause)
    assert settled(crm) == ["failed"]
    assert deliveries(crm)[0].codes == [404, 404, 404]
    receiver.status = 503
    crm.create("contacts", {"name": "y"})
    for number, pause in enumerate((300, 900, 900, 3600), 1):
        until(lambda number=number: len(deliveries(crm)[-1].codes) == number)
        crm.advance(pause - 1)
        assert len(deliveries(crm)[-1].codes) == number
        crm.advance(1)
    assert settled(crm) == ["failed", "failed"]
    assert deliveries(crm)[-1].codes == [503] * 5
    assert len({body for _, _, body in receiver.told[3:]}) == 1


def test_a_receiver_that_comes_back_gets_what_it_missed(crm, receiver):
    receiver.status = 500
    crm.create("contacts", {"name": "x"})
    attempted(crm, 1)
    receiver.status = 200
    crm.advance(300)
    assert settled(crm) == ["delivered"]
    assert len(receiver.told) == 2


def test_an_answer_must_come_in_time(crm, receiver):
    crm.account.switch({"hook_timeout_s": 0.05})
    receiver.gate.clear()
    crm.create("contacts", {"name": "x"})
    assert attempted(crm, 1) == [[499]]


def test_nobody_listening_is_an_invalid_answer_and_time_can_be_scaled(crm):
    with listening() as gone:
        url = gone.url
    crm.account.switch({"hook_time_scale": 0.0})
    crm.account.outgoing.subscribe(url, SETTINGS)
    crm.create("contacts", {"name": "x"})
    assert settled(crm) == ["failed"]
    assert deliveries(crm)[0].codes == [0, 0, 0]


def test_a_hook_that_mostly_fails_is_disabled_until_it_is_set_again(crm, receiver):
    crm.account.switch({"hook_disable_after": 3, "hook_batch": 1})
    receiver.status = 404
    crm.create("contacts", *[{"name": "x"}] * 5)
    until(lambda: crm.account.rows("webhooks")[0]["disabled"])
    until(lambda: len(receiver.told) == 4 and deliveries(crm)[4].fate == "disabled")
    crm.create("contacts", {"name": "y"})
    assert len(deliveries(crm)) == 5
    receiver.status = 200
    crm.account.outgoing.subscribe(receiver.url, SETTINGS)
    crm.create("contacts", {"name": "z"})
    until(lambda: deliveries(crm)[-1].fate == "delivered")


def test_hooks_may_be_dropped_repeated_shuffled_and_sent_again(crm, receiver):
    crm.account.switch({"hook_drop_share": 1.0})
    crm.create("contacts", {"name": "x"})
    assert settled(crm) == ["dropped"]
    crm.account.switch({"hook_drop_share": 0.0, "hook_repeat_share": 1.0})
    contact = crm.create("contacts", {"name": "y"})
    settled(crm)
    assert [row_id for _, _, row_id, _ in events(receiver)] == [contact] * 2
    crm.account.outgoing.repeat(1)
    settled(crm)
    assert len(events(receiver)) == 3
    crm.account.switch({"hook_repeat_share": 0.0, "hook_shuffle_s": 1000.0, "hook_batch": 1})
    ids = crm.create("leads", *[{}] * 8)
    crm.advance(1000)
    settled(crm)
    told = [row_id for top, _, row_id, _ in events(receiver) if top == "leads"]
    assert sorted(told) == ids != told


# The API.


def test_hooks_are_managed_by_the_api(crm):
    given = {"destination": "https://a.example/x", "settings": ["update_contact"], "sort": 10}
    assert crm("GET", "webhooks") == (204, None)
    status, hook = crm("POST", "webhooks", given)
    assert (status, hook["disabled"], hook["settings"]) == (201, False, ["update_contact"])
    _, again = crm("POST", "webhooks", given | {"settings": ["add_lead"]})
    assert (again["id"], again["settings"]) == (hook["id"], ["add_lead"])
    page = crm.get("webhooks", **{"filter[destination]": given["destination"]})
    assert (page["_total_items"], page["_embedded"]["webhooks"]) == (1, [again])
    assert crm("GET", "webhooks", **{"filter[destination]": "https://b.example"}) == (204, None)
    crm.account.switch({"hook_same_destination": "refused"})
    assert crm("POST", "webhooks", given)[0] == 400
    assert crm("DELETE", "webhooks", {"destination": given["destination"]}) == (204, None)
    assert crm("DELETE", "webhooks", {"destination": given["destination"]})[0] == 404


@pytest.mark.parametrize(
    "given",
    [
        {"destination": "ftp://a.example", "settings": ["add_lead"]},
        {"settings": ["add_lead"]},
        {"destination": "https://a.example", "settings": []},
        {"destination": "https://a.example", "settings": ["add_dream"]},
    ],
)
def test_a_hook_needs_an_address_and_known_settings(crm, given):
    assert crm("POST", "webhooks", given)[0] == 400


def test_a_hundred_hooks_are_all(crm):
    for number in range(100):
        crm.account.outgoing.subscribe(f"https://a.example/{number}", ["add_lead"])
    assert crm("POST", "webhooks", {"destination": "https://b.example", "settings": ["add_lead"]})[0] == 400
