"""Parents: a ticket needs its client first. One failed client holds its own tickets and nobody else's."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.errors import InDoubt
from tasks import resync, upkeep
from tasks.resync import Choice
from tests import siblings


@pytest.fixture
def family(ledger, redis):
    return siblings.build_family(ledger, redis)


def sell(tickets, ticket_id, client_id, name="абонемент"):
    tickets.source.edit(ticket_id, ID=ticket_id, NAME=name, CLIENT=client_id)


def created(world):
    return [key for verb, key in world.target.calls if verb == "create"]


def test_a_ticket_follows_its_client(family):
    students, tickets = family
    students.source.edit("1", ID="1", NAME="Анна")
    sell(tickets, "10", "1")
    tickets.poll()
    students.poll()
    tickets.work()
    assert tickets.target.held["10"]["client"] == "1"
    assert tickets.source.notes == {"10": "Успешно"}


def test_a_client_older_than_the_start_is_brought_on_demand(family):
    students, tickets = family
    students.source.edit("1", ID="1", NAME="Анна")
    students.source.rows["1"] = replace(students.source.rows["1"], created=students.flow.since - timedelta(days=1))
    students.run()
    assert students.target.held == {}
    sell(tickets, "10", "1")
    tickets.run()
    assert set(students.target.held) == {"1"}
    assert set(tickets.target.held) == {"10"}


def test_with_the_switch_off_an_old_client_is_not_brought_and_the_manager_is_told(ledger, redis):
    students, tickets = siblings.build_family(ledger, redis, brings_parents=False)
    students.source.edit("1", ID="1", NAME="Анна")
    students.source.rows["1"] = replace(students.source.rows["1"], created=students.flow.since - timedelta(days=1))
    sell(tickets, "10", "1")
    students.run()
    tickets.run()
    assert students.target.held == {}
    assert tickets.record("10").state == "waiting"
    assert "students 1" in tickets.record("10").detail
    assert tickets.source.notes["10"] == "Ожидает: контакт 1 ещё не передан (создан раньше начала синхронизации)"


def test_with_the_switch_off_a_client_entered_by_hand_is_enough(ledger, redis):
    students, tickets = siblings.build_family(ledger, redis, brings_parents=False)
    students.target.held["1"] = {"key": "1", "name": "Анна"}
    sell(tickets, "10", "1")
    tickets.run()
    assert set(tickets.target.held) == {"10"}


def test_a_failed_client_holds_its_tickets_and_nobody_elses(family):
    students, tickets = family
    students.source.edit("1", ID="1", NAME="")
    students.source.edit("2", ID="2", NAME="Мария")
    for ticket_id, client_id in (("10", "1"), ("11", "2"), ("12", "1")):
        sell(tickets, ticket_id, client_id)
    students.run()
    tickets.run()
    assert set(tickets.target.held) == {"11"}
    assert {tickets.record(n).state for n in ("10", "12")} == {"waiting"}
    assert tickets.source.notes == {"11": "Успешно"}


def test_mending_the_client_releases_its_tickets_in_order(family):
    students, tickets = family
    students.source.edit("1", ID="1", NAME="")
    for n in range(10, 16):
        sell(tickets, str(n), "1")
    students.run()
    tickets.run()
    students.source.edit("1", NAME="Анна")
    students.run()
    assert created(tickets) == [str(n) for n in range(10, 16)]
    assert set(tickets.source.notes.values()) == {"Успешно"}


def test_a_ticket_that_waits_for_long_tells_its_manager(family):
    students, tickets = family
    students.source.edit("1", ID="1", NAME="")
    sell(tickets, "10", "1")
    students.run()
    tickets.run()
    assert tickets.source.notes == {}
    tickets.later(hours=2)
    upkeep.upkeep(tickets.runtime)
    tickets.work()
    assert tickets.source.notes["10"].startswith("Ожидает: контакт 1 ещё не передан (в нём ошибка")


def test_a_ticket_of_a_deleted_contact_says_so_at_once(family):
    _, tickets = family
    sell(tickets, "10", "404")
    tickets.run()
    assert tickets.record("10").state == "waiting"
    assert tickets.source.notes["10"] == "Ожидает: контакт 404 ещё не передан (не найден)"


def test_a_ticket_of_a_merged_contact_goes_to_the_survivor(family):
    students, tickets = family
    students.source.edit("2", ID="2", NAME="Анна")
    students.run()
    sell(tickets, "10", "1")
    tickets.poll()
    # The merge points the deal to the survivor without marking it changed.
    old = tickets.source.rows["10"]
    tickets.source.rows["10"] = replace(old, fields={**old.fields, "CLIENT": "2"})
    tickets.work()
    assert tickets.target.held["10"]["client"] == "2"


def test_what_was_created_without_a_parent_waits_for_the_one_that_an_update_names(family):
    students, tickets = family
    tickets.target.updates = True
    sell(tickets, "10", None)
    tickets.run()
    students.source.edit("1", ID="1", NAME="")
    sell(tickets, "10", "1")
    students.run()
    tickets.run()
    assert tickets.record("10").state == "waiting"
    assert tickets.target.held["10"]["client"] is None
    students.source.edit("1", NAME="Анна")
    students.run()
    assert tickets.target.held["10"]["client"] == "1"
    assert tickets.record("10").state == "done"


def test_an_update_whose_parent_the_target_lost_brings_it_again(family):
    students, tickets = family
    tickets.target.updates = True
    students.source.edit("1", ID="1", NAME="Анна")
    sell(tickets, "10", "1")
    students.run()
    tickets.run()
    del students.target.held["1"]
    sell(tickets, "10", "1", name="другой")
    tickets.run()
    assert set(students.target.held) == {"1"}
    assert tickets.target.held["10"]["name"] == "другой"


def test_a_sold_ticket_is_never_rewritten(family):
    students, tickets = family
    students.source.edit("1", ID="1", NAME="Анна")
    sell(tickets, "10", "1")
    students.run()
    tickets.run()
    tickets.source.edit("10", NAME="другой")
    tickets.run()
    assert tickets.target.held["10"]["name"] == "абонемент"
    tickets.source.edit("10", NAME="")
    tickets.run()
    assert tickets.source.notes == {"10": "Успешно"}
    assert created(tickets) == ["10"]


def test_a_ticket_that_exists_already_is_taken_as_ours(family):
    students, tickets = family
    tickets.target.held["10"] = {"key": "10", "name": "старый"}
    sell(tickets, "10", "1")
    tickets.run()
    assert tickets.record("10").state == "done"
    assert created(tickets) == []


def test_a_ticket_deleted_in_the_target_comes_back_by_a_resync(family):
    students, tickets = family
    students.source.edit("1", ID="1", NAME="Анна")
    sell(tickets, "10", "1")
    students.run()
    tickets.run()
    tickets.target.held.clear()
    resync.resync(tickets.runtime, "tickets", Choice(ids=("10",)))
    tickets.work()
    assert set(tickets.target.held) == {"10"}


def test_a_client_that_a_person_deleted_in_the_target_is_delivered_again_first(family):
    students, tickets = family
    students.source.edit("1", ID="1", NAME="Анна")
    students.run()
    students.target.held.clear()
    sell(tickets, "10", "1")
    tickets.run()
    assert set(students.target.held) == {"1"}
    assert set(tickets.target.held) == {"10"}


def test_a_client_that_is_parked_and_deleted_in_the_target_makes_its_ticket_wait_and_not_hammer(family):
    students, tickets = family
    students.source.edit("1", ID="1", NAME="Анна")
    students.run()
    students.source.edit("1", NAME="bug")
    students.run()
    students.target.held.clear()
    sell(tickets, "10", "1")
    tickets.run()
    assert tickets.record("10").state == "waiting"
    assert created(tickets) == ["10"]


def test_a_parent_that_lands_while_its_child_looks_for_it_is_not_missed(family):
    students, tickets = family
    students.source.edit("1", ID="1", NAME="")
    students.run()
    sell(tickets, "10", "1")
    tickets.poll()
    read = tickets.source.read

    def land(ids, fields, conditions):
        students.source.edit("1", NAME="Анна")
        students.run()
        return read(ids, fields, conditions)

    tickets.source.read = land  # asked after the child has found its parent wanting
    tickets.work()
    assert set(tickets.target.held) == {"10"}


def test_a_ticket_that_turns_wrong_while_it_is_created_stays_sold_and_says_so(family):
    students, tickets = family
    students.source.edit("1", ID="1", NAME="Анна")
    students.run()
    sell(tickets, "10", "1")

    def spoil():
        tickets.target.during_write = None
        tickets.later(seconds=1)
        sell(tickets, "10", "1", name="")
        tickets.poll()

    tickets.target.during_write = spoil
    tickets.run()
    assert created(tickets) == ["10"]
    assert tickets.source.notes == {"10": "Успешно"}
    assert tickets.events("10")[-2:] == ["kept", "noted"]


def test_a_sold_ticket_that_is_not_visible_yet_is_not_sold_again_by_a_resync(family):
    students, tickets = family
    students.source.edit("1", ID="1", NAME="Анна")
    students.run()
    sell(tickets, "10", "1")
    tickets.run()
    tickets.target.settle = timedelta(seconds=60)
    hidden = tickets.target.held.pop("10")
    resync.resync(tickets.runtime, "tickets", Choice(ids=("10",)))
    tickets.work()
    assert created(tickets) == ["10"]
    tickets.target.held["10"] = hidden
    tickets.later(minutes=3)
    tickets.work()
    assert created(tickets) == ["10"]
    assert tickets.events("10")[-1] == "found"


def test_a_client_that_the_target_does_not_show_yet_is_not_created_again_for_its_ticket(family):
    students, tickets = family
    students.source.edit("1", ID="1", NAME="Анна")
    students.run()
    students.target.settle = timedelta(seconds=60)
    hidden = students.target.held.pop("1")
    sell(tickets, "10", "1")
    tickets.run()
    students.target.held["1"] = hidden
    students.later(minutes=3)
    tickets.work()
    assert created(students) == ["1"]
    assert "10" in tickets.target.held


def test_what_a_person_deleted_in_the_target_is_created_again_once_it_has_settled(family):
    students, tickets = family
    students.source.edit("1", ID="1", NAME="Анна")
    students.run()
    students.target.settle = timedelta(seconds=60)
    del students.target.held["1"]
    students.later(seconds=1)
    students.source.edit("1", NAME="Мария")
    students.run()
    assert created(students) == ["1"]
    students.later(minutes=3)
    students.work()
    assert created(students) == ["1", "1"]


def test_a_ticket_that_turns_wrong_while_its_answer_is_lost_stays_sold_and_says_so(family):
    students, tickets = family
    students.source.edit("1", ID="1", NAME="Анна")
    students.run()
    sell(tickets, "10", "1")
    tickets.target.lost_answers.append(InDoubt("no answer"))
    tickets.run()
    tickets.later(seconds=1)
    sell(tickets, "10", "1", name="")
    tickets.poll()
    tickets.later(minutes=5)
    tickets.work()
    assert created(tickets) == ["10"]
    assert tickets.source.notes == {"10": "Успешно"}
    assert tickets.record("10").state == "done"


def test_a_ticket_that_begins_to_wait_no_longer_says_that_all_is_well(family):
    students, tickets = family
    students.source.edit("1", ID="1", NAME="-")
    students.run()
    sell(tickets, "10", "1", name="-")
    tickets.run()
    assert tickets.source.notes == {"10": "Успешно"}
    tickets.later(minutes=1)
    sell(tickets, "10", "1")
    tickets.run()
    assert tickets.record("10").state == "waiting"
    assert tickets.source.notes["10"].startswith("Ожидает")


def test_a_client_that_turned_wrong_while_its_answer_was_lost_is_there_for_its_tickets(family):
    students, tickets = family
    students.target.settle = timedelta(seconds=60)
    students.source.edit("1", ID="1", NAME="Анна")
    students.target.lost_answers.append(InDoubt("no answer"))
    students.run()
    students.later(seconds=1)
    students.source.edit("1", NAME="")
    sell(tickets, "10", "1")
    tickets.run()
    assert tickets.record("10").state == "waiting"
    students.poll()
    students.later(minutes=5)
    students.work()
    assert students.record("1").state == "rejected"
    assert students.record("1").delivered_version is None  # nobody knows which
    assert created(tickets) == ["10"]
    students.source.edit("1", NAME="Мария")
    students.run()
    assert students.target.held["1"]["name"] == "Мария"
    assert created(students) == ["1"]
