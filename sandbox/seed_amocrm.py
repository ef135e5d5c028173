"""Invented contacts, companies and leads of an amoCRM account, as managers entered them; deterministic by seed.

Phones are +7 999 000 and four digits counted from `phones_from`, so that they meet those of another system or do not.
INNs have true check digits and begin with 009, which no tax office in the world gives.
"""

import random
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sandbox import people
from sandbox.amocrm.account import AmoCrm
from sandbox.amocrm.hands import Hands
from sandbox.amocrm.reference import CITY, COLLEAGUE, HUMAN, LOST, ORIGIN, PIPELINES, UNSORTED_TYPE, WON
from sandbox.seed import Seeded, moments, shuffled
from sandbox.seed_handlers import inn_of

# Of every hundred; the order within a hundred is shuffled.
CONTACTS = {
    "valid": 70,
    "two_phones": 8,
    "email_only": 6,
    "same_phone": 4,
    "bare": 4,
    "bad_phone": 4,
    "untidy_name": 4,
}
COMPANIES = {"valid": 84, "no_inn": 8, "same_inn": 4, "unp": 4}
LEADS = {"whole": 60, "contact_only": 15, "company_only": 10, "won": 6, "lost": 4, "bare": 5}
STAFF = (HUMAN, COLLEAGUE)
FIRST_PHONE = 5_000
BAD_PHONES = ("12345", "нет телефона", "+7 999 00")
FIRMS = ("Ладья", "Дебют", "Миттельшпиль", "Вечный шах", "Ферзевый фланг", "Отложенная партия")
FORMS = ("ООО", "АО", "ИП")
CITIES = ("Сосновый Бор", "Ладейск", "Слоновка")
PRICES = (0, 9_000, 12_600, 24_000, 1_234_567)
TOPICS = ("Заявка с сайта", "Шахматные часы", "Доски для турнира", "Повторный заказ")
PHONES: tuple[Callable[[str], str], ...] = (
    lambda n: f"+7999000{n}",
    lambda n: f"7999000{n}",
    lambda n: f"8999000{n}",
    lambda n: f"+7 (999) 000-{n[:2]}-{n[2:]}",
)

Fields = dict[str, Any]
Kinds = dict[str, dict[str, str]]


def enter(
    account: AmoCrm,
    *,
    contacts: int = 0,
    companies: int = 0,
    leads: int = 0,
    seed: int = 1,
    now: datetime,
    phones_from: int = FIRST_PHONE,
) -> Kinds:
    """Rows that were there before the story begins, no webhook tells of them; the kind of each by table and id."""
    hands, kinds = Hands(account), Kinds()

    def put(entity: str, seeded: Sequence[Seeded]) -> list[int]:
        rows = hands.create_many(entity, [one.fields for one in seeded])
        kinds[entity] = {str(row["id"]): one.kind for row, one in zip(rows, seeded, strict=True)}
        return [row["id"] for row in rows]

    firms = put("companies", invented_companies(companies, seed=seed, now=now, first=len(account.rows("companies"))))
    first = len(account.rows("contacts")) + phones_from
    clients = put("contacts", invented_contacts(contacts, seed=seed, now=now, first=first, companies=firms))
    put("leads", invented_leads(leads, seed=seed, now=now, contacts=clients, companies=firms))
    return kinds


def invented_contacts(
    count: int, *, seed: int, now: datetime, first: int = FIRST_PHONE, companies: Sequence[int] = ()
) -> list[Seeded]:
    """`first` is the number of the first phone; every third works for one of the companies."""
    dice = random.Random(f"amocrm contacts {seed}")
    seeded = []
    for number, kind in enumerate(shuffled(CONTACTS, count, dice), first):
        fields: Fields = {"name": _person(dice), "phones": [_phone(number, dice)], "emails": [_email(number, dice)]}
        fields |= _CONTACT[kind](number, dice)
        if companies and dice.random() < 1 / 3:
            fields["company_id"] = dice.choice(companies)
        custom = {str(CITY): dice.choice((*CITIES, None)), str(ORIGIN): dice.choice(("Сайт", "Звонок", None))}
        seeded.append(Seeded(kind, fields | {"fields": custom}))
    return _dated(seeded, dice, now)


def invented_companies(count: int, *, seed: int, now: datetime, first: int = 0) -> list[Seeded]:
    dice = random.Random(f"amocrm companies {seed}")
    seeded = []
    for number, kind in enumerate(shuffled(COMPANIES, count, dice), first):
        name = f"{dice.choice(FORMS)} «{dice.choice(FIRMS)} {number + 1}»"
        seeded.append(Seeded(kind, {"name": name, "fields": {"INN": _INN[kind](number)}}))
    return _dated(seeded, dice, now)


def invented_leads(
    count: int, *, seed: int, now: datetime, contacts: Sequence[int] = (), companies: Sequence[int] = ()
) -> list[Seeded]:
    """Leads of the given contacts and companies, on every stage that a person can choose."""
    dice = random.Random(f"amocrm leads {seed}")
    seeded = []
    for number, kind in enumerate(shuffled(LEADS, count, dice), 1):
        pipeline = dice.choice(list(PIPELINES.values()))
        open_stages = [one["id"] for one in pipeline["statuses"] if one["is_editable"] and one["type"] != UNSORTED_TYPE]
        fields: Fields = {"name": f"{dice.choice(TOPICS)} {number}", "price": dice.choice(PRICES)}
        fields |= {
            "pipeline_id": pipeline["id"],
            "status_id": {"won": WON, "lost": LOST}.get(kind, dice.choice(open_stages)),
        }
        if contacts and kind not in ("company_only", "bare"):
            fields["contacts"] = list(dict.fromkeys(dice.choice(contacts) for _ in range(dice.choice((1, 1, 2)))))
        if companies and kind not in ("contact_only", "bare"):
            fields["company_id"] = dice.choice(companies)
        seeded.append(Seeded(kind, fields))
    return _dated(seeded, dice, now)


def _dated(seeded: list[Seeded], dice: random.Random, now: datetime) -> list[Seeded]:
    for one, moment in zip(seeded, moments(len(seeded), dice, now), strict=True):
        at = int(moment.timestamp())
        one.fields.update(updated_at=at, created_at=at - dice.randrange(1, 900_000))
        one.fields.update(responsible_user_id=dice.choice(STAFF))
    return seeded


def _person(dice: random.Random) -> str:
    return f"{dice.choice(people.FATHERS)} {dice.choice(people.FAMILIES)}"


def _phone(number: int, dice: random.Random) -> str:
    return dice.choice(PHONES)(f"{number % 10_000:04}")


def _email(number: int, dice: random.Random) -> str:
    return f"a{number}@{dice.choice(people.HOSTS)}"


_CONTACT: dict[str, Callable[[int, random.Random], Fields]] = {
    "valid": lambda *_: {},
    "two_phones": lambda number, dice: {
        "phones": [_phone(number, dice), {"value": _phone(number + 2_500, dice), "enum_code": "MOB"}]
    },
    "email_only": lambda *_: {"phones": []},
    "same_phone": lambda number, dice: {"phones": [_phone(number - 1, dice)]},
    "bare": lambda *_: {"phones": [], "emails": []},
    "bad_phone": lambda _number, dice: {"phones": [dice.choice(BAD_PHONES)]},
    "untidy_name": lambda _number, dice: {"name": f"  {_person(dice)}\u00a0♟️ "},
}
_INN: dict[str, Callable[[int], str | None]] = {
    "valid": lambda number: inn_of(f"009{number % 1_000_000:06}"),
    "no_inn": lambda _number: None,
    "same_inn": lambda number: inn_of(f"009{max(0, number - 1) % 1_000_000:06}"),
    "unp": lambda number: f"9{number % 100_000_000:08}",
}
