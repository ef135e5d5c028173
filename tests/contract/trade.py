"""amoCRM and the handlers of 1C under contract: how they are reached, and their entities."""

import hashlib
import re
from datetime import UTC, datetime

from connectors.amocrm_config import AmoCrmConfig
from connectors.base import FieldNeed, Secret
from connectors.errors import Rejected, Transient
from connectors.onec_handlers_config import OneCHandlersConfig
from connectors.onec_handlers_source import FIELDS
from tests.contract.subject import EMAIL, FAMILY, OWNER, PATIENT, PHONE, Subject, System

AMO_STATUS = "PAROM_STATUS"
AMO_STATUS_NEED = FieldNeed(AMO_STATUS, "Статус", ("text", "textarea"), writable=True)
ID_1C = "PAROM_ID_1C"
FIRST_CONTACT, FIRST_LEAD = 5_000_001, 4_000_001
"""The first ids of a fresh account."""
HUMAN = 8_000_003


def amocrm_config(at, **changes):
    given = {
        "base_url": at["amocrm"],
        "token": Secret(at["amocrm_token"]),
        "inn_field": "INN",
        "page_rows": 60,
        "requests_per_second": 10_000.0,
        "account_requests_per_second": 10_000.0,
    }
    return AmoCrmConfig(**given | PATIENT | changes)


def make_fields(sandbox):
    """What `parom check` makes."""
    codes = {ID_1C: "text", "PAROM_LINK_1C": "url", AMO_STATUS: "text"}
    fields = [{"code": code, "name": code, "type": kind} for code, kind in codes.items()]
    number = {"code": "PAROM_ORDER_NUMBER", "name": "Номер заказа", "type": "text"}
    sandbox("POST", "/amocrm/fields", contacts=fields, companies=fields, leads=[*fields, number])


def handlers_config(at, **changes):
    given = {
        "key": str(at["onec_handlers_key"]),
        "id_base": at["onec_handlers_id_base"],
        "token": Secret("invented-token-of-the-trade-base"),
        "web_address": at["onec_handlers"],
        "url_address": "https://onec.example/trade",
        "handlers_login": at["onec_handlers_login"],
        "handlers_password": Secret(at["onec_handlers_password"]),
    }
    return OneCHandlersConfig(**given | PATIENT | changes)


TRADE_REACHED = {
    "amocrm": System(
        config=amocrm_config, secret="amocrm_token", more=lambda vault: {"vault": vault}, ready=make_fields
    ),
    "onec_handlers": System(
        config=handlers_config,
        secret="onec_handlers_password",
        exhausted=Transient,
        complains=Rejected,
        address="web_address",
        more=lambda vault: {"vault": vault, "field_map": lambda _: ()},
    ),
}


# amoCRM.


def values_of(row, code):
    """The values of a custom field in a row of the store."""
    fields = row["custom_fields_values"] or ()
    return [value["value"] for field in fields if field["field_code"] == code for value in field["values"]]


def first_of(code):
    return lambda row: next(iter(values_of(row, code)), None)


def amocrm_form(fields):
    """Companies must have a name."""
    custom = {name: value for name, value in fields.items() if name.isupper()}
    return (
        {"name": "Без имени"}
        | {name: value for name, value in fields.items() if name not in custom}
        | {"fields": custom}
    )


def seconds(iso):
    return int(datetime.fromisoformat(iso).timestamp())


def shows_amocrm_row(row, stored):
    moments = [datetime.fromtimestamp(stored[name], UTC) for name in ("updated_at", "created_at")]
    told = [stored[name] for name in ("id", "name", "responsible_user_id")]
    shown = [row.fields[name] for name in ("id", "name", "responsible_user_id")]
    return [row.modified, row.created, *shown, row.fields["PHONE"]] == [*moments, *told, values_of(stored, "PHONE")]


OF_AMOCRM = {
    "key": "id",
    "text": "name",
    "form": amocrm_form,
    "times": lambda modified, created: {"updated_at": seconds(modified), "created_at": seconds(created)},
    "seeded": ("/amocrm/seed", {"contacts": 20, "companies": 5}),
    "note": AMO_STATUS,
    "noted": first_of(AMO_STATUS),
    "marks": {AMO_STATUS: "YN", "name": ("Анна", "Борис", "Вера")},
    "filters": ({"is_api_filter_enabled": True}, {"is_api_filter_enabled": False}),
    "mistyped": (("UF_CRM_MISTYPED",), {}),
    "shows": shows_amocrm_row,
    # Many were changed in one second, which is read apart; if people tear its pages, it is read anew.
    "torn": 60,
    "pages": 8,
    "own": first_of(ID_1C),
    "id": "id",
    "is_told_by_id": True,
}
ABSENT = ("amo_id", 99, "нет записи")
PERSON = {"id_1c": OWNER, "name": FAMILY, "phones": [PHONE], "emails": [EMAIL]}
ORDER = {"name": FAMILY, "price": 1500, "order_number": "15", "contact_id": FIRST_CONTACT}


def event_key(number):
    return f"{FIRST_LEAD}/{hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()}"


def key_in_note(note):
    found = re.search(r"\[parom:([0-9a-f]{40})\]", note["params"]["text"])
    return f"{note['entity_id']}/{found[1]}"


# The handlers of 1C.


def counterparty(kind):
    return lambda row: str(row["amo_id"]) if row["kind"] == kind else None


INDIVIDUAL = {"name": FAMILY, "responsible_user_id": HUMAN, "phone": PHONE, "email": EMAIL}
LEGAL = {"name": FAMILY, "responsible_user_id": HUMAN, "inn": "0070000016"}
OF_COUNTERPARTIES = {"kept": "counterparties", "id": "id_1c", "change": ("name", "Сидоров")}


def spoilt(text, number):
    """How to spoil an item that has a text and a sum (or id) of these names."""
    return {
        "nothing to know it by": lambda item: item | {"id": 0, "id_1c": ""},
        "a text for a number": lambda item: item | {"id": FAMILY},
        "a fraction for a number": lambda item: item | {"id": 1.5},
        "a flag for a number": lambda item: item | {"id": True},
        "an endless number": lambda item: item | {"id": 2**70},
        "a list for an id": lambda item: item | {"id_1c": [FAMILY]},
        "an endless id": lambda item: item | {"id_1c": FAMILY * 100},
        "an id of ours": lambda item: item | {"id_1c": "amo:7"},
        "an object for a text": lambda item: item | {text: {"first": FAMILY}},
        "a list for a text": lambda item: item | {text: [FAMILY]},
        "less than nothing": lambda item: item | {number: -1},
        "an object for a sum": lambda item: item | {number: {"sum": FAMILY}},
    }


def pushed(entity, item, malformed, need):
    return Subject(
        "onec_handlers",
        source=entity,
        needs=(FieldNeed(need, "Поле", ()),),
        fields=FIELDS[entity],
        item=item,
        malformed=malformed,
        is_only_pushed=True,
    )


SENT = {"id_1c": "5c0e0001-1f6a-11ee-8a2b-0050569a0c11"}
LINK = "e1cib/data/Справочник.Контрагенты?ref=8a2b0050569a0c1111ee1f6a5c0e0001"

TRADE_SUBJECTS = {
    "amo_contacts": Subject(
        "amocrm",
        source="contacts",
        target="contacts",
        needs=(AMO_STATUS_NEED, FieldNeed("PHONE", "Телефон", ())),
        fields=("PHONE", "EMAIL", AMO_STATUS),
        payload=lambda key: PERSON | {"id_1c": key},
        wrong=ABSENT,
        change=("name", "Сидоров"),
        **OF_AMOCRM,
    ),
    "amo_companies": Subject(
        "amocrm",
        source="companies",
        target="companies",
        needs=(AMO_STATUS_NEED, FieldNeed("INN", "ИНН", ("text",))),
        fields=("INN", AMO_STATUS),
        payload=lambda key: {"id_1c": key, "name": FAMILY, "inn": "0070000016"},
        wrong=ABSENT,
        change=("name", "Сидоров"),
        **OF_AMOCRM,
    ),
    "amo_leads": Subject(
        "amocrm",
        source="leads",
        target="leads",
        needs=(AMO_STATUS_NEED, FieldNeed("main_contact", "Контакт", ()), FieldNeed("company", "Компания", ())),
        fields=("main_contact", "company", AMO_STATUS),
        payload=lambda key: ORDER | {"id_1c": key},
        wrong=ABSENT,
        change=("price", 9000),
        prepare=lambda connector: connector.target("contacts").create(PERSON),
        **OF_AMOCRM,
    ),
    "amo_events": Subject(
        "amocrm",
        target="events",
        needs=(FieldNeed("7000001/142", "Успешно реализовано", ("status",)), FieldNeed("DOCUMENT", "Документ", ())),
        payload=lambda key: {"key": key, "lead_id": FIRST_LEAD, "note": f"Оплата: {FAMILY}, {PHONE}, {EMAIL}"},
        wrong=("fields", {"300014": "Бартер"}, "Способ оплаты"),
        prepare=lambda connector: connector.target("leads").create({"id_1c": OWNER, "name": FAMILY}),
        keyed=event_key,
        own=key_in_note,
        kept="notes",
        told="notes",
        is_told_by_id=True,
    ),
    "base_contacts": Subject(
        "onec_handlers",
        target="contacts",
        payload=lambda key: INDIVIDUAL | {"id": key},
        wrong=("name", "", "контакт"),
        own=counterparty("individual"),
        **OF_COUNTERPARTIES,
    ),
    "base_companies": Subject(
        "onec_handlers",
        target="companies",
        payload=lambda key: LEGAL | {"id": key},
        wrong=("name", "", "компанию"),
        own=counterparty("legal"),
        told="company",
        **OF_COUNTERPARTIES,
    ),
    "base_orders": Subject(
        "onec_handlers",
        target="orders",
        payload=lambda key: {
            "id": key,
            "name": FAMILY,
            "responsible_user_id": HUMAN,
            "price": 1500,
            "contact": INDIVIDUAL | {"id": OWNER},
            "company": LEGAL | {"id": OWNER},
        },
        wrong=("name", "", "заказ"),
        change=("name", "Сидоров"),
        own=lambda row: str(row["amo_id"]),
        id="id_1c",
    ),
    "pushed_contacts": pushed(
        "clients_contacts",
        SENT | {"id": 7, "link": LINK, "name": FAMILY, "responsible_user_id": HUMAN, "phone": PHONE, "email": EMAIL},
        spoilt("phone", "responsible_user_id"),
        "phone",
    ),
    "pushed_companies": pushed(
        "clients_companies",
        SENT | {"id": 7, "link": LINK, "name": FAMILY, "responsible_user_id": HUMAN, "inn": "0070000016"},
        spoilt("inn", "responsible_user_id"),
        "inn",
    ),
    "pushed_orders": pushed(
        "leads",
        SENT | {"id": 7, "link": LINK, "contact_id": FIRST_CONTACT, "budget": 1234.5, "order_number": "15"},
        spoilt("order_number", "budget"),
        "budget",
    ),
    "pushed_events": pushed(
        "events",
        SENT | {"id": 7, "event_name": "payment", "sum": "1 234,50", "debt_sum": 0, "document_name": FAMILY},
        spoilt("document_name", "sum")
        | {
            "an unknown event": lambda item: item | {"event_name": FAMILY},
            "no event": lambda item: {name: value for name, value in item.items() if name != "event_name"},
        },
        "sum",
    ),
}
