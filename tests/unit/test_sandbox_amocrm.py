"""The amoCRM stand-in against facts/amocrm.md §4 to §13, called in memory: no sockets, a frozen clock."""

import json
from urllib.parse import urlencode, urlsplit

import pytest

from sandbox.amocrm import reference as ref
from sandbox.amocrm.account import AmoCrm
from sandbox.amocrm.hands import Hands
from sandbox.amocrm.tokens import LONG_LIVED
from sandbox.chronicle import Chronicle
from sandbox.clock import Clock
from sandbox.wire import Request

NOW = 1_767_787_200
NOON = "2026-01-07T12:00:00+00:00"
UNSET = object()


class Caller:
    """One integration with a long-lived token, and a person who edits rows."""

    def __init__(self):
        self.clock, self.chronicle = Clock(), Chronicle()
        self.clock.change(freeze=NOON)
        self.account = AmoCrm(self.clock, self.chronicle)
        self.account.switch({"rate_profile": "off"})
        self.hands = Hands(self.account)
        self.headers = {"authorization": f"Bearer {LONG_LIVED}", "host": "crm.example"}
        self.last = None

    def send(self, http_method, path, body=UNSET, query="", **headers):
        content = b"" if body is UNSET else body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        request = Request(http_method, path, query, sent, content, "10.0.0.1", is_last=False)
        self.last = self.account.handle(request)
        return self.last.status, json.loads(self.last.body) if self.last.body else None

    def __call__(self, http_method, path, body=UNSET, **query):
        return self.send(http_method, f"/api/v4/{path}", body, urlencode(query))

    def get(self, path, **query):
        status, answer = self("GET", path, **query)
        assert status == 200, answer
        return answer

    def post(self, path, *elements):
        status, answer = self("POST", path, list(elements))
        assert status == 200, answer
        return answer

    def patch(self, path, body):
        status, answer = self("PATCH", path, body)
        assert status == 200, answer
        return answer

    def create(self, entity, *elements):
        rows = self.post(entity, *elements)["_embedded"][entity]
        return rows[0]["id"] if len(rows) == 1 else [row["id"] for row in rows]

    def ids(self, entity, **query):
        status, answer = self("GET", entity, **query)
        return [] if status == 204 else [row["id"] for row in answer["_embedded"][entity]]

    def refused(self, http_method, path, body):
        """{request id: [(code, path)]} of a 400."""
        status, answer = self(http_method, path, body)
        assert (status, self.last.content_type) == (400, "application/problem+json"), answer
        return {
            one["request_id"]: [(error["code"], error["path"]) for error in one["errors"]]
            for one in answer["validation-errors"]
        }

    def values(self, entity, row_id):
        held = self.get(f"{entity}/{row_id}")["custom_fields_values"] or ()
        return {one["field_code"] or one["field_id"]: [value["value"] for value in one["values"]] for one in held}

    def advance(self, seconds):
        self.clock.change(advance_s=seconds)


@pytest.fixture
def crm():
    return Caller()


def custom(code, *values):
    name = "field_id" if isinstance(code, int) else "field_code"
    return {name: code, "values": [value if isinstance(value, dict) else {"value": value} for value in values]}


def with_fields(*fields, **more):
    return {**more, "custom_fields_values": list(fields)}


# Bulk writes, §4 and §6.


def test_what_is_created_is_answered_by_request_id_and_read_again(crm):
    answer = crm.post("contacts", {"name": "Анна", "request_id": "a"}, {"name": "Вера"})
    first, second = answer["_embedded"]["contacts"]
    assert (first["request_id"], second["request_id"]) == ("a", "1")
    assert first["_links"]["self"]["href"] == f"http://crm.example/api/v4/contacts/{first['id']}"
    assert crm.last.content_type == "application/hal+json"
    row = crm.get(f"contacts/{first['id']}")
    assert (row["name"], row["created_at"], row["updated_at"], row["updated_by"]) == ("Анна", NOW, NOW, ref.INTEGRATION)
    assert row["custom_fields_values"] is None
    assert row["_embedded"] == {"tags": [], "companies": []}


def test_names_are_made_of_their_parts_in_the_order_of_the_account(crm):
    contact = crm.create("contacts", {"first_name": "Анна", "last_name": "Пешкина"})
    assert crm.get(f"contacts/{contact}")["name"] == "Анна Пешкина"
    crm.account.switch({"contact_name_display_order": 2})
    crm.patch(f"contacts/{contact}", {"first_name": "Вера"})
    assert crm.get(f"contacts/{contact}")["name"] == "Пешкина Вера"


def test_one_wrong_element_refuses_the_whole_batch(crm):
    wrong = {"name": 5, "responsible_user_id": "8000003", "request_id": "w"}
    errors = crm.refused("POST", "contacts", [{"name": "Анна"}, wrong, {"created_by": 77}])
    assert errors == {
        "w": [("InvalidType", "name"), ("InvalidType", "responsible_user_id")],
        "2": [("NotSupportedChoice", "created_by")],
    }
    assert crm.account.rows("contacts") == []


def test_without_atomicity_the_good_elements_are_written(crm):
    crm.account.switch({"batch_atomic": False})
    assert list(crm.refused("POST", "contacts", [{"name": "Анна"}, {"name": 5}])) == ["1"]
    assert [row["name"] for row in crm.account.rows("contacts")] == ["Анна"]
    assert [command.is_committed for command in crm.last.trace.commands] == [True, False]


@pytest.mark.parametrize("body", [[], [{"name": "x"}] * 251, {"name": "x"}, ["x"], b"{", None])
def test_other_bodies_are_no_batch(crm, body):
    assert crm("POST", "contacts", body)[0] == 400
    assert crm.account.rows("contacts") == []


def test_250_elements_are_a_batch(crm):
    assert len(crm.create("leads", *[{"price": 1}] * 250)) == 250


def test_one_entity_takes_an_object_and_no_post(crm):
    contact = crm.create("contacts", {"name": "Анна"})
    assert crm("PATCH", f"contacts/{contact}", [{"name": "Вера"}])[0] == 400
    assert crm("POST", f"contacts/{contact}", {"name": "Вера"})[0] == 405
    assert crm("DELETE", f"contacts/{contact}")[0] == 405
    assert crm("GET", "people")[0] == 404
    told = crm.patch(f"contacts/{contact}", {"name": "Вера"})
    assert (told["id"], told["name"], told["updated_at"]) == (contact, "Вера", NOW)


def test_every_patch_bumps_the_moment_also_an_empty_one(crm):
    contact = crm.create("contacts", {"name": "Анна"})
    crm.advance(10)
    assert crm.patch(f"contacts/{contact}", {})["updated_at"] == NOW + 10
    crm.advance(10)
    (told,) = crm.patch("contacts", [{"id": contact, "request_id": "x"}])["_embedded"]["contacts"]
    assert (told["updated_at"], told["request_id"]) == (NOW + 20, "x")


def test_ids_of_a_batch_must_be_there(crm):
    contact = crm.create("contacts", {"name": "Анна"})
    elements = [{"id": contact, "name": "Вера"}, {"id": 1}, {"name": "x"}, {"id": "5"}]
    assert crm.refused("PATCH", "contacts", elements) == {
        "1": [("NotFound", "id")],
        "2": [("FieldMissing", "id")],
        "3": [("InvalidType", "id")],
    }
    assert crm("PATCH", "contacts/1", {})[0] == 404
    crm.account.switch({"missing_in_batch": "skipped"})
    told = crm.patch("contacts", elements[:2])["_embedded"]["contacts"]
    assert [one["id"] for one in told] == [contact]


def test_an_id_twice_in_a_batch_is_what_the_switch_says(crm):
    contact = crm.create("contacts", {"name": "Анна"})
    twice = [{"id": contact, "name": "Вера"}, {"id": contact, "name": "Зоя"}]
    crm.patch("contacts", twice)
    assert crm.get(f"contacts/{contact}")["name"] == "Зоя"
    crm.account.switch({"duplicate_ids": "refused"})
    assert set(crm.refused("PATCH", "contacts", twice)) == {"0", "1"}


def test_a_stale_moment_is_refused(crm):
    contact = crm.create("contacts", {"name": "Анна"})
    assert crm.refused("PATCH", f"contacts/{contact}", {"updated_at": NOW}) == {"0": [("StaleUpdate", "updated_at")]}
    assert crm.patch(f"contacts/{contact}", {"updated_at": NOW + 5})["updated_at"] == NOW + 5
    crm.account.switch({"stale_updated_at": "ignored"})
    assert crm.patch(f"contacts/{contact}", {"updated_at": 1})["updated_at"] == NOW


def test_names_have_a_length_and_companies_have_names(crm):
    assert crm.refused("POST", "companies", [{}, {"name": " "}, {"name": "я" * 256}]) == {
        "0": [("FieldMissing", "name")],
        "1": [("NotBlank", "name")],
        "2": [("Length", "name")],
    }
    crm.account.switch({"long_name": "trimmed"})
    company = crm.create("companies", {"name": "я" * 256})
    assert len(crm.get(f"companies/{company}")["name"]) == 255


def test_unknown_keys_are_ignored_or_refused(crm):
    crm.create("contacts", {"name": "Анна", "nmae": "x"})
    crm.account.switch({"unknown_keys": "refused"})
    errors = crm.refused("POST", "contacts", [{"name": "Анна", "nmae": "x"}])
    assert errors == {"0": [("UnexpectedField", "nmae")]}


def test_tags_are_replaced_or_added_but_never_both(crm):
    lead = crm.create("leads", {"tags_to_add": [{"name": "a"}, {"name": "b"}]})

    def tags(**change):
        crm.patch(f"leads/{lead}", change)
        return [tag["name"] for tag in crm.get(f"leads/{lead}")["_embedded"]["tags"]]

    assert tags(tags_to_add=[{"name": "c"}], tags_to_delete=[{"name": "a"}]) == ["b", "c"]
    assert tags(_embedded={"tags": [{"name": "d"}]}, tags_to_add=[{"name": "e"}]) == ["d"]
    assert tags(_embedded={"tags": None}) == []


def test_an_admin_may_act_as_somebody_else(crm):
    body = [{"name": "Анна"}]
    assert crm.send("POST", "/api/v4/contacts", body, x_context_user_id=str(ref.COLLEAGUE))[0] == 200
    assert crm.account.rows("contacts")[0]["created_by"] == ref.COLLEAGUE
    assert crm.send("POST", "/api/v4/contacts", body, x_context_user_id="1")[0] == 403


# Custom fields, §10.


def test_a_listed_field_loses_all_its_values_and_others_keep_theirs(crm):
    contact = crm.create("contacts", with_fields(custom("PHONE", "+7 999", "8 999"), custom("EMAIL", "a@mail.example")))
    crm.patch(f"contacts/{contact}", with_fields(custom("PHONE", {"value": "7", "enum_code": "MOB"})))
    assert crm.values("contacts", contact) == {"PHONE": ["7"], "EMAIL": ["a@mail.example"]}
    phone = crm.get(f"contacts/{contact}")["custom_fields_values"][0]
    assert (phone["field_id"], phone["field_type"], phone["field_name"]) == (ref.PHONE, "multitext", "Телефон")
    assert phone["values"] == [{"value": "7", "enum_id": ref.PHONE * 10 + 3, "enum_code": "MOB"}]
    crm.patch(f"contacts/{contact}", with_fields({"field_code": "PHONE", "values": None}, custom(ref.EMAIL)))
    assert crm.get(f"contacts/{contact}")["custom_fields_values"] is None


@pytest.mark.parametrize(
    ("given", "code", "path"),
    [
        ({"field_id": 1, "values": []}, "NotSupportedChoice", "field_id"),
        ({"field_id": [], "values": []}, "NotSupportedChoice", "field_id"),
        ({"field_code": "FAX", "values": []}, "NotSupportedChoice", "field_code"),
        ({"values": []}, "FieldMissing", "field_id"),
        ({"field_code": "PHONE"}, "FieldMissing", "values"),
        ({"field_code": "PHONE", "values": "7"}, "InvalidType", "values"),
        ({"field_code": "PHONE", "values": ["7"]}, "InvalidType", "values.0"),
        ({"field_code": "PHONE", "values": [{"value": "7"}, {"value": []}]}, "InvalidType", "values.1.value"),
        (
            {"field_code": "PHONE", "values": [{"value": "7", "enum_code": "CAR"}]},
            "NotSupportedChoice",
            "values.0.enum_code",
        ),
        ({"field_id": ref.ORIGIN, "values": [{"value": "Сон"}]}, "NotSupportedChoice", "values.0.value"),
        ({"field_id": ref.ORIGIN, "values": [{"enum_id": 1}]}, "NotSupportedChoice", "values.0.enum_id"),
        ({"field_id": ref.CITY, "values": [{"value": "a"}, {"value": "b"}]}, "InvalidCount", "values"),
    ],
)
def test_a_wrong_field_is_named_by_its_path(crm, given, code, path):
    errors = crm.refused("POST", "contacts", [with_fields(given)])
    assert errors == {"0": [(code, f"custom_fields_values.0.{path}")]}


NEW_TYPES = [
    ("text", {"value": 5}, {"value": "5"}),
    ("numeric", {"value": "1.5"}, {"value": "1.5"}),
    ("monetary", {"value": 12.5}, {"value": "12.5"}),
    ("checkbox", {"value": True}, {"value": True}),
    ("url", {"value": "https://a.example"}, {"value": "https://a.example"}),
    ("date_time", {"value": "2026-01-07T12:00:00+03:00"}, {"value": NOW - 10_800}),
    ("date", {"value": NOW}, {"value": NOW - 15 * 3600}),
    ("birthday", {"value": "1990-05-06"}, {"value": 641_937_600}),
    ("smart_address", {"value": "Ладейск", "enum_code": "city"}, {"value": "Ладейск", "enum_code": "city"}),
    ("legal_entity", {"value": {"name": "А", "vat_id": "0"}}, {"value": {"name": "А", "vat_id": "0"}}),
]


@pytest.mark.parametrize(("kind", "written", "read"), NEW_TYPES)
def test_every_type_is_created_and_holds_its_shape(crm, kind, written, read):
    status, answer = crm("POST", "leads/custom_fields", [{"name": "Поле", "type": kind, "code": "OURS"}])
    assert status == 201
    (field,) = answer["_embedded"]["custom_fields"]
    lead = crm.create("leads", with_fields({"field_id": field["id"], "values": [written]}))
    assert crm.get(f"leads/{lead}")["custom_fields_values"][0]["values"] == [read]


@pytest.mark.parametrize(
    ("kind", "value"),
    [("numeric", "a"), ("monetary", "nan"), ("checkbox", "1"), ("date", "yesterday"), ("date", True), ("url", None)],
)
def test_a_value_of_another_type_is_refused_or_empty(crm, kind, value):
    crm("POST", "leads/custom_fields", [{"name": "Поле", "type": kind, "code": "OURS"}])
    lead = with_fields(custom("OURS", value))
    if value is None:
        assert crm.values("leads", crm.create("leads", lead)) == {}
    else:
        path = "custom_fields_values.0.values.0.value"
        assert crm.refused("POST", "leads", [lead]) == {"0": [("InvalidType", path)]}


def test_selects_are_chosen_in_three_ways_and_multiselects_hold_several(crm):
    enums = [{"value": "Раз", "code": "ONE"}, {"value": "Два", "sort": 20}]
    _, answer = crm("POST", "leads/custom_fields", [{"name": "Выбор", "type": "multiselect", "enums": enums}])
    (field,) = answer["_embedded"]["custom_fields"]
    one, two = (enum["id"] for enum in field["enums"])
    lead = crm.create("leads", with_fields(custom(field["id"], {"enum_code": "ONE"}, {"value": "Два"})))
    values = crm.get(f"leads/{lead}")["custom_fields_values"][0]["values"]
    assert [(value["enum_id"], value["value"]) for value in values] == [(one, "Раз"), (two, "Два")]
    crm.patch(f"leads/{lead}", with_fields(custom(field["id"], {"enum_id": two})))
    assert crm.values("leads", lead) == {field["id"]: ["Два"]}


def test_fields_come_in_pages_of_fifty_whatever_the_limit(crm):
    for first in range(0, 60, 30):
        batch = [{"name": "f", "type": "text", "code": f"F{first + n}", "is_api_only": True} for n in range(30)]
        assert crm("POST", "companies/custom_fields", batch)[0] == 201
    page = crm.get("companies/custom_fields", limit=250)
    assert len(page["_embedded"]["custom_fields"]) == 50
    path, _, query = page["_links"]["next"]["href"].removeprefix("http://crm.example").partition("?")
    rest = crm.send("GET", path, query=query)[1]
    assert (len(rest["_embedded"]["custom_fields"]), "next" in rest["_links"]) == (15, False)
    assert rest["_embedded"]["custom_fields"][-1]["is_api_only"] is True


def test_codes_are_unique_and_types_known(crm):
    given = [{"name": "a", "type": "text", "code": "INN"}, {"type": "dream"}]
    assert crm.refused("POST", "companies/custom_fields", given) == {
        "0": [("NotUnique", "code")],
        "1": [("FieldMissing", "name"), ("NotSupportedChoice", "type")],
    }
    crm.account.switch({"duplicate_field_code": "accepted"})
    assert crm("POST", "companies/custom_fields", given[:1])[0] == 201


def test_a_deleted_field_takes_its_values_along(crm):
    company = crm.create("companies", with_fields(custom("INN", "00"), name="А"))
    assert crm("DELETE", f"companies/custom_fields/{ref.INN}") == (204, None)
    assert crm.get(f"companies/{company}")["custom_fields_values"] is None
    assert crm("DELETE", f"companies/custom_fields/{ref.COMPANY_PHONE}")[0] == 400
    assert crm("GET", f"companies/custom_fields/{ref.INN}")[0] == 404


# Leads, §8.


def test_a_lead_begins_on_the_first_stage_that_is_not_incoming(crm):
    lead = crm.get(f"leads/{crm.create('leads', {'price': 100})}")
    assert (lead["pipeline_id"], lead["status_id"]) == (ref.MAIN_PIPELINE, ref.MAIN_PIPELINE * 10 + 1)
    assert (lead["name"], lead["price"], lead["closed_at"]) == (f"Сделка #{lead['id']}", 100, None)
    wrong = {"status_id": ref.MAIN_PIPELINE * 10}
    assert crm.refused("POST", "leads", [wrong]) == {"0": [("NotSupportedChoice", "status_id")]}


@pytest.mark.parametrize("pipeline", [ref.MAIN_PIPELINE, ref.SECOND_PIPELINE])
def test_won_and_lost_are_in_every_pipeline_and_close_the_lead(crm, pipeline):
    lead = crm.create("leads", {"pipeline_id": pipeline})
    crm.advance(60)
    crm.patch(f"leads/{lead}", {"status_id": ref.LOST, "pipeline_id": pipeline, "loss_reason_id": 9_001})
    row = crm.get(f"leads/{lead}", **{"with": "loss_reason"})
    assert (row["status_id"], row["pipeline_id"], row["closed_at"]) == (ref.LOST, pipeline, NOW + 60)
    assert row["_embedded"]["loss_reason"][0]["id"] == row["loss_reason_id"] == 9_001
    crm.patch(f"leads/{lead}", {"status_id": ref.WON})
    assert crm.get(f"leads/{lead}")["loss_reason_id"] is None
    crm.patch(f"leads/{lead}", {"status_id": pipeline * 10 + 2})
    assert crm.get(f"leads/{lead}")["closed_at"] is None


def test_a_stage_of_another_pipeline_needs_its_pipeline(crm):
    lead, stage = crm.create("leads", {}), ref.SECOND_PIPELINE * 10 + 2
    assert crm.refused("PATCH", f"leads/{lead}", {"status_id": stage}) == {"0": [("NotSupportedChoice", "status_id")]}
    crm.account.switch({"status_without_pipeline": "resolves"})
    crm.patch(f"leads/{lead}", {"status_id": stage})
    assert crm.get(f"leads/{lead}")["pipeline_id"] == ref.SECOND_PIPELINE


@pytest.mark.parametrize("price", ["100", 10.5, 10.0, True, None])
def test_a_price_is_a_whole_number(crm, price):
    assert crm.refused("POST", "leads", [{"price": price}]) == {"0": [("InvalidType", "price")]}


def test_an_account_may_keep_minor_units(crm):
    crm.account.switch({"fractional_price": "kept"})
    lead = crm.get(f"leads/{crm.create('leads', {'price': 10.5})}")
    assert (lead["price"], lead["price_with_minor_units"]) == (10, 10.5)


def test_links_of_a_lead_are_made_at_creation_only(crm):
    contacts, company = crm.create("contacts", {"name": "a"}, {"name": "b"}), crm.create("companies", {"name": "c"})
    embedded = {"contacts": [{"id": contacts[0]}, {"id": contacts[1], "is_main": True}], "companies": [{"id": company}]}
    lead = crm.create("leads", {"_embedded": embedded})
    crm.patch(f"leads/{lead}", {"_embedded": {"contacts": [{"id": contacts[0]}]}})
    row = crm.get(f"leads/{lead}", **{"with": "contacts"})["_embedded"]
    assert [(one["id"], one["is_main"]) for one in row["contacts"]] == [(contacts[0], False), (contacts[1], True)]
    assert [one["id"] for one in row["companies"]] == [company]
    assert "contacts" not in crm.get(f"leads/{lead}")["_embedded"]
    for entity, row_id in (("contacts", contacts[1]), ("companies", company)):
        shown = crm.get(f"{entity}/{row_id}", **{"with": "leads"})["_embedded"]["leads"]
        assert [one["id"] for one in shown] == [lead]
    wrong = [{"_embedded": {"contacts": [{"id": 1}]}}]
    assert crm.refused("POST", "leads", wrong) == {"0": [("NotSupportedChoice", "_embedded.contacts.0.id")]}


# Lists, §5 and §12.


@pytest.fixture
def many(crm):
    """260 contacts, the first ten ten seconds apart, the rest of one second."""
    for _ in range(10):
        crm.create("contacts", {"name": "Анна"})
        crm.advance(10)
    crm.create("contacts", *[{"name": "Вера"}] * 250)
    return crm


def test_pages_end_without_a_next_link_and_then_with_204(many):
    seen, path = [], "/api/v4/contacts?limit=100&order%5Bid%5D=desc&page=1"
    while path:
        address, _, query = path.partition("?")
        page = many.send("GET", address, query=query)[1]
        seen += [row["id"] for row in page["_embedded"]["contacts"]]
        following = page["_links"].get("next", {}).get("href", "")
        path = following.removeprefix("http://crm.example")
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 260
    assert many("GET", "contacts", page=4, limit=100) == (204, None)


@pytest.mark.parametrize(
    ("position", "limit", "count"),
    [("default", 250, 250), ("default", 251, 50), ("clamped", 500, 250), ("default", 0, 50), ("default", "x", 50)],
)
def test_a_limit_above_the_most_is_what_the_switch_says(many, position, limit, count):
    many.account.switch({"over_limit": position})
    assert len(many.ids("contacts", limit=limit)) == count


def test_a_limit_above_the_most_may_be_refused(many):
    many.account.switch({"over_limit": "refused"})
    assert many("GET", "contacts", limit=251)[0] == 400


@pytest.mark.parametrize(("position", "count"), [("inclusive", 252), ("exclusive", 251)])
def test_changes_since_a_moment_are_found(many, position, count):
    many.account.switch({"range_ends": position})
    query = {"filter[updated_at][from]": NOW + 80, "order[updated_at]": "asc", "limit": 250}
    first, rest = many.ids("contacts", **query), many.ids("contacts", **query, page=2)
    assert len({*first, *rest}) == len(first) + len(rest) == count


def test_rows_of_one_second_may_come_in_any_order(many):
    query = {"order[updated_at]": "desc", "limit": 250}
    assert many.ids("contacts", **query) == many.ids("contacts", **query)
    many.account.switch({"equal_times": "shuffled"})
    assert many.ids("contacts", **query) != many.ids("contacts", **query)


def test_without_the_feature_filters_are_ignored(many):
    assert len(many.ids("contacts", **{"filter[name][]": "Анна"})) == 10
    many.account.switch({"is_api_filter_enabled": False})
    assert len(many.ids("contacts", **{"filter[name][]": "Анна"}, limit=20)) == 20
    assert len(many.ids("contacts", query="анн")) == 10
    assert many.get("account", **{"with": "is_api_filter_enabled"})["is_api_filter_enabled"] is False


def test_filters_of_ids_fields_stages_and_prices(crm):
    stage = ref.SECOND_PIPELINE * 10 + 1
    one, two, three = crm.create(
        "leads",
        with_fields(custom("DOCUMENT", "Накладная"), price=10),
        with_fields(custom("PAID_SUM", "100.50"), price=20, pipeline_id=ref.SECOND_PIPELINE),
        with_fields(custom(ref.PAYMENT_WAY, "Карта"), price=30, responsible_user_id=ref.HUMAN),
    )

    def found(**query):
        return crm.ids("leads", **query)

    assert found(**{"filter[id][0]": three, "filter[id][1]": one}) == [one, three]
    assert found(**{"filter[price][from]": 20, "filter[price][to]": 20}) == [two]
    assert found(**{f"filter[custom_fields_values][{ref.DOCUMENT}][]": "Накладная"}) == [one]
    assert found(**{f"filter[custom_fields_values][{ref.PAID_SUM}][from]": 100}) == [two]
    assert found(**{f"filter[custom_fields_values][{ref.PAYMENT_WAY}][]": ref.PAYMENT_WAY * 10 + 2}) == [three]
    assert found(
        **{"filter[statuses][0][pipeline_id]": ref.SECOND_PIPELINE, "filter[statuses][0][status_id]": stage}
    ) == [two]
    assert found(**{"filter[responsible_user_id][]": ref.HUMAN}) == [three]
    assert found(**{"filter[custom_fields_values][DOCUMENT][]": "Накладная"}) == [one, two, three]
    assert found(**{"filter[mood]": "good"}) == [one, two, three]
    assert crm("GET", "leads", **{"filter[id][]": "x"})[0] == 400
    assert crm("GET", "leads", **{"order[name]": "asc"})[0] == 400


def test_a_query_knows_nothing_of_phones(crm):
    plain = crm.create("contacts", with_fields(custom("PHONE", "+79990000001"), name="Анна"))
    written = crm.create("contacts", with_fields(custom("PHONE", "8 (999) 000-00-01"), name="Вера"))
    assert crm.ids("contacts", query="9990000001") == [plain]
    assert crm.ids("contacts", query="89990000001") == []
    assert crm.ids("contacts", query="ВЕР") == [written]
    crm.account.switch({"query_phones": "digits"})
    assert crm.ids("contacts", query="9990000001") == [plain, written]


def test_a_query_may_lag_behind(crm):
    crm.account.switch({"search_lag_s": 5.0})
    contact = crm.create("contacts", {"name": "Анна"})
    assert crm.ids("contacts", query="Анна") == []
    assert crm.ids("contacts") == [contact]
    crm.advance(5)
    assert crm.ids("contacts", query="Анна") == [contact]


def test_deleted_rows_vanish_into_a_list_of_their_own(crm):
    kept, gone = crm.create("contacts", {"name": "a"}, {"name": "b"})
    lead = crm.create("leads", {"_embedded": {"contacts": [{"id": gone}, {"id": kept}]}})
    crm.advance(5)
    crm.hands.delete("contacts", gone)
    assert crm("GET", f"contacts/{gone}") == (204, None)
    assert crm.ids("contacts") == [kept]
    (row,) = crm.get("contacts", **{"with": "only_deleted"})["_embedded"]["contacts"]
    assert (row["id"], row["is_deleted"], row["updated_at"], "name" in row) == (gone, True, NOW + 5, False)
    linked = crm.get(f"leads/{lead}", **{"with": "contacts"})["_embedded"]["contacts"]
    assert [(one["id"], one["is_main"]) for one in linked] == [(kept, True)]
    assert crm("PATCH", f"contacts/{gone}", {})[0] == 404
    crm.hands.restore("contacts", gone)
    assert crm.ids("contacts") == [kept, gone]


# Links, §9.


def test_links_are_made_listed_and_undone_from_either_side(crm):
    contact, company, lead = (crm.create(entity, {"name": entity}) for entity in ref.ENTITIES)
    crm.advance(5)
    main = {"to_entity_id": contact, "to_entity_type": "contacts", "metadata": {"is_main": True}}
    (link,) = crm.post(f"leads/{lead}/link", main)["_embedded"]["links"]
    assert (link["entity_id"], link["to_entity_id"], link["metadata"]) == (lead, contact, {"main_contact": True})
    crm.post(f"companies/{company}/link", {"to_entity_id": contact, "to_entity_type": "contacts"})
    assert crm.get(f"contacts/{contact}")["_embedded"]["companies"][0]["id"] == company
    assert {crm.get(f"{e}/{i}")["updated_at"] for e, i in (("contacts", contact), ("leads", lead))} == {NOW + 5}
    links = crm.get(f"contacts/{contact}/links")["_embedded"]["links"]
    assert {(one["to_entity_type"], one["to_entity_id"]) for one in links} == {("companies", company), ("leads", lead)}
    unlinked = [
        {"to_entity_id": lead, "to_entity_type": "leads"},
        {"to_entity_id": company, "to_entity_type": "companies"},
    ]
    assert crm("POST", f"contacts/{contact}/unlink", unlinked) == (204, None)
    assert crm("GET", f"contacts/{contact}/links") == (204, None)


def test_mass_links_name_both_ends_and_a_contact_has_one_company(crm):
    contact, (first, second) = (
        crm.create("contacts", {"name": "a"}),
        crm.create("companies", {"name": "b"}, {"name": "c"}),
    )
    rows = [
        {"entity_id": contact, "to_entity_id": one, "to_entity_type": "companies"} for one in (first, second, second)
    ]
    crm.post("contacts/link", *rows)
    links = crm.get("contacts/links", **{"filter[entity_id][]": contact})["_embedded"]["links"]
    assert [link["to_entity_id"] for link in links] == [second]
    assert crm.get(f"companies/{first}", **{"with": "contacts"})["_embedded"]["contacts"] == []


def test_a_repeated_link_changes_nothing_and_touching_is_a_switch(crm):
    contact, lead = crm.create("contacts", {"name": "a"}), crm.create("leads", {})
    crm.account.switch({"link_touches": "none"})
    crm.advance(5)
    for _ in range(2):
        crm.post(f"leads/{lead}/link", {"to_entity_id": contact, "to_entity_type": "contacts"})
    assert {crm.get(f"{e}/{i}")["updated_at"] for e, i in (("contacts", contact), ("leads", lead))} == {NOW}
    assert len(crm.chronicle.since(0, entity="leads")) == 2


def test_a_link_to_nobody_is_what_the_switch_says(crm):
    lead, nobody = crm.create("leads", {}), [{"to_entity_id": 1, "to_entity_type": "contacts"}]
    assert crm("POST", f"leads/{lead}/link", nobody)[0] == 404
    crm.account.switch({"missing_link_target": 400})
    assert crm.refused("POST", f"leads/{lead}/link", nobody) == {"0": [("NotSupportedChoice", "to_entity_id")]}
    wrong = [{"to_entity_id": 1, "to_entity_type": "leads"}]
    assert crm.refused("POST", f"leads/{lead}/link", wrong) == {"0": [("NotSupportedChoice", "to_entity_type")]}


# leads/complex, §8.


def whole_lead(phone="79990000001", **more):
    contact = with_fields(custom("PHONE", phone), name="Анна")
    return {"name": "Заказ", "_embedded": {"contacts": [contact], "companies": [{"name": "Ладья"}]}, **more}


def test_a_lead_comes_with_its_contact_and_company(crm):
    (told,) = crm.post("leads/complex", whole_lead(request_id="r"))
    assert (told["request_id"], told["merged"]) == (["r"], False)
    lead = crm.get(f"leads/{told['id']}", **{"with": "contacts"})["_embedded"]
    assert [(one["id"], one["is_main"]) for one in lead["contacts"]] == [(told["contact_id"], True)]
    contact = crm.get(f"contacts/{told['contact_id']}")
    assert [one["id"] for one in contact["_embedded"]["companies"]] == [told["company_id"]]


def test_duplicates_are_found_among_what_was_there_if_the_account_controls_them(crm):
    (first,) = crm.post("leads/complex", whole_lead())
    crm.account.switch({"duplicate_control": True})
    again, other, same_as_other = crm.post(
        "leads/complex", whole_lead("8 999 000-00-01"), whole_lead("79990000002"), whole_lead("79990000002")
    )
    assert (again["merged"], again["id"], again["contact_id"]) == (True, first["id"], first["contact_id"])
    assert [one["merged"] for one in (other, same_as_other)] == [False, False]
    assert other["contact_id"] != same_as_other["contact_id"]
    crm.patch(f"leads/{first['id']}", {"status_id": ref.WON})
    (closed,) = crm.post("leads/complex", whole_lead())
    assert (closed["merged"], closed["contact_id"], closed["id"] != first["id"]) == (False, first["contact_id"], True)


def test_the_limits_of_a_complex_lead(crm):
    assert crm("POST", "leads/complex", [whole_lead()] * 51)[0] == 400
    lead = whole_lead(price="1")
    lead["_embedded"]["companies"] = [{"name": "a"}, {"name": "b"}]
    lead["_embedded"]["contacts"][0]["name"] = 5
    assert crm.refused("POST", "leads/complex", [lead]) == {
        "0": [
            ("InvalidType", "_embedded.contacts.0.name"),
            ("InvalidCount", "_embedded.companies"),
            ("InvalidType", "price"),
        ]
    }
    many = with_fields(*[custom("DOCUMENT", "x")] * 41)
    assert crm.refused("POST", "leads/complex", [many]) == {"0": [("InvalidCount", "custom_fields_values")]}


def test_metadata_make_a_lead_incoming(crm):
    lead = whole_lead(status_id=ref.MAIN_PIPELINE * 10 + 2)
    lead["_embedded"]["metadata"] = {"category": "forms", "form_id": "1"}
    (told,) = crm.post("leads/complex", lead)
    assert crm.get(f"leads/{told['id']}")["status_id"] == ref.MAIN_PIPELINE * 10


# Notes, tasks and events, §13.


def test_notes_are_added_one_by_one_and_in_mass_and_never_recognised(crm):
    lead = crm.create("leads", {})
    note = {"note_type": "common", "params": {"text": "Оплата"}, "request_id": "n"}
    (told,) = crm.post(f"leads/{lead}/notes", note)["_embedded"]["notes"]
    assert (told["entity_id"], told["request_id"]) == (lead, "n")
    service = {"note_type": "service_message", "params": {"service": "1С", "text": "Отгрузка"}, "entity_id": lead}
    crm.post("leads/notes", note | {"entity_id": lead}, service)
    assert len(crm.get(f"leads/{lead}/notes")["_embedded"]["notes"]) == 3
    found = crm.get("leads/notes", **{"filter[note_type][]": "service_message"})["_embedded"]["notes"]
    assert [(one["params"]["text"], one["created_by"]) for one in found] == [("Отгрузка", ref.INTEGRATION)]
    assert len(crm.get(f"leads/{lead}/notes", limit=2)["_embedded"]["notes"]) == 2
    assert crm.get(f"leads/notes/{told['id']}")["note_type"] == "common"
    assert crm("GET", "contacts/notes") == (204, None)
    crm.patch(f"leads/{lead}/notes/{told['id']}", {"params": {"text": "Возврат"}})
    assert crm.get(f"leads/notes/{told['id']}")["params"]["text"] == "Возврат"


def test_a_note_must_be_whole(crm):
    lead = crm.create("leads", {})
    wrong = [
        {"params": {}},
        {"note_type": "song", "params": []},
        {"note_type": "service_message", "params": {"text": 1}},
    ]
    assert crm.refused("POST", f"leads/{lead}/notes", wrong) == {
        "0": [("FieldMissing", "note_type")],
        "1": [("NotSupportedChoice", "note_type"), ("InvalidType", "params")],
        "2": [("FieldMissing", "params.service"), ("InvalidType", "params.text")],
    }
    note = {"note_type": "common", "params": {"text": "x"}}
    assert crm.refused("POST", "leads/notes", [note]) == {"0": [("FieldMissing", "entity_id")]}
    assert crm("POST", "leads/1/notes", [note])[0] == 404
    assert crm.account.rows("notes") == []


def test_a_note_touches_its_entity_by_a_switch(crm):
    lead, note = crm.create("leads", {}), {"note_type": "common", "params": {"text": "x"}}
    crm.advance(5)
    crm.post(f"leads/{lead}/notes", note)
    assert crm.get(f"leads/{lead}")["updated_at"] == NOW
    crm.account.switch({"note_touches_entity": True})
    crm.post(f"leads/{lead}/notes", note)
    assert crm.get(f"leads/{lead}")["updated_at"] == NOW + 5


def test_tasks_are_made_found_and_completed(crm):
    lead, other = crm.create("leads", {}, {})
    task = {"text": "Позвонить", "complete_till": NOW + 3600, "entity_type": "leads", "request_id": "t"}
    told = crm.post("tasks", task | {"entity_id": lead}, task | {"entity_id": other, "task_type_id": 2})
    first, second = (one["id"] for one in told["_embedded"]["tasks"])
    assert told["_embedded"]["tasks"][0]["request_id"] == "t"
    assert crm.get(f"leads/{lead}")["closest_task_at"] == NOW + 3600
    query = {"filter[entity_type]": "leads", "filter[entity_id][]": other}
    assert [one["id"] for one in crm.get("tasks", **query)["_embedded"]["tasks"]] == [second]
    crm.advance(1)
    done = crm.patch(f"tasks/{first}", {"is_completed": True, "result": {"text": "Да"}})
    assert (done["id"], done["updated_at"]) == (first, NOW + 1)
    assert crm.get(f"tasks/{first}")["result"] == {"text": "Да"}
    assert crm.get(f"leads/{lead}")["closest_task_at"] is None
    assert crm("GET", "tasks", **query, **{"filter[is_completed]": 1}) == (204, None)
    assert crm.refused("POST", "tasks", [{"text": "", "entity_type": "leads", "entity_id": 1}]) == {
        "0": [("FieldMissing", "complete_till"), ("NotBlank", "text"), ("NotSupportedChoice", "entity_id")]
    }


def test_events_tell_what_became_of_every_entity_newest_first(crm):
    lead = crm.create("leads", {"price": 1})
    crm.patch(f"leads/{lead}", with_fields(custom("DOCUMENT", "x"), price=2, status_id=ref.WON))
    crm.hands.edit("leads", lead, {"responsible_user_id": ref.COLLEAGUE})
    crm.hands.delete("leads", lead)
    events = crm.get("events")["_embedded"]["events"]
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["lead_deleted", "entity_responsible_changed"]
    assert set(kinds[2:5]) == {"lead_status_changed", "sale_field_changed", "custom_field_300012_value_changed"}
    assert kinds[5:] == ["lead_added"]
    query = {"filter[type]": "lead_status_changed", "filter[entity]": "lead", "filter[entity_id]": f"{lead},5"}
    (event,) = crm.get("events", **query)["_embedded"]["events"]
    assert event["value_after"] == [{"lead_status": {"id": ref.WON, "pipeline_id": ref.MAIN_PIPELINE}}]
    assert isinstance(event["id"], str)
    by_person = crm.get("events", **{"filter[created_by]": ref.HUMAN})["_embedded"]["events"]
    assert len(by_person) == 2
    assert crm("GET", "events", **{"filter[created_at][from]": NOW + 1}) == (204, None)
    assert crm("GET", "events", **{"filter[entity_id]": ",".join("12345678901")})[0] == 400


# Directories, §11.


def test_the_account_and_its_directories(crm):
    asked = {"with": "is_api_filter_enabled,datetime_settings,task_types,users_groups"}
    account = crm.get("account", **asked)
    assert (account["id"], account["subdomain"], account["is_api_filter_enabled"]) == (ref.ACCOUNT_ID, "sandbox", True)
    zone = account["_embedded"]["datetime_settings"]
    assert (zone["timezone"], zone["timezone_offset"]) == ("Europe/Moscow", "+03:00")
    assert "_embedded" not in crm.get("account")
    users = crm.get("users", limit=250)["_embedded"]["users"]
    assert [user["id"] for user in users if user["rights"]["is_admin"]] == [ref.ADMIN]
    pipelines = crm.get("leads/pipelines")["_embedded"]["pipelines"]
    for pipeline in pipelines:
        statuses = pipeline["_embedded"]["statuses"]
        assert [statuses[0]["type"], *[one["id"] for one in statuses[-2:]]] == [1, ref.WON, ref.LOST]
        assert crm.get(f"leads/pipelines/{pipeline['id']}/statuses")["_embedded"]["statuses"] == statuses
    assert crm.get("leads/loss_reasons")["_embedded"]["loss_reasons"]


# The person, the journal and the chronicle.


@pytest.mark.parametrize(("path", "status"), [("account", 200), ("contacts", 204), ("dreams", 404)])
def test_every_answer_tells_the_accounts_clock(crm, path, status):
    crm.advance(90)
    assert crm("GET", path)[0] == status
    assert dict(crm.last.headers)["Date"] == "Wed, 07 Jan 2026 12:01:30 GMT"


def test_a_person_edits_what_a_form_shows(crm):
    fields = {
        "name": "Анна",
        "phones": ["8 999 000"],
        "emails": ["a@mail.example"],
        "fields": {str(ref.CITY): "Ладейск"},
    }
    contact = crm.hands.create("contacts", fields)["id"]
    assert crm.values("contacts", contact) == {
        "PHONE": ["8 999 000"],
        "EMAIL": ["a@mail.example"],
        ref.CITY: ["Ладейск"],
    }
    crm.advance(5)
    edited = crm.hands.edit("contacts", contact, {"name": "Вера", "emails": [], "fields": {"POSITION": "Директор"}})
    assert (edited["name"], edited["updated_by"], edited["updated_at"]) == ("Вера", ref.HUMAN, NOW + 5)
    assert crm.values("contacts", contact) == {"PHONE": ["8 999 000"], ref.CITY: ["Ладейск"], "POSITION": ["Директор"]}
    with pytest.raises(ValueError, match="NotSupportedChoice"):
        crm.hands.edit("contacts", contact, {"fields": {"NO": 1}})
    with pytest.raises(KeyError):
        crm.hands.edit("contacts", 1, {})
    with pytest.raises(ValueError, match="no such companies"):
        crm.hands.edit("contacts", contact, {"company_id": 5})


def test_a_person_links_and_merges(crm):
    company = crm.hands.create("companies", {"name": "Ладья", "id": 77})["id"]
    loser = crm.hands.create("contacts", {"name": "Анна", "phones": ["1", "2"], "company_id": company})["id"]
    winner = crm.hands.create("contacts", {"name": "Вера", "phones": ["2", "3"]})["id"]
    lead = crm.hands.create("leads", {"contacts": [loser], "company_id": company, "status_id": ref.WON})["id"]
    crm.hands.merge("contacts", loser, winner)
    assert crm("GET", f"contacts/{loser}") == (204, None)
    assert crm.values("contacts", winner) == {"PHONE": ["2", "3", "1"]}
    assert crm.get(f"contacts/{winner}")["_embedded"]["companies"][0]["id"] == company == 77
    assert crm.get(f"leads/{lead}", **{"with": "contacts"})["_embedded"]["contacts"][0]["id"] == winner
    assert crm.hands.edit("leads", lead, {"contacts": [], "company_id": None})["contacts"] == []


def test_the_chronicle_gets_every_committed_state(crm):
    contact, lead = crm.create("contacts", {"name": "Анна"}), crm.create("leads", {})
    crm.patch(f"contacts/{contact}", {"name": "Вера"})
    crm("PATCH", f"contacts/{contact}", {"name": 5})
    crm.post(f"leads/{lead}/notes", {"note_type": "common", "params": {"text": "x"}})
    crm.post("tasks", {"text": "x", "complete_till": NOW})
    crm.hands.delete("contacts", contact)
    told = [(one.entity, one.verb, one.who, (one.state or {}).get("name")) for one in crm.chronicle.since(0)]
    assert told == [
        ("contacts", "created", "api", "Анна"),
        ("leads", "created", "api", f"Сделка #{lead}"),
        ("contacts", "updated", "api", "Вера"),
        ("notes", "created", "api", None),
        ("tasks", "created", "api", None),
        ("contacts", "deleted", "person", None),
    ]


def test_the_trace_names_every_element_with_its_id(crm):
    first, second = crm.create("contacts", {"name": "a"}, {"name": "b"})
    trace = crm.last.trace
    assert (trace.method, trace.kind, trace.entity, trace.is_committed) == (
        "POST /api/v4/contacts",
        "write",
        "contacts",
        True,
    )
    assert [(one.key, one.params["name"]) for one in trace.commands] == [(str(first), "a"), (str(second), "b")]
    crm.patch(f"contacts/{first}", {"name": "c"})
    assert (crm.last.trace.method, crm.last.trace.key) == ("PATCH /api/v4/contacts/{id}", str(first))
    crm("PATCH", "contacts", [{"id": first, "name": 5}])
    assert [(one.key, one.is_committed) for one in crm.last.trace.commands] == [(str(first), False)]
    crm.get("contacts", limit=1)
    assert (crm.last.trace.kind, crm.last.trace.params) == ("read", {"limit": "1"})


def test_a_next_link_may_lead_elsewhere(crm):
    crm.create("contacts", {"name": "a"}, {"name": "b"})
    crm.account.switch({"next_link_origin": "https://elsewhere.example"})
    assert urlsplit(crm.get("contacts", limit=1)["_links"]["next"]["href"]).hostname == "elsewhere.example"


@pytest.mark.parametrize(
    ("path", "element"),
    [
        ("leads/custom_fields", {"name": "a", "type": "select", "code": {}, "enums": ["x"]}),
        ("leads/custom_fields", {"name": "a", "type": []}),
        ("leads/complex", {"_embedded": [], "custom_fields_values": 5}),
        ("leads/complex", {"_embedded": {"contacts": [{"id": []}]}}),
        ("contacts", with_fields({"field_id": {}, "values": [{}]})),
        ("contacts", with_fields(custom(ref.BIRTHDAY, 10**40))),
        ("leads/notes", {"note_type": [], "entity_id": {}}),
        ("tasks", {"text": 1, "complete_till": "x", "entity_type": [], "entity_id": []}),
        ("contacts/link", {"entity_id": [], "to_entity_id": {}, "to_entity_type": []}),
    ],
)
def test_odd_shapes_are_refused_and_break_nothing(crm, path, element):
    assert crm("POST", path, [element])[0] in (400, 404)
