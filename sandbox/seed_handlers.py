"""Invented counterparties, orders and events of a base with handlers, as people would have entered them over years.

Deterministic by seed. INNs have true check digits and begin with 00, which no tax office in the world gives.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from sandbox import people
from sandbox.onec_handlers.base import OneCHandlers
from sandbox.onec_handlers.hands import Hands
from sandbox.seed import Seeded, shuffled
from sandbox.seed_interests import PHONES

# Of every hundred counterparties; the order within a hundred is shuffled.
SHARES = {
    "individual": 44,
    "email_only": 5,
    "bare": 3,
    "bad_phone": 3,
    "untidy_name": 5,
    "legal": 28,
    "sole_trader": 6,
    "unp": 3,
    "no_inn": 2,
    "nameless": 1,
}
LEGALS = {"legal", "sole_trader", "unp", "no_inn"}
# Users of sandbox.amocrm, and nobody.
STAFF = (8_000_003, 8_000_004, None)
BAD_PHONES = ("12345", "нет телефона", "+7 999 00")
FORMS = ("ООО", "АО", "НКО")
FIRMS = ("Цугцванг", "Эндшпиль", "Белая ладья", "Гамбит & Ко", "Рокировка", "Проходная пешка", "Сицилианский вариант")
BUDGETS = ("0", "9000", "12600.50", "24000", "1234567.89", "0.01")
# What happens to an order, again and again: an event, and the share of the budget that a part of it is.
WAYS = (
    (("payment", ""), ("shipment", "")),
    (("part_payment", "0.3"), ("payment", ""), ("part_shipment", "0.5"), ("shipment", "")),
    (("part_shipment", "0.25"), ("part_shipment", "0.25"), ("shipment", ""), ("payment", "")),
    (("part_payment", "0.1"), ("cancel_order", "")),
)
_TEN, _ELEVEN, _TWELVE = (
    (2, 4, 10, 3, 5, 9, 4, 6, 8),
    (7, 2, 4, 10, 3, 5, 9, 4, 6, 8),
    (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8),
)

Fields = dict[str, Any]


def enter(base: OneCHandlers, *, counterparties: int, orders: int, order_events: int, seed: int) -> dict[str, str]:
    """People enter all of it, in this order; the kind of each new counterparty by its id. Raises ValueError."""
    if order_events and not orders:
        raise ValueError("order_events need orders")
    hands, first = Hands(base), len(base.rows("counterparties"))
    seeded = invented_counterparties(counterparties, seed=seed, first=first)
    by_id = dict(zip(hands.counterparties([(one.kind in LEGALS, one.fields) for one in seeded]), seeded, strict=True))
    named = [id_1c for id_1c, one in by_id.items() if one.kind != "nameless"]
    contacts = [id_1c for id_1c in named if by_id[id_1c].kind not in LEGALS]
    companies = [id_1c for id_1c in named if by_id[id_1c].kind in LEGALS]
    made = hands.orders(invented_orders(orders, contacts=contacts, companies=companies, seed=seed))
    budgets = [(order["id_1c"], order["budget"]) for order in made]
    hands.book_many(list(invented_events(order_events, orders=budgets, seed=seed)))
    return {id_1c: one.kind for id_1c, one in by_id.items()}


def invented_counterparties(count: int, *, seed: int, first: int = 0) -> list[Seeded]:
    """Individuals and legal ones by kind, see LEGALS; no phone twice among 10,000, no INN twice ever.

    `first` is how many there are already.
    """
    dice = random.Random(f"counterparties {seed}")
    kinds = shuffled(SHARES, count, dice)
    return [Seeded(kind, _counterparty(kind, number, dice)) for number, kind in enumerate(kinds, first)]


def invented_orders(count: int, *, contacts: Sequence[str], companies: Sequence[str], seed: int) -> list[Fields]:
    """Orders of the given counterparties: of a company, of a person, of both, now and then of nobody."""
    dice = random.Random(f"orders {seed}")
    return [_order(number, contacts, companies, dice) for number in range(count)]


def invented_events(count: int, *, orders: Sequence[tuple[str, str]], seed: int) -> Iterator[tuple[str, Fields]]:
    """Events for orders given by id and budget, each order going its own way."""
    dice = random.Random(f"events {seed}")
    ways = [dice.choice(WAYS) for _ in orders]
    for number in range(count):
        turn, place = divmod(number, len(orders))
        (id_1c, budget), way = orders[place], ways[place]
        event_name, share = way[turn % len(way)]
        part = {"sum": str((Decimal(budget) * Decimal(share)).quantize(Decimal("0.01")))} if share else {}
        yield id_1c, {"event_name": event_name, **part}


def inn_of(digits: str) -> str:
    """The INN that begins with these: nine digits of a legal person, ten of a sole trader."""
    if len(digits) == len(_TEN):
        return digits + _check(digits, _TEN)
    digits += _check(digits, _ELEVEN)
    return digits + _check(digits, _TWELVE)


def _check(digits: str, weights: Sequence[int]) -> str:
    total = sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))
    return str(total % 11 % 10)


def _counterparty(kind: str, number: int, dice: random.Random) -> Fields:
    fields = {"responsible_user_id": dice.choice(STAFF)}
    if kind in LEGALS:
        return fields | {"name": _firm(number, dice), "inn": None} | _LEGAL[kind](number, dice)
    phone = dice.choice(PHONES)(f"{number // 100 % 100:02}", f"{number % 100:02}")
    email = dice.choice((f"p{number}@{dice.choice(people.HOSTS)}", None))
    return fields | {"name": _person(dice), "phone": phone, "email": email} | _INDIVIDUAL[kind](number, dice)


def _person(dice: random.Random) -> str:
    return f"{dice.choice(people.FATHERS)} {dice.choice(people.FAMILIES)}"


def _firm(number: int, dice: random.Random) -> str:
    return f"{dice.choice(FORMS)} «{dice.choice(FIRMS)} {number + 1}»"


def _order(number: int, contacts: Sequence[str], companies: Sequence[str], dice: random.Random) -> Fields:
    slots = dice.choices((("company",), ("contact",), ("contact", "company"), ()), (40, 30, 25, 5))[0]
    offered = {"contact": contacts, "company": companies}
    parties = {slot: dice.choice(offered[slot]) for slot in slots if offered[slot]}
    named = {"name": f"Абонемент {number + 1}", "budget": dice.choice(BUDGETS)}
    return named | {"responsible_user_id": dice.choice(STAFF), **parties}


Spoil = Callable[[int, random.Random], Fields]

_INDIVIDUAL: dict[str, Spoil] = {
    "individual": lambda *_: {},
    "email_only": lambda number, _: {"phone": None, "email": f"p{number}@{people.HOSTS[0]}"},
    "bare": lambda *_: {"phone": None, "email": None},
    "bad_phone": lambda _, dice: {"phone": dice.choice(BAD_PHONES)},
    "untidy_name": lambda _, dice: {
        "name": dice.choice((" {} ", "\u00a0{}", "{}\t", "<b>{}</b>")).format(_person(dice))
    },
    "nameless": lambda *_: {"name": ""},
}
_LEGAL: dict[str, Spoil] = {
    "legal": lambda number, _: {"inn": inn_of(f"00{number:07}")},
    "sole_trader": lambda number, dice: {"name": f"ИП {_person(dice)}", "inn": inn_of(f"00{number:08}")},
    "unp": lambda number, _: {"inn": f"00{number:07}"},
    "no_inn": lambda *_: {},
}
