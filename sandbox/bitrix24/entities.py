"""Contacts, companies and deals: what a new one holds, what follows from what (facts/bitrix24.md §6, §7)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.bitrix24.fields import Field
from sandbox.bitrix24.schemas import COMPANY, CONTACT, DEAL
from sandbox.bitrix24.stages import semantic_of, staged
from sandbox.bitrix24.switches import Switches
from sandbox.bitrix24.table import Row
from sandbox.bitrix24.values import to_int

Derive = Callable[[Row, Switches], None]


@dataclass(frozen=True, slots=True)
class Entity:
    """`derive` recomputes what follows from other fields; `name_field` is filled in when an item has no name."""

    name: str
    type_id: int
    schema: dict[str, Field]
    defaults: dict[str, Any]
    derive: Derive
    name_field: str
    label: str


def _derive_communication(row: Row, _switches: Switches) -> None:
    row.put("HAS_PHONE", "Y" if row.values.get("PHONE") else "N")
    row.put("HAS_EMAIL", "Y" if row.values.get("EMAIL") else "N")
    row.put("HAS_IMOL", "N")


def _derive_deal(row: Row, switches: Switches) -> None:
    category = str(to_int(row.values.get("CATEGORY_ID")))
    stage = staged(row.values.get("STAGE_ID", "NEW"), category)
    semantic = semantic_of(stage)
    row.put("CATEGORY_ID", category)
    row.put("STAGE_ID", stage)
    row.put("STAGE_SEMANTIC_ID", semantic)
    row.put("IS_NEW", "Y" if stage.rpartition(":")[2] == "NEW" else "N")
    if switches.closed_derived:
        row.put("CLOSED", "N" if semantic == "P" else "Y")


CONTACTS = Entity(
    name="contact",
    type_id=3,
    schema=CONTACT,
    defaults={"OPENED": "Y", "EXPORT": "Y", "TYPE_ID": "CLIENT", "SOURCE_ID": "CALL"},
    derive=_derive_communication,
    name_field="LAST_NAME",
    label="Контакт",
)
COMPANIES = Entity(
    name="company",
    type_id=4,
    schema=COMPANY,
    defaults={
        "OPENED": "Y",
        "COMPANY_TYPE": "CUSTOMER",
        "INDUSTRY": "IT",
        "EMPLOYEES": "EMPLOYEES_1",
        "CURRENCY_ID": "RUB",
        "IS_MY_COMPANY": "N",
    },
    derive=_derive_communication,
    name_field="TITLE",
    label="Компания",
)
DEALS = Entity(
    name="deal",
    type_id=2,
    schema=DEAL,
    defaults={
        "STAGE_ID": "NEW",
        "TYPE_ID": "SALE",
        "CURRENCY_ID": "RUB",
        "OPENED": "Y",
        "CATEGORY_ID": "0",
        "IS_MANUAL_OPPORTUNITY": "N",
        "IS_RECURRING": "N",
    },
    derive=_derive_deal,
    name_field="TITLE",
    label="Сделка",
)
ENTITIES = {"contacts": CONTACTS, "companies": COMPANIES, "deals": DEALS}
