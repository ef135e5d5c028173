"""Sets and their properties (facts/onec.md §A3, §B), and which of them a base publishes as its switches stand."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from sandbox.onec.reference import (
    ADDITIONAL,
    COMMUNICATION_ID,
    COMMUNICATION_TYPE,
    CONTACT_DATA,
    CONTACT_PERSONS,
    COUNTERPARTIES,
    EMPTY_DATE,
    EMPTY_REF,
    INTERESTS,
    MODIFIED,
    PARTNERS,
    POTENTIAL_CLIENTS,
    STAGE_CHANGED,
    STATES,
    USERS,
)
from sandbox.onec.switches import Switches

Type = Literal["string", "guid", "datetime", "bool", "int16", "int64", "double", "composite", "part"]

EMPTY: dict[Type, Any] = {
    "string": "",
    "guid": EMPTY_REF,
    "datetime": EMPTY_DATE,
    "bool": False,
    "int16": 0,
    "int64": "0",
    "double": 0,
    "composite": "",
    "part": [],
}


@dataclass(frozen=True, slots=True)
class Field:
    """A property; `length` of a string, 0 for any."""

    name: str
    type: Type = "string"
    length: int = 0

    @property
    def link(self) -> str:
        """The navigation property beside a reference, else nothing."""
        return self.name.removesuffix("_Key") if self.type == "guid" and self.name != "Ref_Key" else ""


def _fields(type_: Type, *names: str) -> tuple[Field, ...]:
    return tuple(Field(name, type_) for name in names)


_OBJECT = (Field("Ref_Key", "guid"), Field("DataVersion"), Field("DeletionMark", "bool"))
_CATALOG = (*_OBJECT, Field("Code", length=9), Field("Description", length=150))
_PREDEFINED = (Field("Predefined", "bool"), Field("PredefinedDataName"))
_WITH_CONTACTS = (*_CATALOG, *_PREDEFINED, Field(CONTACT_DATA, "part"))

SETS: dict[str, tuple[Field, ...]] = {
    INTERESTS: (
        *_OBJECT,
        Field("Number", length=11),
        Field("Date", "datetime"),
        Field("Posted", "bool"),
        Field("Тема", length=250),
        Field("Описание"),
        *_fields("guid", "СостояниеИнтереса_Key", "КонтактноеЛицо_Key", "ПотенциальныйКлиент_Key", "Партнер_Key"),
        *_fields("guid", "Автор_Key", "Ответственный_Key", "Организация_Key"),
        Field("ОжидаемаяВыручка", "double"),
        Field("ВероятностьСделки", "int16"),
        Field("ДатаСледующегоДействия", "datetime"),
        Field("ДокументОснование", "composite"),
        Field("ДокументОснование_Type"),
        Field(COMMUNICATION_ID, length=50),
        Field(COMMUNICATION_TYPE, length=50),
        Field(MODIFIED, "datetime"),
        Field(STAGE_CHANGED, "datetime"),
        Field(ADDITIONAL, "part"),
    ),
    STATES: (*_CATALOG, *_PREDEFINED),
    POTENTIAL_CLIENTS: _WITH_CONTACTS,
    CONTACT_PERSONS: (*_WITH_CONTACTS, Field("Owner_Key", "guid")),
    PARTNERS: (*_WITH_CONTACTS, Field("Parent_Key", "guid"), Field("IsFolder", "bool")),
    COUNTERPARTIES: (*_WITH_CONTACTS, Field("Parent_Key", "guid"), Field("IsFolder", "bool"), Field("ИНН", length=12)),
    USERS: (*_CATALOG, *_PREDEFINED),
}
PARTS: dict[str, tuple[Field, ...]] = {
    CONTACT_DATA: (
        Field("Ref_Key", "guid"),
        Field("LineNumber", "int64"),
        Field("Тип"),
        Field("Вид_Key", "guid"),
        Field("Представление", length=500),
        Field("ЗначенияПолей"),
        Field("Значение"),
        Field("АдресЭП", length=100),
        Field("НомерТелефона", length=20),
        Field("НомерТелефонаБезКодов", length=20),
    ),
    ADDITIONAL: (
        Field("Ref_Key", "guid"),
        Field("LineNumber", "int64"),
        Field("Свойство_Key", "guid"),
        Field("Значение", "composite"),
        Field("Значение_Type"),
        Field("ТекстоваяСтрока"),
    ),
}
BLANK = {name: {field.name: EMPTY[field.type] for field in fields} for name, fields in SETS.items()}
BLANK[INTERESTS]["ДокументОснование_Type"] = "StandardODATA.Undefined"


@dataclass(frozen=True, slots=True)
class Shape:
    """A published set. A tabular part as a set of its own has the `part` of an `owner`; an object owns itself."""

    name: str
    owner: str
    fields: dict[str, Field]
    part: str = ""

    @property
    def key(self) -> str:
        """The property with the reference of the object that a row is, or belongs to."""
        return next(iter(self.fields))


@lru_cache(maxsize=16)
def published(switches: Switches) -> dict[str, Shape]:
    """Every published set by name."""
    unseen = _unseen(switches)
    shapes = {}
    for owner, fields in SETS.items():
        seen = _by_name(field for field in fields if field.name not in unseen)
        shapes[owner] = Shape(owner, owner, seen)
        for part in (field.name for field in seen.values() if field.type == "part"):
            shapes[f"{owner}_{part}"] = Shape(f"{owner}_{part}", owner, _rows_of(part, switches), part)
    return {name: shape for name, shape in shapes.items() if not {name, shape.owner} & set(switches.unpublished)}


def _unseen(switches: Switches) -> set[str]:
    unseen = set()
    if switches.communication != "attributes":
        unseen |= {COMMUNICATION_ID, COMMUNICATION_TYPE}
    if switches.communication != "additional":
        unseen.add(ADDITIONAL)
    if not switches.change_dates:
        unseen |= {MODIFIED, STAGE_CHANGED}
    return unseen


def _rows_of(part: str, switches: Switches) -> dict[str, Field]:
    if part == CONTACT_DATA:
        return _by_name((Field(switches.contact_key, "guid"), *PARTS[part][1:]))
    return _by_name(PARTS[part])


def _by_name(fields: Iterable[Field]) -> dict[str, Field]:
    return {field.name: field for field in fields}
