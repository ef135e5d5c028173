"""The CoMagic stand-in against facts/comagic.md §13 over real sockets: every rule, every switch, the journal."""

import http.client
import json
import time

import pytest

from sandbox.admin import Admin
from sandbox.world import Sandbox, World

TOKEN = "sandbox-comagic-token"
NOW = "2025-03-04T09:00:00+00:00"  # Noon in Moscow.
CARD = {"ext_id": "I1", "name": "Interest 1", "phone_numbers": ["79990000001"], "emails": ["p1@mail.example"]}
ROW = {
    "ext_id": "I1",
    "name": "Interest 1",
    "created_date_time": "2025-03-04 10:00:00",
    "modified_date_time": "2025-03-04 10:00:00",
    "modified_stage_date_time": "2025-03-04 10:00:00",
    "sales_funnel_ext_id": "123",
    "stage_ext_id": "NEW",
}
FUNNEL = {
    "ext_id": "F",
    "name": "Funnel",
    "stages": {
        "success": {"ext_id": "S", "name": "Success"},
        "failed": {"ext_id": "L", "name": "Lost"},
        "in_process": [{"ext_id": "A", "name": "First", "order": 1}, {"ext_id": "B", "name": "Second", "order": 2}],
    },
}
CONTACT_LINK = {"contact_ext_ids": ["I1"], "main_contact_ext_id": "I1"}


class Caller:
    """One client of the account; `ok` and `refused` say what the caller expects."""

    def __init__(self, sandbox):
        self.world = sandbox.world
        addresses = sandbox.addresses()
        assert (addresses["comagic"][-5:], addresses["comagic_token"]) == ("/v2.0", TOKEN)
        self.lines = {
            name: http.client.HTTPConnection(addresses[name].split("/")[2], timeout=10) for name in ("comagic", "admin")
        }
        self.token = TOKEN

    def send(self, content, *, path="/v2.0", http_method="POST"):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.lines["comagic"].request(http_method, path, body, {"Content-Type": "application/json; charset=UTF-8"})
        answer = self.lines["comagic"].getresponse()
        return answer.status, answer.read()

    def envelope(self, method, **params):
        return {"jsonrpc": "2.0", "id": "q1", "method": method, "params": {"access_token": self.token, **params}}

    def raw(self, content):
        status, body = self.send(content)
        assert status == 200
        return json.loads(body)

    def call(self, method, **params):
        return self.raw(self.envelope(method, **params))

    def ok(self, method, **params):
        answer = self.call(method, **params)
        assert "error" not in answer, answer
        return answer["result"]["data"]

    def refused(self, method, **params):
        """(mnemonic, field, value)"""
        return told(self.call(method, **params))

    def admin(self, path, http_method="GET", **body):
        self.lines["admin"].request(http_method, path, json.dumps(body))
        answer = json.loads(self.lines["admin"].getresponse().read())
        assert "error" not in answer, answer
        return answer

    def switch(self, **positions):
        self.admin("/switches/comagic", "POST", **positions)

    def advance(self, seconds):
        self.admin("/clock", "POST", advance_s=seconds)

    def store(self, entity):
        return self.admin(f"/store/comagic/{entity}")["rows"]

    def create(self, *cards):
        return self.ok("create.deal_contacts", contacts=list(cards) or [CARD])

    def upload(self, *rows, **changes):
        return self.ok("upload.deals_history", deals=list(rows) or [ROW | changes])

    def upload_refused(self, *rows, **changes):
        return self.refused("upload.deals_history", deals=list(rows) or [ROW | changes])

    def stages(self, entity="deals_history"):
        return [(row["stage_ext_id"], row["is_generated"]) for row in self.store(entity)]

    def left(self):
        """Of the minute, as the next call tells without being charged."""
        limits = self.call("delete.deals", ext_id="nobody")["error"]["data"]["metadata"]["limits"]
        return limits["minute_remaining"], limits["day_remaining"]


def told(answer):
    data = answer["error"]["data"]
    return data["mnemonic"], data.get("field"), data.get("value")


def at(hour, minute=0, **fields):
    moment = f"2025-03-04 {hour:02}:{minute:02}:00"
    return ROW | {"modified_date_time": moment, "modified_stage_date_time": moment} | fields


def without(given, *names):
    return {name: value for name, value in given.items() if name not in names}


@pytest.fixture(scope="module")
def running():
    world = World()
    with Sandbox(world, Admin(world).handle, {}) as sandbox:
        yield Caller(sandbox)


@pytest.fixture
def account(running):
    running.world.reset()
    running.world.clock.change(freeze=NOW)
    running.token = TOKEN
    return running


# The transport and the envelope.


@pytest.mark.parametrize(
    ("http_method", "path", "status"),
    [("GET", "/v2.0", 405), ("POST", "/v1.0", 404), ("POST", "/v2.0/create.deal_contacts", 404)],
)
def test_only_post_to_the_version_is_served(account, http_method, path, status):
    assert account.send(account.envelope("get.account"), http_method=http_method, path=path)[0] == status


@pytest.mark.parametrize("request_id", [1, 1.5, "1", "7f0c"])
def test_the_id_is_echoed_with_its_type_in_results_and_errors(account, request_id):
    for method in ("get.account", "no.method"):
        answer = account.raw(account.envelope(method) | {"id": request_id})
        assert (answer["id"], type(answer["id"])) == (request_id, type(request_id))
    account.switch(error_id="null")
    assert account.call("no.method")["id"] is None


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": NaN}', b"\xff{}"])
def test_what_is_not_json_is_a_parse_error_without_id(account, content):
    answer = account.raw(content)
    assert (answer["error"]["code"], answer["id"], told(answer)[0]) == (-32700, None, "parse_error")


@pytest.mark.parametrize("mnemonic", ["batch_opreations_not_supported", "batch_operations_not_supported"])
def test_an_array_is_refused(account, mnemonic):
    account.switch(batch_mnemonic=mnemonic)
    answer = account.raw([account.envelope("get.account")])
    assert (answer["error"]["code"], told(answer)[0]) == (-32099, mnemonic)


def test_a_notification_is_refused(account):
    answer = account.raw(without(account.envelope("get.account"), "id"))
    assert (answer["error"]["code"], told(answer)[0]) == (-32099, "notifications_not_supported")


@pytest.mark.parametrize(
    "change",
    [
        {"jsonrpc": "1.0"},
        {"jsonrpc": 2.0},
        {"id": None},
        {"id": True},
        {"id": {}},
        {"method": 1},
        {"method": None},
        {"params": []},
        {"params": None},
    ],
)
def test_another_shape_is_an_invalid_request(account, change):
    answer = account.raw(account.envelope("get.account") | change)
    assert (answer["error"]["code"], told(answer)[0]) == (-32600, "invalid_request")


@pytest.mark.parametrize("name", ["jsonrpc", "method", "params"])
def test_every_member_of_the_envelope_is_mandatory(account, name):
    assert told(account.raw(without(account.envelope("get.account"), name)))[0] == "invalid_request"
    assert told(account.raw(b'"get.account"'))[0] == "invalid_request"


def test_an_unknown_method_is_named_so(account):
    answer = account.call("create.deal")
    assert (answer["error"]["code"], answer["error"]["message"]) == (-32601, "Method not found")


@pytest.mark.parametrize("status", [200, 400, 422])
def test_errors_have_the_http_status_of_the_switch(account, status):
    account.switch(error_status=status)
    assert account.send(account.envelope("no.method"))[0] == status
    assert account.send(account.envelope("get.account"))[0] == 200


# Access, in the order of the checks.


def test_a_token_is_required(account):
    account.token = None
    assert account.refused("get.account") == ("required_parameter_missed", "access_token", None)
    account.switch(missing_token="access_token_invalid")
    assert account.call("get.account")["error"]["code"] == -32001


@pytest.mark.parametrize(
    ("token", "state", "mnemonic"),
    [
        ("other", "active", "access_token_invalid"),
        (1, "active", "access_token_invalid"),
        (["x"], "active", "access_token_invalid"),
        (TOKEN, "expired", "access_token_expired"),
        (TOKEN, "blocked", "access_token_blocked"),
    ],
)
def test_a_wrong_token_is_refused_and_not_repeated(account, token, state, mnemonic):
    account.switch(token_state=state)
    account.token = token
    answer = account.call("get.account")
    assert (answer["error"]["code"], *told(answer)) == (-32001, mnemonic, None, None)


CREDENTIALS = {"login": "sandbox", "password": "sandbox-comagic-password"}


def logged_in(account, **changes):
    content = {"jsonrpc": "2.0", "id": 1, "method": "login.user", "params": CREDENTIALS | changes}
    return account.raw(content)


@pytest.mark.parametrize("key", ["expire_at", "expire"])
def test_a_session_lives_an_hour(account, key):
    account.switch(expire_key=key)
    result = logged_in(account)["result"]
    assert (set(result), set(result["data"])) == ({"data"}, {"access_token", key, "app_id"})
    assert result["data"][key] == 1741078800 + 3600
    account.token = result["data"]["access_token"]
    account.advance(3590)
    account.ok("get.account")
    account.advance(10)
    assert account.refused("get.account")[0] == "access_token_invalid"


def test_a_session_ends_with_logout_and_the_others_go_on(account):
    tokens = [logged_in(account)["result"]["data"]["access_token"] for _ in range(2)]
    account.token = tokens[0]
    assert account.ok("logout.user") == {}
    assert account.refused("get.account")[0] == "access_token_invalid"
    account.token = tokens[1]
    account.ok("get.account")


@pytest.mark.parametrize("wrong", [{"login": "other"}, {"password": "other"}])
def test_wrong_credentials_are_an_auth_error(account, wrong):
    answer = logged_in(account, **wrong)
    assert (answer["error"]["code"], told(answer)[0]) == (-32001, "auth_error")


@pytest.mark.parametrize(("points", "left"), [(1, 59), (0, 60)])
def test_a_login_costs_what_the_switch_says(account, points, left):
    account.switch(login_points=points)
    logged_in(account)
    assert account.left()[0] == left


@pytest.mark.parametrize(
    ("listed", "is_admitted"),
    [
        (["0.0.0.0/0"], True),
        (["127.0.0.1"], True),
        (["10.0.0.0/8", "127.0.0.0/24"], True),
        (["10.0.0.1"], False),
        ([], False),
    ],
)
def test_only_listed_addresses_are_served(account, listed, is_admitted):
    account.switch(ip_list=listed)
    answer = account.call("get.account")
    assert ("result" in answer) is is_admitted
    if not is_admitted:
        assert (answer["error"]["code"], answer["error"]["message"]) == (-32003, "Your IP 127.0.0.1 is not whitelisted")


@pytest.mark.parametrize(("name", "position"), [("ip_list", ["somewhere"]), ("timezone", "Europe/Nowhere")])
def test_a_switch_that_makes_no_sense_is_refused(account, name, position):
    with pytest.raises(ValueError, match=r"somewhere|Nowhere"):
        account.world.account.switch({name: position})
    account.ok("get.account")


def test_without_the_component_deals_are_closed_but_not_the_account(account):
    account.switch(component_enabled=False)
    answer = account.call("get.deal_contacts")
    assert (answer["error"]["code"], told(answer)[0]) == (-32008, "method_component_disabled")
    account.ok("get.account")


def test_an_agent_must_say_for_whom(account):
    account.ok("get.account", user_id=5)
    assert account.refused("get.account", user_id="5")[0] == "data_type_error"
    account.switch(is_agent=True)
    assert account.refused("get.account") == ("required_parameter_missed", "user_id", None)
    account.ok("get.account", user_id=5)


def test_the_checks_come_in_the_order_of_the_sheet(account):
    """Everything is wrong; each mistake mended uncovers the next."""
    account.switch(token_state="blocked", account_active=False, ip_list=[], component_enabled=False, minute_limit=0)
    content = {"method": "no.method", "params": {"deals": [{"surprise": 1}]}}
    seen = []

    def ask():
        seen.append(told(account.raw(content))[0])

    ask()
    content["jsonrpc"] = "2.0"
    ask()
    content["id"] = 1
    ask()
    content["method"] = "upload.deals_history"
    ask()
    content["params"]["access_token"] = TOKEN
    ask()
    for mended in (
        {"token_state": "active"},
        {"account_active": True},
        {"ip_list": ["127.0.0.1"]},
        {"component_enabled": True},
        {"minute_limit": 60},
    ):
        account.switch(**mended)
        ask()
    assert seen == [
        "invalid_request",
        "notifications_not_supported",
        "method_not_found",
        "required_parameter_missed",
        "access_token_blocked",
        "account_inactive",
        "ip_not_whitelisted",
        "method_component_disabled",
        "limit_exceeded",
        "unexpected_parameters",
    ]


@pytest.mark.parametrize("zone", ["Europe/Moscow", "Asia/Yekaterinburg"])
def test_the_account_tells_its_zone(account, zone):
    account.switch(timezone=zone)
    assert [one["timezone"] for one in account.ok("get.account")] == [zone]


# Points and metadata.


def test_only_successful_calls_are_charged(account):
    assert account.left() == (60, 3000)
    account.create()
    account.ok("get.deal_contacts")
    account.refused("create.deal_contacts", contacts=[CARD])
    assert account.left() == (58, 2998)


def test_the_minute_runs_out_and_opens_again_on_the_clock(account):
    account.switch(minute_limit=2)
    account.ok("get.account")
    account.advance(20)
    account.ok("get.account")
    error = account.call("get.account")["error"]
    assert (error["code"], error["data"]["params"]) == (-32029, {"limit_type": "minute", "limit_max_value": 2})
    assert error["message"] == "Limit per minute has been exceeded. Value of current limit per minute is 2"
    limits = error["data"]["metadata"]["limits"]
    assert (limits["minute_remaining"], limits["day_remaining"]) == (0, 2998)
    assert 30 < limits["minute_reset"] <= 40
    account.advance(limits["minute_reset"])
    account.ok("get.account")
    assert account.left() == (1, 2997)


def test_the_day_runs_out_before_the_minute_is_asked(account):
    account.switch(minute_limit=1, day_limit=1)
    account.ok("get.account")
    error = account.call("get.account")["error"]
    assert error["data"]["params"] == {"limit_type": "day", "limit_max_value": 1}
    account.advance(86_399 - 60)
    assert account.refused("get.account")[0] == "limit_exceeded"
    account.advance(61)
    account.ok("get.account")


@pytest.mark.parametrize(("position", "reset"), [("first_call", 86_400), ("midnight", 12 * 3600)])
def test_the_day_begins_as_the_switch_says(account, position, reset):
    account.switch(day_window=position)
    limits = account.call("get.account")["result"]["metadata"]["limits"]
    assert reset - 10 < limits["day_reset"] <= reset
    account.advance(reset)
    assert account.left()[1] == 3000


def test_the_type_of_a_limit_can_be_written_otherwise(account):
    account.switch(limit_type="per_{window}", minute_limit=0)
    assert account.call("get.account")["error"]["data"]["params"]["limit_type"] == "per_minute"


def test_results_and_errors_carry_the_same_limits(account):
    metadata = account.call("get.deal_contacts")["result"]["metadata"]
    assert (metadata["total_items"], set(metadata)) == (0, {"limits", "total_items"})
    names = ("day_limit", "day_remaining", "day_reset", "minute_limit", "minute_remaining", "minute_reset")
    assert set(metadata["limits"]) == set(names)
    assert set(account.call("no.method")["error"]["data"]["metadata"]["limits"]) == set(names)


@pytest.mark.parametrize(
    ("position", "of_get", "of_create"),
    [("always", True, True), ("get_only", True, None), ("empty_limits", False, False)],
)
def test_metadata_of_results_can_be_elsewhere_or_empty(account, position, of_get, of_create):
    account.switch(metadata=position)
    created = account.call("create.deal_contacts", contacts=[CARD])["result"]
    got = account.call("get.deal_contacts")["result"]
    shown = [bool(result["metadata"]["limits"]) if "metadata" in result else None for result in (got, created)]
    assert shown == [of_get, of_create]


@pytest.mark.parametrize(("position", "metadata"), [("empty_limits", {"limits": {}}), ("absent", None)])
def test_metadata_of_errors_can_be_empty_or_absent(account, position, metadata):
    account.switch(error_metadata=position)
    assert account.call("no.method")["error"]["data"].get("metadata") == metadata


def test_the_version_block_and_the_other_spelling_of_metadata(account):
    account.switch(api_version_block=True, account_metadata_key="meta_data")
    result = account.call("get.account")["result"]
    assert result["meta_data"]["api_version"]["current_version_deprecated"] is True
    assert "api_version" in account.call("get.deal_contacts")["result"]["metadata"]


# Contacts.


def test_a_created_contact_is_kept_as_digits_and_told_without_ids(account):
    assert account.create(CARD | {"phone_numbers": ["+79990000001"]}) == {}
    (row,) = account.store("contacts")
    assert row == CARD | {"created_date_time": "2025-03-04 12:00:00", "component": "dataapi"}
    assert account.ok("get.deal_contacts") == [row]


@pytest.mark.parametrize(
    ("card", "refusal"),
    [
        (CARD | {"user_fields": []}, ("unexpected_parameters", "contacts.user_fields", [])),
        (without(CARD, "ext_id"), ("required_parameter_missed", "contacts.ext_id", None)),
        (CARD | {"name": None}, ("required_parameter_missed", "contacts.name", None)),
        (CARD | {"ext_id": 1}, ("data_type_error", "contacts.ext_id", 1)),
        (CARD | {"name": ""}, ("invalid_parameter_value", "contacts.name", "")),
        (CARD | {"phone_numbers": "79990000001"}, ("data_type_error", "contacts.phone_numbers", "79990000001")),
        (CARD | {"phone_numbers": [79990000001]}, ("data_type_error", "contacts.phone_numbers", 79990000001)),
        (CARD | {"phone_numbers": ["8 999"]}, ("invalid_parameter_value", "contacts.phone_numbers", "8 999")),
        (CARD | {"emails": ["nobody"]}, ("invalid_parameter_value", "contacts.emails", "nobody")),
        (CARD | {"emails": ["a@b.example"] * 2}, ("invalid_parameter_value", "contacts.emails", "a@b.example")),
        (CARD | {"created_date_time": 5}, ("data_type_error", "contacts.created_date_time", 5)),
        ("I1", ("data_type_error", "contacts", "I1")),
        ({"name": "", "x": 1}, ("unexpected_parameters", "contacts.x", 1)),
        ({"name": "", "emails": 1}, ("required_parameter_missed", "contacts.ext_id", None)),
        (CARD | {"name": "", "emails": 1}, ("data_type_error", "contacts.emails", 1)),
    ],
)
def test_one_wrong_contact_refuses_the_call(account, card, refusal):
    assert account.refused("create.deal_contacts", contacts=[CARD | {"ext_id": "I2"}, card]) == refusal
    assert account.store("contacts") == []


@pytest.mark.parametrize(
    "date",
    ["2025-03-04T10:00:00", "2025-03-04 10:00:00+03:00", "2025-03-04", "2025-02-30 10:00:00", "2025-03-04 10:00:60"],
)
@pytest.mark.parametrize("mnemonic", ["invalid_date_time", "invalid_parameter_value"])
def test_dates_have_one_format(account, date, mnemonic):
    account.switch(date_mnemonic=mnemonic)
    refusal = (mnemonic, "contacts.created_date_time", date)
    assert account.refused("create.deal_contacts", contacts=[CARD | {"created_date_time": date}]) == refusal


@pytest.mark.parametrize(
    ("position", "field"),
    [("none", "contacts.emails"), ("dotted", "contacts.1.emails.0"), ("brackets", "contacts[1].emails[0]")],
)
def test_positions_in_a_field_are_told_as_switched(account, position, field):
    account.switch(index_in_field=position)
    cards = [CARD, CARD | {"ext_id": "I2", "emails": ["nobody"]}]
    assert account.refused("create.deal_contacts", contacts=cards)[1] == field


def test_a_thousand_contacts_and_not_one_more(account):
    cards = [{"ext_id": str(number), "name": "N"} for number in range(1001)]
    assert account.refused("create.deal_contacts", contacts=cards)[:2] == ("data_limit_exceeded", "contacts")
    account.switch(too_many_items="invalid_parameter_value")
    assert account.refused("create.deal_contacts", contacts=cards)[0] == "invalid_parameter_value"
    account.create(*cards[:1000])
    assert account.left() == (59, 2999)
    assert account.refused("create.deal_contacts", contacts=[])[:2] == ("required_parameter_missed", "contacts")


@pytest.mark.parametrize("field", ["contacts.ext_id", "ext_id"])
def test_a_duplicate_is_refused_with_all_its_call(account, field):
    account.switch(duplicate_field=field)
    account.create()
    cards = [CARD | {"ext_id": "I2"}, CARD]
    assert account.refused("create.deal_contacts", contacts=cards) == ("duplicate_entity", field, "I1")
    assert [row["ext_id"] for row in account.store("contacts")] == ["I1"]
    twice = [CARD | {"ext_id": "I3"}] * 2
    assert account.refused("create.deal_contacts", contacts=twice)[0] == "duplicate_entity"


def test_if_switched_the_others_of_a_refused_call_are_kept(account):
    account.switch(contacts_atomic=False)
    account.create()
    cards = [CARD, CARD | {"ext_id": "I2"}]
    assert account.refused("create.deal_contacts", contacts=cards)[0] == "duplicate_entity"
    assert [row["ext_id"] for row in account.store("contacts")] == ["I1", "I2"]
    assert account.left() == (59, 2999)
    entry = account.admin("/journal")["entries"][-2]
    assert [one["committed"] for one in (entry, *entry["commands"])] == [True, False, True]


@pytest.mark.parametrize(
    ("switches", "change"),
    [
        ({"plus_in_phones": "refused"}, {"phone_numbers": ["+79990000001"]}),
        ({"empty_required": "accepted"}, {"name": ""}),
        ({"contact_user_fields": "stored"}, {"user_fields": [{"ext_id": "communication_id", "value": "1"}]}),
    ],
)
def test_what_contacts_may_hold_turns_with_a_switch(account, switches, change):
    asked = {"contacts": [CARD | change]}
    before = "error" in account.call("create.deal_contacts", **asked)
    account.world.account.reset()
    account.switch(**switches)
    assert ("error" in account.call("create.deal_contacts", **asked)) is not before


def test_user_fields_of_contacts_are_stored_and_not_told_if_switched(account):
    account.switch(contact_user_fields="stored")
    fields = [{"ext_id": "communication_id", "value": "1"}]
    account.create(CARD | {"user_fields": fields})
    assert account.store("contacts")[0]["user_fields"] == fields
    assert "user_fields" not in account.ok("get.deal_contacts")[0]


def test_a_phone_may_have_several_contacts_unless_switched(account):
    account.create(CARD, CARD | {"ext_id": "I2"})
    account.switch(unique_phones=True)
    refusal = ("already_in_use", "contacts.phone_numbers", "79990000001")
    assert account.refused("create.deal_contacts", contacts=[CARD | {"ext_id": "I3"}]) == refusal
    twice = [{"ext_id": one, "name": "N", "phone_numbers": ["79990000009"]} for one in ("I4", "I5")]
    assert account.refused("create.deal_contacts", contacts=twice)[0] == "already_in_use"
    assert account.refused("update.deal_contacts", ext_id="I1", phone_numbers=["79990000001"])[0] == "already_in_use"
    account.ok("update.deal_contacts", ext_id="I1", phone_numbers=["79990000002"])


def test_an_update_replaces_lists_clears_with_null_and_keeps_what_is_omitted(account):
    account.create()
    assert account.ok("update.deal_contacts", ext_id="I1", phone_numbers=["79990000002"], emails=None) == {}
    (row,) = account.store("contacts")
    assert (row["phone_numbers"], row["emails"], row["name"]) == (["79990000002"], [], "Interest 1")


@pytest.mark.parametrize(
    ("params", "refusal"),
    [
        ({"ext_id": "I9"}, ("entity_not_found", "ext_id", "I9")),
        ({}, ("required_parameter_missed", "ext_id", None)),
        ({"ext_id": "I1", "name": None}, ("invalid_parameter_value", "name", None)),
        ({"ext_id": "I1", "contacts": []}, ("unexpected_parameters", "contacts", [])),
        ({"ext_id": "I1", "emails": ["nobody"]}, ("invalid_parameter_value", "emails", "nobody")),
    ],
)
def test_a_wrong_update_changes_nothing(account, params, refusal):
    account.create()
    before = account.store("contacts")
    assert account.refused("update.deal_contacts", **params) == refusal
    assert account.store("contacts") == before


def test_a_contact_can_be_deleted_while_no_deal_uses_it(account):
    account.create()
    account.upload(**CONTACT_LINK)
    assert account.refused("delete.deal_contacts", ext_id="I1") == ("dependency_error", "ext_id", "I1")
    account.ok("delete.deals", ext_id="I1")
    assert account.ok("delete.deal_contacts", ext_id="I1") == {}
    assert account.refused("delete.deal_contacts", ext_id="I1")[0] == "entity_not_found"


# Filter, sort, pages.


def found(account, **params):
    return [row["ext_id"] for row in account.ok("get.deal_contacts", **params)]


@pytest.fixture
def people(account):
    account.create(
        {"ext_id": "1", "name": "Anna", "phone_numbers": ["79990000001"]},
        {"ext_id": "2", "name": "Boris", "phone_numbers": ["79990000002", "79990000003"]},
        {"ext_id": "3", "name": "anatol"},
    )
    return account


@pytest.mark.parametrize(
    ("field", "sign", "value", "expected"),
    [
        ("name", "=", "Anna", ["1"]),
        ("name", "!=", "Anna", ["2", "3"]),
        ("ext_id", "<", "2", ["1"]),
        ("ext_id", "<=", "2", ["1", "2"]),
        ("ext_id", ">", "2", ["3"]),
        ("ext_id", ">=", "2", ["2", "3"]),
        ("name", "like", "An%", ["1"]),
        ("name", "ilike", "an%", ["1", "3"]),
        ("name", "not_like", "%n%", ["2"]),
        ("name", "not_ilike", "a%", ["2"]),
        ("name", "regexp", "^[AB]", ["1", "2"]),
        ("name", "in", ["Anna", "Boris"], ["1", "2"]),
        ("name", "not_in", ["Anna"], ["2", "3"]),
        ("name", "is_null", None, []),
        ("name", "is_not_null", None, ["1", "2", "3"]),
        ("phone_numbers", "=", "+79990000003", ["2"]),
        ("phone_numbers", "overlap", ["+79990000003", "79990000001"], ["1", "2"]),
        ("phone_numbers", "not_overlap", ["79990000001"], ["2", "3"]),
    ],
)
def test_operators(people, field, sign, value, expected):
    assert found(people, filter={"field": field, "operator": sign, "value": value}) == expected


@pytest.mark.parametrize(("condition", "expected"), [("and", ["2"]), ("or", ["1", "2", "3"])])
def test_filters_are_trees(people, condition, expected):
    inner = {
        "filters": [{"field": "name", "operator": "=", "value": name} for name in ("Anna", "Boris")],
        "condition": "or",
    }
    outer = {"filters": [inner, {"field": "ext_id", "operator": ">", "value": "1"}], "condition": condition}
    assert found(people, filter=outer) == expected


@pytest.mark.parametrize(
    ("params", "refusal"),
    [
        ({"filter": {"field": "age", "operator": "=", "value": 1}}, ("unexpected_parameters", "filter.field", "age")),
        (
            {"filter": {"field": "created_date_time", "operator": "="}},
            ("filter_prohibited", "filter.field", "created_date_time"),
        ),
        ({"filter": {"field": "name", "operator": "~"}}, ("invalid_parameter_value", "filter.operator", "~")),
        (
            {"filter": {"field": "name", "operator": "regexp", "value": "("}},
            ("invalid_parameter_value", "filter.value", "("),
        ),
        ({"filter": {"field": "name", "operator": "<", "value": 1}}, ("invalid_parameter_value", "filter.value", None)),
        (
            {"filter": {"field": "name", "operator": "in", "value": "A"}},
            ("invalid_parameter_value", "filter.value", None),
        ),
        (
            {"filter": {"field": "name", "operator": "like", "value": 1}},
            ("invalid_parameter_value", "filter.value", None),
        ),
        ({"filter": {"filters": [], "condition": "xor"}}, ("invalid_parameter_value", "filter.condition", None)),
        ({"filter": {"user_fields": []}}, ("unexpected_parameters", "filter.user_fields", [])),
        ({"filter": {"field": "name"}}, ("required_parameter_missed", "filter.operator", None)),
        ({"filter": []}, None),
        ({"filter": "x"}, ("data_type_error", "filter", "x")),
        ({"sort": [{"field": "phone_numbers"}]}, ("sort_prohibited", "sort.field", "phone_numbers")),
        ({"sort": [{"field": "age"}]}, ("unexpected_parameters", "sort.field", "age")),
        ({"sort": [{"field": "name", "order": "up"}]}, ("invalid_parameter_value", "sort.order", "up")),
        ({"fields": ["age"]}, ("unexpected_parameters", "fields", "age")),
        ({"limit": 10_001}, ("invalid_parameter_value", "limit", 10_001)),
        ({"offset": 100_001}, ("invalid_parameter_value", "offset", 100_001)),
        ({"limit": "1"}, ("data_type_error", "limit", "1")),
        ({"page": 1}, ("unexpected_parameters", "page", 1)),
    ],
)
def test_a_listing_is_refused_for_what_it_does_not_know(people, params, refusal):
    answer = people.call("get.deal_contacts", **params)
    assert (told(answer) if "error" in answer else None) == refusal


def test_sort_fields_and_pages(people):
    assert found(people, sort=[{"field": "name", "order": "desc"}]) == ["3", "2", "1"]
    assert found(people, sort=[{"field": "component"}, {"field": "ext_id", "order": "desc"}]) == ["3", "2", "1"]
    answer = people.call("get.deal_contacts", limit=1, offset=1, fields=["name"])["result"]
    assert (answer["data"], answer["metadata"]["total_items"]) == ([{"name": "Boris"}], 3)


def test_a_page_has_a_thousand_rows_unless_more_are_asked(account):
    for first in (0, 1000):
        account.create(*({"ext_id": str(number), "name": "N"} for number in range(first, first + 1000)))
    assert (len(found(account)), len(found(account, limit=2000))) == (1000, 2000)


# Uploads.


def test_the_first_row_creates_a_deal_and_the_next_one_updates_it(account):
    account.create()
    fields = [{"ext_id": "communication_id", "value": "12345678"}]
    account.ok("create.deal_user_field", ext_id="communication_id", name="Call", data_type="string")
    linked = {"communication_id": 12345678, "communication_type": "call", "revenue": 500.5, "user_fields": fields}
    assert account.upload(ROW | CONTACT_LINK | linked) == {}
    account.upload(at(11, stage_ext_id="QUALIFIED", revenue=700))
    assert account.stages() == [("NEW", False), ("QUALIFIED", False)]
    first = account.store("deals_history")[0]
    assert {name: first[name] for name in linked} == linked
    (deal,) = account.store("deals")
    assert (deal["stage_ext_id"], deal["revenue"]) == ("QUALIFIED", 700)


@pytest.mark.parametrize("name", [name for name in ROW if name != "modified_date_time"])
@pytest.mark.parametrize("is_null", [True, False])
def test_required_fields_of_a_row(account, name, is_null):
    row = ROW | {name: None} if is_null else without(ROW, name)
    assert account.upload_refused(row) == ("required_parameter_missed", f"deals.{name}", None)


def test_the_modified_date_defaults_to_now(account):
    account.upload(without(ROW, "modified_date_time"))
    assert account.store("deals")[0]["modified_date_time"] == "2025-03-04 12:00:00"


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"stage": "NEW"}, ("unexpected_parameters", "deals.stage", "NEW")),
        ({"ext_id": 17}, ("data_type_error", "deals.ext_id", 17)),
        ({"revenue": "500"}, ("data_type_error", "deals.revenue", "500")),
        ({"revenue": True}, ("data_type_error", "deals.revenue", True)),
        ({"communication_id": "1", "communication_type": "call"}, ("data_type_error", "deals.communication_id", "1")),
        (
            {"communication_id": 1.5, "communication_type": "call"},
            ("invalid_parameter_value", "deals.communication_id", 1.5),
        ),
        (
            {"communication_id": 1, "communication_type": "sms"},
            ("invalid_parameter_value", "deals.communication_type", "sms"),
        ),
        ({"contact_ext_ids": "I1"}, ("data_type_error", "deals.contact_ext_ids", "I1")),
        ({"user_fields": [{"ext_id": "f"}]}, ("required_parameter_missed", "deals.user_fields.value", None)),
        ({"user_fields": [{"ext_id": "f", "value": 1}]}, ("data_type_error", "deals.user_fields.value", 1)),
        ({"tags": [{"ext_id": "t"}]}, ("required_parameter_missed", "deals.tags.name", None)),
        ({"created_date_time": "04.03.2025"}, ("invalid_date_time", "deals.created_date_time", "04.03.2025")),
    ],
)
def test_a_row_with_a_wrong_field_is_refused(account, change, refusal):
    assert account.upload_refused(**change) == refusal


@pytest.mark.parametrize("name", ["revenue", "communication_id"])
def test_a_number_too_great_for_a_number_is_refused(account, name):
    content = json.dumps(account.envelope("upload.deals_history", deals=[ROW | {name: 0.125}]))
    answer = account.raw(content.replace("0.125", "1e999").encode())
    assert told(answer)[:2] == ("invalid_parameter_value", f"deals.{name}")


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_one_bad_row_refuses_the_whole_upload(account, bad):
    rows = [ROW | {"ext_id": str(number)} for number in range(3)]
    rows[bad] = rows[bad] | {"stage_ext_id": "NOWHERE"}
    account.switch(index_in_field="dotted")
    assert account.upload_refused(*rows) == ("entity_not_found", f"deals.{bad}.stage_ext_id", "NOWHERE")
    assert (account.store("deals"), account.store("deals_history"), account.left()) == ([], [], (60, 3000))


def test_a_thousand_rows_and_not_one_more(account):
    rows = [at(10, stage_ext_id=stage, ext_id=str(number)) for number in range(500) for stage in ("NEW", "QUALIFIED")]
    account.upload(*rows)
    assert (len(account.store("deals_history")), account.left()) == (1000, (59, 2999))
    assert account.upload_refused(*rows, ROW)[:2] == ("data_limit_exceeded", "deals")
    assert account.refused("upload.deals_history", deals=[])[:2] == ("required_parameter_missed", "deals")


@pytest.mark.parametrize(
    ("switches", "hour", "is_future"),
    [
        ({}, "12:00:00", False),
        ({}, "12:00:01", True),
        ({"timezone": "Asia/Yekaterinburg"}, "14:00:00", False),
        ({"timezone": "Asia/Yekaterinburg"}, "14:00:01", True),
        ({"dates_in": "UTC"}, "09:00:00", False),
        ({"dates_in": "UTC"}, "09:00:01", True),
    ],
)
def test_a_deal_is_not_created_in_the_future_of_the_account(account, switches, hour, is_future):
    account.switch(**switches)
    created = f"2025-03-04 {hour}"
    answer = account.call(
        "upload.deals_history", deals=[ROW | {"created_date_time": created, "modified_stage_date_time": created}]
    )
    assert ("error" in answer) is is_future
    if is_future:
        assert told(answer) == ("invalid_date_time", "deals.created_date_time", created)
        account.advance(1)
        account.upload(created_date_time=created, modified_stage_date_time=created)


@pytest.mark.parametrize("name", ["modified_stage_date_time", "closed_date_time"])
@pytest.mark.parametrize("mnemonic", ["invalid_date_time", "invalid_parameter_value"])
def test_no_date_is_before_the_creation(account, name, mnemonic):
    account.switch(date_mnemonic=mnemonic)
    early = "2025-03-04 09:59:59"
    assert account.upload_refused(**{"stage_ext_id": "LOST", name: early}) == (mnemonic, f"deals.{name}", early)


def test_a_stage_is_not_entered_before_the_one_uploaded_last(account):
    account.upload(at(11, stage_ext_id="QUALIFIED"))
    stale = ("invalid_date_time", "deals.modified_stage_date_time", "2025-03-04 10:59:00")
    assert account.upload_refused(at(10, 59, stage_ext_id="OFFER")) == stale
    account.upload(at(11, stage_ext_id="OFFER"))
    account.upload(at(10, ext_id="I2"))
    account.ok("delete.deals", ext_id="I1")
    account.upload(at(10, stage_ext_id="OFFER"))


def test_rows_of_one_call_are_in_order_too(account):
    assert account.upload_refused(at(11), at(10, stage_ext_id="QUALIFIED"))[0] == "invalid_date_time"
    account.upload(at(10), at(11, stage_ext_id="QUALIFIED"))


def test_the_same_row_may_be_sent_again(account):
    account.upload()
    account.upload()
    assert len(account.store("deals")) == 1
    assert len(account.ok("get.deals_history")) == 1


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"contact_ext_ids": ["I1"]}, "main_contact_ext_id"),
        ({"main_contact_ext_id": "I1"}, "contact_ext_ids"),
        ({"communication_id": 1}, "communication_type"),
        ({"communication_type": "call"}, "communication_id"),
    ],
)
@pytest.mark.parametrize("mnemonic", ["invalid_parameters_combination", "required_parameter_missed"])
def test_half_a_pair_is_refused_naming_the_other_half(account, change, missing, mnemonic):
    account.switch(pair_mnemonic=mnemonic)
    account.create()
    assert account.upload_refused(**change) == (mnemonic, f"deals.{missing}", None)


def test_the_main_contact_is_one_of_the_contacts(account):
    account.create(CARD, CARD | {"ext_id": "I2"})
    refusal = ("invalid_parameters_combination", "deals.main_contact_ext_id", "I2")
    assert account.upload_refused(contact_ext_ids=["I1"], main_contact_ext_id="I2") == refusal
    account.upload(contact_ext_ids=["I1", "I2"], main_contact_ext_id="I2")


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"sales_funnel_ext_id": "9"}, "sales_funnel_ext_id", "9"),
        ({"stage_ext_id": "9"}, "stage_ext_id", "9"),
        ({"contact_ext_ids": ["9"], "main_contact_ext_id": "9"}, "contact_ext_ids", "9"),
        ({"user_fields": [{"ext_id": "9", "value": "1"}]}, "user_fields.ext_id", "9"),
        ({"employee_ext_id": "9"}, "employee_ext_id", "9"),
    ],
)
@pytest.mark.parametrize("mnemonic", ["entity_not_found", "invalid_parameter_value"])
def test_what_a_row_refers_to_must_exist(account, change, field, value, mnemonic):
    account.switch(unknown_reference=mnemonic)
    assert account.upload_refused(**change) == (mnemonic, f"deals.{field}", value)


def test_a_numeric_field_takes_a_number_in_a_string(account):
    account.ok("create.deal_user_field", ext_id="n", name="N", data_type="numeric")
    account.upload(user_fields=[{"ext_id": "n", "value": "17"}])
    refused = account.upload_refused(user_fields=[{"ext_id": "n", "value": "many"}])
    assert refused == ("invalid_parameter_value", "deals.user_fields.value", "many")


@pytest.mark.parametrize(("stage", "is_kept"), [("NEW", False), ("WON", True), ("LOST", True)])
def test_a_closing_date_counts_on_a_last_stage_only(account, stage, is_kept):
    closed = "2025-03-04 11:00:00"
    account.switch(generated_stages="none")
    account.upload(stage_ext_id=stage, closed_date_time=closed)
    assert account.store("deals")[0]["closed_date_time"] == (closed if is_kept else None)
    account.switch(closed_on_open_stage="refused")
    answer = account.call("upload.deals_history", deals=[ROW | {"stage_ext_id": stage, "closed_date_time": closed}])
    assert ("result" in answer) is is_kept


# Generated stages.


def generated(account):
    return [stage for stage, is_generated in account.stages() if is_generated]


@pytest.mark.parametrize(
    ("position", "first", "second", "expected"),
    [
        ("between", "NEW", "CONTRACT", ["QUALIFIED", "OFFER"]),
        ("between", "NEW", "QUALIFIED", []),
        ("between", "OFFER", "WON", ["CONTRACT"]),
        ("between", "NEW", "LOST", []),
        ("between", "OFFER", "NEW", []),
        ("from_first", "OFFER", "CONTRACT", ["NEW", "QUALIFIED"]),
        ("from_first", "LOST", "LOST", []),
        ("none", "NEW", "CONTRACT", []),
    ],
)
def test_missed_stages_are_generated(account, position, first, second, expected):
    account.switch(generated_stages=position)
    account.upload(at(10, stage_ext_id=first))
    account.upload(at(11, stage_ext_id=second))
    assert generated(account) == expected
    assert account.stages()[-1] == (second, False)
    assert account.store("deals")[0]["stage_ext_id"] == second


def test_generated_rows_look_like_the_row_that_made_them(account):
    account.upload(at(10), at(11, stage_ext_id="OFFER", revenue=5, closed_date_time="2025-03-04 11:00:00"))
    made, making = account.store("deals_history")[1:]
    different = {"stage_ext_id": "QUALIFIED", "is_generated": True}
    assert made == making | different
    assert [row["is_generated"] for row in account.ok("get.deals_history")] == [False, True, False]


def test_a_stage_is_not_generated_twice(account):
    account.upload(at(10), at(11, stage_ext_id="OFFER"), at(12, stage_ext_id="NEW"), at(13, stage_ext_id="CONTRACT"))
    assert generated(account) == ["QUALIFIED"]


def test_nothing_is_generated_between_two_funnels(account):
    account.ok("create.sales_funnel", **FUNNEL)
    account.upload(at(10), at(11, sales_funnel_ext_id="F", stage_ext_id="S"))
    assert generated(account) == []


# What a row leaves out, and links.


@pytest.mark.parametrize(("position", "expected"), [("cleared", None), ("kept", "first")])
def test_what_a_row_omits_is_as_switched(account, position, expected):
    account.switch(omitted_in_row=position)
    account.upload(comments="first")
    account.upload(at(11))
    assert account.store("deals")[0]["comments"] == expected


@pytest.mark.parametrize(
    ("position", "modified", "entered", "is_changed"),
    [
        ("either", 10, 10, False),
        ("either", 11, 10, True),
        ("either", 10, 11, True),
        ("both", 11, 10, False),
        ("both", 10, 11, False),
        ("both", 11, 11, True),
    ],
)
def test_links_change_only_with_an_advanced_date(account, position, modified, entered, is_changed):
    account.switch(link_change_needs=position)
    account.create()
    account.upload(communication_id=1, communication_type="call")
    dates = {
        "modified_date_time": f"2025-03-04 {modified}:00:00",
        "modified_stage_date_time": f"2025-03-04 {entered}:00:00",
    }
    account.upload(ROW | dates | CONTACT_LINK)
    (deal,) = account.store("deals")
    assert (deal["contact_ext_ids"], deal["communication_id"]) == ((["I1"], None) if is_changed else ([], 1))


# Reading and deleting deals.


@pytest.mark.parametrize(("position", "expected"), [("merged", [7]), ("added", [None, 7])])
def test_one_row_per_stage_passed_unless_switched(account, position, expected):
    account.switch(same_stage_row=position)
    account.upload()
    account.upload(at(11, revenue=7))
    assert [row["revenue"] for row in account.ok("get.deals_history")] == expected
    assert len(account.store("deals_history")) == 2


def test_the_history_is_filtered_by_communication_and_has_no_user_fields(account):
    account.upload(communication_id=12345678, communication_type="call", tags=[{"ext_id": "t", "name": "T"}])
    account.upload(ext_id="I2")
    asked = {"field": "communication_id", "operator": "=", "value": 12345678}
    (row,) = account.ok("get.deals_history", filter=asked)
    assert (row["ext_id"], row["tag_ext_ids"], row["is_generated"]) == ("I1", ["t"], False)
    assert {"user_fields", "modified_date_time"}.isdisjoint(row)
    assert account.refused("get.deals_history", filter={"field": "comments", "operator": "="})[0] == "filter_prohibited"
    assert (
        account.refused("get.deals_history", filter={"field": "user_fields", "operator": "="})[0]
        == "unexpected_parameters"
    )
    assert account.refused("get.deals_history", sort=[{"field": "name"}])[0] == "sort_prohibited"
    sort = [{"field": "communication_id", "order": "desc"}]
    assert [row["ext_id"] for row in account.ok("get.deals_history", sort=sort)] == ["I2", "I1"]


@pytest.mark.parametrize("method", ["get.deals_in_processing", "get.deals_processing"])
def test_accepted_rows_can_be_read_after_the_delay(account, method):
    account.switch(processing_delay_s=30)
    account.upload(at(10), at(11, stage_ext_id="OFFER"), at(10, ext_id="I2"))
    assert (account.ok(method), account.ok("get.deals_history")) == ({"count": 2}, [])
    assert len(account.store("deals")) == 2
    account.ok("delete.deals", ext_id="I2")
    assert account.ok(method) == {"count": 1}
    account.advance(30)
    assert account.ok(method) == {"count": 0}
    assert [row["stage_ext_id"] for row in account.ok("get.deals_history")] == ["NEW", "QUALIFIED", "OFFER"]


def test_a_deleted_deal_is_gone_with_its_history(account):
    account.upload(ROW, ROW | {"ext_id": "I2"})
    assert account.ok("delete.deals", ext_id="I1") == {}
    assert [row["ext_id"] for row in account.store("deals_history")] == ["I2"]
    assert [row["ext_id"] for row in account.ok("get.deals_history")] == ["I2"]
    assert account.refused("delete.deals", ext_id="I1") == ("entity_not_found", "ext_id", "I1")


# Directories.


@pytest.mark.parametrize(
    ("one", "entity", "more", "use"),
    [
        (
            "deal_user_field",
            "user_fields",
            {"data_type": "string"},
            {"user_fields": [{"ext_id": "x", "value": "1"}]},
        ),
        ("deal_employees", "employees", {}, {"employee_ext_id": "x"}),
    ],
)
def test_a_directory_is_created_renamed_used_and_deleted(account, one, entity, more, use):
    many = f"{one.removesuffix('s')}s"
    row = {"ext_id": "x", "name": "X", **more}
    assert account.ok(f"create.{one}", **row) == {"ext_id": "x"}
    assert account.refused(f"create.{one}", **row) == ("duplicate_entity", "ext_id", "x")
    assert account.ok(f"update.{one}", ext_id="x", name="Y") == {}
    assert account.ok(f"get.{many}") == account.store(entity) == [row | {"name": "Y"}]
    account.upload(**use)
    assert account.refused(f"delete.{one}", ext_id="x") == ("dependency_error", "ext_id", "x")
    account.ok("delete.deals", ext_id="I1")
    account.ok(f"delete.{one}", ext_id="x")
    for method, params in ((f"update.{one}", {"name": "Z"}), (f"delete.{one}", {})):
        assert account.refused(method, ext_id="x", **params) == ("entity_not_found", "ext_id", "x")


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"data_type": "date"}, ("invalid_parameter_value", "data_type", "date")),
        ({"data_type": None}, ("required_parameter_missed", "data_type", None)),
    ],
)
def test_a_user_field_has_one_of_two_types(account, change, refusal):
    asked = {"ext_id": "f", "name": "F", "data_type": "string"} | change
    assert account.refused("create.deal_user_field", **asked) == refusal


def test_a_user_field_is_only_renamed(account):
    account.ok("create.deal_user_field", ext_id="f", name="F", data_type="string")
    refusal = account.refused("update.deal_user_field", ext_id="f", name="G", data_type="numeric")
    assert refusal[:2] == ("unexpected_parameters", "data_type")


def test_the_first_funnel_comes_and_goes_with_its_switch(account):
    (funnel,) = account.ok("get.sales_funnel")
    assert funnel["ext_id"] == "123"
    statuses = {stage["stage_ext_id"]: stage["stage_status"] for stage in funnel["stages"]}
    open_stages = dict.fromkeys(("NEW", "QUALIFIED", "OFFER", "CONTRACT"), "in_process")
    assert statuses == open_stages | {"WON": "success", "LOST": "failed"}
    account.switch(with_funnel=False)
    assert account.ok("get.sales_funnel") == account.store("funnels") == []
    account.switch(with_funnel=True)
    assert account.ok("get.sales_funnel") == [funnel]


def test_a_funnel_is_provisioned(account):
    assert account.ok("create.sales_funnel", **FUNNEL) == {"ext_id": "F"}
    account.ok("update.sales_funnel", ext_id="F", name="Other")
    funnel = account.ok("get.sales_funnel", filter={"field": "ext_id", "operator": "=", "value": "F"})[0]
    stages = [(one["stage_ext_id"], one["stage_status"], one["stage_order"]) for one in funnel["stages"]]
    expected = [("A", "in_process", 1), ("B", "in_process", 2), ("S", "success", 10_010), ("L", "failed", 10_020)]
    assert (funnel["name"], stages) == ("Other", expected)
    assert account.refused("create.sales_funnel", **FUNNEL) == ("duplicate_entity", "ext_id", "F")
    account.upload(sales_funnel_ext_id="F", stage_ext_id="B")
    assert account.refused("delete.sales_funnel", ext_id="F") == ("dependency_error", "ext_id", "F")
    account.ok("delete.deals", ext_id="I1")
    account.ok("delete.sales_funnel", ext_id="F")
    assert account.refused("delete.sales_funnel", ext_id="F") == ("entity_not_found", "ext_id", "F")


def many(count, **change):
    return [{"ext_id": f"s{number}", "name": "N", "order": number, **change} for number in range(count)]


@pytest.mark.parametrize(
    ("stages", "refusal"),
    [
        ({"in_process": []}, ("required_parameter_missed", "stages.in_process")),
        ({"in_process": many(101)}, ("data_limit_exceeded", "stages.in_process")),
        ({"in_process": many(1, order=10_001)}, ("invalid_parameter_value", "stages.in_process.order")),
        ({"in_process": many(2, ext_id="s")}, ("duplicate_entity", "stages.ext_id")),
        ({"success": None}, ("required_parameter_missed", "stages.success")),
        ({"failed": {"ext_id": "L"}}, ("required_parameter_missed", "stages.failed.name")),
        ({"in_process": many(100)}, None),
    ],
)
def test_a_funnel_has_up_to_a_hundred_stages_and_two_ends(account, stages, refusal):
    answer = account.call("create.sales_funnel", **FUNNEL | {"stages": FUNNEL["stages"] | stages})
    assert (told(answer)[:2] if "error" in answer else None) == refusal


def test_stages_are_added_moved_and_deleted(account):
    account.ok("create.sales_funnel", **FUNNEL)
    of = {"sales_funnel_ext_id": "F"}
    assert account.ok("create.sales_funnel_stages", **of, ext_id="C", name="C", order=0) == {"ext_id": "C"}
    account.ok("update.sales_funnel_stages", **of, ext_id="A", order=9, name="Last")
    account.ok("update.sales_funnel_stages", **of, ext_id="S", name="Won")
    funnel = account.store("funnels")[1]
    assert [stage["stage_name"] for stage in funnel["stages"]] == ["C", "Second", "Last", "Won", "Lost"]
    account.upload(sales_funnel_ext_id="F", stage_ext_id="A")
    assert account.refused("delete.sales_funnel_stages", **of, ext_id="A")[0] == "dependency_error"
    account.ok("delete.deals", ext_id="I1")
    for ext_id in ("A", "B"):
        account.ok("delete.sales_funnel_stages", **of, ext_id=ext_id)
    assert account.refused("delete.sales_funnel_stages", **of, ext_id="C") == ("dependency_error", "ext_id", "C")


@pytest.mark.parametrize(
    ("method", "params", "refusal"),
    [
        ("create", {"ext_id": "A", "name": "A", "order": 1}, ("duplicate_entity", "ext_id", "A")),
        ("create", {"ext_id": "D", "name": "D"}, ("required_parameter_missed", "order", None)),
        ("update", {"ext_id": "S", "order": 1}, ("invalid_parameters_combination", "order", 1)),
        ("update", {"ext_id": "D", "order": 1}, ("entity_not_found", "ext_id", "D")),
        ("delete", {"ext_id": "S"}, ("forbidden", "ext_id", "S")),
        ("delete", {"ext_id": "A", "sales_funnel_ext_id": "9"}, ("entity_not_found", "sales_funnel_ext_id", "9")),
    ],
)
def test_a_wrong_change_of_a_stage_is_refused(account, method, params, refusal):
    account.ok("create.sales_funnel", **FUNNEL)
    assert account.refused(f"{method}.sales_funnel_stages", **{"sales_funnel_ext_id": "F"} | params) == refusal


def test_a_hundred_first_stage_is_refused(account):
    account.ok("create.sales_funnel", **FUNNEL | {"stages": FUNNEL["stages"] | {"in_process": many(100)}})
    asked = {"sales_funnel_ext_id": "F", "ext_id": "X", "name": "X", "order": 1}
    assert account.refused("create.sales_funnel_stages", **asked)[0] == "data_limit_exceeded"


# Journal, chronicle, faults.


def test_the_journal_shows_every_row_and_no_secret(account):
    rows = [ROW, ROW | {"ext_id": "I2"}]
    account.upload(*rows)
    account.upload_refused(*rows[:1], ROW | {"ext_id": "I3", "stage_ext_id": "NOWHERE"})
    logged_in(account)
    done, refused, login = account.admin("/journal?system=comagic")["entries"]
    assert (done["method"], done["kind"], done["entity"], done["key"]) == ("upload.deals_history", "write", "deals", "")
    assert done["params"] == {"access_token": "***"}
    assert [(one["key"], one["params"], one["committed"]) for one in done["commands"]] == [
        ("I1", rows[0], True),
        ("I2", rows[1], True),
    ]
    assert [one["key"] for one in refused["commands"]] == ["I1", "I3"]
    for one in (refused, *refused["commands"]):
        assert (one["committed"], one["error"]) == (False, "entity_not_found")
    assert login["params"] == {"login": "sandbox", "password": "***"}
    assert account.admin("/journal/summary")["systems"]["comagic"]["commands"]["by_method"]["upload.deals_history"] == 4


def test_a_single_object_is_journalled_by_its_key(account):
    account.create()
    account.ok("update.deal_contacts", ext_id="I1", name="N")
    account.ok("get.deal_contacts")
    created, updated, got = account.admin("/journal")["entries"]
    assert [one["key"] for one in (created, created["commands"][0], updated, got)] == ["I1", "I1", "I1", ""]
    assert [(one["kind"], one["committed"]) for one in (created, updated, got)] == [
        ("write", True),
        ("write", True),
        ("read", False),
    ]


@pytest.mark.parametrize("rows", ["I1", [1], None, {}])
def test_a_shapeless_upload_is_journalled_as_sent(account, rows):
    account.refused("upload.deals_history", deals=rows)
    (entry,) = account.admin("/journal")["entries"]
    assert (entry["params"], entry["commands"]) == ({"access_token": "***", "deals": rows}, [])


def told_versions(account):
    entries = account.admin("/chronicle?system=comagic")["entries"]
    return [(one["entity"], one["key"], one["verb"], one["state"]) for one in entries]


def test_the_chronicle_has_every_state_of_contacts_and_every_accepted_row(account):
    account.create()
    (created,) = account.store("contacts")
    account.ok("update.deal_contacts", ext_id="I1", name="N")
    account.upload(at(10), at(11, stage_ext_id="OFFER"))
    account.upload_refused(stage_ext_id="NOWHERE")
    rows = account.store("deals_history")
    account.ok("delete.deals", ext_id="I1")
    account.ok("delete.deal_contacts", ext_id="I1")
    assert told_versions(account) == [
        ("contacts", "I1", "created", created),
        ("contacts", "I1", "updated", created | {"name": "N"}),
        ("deals", "I1", "created", rows[0]),
        ("deals", "I1", "updated", rows[1]),
        ("deals", "I1", "updated", rows[2]),
        ("deals", "I1", "deleted", None),
        ("contacts", "I1", "deleted", None),
    ]
    assert [row["is_generated"] for row in rows] == [False, True, False]


def test_the_vendors_answers_to_faults(account):
    account.admin("/faults", "POST", system="comagic", action="throttle", retry_after_s=17)
    error = account.call("get.account")["error"]
    limits = error["data"]["metadata"]["limits"]
    assert (error["code"], limits["minute_remaining"], limits["minute_reset"]) == (-32029, 0, 17)
    account.admin("/faults", "POST", system="comagic", action="error", code="forbidden", text="No")
    error = account.call("get.account")["error"]
    assert (error["code"], error["message"], error["data"]["mnemonic"]) == (-32003, "No", "forbidden")
    account.admin("/faults", "POST", system="comagic", action="error")
    assert account.call("get.account")["error"]["code"] == -32603
    account.admin("/faults", "POST", system="comagic", action="revoke")
    assert account.refused("get.account")[0] == "access_token_invalid"


def test_a_write_whose_answer_is_lost_is_committed(account):
    account.admin("/faults", "POST", system="comagic", action="status", status=502, html="<h1>Bad</h1>", commit=True)
    assert account.send(account.envelope("create.deal_contacts", contacts=[CARD]))[0] == 502
    assert account.refused("create.deal_contacts", contacts=[CARD]) == ("duplicate_entity", "contacts.ext_id", "I1")
    assert [one["committed"] for one in account.admin("/journal")["entries"]] == [True, False]


def test_a_fault_before_the_account_is_journalled_with_its_rows(account):
    account.admin("/faults", "POST", system="comagic", action="status", status=502)
    account.send(account.envelope("upload.deals_history", deals=[ROW]))
    account.admin("/faults", "POST", system="comagic", action="status", status=502)
    account.send(b"{")
    first, second = account.admin("/journal")["entries"]
    assert (first["commands"][0]["key"], first["committed"], account.store("deals")) == ("I1", False, [])
    assert (second["method"], second["error"]) == ("", "parse_error")


def test_a_reset_forgets_everything(account):
    token = logged_in(account)["result"]["data"]["access_token"]
    account.create()
    account.upload()
    account.ok("create.sales_funnel", **FUNNEL)
    account.switch(error_status=400)
    account.admin("/reset", "POST")
    assert [account.store(entity) for entity in ("contacts", "deals", "deals_history", "user_fields")] == [[]] * 4
    assert [row["ext_id"] for row in account.store("funnels")] == ["123"]
    assert account.left() == (60, 3000)
    account.token = token
    assert account.refused("get.account")[0] == "access_token_invalid"


@pytest.mark.parametrize("entity", ["deal", "rows"])
def test_an_unknown_store_is_refused(account, entity):
    with pytest.raises(AssertionError, match="not found"):
        account.store(entity)


def test_sixty_thousand_rows_take_seconds(account):
    account.switch(minute_limit=1000)
    stages = ("NEW", "QUALIFIED", "OFFER", "CONTRACT")
    started = time.process_time()
    for call in range(60):
        account.upload(
            *(
                at(10, number, ext_id=f"{call}-{deal}", stage_ext_id=stage)
                for deal in range(250)
                for number, stage in enumerate(stages)
            )
        )
    assert account.call("get.deals_history", limit=1)["result"]["metadata"]["total_items"] == 60_000
    # Of this process, which is client and sandbox: a busy machine changes nothing.
    assert time.process_time() - started < 20
