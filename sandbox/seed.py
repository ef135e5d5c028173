"""Invented contacts in every shape the brief's mapping must cope with, deterministic by seed and by the clock."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox import people
from sandbox.bitrix24.moments import printed

SURNAME, GIVEN_NAME = "UF_CRM_57AD7FAF7E6C4", "UF_CRM_1608028374"
PRODUCT, BRANCH, BIRTHDAY = "UF_CRM_58D15BB9CA8F4", "UF_CRM_1470852549", "UF_CRM_1607943642"
OFFSET = "+03:00"

# Of every hundred contacts; the order within a hundred is shuffled.
SHARES = {
    "valid": 72,
    "no_pupil_name": 4,
    "no_pupil_surname": 3,
    "parent_squeezed": 4,
    "bad_phone": 4,
    "no_phone": 3,
    "future_birth_date": 2,
    "unsupported_product": 3,
    "unknown_branch": 3,
    "created_too_early": 2,
}
SAME_SECOND = 64
SIBLING_EVERY = 5
SHARE_OF_MOTHERS, SHARE_OF_RECENT, SHARE_OF_SECOND_PHONES = 0.7, 0.8, 0.15
STAFF = ("12", "14", "16")
EARLIEST = datetime.fromisoformat("2020-12-24T00:00:00+03:00")
TOO_EARLY = datetime.fromisoformat("2020-12-01T12:00:00+03:00")

Shape = Callable[[int], str]
PHONES: tuple[Shape, ...] = (
    lambda n: f"8 (999) 000-{n // 100:02}-{n % 100:02}",
    lambda n: f"+7 (999) 000{n:04}",
    lambda n: f"999000{n:04}",
    lambda n: f"7999000{n:04}",
    lambda n: f"+7999000{n:04}",
    lambda n: f"7999000{n:04}, 7999000{(n + 1) % 10_000:04}",
    lambda n: f"8-999-000-{n // 100:02}-{n % 100:02} доб. 12",
    lambda n: f"8 999 000 {n:04}; мама",
    lambda n: f"007999000{n:04}",
)
BAD_PHONES = ("12345", "нет телефона", "+7 999 00", "8 (999) 000-00")
EMAILS: tuple[Callable[[str], list[str]], ...] = (
    lambda login: [f"{login}@{people.HOSTS[0]}"],
    lambda login: [f"{login.upper()}@School.Example"],
    lambda login: [f"{login}@{people.HOSTS[1]}", f"{login}.2@{people.HOSTS[2]}"],
    lambda _login: [],
    lambda _login: [],
    lambda login: [f"{login}(at)mail.example"],
)
# Supported selections of product and branch; the second is what makes 404 travel, 410 needs none.
SELECTIONS: tuple[tuple[list[int], list[int]], ...] = (
    ([410], []),
    ([410], [48]),
    ([404], [48]),
    ([404], [12708]),
    ([404], [48, 12708]),
    ([404, 410], [48]),
    ([404, 410], [48, 12708]),
    ([404, 412], [50, 12708]),
    ([410, 412], [50]),
)
NO_PRODUCT: tuple[Any, ...] = ([412], 412, "412", False, "", [])


@dataclass(frozen=True, slots=True)
class Seeded:
    """A contact or a deal as given to the portal, and what is peculiar about it."""

    kind: str
    fields: dict[str, Any]


def contacts(count: int, *, seed: int, now: datetime) -> list[Seeded]:
    """`count` contacts; every fifth is a sibling of the one before and shares parent, family name and phone."""
    dice = random.Random(seed)
    kinds = shuffled(SHARES, count, dice)
    family: dict[str, Any] = {}
    seeded = []
    for number, (kind, modified) in enumerate(zip(kinds, moments(count, dice, now), strict=True)):
        if number % SIBLING_EVERY != SIBLING_EVERY - 1:
            family = _family(number, dice)
        fields = family | _pupil(dice) | _bookkeeping(modified, dice)
        SPOIL.get(kind, _leave)(fields, dice)
        seeded.append(Seeded(kind, fields))
    return seeded


def by_kind(seeded: list[Seeded]) -> dict[str, int]:
    return dict(Counter(row.kind for row in seeded))


def shuffled(shares: dict[str, int], count: int, dice: random.Random) -> list[str]:
    """The kind of each of `count` rows; every full hundred holds each kind as often as `shares` says."""
    kinds: list[str] = []
    while len(kinds) < count:
        hundred = [kind for kind, share in shares.items() for _ in range(share)]
        dice.shuffle(hundred)
        kinds += hundred
    return kinds[:count]


def _family(number: int, dice: random.Random) -> dict[str, Any]:
    family = dice.choice(people.FAMILIES)
    is_mother = dice.random() < SHARE_OF_MOTHERS
    return {
        "NAME": dice.choice(people.MOTHERS if is_mother else people.FATHERS),
        "LAST_NAME": f"{family}а" if is_mother and family.endswith(("в", "н")) else family,
        "SECOND_NAME": dice.choice(("", None)),
        "PHONE": _phones(number % 10_000, dice),
        "EMAIL": dice.choice(EMAILS)(f"p{number}"),
        SURNAME: _untidy(family, dice),
    }


def _pupil(dice: random.Random) -> dict[str, Any]:
    product, branch = dice.choice(SELECTIONS)
    return {
        GIVEN_NAME: _untidy(dice.choice(people.CHILDREN), dice),
        PRODUCT: _as_stored(product, dice),
        BRANCH: _as_stored(branch, dice),
        BIRTHDAY: _birthday(dice),
    }


def _bookkeeping(modified: datetime, dice: random.Random) -> dict[str, Any]:
    created = max(EARLIEST, modified - timedelta(hours=dice.randrange(900)))
    return {
        "ASSIGNED_BY_ID": dice.choice(STAFF),
        "MODIFY_BY_ID": dice.choice(STAFF),
        "DATE_CREATE": printed(created, OFFSET),
        "DATE_MODIFY": printed(modified, OFFSET),
    }


def moments(count: int, dice: random.Random, now: datetime) -> list[datetime]:
    """When each was last changed: mostly recent, a quarter in bursts of one second as mass edits leave behind."""
    now = now.replace(microsecond=0)
    changes: list[datetime] = []
    while len(changes) < count:
        days = dice.uniform(0, 9) if dice.random() < SHARE_OF_RECENT else dice.uniform(9, 400)
        moment = max(EARLIEST, now - timedelta(days=days))
        is_burst = dice.random() < 1 / (3 * SAME_SECOND) or (not changes and count >= 2 * SAME_SECOND)
        changes += [moment.replace(microsecond=0)] * (SAME_SECOND if is_burst else 1)
    changes = changes[:count]
    dice.shuffle(changes)
    return changes


def _phones(number: int, dice: random.Random) -> list[str]:
    phones = [dice.choice(PHONES)(number)]
    if dice.random() < SHARE_OF_SECOND_PHONES:
        phones.append(dice.choice(PHONES)((number + 5000) % 10_000))
    return phones


def _untidy(name: str, dice: random.Random) -> str:
    return dice.choice(
        (name, name, name, name, f" {name} ", f"\u00a0{name}", f"{name}\t", f"{name}\u0007", f"  {name}  ")
    )


def _as_stored(options: list[int], dice: random.Random) -> Any:
    """The same selection in one of the forms in which a portal shows it."""
    if not options:
        return dice.choice(([], False, "", None))
    if len(options) == 1:
        return dice.choice((options, options, [str(options[0])], options[0], str(options[0])))
    return dice.choice((options, options, [str(option) for option in options]))


def _birthday(dice: random.Random) -> str | None:
    year, month, day = dice.randrange(2008, 2019), dice.randrange(1, 13), dice.randrange(1, 29)
    hours = dice.choice((3, 3, 4))
    return dice.choice((f"{year}-{month:02}-{day:02}T0{hours}:00:00+0{hours}:00",) * 5 + ("", None))


def _leave(_fields: dict[str, Any], _dice: random.Random) -> None:
    pass


def _no_pupil_name(fields: dict[str, Any], dice: random.Random) -> None:
    fields[GIVEN_NAME] = dice.choice(("", None, "  ", "\u00a0"))


def _no_pupil_surname(fields: dict[str, Any], dice: random.Random) -> None:
    fields[SURNAME] = dice.choice(("", None, " "))


def _parent_squeezed(fields: dict[str, Any], _dice: random.Random) -> None:
    fields["NAME"], fields["LAST_NAME"] = f"{fields['NAME']} {fields['LAST_NAME']}", ""


def _bad_phone(fields: dict[str, Any], dice: random.Random) -> None:
    fields["PHONE"] = [dice.choice(BAD_PHONES)]


def _no_phone(fields: dict[str, Any], _dice: random.Random) -> None:
    fields["PHONE"] = []


def _future_birth_date(fields: dict[str, Any], dice: random.Random) -> None:
    fields[BIRTHDAY] = f"21{dice.randrange(10, 99)}-05-17T03:00:00+03:00"


def _unsupported_product(fields: dict[str, Any], dice: random.Random) -> None:
    fields[PRODUCT] = dice.choice(NO_PRODUCT)


def _unknown_branch(fields: dict[str, Any], dice: random.Random) -> None:
    fields[PRODUCT], fields[BRANCH] = [404], dice.choice(([50], 50, "50", [], False))


def _created_too_early(fields: dict[str, Any], dice: random.Random) -> None:
    fields["DATE_CREATE"] = printed(TOO_EARLY - timedelta(days=dice.randrange(300)), OFFSET)


SPOIL: dict[str, Callable[[dict[str, Any], random.Random], None]] = {
    "no_pupil_name": _no_pupil_name,
    "no_pupil_surname": _no_pupil_surname,
    "parent_squeezed": _parent_squeezed,
    "bad_phone": _bad_phone,
    "no_phone": _no_phone,
    "future_birth_date": _future_birth_date,
    "unsupported_product": _unsupported_product,
    "unknown_branch": _unknown_branch,
    "created_too_early": _created_too_early,
}
