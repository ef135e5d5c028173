"""Third-party Bitrix24 clients, unmodified, against the sandbox process: what works with a portal works with it.

What they do wrong is pinned as well (facts/bitrix24.md §12): who moves to Parom from one of them should know.
"""

import asyncio
from urllib.parse import urlsplit

import aiohttp
import pytest
from b24pysdk import BitrixWebhook, Client
from b24pysdk.errors import (
    BitrixAPIBadRequest,
    BitrixAPIInvalidCredentials,
    BitrixAPIOperationTimeLimit,
    BitrixAPIQueryLimitExceeded,
    BitrixRequestError,
)
from fast_bitrix24 import BitrixAsync
from fast_bitrix24.server_response import ErrorInServerResponseException

from tests.harbour import Sandbox

MANY = 2600  # more than one batch of fifty pages


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"))
    yield sandbox
    sandbox.stop()


@pytest.fixture
def sandbox(process):
    process.post("/reset")
    return process


@pytest.fixture
def fast(sandbox):
    """Runs a coroutine of fast_bitrix24, which speaks plain HTTP."""

    def run(method, *given, **named):
        async def call():
            client = BitrixAsync(sandbox.addresses["bitrix24"], verbose=False)
            return await getattr(client, method)(*given, **named)

        return asyncio.run(call())

    return run


@pytest.fixture
def official(sandbox, monkeypatch):
    """b24pysdk, which speaks nothing but HTTPS, without its pauses."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", sandbox.addresses["ca"])
    return client_of(sandbox.addresses["bitrix24_tls"])


def client_of(webhook):
    address = urlsplit(webhook)
    token = BitrixWebhook(domain=address.netloc, webhook_token=address.path.removeprefix("/rest/"))
    return Client(token, initial_retry_delay=0.001, retry_delay_increment=0)


def contact(sandbox, **fields):
    return int(sandbox.post("/bitrix24/contacts", **fields)["ID"])


def fault(sandbox, action, **params):
    sandbox.post("/faults", system="bitrix24", action=action, **params)


def calls(sandbox):
    return sandbox.get("/journal/summary")["systems"]["bitrix24"]["http"]["total"]


def ids_of(rows):
    return sorted(int(row.get("ID") or row.get("id")) for row in rows)


# fast_bitrix24.


def test_fast_gets_all_of_many_contacts(sandbox, fast):
    sandbox.post("/seed", contacts=MANY)
    assert ids_of(fast("get_all", "crm.contact.list")) == ids_of(sandbox.contacts().values())
    assert calls(sandbox) == 3


def test_fast_gets_what_a_filter_asks_for(sandbox, fast):
    sandbox.post("/seed", contacts=120, deals=120)
    found = fast("get_all", "crm.deal.list", {"filter": {"STAGE_SEMANTIC_ID": "S"}, "select": ["ID", "STAGE_ID"]})
    deals = sandbox.get("/store/bitrix24/deals")["rows"]
    assert ids_of(found) == ids_of(deal for deal in deals if deal["STAGE_SEMANTIC_ID"] == "S")


def test_fast_gets_all_of_many_items(sandbox, fast):
    sandbox.post("/seed", contacts=MANY)
    found = fast("get_all", "crm.item.list", {"entityTypeId": 3, "select": ["id", "name"]})
    assert ids_of(found) == ids_of(sandbox.contacts().values())


def test_fast_gets_the_moves_of_deals_and_the_fields(sandbox, fast):
    deal = sandbox.post("/bitrix24/deals")["ID"]
    sandbox.post(f"/bitrix24/deals/{deal}", STAGE_ID="WON")
    moves = fast("get_all", "crm.stagehistory.list", {"entityTypeId": 2, "filter": {"OWNER_ID": int(deal)}})
    assert [move["STAGE_ID"] for move in moves] == ["NEW", "WON"]
    assert "UF_CRM_SYNC_STATUS" in fast("get_all", "crm.deal.fields")


def test_fast_gets_rows_by_id(sandbox, fast):
    first, second = contact(sandbox, NAME="Анна"), contact(sandbox, NAME="Вера")
    found = fast("get_by_ID", "crm.contact.get", [first, second])
    assert {row_id: row["NAME"] for row_id, row in found.items()} == {str(first): "Анна", str(second): "Вера"}


def test_fast_calls_with_one_and_with_several_items(sandbox, fast):
    added = fast("call", "crm.contact.add", {"fields": {"NAME": "А & Б", "PHONE": [{"VALUE": "+7 999"}]}})
    items = [{"ID": added, "fields": {"LAST_NAME": "Ладейкина"}}, {"ID": added, "fields": {"POST": "50 %"}}]
    assert fast("call", "crm.contact.update", items) == (True, True)
    (row,) = sandbox.contacts().values()
    assert (row["NAME"], row["LAST_NAME"], row["POST"]) == ("А & Б", "Ладейкина", "50 %")
    assert row["PHONE"][0]["VALUE"] == "+7 999"


def test_fast_sends_none_as_a_word_in_a_batch_and_as_null_when_raw(sandbox, fast):
    row_id = contact(sandbox, NAME="Анна", POST="тренер")
    fast("call", "crm.contact.update", [{"ID": row_id, "fields": {"POST": None}}])
    assert sandbox.contacts()[str(row_id)]["POST"] == "None"
    fast("call", "crm.contact.update", {"ID": row_id, "fields": {"POST": None}}, raw=True)
    assert not sandbox.contacts()[str(row_id)]["POST"]


def test_fast_raises_for_a_whole_batch_when_one_command_fails(sandbox, fast):
    row_id = contact(sandbox)
    with pytest.raises(ErrorInServerResponseException, match="Not found"):
        fast("get_by_ID", "crm.contact.get", [row_id, 9])
    commands = {"good": f"crm.contact.update?id={row_id}&fields[NAME]=Вера", "bad": "crm.nothing"}
    with pytest.raises(ErrorInServerResponseException, match="ERROR_METHOD_NOT_FOUND"):
        fast("call_batch", {"halt": 0, "cmd": commands})
    assert sandbox.contacts()[str(row_id)]["NAME"] == "Вера"


@pytest.mark.parametrize("action", [{"action": "throttle"}, {"action": "status", "status": 502}])
def test_fast_repeats_what_was_refused_for_a_while(sandbox, fast, action):
    contact(sandbox)
    fault(sandbox, **action)
    assert len(fast("get_all", "crm.contact.list")) == 1
    assert calls(sandbox) == 2


def test_fast_raises_a_blocked_method_without_telling_why(sandbox, fast):
    sandbox.post("/switches/bitrix24", operating_limit_s=0.01)
    assert fast("get_all", "crm.contact.list") == []
    with pytest.raises(aiohttp.ClientResponseError) as raised:
        fast("get_all", "crm.contact.list")
    assert raised.value.status == 429
    assert "OPERATION_TIME_LIMIT" not in str(raised.value)


def test_fast_swallows_an_error_that_comes_with_200(sandbox, fast):
    contact(sandbox)
    fault(sandbox, "error", code="ERROR_CORE", text="Internal error")
    assert fast("get_all", "crm.contact.list") is None


# b24pysdk.


def test_official_lists_many_contacts(sandbox, official):
    sandbox.post("/seed", contacts=MANY)
    rows = official.crm.contact.list(select=["ID", "PHONE"]).as_list().result
    assert ids_of(rows) == ids_of(sandbox.contacts().values())


@pytest.mark.parametrize("descending", [False, True])
def test_official_lists_many_contacts_without_counting(sandbox, official, descending):
    sandbox.post("/seed", contacts=MANY)
    rows = list(official.crm.contact.list(select=["ID"]).as_list_fast(descending=descending).result)
    ids = [int(row["ID"]) for row in rows]
    assert ids == sorted(ids_of(sandbox.contacts().values()), reverse=descending)


@pytest.mark.parametrize("descending", [False, True])
def test_official_lists_many_items_without_counting(sandbox, official, descending):
    sandbox.post("/seed", contacts=MANY)
    listed = official.crm.item.list(entity_type_id=3, select=["id", "name"]).as_list_fast(descending=descending)
    ids = [row["id"] for row in listed.result]
    assert ids == sorted(ids_of(sandbox.contacts().values()), reverse=descending)


def test_official_lists_many_items(sandbox, official):
    sandbox.post("/seed", contacts=MANY)
    rows = official.crm.item.list(entity_type_id=3, select=["id"], order={"id": "ASC"}).as_list().result
    assert ids_of(rows) == ids_of(sandbox.contacts().values())


def test_official_writes_items_and_links(sandbox, official):
    person = contact(sandbox, NAME="Анна")
    company = official.crm.item.add(entity_type_id=4, fields={"title": "Ладья", "contactIds": [person]}).result["item"]
    (link,) = official.crm.company.contact.items.get(company["id"]).result
    assert (link["CONTACT_ID"], link["IS_PRIMARY"]) == (person, "Y")
    found = official.crm.item.list(entity_type_id=3, filter={"companyId": company["id"]}).result["items"]
    assert ids_of(found) == [person]


def test_official_takes_the_rows_of_given_ids(sandbox, official):
    sandbox.post("/seed", contacts=200)
    wanted = [int(row_id) for row_id in sandbox.contacts()][::2]
    rows = official.crm.contact.list(select=["ID"], filter={"@ID": wanted}).as_list().result
    assert ids_of(rows) == wanted


def test_official_adds_reads_changes_and_deletes(sandbox, official):
    row_id = official.crm.contact.add({"NAME": "Анна", "EMAIL": [{"VALUE": "a@mail.example"}]}).result
    assert official.crm.contact.update(row_id, {"LAST_NAME": "Ладейкина"}).result is True
    row = official.crm.contact.get(row_id).result
    assert (row["NAME"], row["LAST_NAME"], row["EMAIL"][0]["VALUE"]) == ("Анна", "Ладейкина", "a@mail.example")
    assert official.crm.contact.delete(row_id).result is True
    with pytest.raises(BitrixAPIBadRequest, match="Not found"):
        _ = official.crm.contact.get(row_id).result


def test_official_reads_a_deal_its_rows_and_its_seller(sandbox, official):
    deal = sandbox.post("/bitrix24/deals", ASSIGNED_BY_ID="12", PRODUCT_ROWS=[{"PRODUCT_NAME": "6 КМС", "PRICE": 8700}])
    (product,) = official.crm.deal.productrows.get(int(deal["ID"])).result
    assert (product["PRODUCT_NAME"], product["PRICE"]) == ("6 КМС", 8700)
    (seller,) = official.user.get(filter={"ID": deal["ASSIGNED_BY_ID"]}).result
    assert seller["LAST_NAME"] == "Сергеев"


def test_official_tells_the_commands_of_a_batch_apart(sandbox, official):
    row_id = contact(sandbox, NAME="Анна")
    crm = official.crm
    asked = {"good": crm.contact.get(row_id), "gone": crm.contact.get(9), "list": crm.deal.list()}
    answer = official.call_batch(asked).result
    assert answer.result["good"]["NAME"] == "Анна"
    assert answer.result["list"] == []
    assert answer.result_error == {"gone": {"error": "", "error_description": "Not found"}}


def test_official_repeats_twice_what_was_refused_for_the_rate(sandbox, official):
    fault(sandbox, "throttle", times=2)
    assert official.crm.contact.list().result == []
    assert calls(sandbox) == 3


def test_official_gives_up_after_three_refusals(sandbox, official):
    fault(sandbox, "throttle", times=3)
    with pytest.raises(BitrixAPIQueryLimitExceeded):
        _ = official.crm.contact.list().result
    assert calls(sandbox) == 3


def test_official_runs_into_the_real_rate_of_a_portal(sandbox, official):
    def hurry():
        while True:
            _ = official.profile().result

    with pytest.raises(BitrixAPIQueryLimitExceeded):
        hurry()
    assert calls(sandbox) > 50


def test_official_raises_a_blocked_method_at_once(sandbox, official):
    sandbox.post("/switches/bitrix24", operating_limit_s=0.01)
    assert official.crm.contact.list().result == []
    with pytest.raises(BitrixAPIOperationTimeLimit):
        _ = official.crm.contact.list().result
    assert official.crm.deal.list().result == []
    assert calls(sandbox) == 3


def test_official_knows_a_wrong_secret(sandbox, official):
    with pytest.raises(BitrixAPIInvalidCredentials):
        _ = client_of(sandbox.addresses["bitrix24_tls"].replace("sandboxsecret00", "other")).profile().result


def test_official_refuses_a_certificate_that_it_was_not_told_to_trust(sandbox, official, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(BitrixRequestError, match="CERTIFICATE_VERIFY_FAILED"):
        _ = official.profile().result
    assert sandbox.get("/journal/summary")["systems"] == {}
