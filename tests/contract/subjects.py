"""What is under contract: every system, how it is reached, and every entity with what of it is read or written.

A new entity joins by an entry in SUBJECTS, a new system by one in REACHED. amoCRM's and 1C's handlers' are in trade.py.
"""

import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from zoneinfo import ZoneInfo

import pytest

from connectors.base import FieldNeed, Secret
from connectors.bitrix24_config import Bitrix24Config
from connectors.comagic_config import CoMagicConfig
from connectors.errors import ConnectorError, LimitReached, ParentMissing, Rejected, Transient
from connectors.onec_odata_config import ContactNames, InterestNames, OneCConfig
from connectors.otmechalka_config import OtmechalkaConfig
from tests.contract.subject import (
    EMAIL,
    FAMILY,
    MANY,
    OWNER,
    PATIENT,
    PERSONAL,
    PHONE,
    STATUS,
    Subject,
    System,
)
from tests.contract.trade import TRADE_REACHED, TRADE_SUBJECTS

UNPACED = PATIENT | {"requests_per_second": 10_000.0, "burst": 10_000}
MOSCOW = ZoneInfo("Europe/Moscow")
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
STATUS_NEED = FieldNeed(STATUS, "Статус", ("string",), writable=True)
NOTE = "ДокументОснование"
"""A text of the sandbox's Interests that nothing else reads."""
CLIENT = {
    "last_name": FAMILY,
    "first_name": "Василий",
    "phone": PHONE,
    "courses": ["10985"],
    "branchoffices": ["2633"],
    "gender": "M",
}
TICKET = {
    "client_origin_id": OWNER,
    "ticket_type": "8 занятий групповые 60 мин",
    "price_initial": "9000.00",
    "discount": "300.00",
    "price_final": "8700.00",
    "selling_date": "2026-02-01",
    "selling_branchoffice": "2634",
    "employee": "Андрей Сергеев",
    "payment_method": "CASH",
}
CARD = {
    "name": FAMILY,
    "created_date_time": "2025-02-01T12:00:00+05:00",
    "phone_numbers": [PHONE],
    "emails": [EMAIL],
}
STAGE_ROW = {
    "name": FAMILY,
    "created_date_time": "2025-02-01T12:00:00+05:00",
    "modified_date_time": "2025-02-01T12:00:00+05:00",
    "modified_stage_date_time": "2025-02-01T12:00:00+05:00",
    "sales_funnel_ext_id": "123",
    "stage_ext_id": "NEW",
    "contact_ext_ids": [OWNER],
    "main_contact_ext_id": OWNER,
    "revenue": "50000.50",
}
ITEM = {
    "id": "0f8fad5b-d9cb-469f-a165-70867728950e",
    "name": FAMILY,
    "created_at": "2026-02-01T12:00:00",
    "stage": "5c0e0001-1f6a-11ee-8a2b-0050569a0c11",
    "phones": [PHONE],
}
MALFORMED = {
    "no id": lambda item: {name: value for name, value in item.items() if name != "id"},
    "an empty id": lambda item: item | {"id": ""},
    "a number for an id": lambda item: item | {"id": 7},
    "a way out for an id": lambda item: item | {"id": f"../{FAMILY}"},
    "an unknown field": lambda item: item | {"unicorn": FAMILY},
    "a text for a time": lambda item: item | {"created_at": FAMILY},
    "a number for a time": lambda item: item | {"created_at": 1_700_000_000},
    "an object for a text": lambda item: item | {"name": {"first": FAMILY}},
    "a text for a list": lambda item: item | {"phones": PHONE},
    "an object in a list": lambda item: item | {"phones": [{"number": PHONE}]},
    "a long list": lambda item: item | {"phones": [PHONE] * 101},
    "a long text": lambda item: item | {"name": FAMILY * 10_000},
    "a text for a flag": lambda item: item | {"is_deleted": FAMILY},
}


def onec_config(at, **changes):
    given = {
        "base_url": at["onec"],
        "login": at["onec_login"],
        "password": Secret(at["onec_password"]),
        "timezone": MOSCOW,
        "contacts": ContactNames(partner_set="Catalog_Партнеры_КонтактнаяИнформация"),
        "status_attribute": NOTE,
        "page_rows": 60,
        "days": 20_000,
        # Half a day away, or a window that happens to begin before it would be a scan.
        "scan_at": f"{datetime.now(MOSCOW) + timedelta(hours=12):%H:%M}",
    }
    return OneCConfig(**given | PATIENT | changes)


def comagic_config(at, **changes):
    given = {"base_url": at["comagic"], "token": Secret(at["comagic_token"]), "timezone": MOSCOW}
    return CoMagicConfig(**given | {"minute_limit": MANY, "day_limit": MANY} | PATIENT | changes)


REACHED = {
    "bitrix24": System(
        config=lambda at, **changes: Bitrix24Config(webhook_url=Secret(at["bitrix24"]), **UNPACED | changes),
        secret="bitrix24",
    ),
    "otmechalka": System(
        config=lambda at, **changes: OtmechalkaConfig(
            **{"base_url": at["otmechalka"], "token": Secret(at["otmechalka_token"])} | UNPACED | changes
        ),
        secret="otmechalka_token",
    ),
    # Licences that are all in use are as good a sign of trouble as a base that is down.
    "onec": System(config=onec_config, secret="onec_password", exhausted=Transient),
    "comagic": System(config=comagic_config, secret="comagic_token"),
    **TRADE_REACHED,
}


def shows_bitrix24_row(row, stored):
    return (row.modified, row.created, row.fields[STATUS]) == (
        datetime.fromisoformat(stored["DATE_MODIFY"]),
        datetime.fromisoformat(stored["DATE_CREATE"]),
        stored[STATUS],
    )


TOLD_BY_HAND = ("modified_at", "stage_changed_at")
"""What a base tells only where somebody had attributes made for it."""


def shows_interest(row, stored):
    told = {name: value for name, value in stored.items() if name not in TOLD_BY_HAND}
    return told == {name: row.fields[name] for name in told}


OF_BITRIX24 = {
    "marks": {"OPENED": "YN", "SOURCE_ID": ("CALL", "EMAIL", "WEB")},
    "filters": ({"unknown_filter_key": "ignored"}, {"unknown_filter_key": "error"}),
    "mistyped": (("UF_CRM_MISTYPED",), {}),
    "shows": shows_bitrix24_row,
}
SUBJECTS = {
    "contacts": Subject(
        "bitrix24",
        source="contacts",
        needs=(STATUS_NEED, FieldNeed("PHONE", "Телефон", ())),
        fields=("PHONE", STATUS),
        **OF_BITRIX24,
    ),
    "deals": Subject(
        "bitrix24",
        source="deals",
        needs=(STATUS_NEED, FieldNeed("PRODUCT_ROWS", "Товары", ()), FieldNeed("ASSIGNED_BY", "Ответственный", ())),
        fields=("PRODUCT_ROWS", "ASSIGNED_BY", STATUS),
        **OF_BITRIX24,
    ),
    "interests": Subject(
        "onec",
        source="interests",
        needs=(FieldNeed("phones", "Телефоны", ()), FieldNeed(NOTE, "Статус", ("string",), writable=True)),
        fields=("name", "phones", "emails"),
        key="id",
        text="comment",
        note=NOTE,
        noted=itemgetter(NOTE),
        table="Document_CRM_Интерес",
        table_key="Ref_Key",
        removal=("POST", "/delete"),
        nobody="99999999-0000-4000-8000-000000000000",
        marks={"name": "YN", "communication_type": ("call", "email", "chat")},
        filters=({"unknown_filter_field": "empty"}, {"unknown_filter_field": "error"}),
        mistyped=((), {"interest": InterestNames(comment="UF_CRM_MISTYPED")}),
        shows=shows_interest,
        overlap=2,
        item=ITEM,
        malformed=MALFORMED,
    ),
    "clients": Subject(
        "otmechalka",
        target="clients",
        payload=lambda key: CLIENT | {"origin_id": key},
        wrong=("phone", "12345", "телефон"),
        change=("last_name", "Сидоров"),
    ),
    "tickets": Subject(
        "otmechalka",
        target="tickets",
        payload=lambda key: TICKET | {"origin_id": key},
        wrong=("ticket_type", "10 занятий", "тип абонемента"),
        prepare=lambda connector: connector.target("clients").create(CLIENT | {"origin_id": OWNER}),
    ),
    "cards": Subject(
        "comagic",
        target="contacts",
        payload=lambda key: CARD | {"ext_id": key},
        wrong=("phone_numbers", ["12345"], "телефон"),
        change=("name", "Сидоров"),
    ),
    "stages": Subject(
        "comagic",
        target="deals",
        needs=(FieldNeed("NEW", "Этап воронки", ("stage of 123",)),),
        payload=lambda key: STAGE_ROW | {"ext_id": key},
        wrong=("stage_ext_id", "NONESUCH", "этап"),
        change=("name", "Сидоров"),
        prepare=lambda connector: connector.target("contacts").create(CARD | {"ext_id": OWNER}),
    ),
    **TRADE_SUBJECTS,
}


def each(*names):
    return pytest.mark.parametrize("subject", [SUBJECTS[name] for name in names], ids=names)


every_subject = each(*SUBJECTS)
every_source = each(*(name for name, subject in SUBJECTS.items() if subject.source and not subject.is_only_pushed))
every_only_pushed = each(*(name for name, subject in SUBJECTS.items() if subject.is_only_pushed))
every_target = each(*(name for name, subject in SUBJECTS.items() if subject.target))
every_system = pytest.mark.parametrize("system", REACHED)


def failure(sandbox, system, call):
    """What `call` raises; with no secret and nobody's data in it, nor in anything that hangs on it."""
    with pytest.raises(ConnectorError) as caught:
        call()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__context__)
    secret = sandbox.addresses[REACHED[system].secret].rstrip("/").rpartition("/")[2]
    assert [text for text in (secret, *PERSONAL) if text in shown] == []
    return caught.value


def is_wrong(error):
    """Whether it is a matter of this record alone, which waits for nothing."""
    return isinstance(error, Rejected) and not isinstance(error, LimitReached | ParentMissing)


def outcome(call):
    try:
        return call()
    except ConnectorError as error:
        return Rejected if is_wrong(error) else type(error)


def together(count, act):
    """What `act` of each number came to, by as many threads at once."""
    start = threading.Barrier(count)

    def run(number):
        start.wait()
        return outcome(lambda: act(number))

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))
