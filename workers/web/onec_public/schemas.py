"""What each request of 1C may hold (brief 001 §2); loaded, it is the row that the flows read.

Keys beyond these are ignored. `rules` are what the published OpenAPI says of several keys together.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from apiflask import Schema
from marshmallow import EXCLUDE, INCLUDE, ValidationError, post_load, validates_schema

from workers.web.onec_public.fields import (
    Account,
    AccountDigits,
    Address,
    AmoId,
    Amount,
    Anything,
    OneCId,
    Password,
    Text,
    WebAddress,
    Word,
)

EVENTS = ("cancel_order", "payment", "part_payment", "shipment", "part_shipment")
ORDER_FIELDS = ("order_number", "budget", "company_id", "contact_id")
FIELD = re.compile(r"(p|inn)_[0-9]{1,15}")
MOST_FIELDS = 500

NOTHING = {"enum": [None, ""]}
NO_ID = {"anyOf": [NOTHING, {"enum": [0]}, {"type": "string", "pattern": "^[0 \u00a0\u202f]*$"}]}
NAMED = {
    "anyOf": [
        {"required": ["id"], "properties": {"id": {"not": NO_ID}}},
        {"required": ["id_1c"], "properties": {"id_1c": {"not": NOTHING}}},
    ]
}


class Request(Schema):
    """What every request begins with."""

    class Meta:
        unknown = EXCLUDE

    rules: ClassVar[Mapping[str, Any]] = {}

    key = Account("id of the amoCRM account", required=True)
    id_base = OneCId("id of the 1C base", required=True)


class Ping(Schema):
    """The question of `check_active`."""

    class Meta:
        unknown = EXCLUDE

    key = AccountDigits("id of the amoCRM account", required=True)


class Binding(Request):
    """Brief 2.2: where the base is, and who we are there."""

    web_address = WebAddress("address of the handlers", required=True)
    url_address = Address("address of the 1C server, for links", required=True)
    param1 = Password("login in 1C", required=True)
    param2 = Password("password in 1C", required=True)


class Entity(Request):
    """Whatever 1C and amoCRM each have an id of; at least one of them is named (D3 #8)."""

    rules: ClassVar[Mapping[str, Any]] = NAMED

    id = AmoId("its id in amoCRM", attribute="amo_id")
    id_1c = OneCId("its id in 1C")

    @validates_schema
    def names_one(self, data: Mapping[str, Any], **_: Any) -> None:
        if data.get("amo_id") is None and data.get("id_1c") is None:
            raise ValidationError("is required, unless the other id is there", "id_1c")


class Counterparty(Entity):
    """What contacts and companies have in common."""

    link = Address("where a person finds it in 1C")
    name = Text("its name")
    responsible_user_id = AmoId("whose it is in amoCRM")


class Contact(Counterparty):
    """Brief 2.3: a person, who is a contact in amoCRM."""

    email = Text("e-mail address")
    phone = Text("phone number")


class Company(Counterparty):
    """Brief 2.4: a legal person, who is a company in amoCRM."""

    inn = Text("INN or UNP")


class Order(Entity):
    """Brief 2.5: an order, which is a lead in amoCRM. `id_1c` and `link` are the order's own (D3 #3)."""

    link = Address("where a person finds it in 1C")
    company_id = AmoId("its company in amoCRM")
    contact_id = AmoId("its contact in amoCRM")
    budget = Amount("its sum")
    order_number = Text("its number in 1C")
    responsible_user_id = AmoId("whose it is in amoCRM")


class CompanyOrOrder(Company, Order):
    """What comes on the path of companies: the brief prints it for orders, too (D3 #1)."""

    rules: ClassVar[Mapping[str, Any]] = {
        "allOf": [
            NAMED,
            {
                "anyOf": [
                    {"properties": {"inn": NOTHING}},
                    {"properties": dict.fromkeys(ORDER_FIELDS, NOTHING)},
                ]
            },
        ]
    }

    @validates_schema
    def is_one_of_both(self, data: Mapping[str, Any], **_: Any) -> None:
        if is_order(data) and data.get("inn") is not None:
            raise ValidationError("belongs to a company, and the request has fields of an order", "inn")


def is_order(row: Mapping[str, Any]) -> bool:
    """Whether a loaded CompanyOrOrder is an order."""
    return any(row.get(name) is not None for name in ORDER_FIELDS)


class Event(Entity):
    """Brief 2.6: what happened to an order."""

    event_name = Word("what happened", *EVENTS)
    sum = Amount("the sum")
    debt_sum = Amount("what is still to be paid")
    document_name = Text("the document in 1C")
    event_id = OneCId("what tells this event from one that is the same in all else")


class FieldMap(Request):
    """Brief 2.7: which fields of amoCRM the base wants: `p_<id>`, and of companies `inn_<id>`."""

    class Meta:
        unknown = INCLUDE

    @post_load
    def keep_fields(self, data: Mapping[str, Any], **_: Any) -> Mapping[str, Any]:
        wanted = dict(_wanted(data))
        if len(wanted) > MOST_FIELDS:
            raise ValidationError(f"more than {MOST_FIELDS} fields")
        return {"key": data["key"], "id_base": data["id_base"], "fields": wanted}


def _wanted(data: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    for name, value in data.items():
        if FIELD.fullmatch(name):
            text = value if isinstance(value, str) else None
            yield name, text and text[:255]


class Package(Request):
    """Brief 2.10: handlers for 1C, JSON of their own."""

    handlers = Anything("the handlers", required=True)


def problem_of(error: ValidationError) -> str:
    """All that is wrong with a request, by key; no values."""
    return "; ".join(_told(error.messages))[:1000]


def _told(messages: Any, path: str = "") -> Iterator[str]:
    if isinstance(messages, Mapping):
        for key, nested in sorted(messages.items(), key=str):
            yield from _told(nested, path if key == "_schema" else f"{path}.{key}".strip("."))
    else:
        yield f"{path} {' '.join(map(str, messages))}".strip()
