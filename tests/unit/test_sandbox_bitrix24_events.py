"""Outgoing webhooks (facts/bitrix24.md §10): what is told, to whom, and what may become of it on the way."""

import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from tests.unit.test_sandbox_bitrix24 import Caller

CONTACT_EVENTS = ["ONCRMCONTACTADD", "ONCRMCONTACTUPDATE", "ONCRMCONTACTDELETE"]
PATIENCE = 20


class Listening(ThreadingHTTPServer):
    """An integration's handler: keeps what it is told, answers `status`."""

    daemon_threads = True

    def __init__(self):
        self.told = []
        self.status = 200
        super().__init__(("127.0.0.1", 0), Receiving)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/hook?from=crm"


class Receiving(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.told.append(
            (self.path, dict(self.headers), {key: value[0] for key, value in parse_qs(body).items()})
        )
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
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
            server.shutdown()
            thread.join()


@pytest.fixture
def crm():
    caller = Caller()
    yield caller
    caller.portal.stop()


@pytest.fixture
def handler():
    with listening() as server:
        yield server


def settled(crm):
    """Every emission with its fate, once none is on its way."""
    deadline = time.monotonic() + PATIENCE
    while any(emission.fate == "pending" for emission in crm.portal.events.emitted()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return crm.portal.events.emitted()


def fates(crm):
    return [emission.fate for emission in settled(crm)]


def told(handler):
    return [(form["event"], int(form["data[FIELDS][ID]"])) for _, _, form in handler.told]


def test_every_change_is_told_with_nothing_but_the_id(crm, handler):
    registered = crm.portal.events.register(handler.url, CONTACT_EVENTS, "token-1")
    contact = crm.result("crm.contact.add", fields={"NAME": "Анна"})
    crm.result("crm.contact.update", id=contact, fields={"NAME": "Вера"})
    crm.result("crm.item.update", entityTypeId=3, id=contact, fields={"name": "Нина"})
    crm.hands.edit("contacts", contact, {"NAME": "Зоя"})
    crm.hands.delete("contacts", contact)
    assert set(fates(crm)) == {"delivered"}
    add, update, delete = CONTACT_EVENTS
    assert told(handler) == [(add, contact), (update, contact), (update, contact), (update, contact), (delete, contact)]
    path, headers, form = handler.told[0]
    assert (path, headers["Content-Type"]) == ("/hook?from=crm", "application/x-www-form-urlencoded")
    assert form == {
        "event": "ONCRMCONTACTADD",
        "event_handler_id": str(registered.id),
        "data[FIELDS][ID]": str(contact),
        "ts": str(int(crm.clock.now().timestamp())),
        "auth[domain]": "sandbox.bitrix24.example",
        "auth[client_endpoint]": "https://sandbox.bitrix24.example/rest/",
        "auth[server_endpoint]": "https://oauth.bitrix.info/rest/",
        "auth[member_id]": crm.portal.switches.member_id,
        "auth[application_token]": "token-1",
    }


def test_companies_deals_and_batches_are_told_too(crm, handler):
    crm.portal.events.register(handler.url, ["oncrmcompanyadd", "ONCRMDEALUPDATE"])
    deal, company = crm.result("crm.deal.add", fields={}), crm.result("crm.company.add", fields={})
    crm.result("batch", cmd=[f"crm.deal.update?id={deal}&fields[TITLE]=x", f"crm.deal.get?id={deal}"])
    settled(crm)
    assert told(handler) == [("ONCRMCOMPANYADD", company), ("ONCRMDEALUPDATE", deal)]


def test_a_merge_tells_of_the_winner_and_the_loser(crm, handler):
    winner, loser = int(crm.contact()), int(crm.contact())
    crm.portal.events.register(handler.url, CONTACT_EVENTS)
    crm.hands.merge(loser, winner)
    settled(crm)
    assert told(handler) == [("ONCRMCONTACTUPDATE", winner), ("ONCRMCONTACTDELETE", loser)]


def test_what_was_not_saved_is_not_told(crm):
    contact = crm.contact(NAME="Анна")
    crm.result("crm.item.update", entityTypeId=3, id=contact, fields={"name": "Анна"})
    crm.portal.switch({"noop_update_touches": False})
    crm.result("crm.contact.update", id=contact, fields={"NAME": "Анна"})
    crm("crm.contact.update", id=contact, fields={"EMAIL": [{"VALUE": "nobody"}]})
    assert fates(crm) == []


def test_rows_of_a_seed_are_not_told(crm):
    crm.hands.create_many("contacts", [{}, {}])
    crm.hands.create("contacts", {})
    assert fates(crm) == ["unheard"]


def test_a_refusal_is_not_repeated(crm, handler):
    crm.portal.events.register(handler.url, CONTACT_EVENTS)
    handler.status = 500
    crm.result("crm.contact.add", fields={})
    crm.result("crm.contact.add", fields={})
    assert [(emission.fate, emission.answer) for emission in settled(crm)] == [("refused", "500")] * 2
    assert len(handler.told) == 2


def test_nobody_at_home_is_a_fate_as_well(crm):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    crm.portal.events.register(f"http://127.0.0.1:{port}/", CONTACT_EVENTS)
    crm.result("crm.contact.add", fields={})
    assert fates(crm) == ["failed"]


def test_a_delayed_event_waits_for_the_sandboxs_clock(crm, handler):
    crm.portal.events.register(handler.url, CONTACT_EVENTS)
    crm.portal.switch({"event_delay_s": 3600})
    contact = crm.result("crm.contact.add", fields={})
    assert [emission.fate for emission in crm.portal.events.emitted()] == ["pending"]
    crm.clock.change(advance_s=3600)
    settled(crm)
    assert told(handler) == [("ONCRMCONTACTADD", contact)]


@pytest.mark.parametrize(
    ("share", "copies", "fate"),
    [({"event_drop_share": 1.0}, 0, "dropped"), ({"event_duplicate_share": 1.0}, 2, "delivered")],
)
def test_events_are_lost_or_doubled_by_share(crm, handler, share, copies, fate):
    crm.portal.events.register(handler.url, CONTACT_EVENTS)
    crm.portal.switch(share)
    contact = crm.result("crm.contact.add", fields={})
    assert set(fates(crm)) == {fate}
    assert told(handler) == [("ONCRMCONTACTADD", contact)] * copies


def reordered(seed):
    """The order in which ten events arrive."""
    crm = Caller()
    with listening() as handler:
        crm.portal.events.register(handler.url, CONTACT_EVENTS)
        crm.portal.switch({"event_reorder_s": 1000.0, "event_drop_share": 0.3, "event_seed": seed})
        added = [crm.result("crm.contact.add", fields={}) for _ in range(10)]
        crm.clock.change(advance_s=1001)
        settled(crm)
    crm.portal.stop()
    return [added.index(row_id) for _, row_id in told(handler)]


def test_chance_is_repeated_by_its_seed():
    first = reordered(7)
    assert first != sorted(first)
    assert len(first) < 10
    assert reordered(7) == first
    assert reordered(8) != first


def test_a_handler_hears_nothing_after_it_was_removed(crm, handler):
    events = crm.portal.events
    first, second = (events.register(handler.url, CONTACT_EVENTS) for _ in range(2))
    events.remove(first.id)
    assert events.handlers() == [second]
    assert len(second.application_token) == 32
    crm.portal.reset()
    crm.result("crm.contact.add", fields={})
    assert fates(crm) == ["unheard"]


@pytest.mark.parametrize(
    ("url", "events"),
    [("ftp://x/", CONTACT_EVENTS), ("nowhere", CONTACT_EVENTS), ("http://x/", []), ("http://x/", ["A"])],
)
def test_what_cannot_be_registered_is_refused(crm, url, events):
    with pytest.raises(ValueError, match="must be"):
        crm.portal.events.register(url, events)
