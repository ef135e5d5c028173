"""What 1C pushes: shaped, made harmless, known again; and that nothing is asked for it."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import time_machine

from connectors.base import Malformed, Note, Window
from connectors.errors import Rejected
from connectors.onec_handlers_source import EVENTS, FIELDS, Pushed
from connectors.onec_handlers_texts import amount, clean, link, sent

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOST = "1c.example"
EMPTY = "00000000-0000-0000-0000-000000000000"
EVENT = {"event_name": "payment", "id": 7, "id_1c": "order-1", "sum": "1 234,50", "debt_sum": 0, "document_name": "№ 5"}
INNER = "e1cib/data/Справочник.Контрагенты?ref=9a1a5e0e000040008000000000000001"


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def asked():
    """How often the links' host was looked up."""
    return []


@pytest.fixture
def source(asked):
    def host():
        asked.append(1)
        return HOST

    return lambda entity: Pushed(entity, SimpleNamespace(title="1C trade-1", id_base="trade-1"), host)


def test_there_is_nobody_to_ask(source):
    page = source("leads").page(Window(NOW), ())
    assert (page.rows, page.last, page.server_time, page.last_id) == ((), True, NOW, None)
    assert source("leads").read(["1"], (), {}) == ()
    (refused,) = source("leads").write_notes("x", [Note("1", "a")])
    assert isinstance(refused, Rejected)


@pytest.mark.parametrize(
    ("entity", "item", "id_", "fields"),
    [
        (
            "clients_contacts",
            {
                "id": "15",
                "id_1c": " c-1 ",
                "link": INNER,
                "name": "Иванов\u00a0 Иван\n",
                "responsible_user_id": 3,
                "email": "a@b.example",
                "phone": "+7 999 000-00-01",
            },
            "c-1",
            {
                "id_1c": "c-1",
                "amo_id": 15,
                "link": INNER,
                "name": "Иванов Иван",
                "responsible_user_id": 3,
                "email": "a@b.example",
                "phone": "+7 999 000-00-01",
            },
        ),
        (
            "clients_companies",
            {"amo_id": 16, "inn": 7700000000, "name": "ООО «Ромашка»", "responsible_user_id": ""},
            "amo:16",
            {
                "id_1c": None,
                "amo_id": 16,
                "link": None,
                "name": "ООО «Ромашка»",
                "responsible_user_id": None,
                "inn": "7700000000",
            },
        ),
        (
            "leads",
            {"id": 0, "id_1c": 12, "company_id": "5", "contact_id": None, "budget": "1\u00a0234,5", "order_number": 77},
            "12",
            {
                "id_1c": "12",
                "amo_id": None,
                "link": None,
                "company_id": 5,
                "contact_id": None,
                "budget": "1234.50",
                "order_number": "77",
                "responsible_user_id": None,
            },
        ),
    ],
)
def test_what_1c_sends_becomes_a_row_with_all_its_fields(source, entity, item, id_, fields):
    row = source(entity).received(item)
    assert (row.id, row.fields) == (id_, fields)
    assert (row.created, row.modified, row.version) == (NOW, NOW, None)
    assert tuple(fields) == FIELDS[entity]


def test_the_empty_reference_is_nobodys_id(source):
    people = [source("clients_contacts").received({"id": id_, "id_1c": EMPTY}) for id_ in (501, 502)]
    assert [(row.id, row.fields["id_1c"]) for row in people] == [("amo:501", None), ("amo:502", None)]
    with pytest.raises(Malformed, match="id or id_1c"):
        source("leads").received({"id_1c": f" {EMPTY} "})
    assert key_of(source("events"), EVENT | {"event_id": EMPTY}) == key_of(source("events"), EVENT)


# Events.


def key_of(events, item):
    return events.received(item).fields["key"]


def test_an_event_is_known_again_by_all_that_it_says(source):
    events = source("events")
    row = events.received(EVENT)
    said = ["trade-1", "payment", 7, "order-1", "1234.50", "0.00", "№ 5"]
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    assert row.fields["key"] == hashlib.sha256(text.encode()).hexdigest()[:40]
    assert row.id == "order-1", "an event is one of its order's"
    assert row.fields == {
        "key": row.fields["key"],
        "event_id": None,
        "event_name": "payment",
        "amo_id": 7,
        "id_1c": "order-1",
        "sum": "1234.50",
        "debt_sum": "0.00",
        "document_name": "№ 5",
        "received_at": NOW.isoformat(),
    }
    with time_machine.travel(NOW + timedelta(hours=5), tick=False):
        again = events.received(EVENT | {"sum": 1234.5, "id": "7", "key": 31000001, "id_base": "trade-1"})
    assert again.fields["key"] == row.fields["key"]


@pytest.mark.parametrize("name", ["event_name", "id", "id_1c", "sum", "debt_sum", "document_name"])
def test_an_event_that_differs_in_anything_is_another(source, name):
    changed = EVENT | {name: "shipment" if name == "event_name" else "8"}
    assert key_of(source("events"), changed) != key_of(source("events"), EVENT)


def test_the_same_event_of_another_base_is_another(source):
    other = Pushed("events", SimpleNamespace(title="", id_base="trade-2"), lambda: None)
    assert key_of(other, EVENT) != key_of(source("events"), EVENT)


def test_an_event_id_of_1c_tells_events_apart_that_are_the_same_in_all_else(source):
    events = source("events")
    first, second = (key_of(events, EVENT | {"event_id": id_}) for id_ in ("1", "2"))
    assert first != second != key_of(events, EVENT)
    assert key_of(events, EVENT | {"event_id": 1, "sum": 5}) == first


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_of_the_brief_is_one(source, name):
    assert source("events").received(EVENT | {"event_name": name}).fields["event_name"] == name


# What cannot be.


@pytest.mark.parametrize(
    ("entity", "item", "field"),
    [
        ("leads", None, "object"),
        ("leads", [], "object"),
        ("leads", {}, "id or id_1c"),
        ("leads", {"id": 0, "id_1c": "  "}, "id or id_1c"),
        *(("leads", {"id": bad}, "amo_id") for bad in ("x", -1, 1.5, True, [], {}, "٣", 2**63, "1" * 5000, False)),
        *(("leads", {"id_1c": bad}, "id_1c") for bad in (True, [], {}, 1.5, "a" * 101, "a\x00b", "amo:5", "a\nb")),
        *(
            ("leads", {"id_1c": "a", "budget": bad}, "budget")
            for bad in ("x", -1, "-0,01", True, [], "1e5", "9" * 17, "NaN")
        ),
        *(("leads", {"id_1c": "a", "order_number": bad}, "order_number") for bad in (True, [], {})),
        *(("leads", {"id_1c": "a", "link": bad}, "link") for bad in (True, [], {})),
        *(("events", EVENT | {"event_name": bad}, "event_name") for bad in (None, "", "refund", [], {})),
        ("events", EVENT | {"event_id": []}, "event_id"),
    ],
)
def test_what_has_another_shape_is_told_by_its_field_and_without_its_value(source, entity, item, field):
    with pytest.raises(Malformed, match=field) as refused:
        source(entity).received(item)
    assert "refund" not in str(refused.value)


def test_what_a_base_never_sends_is_unknown():
    with pytest.raises(KeyError):
        FIELDS["unicorns"]


# Links.


@pytest.mark.parametrize(
    "text",
    [
        INNER,
        "e1cib:data/x",
        "https://1c.example/base/#e1cib/data/Документ.Заказ?ref=1",
        "http://1c.example:8080/база?x=1",
        "HTTPS://1C.EXAMPLE",
        "  https://1c.example/  ",
    ],
)
def test_links_into_the_base_are_kept(source, text):
    assert source("leads").received({"id_1c": "a", "link": text}).fields["link"] == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        *("javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//1c.example/", "1c.example", "", "x"),
        *("https://thief.example/", "https://1c.example.thief.example/", "https://thief.example/1c.example"),
        *("https://u:p@1c.example/", "https://1c.example\\@thief.example/", 'https://1c.example/#"><script>'),
        *(
            "https://1c.example/<b>",
            "e1cib/data/<script>",
            "e1cib/a b",
            "e1cibdata",
            "https://1c.example/" + "a" * 1000,
        ),
        *("https://1c.example/\u202efdp", "https://1c.example/\r\nx", " e1cib/\x00"),
    ],
)
def test_other_links_are_left_out(source, text):
    assert source("leads").received({"id_1c": "a", "link": text}).fields["link"] is None


def test_without_a_host_only_links_within_1c_are_kept():
    assert link("https://1c.example/", None) is None
    assert link(INNER, None) == INNER


def test_the_host_is_looked_up_for_web_links_only(source, asked):
    leads = source("leads")
    for text in (None, INNER, "x"):
        leads.received({"id_1c": "a", "link": text})
    assert asked == []
    leads.received({"id_1c": "a", "link": "https://1c.example/"})
    assert asked == [1]


# Texts and sums.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x00b\x1b[31m\x7f\u200bc", "ab[31mc"),
        ("\u202eтекст\u2066", "текст"),
        ("a\r\nb\tc\u2028d", "a b c d"),
        ("\ud800x", "x"),
        (" \n ", None),
        ("ab" * 100, "ab" * 5),
        ("123456789 1", "123456789"),
        (5, "5"),
        (None, None),
        (True, None),
    ],
)
def test_texts_are_one_harmless_line(text, expected):
    assert clean(text, 10) == expected


def test_1c_is_sent_nothing_that_its_xml_cannot_hold():
    payload = {"a": ["x\x02y\n", 5, None, True], "b\x02": {"c": "\ud800é👍"}}
    assert sent(payload) == {"a": ["xy\n", 5, None, True], "b\x02": {"c": "é👍"}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0.00"),
        (-0.0, "0.00"),
        ("", None),
        (None, None),
        (10**15, "1000000000000000.00"),
        ("0,005", "0.00"),
        (0.1 + 0.2, "0.30"),
    ],
)
def test_sums_have_two_places(value, expected):
    assert amount(value) == expected
