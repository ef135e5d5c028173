"""What people do in the source while everything falls: a seeded stream of edits, sales, merges and deletions."""

import random
from contextlib import suppress
from datetime import UTC, datetime

import requests

from sandbox import seed, seed_deals

NOTE_FIELD = "UF_CRM_SYNC_STATUS"
STAGES = ("Новый", "Квалифицирован", "Предложение", "Договор", "Выигран", "Проигран")
HOT, SHARE_OF_HOT = 8, 0.5
UNTOUCHED = ("DATE_CREATE", "DATE_MODIFY", "ID")
"""What an edit leaves alone: these are the portal's own."""


class Story:
    """The hands of the portal's users. Every act is one call of the sandbox's side door."""

    def __init__(self, sandbox, dice: random.Random) -> None:
        self._sandbox, self._dice = sandbox, dice
        number = dice.randrange(10**9)
        now = datetime.now(UTC)
        shapes = [row for row in seed.contacts(300, seed=number, now=now) if row.kind != "created_too_early"]
        self._shapes = [_without_bookkeeping(row.fields) for row in shapes]
        self._number = number
        self._contacts: list[str] = []
        self._deals: list[str] = []
        self._interests: list[str] = []
        self.acts = 0

    def begin(self, contacts: int, deals: int, interests: int) -> None:
        """The rows that are there before anybody polls."""
        self._sandbox.post("/seed", contacts=contacts, deals=deals, interests=interests, seed=self._number % 10_000)
        self._contacts, self._deals = list(self._sandbox.contacts()), list(self._sandbox.deals())
        self._interests = [row["id"] for row in self._sandbox.get("/store/onec/interests")["rows"]]

    def act(self) -> None:
        """One seeded act; one that the portal refuses (the row is gone) is none."""
        weights = [weight for _, weight in ACTS]
        (act,) = self._dice.choices([act for act, _ in ACTS], weights)
        try:
            act(self)
        except (requests.HTTPError, AssertionError):
            return
        self.acts += 1

    def edit_contact(self) -> None:
        self._sandbox.post(f"/bitrix24/contacts/{self._somebody()}", fields=self._shape())

    def edit_one_often(self) -> None:
        """A burst on one contact, the last edit undoing the one before."""
        contact, shapes = self._somebody(), [self._shape() for _ in range(3)]
        for fields in (*shapes, shapes[-2]):
            self._sandbox.post(f"/bitrix24/contacts/{contact}", fields=fields)

    def edit_held(self, contact: str) -> None:
        """A worker froze with this contact in its hands; somebody goes on with it, as people do."""
        with suppress(requests.HTTPError, AssertionError):  # it may be gone
            self._sandbox.post(f"/bitrix24/contacts/{contact}", fields=self._shape())

    def enrol(self) -> None:
        self._contacts.append(self._sandbox.post("/bitrix24/contacts", fields=self._shape())["ID"])

    def sell(self) -> None:
        (deal,) = seed_deals.deals(
            1, [self._dice.choice(self._contacts)], seed=self._dice.randrange(10**9), now=datetime.now(UTC)
        )
        self._deals.append(self._sandbox.post("/bitrix24/deals", fields=_without_bookkeeping(deal.fields))["ID"])

    def edit_deal(self) -> None:
        (deal,) = seed_deals.deals(
            1, [self._dice.choice(self._contacts)], seed=self._dice.randrange(10**9), now=datetime.now(UTC)
        )
        fields = {name: value for name, value in _without_bookkeeping(deal.fields).items() if name != "CONTACT_ID"}
        self._sandbox.post(f"/bitrix24/deals/{self._dice.choice(self._deals)}", fields=fields)

    def merge(self) -> None:
        loser, winner = self._dice.sample(self._contacts, 2)
        self._sandbox.post(f"/bitrix24/contacts/{loser}/merge", into=winner)
        self._contacts.remove(loser)

    def delete(self) -> None:
        self._remove("contacts", self._contacts)

    def delete_deal(self) -> None:
        self._remove("deals", self._deals)

    def ask_in_1c(self) -> None:
        fields = {"Тема": f"Интерес {self.acts}", "Состояние": "Новый", "phones": [self._phone()]}
        self._interests.append(self._sandbox.post("/onec/interests", fields=fields)["id"])

    def move_in_1c(self) -> None:
        self._edit_in_1c(Состояние=self._dice.choice(STAGES))

    def call_another_number(self) -> None:
        self._edit_in_1c(phones=[self._phone(), self._phone()])

    def price_in_1c(self) -> None:
        self._edit_in_1c(ОжидаемаяВыручка=self._dice.randrange(1, 99) * 1000)

    def drop_in_1c(self) -> None:
        self._sandbox.post(f"/onec/interests/{self._dice.choice(self._interests)}/delete")

    def _edit_in_1c(self, **fields) -> None:
        few = self._interests[:HOT] if self._dice.random() < SHARE_OF_HOT else self._interests
        self._sandbox.post(f"/onec/interests/{self._dice.choice(few)}", fields=fields)

    def _phone(self) -> str:
        return f"+7 999 000-{self._dice.randrange(100):02}-{self._dice.randrange(100):02}"

    def _remove(self, entity: str, ids: list[str]) -> None:
        chosen = self._dice.choice(ids)
        admin = self._sandbox.addresses["admin"]
        self._sandbox.session.delete(f"{admin}/bitrix24/{entity}/{chosen}", timeout=10).raise_for_status()
        ids.remove(chosen)

    def _somebody(self) -> str:
        """Half of all edits are of the same few, so that one comes while another is on its way."""
        few = self._contacts[:HOT] if self._dice.random() < SHARE_OF_HOT else self._contacts
        return self._dice.choice(few)

    def _shape(self) -> dict:
        return self._dice.choice(self._shapes)


ACTS = (
    (Story.edit_contact, 50),
    (Story.edit_one_often, 8),
    (Story.enrol, 16),
    (Story.sell, 16),
    (Story.edit_deal, 8),
    (Story.merge, 1),
    (Story.delete, 1),
    (Story.delete_deal, 1),
    (Story.ask_in_1c, 8),
    (Story.move_in_1c, 20),
    (Story.call_another_number, 8),
    (Story.price_in_1c, 5),
    (Story.drop_in_1c, 1),
)


def _without_bookkeeping(fields: dict) -> dict:
    return {code: value for code, value in fields.items() if code not in UNTOUCHED}
