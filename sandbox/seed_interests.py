"""Invented Interests in every shape that a base of years holds (facts/onec.md §A3, §B), deterministic like contacts."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sandbox import people
from sandbox.seed import EARLIEST, Seeded, moments, shuffled

# Of every hundred Interests; the order within a hundred is shuffled.
SHARES = {
    "valid": 80,
    "no_contact": 3,
    "empty_references": 3,
    "empty_dates": 2,
    "deleted": 3,
    "several_phones": 3,
    "only_email": 2,
    "client_only": 2,
    "partner_only": 2,
}
# The ways of an Interest through its stages.
WAYS = (
    ("Новый",),
    ("Новый",),
    ("Новый", "Квалифицирован"),
    ("Новый", "Проигран"),
    ("Новый", "Квалифицирован", "Предложение"),
    ("Новый", "Квалифицирован", "Предложение", "Договор", "Выигран"),
    ("Новый", "Квалифицирован", "Новый", "Квалифицирован", "Проигран"),
)
COMMUNICATIONS = ("call", "call", "offline_message", "chat", "goal", "email")
TOPICS = ("Заявка с сайта", "Звонок", "Абонемент", "Турнир выходного дня", "Пробное занятие", "«Белая ладья» & Ко", "")
COMMENTS = ("", "", "Просили перезвонить", "Скидка 10 % + подарок\nвторая строка")
REVENUES = (0, 0, 9000, 12_600.5, 24_000)
FIRST_COMMUNICATION = 810_000_000
SHARE_OF_EMAILS = 0.5
PHONES: tuple[Callable[[str, str], str], ...] = (
    lambda a, b: f"+7 999 000-{a}-{b}",
    lambda a, b: f"8 (999) 000-{a}-{b}",
    lambda a, b: f"7999000{a}{b}",
    lambda a, b: f"999000{a}{b}",
    lambda a, b: f"+7 (999) 000{a}{b} доб. 12",
)

Fields = dict[str, Any]


def interests(count: int, *, seed: int, now: datetime) -> list[Seeded]:
    """`count` Interests as a person would have entered them, each with the stages it came through."""
    dice = random.Random(f"interests {seed}")
    kinds = shuffled(SHARES, count, dice)
    seeded = []
    for number, (kind, modified) in enumerate(zip(kinds, moments(count, dice, now), strict=True)):
        fields = _interest(number, modified, dice)
        SPOIL[kind](fields, number, dice)
        seeded.append(Seeded(kind, fields))
    return seeded


def _interest(number: int, modified: datetime, dice: random.Random) -> Fields:
    created = max(EARLIEST, modified - timedelta(hours=dice.randrange(1, 900)))
    topic = dice.choice(TOPICS)
    return {
        "name": f"{topic} {number + 1}" if topic else "",
        "created_at": created.isoformat(),
        "modified_at": modified.isoformat(),
        "revenue": dice.choice(REVENUES),
        "comment": dice.choice(COMMENTS),
        "КонтактноеЛицо": _person(number, dice),
        **_stages(dice.choice(WAYS), created, modified),
        **_communication(number, dice),
    }


def _stages(way: tuple[str, ...], created: datetime, modified: datetime) -> Fields:
    """Evenly spread from the creation to the last change, which brought the last stage."""
    pace = (modified - created) / max(1, len(way) - 1)
    reached = [(stage, (created + pace * step).isoformat()) for step, stage in enumerate(way)]
    stage, moment = reached.pop()
    return {"История": reached, "stage": stage, "stage_changed_at": moment}


def _communication(number: int, dice: random.Random) -> Fields:
    """Mostly both, often neither, seldom one without the other."""
    known, kind = dice.choices(((True, True), (False, False), (True, False), (False, True)), (60, 30, 6, 4))[0]
    fields: Fields = {"communication_id": str(FIRST_COMMUNICATION + number)} if known else {}
    return fields | ({"communication_type": dice.choice(COMMUNICATIONS)} if kind else {})


def _person(number: int, dice: random.Random) -> Fields:
    name = f"{dice.choice(people.FATHERS)} {dice.choice(people.FAMILIES)}"
    emails = [f"p{number}@{dice.choice(people.HOSTS)}"] if dice.random() < SHARE_OF_EMAILS else []
    return {"name": name, "phones": [_phone(number, dice)], "emails": emails}


def _phone(number: int, dice: random.Random) -> str:
    return dice.choice(PHONES)(f"{number // 100 % 100:02}", f"{number % 100:02}")


def _move_to(slot: str) -> Callable[[Fields, int, random.Random], None]:
    def move(fields: Fields, _number: int, _dice: random.Random) -> None:
        fields[slot] = fields.pop("КонтактноеЛицо")

    return move


def _no_contact(fields: Fields, _number: int, _dice: random.Random) -> None:
    """Somebody is named, who has an address and a nickname only."""
    others = [["Адрес", "Сосновый Бор, Ладейная улица, 8"], ["Skype", "ladya.example"]]
    fields["КонтактноеЛицо"] |= {"phones": [], "emails": [], "others": others}


def _empty_references(fields: Fields, _number: int, _dice: random.Random) -> None:
    fields |= {"КонтактноеЛицо": None, "Автор": None, "Ответственный": None, "stage": None, "История": []}


def _empty_dates(fields: Fields, _number: int, _dice: random.Random) -> None:
    fields |= {"created_at": "", "ДатаСледующегоДействия": ""}


def _several_phones(fields: Fields, number: int, dice: random.Random) -> None:
    fields["КонтактноеЛицо"]["phones"] = [_phone(number + more, dice) for more in (0, 1, 0)]
    fields["ПотенциальныйКлиент"] = {"name": "Клуб «Цугцванг»", "phones": [_phone(number + 2, dice)]}
    fields["Партнер"] = {"name": "Школа «Эндшпиль»", "emails": [f"office{number}@{people.HOSTS[1]}"]}


def _only_email(fields: Fields, number: int, _dice: random.Random) -> None:
    fields["КонтактноеЛицо"] |= {"phones": [], "emails": [f"p{number}@{people.HOSTS[0]}"]}


SPOIL: dict[str, Callable[[Fields, int, random.Random], None]] = {
    "valid": lambda *_: None,
    "no_contact": _no_contact,
    "empty_references": _empty_references,
    "empty_dates": _empty_dates,
    "deleted": lambda fields, *_: fields.update(is_deleted=True),
    "several_phones": _several_phones,
    "only_email": _only_email,
    "client_only": _move_to("ПотенциальныйКлиент"),
    "partner_only": _move_to("Партнер"),
}
