"""`crm.item.*` over the same rows as the classic methods (facts/bitrix24.md §6.3, §7)."""

import pytest

from sandbox.bitrix24.entities import DEALS
from sandbox.bitrix24.itemnames import NAMES, _name
from tests.unit.test_sandbox_bitrix24 import NOON, Caller

DEAL, CONTACT, COMPANY = 2, 3, 4
PRODUCT, STATUS = "ufCrm_58D15BB9CA8F4", "ufCrmSyncStatus"
FILES = "ufCrm_1707822691457"
UPLOAD = ["a.txt", "AA=="]
LATER = "2026-03-02T12:00:09+03:00"


@pytest.fixture
def crm():
    return Caller()


def items(crm, type_id, **params):
    return crm.result("crm.item.list", entityTypeId=type_id, **params)["items"]


def ids(crm, type_id, **params):
    return [item["id"] for item in items(crm, type_id, **params)]


def item(crm, type_id, row_id, **params):
    return crm.result("crm.item.get", entityTypeId=type_id, id=row_id, **params)["item"]


def update(crm, type_id, row_id, **fields):
    crm.clock.change(advance_s=9)
    return crm.result("crm.item.update", entityTypeId=type_id, id=row_id, fields=fields)["item"]


# Names.


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("ASSIGNED_BY_ID", "assignedById"),
        ("DATE_CREATE", "createdTime"),
        ("MODIFY_BY_ID", "updatedBy"),
        ("CLOSEDATE", "closedate"),
        ("UF_CRM_1747309879", "ufCrm_1747309879"),
        ("UF_CRM_3_1747309727", "ufCrm3_1747309727"),
        ("UF_CRM_3_DIGIT", "ufCrm3Digit"),
        ("UF_CRM_3_DIGIT10", "ufCrm_3_DIGIT10"),
        ("UF_CRM_3_DIGIT_10", "ufCrm_3_DIGIT_10"),
        ("UF_CRM_SYNC_STATUS", "ufCrmSyncStatus"),
        ("UF_CRM_57AD7FAF7E6C4", "ufCrm_57AD7FAF7E6C4"),
    ],
)
def test_names_are_the_vendors(code, name):
    assert _name(code) == name


def test_every_field_has_a_name_of_its_own():
    names = NAMES[DEALS.name]
    assert len(set(names.name_of.values())) == len(names.name_of)
    assert all(names.code_of[name] == code for code, name in names.name_of.items())


def test_fields_are_described_by_both_names(crm):
    fields = crm.result("crm.item.fields", entityTypeId=DEAL)["fields"]
    assert (fields["createdTime"]["upperName"], fields["createdTime"]["isReadOnly"]) == ("CREATED_TIME", True)
    assert fields["categoryId"]["isImmutable"] is False
    assert fields["ufCrm_1470852549"]["upperName"] == "UF_CRM_1470852549"
    assert "UF_CRM_1470852549" in crm.result("crm.item.fields", entityTypeId=DEAL, useOriginalUfNames="Y")["fields"]


# Reading.


def test_a_row_is_shown_with_numbers_references_and_contact_details(crm):
    contact = crm.contact(
        NAME="Анна", PHONE=["+7 1", "+7 2"], EMAIL=["a@mail.example"], UF_CRM_58D15BB9CA8F4="404", ASSIGNED_BY_ID="14"
    )
    shown = item(crm, CONTACT, contact)
    assert (shown["id"], shown["name"], shown["assignedById"]) == (int(contact), "Анна", 14)
    assert (shown["createdTime"], shown["lastName"], shown["companyId"], shown["companyIds"]) == (NOON, None, 0, [])
    assert (shown["phone"], shown["email"], shown["hasPhone"], shown["entityTypeId"]) == (
        "+7 1",
        "a@mail.example",
        "Y",
        3,
    )
    assert shown[PRODUCT] == [404]
    assert [(one["typeId"], one["value"], one["valueType"]) for one in shown["fm"]] == [
        ("PHONE", "+7 1", "WORK"),
        ("PHONE", "+7 2", "WORK"),
        ("EMAIL", "a@mail.example", "WORK"),
    ]


def test_a_deal_is_shown_with_numbers(crm):
    deal = crm.result("crm.deal.add", fields={"OPPORTUNITY": "1500.50", "CATEGORY_ID": 2, "UF_CRM_1490347942": "450"})
    shown = item(crm, DEAL, deal)
    assert (shown["opportunity"], shown["categoryId"], shown["stageId"]) == (1500.5, 2, "C2:NEW")
    assert (shown["ufCrm_1490347942"], shown["contactId"], shown["contactIds"], shown["closed"]) == (450, 0, [], "N")
    assert "fm" not in shown


def test_original_names_of_custom_fields_are_given_when_asked_for(crm):
    contact = crm.contact(UF_CRM_SYNC_STATUS="Успешно")
    assert item(crm, CONTACT, contact, useOriginalUfNames="Y")["UF_CRM_SYNC_STATUS"] == "Успешно"
    assert STATUS not in items(crm, CONTACT, useOriginalUfNames="Y")[0]


def test_select_names_fields_and_drops_what_it_does_not_know(crm):
    crm.contact(NAME="Анна", PHONE=["1"])
    asked = ["id", "name", "UF_CRM_SYNC_STATUS", "phone", "fm", "colour"]
    assert list(items(crm, CONTACT, select=asked)[0]) == ["id", "name", STATUS, "phone"]
    assert "fm" in items(crm, CONTACT, select=["*"])[0]
    assert list(items(crm, CONTACT, select=["ID"])[0]) == ["id"]


def test_a_page_is_counted_or_not(crm):
    for _ in range(60):
        crm.deal()
    _, first = crm("crm.item.list", entityTypeId=DEAL, order={"id": "ASC"})
    _, rest = crm("crm.item.list", entityTypeId=DEAL, order={"ID": "ASC"}, start=50)
    _, uncounted = crm("crm.item.list", entityTypeId=DEAL, order={"ID": "ASC"}, start=-1)
    assert (len(first["result"]["items"]), first["total"], first["next"]) == (50, 60, 50)
    assert (len(rest["result"]["items"]), "next" in rest) == (10, False)
    assert (len(uncounted["result"]["items"]), uncounted["total"]) == (50, 0)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"name": "Анна"}, [2]),
        ({">id": 2}, [4, 6]),
        ({">ID": 2, "<=ID": 4}, [4]),
        ({"@name": ["Анна", "Вера"]}, [2, 4]),
        ({"%NAME": "а"}, [2, 4]),
        ({"!%name": "Анн"}, [4, 6]),
        ({"UF_CRM_SYNC_STATUS": "Успешно"}, [4]),
        ({STATUS: "Успешно"}, [4]),
        ({">=createdTime": "2026-01-02T00:00:00+03:00"}, [4, 6]),
        ({">=CREATED_TIME": "2026-01-02 00:00:00"}, [4, 6]),
        ({"logic": "OR", "name": "Анна", ">id": 4}, [2, 6]),
        ({"0": {"logic": "OR", "0": {"name": "Анна"}, "1": {"name": "Вера"}}, ">id": 2}, [4]),
        ([{"logic": "OR", "0": {"name": "Анна"}, "1": {"0": {"name": "Вера", "id": 4}}}], [2, 4]),
        ({"0": {"name": "Анна"}, "1": {"name": "Вера"}}, []),
    ],
)
def test_filters(crm, wanted, found):
    crm.contact(ID=2, NAME="Анна", DATE_CREATE="2026-01-01T00:00:00+03:00")
    crm.contact(ID=4, NAME="Вера", DATE_CREATE="2026-01-02T00:00:00+03:00", UF_CRM_SYNC_STATUS="Успешно")
    crm.contact(ID=6, DATE_CREATE="2026-01-03T00:00:00+03:00")
    assert ids(crm, CONTACT, filter=wanted, order={"id": "ASC"}) == found


def test_a_portal_may_ignore_moments_with_an_offset(crm):
    crm.contact(DATE_CREATE="2026-01-01T00:00:00+03:00")
    crm.portal.switch({"item_filter_offset": "ignored"})
    assert len(ids(crm, CONTACT, filter={">createdTime": "2026-01-02T00:00:00+03:00"})) == 1
    assert ids(crm, CONTACT, filter={">createdTime": "2026-01-02 00:00:00"}) == []


@pytest.mark.parametrize(
    ("params", "code", "text"),
    [
        ({"filter": {"colour": 1}}, "INVALID_ARG_VALUE", "field 'colour' is not allowed in filter"),
        ({"filter": {"=PHONE": 1}}, "INVALID_ARG_VALUE", "field 'PHONE' is not allowed in filter"),
        ({"filter": {"0": {"logic": "OR", "0": {"colour": 1}}}}, "INVALID_ARG_VALUE", "not allowed in filter"),
        ({"order": {"colour": "ASC"}}, "INVALID_ARG_VALUE", "field 'colour' is not allowed in order"),
        ({"order": {"id": "UP"}}, "INVALID_ARG_VALUE", "allowed sort directions"),
        ({"entityTypeId": 177}, "NOT_FOUND", "Smart process not found"),
    ],
)
def test_mistakes_in_a_list_are_refused(crm, params, code, text):
    status, answer = crm("crm.item.list", **{"entityTypeId": CONTACT, **params})
    assert (status, answer["error"]) == (400, code)
    assert text in answer["error_description"]


def test_hidden_rows_are_absent_and_cannot_be_read(crm):
    contact = crm.contact(ASSIGNED_BY_ID="14")
    crm.portal.switch({"hidden_assignees": [14]})
    assert ids(crm, CONTACT) == []
    assert crm("crm.item.get", entityTypeId=CONTACT, id=contact)[1]["error"] == "ACCESS_DENIED"


# Writing.


def test_an_item_is_added_returned_and_seen_by_the_classic_methods(crm):
    added = crm.result("crm.item.add", entityTypeId=CONTACT, fields={"name": "Анна", "assignedById": 14, "colour": 1})
    row = crm.result("crm.contact.get", id=added["item"]["id"])
    assert (row["NAME"], row["ASSIGNED_BY_ID"], row["CREATED_BY_ID"]) == ("Анна", "14", "1")


@pytest.mark.parametrize(("type_id", "field"), [(DEAL, "title"), (CONTACT, "lastName"), (COMPANY, "title")])
def test_an_item_without_a_name_gets_one(crm, type_id, field):
    added = crm.result("crm.item.add", entityTypeId=type_id, fields={})["item"]
    assert added[field].endswith(f"#{added['id']}")


def test_an_update_without_change_is_not_saved(crm):
    contact = crm.contact(NAME="Анна", DATE_MODIFY="2026-01-01T00:00:00+03:00")
    assert update(crm, CONTACT, contact, name="Анна", colour=1)["updatedTime"] == "2026-01-01T00:00:00+03:00"
    changed = update(crm, CONTACT, contact, name="Вера")
    assert (changed["updatedTime"], changed["updatedBy"]) == ("2026-03-02T12:00:18+03:00", 1)


def test_custom_fields_are_written_under_either_name(crm):
    contact = crm.contact()
    assert update(crm, CONTACT, contact, ufCrmSyncStatus="Успешно")[STATUS] == "Успешно"
    assert update(crm, CONTACT, contact, UF_CRM_SYNC_STATUS="Ошибка")[STATUS] == "Ошибка"


def test_only_here_a_deal_changes_its_pipeline(crm):
    deal = crm.result("crm.deal.add", fields={"STAGE_ID": "EXECUTING"})
    crm.result("crm.deal.update", id=deal, fields={"CATEGORY_ID": 2})
    assert item(crm, DEAL, deal)["categoryId"] == 0
    moved = update(crm, DEAL, deal, categoryId=2)
    assert (moved["categoryId"], moved["stageId"], moved["movedTime"]) == (2, "C2:NEW", LATER)
    assert update(crm, DEAL, deal, categoryId=0, stageId="WON")["stageSemanticId"] == "S"


def test_a_list_of_options_is_not_cleared_unless_the_bug_is_switched_off(crm):
    contact = crm.contact(UF_CRM_58D15BB9CA8F4=[404, 410])
    assert update(crm, CONTACT, contact, **{PRODUCT: []})[PRODUCT] == [404, 410]
    crm.portal.switch({"item_clears_multiple_enum": True})
    assert update(crm, CONTACT, contact, **{PRODUCT: []})[PRODUCT] == []
    assert update(crm, CONTACT, contact, **{PRODUCT: ["410"]})[PRODUCT] == [410]


def test_fields_of_a_company_are_cleared_unless_the_bug_is_switched_on(crm):
    company = crm.result("crm.item.add", entityTypeId=COMPANY, fields={"title": "Ладья", "comments": "50 %"})["item"][
        "id"
    ]
    crm.portal.switch({"item_clears_company": False})
    assert update(crm, COMPANY, company, comments="")["comments"] == "50 %"
    crm.portal.switch({"item_clears_company": True})
    assert update(crm, COMPANY, company, comments="")["comments"] is None


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"id": 7}, ""), ({PRODUCT: 404}, "100"), ({"companies": [1]}, "100"), ({"fm": "x", PRODUCT: True}, "100")],
)
def test_what_may_not_be_written_is_refused(crm, fields, code):
    contact = crm.contact()
    status, answer = crm("crm.item.update", entityTypeId=CONTACT, id=contact, fields=fields)
    assert (status, answer["error"]) == (400, code)


def test_a_deleted_item_is_gone_for_both(crm):
    contact = crm.contact()
    assert crm.result("crm.item.delete", entityTypeId=CONTACT, id=contact) == []
    assert crm("crm.item.delete", entityTypeId=CONTACT, id=contact)[1]["error"] == "NOT_FOUND"
    assert crm("crm.contact.get", id=contact)[0] == 400


@pytest.mark.parametrize(
    ("sent", "left"),
    [
        ({"n0": {"typeId": "PHONE", "value": "3"}}, ["1", "2", "3"]),
        ({"11": {"typeId": "PHONE", "value": "9"}}, ["9", "2"]),
        ({"11": {"typeId": "PHONE", "value": ""}}, ["2"]),
        ({"11": {"value": "9"}}, ["1", "2"]),
        ({"77": {"typeId": "PHONE", "value": "3"}}, ["1", "2", "3"]),
        ([{"id": 11, "typeId": "PHONE", "value": "9"}], ["1", "2", "9"]),
        ([], ["1", "2"]),
    ],
)
def test_contact_details_on_update(crm, sent, left):
    contact = crm.contact(PHONE=[{"ID": "11", "VALUE": "1"}, {"ID": "12", "VALUE": "2"}])
    assert [one["value"] for one in update(crm, CONTACT, contact, fm=sent)["fm"]] == left


def test_an_address_without_an_at_is_refused_here_too(crm):
    fields = {"fm": [{"typeId": "EMAIL", "value": "nobody"}]}
    assert crm("crm.item.add", entityTypeId=CONTACT, fields=fields)[0] == 400


# Files.


def file_ids(crm, contact):
    return [file["id"] for file in item(crm, CONTACT, contact)[FILES]]


def test_files_are_stored_and_shown_in_two_forms(crm):
    contact = crm.result("crm.contact.add", fields={"UF_CRM_1707822691457": [{"fileData": UPLOAD}]})
    (classic,) = crm.result("crm.contact.get", id=contact)["UF_CRM_1707822691457"]
    (universal,) = item(crm, CONTACT, contact)[FILES]
    assert set(classic) == {"id", "showUrl", "downloadUrl"}
    assert (set(universal), universal["id"]) == ({"id", "url", "urlMachine"}, classic["id"])


def test_a_classic_update_loses_the_files_that_were_there(crm):
    contact = crm.result("crm.contact.add", fields={"UF_CRM_1707822691457": [{"fileData": UPLOAD}]})
    (first,) = file_ids(crm, contact)
    crm.result("crm.contact.update", id=contact, fields={"UF_CRM_1707822691457": [{"id": first}, {"fileData": UPLOAD}]})
    (left,) = file_ids(crm, contact)
    assert left != first


def test_an_item_keeps_the_files_that_are_named(crm):
    contact = crm.contact()
    first, second = (file["id"] for file in update(crm, CONTACT, contact, **{FILES: [UPLOAD, UPLOAD]})[FILES])
    update(crm, CONTACT, contact, **{FILES: [{"id": second}, UPLOAD, {"id": 77}, ["broken", "&"], ["broken", 5]]})
    kept, new = file_ids(crm, contact)
    assert kept == second
    assert new not in (first, second)
    update(crm, CONTACT, contact, **{FILES: []})
    assert file_ids(crm, contact) == []


def test_a_single_file_is_replaced_and_cleared(crm):
    contact = crm.contact()
    crm.result("crm.contact.update", id=contact, fields={"PHOTO": {"fileData": UPLOAD}})
    photo = item(crm, CONTACT, contact)["photo"]
    assert crm.result("crm.contact.get", id=contact)["PHOTO"]["id"] == photo
    crm.result("crm.contact.update", id=contact, fields={"PHOTO": {"id": photo}})
    assert update(crm, CONTACT, contact, photo={"id": photo})["photo"] == photo
    assert update(crm, CONTACT, contact, photo=UPLOAD)["photo"] > photo
    assert update(crm, CONTACT, contact, photo="")["photo"] is None


# Product rows and the history of stages.


def test_product_rows_are_listed_by_owner(crm):
    deal = crm.deal(PRODUCT_ROWS=[{"PRODUCT_NAME": "6 КМС", "PRICE": 8700, "SORT": 20}, {"PRICE": 1, "SORT": 10}])
    owner = {"=ownerType": "D", "=ownerId": int(deal)}
    _, answer = crm("crm.item.productrow.list", filter=owner)
    cheap, dear = answer["result"]["productRows"]
    assert (answer["total"], cheap["price"], dear["productName"], dear["ownerId"]) == (2, 1, "6 КМС", int(deal))
    assert dear["priceAccount"] == 8700
    found = crm.result("crm.item.productrow.list", filter={**owner, ">id": dear["id"], "price": 5})["productRows"]
    assert [row["id"] for row in found] == [cheap["id"]]
    assert crm("crm.item.productrow.list", filter={"=ownerType": "D"})[1]["error"] == "REQUIRED_ARG_MISSING"


def history(crm, **params):
    return crm.result("crm.stagehistory.list", entityTypeId=DEAL, **params)["items"]


def test_every_move_of_a_deal_is_written_down_once(crm):
    deal = crm.result("crm.deal.add", fields={})
    crm.result("crm.deal.update", id=deal, fields={"TITLE": "не о том"})
    crm.clock.change(advance_s=9)
    crm.hands.edit("deals", deal, {"STAGE_ID": "EXECUTING"})
    crm.result("crm.deal.update", id=deal, fields={"STAGE_ID": "WON"})
    crm.result("crm.item.update", entityTypeId=DEAL, id=deal, fields={"categoryId": 2})
    moves = history(crm, order={"ID": "ASC"})
    assert [(move["TYPE_ID"], move["STAGE_ID"], move["STAGE_SEMANTIC_ID"], move["CATEGORY_ID"]) for move in moves] == [
        (1, "NEW", "P", 0),
        (2, "EXECUTING", "P", 0),
        (3, "WON", "S", 0),
        (5, "C2:NEW", "P", 2),
    ]
    assert [move["CREATED_TIME"] for move in moves[:2]] == [NOON, LATER]
    assert history(crm, filter={">ID": moves[2]["ID"]}) == moves[3:]
    assert history(crm, filter={"OWNER_ID": deal + 2}) == []


def test_the_history_refuses_what_it_does_not_know(crm):
    assert crm("crm.stagehistory.list", entityTypeId=CONTACT)[1]["error"] == "ENTITY_TYPE_NOT_SUPPORTED"
    assert crm("crm.stagehistory.list", entityTypeId=DEAL, filter={"COLOUR": 1})[1]["error"] == "INVALID_ARG_VALUE"
