"""What our service asks of the handlers (briefs/001 §1, facts/onec.md §D1), checked; ids may be digits in text."""

import re
from dataclasses import dataclass, field
from typing import Any

from sandbox.onec_handlers.reference import CORR_ENTITIES, INDIVIDUAL, KINDS, LEGAL, Values
from sandbox.onec_handlers.refusal import bad_request
from sandbox.onec_handlers.texts import amount

_CUSTOM = re.compile(r"p_\d+")
_OWN = {INDIVIDUAL: ("phone", "email"), LEGAL: ("inn", "phone", "email")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A contact or company of amoCRM: `values` are the columns of a counterparty that it gives, `fields` its p_***."""

    kind: str
    amo_id: int
    id_1c: str
    values: Values
    fields: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """A lead of amoCRM, with the parties that it names by their columns in an order."""

    amo_id: int
    id_1c: str
    values: Values
    fields: Values
    parties: dict[str, Party] = field(default_factory=dict)


def party_of(body: Values) -> Party:
    """The one party of `new_lead`: a contact stands under `company`, too, and is told from one by having no INN."""
    clients = _object(body, "clients")
    slots = [slot for slot in KINDS if clients.get(slot)]
    if len(slots) != 1:
        raise bad_request("В clients должен быть один контрагент")
    given = _object(clients, slots[0])
    return _party(given, LEGAL if "inn" in given else INDIVIDUAL)


def deal_of(body: Values) -> Deal:
    """Whom an order does not name, it keeps."""
    clients = body.get("clients") or {}
    if not isinstance(clients, dict):
        raise bad_request("Неверный тип: clients")
    parties = {slot: _party(_object(clients, slot), kind) for slot, kind in KINDS.items() if clients.get(slot)}
    values = _named(body)
    if body.get("price") not in (None, ""):
        try:
            values["budget"] = amount(body["price"])
        except ValueError as error:
            raise bad_request("Неверный тип: price") from error
    return Deal(
        amo_id=integer(body, "id"),
        id_1c=_text(body, "id_1c").lower(),
        values=values,
        fields=_custom(body),
        parties={f"{slot}_id_1c": party for slot, party in parties.items()},
    )


def table_of(body: Values) -> list[Values]:
    """Rows of the transformation table: the brief shows one, a list of them is taken as well."""
    given = body.get("table")
    rows = given if isinstance(given, list) else [_object(body, "table")]
    user_id = integer(body, "user_id") if body.get("user_id") is not None else None
    return [_table_row(row, user_id) for row in rows]


def integer(given: Values, name: str) -> int:
    value = given.get(name)
    if value is None or value == "":
        raise _missing(name)
    if isinstance(value, bool) or not str(value).isdecimal():
        raise bad_request(f"Неверный тип: {name}")
    return int(value)


def text(given: Values, name: str) -> str:
    value = _text(given, name)
    if not value:
        raise _missing(name)
    return value


def _party(given: Values, kind: str) -> Party:
    values = _named(given) | {name: _text(given, name) or None for name in _OWN[kind] if name in given}
    if kind == LEGAL:
        values["inn"] = text(given, "inn")
    id_1c = _text(given, "id_1c").lower()
    return Party(kind=kind, amo_id=integer(given, "id"), id_1c=id_1c, values=values, fields=_custom(given))


def _table_row(row: Any, user_id: int | None) -> Values:
    if not isinstance(row, dict):
        raise bad_request("Неверный тип: table")
    if row.get("entity_name") not in CORR_ENTITIES:
        raise bad_request("Неизвестная сущность: entity_name")
    named = {"entity_name": row["entity_name"], "amo_id": integer(row, "amo_id"), "amo_name": text(row, "amo_name")}
    return named | {"user_id": user_id}


def _named(given: Values) -> Values:
    return {"name": text(given, "name"), "responsible_user_id": integer(given, "responsible_user_id")}


def _custom(given: Values) -> Values:
    return {name: value for name, value in given.items() if _CUSTOM.fullmatch(name)}


def _text(given: Values, name: str) -> str:
    value = given.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise bad_request(f"Неверный тип: {name}")
    return str(value).strip()


def _object(given: Values, name: str) -> Values:
    value = given.get(name)
    if value is None:
        raise _missing(name)
    if not isinstance(value, dict):
        raise bad_request(f"Неверный тип: {name}")
    return value


def _missing(name: str) -> Exception:
    return bad_request(f"Не заполнено поле: {name}")
