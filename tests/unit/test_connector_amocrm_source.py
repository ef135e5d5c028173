"""amoCRM as a source: nothing that changed is missed, whether filters work or not, and what is read of it."""

import random
from datetime import UTC, datetime, timedelta

import fakeredis
import pytest
import responses
import time_machine

from connectors.amocrm import AmoCrm
from connectors.amocrm_config import AmoCrmConfig
from connectors.amocrm_place import Place, slot
from connectors.base import Note, Secret, Window
from connectors.errors import Refused, Rejected, Transient
from tests.unit.amocrm_vendor import HOST, Vendor

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = int(NOW.timestamp())
SINCE = NOW - timedelta(hours=1)
BEGIN = SECOND - 3600


@pytest.fixture
def vendor():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield Vendor(mock)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def connect(vendor):
    def build(**changes):
        given = {"base_url": HOST, "token": Secret("t0k3n-of-the-account"), "page_rows": 20} | changes
        redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
        return AmoCrm(AmoCrmConfig(**given), redis, sleep=lambda _: None)

    return build


@pytest.fixture(params=[True, False], ids=["filters", "no filters"])
def vendor_either_way(vendor, request):
    vendor.has_filters = request.param
    return vendor


def pages_of(source, window, fields=(), between=lambda: None):
    pages, after = [], window.after_id
    for _ in range(500):
        page = source.page(Window(window.modified_since, window.created_since, after, window.conditions), fields)
        pages.append(page)
        between()
        if page.last:
            assert page.last_id is None
            return pages
        assert 0 < len(page.last_id) <= 128
        after = page.last_id
    raise AssertionError("a poll that does not end")


def ids_of(pages):
    return [int(row.id) for page in pages for row in page.rows]


# Everything that changed, once.


def test_everything_that_changed_since_comes_once(vendor_either_way, connect):
    old = [vendor_either_way.add("contacts", second=BEGIN - 5 - number) for number in range(50)]
    new = [vendor_either_way.add("contacts", second=BEGIN + number // 3) for number in range(130)]
    pages = pages_of(connect().source("contacts"), Window(SINCE))
    assert sorted(ids_of(pages)) == new
    assert not set(old) & set(ids_of(pages))


def test_what_changed_within_the_first_second_comes(vendor_either_way, connect):
    ids = [vendor_either_way.add("contacts", second=BEGIN), vendor_either_way.add("contacts", second=BEGIN - 1)]
    pages = pages_of(connect().source("contacts"), Window(SINCE + timedelta(milliseconds=900)))
    assert ids_of(pages) == ids[:1]


@pytest.mark.parametrize("number", [19, 20, 21, 39, 40, 41, 100])
def test_a_second_that_fills_whole_pages_is_read_to_its_end(vendor_either_way, connect, number):
    before = vendor_either_way.add("contacts", second=BEGIN + 9)
    same = [vendor_either_way.add("contacts", second=BEGIN + 10) for _ in range(number)]
    after = vendor_either_way.add("contacts", second=BEGIN + 11)
    assert sorted(ids_of(pages_of(connect().source("contacts"), Window(SINCE)))) == [before, *same, after]


def shuffle_ties(vendor):
    """Entities of one second have another order in each answer."""
    plain = vendor.paged

    def shuffled(name, rows, query, *, most):
        falling = ("order[updated_at]", "desc") in query
        if falling or ("order[updated_at]", "asc") in query:
            rows = sorted(rows, key=lambda row: (row["updated_at"], random.random()), reverse=falling)
        return plain(name, rows, query, most=most)

    vendor.paged = shuffled


def test_entities_of_one_second_may_come_in_any_order(vendor_either_way, connect):
    shuffle_ties(vendor_either_way)
    ids = [vendor_either_way.add("contacts", second=BEGIN + number // 7) for number in range(200)]
    assert sorted(ids_of(pages_of(connect().source("contacts"), Window(SINCE)))) == ids


def test_a_filter_whose_bound_is_exclusive_loses_nothing(vendor, connect, monkeypatch):
    from tests.unit import amocrm_vendor

    def exclusive(row, query):
        bounds = {key: int(value) for key, value in query if key.startswith("filter[updated_at]")}
        least, most = bounds.get("filter[updated_at][from]", 0), bounds.get("filter[updated_at][to]", SECOND * 2)
        return least < row["updated_at"] < most

    monkeypatch.setattr(amocrm_vendor, "matches", exclusive)
    ids = [vendor.add("contacts", second=BEGIN + max(0, number - 50)) for number in range(130)]
    assert sorted(ids_of(pages_of(connect().source("contacts"), Window(SINCE)))) == ids


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_missed_while_people_create_change_and_delete(vendor_either_way, connect, clock, seed):
    """What changes meanwhile may come in this poll or in the next one, which begins at the first answer's clock."""
    vendor, dice = vendor_either_way, random.Random(seed)
    ids = [vendor.add("contacts", second=BEGIN + dice.choice([1, 2, 30, number])) for number in range(300)]
    changed, deleted = set(), set()

    def people():
        clock.shift(1)
        for _ in range(dice.randrange(12)):
            id_ = dice.choice(ids)
            if id_ in vendor.tables["contacts"]:
                act = dice.random()
                if act < 0.5:
                    vendor.tables["contacts"][id_]["updated_at"] = vendor.now()
                    changed.add(id_)
                else:
                    del vendor.tables["contacts"][id_]
                    deleted.add(id_)

    source = connect().source("contacts")
    pages = pages_of(source, Window(SINCE), between=people)
    assert set(ids) - changed - deleted <= set(ids_of(pages))
    later = pages_of(source, Window(pages[0].server_time))
    assert changed - deleted <= set(ids_of(later))


def test_a_filter_that_is_ignored_is_noticed(vendor, connect):
    vendor.ignores_filters = True
    for number in range(100):
        vendor.add("contacts", second=BEGIN - 1000 + number)
    new = [vendor.add("contacts", second=BEGIN + number) for number in range(45)]
    assert sorted(ids_of(pages_of(connect().source("contacts"), Window(SINCE)))) == new
    assert len(vendor.sent("GET", "contacts")) < 6, "not everything is read"


def test_without_filters_reading_ends_at_the_windows_begin(vendor, connect):
    vendor.has_filters = False
    for number in range(1000):
        vendor.add("contacts", second=BEGIN - 1000 + number)
    new = [vendor.add("contacts", second=BEGIN + number) for number in range(5)]
    assert sorted(ids_of(pages_of(connect().source("contacts"), Window(SINCE)))) == new
    assert len(vendor.sent("GET", "contacts")) == 1


def test_a_poll_that_finds_nothing_is_one_call(vendor, connect):
    source = connect().source("contacts")
    source.page(Window(SINCE), ())
    before = len(vendor.calls)
    assert source.page(Window(SINCE), ()).rows == ()
    assert len(vendor.calls) == before + 1


def test_the_first_answers_clock_is_the_pages(vendor, connect, clock):
    vendor.add("contacts", second=BEGIN + 1)
    page = connect().source("contacts").page(Window(SINCE), ())
    assert abs(page.server_time - NOW) <= timedelta(seconds=2)
    assert page.server_time <= NOW


def test_a_page_out_of_order_is_not_believed(vendor, connect):
    rows = [{"id": 1, "updated_at": BEGIN + 5}, {"id": 2, "updated_at": BEGIN + 4}]
    vendor.on("GET", "contacts", (200, {"_links": {}, "_embedded": {"contacts": rows}}))
    with pytest.raises(Transient, match="out of order"):
        connect().source("contacts").page(Window(SINCE), ())


@pytest.mark.parametrize("row", [{"id": "1", "updated_at": 1}, {"id": 1}, {"id": 1, "updated_at": "yesterday"}])
def test_a_row_without_id_or_time_is_not_believed(vendor, connect, row):
    vendor.on("GET", "contacts", (200, {"_links": {}, "_embedded": {"contacts": [row]}}))
    with pytest.raises(Transient):
        connect().source("contacts").page(Window(SINCE), ())


def test_pages_that_hold_less_than_asked_for_do_not_go_round_in_circles(vendor, connect):
    vendor.most = 10
    for _ in range(60):
        vendor.add("contacts", second=BEGIN)
    with pytest.raises(Transient, match="page_rows"):
        pages_of(connect().source("contacts"), Window(SINCE))


def test_the_deleted_come_at_the_end_where_they_are_asked_for(vendor_either_way, connect):
    there = vendor_either_way.add("contacts", second=BEGIN + 1, name="Иван")
    for number in range(30):
        vendor_either_way.trash["contacts"][number + 1] = {"id": number + 1, "updated_at": BEGIN + number - 5}
    source = connect().source("contacts")
    for shown in vendor_either_way.trash["contacts"].values():
        shown["is_deleted"] = True
    assert ids_of(pages_of(source, Window(SINCE), ("name",))) == [there]
    rows = [row for page in pages_of(source, Window(SINCE), ("name", "is_deleted")) for row in page.rows]
    assert sorted(int(row.id) for row in rows if row.fields["is_deleted"]) == list(range(6, 31))
    assert [row.id for row in rows if not row.fields["is_deleted"]] == [str(there)]


@pytest.mark.parametrize("rows", [20, 50, 249, 250])
def test_pages_overlap_and_go_on(rows):
    covered = rows
    for _ in range(2000):
        limit, page = slot(covered, rows)
        assert limit <= rows
        assert (page - 1) * limit < covered < page * limit
        covered = page * limit


def test_a_place_is_what_it_was():
    place = Place("desc", 1, 2, 3).after((-9, 5))
    assert Place.parse(str(place)) == place


@pytest.mark.parametrize("number", [60, 300])
@pytest.mark.parametrize("is_deleted", [False, True], ids=["there", "deleted"])
def test_a_second_that_fills_whole_pages_is_read_to_its_end_in_whatever_order_it_comes(
    vendor_either_way, connect, number, is_deleted
):
    shuffle_ties(vendor_either_way)
    before = vendor_either_way.add("contacts", second=BEGIN + 9)
    old = [vendor_either_way.add("contacts", second=BEGIN - 1) for _ in range(30)]
    same = [vendor_either_way.add("contacts", second=BEGIN + 10) for _ in range(number)]
    after = [vendor_either_way.add("contacts", second=BEGIN + 11 + each) for each in range(25)]
    if is_deleted:
        vendor_either_way.trash["contacts"] = vendor_either_way.tables["contacts"]
        vendor_either_way.tables["contacts"] = {}
    found = ids_of(pages_of(connect().source("contacts"), Window(SINCE), ["is_deleted"]))
    assert set(found) == {before, *same, *after}
    assert not set(found) & set(old)


@pytest.mark.parametrize("name", ["status_id", "created_at"])
def test_a_page_of_which_nothing_is_wanted_is_one_call_and_moves_the_cursor(vendor_either_way, connect, name):
    """Whatever fails later, it is not read again."""
    ids = [vendor_either_way.add("leads", second=BEGIN + each, **{name: BEGIN - 9}) for each in range(100)]
    vendor_either_way.tables["leads"][ids[50]][name] = SECOND
    window = Window(SINCE, created_since=SINCE, conditions={"status_id": [str(SECOND)]} if name == "status_id" else {})
    pages = pages_of(connect().source("leads"), window)
    assert ids_of(pages) == ids[50:51]
    assert len(pages) >= len(vendor_either_way.sent("GET", "leads")) > 4


# Conditions.


def test_conditions_and_the_time_of_creation_are_checked_by_us(vendor_either_way, connect):
    yes = vendor_either_way.add("leads", second=BEGIN + 5, status_id=142, created_at=BEGIN)
    vendor_either_way.add("leads", second=BEGIN + 5, status_id=11, created_at=BEGIN)
    vendor_either_way.add("leads", second=BEGIN + 5, status_id=142, created_at=BEGIN - 1)
    window = Window(SINCE, created_since=SINCE, conditions={"status_id": ("142", "143")})
    pages = pages_of(connect().source("leads"), window)
    assert ids_of(pages) == [yes]


def test_a_condition_may_be_on_a_field_that_was_not_asked_for_and_does_not_change_the_row(vendor, connect):
    vendor.field("contacts", "CITY")
    yes, no, none = (vendor.add("contacts", fields=fields) for fields in ({"CITY": "A"}, {"CITY": "B"}, {}))
    source, conditions = connect().source("contacts"), {"CITY": ("A",)}
    (row,) = source.page(Window(SINCE, conditions=conditions), ()).rows
    assert source.read([str(yes)], (), {}) == (row,)
    assert source.read([str(yes), str(no), str(none)], (), conditions) == (row,)


def test_a_condition_on_a_field_that_does_not_exist_is_refused(vendor, connect):
    source, conditions = connect().source("leads"), {"MISTYPED": ("1",)}
    with pytest.raises(Refused, match="leads have no field MISTYPED"):
        source.page(Window(SINCE, conditions=conditions), ("main_contact",))
    with pytest.raises(Refused, match="MISTYPED"):
        source.read([str(vendor.add("leads"))], (), conditions)


# What a row shows.


def test_a_contact_shows_its_fields_by_number_and_by_the_codes_asked_for(vendor, connect):
    vendor.field("contacts", "CITY")
    nameless, size = vendor.field("contacts", None), vendor.field("contacts", "SIZE")
    company = vendor.add("companies")
    contact = vendor.add(
        "contacts",
        name="Иван",
        companies=[company],
        fields={"PHONE": ["+79990000001", "8 999 000-00-02"], "EMAIL": "ivan@example.com", "CITY": ["Казань", "Уфа"]},
    )
    vendor.write("contacts", vendor.tables["contacts"][contact], {"field_id": nameless, "values": [{"value": 5}]})
    vendor.put("contacts", contact, {"PAROM_ID_1C": "a1", "PAROM_STATUS": "Успешно", "SIZE": ["S", "M"]})
    codes = ("name", "PHONE", "values", "CITY", str(nameless), "PAROM_STATUS", "PAROM_ID_1C", "PAROM_LINK_1C")
    (row,) = connect().source("contacts").read([str(contact)], codes, {})
    assert row.modified == row.created == NOW
    assert row.fields == {
        "id": contact,
        "name": "Иван",
        "responsible_user_id": 7,
        "is_deleted": False,
        "PHONE": ["+79990000001", "8 999 000-00-02"],
        "EMAIL": ["ivan@example.com"],
        "company_id": company,
        "CITY": "Казань",
        str(nameless): 5,
        "PAROM_STATUS": "Успешно",
        "PAROM_ID_1C": "a1",
        "PAROM_LINK_1C": None,
        "values": {str(size): ["S", "M"]},
    }


def test_an_entity_without_anything_is_no_mistake(vendor, connect):
    id_ = vendor.add("companies")
    (row,) = connect().source("companies").read([str(id_)], ("values", "PHONE"), {})
    assert (row.fields["values"], row.fields["PHONE"]) == ({}, [])
    assert "company_id" not in row.fields


def test_a_note_is_no_change_of_what_is_read(vendor, connect):
    id_ = str(vendor.add("contacts", name="Иван"))
    source = connect().source("contacts")
    (before,) = source.read([id_], ("name", "values"), {})
    assert source.write_notes("PAROM_STATUS", [Note(id_, "Успешно", target_id="a1", link="https://1c.example/1")]) == [
        None
    ]
    (after,) = source.read([id_], ("name", "values"), {})
    assert after.fields == before.fields


def test_a_lead_comes_with_its_main_contact_and_company(vendor_either_way, connect):
    vendor = vendor_either_way
    inn = str(vendor.field("companies", "INN"))
    main, other = vendor.add("contacts", name="Иван"), vendor.add("contacts")
    company = vendor.add("companies", name="Ромашка", fields={"INN": "7700000001"})
    lead = vendor.add("leads", contacts=[main, other], companies=[company], price=500)
    bare, gone = vendor.add("leads"), vendor.add("leads", contacts=[999], companies=[998])
    fields = ("price", "main_contact", "company", inn)
    rows = connect().source("leads").read([str(lead), str(bare), str(gone)], fields, {})
    shown = {int(row.id): row.fields for row in rows}
    assert shown[lead]["price"] == 500
    assert (shown[lead]["main_contact"]["id"], shown[lead]["main_contact"]["name"]) == (main, "Иван")
    assert (shown[lead]["company"]["id"], shown[lead]["company"][inn]) == (company, "7700000001")
    for id_ in (bare, gone):
        assert (shown[id_]["main_contact"], shown[id_]["company"]) == (None, None)


def test_contacts_and_companies_of_a_page_are_read_together(vendor, connect):
    company = vendor.add("companies")
    for number in range(100):
        vendor.add("leads", contacts=[vendor.add("contacts")], companies=[company], second=BEGIN + number)
    pages_of(connect(page_rows=250).source("leads"), Window(SINCE), ("main_contact", "company"))
    assert len(vendor.sent("GET", "contacts")) == 1
    assert len(vendor.sent("GET", f"companies/{company}")) == 1
    assert len(vendor.calls) < 7


@pytest.mark.parametrize("number", [1, 3, 200])
def test_where_contacts_are_read_one_by_one_a_page_shows_few_leads(vendor, connect, number):
    """`number`: of leads that changed in the same second."""
    vendor.has_filters = False
    leads = [
        vendor.add("leads", contacts=[vendor.add("contacts", second=BEGIN - 1)], second=BEGIN + each // number)
        for each in range(90)
    ]
    paced = {"requests_per_second": 10_000.0, "account_requests_per_second": 10_000.0}
    source, after, found = connect(page_rows=60, **paced).source("leads"), None, []
    for _ in range(50):
        before = len(vendor.calls)
        page = source.page(Window(SINCE, after_id=after), ("main_contact",))
        assert len(vendor.calls) - before < 25
        found += page.rows
        after = page.last_id
        if page.last:
            break
    assert sorted({int(row.id) for row in found}) == leads
    assert all(row.fields["main_contact"] for row in found)


def test_nobody_asks_for_what_was_not_asked_for(vendor, connect):
    vendor.add("leads", contacts=[vendor.add("contacts")])
    pages_of(connect().source("leads"), Window(SINCE), ("price",))
    assert vendor.sent("GET", "contacts") == []


def test_a_field_that_does_not_exist_is_refused(vendor, connect):
    with pytest.raises(Refused, match="MISTYPED"):
        connect().source("contacts").page(Window(SINCE), ("MISTYPED",))
    with pytest.raises(Refused, match="contacts and companies"):
        connect().source("leads").page(Window(SINCE), ("MISTYPED", "main_contact", "company"))


def test_fields_are_found_beyond_the_first_page_of_them(vendor, connect):
    for number in range(120):
        vendor.field("contacts", f"F{number}")
    id_ = vendor.add("contacts", fields={"F119": "x"})
    (row,) = connect().source("contacts").read([str(id_)], ("F119",), {})
    assert row.fields["F119"] == "x"


# By ids.


def test_reading_by_ids_asks_for_many_at_once(vendor, connect):
    ids = [vendor.add("contacts") for _ in range(150)]
    rows = connect().source("contacts").read([*map(str, ids), "abc", "9" * 30], (), {})
    assert [int(row.id) for row in rows] == ids
    assert len(vendor.sent("GET", "contacts")) == 2


def test_the_deleted_are_absent_and_that_is_made_sure_of(vendor_either_way, connect):
    there, gone = vendor_either_way.add("contacts"), "7777"
    rows = connect().source("contacts").read([str(there), gone], (), {})
    assert [int(row.id) for row in rows] == [there]
    assert len(vendor_either_way.sent("GET", f"contacts/{gone}")) == 1


def test_a_list_of_ids_that_is_ignored_is_noticed(vendor, connect):
    vendor.ignores_filters = True
    ids = [vendor.add("contacts") for _ in range(10)]
    rows = connect().source("contacts").read(list(map(str, ids[:3])), (), {})
    assert [int(row.id) for row in rows] == ids[:3]


# Notes.


def test_a_note_brings_the_text_the_id_and_the_link_in_one_write(vendor, connect):
    ids = [vendor.add("leads") for _ in range(3)]
    notes = [
        Note(str(ids[0]), "Успешно", target_id="a1", link="https://1c.example/1"),
        Note(str(ids[1]), "Ошибка"),
        Note(str(ids[2]), "", link="e1cib/data/1"),
    ]
    assert connect().source("leads").write_notes("PAROM_STATUS", notes) == [None] * 3
    assert len(vendor.bodies("PATCH", "leads")) == 1
    shown = [[vendor.values("leads", id_, f"PAROM_{name}") for name in ("STATUS", "ID_1C", "LINK_1C")] for id_ in ids]
    assert shown == [[["Успешно"], ["a1"], ["https://1c.example/1"]], [["Ошибка"], [], []], [[], [], []]]


def test_a_status_field_may_be_named_by_its_number(vendor, connect):
    id_, field = vendor.add("contacts"), str(vendor.id_of("contacts", "PAROM_STATUS"))
    assert connect().source("contacts").write_notes(field, [Note(str(id_), "Успешно")]) == [None]
    assert vendor.values("contacts", id_, "PAROM_STATUS") == ["Успешно"]


def test_the_note_of_what_is_not_there_is_rejected_and_the_others_are_written(vendor, connect):
    there = vendor.add("contacts")
    notes = [Note("777", "x"), Note("abc", "x"), Note(str(there), "Успешно")]
    gone, impossible, written = connect().source("contacts").write_notes("PAROM_STATUS", notes)
    assert isinstance(gone, Rejected)
    assert isinstance(impossible, Rejected)
    assert written is None
    assert "не найдена" in gone.told


def test_a_note_whose_answer_was_lost_is_simply_written_again(vendor, connect):
    id_ = vendor.add("contacts")
    vendor.on("PATCH", "contacts", (504, "<html>"), lambda _: None)
    assert connect().source("contacts").write_notes("PAROM_STATUS", [Note(str(id_), "Успешно")]) == [None]


@pytest.mark.parametrize("body", ["[]", "null", {"title": "Internal error", "status": 500}], ids=str)
def test_an_answer_that_tells_of_no_entity_does_not_make_them_gone(vendor, connect, body):
    ids = [vendor.add("contacts") for _ in range(2)]
    vendor.on("PATCH", "contacts", (200, body))
    results = connect().source("contacts").write_notes("PAROM_STATUS", [Note(str(id_), "x") for id_ in ids])
    assert [type(result) for result in results] == [Transient, Transient]


def test_a_status_field_that_does_not_exist_is_refused_for_every_note(vendor, connect):
    results = connect().source("contacts").write_notes("NO_SUCH", [Note("1", "x"), Note("2", "x")])
    assert [type(result) for result in results] == [Refused, Refused]


def test_nothing_is_pushed(connect):
    with pytest.raises(NotImplementedError):
        connect().source("contacts").received({})
