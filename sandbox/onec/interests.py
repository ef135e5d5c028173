"""An Interest in the shape that every source shows it in, with the phones and e-mails of the people it names.

The truth of the base: `stage_changed_at` and `modified_at` are given even where the base does not publish them. Empty
strings become null except `name`, `stage` and `created_at`, which is "" for the empty date. A revenue of 0 is "0".
"""

from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.onec.moments import with_offset
from sandbox.onec.reference import (
    ADDITIONAL,
    COMMUNICATION_ID,
    COMMUNICATION_TYPE,
    CONTACT_DATA,
    EMAIL,
    EMPTY_REF,
    KINDS,
    MODIFIED,
    PHONE,
    PROPERTIES,
    STAGE_CHANGED,
)

Values = dict[str, Any]


def state_of(interest: Values, people: Iterable[Values], zone: ZoneInfo) -> Values:
    """`people` in the order in which their contact data count."""
    rows = [row for person in people for row in person[CONTACT_DATA]]
    stage = interest["СостояниеИнтереса_Key"]
    return {
        "id": interest["Ref_Key"],
        "name": interest["Тема"],
        "created_at": with_offset(interest["Date"], zone),
        "stage": "" if stage == EMPTY_REF else stage,
        "stage_changed_at": with_offset(interest[STAGE_CHANGED], zone) or None,
        "modified_at": with_offset(interest[MODIFIED], zone) or None,
        "revenue": str(interest["ОжидаемаяВыручка"]),
        "comment": interest["Описание"] or None,
        "phones": [row["Представление"] for row in rows if row["Тип"] == PHONE],
        "emails": [row["АдресЭП"] for row in rows if row["Тип"] == EMAIL],
        "communication_id": interest[COMMUNICATION_ID] or None,
        "communication_type": interest[COMMUNICATION_TYPE] or None,
        "is_deleted": interest["DeletionMark"],
    }


def contact_rows(ref: str, given: Iterable[tuple[str, str]]) -> list[Values]:
    """Rows of КонтактнаяИнформация from pairs of Тип and what a person wrote."""
    return [_contact_row(ref, number, kind, text) for number, (kind, text) in enumerate(given, start=1)]


def _contact_row(ref: str, number: int, kind: str, text: str) -> Values:
    digits = "".join(filter(str.isdecimal, text)) if kind == PHONE else ""
    return {
        "Ref_Key": ref,
        "LineNumber": str(number),
        "Тип": kind,
        "Вид_Key": KINDS[kind],
        "Представление": text,
        "ЗначенияПолей": "",
        "Значение": "",
        "АдресЭП": text if kind == EMAIL else "",
        "НомерТелефона": digits[:20],
        "НомерТелефонаБезКодов": digits[-10:],
    }


def additional_rows(interest: Values) -> list[Values]:
    """The id and the type of a communication as rows of ДополнительныеРеквизиты; what is empty has no row."""
    filled = [(key, interest[name]) for name, key in PROPERTIES.items() if interest[name]]
    return [
        {
            "Ref_Key": interest["Ref_Key"],
            "LineNumber": str(number),
            "Свойство_Key": key,
            "Значение": text,
            "Значение_Type": "Edm.String",
            "ТекстоваяСтрока": "",
        }
        for number, (key, text) in enumerate(filled, start=1)
    ]


def with_communication(interest: Values, changed: Iterable[str]) -> Values:
    """The two ways of keeping the communication agree again, whichever of them was `changed`."""
    if ADDITIONAL not in changed:
        return interest | {ADDITIONAL: additional_rows(interest)}
    held = {row["Свойство_Key"]: row["Значение"] for row in interest[ADDITIONAL]}
    return interest | {name: held.get(key, "") for name, key in PROPERTIES.items()}
