"""The story of trade: 1C pushes to amoCRM through our API, amoCRM's people reach 1C, and neither side echoes."""

from collections import Counter

import pytest

from tests.e2e.test_students import on_postgresql
from tests.harbour import wait_until
from tests.trade import Fire, Trade, Volume, assert_both_sides_agree

PERSON = {"name": "Иван Выдуманный", "phone": "+7 (999) 000-00-01", "email": "ivan@people.example"}
FIRM = {"name": "ООО «Дебют»", "inn": "0090000015"}


@pytest.fixture
def idle(harbour):
    return Trade(harbour).bind()


@pytest.fixture
def trade(idle):
    idle.harbour.start_working()
    return idle


def deal_in_1c(trade):
    contact, company = trade.person_in_1c("individuals", **PERSON), trade.person_in_1c("legals", **FIRM)
    order = trade.person_in_1c("orders", name="Абонемент", budget="12600", contact=contact, company=company)
    return contact, company, order


def ids_in_amo(trade):
    return {row["id_1c"]: row["amo_id"] for table in ("counterparties", "orders") for row in trade.base(table).values()}


@pytest.mark.outside(trade=True)
def test_what_1c_pushes_is_in_amocrm_and_the_answers_say_where(trade):
    contact, company, order = deal_in_1c(trade)
    for event_name, fields in (("part_payment", {"sum": "600"}), ("payment", {}), ("shipment", {})):
        trade.book(order, event_name, **fields)
    told = trade.push(repeat=1.0)
    assert (told["outcomes"], told["left"]) == ({"delivered": 6}, 0), told
    assert (told["repeats"], told["changed_ids"]) == ({"sent": 6, "different": 0}, [])
    ids = ids_in_amo(trade)
    assert set(ids) == {contact, company, order}
    assert (ids[contact] in trade.amo("contacts"), ids[company] in trade.amo("companies")) == (True, True)
    assert trade.amo("leads")[ids[order]]["price"] == 12600
    assert len(trade.sandbox.rows("amocrm", "notes")) == 3
    trade.rest()
    assert_both_sides_agree(trade.harbour)
    before = trade.writes()
    trade.rest()
    assert trade.writes() == before, "at rest nothing is written anywhere"


def deal_in_amo(trade):
    contact = trade.person_in_amo(
        "contacts", name="Анна Придуманная", phones=["8 999 000-00-02"], emails=["a@amo.example"]
    )
    company = trade.person_in_amo("companies", name="АО «Гамбит»", fields={"INN": "0090000022"})
    lead = trade.person_in_amo("leads", name="Заявка", price=9000, contacts=[contact], company_id=company)
    return contact, company, lead


def field(row, code):
    held = [each["values"] for each in row["custom_fields_values"] or () if each["field_code"] == code]
    return held[0][0]["value"] if held else None


@pytest.mark.outside(trade=True)
def test_what_people_enter_in_amocrm_is_in_1c_parents_first_and_its_id_comes_back(trade):
    trade.sandbox.post("/switches/onec_handlers", link_shape="https")
    contact, company, lead = deal_in_amo(trade)
    wait_until(lambda: len(trade.base("orders")) == 1, "the order is in 1C")
    asked = [entry for entry in trade.sandbox.journal() if entry["system"] == "onec_handlers" and entry["committed"]]
    assert [entry["method"] for entry in asked[:3]] == ["new_lead", "new_lead", "new_order"]
    trade.rest()
    assert_both_sides_agree(trade.harbour)
    (order,) = trade.base("orders").values()
    shown = trade.amo("leads")[lead]
    told = [field(shown, f"PAROM_{name}") for name in ("ID_1C", "LINK_1C", "STATUS")]
    assert told == [order["id_1c"], order["link"], "Успешно"]
    assert ids_in_amo(trade)[order["contact_id_1c"]] == contact
    assert ids_in_amo(trade)[order["company_id_1c"]] == company
    before = trade.writes()
    trade.rest()
    assert trade.writes() == before, "at rest nothing is written anywhere"
    told = Counter(method for system, method, _ in before if system == "onec_handlers")
    assert told == {"new_lead": 2, "new_order": 1}, "of what people entered in amoCRM 1C is told once"


@pytest.mark.outside(trade=True)
def test_edits_on_both_sides_at_once_end_alike(trade):
    people = [trade.person_in_1c("individuals", name=f"Лев {number}") for number in range(6)]
    _, company, order = deal_in_1c(trade)
    kopecks = trade.person_in_1c("orders", name="Абонемент", budget="12600.50")
    trade.rest()
    ids = ids_in_amo(trade)
    for number, id_1c in enumerate(people):
        trade.edit_in_1c("counterparties", id_1c, name=f"Лев {number} из 1С", phone=f"+7 999 000-01-0{number}")
        trade.edit_in_amo("contacts", ids[id_1c], name=f"Лев {number} из amoCRM", phones=[f"8 999 000-02-0{number}"])
    trade.edit_in_amo("companies", ids[company], name="АО «Рокировка»")
    trade.edit_in_1c("counterparties", company, name="АО «Эндшпиль»")
    other = trade.person_in_amo("contacts", name="Другой Покупатель", phones=["+7 999 000-03-00"])
    trade.edit_in_1c("orders", order, budget="15000")
    trade.edit_in_amo("leads", ids[order], price=16000, contacts=[other])
    trade.edit_in_amo("leads", ids[kopecks], contacts=[other])
    trade.rest()
    assert_both_sides_agree(trade.harbour)
    assert trade.amo("leads")[ids[order]]["price"] in (15000, 16000)
    shown = trade.base("orders")[kopecks]
    assert (ids_in_amo(trade)[shown["contact_id_1c"]], shown["budget"]) == (other, "12600.50")


@pytest.mark.outside(trade=True, base_of_trade="repeats_are_safe = false")
def test_in_a_base_that_doubles_what_is_repeated_a_lost_answer_is_found_by_its_echo(trade):
    trade.sandbox.post("/faults", system="onec_handlers", match="^POST", action="reset_after")
    trade.person_in_amo("contacts", name="Анна Придуманная", phones=["8 999 000-00-02"])
    wait_until(lambda: trade.base("counterparties"), "the counterparty is there, and its writer does not know")
    trade.rest()
    assert_both_sides_agree(trade.harbour)
    assert len(trade.base("counterparties")) == 1
    assert trade.harbour.status("contacts")["by_state"] == {"done": 1}


@pytest.mark.outside(trade=True)
def test_while_amocrm_is_away_1c_is_told_to_ask_again_and_gets_the_id_later(trade):
    away = trade.sandbox.post("/faults", system="amocrm", action="reset_before", times=None)["id"]
    person = trade.person_in_1c("individuals", **PERSON)
    told = trade.push()
    assert (told["statuses"], told["codes"], told["left"]) == ({"202": 1}, {"ACCEPTED": 1}, 1)
    assert trade.amo("contacts") == {}
    trade.sandbox.session.delete(f"{trade.sandbox.addresses['admin']}/faults/{away}", timeout=10)
    wait_until(lambda: len(trade.amo("contacts")) == 1, "the contact arrives by itself", patience=120)
    wait_until(trade.is_quiet, "it is settled")
    assert trade.push()["outcomes"] == {"delivered": 1}
    assert ids_in_amo(trade)[person] in trade.amo("contacts")
    trade.rest()
    assert_both_sides_agree(trade.harbour)


@on_postgresql
@pytest.mark.timeout(400)
@pytest.mark.outside(trade=True)
def test_both_sides_agree_after_kills_and_dropped_answers(idle):
    idle.sandbox.post("/switches/onec_handlers", repeats="same")
    idle.sandbox.post("/switches/amocrm", search_lag_s=1.0)
    volume = Volume(counterparties=60, orders=30, events=90)
    volume.enter(idle.sandbox)
    idle.harbour.start_working(workers=2)
    fire = Fire(idle)
    fire.burn(volume, kills=3)
    idle.rest()
    assert_both_sides_agree(idle.harbour)
