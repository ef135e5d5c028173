"""Every request of brief 001 §2 as 1C sends it, and the brief's answer."""

import json
import logging
from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError

from connectors import onec_handlers_base
from tasks.inline import Outcome
from tasks.ledger import field_maps, packages
from tasks.ledger.tables import State
from tests.unit import onec_public
from tests.unit.onec_public import KEY, OTHER_KEY, WHO, World, config_of, is_refusal, success
from workers.settings import SettingsError

CONTACT = {
    **WHO,
    "id_1c": "5f0c7c0e-0000-4000-8000-00000000000c",
    "link": "https://1c.example/base#e1cib/data/1",
    "name": "Иван Выдуманный",
    "responsible_user_id": 77,
    "email": "ivan@mail.example",
    "phone": "+7 999 000-00-01",
}
COMPANY = {**WHO, "id": "15", "id_1c": "company-1", "name": 'ООО "Выдумка"', "inn": "7700000000", "link": ""}
ORDER = {
    **WHO,
    "id": None,
    "id_1c": "order-1",
    "link": "e1cib/data/Документ.ЗаказКлиента?ref=0",
    "company_id": 15,
    "contact_id": "16",
    "budget": "1 234,50",
    "order_number": "УТ-00001",
    "responsible_user_id": 0,
}
EVENT = {
    **WHO,
    "event_name": "payment",
    "id": 500,
    "id_1c": "order-1",
    "sum": 100,
    "debt_sum": "0",
    "document_name": "Платёж №1",
}
BINDING = {
    **WHO,
    "web_address": "https://1c.example/base/hs/amo",
    "url_address": "https://1c.example/base",
    "param1": "Обмен",
    "param2": "secret of 1C",
}
PACKAGE = {**WHO, "handlers": {"modules": [{"name": "Обмен", "text": "Сообщить(1);"}]}}


@pytest.fixture
def world(ledger, redis):
    return World(ledger, redis, {"base": config_of()})


def fields_of(world):
    (_, row) = world.ferry.rows[-1]
    return dict(row.fields)


def test_2_1_the_account_of_the_base_is_active_and_another_is_not(world):
    assert world.get(f"/sync/check_active?key={KEY}").json["data"] is True
    assert world.get(f"/sync/check_active?key={OTHER_KEY}").json["data"] is False


def test_2_2_a_base_is_bound_and_the_same_again_changes_nothing(world):
    assert world.post("/sync/base", BINDING).json == success(None)
    kept = dict(world.vault.values)
    assert world.post("/sync/base", BINDING).json == success(None)
    assert world.vault.values == kept != {}


@pytest.mark.parametrize("address", [" https://1c.example/base/hs/amo ", "HTTPS://1c.example/base/hs/amo\r\n"])
def test_2_2_an_address_may_have_capitals_and_blanks_around(world, address):
    assert world.post("/sync/base", {**BINDING, "web_address": address}).json == success(None)
    bound = onec_handlers_base.current(world.vault, world.configs["base"])
    assert bound.web_address == BINDING["web_address"]


def test_2_3_a_person_becomes_a_contact(world):
    assert world.post("/sync/base", BINDING).status_code == 200
    answer = world.post("/sync/clients_contacts", CONTACT)
    assert (answer.status_code, answer.json) == (200, success(1000))
    (name, row) = world.ferry.rows[0]
    assert (name, row.id) == ("base-clients_contacts", CONTACT["id_1c"])
    assert fields_of(world) == {"amo_id": None, **{k: v for k, v in CONTACT.items() if k not in WHO}}


def test_2_4_a_legal_person_becomes_a_company(world):
    assert world.post("/sync/clients_companies", COMPANY).json == success(1000)
    assert world.ferry.rows[0][0] == "base-clients_companies"
    assert fields_of(world) == {
        "id_1c": "company-1",
        "amo_id": 15,
        "link": None,
        "name": 'ООО "Выдумка"',
        "inn": "7700000000",
        "responsible_user_id": None,
    }


@pytest.mark.parametrize("path", ["/sync/leads", "/sync/orders", "/sync/clients_companies"])
def test_2_5_an_order_becomes_a_lead_on_each_of_its_paths(world, caplog, path):
    with caplog.at_level(logging.WARNING, "parom.web"):
        assert world.post(path, ORDER).json == success(1000)
    assert world.ferry.rows[0][0] == "base-leads"
    assert fields_of(world) == {
        "id_1c": "order-1",
        "amo_id": None,
        "link": ORDER["link"],
        "company_id": 15,
        "contact_id": 16,
        "budget": "1234.50",
        "order_number": "УТ-00001",
        "responsible_user_id": None,
    }
    assert ("path of companies" in caplog.text) == (path == "/sync/clients_companies")


@pytest.mark.parametrize("name", ["cancel_order", "payment", "part_payment", "shipment", "part_shipment"])
def test_2_6_an_event_is_answered_with_its_lead(world, name):
    assert world.post("/sync/process_event", {**EVENT, "event_name": name}).json == success(500)
    fields = fields_of(world)
    assert (fields["event_name"], fields["sum"], fields["debt_sum"]) == (name, "100.00", "0.00")


def test_2_6_an_event_is_never_answered_with_its_note(world):
    world.ferry.outcome = Outcome(State.DONE, "9000", None, None)
    assert is_refusal(world.post("/sync/process_event", {**EVENT, "id": ""}), "ACCEPTED", 202)


@pytest.mark.parametrize(
    ("path", "entity", "kept"),
    [
        ("clients_contacts", "contacts", {"p_1": None, "p_22": "Дата рождения"}),
        ("clients_companies", "companies", {"p_1": None, "p_22": "Дата рождения", "inn_3": None}),
        ("leads", "leads", {"p_1": None, "p_22": "Дата рождения"}),
    ],
)
def test_2_7_the_wanted_fields_are_kept(world, path, entity, kept):
    asked = {**WHO, "p_1": None, "p_22": "Дата рождения", "inn_3": {"a": 1}, "p_x": 1, "q_1": 1, "p_1 ": 1}
    assert world.post(f"/sync/{path}_save_fields", asked).json == success(None)
    assert field_maps.wanted(world.runtime.ledger, "base", entity) == {"1", "22"}
    assert field_maps.saved(world.runtime.ledger, "base", entity) == kept
    assert world.post(f"/sync/{path}_save_fields", {**WHO, "p_5": 1}).json == success(None)
    assert field_maps.wanted(world.runtime.ledger, "base", entity) == {"5"}


def test_2_8_to_2_10_handlers_are_published_and_given_out(world):
    first = world.post("/update_handlers/set_handlers", PACKAGE, auth="publisher").json["data"]["version"]
    again = world.post("/update_handlers/set_handlers", PACKAGE, auth="publisher").json["data"]["version"]
    newer = world.post("/update_handlers/set_handlers", {**WHO, "handlers": ["другое"]}, auth="publisher").json
    assert newer == success({"version": newer["data"]["version"]})
    assert first == again < newer["data"]["version"]
    assert world.post("/update_handlers/get_actual_version", WHO).json == newer
    given = world.post("/update_handlers/get_actual_handlers", WHO).json
    assert given == success({**newer["data"], "handlers": ["другое"]})


def test_an_older_package_published_again_is_a_newer_version(world):
    ledger = world.runtime.ledger
    versions = [
        packages.publish(ledger, "base", handlers, by="p")[0].version for handlers in (["1\0"], {"2": 2.5}, ["1\0"])
    ]
    assert versions == sorted(set(versions))
    assert packages.latest(ledger, "base").handlers == ["1\0"]
    assert packages.latest(ledger, "another") is None


def test_handlers_are_off_unless_somebody_may_publish_them(ledger, redis):
    off = config_of(handlers_publisher_login=None, handlers_publisher_password=None)
    world = World(ledger, redis, {"base": off})
    assert is_refusal(world.post("/update_handlers/get_actual_version", WHO), "NOT_FOUND", 404)
    for auth in ("token", "publisher", "basic"):
        assert is_refusal(world.post("/update_handlers/set_handlers", PACKAGE, auth=auth), "UNAUTHORIZED", 401)
    assert packages.latest(ledger, "base") is None


def test_handlers_that_nobody_has_published_are_not_found(world):
    for what in ("version", "handlers"):
        assert is_refusal(world.post(f"/update_handlers/get_actual_{what}", WHO), "NOT_FOUND", 404)


def test_a_base_may_not_publish_and_a_publisher_may_do_nothing_else(world):
    assert is_refusal(world.post("/update_handlers/set_handlers", PACKAGE), "UNAUTHORIZED", 401)
    assert is_refusal(world.post("/sync/leads", ORDER, auth="publisher"), "UNAUTHORIZED", 401)


def test_the_same_request_gets_the_same_answer(world):
    for path, body in {
        "/sync/clients_contacts": CONTACT,
        "/sync/clients_companies": COMPANY,
        "/sync/leads": ORDER,
        "/sync/process_event": EVENT,
    }.items():
        first, again = (world.post(path, body) for _ in range(2))
        assert (first.status_code, first.data) == (again.status_code, again.data)
    assert len({(name, row.fields.get("key") or row.id) for name, row in world.ferry.rows}) == 4


REJECTED = Outcome(State.REJECTED, None, "wrong fields: name", "invalid")
REFUSED = Outcome(State.REJECTED, None, "several contacts have this phone +7 999 000-00-01", "rejected")


@pytest.mark.parametrize(
    ("outcome", "code", "status"),
    [
        (REJECTED, "BAD_REQUEST", 422),
        (REFUSED, "CONFLICT", 409),
        (Outcome(State.PENDING, None, "unavailable", "unavailable"), "ACCEPTED", 202),
        (Outcome(State.RUNNING, "15", None, None), "ACCEPTED", 202),
        (Outcome(State.WAITING, None, None, "parent"), "ACCEPTED", 202),
        (Outcome(State.PARKED, None, "a bug", "bug"), "CONFLICT", 409),
        (Outcome(State.SKIPPED, None, "superseded", "superseded"), "ACCEPTED", 202),
    ],
)
def test_what_is_not_delivered_is_said_so(world, outcome, code, status):
    world.ferry.outcome = outcome
    for path, body in (("/sync/clients_contacts", CONTACT), ("/sync/leads", ORDER)):
        answer = world.post(path, body)
        assert is_refusal(answer, code, status)
        assert "999 000-00-01" not in answer.text
    if code == "ACCEPTED":
        assert "repeat this request" in answer.json["error"]


def test_a_base_that_reads_no_other_status_gets_200_for_everything(ledger, redis):
    world = World(ledger, redis, {"base": config_of(errors_as_200=True)})
    world.ferry.outcome = REJECTED
    assert is_refusal(world.post("/sync/clients_contacts", CONTACT), "BAD_REQUEST", 200)
    world.ferry.outcome = Outcome(State.PENDING, None, None, None)
    assert is_refusal(world.post("/sync/clients_contacts", CONTACT), "ACCEPTED", 200)
    assert is_refusal(world.post("/sync/clients_contacts", b"{"), "BAD_REQUEST", 200)
    assert is_refusal(world.post("/update_handlers/get_actual_version", WHO), "NOT_FOUND", 200)
    assert is_refusal(world.post("/sync/clients_contacts", CONTACT, auth="nothing"), "UNAUTHORIZED", 401)


def test_without_its_database_it_says_that_nothing_was_stored(world):
    world.ferry.error = OperationalError("", {}, Exception("+7 999 000-00-01"))
    answer = world.post("/sync/clients_contacts", CONTACT)
    assert is_refusal(answer, "UPSTREAM_TEMPORARY", 503)
    assert "send it again" in answer.json["error"]


def test_a_mistake_of_ours_tells_nothing_of_itself(world, caplog):
    world.ferry.error = RuntimeError("a secret in a message")
    answer = world.post("/sync/clients_contacts", CONTACT)
    assert is_refusal(answer, "INTERNAL", 500)
    assert "secret" not in answer.text + caplog.text
    assert "in __call__" in caplog.text


def test_a_vault_that_is_away_makes_a_binding_wait(world):
    world.vault.is_down = True
    assert is_refusal(world.post("/sync/base", BINDING), "UPSTREAM_TEMPORARY", 503)


def test_an_entity_that_no_flow_carries_is_not_taken(ledger, redis):
    world = World(ledger, redis, {"base": config_of()}, entities=("clients_contacts",))
    assert world.post("/sync/clients_contacts", CONTACT).status_code == 200
    answer = world.post("/sync/leads", ORDER)
    assert is_refusal(answer, "NOT_FOUND", 404)
    assert "leads" in answer.json["error"]


def test_it_waits_as_long_as_the_base_is_configured_to(ledger, redis):
    world = World(ledger, redis, {"base": config_of(patience=timedelta(seconds=3))})
    world.post("/sync/clients_contacts", CONTACT)
    assert world.ferry.patience == timedelta(seconds=3)


def test_one_base_under_two_names_is_refused_at_start(ledger, redis):
    with pytest.raises(SettingsError) as caught:
        World(ledger, redis, {"base": config_of(), "again": config_of()})
    assert "connections.base.id_base" in str(caught.value)


def test_two_bases_are_told_apart(ledger, redis):
    other = config_of(id_base="other", token=onec_public.Secret("another-token-of-a-base"), login=None, password=None)
    world = World(ledger, redis, {"base": config_of(), "other": other})
    body = {**CONTACT, "id_base": "other"}
    assert world.post("/sync/clients_contacts", body, auth="Bearer another-token-of-a-base").status_code == 200
    assert world.ferry.rows[0][0] == "other-clients_contacts"
    assert is_refusal(world.post("/sync/clients_contacts", body), "UNAUTHORIZED", 401)


# --- what 1C's programmers send ---


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain; charset=utf-8", "", "application/x-www-form-urlencoded"]
)
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_any_content_type_and_a_bom_will_do(world, content_type, start):
    body = start + json.dumps(CONTACT, ensure_ascii=False).encode()
    answer = world.post("/sync/clients_contacts", body, **{"Content-Type": content_type})
    assert answer.json == success(1000)
    assert fields_of(world)["name"] == CONTACT["name"]


@pytest.mark.parametrize("key", [KEY, str(KEY), f" {KEY} ", "1 234 567", "1\u00a0234\u00a0567", float(KEY)])
def test_an_account_is_a_number_or_its_digits(world, key):
    assert world.post("/sync/clients_contacts", {**CONTACT, "key": key}).json == success(1000)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (1234.5, "1234.50"),
        (8699.999999999998, "8700.00"),
        (0, "0.00"),
        ("1234", "1234.00"),
        ("1234.5", "1234.50"),
        ("1 234,50", "1234.50"),
        ("1\u00a0234\u202f567,5", "1234567.50"),
        ("", None),
        (None, None),
        ("  ", None),
    ],
)
def test_a_sum_is_a_number_or_text(world, sent, read):
    world.post("/sync/leads", {**ORDER, "budget": sent})
    assert fields_of(world)["budget"] == read


@pytest.mark.parametrize("sent", [-1, "-1", "1.2.3", "1,234.50", True, [], {}, 10**12, "x", "1e5", "½"])
def test_what_is_no_sum_is_named_and_not_shown(world, sent):
    answer = world.post("/sync/leads", {**ORDER, "budget": sent})
    assert is_refusal(answer, "BAD_REQUEST", 400)
    assert "budget" in answer.json["error"]
    assert not world.ferry.rows


WRONG = {
    "no key": (lambda body: body.pop("key"), "key"),
    "an empty base": (lambda body: body.update(id_base=""), "id_base"),
    "an account in words": (lambda body: body.update(key="account"), "key"),
    "a fraction for an id": (lambda body: body.update(id=1.5), "id"),
    "a flag for an id": (lambda body: body.update(id=True), "id"),
    "an id that is long": (lambda body: body.update(id="1" * 16), "id"),
    "an id with a line feed": (lambda body: body.update(id_1c="a\nb"), "id_1c"),
    "a long id of 1C": (lambda body: body.update(id_1c="a" * 65), "id_1c"),
    "a long name": (lambda body: body.update(name="я" * 256), "name"),
    "a name as an object": (lambda body: body.update(name={}), "name"),
    "no id at all": (lambda body: body.update(id=0, id_1c=" "), "id_1c"),
}


@pytest.mark.parametrize(("spoil", "named"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(world, spoil, named):
    body = {**CONTACT, "id": 5}
    spoil(body)
    answer = world.post("/sync/clients_contacts", body)
    assert is_refusal(answer, "BAD_REQUEST", 400)
    assert named in answer.json["error"]
    assert not world.ferry.rows


def test_a_company_with_an_inn_is_no_order(world):
    for name in ("order_number", "budget", "company_id", "contact_id"):
        answer = world.post("/sync/clients_companies", {**COMPANY, name: "1"})
        assert is_refusal(answer, "BAD_REQUEST", 400), name
    empty = {"order_number": "", "budget": None, "company_id": 0, "contact_id": "0"}
    assert world.post("/sync/clients_companies", COMPANY | empty).json == success(1000)
    assert world.ferry.rows[0][0] == "base-clients_companies"


@pytest.mark.parametrize("name", ["", "refund", None, 5, ["payment"]])
def test_an_event_must_be_a_known_one(world, name):
    assert is_refusal(world.post("/sync/process_event", {**EVENT, "event_name": name}), "BAD_REQUEST", 400)


def test_an_event_of_no_order_is_none(world):
    body = {**EVENT, "id": None, "id_1c": None}
    assert is_refusal(world.post("/sync/process_event", body), "BAD_REQUEST", 400)


def test_other_keys_are_ignored_and_html_is_text(world):
    body = {**CONTACT, "name": "<b>Иван</b><script>1</script>", "is_admin": True, "p_5": "x", "__proto__": {"a": 1}}
    assert world.post("/sync/clients_contacts", body).json == success(1000)
    fields = fields_of(world)
    assert fields["name"] == "<b>Иван</b><script>1</script>"
    assert fields.keys() == {"id_1c", "amo_id", "link", "name", "responsible_user_id", "email", "phone"}


def test_control_characters_are_taken_out(world):
    world.post("/sync/clients_contacts", {**CONTACT, "name": " Иван\x00\u202e\r\nВыдуманный\u200b "})
    assert fields_of(world)["name"] == "Иван Выдуманный"
