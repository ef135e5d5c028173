"""amoCRM as a target: found by 1C's id, matched and never guessed, merged and not overwritten, nothing sent in vain."""

import copy
import traceback
from datetime import UTC, datetime

import fakeredis
import pytest
import responses
import time_machine

from connectors.amocrm import AmoCrm
from connectors.amocrm_config import AmoCrmConfig
from connectors.base import Located, Secret
from connectors.errors import ConnectorError, InDoubt, Rejected, Throttled, Transient
from tests.unit.amocrm_vendor import HOST, Vendor

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONTACT = {
    "id_1c": "a1",
    "name": "Иван Петров",
    "phones": ["79990000001"],
    "emails": ["ivan@example.com"],
    "link": "https://1c.example/a1",
}
COMPANY = {"id_1c": "c1", "name": "Ромашка", "inn": "7700000001"}
LEAD = {"id_1c": "o1", "name": "Заказ 15", "price": 1500, "order_number": "15"}


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
    def build(redis=None, **changes):
        given = {"base_url": HOST, "token": Secret("t0k3n-of-the-account"), "inn_field": "INN"} | changes
        redis = redis or fakeredis.FakeRedis(server=fakeredis.FakeServer())
        return AmoCrm(AmoCrmConfig(**given), redis, sleep=lambda _: None)

    return build


@pytest.fixture(params=[True, False], ids=["filters", "no filters"])
def account(vendor, request):
    """An account that has filters, and one that has not."""
    vendor.has_filters = request.param
    vendor.inn = vendor.field("companies", "INN")
    return vendor


@pytest.fixture
def contacts(connect):
    return connect().target("contacts")


@pytest.fixture
def companies(connect):
    return connect().target("companies")


@pytest.fixture
def leads(connect):
    return connect().target("leads")


def failure(call):
    with pytest.raises(ConnectorError) as caught:
        call()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)
    for secret in ("t0k3n", "9990000001", "ivan@example", "7700000001"):
        assert secret not in shown
    return caught.value


def rejected(call):
    error = failure(call)
    assert isinstance(error, Rejected)
    assert 0 < len(error.told) <= 255
    return error.told


# Find.


def test_what_carries_our_key_is_found(account, contacts):
    account.add("contacts", fields={"PAROM_ID_1C": "a10"})
    id_ = account.add("contacts", name="Иван", fields={"PAROM_ID_1C": "a1", "PHONE": "+79990000001"})
    found = contacts.find("a1")
    assert found.id == str(id_)
    assert found.id.link == f"{HOST}/contacts/detail/{id_}"
    assert (found.fields["id_1c"], found.fields["name"], found.fields["phones"]) == ("a1", "Иван", ["+79990000001"])


def test_what_nobody_carries_is_not_found(account, contacts):
    account.add("contacts", name="a1", fields={"PAROM_ID_1C": "a10", "PAROM_STATUS": "a1"})
    assert contacts.find("a1") is None


def test_a_key_that_several_carry_is_left_to_a_person(account, contacts):
    ids = [account.add("contacts", fields={"PAROM_ID_1C": "a1"}) for _ in range(2)]
    assert ", ".join(map(str, ids)) in rejected(lambda: contacts.find("a1"))


@pytest.mark.parametrize("key", ["", " "])
def test_an_empty_key_is_impossible(account, contacts, key):
    rejected(lambda: contacts.find(key))


def test_a_filter_that_is_ignored_finds_nobody_else(vendor, contacts):
    vendor.ignores_filters = True
    for number in range(300):
        vendor.add("contacts", fields={"PAROM_ID_1C": f"b{number}"})
    mine = vendor.add("contacts", fields={"PAROM_ID_1C": "a1"})
    assert contacts.find("a1").id == str(mine)
    assert contacts.find("a2") is None


# Match.


@pytest.mark.parametrize(
    "shown",
    [
        "+79990000001",
        "89990000001",
        "9990000001",
        "0079990000001",
        "+7 (999) 000-00-01",
        "8(999)000-00-01",
        "8-999-000-00-01",
        "+7 999 000 00 01",
        "+7 999 000-00-01 доб. 123",
        "8 999 000-00-01, 8 999 000-00-09",
        "8 999 000-00-09; 8 999 000-00-01",
        "89990000001#5",
    ],
)
def test_a_contact_is_matched_by_its_phone_however_it_is_written(account, contacts, shown):
    account.add("contacts", fields={"PHONE": "+79990000002"})
    id_ = account.add("contacts", fields={"PHONE": ["+79990000003", shown]})
    matched = contacts.match(CONTACT)
    assert (matched, matched.link) == (str(id_), f"{HOST}/contacts/detail/{id_}")


def test_a_contact_is_matched_by_its_email_when_no_phone_is_known(account, contacts):
    account.add("contacts", fields={"EMAIL": "not.ivan@example.com"})
    id_ = account.add("contacts", fields={"EMAIL": "Ivan@Example.com"})
    assert contacts.match(CONTACT) == str(id_)


def test_the_phone_goes_before_the_email(account, contacts):
    account.add("contacts", fields={"EMAIL": "ivan@example.com"})
    by_phone = account.add("contacts", fields={"PHONE": "+79990000001"})
    assert contacts.match(CONTACT) == str(by_phone)


def test_a_part_of_a_number_is_not_the_number(account, contacts):
    account.add("contacts", name="79990000001", fields={"PHONE": "+7999000000112"})
    assert contacts.match(CONTACT) is None


def test_several_that_could_be_meant_are_left_to_a_person(account, contacts):
    ids = [account.add("contacts", fields={"PHONE": phone}) for phone in ("+79990000001", "89990000001")]
    told = rejected(lambda: contacts.match(CONTACT))
    assert "телефон" in told
    assert all(str(id_) in told for id_ in ids)


def test_one_phone_that_two_contacts_write_in_two_ways_is_left_to_a_person(account, contacts):
    ids = [account.add("contacts", fields={"PHONE": phone}) for phone in ("+79990000001", "8 (999) 000-00-01")]
    told = rejected(lambda: contacts.match(CONTACT))
    assert all(str(id_) in told for id_ in ids)


def test_an_email_that_shares_its_field_with_another_is_known(account, contacts):
    id_ = account.add("contacts", fields={"EMAIL": "old@example.com, Ivan@example.com"})
    assert contacts.match(CONTACT) == str(id_)


def test_two_phones_of_two_contacts_are_left_to_a_person(account, contacts):
    for phone in ("+79990000001", "+79990000002"):
        account.add("contacts", fields={"PHONE": phone})
    payload = CONTACT | {"phones": ["79990000001", "79990000002"]}
    rejected(lambda: contacts.match(payload))


def test_who_carries_another_id_of_1c_is_no_match(account, contacts):
    account.add("contacts", fields={"PHONE": "+79990000001", "PAROM_ID_1C": "a2"})
    assert contacts.match(CONTACT) is None
    free = account.add("contacts", fields={"PHONE": "+79990000001"})
    assert contacts.match(CONTACT) == str(free)


@pytest.mark.parametrize(
    "payload", [{"id_1c": "a1", "name": "Иван"}, {"id_1c": "a1", "phones": ["12"], "emails": [" "]}]
)
def test_a_name_alone_matches_nobody(account, contacts, payload):
    account.add("contacts", name="Иван", fields={"PHONE": "12"})
    assert contacts.match(payload) is None
    assert account.sent("GET", "contacts") == []


def test_a_company_is_matched_by_its_inn(account, companies):
    account.add("companies", name="Ромашка", fields={"INN": "77000000010"})
    id_ = account.add("companies", fields={"INN": "7700000001"})
    assert companies.match(COMPANY) == str(id_)


def test_a_company_is_matched_by_an_inn_that_does_not_stand_alone(account, companies):
    id_ = account.add("companies", fields={"INN": "ИНН 7700000001"})
    assert companies.match(COMPANY) == str(id_)
    account.add("companies", fields={"INN": "7700000001"})
    assert "ИНН" in rejected(lambda: companies.match(COMPANY))


def test_a_company_is_matched_by_the_inn_of_a_legal_entity(vendor, companies):
    vendor.field("companies", "INN", "legal_entity")
    id_ = vendor.add("companies", fields={"INN": {"value": {"name": "Ромашка", "vat_id": "7700000001"}}})
    assert companies.match(COMPANY) == str(id_)


def test_without_a_field_for_the_inn_no_company_is_matched(vendor, connect):
    vendor.add("companies", name="7700000001")
    assert connect(inn_field="").target("companies").match(COMPANY) is None


def test_a_lead_is_matched_by_the_orders_number(account, leads):
    account.add("leads", fields={"PAROM_ORDER_NUMBER": "150"})
    id_ = account.add("leads", fields={"PAROM_ORDER_NUMBER": "15"})
    assert leads.match(LEAD) == str(id_)
    account.put("leads", id_, {"PAROM_ID_1C": "o2"})
    assert leads.match(LEAD) is None


def test_an_id_that_1c_names_must_be_there_and_free(account, contacts):
    free, taken = account.add("contacts"), account.add("contacts", fields={"PAROM_ID_1C": "a2"})
    assert contacts.match(CONTACT | {"amo_id": free}) == str(free)
    assert f"Контакт {taken} уже связан" in rejected(lambda: contacts.match(CONTACT | {"amo_id": taken}))
    assert "с номером 777" in rejected(lambda: contacts.match(CONTACT | {"amo_id": 777}))
    assert "с номером 777" in rejected(lambda: contacts.create(CONTACT | {"amo_id": 777}))
    assert account.bodies("POST", "contacts") == []


def test_what_1c_names_by_its_id_in_amocrm_only_keeps_the_id_of_1c_that_it_has(account, contacts):
    taken = account.add("contacts", fields={"PAROM_ID_1C": "a2"})
    payload = {"id_1c": f"amo:{taken}", "amo_id": taken, "name": "Пётр"}
    assert contacts.find(f"amo:{taken}") is None
    assert contacts.match(payload) == str(taken)
    assert update(contacts, taken, payload) == str(taken)
    assert account.tables["contacts"][taken]["name"] == "Пётр"
    assert account.values("contacts", taken, "PAROM_ID_1C") == ["a2"]


def test_an_id_that_1c_names_goes_before_the_phone(account, contacts):
    account.add("contacts", fields={"PHONE": "+79990000001"})
    named = account.add("contacts")
    assert contacts.match(CONTACT | {"amo_id": named}) == str(named)


def test_a_search_that_finds_the_world_is_not_believed(vendor, contacts):
    vendor.has_filters = False
    full = [{"id": number, "updated_at": 1, "custom_fields_values": None} for number in range(1, 251)]
    vendor.on("GET", "contacts", (200, {"_links": {"next": {}}, "_embedded": {"contacts": full}}))
    assert "слишком много" in rejected(lambda: contacts.find("1"))
    assert len(vendor.sent("GET", "contacts")) == 20


# Create.


def test_a_contact_is_created_with_all_that_is_known(account, connect):
    id_ = connect(default_user=8).target("contacts").create(CONTACT)
    assert isinstance(id_, Located)
    assert id_.link == f"{HOST}/contacts/detail/{id_}"
    row = account.tables["contacts"][int(id_)]
    assert (row["name"], row["responsible_user_id"]) == ("Иван Петров", 8)
    shown = [account.values("contacts", int(id_), f"PAROM_{name}") for name in ("ID_1C", "LINK_1C")]
    assert shown == [["a1"], ["https://1c.example/a1"]]
    assert account.values("contacts", int(id_), "PHONE") == ["+79990000001"]
    assert account.values("contacts", int(id_), "EMAIL") == ["ivan@example.com"]
    (body,) = account.bodies("POST", "contacts")[0]
    assert body["request_id"] == "a1"


def test_whom_1c_names_is_responsible(account, connect):
    id_ = connect(default_user=8).target("contacts").create(CONTACT | {"responsible_user_id": 7})
    assert account.tables["contacts"][int(id_)]["responsible_user_id"] == 7


def test_a_company_is_created_with_its_inn(account, companies):
    id_ = companies.create(COMPANY)
    assert account.values("companies", int(id_), "INN") == ["7700000001"]
    assert companies.find("c1").fields["inn"] == "7700000001"


def test_a_lead_is_created_with_its_contact_company_and_stage(account, leads):
    contact, company = account.add("contacts"), account.add("companies")
    linked = {"contact_id": contact, "company_id": company, "pipeline_id": 2, "status_id": 21}
    id_ = int(leads.create(LEAD | linked))
    (body,) = account.bodies("POST", "leads")[0]
    assert body["price"] == 1500
    assert body["_embedded"] == {"contacts": [{"id": contact, "is_main": True}], "companies": [{"id": company}]}
    assert (body["pipeline_id"], body["status_id"]) == (2, 21)
    assert account.values("leads", id_, "PAROM_ORDER_NUMBER") == ["15"]
    found = leads.find("o1").fields
    assert (found["contact_id"], found["company_id"], found["order_number"]) == (contact, company, "15")


@pytest.mark.parametrize(("value", "sent"), [(12.5, 13), ("12.49", 12), (12, 12)])
def test_a_price_is_a_number_of_whole_roubles(vendor, leads, value, sent):
    leads.create(LEAD | {"price": value})
    (body,) = vendor.bodies("POST", "leads")[0]
    assert (body["price"], type(body["price"])) == (sent, int)


@pytest.mark.parametrize(("exact", "sent"), [(1499.5, []), (1500.49, []), (1500.5, [1500]), (None, [])])
def test_kopecks_that_people_entered_stay_while_the_roubles_are_1cs(vendor, leads, exact, sent):
    more = {} if exact is None else {"price_with_minor_units": exact}
    id_ = vendor.add("leads", price=1500, fields={"PAROM_ID_1C": "o1", "PAROM_ORDER_NUMBER": "15"}, **more)
    update(leads, id_, LEAD)
    assert [body["price"] for (body,) in vendor.bodies("PATCH", "leads")] == sent


def test_a_name_is_cut_to_what_amocrm_takes(vendor, contacts):
    contacts.create(CONTACT | {"name": "я" * 300})
    assert len(vendor.bodies("POST", "contacts")[0][0]["name"]) == 255


def test_a_wrong_value_is_told_in_the_words_of_people(vendor, contacts):
    told = rejected(lambda: contacts.create(CONTACT | {"id_1c": "wrong"}))
    assert told == "amoCRM не принимает: Поле PAROM_ID_1C: неверный тип значения"


def test_whom_amocrm_does_not_know_cannot_be_responsible(account, connect):
    contacts = connect(default_user=8).target("contacts")
    id_ = contacts.create(CONTACT | {"responsible_user_id": 99})
    row = account.tables["contacts"][int(id_)]
    assert row["responsible_user_id"] == 8
    assert contacts.update(id_, CONTACT | {"responsible_user_id": 99, "name": "Иван Выдуманный"}) == id_
    row = account.tables["contacts"][int(id_)]
    assert (row["name"], row["responsible_user_id"]) == ("Иван Выдуманный", 8)


# Update.


def update(target, id_, payload):
    return target.update(str(id_), payload)


def test_only_what_differs_is_sent(account, contacts):
    id_ = int(contacts.create(CONTACT))
    assert update(contacts, id_, CONTACT | {"name": "Пётр"}).link == f"{HOST}/contacts/detail/{id_}"
    assert account.bodies("PATCH", "contacts") == [[{"id": id_, "name": "Пётр", "request_id": str(id_)}]]


@pytest.mark.parametrize(("kind", "payload"), [("contacts", CONTACT), ("companies", COMPANY), ("leads", LEAD)])
def test_what_is_there_already_is_not_sent_again(account, connect, kind, payload):
    target = connect().target(kind)
    id_ = target.create(payload)
    assert update(target, id_, payload) == id_
    assert update(target, id_, {"id_1c": payload["id_1c"]}) == id_
    assert account.bodies("PATCH", kind) == []


def test_what_is_gone_is_none(account, contacts):
    assert update(contacts, 777, CONTACT) is None


def test_what_goes_between_the_look_and_the_write_is_none(vendor, contacts):
    id_ = vendor.add("contacts")
    vendor.on("PATCH", "contacts", lambda _: vendor.tables["contacts"].clear())
    assert update(contacts, id_, CONTACT) is None


def test_phones_and_emails_of_1c_go_first_and_those_of_people_stay(account, contacts):
    phones = [{"value": "+79990000009", "enum_id": 6}, {"value": "8 (999) 000-00-01", "enum_id": 5, "enum_code": "MOB"}]
    id_ = account.add("contacts", fields={"PHONE": phones, "EMAIL": {"value": "old@example.com", "enum_code": "PRIV"}})
    update(contacts, id_, CONTACT | {"phones": ["79990000001", "79990000002", "89990000002"]})
    (body,) = account.bodies("PATCH", "contacts")[0]
    sent = {field["field_code"]: field["values"] for field in body["custom_fields_values"] if "field_code" in field}
    assert sent["PHONE"] == [
        {"value": "8 (999) 000-00-01", "enum_id": 5},
        {"value": "+79990000002", "enum_code": "WORK"},
        {"value": "+79990000009", "enum_id": 6},
    ]
    assert sent["EMAIL"] == [
        {"value": "ivan@example.com", "enum_code": "WORK"},
        {"value": "old@example.com", "enum_code": "PRIV"},
    ]


def test_a_phone_that_is_there_already_goes_first_once(account, contacts):
    id_ = account.add("contacts", fields={"PHONE": ["+79990000009", "+79990000001", "8 999 000-00-01"]})
    for _ in range(2):
        update(contacts, id_, {"id_1c": "a1", "phones": ["79990000001"]})
    assert account.values("contacts", id_, "PHONE") == ["+79990000001", "+79990000009", "8 999 000-00-01"]
    assert len(account.bodies("PATCH", "contacts")) == 1


@pytest.mark.parametrize(
    "held", ["+7 999 000-00-01 доб. 123", "8 999 000-00-01, 8 999 000-00-09", "8 999 000-00-09; 89990000001"]
)
def test_a_phone_that_shares_its_field_with_something_else_is_not_added_again(account, contacts, held):
    id_ = account.add("contacts", fields={"PHONE": ["+79990000008", held]})
    payload = {"id_1c": "a1", "phones": ["79990000001"], "emails": ["a@example.com"]}
    account.put("contacts", id_, {"EMAIL": "b@example.com a@example.com"})
    update(contacts, id_, payload)
    assert account.values("contacts", id_, "PHONE") == [held, "+79990000008"]
    assert account.values("contacts", id_, "EMAIL") == ["b@example.com a@example.com"]
    update(contacts, id_, payload | {"phones": ["79990000001", "79990000009"]})
    assert account.values("contacts", id_, "PHONE").count(held) == 1


def test_another_inn_is_another_legal_entity_and_further_ones_stay(vendor, companies):
    vendor.field("companies", "INN", "legal_entity")
    further = {"name": "Василёк", "vat_id": "7700000002"}
    old = {"name": "Старое имя", "vat_id": "7700000009", "kpp": "770101001"}
    id_ = vendor.add("companies", fields={"INN": [{"value": old}, {"value": further}]})
    update(companies, id_, COMPANY)
    assert vendor.values("companies", id_, "INN") == [{"name": "Ромашка", "vat_id": "7700000001"}, further]


@pytest.mark.parametrize(
    ("held", "inn", "key"),
    [
        ({"unp": "190000001"}, "190000002", "unp"),
        ({"bin": "000000000001"}, "000000000002", "bin"),
        ({"unp": "190000001"}, "7700000001", "vat_id"),
        ({"vat_id": "7700000009"}, "190000002", "unp"),
    ],
)
def test_an_inn_takes_the_place_of_the_one_that_was_read(vendor, companies, held, inn, key):
    vendor.field("companies", "INN", "legal_entity")
    id_ = vendor.add("companies", fields={"INN": {"value": {"name": "Старое имя"} | held}})
    update(companies, id_, COMPANY | {"inn": inn})
    assert vendor.values("companies", id_, "INN") == [{"name": "Ромашка", key: inn}]


def test_a_unp_of_a_legal_entity_without_one_is_belarusian(vendor, companies):
    vendor.field("companies", "INN", "legal_entity")
    new = int(companies.create(COMPANY | {"inn": "190000001"}))
    assert vendor.values("companies", new, "INN") == [{"name": "Ромашка", "unp": "190000001"}]


def test_the_inn_of_a_legal_entity_is_written_beside_all_else(vendor, companies):
    inn = vendor.field("companies", "INN", "legal_entity")
    id_ = vendor.add("companies", fields={"INN": {"value": {"name": "Ромашка", "kpp": "770101001"}}})
    update(companies, id_, COMPANY)
    (body,) = vendor.bodies("PATCH", "companies")[0]
    value = {"name": "Ромашка", "kpp": "770101001", "vat_id": "7700000001"}
    assert {"field_id": inn, "values": [{"value": value}]} in body["custom_fields_values"]
    new = int(companies.create(COMPANY | {"id_1c": "c2"}))
    assert vendor.values("companies", new, "INN") == [{"name": "Ромашка", "vat_id": "7700000001"}]


def test_one_that_belongs_to_another_is_not_written(account, contacts):
    id_ = account.add("contacts", fields={"PAROM_ID_1C": "a2"})
    assert "уже связан" in rejected(lambda: update(contacts, id_, CONTACT))
    assert account.bodies("PATCH", "contacts") == []


@pytest.mark.parametrize("kind", ["contacts", "leads"])
def test_of_two_processes_that_link_one_entity_with_two_of_1cs_only_one_does(vendor, connect, clock, kind):
    """The other looked at it just before the first one wrote."""
    redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    mine, other = (connect(redis).target(kind) for _ in range(2))
    id_ = vendor.add(kind, name="Иван")
    free = copy.deepcopy(vendor.tables[kind][id_])
    assert update(mine, id_, {"id_1c": "a1", "name": "Иван Петров"}) == str(id_)
    vendor.on("GET", f"{kind}/{id_}", (200, free), lambda _: None)
    for _ in range(2):
        error = failure(lambda: update(other, id_, {"id_1c": "a2", "name": "Пётр"}))
        assert isinstance(error, Throttled), "it looks again, and finds it taken"
        assert error.wait == 60
    assert vendor.values(kind, id_, "PAROM_ID_1C") == ["a1"]
    clock.shift(361)
    assert "уже связан" in rejected(lambda: update(other, id_, {"id_1c": "a2"}))


def test_whoever_was_about_to_link_an_entity_may_do_it_again_and_others_after_a_while(vendor, connect, clock):
    redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    mine, other = (connect(redis).target("contacts") for _ in range(2))
    id_ = vendor.add("contacts")
    vendor.on("PATCH", "contacts", (500, ""), (500, ""), lambda _: None)
    for _ in range(2):
        assert isinstance(failure(lambda: update(mine, id_, {"id_1c": "a1"})), InDoubt)
    assert isinstance(failure(lambda: update(other, id_, {"id_1c": "a2"})), Throttled)
    clock.shift(361)
    assert update(other, id_, {"id_1c": "a2"}) == str(id_)


def test_an_id_that_contradicts_the_link_is_not_written(account, contacts):
    linked, other = int(contacts.create(CONTACT)), account.add("contacts")
    told = rejected(lambda: update(contacts, linked, CONTACT | {"amo_id": other}))
    assert str(other) in told
    assert account.bodies("PATCH", "contacts") == []
    assert update(contacts, linked, CONTACT | {"amo_id": linked}) == str(linked)


def test_an_update_whose_answer_was_lost_is_in_doubt(vendor, contacts):
    id_ = contacts.create(CONTACT)
    vendor.on("PATCH", "contacts", (504, "<html>"))
    assert type(failure(lambda: update(contacts, id_, CONTACT | {"name": "Пётр"}))) is InDoubt


def test_a_link_that_only_1c_can_open_is_no_address(vendor, contacts):
    id_ = int(contacts.create(CONTACT | {"link": "e1cib/data/1"}))
    assert vendor.values("contacts", id_, "PAROM_LINK_1C") == []


def test_two_changes_of_one_contact_that_leave_together_do_not_undo_each_other(vendor, connect):
    from connectors.amocrm_entities import Change

    connector = connect()
    contacts = connector.target("contacts")
    id_ = int(contacts.create({"id_1c": "a1", "name": "Иван"}))
    edits = [{"id_1c": "a1", "phones": [f"7999000000{number}"]} for number in range(3)]
    changes = [Change(id_, lambda shown, edit=edit: contacts._edited(edit, shown)) for edit in edits]
    assert contacts._entities._change_all(changes) == [True] * 3
    assert len(vendor.values("contacts", id_, "PHONE")) == 3


def test_fifty_changes_cost_a_list_and_a_write(vendor, contacts):
    from connectors.amocrm_entities import Change

    ids = [vendor.add("contacts") for _ in range(50)]
    contacts.find("nobody")
    before = len(vendor.calls)
    changes = [Change(id_, lambda shown: contacts._edited({"id_1c": f"b{shown['id']}"}, shown)) for id_ in ids]
    assert contacts._entities._change_all(changes) == [True] * 50
    assert len(vendor.calls) == before + 2


# What belongs to a lead.


def test_contact_and_company_of_an_order_are_linked_where_they_are_not(account, leads):
    contact, company = account.add("contacts"), account.add("companies")
    id_ = int(leads.create(LEAD))
    update(leads, id_, LEAD | {"contact_id": contact, "company_id": company})
    rows = [
        {"to_entity_id": contact, "to_entity_type": "contacts", "metadata": {"is_main": True}},
        {"to_entity_id": company, "to_entity_type": "companies"},
    ]
    assert account.links == [("link", id_, rows)]
    assert account.bodies("PATCH", "leads") == []


def test_contacts_of_people_stay_and_another_company_goes(account, leads):
    contact, company, other = account.add("contacts"), account.add("companies"), account.add("companies")
    id_ = account.add("leads", contacts=[account.add("contacts")], companies=[other])
    update(leads, id_, LEAD | {"contact_id": contact, "company_id": company})
    assert account.links == [
        ("unlink", id_, [{"to_entity_id": other, "to_entity_type": "companies"}]),
        (
            "link",
            id_,
            [
                {"to_entity_id": contact, "to_entity_type": "contacts", "metadata": {"is_main": True}},
                {"to_entity_id": company, "to_entity_type": "companies"},
            ],
        ),
    ]


def test_links_that_are_there_are_not_made_again(account, leads):
    contact, company = account.add("contacts"), account.add("companies")
    id_ = account.add("leads", contacts=[contact, account.add("contacts")], companies=[company])
    update(leads, id_, LEAD | {"contact_id": contact, "company_id": company})
    assert account.links == []


def test_a_contact_that_is_not_there_is_the_orders_mistake(vendor, leads):
    id_ = leads.create(LEAD)
    vendor.on("POST", f"leads/{id_}/link", (404, {"status": 404, "detail": "Element not found"}))
    assert "Element not found" in rejected(lambda: update(leads, id_, LEAD | {"contact_id": 777}))


@pytest.mark.parametrize("answer", [(504, "<html>"), (200, "null"), (200, "[]"), (200, {"status": 500})], ids=str)
def test_links_whose_answer_was_lost_are_made_again(vendor, leads, answer):
    id_ = leads.create(LEAD)
    vendor.on("POST", f"leads/{id_}/link", answer)
    assert type(failure(lambda: update(leads, id_, LEAD | {"contact_id": 777}))) is Transient


def test_an_update_neither_moves_nor_renames_a_lead(vendor, leads):
    id_ = leads.create(LEAD)
    update(leads, id_, LEAD | {"name": "Заказ 16", "pipeline_id": 2, "status_id": 21, "price": 1600})
    assert vendor.bodies("PATCH", "leads") == [[{"id": int(id_), "price": 1600, "request_id": id_}]]
