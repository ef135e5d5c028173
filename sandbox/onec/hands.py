"""A person in 1C: creates and edits Interests and the people they name, and marks for deletion.

Names are those of the form, or those of the shape in which sources show an Interest: `Тема` or `name`. A person is
`{"name", "phones", "emails", "others": [[Тип, text]]}` under `КонтактноеЛицо`, `ПотенциальныйКлиент` or `Партнер`, or
the reference of one that exists, or null for nobody; `phones` and `emails` beside them are the contact person's.
"""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.onec.base import OneC
from sandbox.onec.interests import Values, contact_rows
from sandbox.onec.moments import typed, zone_of
from sandbox.onec.reference import (
    COMMUNICATION_ID,
    COMMUNICATION_TYPE,
    CONTACT_DATA,
    CONTACT_PERSONS,
    EMAIL,
    EMPTY_REF,
    INTERESTS,
    MODIFIED,
    PEOPLE,
    PHONE,
    POTENTIAL_CLIENTS,
    STAFF,
    STAGE_CHANGED,
    STAGES,
    guid_of,
)
from sandbox.onec.schema import BLANK
from sandbox.onec.store import STAGE, Store

ENGLISH = {
    "id": "Ref_Key",
    "name": "Тема",
    "created_at": "Дата",
    "stage": "Состояние",
    "stage_changed_at": STAGE_CHANGED,
    "modified_at": MODIFIED,
    "revenue": "ОжидаемаяВыручка",
    "comment": "Описание",
    "communication_id": COMMUNICATION_ID,
    "communication_type": COMMUNICATION_TYPE,
    "is_deleted": "DeletionMark",
    "history": "История",
    "contact_person": "КонтактноеЛицо",
    "potential_client": "ПотенциальныйКлиент",
    "partner": "Партнер",
    "phones": "Телефоны",
    "emails": "Почта",
}
_ENGLISH_OF_PERSON = {"name": "Наименование", "phones": "Телефоны", "emails": "Почта", "others": "Прочее"}
_TEXTS = ("Тема", "Описание", COMMUNICATION_ID, COMMUNICATION_TYPE)
_DATES = {"Дата": "Date", MODIFIED: MODIFIED, STAGE_CHANGED: STAGE_CHANGED}
_KNOWN = {*ENGLISH.values(), "ДатаСледующегоДействия", "Автор", "Ответственный"}


class Hands:
    """Edits Interests of one base; raises KeyError for an unknown one, ValueError for what no form takes."""

    def __init__(self, base: OneC) -> None:
        self._base = base

    def create(self, fields: dict[str, Any]) -> Values:
        """`История` may hold earlier stages as pairs of stage and moment. The answer is as a source shows it."""
        return self.create_many([fields])[0]

    def create_many(self, given: Sequence[dict[str, Any]]) -> list[Values]:
        with self._base.commit("person") as store:
            refs = [self._create(store, _renamed(fields)) for fields in given]
            store.settle()
            return [store.states[ref][-1] for ref in refs]

    def edit(self, ref: str, fields: dict[str, Any]) -> Values:
        """What is not given stays; an edit that changes nothing is a write all the same."""
        with self._base.commit("person") as store:
            interest = store.tables[INTERESTS][ref]
            values = _values(store, _renamed(fields))
            self._put_people(store, interest | values, _renamed(fields), values)
            store.save(INTERESTS, interest | values, given=values)
            store.settle()
            return store.states[ref][-1]

    def delete(self, ref: str) -> Values:
        return self.edit(ref, {"DeletionMark": True})

    def items(self, refs: Sequence[str] | str, *, history: bool) -> list[Values]:
        """What an outbox holds of these Interests, or of "all": their states now, or the last one in each stage."""
        with self._base.commit("person") as store:
            chosen = list(store.states) if refs == "all" else [guid_of(ref) for ref in refs]
            return [state for ref in chosen for state in store.states[ref][0 if history else -1 :]]

    def _create(self, store: Store, fields: dict[str, Any]) -> str:
        ref = guid_of(fields["Ref_Key"]) if "Ref_Key" in fields else store.new_ref()
        if store.find(ref) is not None:
            raise ValueError(f"{ref} is taken")
        first = {"Date": store.now(), STAGE: STAGES["Новый"], "Автор_Key": STAFF["Сергеев Андрей"]}
        values = _values(store, fields)
        interest = BLANK[INTERESTS] | first | values | {"Ref_Key": ref}
        interest["Number"] = store.new_number(interest["Date"])
        given = set(values)
        history = [(_stage(stage), typed(moment, _zone(store))) for stage, moment in fields.get("История", ())]
        self._put_people(store, interest, fields, values)
        for stage, at in history:
            past = {STAGE: stage, STAGE_CHANGED: at, MODIFIED: at}
            store.save(INTERESTS, interest | values | past, given={*given, *past})
            store.settle()
        store.save(INTERESTS, interest | values, given=given)
        return ref

    def _put_people(self, store: Store, interest: Values, fields: dict[str, Any], values: Values) -> None:
        """Written into the person that the Interest names, or into a new one, which `values` then name."""
        shorthand = {name: fields[name] for name in ("Телефоны", "Почта") if name in fields}
        for slot in PEOPLE:
            person = fields.get(slot, {})
            if slot == PEOPLE[0] and shorthand:
                person = {**(person or {}), **shorthand}
            if isinstance(person, str):
                values[f"{slot}_Key"] = guid_of(person)
            elif person is None:
                values[f"{slot}_Key"] = EMPTY_REF
            elif person or (slot in fields and interest[f"{slot}_Key"] == EMPTY_REF):
                values[f"{slot}_Key"] = _put_person(store, slot, interest[f"{slot}_Key"], person)


def _renamed(fields: dict[str, Any]) -> dict[str, Any]:
    renamed = {ENGLISH.get(name, name): value for name, value in fields.items()}
    if unknown := renamed.keys() - _KNOWN:
        raise ValueError(f"an Interest has no {', '.join(sorted(unknown))}; there are {', '.join(sorted(_KNOWN))}")
    return renamed


def _values(store: Store, fields: dict[str, Any]) -> Values:
    """Properties of the document from the fields of its form, people apart."""
    values: Values = {name: str(fields[name] or "") for name in _TEXTS if name in fields}
    values |= {into: typed(fields[name], _zone(store)) for name, into in _DATES.items() if name in fields}
    values |= {
        f"{name}_Key": guid_of(fields[name] or EMPTY_REF) for name in ("Автор", "Ответственный") if name in fields
    }
    if "ДатаСледующегоДействия" in fields:
        values["ДатаСледующегоДействия"] = typed(fields["ДатаСледующегоДействия"], _zone(store))
    if "Состояние" in fields:
        values[STAGE] = _stage(fields["Состояние"])
    if "ОжидаемаяВыручка" in fields:
        values["ОжидаемаяВыручка"] = _amount(fields["ОжидаемаяВыручка"])
    if "DeletionMark" in fields:
        values["DeletionMark"] = bool(fields["DeletionMark"])
    return values


def _put_person(store: Store, slot: str, ref: str, given: dict[str, Any]) -> str:
    person = {_ENGLISH_OF_PERSON.get(name, name): value for name, value in given.items()}
    if unknown := person.keys() - set(_ENGLISH_OF_PERSON.values()):
        raise ValueError(f"a person has no {', '.join(sorted(unknown))}")
    set_name = {PEOPLE[0]: CONTACT_PERSONS, PEOPLE[1]: POTENTIAL_CLIENTS}.get(slot, store.switches.partner_set)
    if (held := store.find(ref)) is None:
        held = BLANK[set_name] | {"Ref_Key": store.new_ref()}
    else:
        set_name = next(name for name, table in store.tables.items() if ref in table)
    described = {"Description": str(person["Наименование"] or "")} if "Наименование" in person else {}
    rows = contact_rows(held["Ref_Key"], _contacts(person, held[CONTACT_DATA]))
    return str(store.save(set_name, held | described | {CONTACT_DATA: rows})["Ref_Key"])


def _contacts(person: dict[str, Any], held: list[Values]) -> list[tuple[str, str]]:
    """Phones, e-mails and the rest; those not given stay."""
    kept = [(row["Тип"], row["Представление"]) for row in held]
    phones = [(PHONE, str(text)) for text in person.get("Телефоны") or ()]
    emails = [(EMAIL, str(text)) for text in person.get("Почта") or ()]
    return [
        *(phones if "Телефоны" in person else [row for row in kept if row[0] == PHONE]),
        *(emails if "Почта" in person else [row for row in kept if row[0] == EMAIL]),
        *(person.get("Прочее") or [row for row in kept if row[0] not in (PHONE, EMAIL)]),
    ]


def _stage(given: str | None) -> str:
    """By name or by reference, which need not exist; nothing is no stage."""
    if not given:
        return EMPTY_REF
    if given in STAGES:
        return STAGES[given]
    try:
        return guid_of(given)
    except ValueError as error:
        raise ValueError(f"no such stage: {given}; there are {', '.join(STAGES)}") from error


def _amount(given: Any) -> int | float:
    try:
        amount = Decimal(str(given or 0))
    except InvalidOperation as error:
        raise ValueError(f"not an amount: {given}") from error
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def _zone(store: Store) -> ZoneInfo:
    return zone_of(store.switches.time_zone)
