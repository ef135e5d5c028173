"""The Bitrix24 stand-in against facts/bitrix24.md, called in memory: no sockets, a frozen clock."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.bitrix24.hands import Hands
from sandbox.bitrix24.methods import METHODS
from sandbox.bitrix24.portal import Portal
from sandbox.chronicle import Chronicle
from sandbox.clock import Clock
from sandbox.wire import Request

NOON = "2026-03-02T12:00:00+03:00"
STATUS_FIELD = "UF_CRM_SYNC_STATUS"


class Caller:
    """An incoming webhook of a fresh portal, and a person who edits rows."""

    def __init__(self):
        self.clock = Clock()
        self.clock.change(freeze=NOON)
        self.portal = Portal(self.clock, Chronicle())
        self.portal.switch({"rate_profile": "off"})
        self.hands = Hands(self.portal)

    def send(self, path, *, query="", body=None, form=None, client_ip="10.0.0.1"):
        content = form.encode() if form is not None else b"" if body is None else json.dumps(body).encode()
        kind = "application/x-www-form-urlencoded" if form is not None else "application/json"
        request = Request("POST", path, query, {"content-type": kind}, content, client_ip, is_last=False)
        response = self.portal.handle(request)
        return response.status, json.loads(response.body)

    def __call__(self, method, *, query="", **params):
        return self.send(f"/rest/1/sandboxsecret00/{method}", query=query, body=params)

    def result(self, method, *, query="", **params):
        status, answer = self(method, query=query, **params)
        assert status == 200, answer
        return answer["result"]

    def contact(self, **fields):
        return self.hands.create_many("contacts", [fields])[0]["ID"]

    def deal(self, **fields):
        return self.hands.create_many("deals", [fields])[0]["ID"]

    def ids(self, **params):
        return [row["ID"] for row in self.result("crm.contact.list", **params)]


@pytest.fixture
def crm():
    return Caller()


# Calling convention, §1.


@pytest.mark.parametrize("method", ["profile", "profile.json", "PROFILE.json/", "Profile/"])
def test_suffix_slash_and_case_of_a_method_do_not_matter(crm, method):
    assert crm.result(method)["ID"] == "1"


def test_query_and_json_body_are_merged(crm):
    contact = crm.contact(NAME="Анна")
    crm.result("crm.contact.update", query=f"ID={contact}", fields={"NAME": "Вера"})
    assert crm.result("crm.contact.get", Id=contact)["NAME"] == "Вера"


def test_a_form_in_php_style_is_understood(crm):
    path, form = "/rest/1/sandboxsecret00/crm.contact.add", "fields[NAME]=%D0%90&fields[PHONE][0][VALUE]=%2B7"
    _, answer = crm.send(path, form=form)
    contact = crm.result("crm.contact.get", id=answer["result"])
    assert (contact["NAME"], contact["PHONE"][0]["VALUE"]) == ("А", "+7")


def test_the_success_envelope_tells_the_time_in_the_servers_offset(crm):
    _, answer = crm("server.time")
    assert answer["result"] == answer["time"]["date_start"] == NOON
    assert {"start", "finish", "duration", "operating", "operating_reset_at"} <= set(answer["time"])


def test_the_server_offset_can_be_moved_and_rows_follow(crm):
    contact = crm.contact()
    crm.portal.switch({"server_offset": "+05:00"})
    assert crm.result("crm.contact.get", id=contact)["DATE_MODIFY"] == "2026-03-02T14:00:00+05:00"


def test_self_test_methods_need_no_scope(crm):
    crm.portal.switch({"scopes": []})
    assert crm.result("scope") == []
    assert crm.result("profile")["ADMIN"] is True
    assert crm.result("server.time") == NOON


# Refusals, §3.2.


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/rest/1/wrong/profile", 401, "INVALID_CREDENTIALS"),
        ("/rest/7/sandboxsecret00/profile", 401, "INVALID_CREDENTIALS"),
        ("/rest/1/sandboxsecret00/crm.nothing", 404, "ERROR_METHOD_NOT_FOUND"),
        ("/rest/1/sandboxsecret00/event.bind", 403, "WRONG_AUTH_TYPE"),
    ],
)
def test_refusals_have_their_status_and_code(crm, path, status, code):
    answered, answer = crm.send(path)
    assert (answered, answer["error"]) == (status, code)
    assert "result" not in answer


def test_a_missing_scope_and_a_blocked_owner_are_refused(crm):
    crm.portal.switch({"scopes": ["user"]})
    assert crm("crm.contact.list")[1]["error"] == "insufficient_scope"
    crm.portal.switch({"missing_scope_status": 403})
    assert crm("crm.contact.list")[0] == 403
    crm.portal.switch({"owner_active": False})
    assert crm("profile")[1]["error"] == "authorization_error"


@pytest.mark.parametrize(
    ("method", "params", "text"),
    [
        ("crm.contact.get", {}, "ID is not defined or invalid."),
        ("crm.contact.get", {"id": 9}, "Not found"),
        ("crm.contact.update", {"id": 9, "fields": {}}, "Not found"),
        ("crm.contact.delete", {"id": 9}, "Element not found"),
        ("crm.contact.add", {}, "Parameter 'fields' must be array."),
        ("crm.contact.list", {"filter": "x"}, "Parameter 'filter' must be array."),
        ("crm.contact.add", {"fields": {"EMAIL": [{"VALUE": "nobody"}]}}, "invalid address"),
    ],
)
def test_mistakes_are_400_with_a_text(crm, method, params, text):
    status, answer = crm(method, **params)
    assert status == 400
    assert text in answer["error_description"]


def test_an_unknown_switch_or_position_is_refused(crm):
    with pytest.raises(ValueError, match="no such switch"):
        crm.portal.switch({"colour": 1})
    with pytest.raises(ValueError, match="must be one of"):
        crm.portal.switch({"rate_profile": "fast"})


# Limits, §2.


def test_the_bucket_takes_fifty_requests_and_drains_two_a_second(crm):
    crm.portal.switch({"rate_profile": "standard"})
    statuses = [crm("profile")[0] for _ in range(51)]
    assert statuses == [200] * 50 + [503]
    crm.clock.change(advance_s=1)
    assert [crm("profile")[0] for _ in range(3)] == [200, 200, 503]


def test_an_enterprise_bucket_takes_more_and_drains_faster_and_none_takes_all(crm):
    crm.portal.switch({"rate_profile": "enterprise"})
    assert [crm("profile")[0] for _ in range(251)] == [200] * 250 + [503]
    crm.clock.change(advance_s=2)
    assert [crm("profile")[0] for _ in range(11)] == [200] * 10 + [503]
    crm.portal.switch({"rate_profile": "off"})
    assert {crm("profile")[0] for _ in range(300)} == {200}


def test_a_bucket_drains_by_full_seconds_and_not_below_nothing(crm):
    crm.portal.switch({"rate_profile": "standard"})
    for _ in range(50):
        crm("profile")
    crm.clock.change(advance_s=0.9)
    assert crm("profile")[0] == 503
    crm.clock.change(advance_s=3600)
    assert [crm("profile")[0] for _ in range(51)] == [200] * 50 + [503]


def test_a_refused_request_says_too_many_and_counts_only_if_switched(crm):
    crm.portal.switch({"rate_profile": "standard", "rejected_requests_count": True})
    for _ in range(54):
        status, answer = crm("profile")
    assert (status, answer) == (503, {"error": "QUERY_LIMIT_EXCEEDED", "error_description": "Too many requests"})
    crm.clock.change(advance_s=2)
    assert crm("profile")[0] == 503


def test_buckets_are_per_client_address(crm):
    crm.portal.switch({"rate_profile": "standard"})
    for _ in range(51):
        crm("profile")
    assert crm.send("/rest/1/sandboxsecret00/profile", client_ip="10.0.0.2")[0] == 200


def test_the_call_that_crosses_the_operating_limit_completes_and_the_next_is_blocked(crm):
    crm.portal.switch({"operating_limit_s": 1.0, "operating_cost_s": 0.6})
    assert [crm("crm.contact.list")[0] for _ in range(3)] == [200, 200, 429]
    assert crm("crm.deal.list")[0] == 200
    crm.clock.change(advance_s=600)
    assert crm("crm.contact.list")[0] == 200


def test_operating_stays_small_without_a_limit_and_can_be_left_out(crm):
    for _ in range(100):
        _, answer = crm("profile")
    assert answer["time"]["operating"] == 0.05
    crm.portal.switch({"operating_reported": False})
    assert {"operating", "operating_reset_at"}.isdisjoint(crm("profile")[1]["time"])


def test_time_used_is_given_back_basket_by_basket(crm):
    crm.portal.switch({"operating_limit_s": 2.0, "operating_cost_s": 1.0})
    crm("profile")
    crm.clock.change(advance_s=300)
    crm("profile")
    assert crm("profile")[0] == 429
    crm.clock.change(advance_s=300)
    assert [crm("profile")[0] for _ in range(2)] == [200, 429]


def test_operating_reset_at_names_the_end_of_the_oldest_basket(crm):
    crm.portal.switch({"operating_limit_s": 100.0, "operating_cost_s": 1.0})
    first = crm("profile")[1]["time"]
    crm.clock.change(advance_s=120)
    later = crm("profile")[1]["time"]
    assert later["operating"] == 2.0
    assert abs(later["operating_reset_at"] - first["operating_reset_at"]) <= 1


# Lists, §5.


def test_a_page_has_fifty_rows_with_total_and_next(crm):
    for _ in range(60):
        crm.contact()
    _, first = crm("crm.contact.list", order={"ID": "ASC"})
    _, second = crm("crm.contact.list", order={"ID": "ASC"}, start=50)
    assert (len(first["result"]), first["total"], first["next"]) == (50, 60, 50)
    assert (len(second["result"]), "next" in second) == (10, False)
    ids = [int(row["ID"]) for row in first["result"] + second["result"]]
    assert ids == list(range(ids[0], ids[0] + 120, 2))


def test_start_minus_one_does_not_count(crm):
    for _ in range(51):
        crm.contact()
    _, answer = crm("crm.contact.list", start=-1, order={"ID": "ASC"})
    assert (len(answer["result"]), answer["total"], "next" in answer) == (50, 0, False)


def test_multifields_come_only_when_named(crm):
    crm.contact(PHONE=["+7 999 000-00-01"])
    assert "PHONE" not in crm.result("crm.contact.list")[0]
    assert "PHONE" not in crm.result("crm.contact.list", select=["*", "UF_*"])[0]
    row = crm.result("crm.contact.list", select=["ID", "PHONE", "EMAIL"])[0]
    assert row["PHONE"][0]["VALUE"] == "+7 999 000-00-01"
    assert set(row) == {"ID", "PHONE"}
    crm.portal.switch({"phone_in_default_select": True})
    assert "PHONE" in crm.result("crm.contact.list")[0]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"NAME": "Анна"}, ["2"]),
        ({"=NAME": ["Анна", "Вера"]}, ["2", "4"]),
        ({"!NAME": "Анна"}, ["4", "6"]),
        ({"!@NAME": ["Анна", "Вера"]}, ["6"]),
        ({"%NAME": "НН"}, ["2"]),
        ({"=%NAME": "В%"}, ["4"]),
        ({"!%NAME": "а"}, ["6"]),
        ({"NAME": ""}, ["6"]),
        ({"!=NAME": ""}, ["2", "4"]),
        ({">ID": 2}, ["4", "6"]),
        ({">=ID": "2", "<ID": 6}, ["2", "4"]),
        ({"id": [4, 6]}, ["4", "6"]),
        ({"@ID": [6, 2]}, ["2", "6"]),
        ({"ID": 4}, ["4"]),
        ({"!ID": 4}, ["2", "6"]),
        ({"=ID": "4 or so"}, ["4"]),
        ({">ID": 2, "<=ID": 4}, ["4"]),
        ({">ID": ""}, ["2", "4", "6"]),
        ({"PHONE": "+79990000001"}, ["2"]),
        ({"PHONE": "79990000001"}, []),
        ({"UF_CRM_58D15BB9CA8F4": 410}, ["2", "4"]),
        ({"UF_CRM_58D15BB9CA8F4": [404]}, ["2"]),
        ({">DATE_MODIFY": "2026-01-02T00:00:00+03:00"}, ["4", "6"]),
        ({">=DATE_MODIFY": "2026-01-02T00:00:00+03:00"}, ["2", "4", "6"]),
        ({">=DATE_MODIFY": "2026-01-02T21:00:00Z"}, ["4", "6"]),
        ({"<DATE_MODIFY": "2026-01-03"}, ["2"]),
        ({">DATE_MODIFY": "rubbish"}, []),
        ({">UF_CRM_1607943642": "2010-01-01"}, ["4"]),
        ({"IMPORT": "Y"}, ["2", "4", "6"]),
    ],
)
def test_filters(crm, wanted, found):
    crm.contact(
        ID=2,
        NAME="Анна",
        PHONE=["+79990000001"],
        UF_CRM_58D15BB9CA8F4=[404, 410],
        DATE_MODIFY="2026-01-02T00:00:00+03:00",
        UF_CRM_1607943642="2009-11-29T03:00:00+03:00",
    )
    crm.contact(
        ID=4,
        NAME="Вера",
        UF_CRM_58D15BB9CA8F4="410",
        DATE_MODIFY="2026-01-03T00:00:00+03:00",
        UF_CRM_1607943642="2012-06-01T04:00:00+04:00",
    )
    crm.contact(ID=6, UF_CRM_58D15BB9CA8F4=False, DATE_MODIFY="2026-01-04T00:00:00+03:00")
    assert crm.ids(filter=wanted, order={"ID": "ASC"}) == found


def test_a_date_without_offset_is_read_in_the_zone_the_switch_names(crm):
    crm.contact(ID=2, DATE_MODIFY="2026-01-02T10:00:00+03:00")
    wanted = {">=DATE_MODIFY": "2026-01-02T10:00:00"}
    assert crm.ids(filter=wanted) == ["2"]
    crm.portal.switch({"filter_zone": "user", "user_offset": "+00:00"})
    assert crm.ids(filter=wanted) == []


def test_an_unknown_filter_key_is_refused_if_switched(crm):
    crm.portal.switch({"unknown_filter_key": "error"})
    assert crm("crm.contact.list", filter={"UF_CRM_TYPO": 1})[0] == 400


def test_order_is_by_several_fields(crm):
    for row_id, name, day in ((2, "Б", 2), (4, "А", 2), (6, "А", 1)):
        crm.contact(ID=row_id, NAME=name, DATE_MODIFY=f"2026-01-0{day}T00:00:00+03:00")
    assert crm.ids(order={"DATE_MODIFY": "ASC", "ID": "DESC"}) == ["6", "4", "2"]
    assert crm.ids(order={"NAME": "DESC", "ID": "ASC"}) == ["2", "4", "6"]


def test_rows_of_hidden_assignees_are_silently_absent(crm):
    crm.contact(ID=2, ASSIGNED_BY_ID="14")
    crm.contact(ID=4)
    crm.portal.switch({"hidden_assignees": [14]})
    assert crm.ids() == ["4"]
    assert crm("crm.contact.get", id=2)[1]["error_description"] == "Access denied."


def test_a_new_row_is_found_by_lists_only_after_the_lag(crm):
    crm.portal.switch({"list_lag_s": 3})
    contact = crm.result("crm.contact.add", fields={"NAME": "Анна"})
    assert crm.ids() == []
    crm.clock.change(advance_s=3)
    assert crm.ids() == [str(contact)]


def test_raw_values_are_shown_as_they_were_given(crm):
    shapes = [[404, 410], ["404"], 404, "404", False, "", []]
    for shape in shapes:
        crm.contact(UF_CRM_58D15BB9CA8F4=shape)
    rows = crm.result("crm.contact.list", select=["UF_CRM_58D15BB9CA8F4"], order={"ID": "ASC"})
    assert [row["UF_CRM_58D15BB9CA8F4"] for row in rows] == shapes


def test_empty_values_take_the_form_of_the_switches(crm):
    contact = crm.contact()
    row = crm.result("crm.contact.get", id=contact)
    assert (row["UF_CRM_58D15BB9CA8F4"], row[STATUS_FIELD], row["COMPANY_ID"]) == ([], "", None)
    crm.portal.switch({"empty_multiple_uf": "false", "empty_single_uf": "null", "empty_reference": "zero"})
    row = crm.result("crm.contact.get", id=contact)
    assert (row["UF_CRM_58D15BB9CA8F4"], row[STATUS_FIELD], row["COMPANY_ID"]) == (False, None, "0")


# Contacts, §6.


def test_add_returns_an_id_and_fills_defaults_and_ids_step_by_two(crm):
    first = crm.result("crm.contact.add", fields={"NAME": "Анна", "NO_SUCH_FIELD": 1, "DATE_CREATE": "2020-01-01"})
    second = crm.result("crm.contact.add", fields={})
    row = crm.result("crm.contact.get", id=first)
    assert second == first + 2
    assert (row["DATE_CREATE"], row["CREATED_BY_ID"], row["ASSIGNED_BY_ID"], row["OPENED"]) == (NOON, "1", "1", "Y")


def test_import_may_set_dates(crm):
    fields = {"DATE_CREATE": "2021-01-01T00:00:00+03:00"}
    contact = crm.result("crm.contact.add", fields=fields, params={"IMPORT": "Y"})
    assert crm.result("crm.contact.get", id=contact)["DATE_CREATE"] == fields["DATE_CREATE"]


def test_an_update_of_unknown_or_read_only_fields_is_true_and_changes_nothing_but_the_date(crm):
    contact = crm.contact(NAME="Анна")
    crm.clock.change(advance_s=5)
    assert crm.result("crm.contact.update", id=contact, fields={"UF_CRM_TYPO": "x", "HAS_PHONE": "Y"}) is True
    row = crm.result("crm.contact.get", id=contact)
    assert (row["NAME"], row["HAS_PHONE"], row["MODIFY_BY_ID"]) == ("Анна", "N", "1")
    assert row["DATE_MODIFY"] == "2026-03-02T12:00:05+03:00"


def test_an_update_without_effect_touches_only_if_switched(crm):
    contact = crm.contact(NAME="Анна", DATE_MODIFY="2026-01-01T00:00:00+03:00")
    crm.portal.switch({"noop_update_touches": False})
    crm.result("crm.contact.update", id=contact, fields={"NAME": "Анна"})
    assert crm.result("crm.contact.get", id=contact)["DATE_MODIFY"] == "2026-01-01T00:00:00+03:00"
    crm.result("crm.contact.update", id=contact, fields={"NAME": "Вера"})
    assert crm.result("crm.contact.get", id=contact)["DATE_MODIFY"] == NOON


def test_a_humans_edit_has_the_humans_id_and_the_same_second_if_the_clock_stands(crm):
    contact = crm.contact()
    crm.result("crm.contact.update", id=contact, fields={STATUS_FIELD: "Успешно"})
    row = crm.hands.edit("contacts", int(contact), {"NAME": "Анна"})
    assert (row["MODIFY_BY_ID"], row["DATE_MODIFY"], row[STATUS_FIELD]) == ("12", NOON, "Успешно")


@pytest.mark.parametrize(
    ("sent", "left"),
    [
        ([{"VALUE": "3"}], ["1", "2", "3"]),
        ([{"ID": "", "VALUE": "3"}], ["1", "2", "3"]),
        ([{"ID": "A", "VALUE": "9"}], ["9", "2"]),
        ([{"ID": "A", "DELETE": "Y"}], ["2"]),
        ([{"ID": "A", "VALUE": ""}], ["2"]),
        ([{"ID": "A"}], ["2"]),
        ([{"ID": "77", "VALUE": "9"}], ["1", "2"]),
        ([], ["1", "2"]),
    ],
)
def test_multifields_on_update(crm, sent, left):
    contact = crm.contact(PHONE=[{"ID": "A", "VALUE": "1"}, {"ID": "B", "VALUE": "2"}])
    crm.result("crm.contact.update", id=contact, fields={"PHONE": sent})
    assert [phone["VALUE"] for phone in crm.result("crm.contact.get", id=contact)["PHONE"]] == left


def test_a_person_may_edit_the_past(crm):
    past = {"DATE_MODIFY": "2026-01-01T00:00:00+03:00", "MODIFY_BY_ID": "14"}
    contact = crm.contact()
    row = crm.hands.edit("contacts", int(contact), {"NAME": "Анна", **past})
    assert row["NAME"] == "Анна"
    assert {code: row[code] for code in past} == past


def test_the_last_phone_taken_away_leaves_no_key_and_no_flag(crm):
    contact = crm.contact(PHONE=[{"ID": "A", "VALUE": "1"}])
    assert crm.result("crm.contact.get", id=contact)["HAS_PHONE"] == "Y"
    crm.result("crm.contact.update", id=contact, fields={"PHONE": [{"ID": "A", "DELETE": "Y"}]})
    row = crm.result("crm.contact.get", id=contact)
    assert ("PHONE" in row, row["HAS_PHONE"]) == (False, "N")


def test_written_values_are_stored_by_type(crm):
    fields = {
        "UF_CRM_58D15BB9CA8F4": ["404", 999],
        "UF_CRM_1607943642": "2009-11-29",
        "ASSIGNED_BY_ID": 14,
        "EXPORT": False,
    }
    row = crm.result("crm.contact.get", id=crm.result("crm.contact.add", fields=fields))
    assert {code: row[code] for code in fields} == {
        "UF_CRM_58D15BB9CA8F4": [404],
        "UF_CRM_1607943642": "2009-11-29T03:00:00+03:00",
        "ASSIGNED_BY_ID": "14",
        "EXPORT": "N",
    }


def test_fields_describe_the_enumerations_of_the_brief(crm):
    fields = crm.result("crm.contact.fields")
    product = fields["UF_CRM_58D15BB9CA8F4"]
    assert (product["type"], product["isMultiple"], product["listLabel"]) == ("enumeration", True, "Продукт")
    assert [item["ID"] for item in product["items"]] == ["404", "410", "412"]
    assert fields["ID"]["isReadOnly"] is True
    assert fields[STATUS_FIELD]["type"] == "string"


def test_a_deleted_contact_is_gone(crm):
    contact = crm.contact()
    assert crm.result("crm.contact.delete", id=contact) is True
    assert crm.ids() == []


# Deals, directories, users, §7, §8.


def test_a_deals_semantic_and_closed_flag_follow_its_stage(crm):
    deal = crm.result("crm.deal.add", fields={"TITLE": "Абонемент"})
    crm.result("crm.deal.update", id=deal, fields={"STAGE_ID": "WON", "STAGE_SEMANTIC_ID": "F", "CATEGORY_ID": 2})
    row = crm.result("crm.deal.get", id=deal)
    assert (row["STAGE_SEMANTIC_ID"], row["CLOSED"], row["CATEGORY_ID"], row["MOVED_BY_ID"]) == ("S", "Y", "0", "1")
    assert crm.result("crm.deal.list", filter={"STAGE_SEMANTIC_ID": "S"}, select=["ID"]) == [{"ID": str(deal)}]


def test_the_default_pipeline_is_shown_as_nought(crm):
    deal = crm.result("crm.deal.add", fields={"CATEGORY_ID": 0})
    assert crm.result("crm.deal.get", id=deal)["CATEGORY_ID"] == "0"


def test_a_deal_stays_in_its_pipeline(crm):
    deal = crm.result("crm.deal.add", fields={"CATEGORY_ID": 2})
    crm.result("crm.deal.update", id=deal, fields={"STAGE_ID": "WON"})
    assert crm.result("crm.deal.get", id=deal)["STAGE_ID"] == "C2:WON"


def test_product_rows_price_themselves_and_the_deal(crm):
    deal = crm.deal()
    row = {"PRODUCT_NAME": " 6 КМС", "PRICE": 8700, "DISCOUNT_SUM": 300, "QUANTITY": 2}
    assert crm.result("crm.deal.productrows.set", id=deal, rows=[row]) is True
    (shown,) = crm.result("crm.deal.productrows.get", id=deal)
    assert (shown["PRODUCT_NAME"], shown["PRICE_BRUTTO"], shown["PRICE_ACCOUNT"]) == (" 6 КМС", 9000, "8700.00")
    assert crm.result("crm.deal.get", id=deal)["OPPORTUNITY"] == "17400.00"


def test_tax_and_percent_discounts_are_told_apart(crm):
    deal = crm.deal()
    row = {"PRICE": 108, "TAX_RATE": 20, "DISCOUNT_TYPE_ID": 2, "DISCOUNT_RATE": 10}
    crm.result("crm.deal.productrows.set", id=deal, rows=[row])
    (shown,) = crm.result("crm.deal.productrows.get", id=deal)
    prices = {name: shown[f"PRICE_{name}"] for name in ("EXCLUSIVE", "NETTO", "BRUTTO")}
    assert prices == {"EXCLUSIVE": 90, "NETTO": 100, "BRUTTO": 120}


def test_product_rows_touch_the_deal_only_if_switched(crm):
    deal = crm.deal(DATE_MODIFY="2026-01-01T00:00:00+03:00")
    crm.result("crm.deal.productrows.set", id=deal, rows=[])
    assert crm.result("crm.deal.get", id=deal)["DATE_MODIFY"] == "2026-01-01T00:00:00+03:00"
    crm.portal.switch({"productrows_touch": True})
    crm.result("crm.deal.productrows.set", id=deal, rows=[])
    assert crm.result("crm.deal.get", id=deal)["DATE_MODIFY"] == NOON


def test_stages_and_pipelines_are_listed(crm):
    stages = crm.result("crm.status.list", filter={"ENTITY_ID": "DEAL_STAGE_2"})
    assert ("C2:WON", "S") in [(stage["STATUS_ID"], stage["SEMANTICS"]) for stage in stages]
    categories = crm.result("crm.category.list", entityTypeId=2)["categories"]
    assert [(category["id"], category["isDefault"]) for category in categories] == [(0, "Y"), (1, "N"), (2, "N")]


def test_users_are_found_by_id_or_filter_and_system_users_never(crm):
    assert [user["LAST_NAME"] for user in crm.result("user.get", ID=12)] == ["Сергеев"]
    assert crm.result("user.get", FILTER={"ACTIVE": False})[0]["ID"] == "18"
    status, answer = crm("user.get", ID=30)
    assert (status, answer["result"], answer["total"]) == (200, [], 0)
    assert crm.result("user.current")["ID"] == "1"


# Batch, §4.


def test_a_batch_runs_in_order_and_references_earlier_results(crm):
    for _ in range(60):
        crm.contact()
    step = quote("$result[a][49][ID]")
    answer = crm.result(
        "batch",
        cmd={
            "a": "crm.contact.list?order[ID]=ASC&select[]=ID",
            "b": f"crm.contact.List?order[ID]=ASC&select[]=ID&filter[%3EID]={step}&start=-1&",
        },
    )
    assert len(answer["result"]["b"]) == 10
    assert answer["result_total"] == {"a": 60, "b": 0}
    assert answer["result_next"] == {"a": 50}
    assert answer["result_error"] == []


def test_each_section_of_a_batch_is_a_list_when_its_keys_count_from_zero(crm):
    contact = crm.contact()
    answer = crm.result("batch", cmd={"0": "nope", "1": "crm.contact.get?id=9", "x": f"crm.contact.get?id={contact}"})
    assert list(answer["result"]) == ["x"]
    assert [error["error"] for error in answer["result_error"]] == ["ERROR_METHOD_NOT_FOUND", ""]
    assert list(answer["result_time"]) == ["x"]


def test_a_batch_answers_200_when_everything_in_it_failed(crm):
    status, answer = crm("batch", cmd=["batch?cmd[]=profile"])
    assert status == 200
    assert answer["result"]["result_error"][0]["error"] == "ERROR_BATCH_METHOD_NOT_ALLOWED"


def test_halt_stops_at_the_first_error(crm):
    answer = crm.result("batch", halt=1, cmd={"a": "profile", "b": "nope", "c": "profile"})
    assert (list(answer["result"]), list(answer["result_error"])) == (["a"], ["b"])


def test_the_fifty_first_command_fails_alone(crm):
    answer = crm.result("batch", cmd={f"c{number}": "server.time" for number in range(51)})
    assert len(answer["result"]) == 50
    assert answer["result_error"]["c50"]["error"] == "ERROR_BATCH_LENGTH_EXCEEDED"


def test_a_batch_takes_one_token_of_the_bucket(crm):
    crm.portal.switch({"rate_profile": "standard"})
    for _ in range(50):
        assert crm("batch", cmd=["profile", "profile", "profile"])[0] == 200
    assert crm("batch", cmd=["profile"])[0] == 503


@pytest.mark.parametrize(("position", "stored"), [("empty", ""), ("literal", "$result[no]")])
def test_an_unresolved_reference_is_empty_or_literal(crm, position, stored):
    contact = crm.contact()
    crm.portal.switch({"unresolved_reference": position})
    crm.result("batch", cmd=[f"crm.contact.update?id={contact}&fields[NAME]={quote('$result[no]')}"])
    assert (crm.result("crm.contact.get", id=contact)["NAME"] or "") == stored


def test_missing_scopes_and_blocked_methods_fail_per_command(crm):
    crm.portal.switch({"scopes": ["crm"], "operating_limit_s": 1.0, "operating_cost_s": 1.0})
    cmd = {"a": "user.get", "b": "crm.deal.list", "c": "crm.deal.list"}
    errors = crm.result("batch", cmd=cmd)["result_error"]
    assert errors["a"] == {"error": "insufficient_scope", "error_description": ""}
    assert errors["c"]["error"] == "OPERATION_TIME_LIMIT"
    assert "b" not in errors


@pytest.mark.parametrize(
    ("position", "batch", "method"), [("methods", 200, 429), ("batch", 429, 200), ("both", 429, 429)]
)
def test_a_batch_is_charged_to_the_methods_to_itself_or_to_both(crm, position, batch, method):
    crm.portal.switch({"operating_limit_s": 1.0, "operating_cost_s": 1.0, "batch_charges": position})
    assert crm("batch", cmd=["profile"])[0] == 200
    assert (crm("batch", cmd=["scope"])[0], crm("profile")[0]) == (batch, method)


# Robustness: whatever a client sends, the portal answers, and never with a defect of its own.

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
CLASSIC = ["ID", "NAME", ">DATE_MODIFY", "%NAME", "PHONE", "VALUE", "PRICE", "CONTACT_IDS", "COMPANY_ID", "fileData"]
CLASSIC += ["UF_CRM_58D15BB9CA8F4", "UF_CRM_1707822691457"]
UNIVERSAL = ["id", "fm", "typeId", "value", "contactIds", "categoryId", "ufCrm_1707822691457", ">createdTime", "logic"]
UNIVERSAL += ["0", "=ownerType", "=ownerId", "entityTypeId", "entityIds"]
NAMES = st.sampled_from(CLASSIC + UNIVERSAL)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)
PARAMS = st.dictionaries(
    st.sampled_from(
        ["id", "fields", "filter", "order", "select", "start", "rows", "cmd", "items", "params", "type", "values"]
    ),
    VALUES,
)


@settings(max_examples=200, deadline=None)
@given(method=st.sampled_from([*METHODS, "batch"]), params=PARAMS, type_id=st.sampled_from([2, 3, 4, None]))
def test_any_parameters_get_a_result_or_a_refusal(method, params, type_id):
    crm = Caller()
    crm.contact(ID=1)
    crm.deal(ID=1)
    crm.hands.create_many("companies", [{"ID": 1}])
    status, answer = crm(method, **{"entityTypeId": type_id, "id": 1, **params})
    assert (status, "result" in answer) in {(200, True), (400, False)}
