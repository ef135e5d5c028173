"""Companies, links, duplicates and custom fields (facts/bitrix24.md §6.4, §6.5, §8, §9)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.bitrix24.links import Link, sides
from tests.unit.test_sandbox_bitrix24 import NOON, Caller


@pytest.fixture
def crm():
    return Caller()


def company(crm, **fields):
    return crm.result("crm.company.add", fields=fields)


def contact(crm, **fields):
    return crm.result("crm.contact.add", fields=fields)


def linked(crm, method, owner, code):
    """Ids and which of them is primary."""
    rows = crm.result(f"{method}.items.get", id=owner)
    return [row[code] for row in rows], [row[code] for row in rows if row["IS_PRIMARY"] == "Y"]


def companies_of(crm, row_id):
    return linked(crm, "crm.contact.company", row_id, "COMPANY_ID")


def contacts_of(crm, row_id, owner="company"):
    return linked(crm, f"crm.{owner}.contact", row_id, "CONTACT_ID")


# Companies.


def test_a_company_is_added_changed_listed_and_deleted(crm):
    row_id = company(crm, TITLE="Ладья", PHONE=[{"VALUE": "+374"}], UF_CRM_1723100288587="guid-1", COLOUR=1)
    crm.result("crm.company.update", id=row_id, fields={"COMMENTS": "50 %", "HAS_PHONE": "N"})
    (row,) = crm.result("crm.company.list", filter={"=UF_CRM_1723100288587": "guid-1"}, select=["*", "UF_*"])
    assert (row["TITLE"], row["COMMENTS"], row["HAS_PHONE"], row["COMPANY_TYPE"]) == ("Ладья", "50 %", "Y", "CUSTOMER")
    assert crm.result("crm.company.delete", id=row_id) is True
    assert crm("crm.company.delete", id=row_id)[1] == {"error": "", "error_description": "Company is not found"}


def test_a_person_creates_and_edits_a_company(crm):
    row_id = int(crm.hands.create("companies", {"TITLE": "Ладья"})["ID"])
    assert crm.hands.edit("companies", row_id, {"TITLE": "Ферзь"})["MODIFY_BY_ID"] == "12"
    assert [row["TITLE"] for row in crm.portal.rows("companies")] == ["Ферзь"]


def test_write_only_fields_are_described_and_never_shown(crm):
    row_id = company(crm, TITLE="Ладья", CONTACT_ID=[contact(crm)])
    assert crm.result("crm.company.fields")["CONTACT_ID"]["isMultiple"] is True
    assert "CONTACT_ID" not in crm.result("crm.company.get", id=row_id)
    assert "CONTACT_ID" not in crm.result("crm.company.list", select=["CONTACT_ID", "ID"])[0]
    assert len(crm.result("crm.company.list", filter={"CONTACT_ID": 77})) == 1


# Links.


def test_both_ends_see_a_link(crm):
    person, first, second = contact(crm), company(crm), company(crm)
    assert crm.result("crm.contact.company.add", id=person, fields={"COMPANY_ID": first}) is True
    assert crm.result("crm.contact.company.add", id=person, fields={"COMPANY_ID": first}) is False
    crm.result("crm.company.contact.add", id=second, fields={"CONTACT_ID": person})
    assert companies_of(crm, person) == ([first, second], [first])
    assert contacts_of(crm, second) == ([person], [person])
    assert crm.result("crm.contact.get", id=person)["COMPANY_ID"] == str(first)
    (link, _) = crm.result("crm.contact.company.items.get", id=person)
    assert link == {"COMPANY_ID": first, "SORT": 10, "ROLE_ID": 0, "IS_PRIMARY": "Y"}


def test_setting_replaces_the_set_and_names_a_primary(crm):
    person, first, second, third = contact(crm), company(crm), company(crm), company(crm)
    crm.result("crm.contact.company.items.set", id=person, items=[{"COMPANY_ID": first}, {"COMPANY_ID": second}])
    assert companies_of(crm, person) == ([first, second], [first])
    items = [{"COMPANY_ID": second, "SORT": 30}, {"COMPANY_ID": third, "SORT": 20, "IS_PRIMARY": "Y"}]
    crm.result("crm.contact.company.items.set", id=person, items=items)
    assert companies_of(crm, person) == ([third, second], [third])
    assert contacts_of(crm, first) == ([], [])
    assert crm.result("crm.contact.get", id=person)["COMPANY_ID"] == str(third)
    crm.result("crm.contact.company.items.delete", id=person)
    assert crm.result("crm.contact.get", id=person)["COMPANY_ID"] is None


def test_taking_the_primary_away_makes_another_primary(crm):
    deal, first, second = crm.result("crm.deal.add", fields={}), contact(crm), contact(crm)
    crm.result("crm.deal.contact.items.set", id=deal, items=[{"CONTACT_ID": first}, {"CONTACT_ID": second}])
    assert crm.result("crm.deal.contact.delete", id=deal, fields={"CONTACT_ID": first}) is True
    assert crm.result("crm.deal.contact.delete", id=deal, fields={"CONTACT_ID": first}) is False
    assert crm.result("crm.deal.get", id=deal)["CONTACT_ID"] == str(second)


def test_a_new_primary_takes_the_place_of_the_old_one(crm):
    deal, first, second = crm.result("crm.deal.add", fields={}), contact(crm), contact(crm)
    crm.result("crm.deal.contact.add", id=deal, fields={"CONTACT_ID": first})
    crm.result("crm.deal.contact.add", id=deal, fields={"CONTACT_ID": second, "IS_PRIMARY": "Y"})
    assert contacts_of(crm, deal, "deal") == ([first, second], [second])
    assert crm.result("crm.deal.get", id=deal)["CONTACT_ID"] == str(second)


def test_fields_of_a_write_set_links(crm):
    first, second = contact(crm), contact(crm)
    deal = crm.result("crm.deal.add", fields={"CONTACT_IDS": [second, first]})
    assert contacts_of(crm, deal, "deal") == ([second, first], [second])
    crm.result("crm.deal.update", id=deal, fields={"CONTACT_ID": second})
    assert contacts_of(crm, deal, "deal") == ([second, first], [second])
    crm.result("crm.deal.update", id=deal, fields={"CONTACT_ID": first})
    assert contacts_of(crm, deal, "deal") == ([first], [first])
    crm.result("crm.deal.update", id=deal, fields={"CONTACT_IDS": []})
    assert crm.result("crm.deal.get", id=deal)["CONTACT_ID"] is None
    row_id = company(crm, CONTACT_ID=[first, second])
    assert contacts_of(crm, row_id) == ([first, second], [first])
    assert crm.result("crm.contact.get", id=second)["COMPANY_ID"] == str(row_id)


def test_items_name_links_by_the_whole_set(crm):
    first, second = contact(crm), contact(crm)
    deal = crm.result("crm.item.add", entityTypeId=2, fields={"contactIds": [first, second]})["item"]
    assert (deal["contactId"], deal["contactIds"]) == (first, [first, second])
    crm.clock.change(advance_s=9)
    fewer = crm.result("crm.item.update", entityTypeId=2, id=deal["id"], fields={"contactIds": [first]})["item"]
    assert (fewer["contactIds"], fewer["updatedTime"] > deal["updatedTime"]) == ([first], True)
    company_item = crm.result("crm.item.add", entityTypeId=4, fields={"contactIds": [second]})["item"]
    person = crm.result("crm.item.get", entityTypeId=3, id=second)["item"]
    assert (person["companyId"], person["companyIds"]) == (company_item["id"], [company_item["id"]])


def test_links_of_a_person_who_writes_anything_are_only_real_ids(crm):
    deal = int(crm.deal(CONTACT_ID="0"))
    assert contacts_of(crm, deal, "deal") == ([], [])
    crm.hands.edit("deals", deal, {"CONTACT_ID": "77"})
    assert contacts_of(crm, deal, "deal") == ([77], [77])


def test_whoever_is_deleted_leaves_no_link(crm):
    person, employer = contact(crm), company(crm)
    crm.result("crm.contact.company.add", id=person, fields={"COMPANY_ID": employer})
    deal = crm.result("crm.deal.add", fields={"CONTACT_ID": person})
    crm.result("crm.company.delete", id=employer)
    assert crm.result("crm.contact.get", id=person)["COMPANY_ID"] is None
    employer = company(crm, CONTACT_ID=[person])
    crm.result("crm.contact.delete", id=person)
    assert crm.result("crm.deal.get", id=deal)["CONTACT_ID"] is None
    assert contacts_of(crm, employer) == ([], [])


def test_a_deleted_deal_does_not_stand_in_the_way_of_a_merge(crm):
    winner, loser = contact(crm), contact(crm)
    crm.portal.switch({"merge_touches_deals": True})
    crm.result("crm.deal.delete", id=crm.result("crm.deal.add", fields={"CONTACT_ID": loser}))
    assert crm.hands.merge(loser, winner)["ID"] == str(winner)


def test_deals_may_keep_the_id_of_a_deleted_contact(crm):
    crm.portal.switch({"delete_unbinds_deals": False})
    person = contact(crm)
    deal = crm.result("crm.deal.add", fields={"CONTACT_ID": person})
    crm.result("crm.contact.delete", id=person)
    assert crm.result("crm.deal.get", id=deal)["CONTACT_ID"] == str(person)


def test_links_touch_the_owner_only_if_switched(crm):
    person, employer = int(crm.contact(DATE_MODIFY="2026-01-01T00:00:00+03:00")), company(crm)
    crm.result("crm.contact.company.add", id=person, fields={"COMPANY_ID": employer})
    assert crm.result("crm.contact.get", id=person)["DATE_MODIFY"] == "2026-01-01T00:00:00+03:00"
    crm.portal.switch({"links_touch": True})
    crm.result("crm.contact.company.items.delete", id=person)
    assert crm.result("crm.contact.get", id=person)["DATE_MODIFY"] == NOON


@pytest.mark.parametrize("status", [400, 200])
def test_errors_of_links_come_with_a_status_of_choice(crm, status):
    crm.portal.switch({"link_error_status": status})
    answered, answer = crm("crm.contact.company.items.get")
    assert (answered, "ownerEntityID" in answer["error_description"]) == (status, True)
    assert crm("crm.deal.contact.items.get", id=9) == (status, {"error": "", "error_description": "Not found"})


def test_the_fields_of_a_link_are_described(crm):
    assert set(crm.result("crm.deal.contact.fields")) == {"CONTACT_ID", "SORT", "ROLE_ID", "IS_PRIMARY"}


IDS = st.integers(1, 4)
STEPS = st.lists(st.tuples(st.booleans(), IDS, st.lists(st.tuples(IDS, st.booleans()))))


@given(steps=STEPS)
def test_after_any_steps_both_ends_agree_and_one_link_is_primary(steps):
    ends = sides()
    for is_far, owner, others in steps:
        links = [Link(other, 10 * number, is_primary) for number, (other, is_primary) in enumerate(others)]
        ends[is_far].set(owner, links)
    near, far = ({(owner, link.other) for owner in range(1, 5) for link in side.of(owner)} for side in ends)
    assert near == {(one, other) for other, one in far}
    for side in ends:
        for owner in range(1, 5):
            links = side.of(owner)
            assert sum(link.is_primary for link in links) == bool(links)


# Duplicates.


def found(crm, kind, *values, **params):
    return crm.result("crm.duplicate.findbycomm", type=kind, values=list(values), **params)


def test_holders_of_a_number_are_found_by_its_digits(crm):
    person, other = contact(crm, PHONE=[{"VALUE": "8 (999) 000-00-01 доб. 12"}]), contact(crm)
    employer = company(crm, PHONE=[{"VALUE": "+89990000001"}], EMAIL=[{"VALUE": "A@mail.example"}])
    assert found(crm, "PHONE", "89990000001") == {"CONTACT": [person], "COMPANY": [employer]}
    assert found(crm, "PHONE", "89990000001", entity_type="COMPANY") == {"COMPANY": [employer]}
    assert found(crm, "EMAIL", "a@MAIL.example") == {"COMPANY": [employer]}
    assert found(crm, "PHONE", "79990000001", "9990000001") == []
    crm.portal.switch({"duplicate_phones": "exact"})
    assert found(crm, "PHONE", "8 (999) 000-00-01") == {"CONTACT": [person]}
    assert other not in found(crm, "PHONE", "8 (999) 000-00-01")["CONTACT"]


def test_values_beyond_the_twentieth_are_not_looked_for(crm):
    contact(crm, PHONE=[{"VALUE": "21"}])
    values = [str(number) for number in range(1, 22)]
    assert found(crm, "PHONE", *values) == []
    assert found(crm, "PHONE", *values[1:]) != []


def test_twenty_hits_of_one_kind_hide_the_next(crm):
    company(crm, PHONE=[{"VALUE": "1"}])
    for _ in range(20):
        contact(crm, PHONE=[{"VALUE": "1"}])
    assert set(found(crm, "PHONE", "1")) == {"CONTACT"}
    assert set(found(crm, "PHONE", "1", entity_type="COMPANY")) == {"COMPANY"}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "Communication type is not defined"),
        ({"type": "FAX", "values": [1]}, "Communication type 'FAX' is not supported in current context"),
        ({"type": "PHONE"}, "Communication values is not defined"),
    ],
)
def test_a_mistake_in_a_search_for_duplicates_is_a_phrase(crm, params, code):
    status, answer = crm("crm.duplicate.findbycomm", **params)
    assert (status, answer["error"]) == (400, code)


def merge(crm, *ids, type_id=3):
    return crm("crm.entity.mergeBatch", params={"entityTypeId": type_id, "entityIds": list(ids)})


def test_contacts_without_conflicts_are_merged_into_the_first(crm):
    winner, loser = contact(crm, NAME="Анна", PHONE=[{"VALUE": "1"}]), contact(crm, NAME="Анна", POST="тренер")
    deal = crm.result("crm.deal.add", fields={"CONTACT_IDS": [winner, loser]})
    other = crm.result("crm.deal.add", fields={"CONTACT_IDS": [contact(crm), loser]})
    assert merge(crm, winner, loser)[1]["result"] == {"STATUS": "SUCCESS", "ENTITY_IDS": [loser]}
    assert crm.result("crm.contact.get", id=winner)["POST"] == "тренер"
    assert crm("crm.contact.get", id=loser)[0] == 400
    assert contacts_of(crm, deal, "deal") == ([winner], [winner])
    assert contacts_of(crm, other, "deal")[0][1] == winner


def test_contacts_that_differ_are_a_conflict_and_stay(crm):
    first, second = contact(crm, NAME="Анна"), contact(crm, NAME="Вера")
    assert merge(crm, first, second)[1]["result"] == {"STATUS": "CONFLICT", "ENTITY_IDS": []}
    assert len(crm.ids()) == 2


@pytest.mark.parametrize(("ids", "type_id"), [((1,), 3), ((1, 7), 3), ((1, 2), 2), ((1, 2), 0), ((), 3)])
def test_what_cannot_be_merged_is_refused(crm, ids, type_id):
    crm.contact(ID=1)
    assert merge(crm, *ids, type_id=type_id)[0] == 400


# Directories.


def test_custom_fields_are_listed_with_their_options_and_labels_on_demand(crm):
    rows = crm.result("crm.contact.userfield.list", filter={"FIELD_NAME": "UF_CRM_58D15BB9CA8F4"})
    (row,) = rows
    assert (row["ENTITY_ID"], row["USER_TYPE_ID"], row["MULTIPLE"]) == ("CRM_CONTACT", "enumeration", "Y")
    assert {option["ID"]: option["VALUE"] for option in row["LIST"]}["404"] == "Обучение шахматам"
    assert "EDIT_FORM_LABEL" not in row
    (labelled,) = crm.result("crm.contact.userfield.list", filter={"FIELD_NAME": "UF_CRM_58D15BB9CA8F4", "LANG": "ru"})
    assert labelled["EDIT_FORM_LABEL"] == "Продукт"
    for entity in ("deal", "company"):
        assert "UF_CRM_SYNC_STATUS" in {row["FIELD_NAME"] for row in crm.result(f"crm.{entity}.userfield.list")}


def test_an_employee_is_found_by_the_guid_of_1c(crm):
    (user,) = crm.result("user.get", filter={"UF_USR_1722587885970": "00000000-0000-4000-8000-000000000014"})
    assert user["LAST_NAME"] == "Ладейкина"


@pytest.mark.parametrize("directory", ["COMPANY_TYPE", "INDUSTRY", "EMPLOYEES"])
def test_directories_of_companies_are_listed(crm, directory):
    assert crm.result("crm.status.list", filter={"ENTITY_ID": directory})
