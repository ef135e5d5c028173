"""The part of a round in which 1C and amoCRM talk both ways: people on both sides, 1C's exchange, and the judge."""

import random
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any

import requests

from sandbox.seed_handlers import inn_of
from tests.chaos.oracle import Verdict
from tests.harbour import TRADE_TOKEN
from workers.cli.verify_both import disagreements

SIDES = ("amocrm", "onec_handlers")
POLLED, PUSHED = ("contacts", "companies", "leads"), ("individuals", "legals", "orders", "events")
"""Flows from amoCRM and from 1C, by their names."""
AT_THE_START = {"counterparties": 20, "orders": 10, "order_events": 10}
AT_THE_START_IN_AMO = {"contacts": 6, "companies": 3, "leads": 4}
BETWEEN_ROUNDS, ACTS_PER_SECOND = 0.7, 1.5
PLAN: Mapping[str, Any] = {"token": TRADE_TOKEN, "threads": 8, "timeout_s": 6.0, "drop_refused": True}
SMALL: Mapping[str, Any] = {"limit": 16, "repeat": 0.1}
ADMIN_PATIENCE = 120.0
MARK = re.compile(r"\[parom:[^\]]*\]")
HOT, SHARE_OF_HOT = 4, 0.5
LOST = ("is not in amoCRM", "has no id of 1C")
ID_FIELD = "PAROM_ID_1C"
ENTITIES = (*POLLED, "counterparties", "orders")
OTHER_SIDE = {
    "contacts": "individual",
    "companies": "legal",
    "leads": "order",
    "individual": "contacts",
    "legal": "companies",
    "order": "leads",
}


class Background:
    """Something that goes on in a thread of its own, so that the faults begin and end in time."""

    def __init__(self, pause: Callable[[], float], act: Callable[[], object]) -> None:
        self._pause, self._act = pause, act
        self._is_over = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when the last act is over. Raises what one of them has raised."""
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join()
        failure, self._failure = self._failure, None
        if failure:
            raise failure

    def _go_on(self) -> None:
        try:
            while not self._is_over.wait(self._pause()):
                self._act()
        except Exception as error:  # noqa: BLE001 - it is raised in the thread that stops this one
            self._failure = error


class Exchange:
    """1C tells our web process what is new to it: by itself in small rounds, or one round at a time."""

    def __init__(self, sandbox: Any, web: str) -> None:
        self._sandbox, self._web = sandbox, web
        self.alone = Background(lambda: BETWEEN_ROUNDS, lambda: self.push(**SMALL))
        self.rounds = 0
        self.changed_ids: list[dict[str, Any]] = []
        """Objects to which amoCRM's answer gave another id than they had."""
        self.differing = 0
        """How often two answers to one body differed."""

    def push(self, **plan: Any) -> bool:
        """One round; whether there was anything to tell."""
        answer = requests.post(
            f"{self._sandbox.addresses['admin']}/onec_handlers/push",
            json={"url": self._web, **PLAN, "shuffle": self.rounds, **plan},
            timeout=ADMIN_PATIENCE,
        )
        assert answer.ok, answer.text
        told = answer.json()
        self.rounds += 1
        self.changed_ids += told["changed_ids"]
        self.differing += told["repeats"]["different"]
        return bool(told["entries"] or told["left"])

    def waiting(self) -> int:
        """How much 1C has still to tell."""
        return len(self._sandbox.rows("onec_handlers", "outbox"))


class Traders:
    """The hands of people in 1C and in amoCRM. No phone is entered twice, for who has the same one is another story."""

    def __init__(self, sandbox: Any, dice: random.Random) -> None:
        self._sandbox, self._dice = copy(sandbox), dice
        self._sandbox.session = requests.Session()  # this one is of the thread that acts
        self.alone = Background(lambda: dice.expovariate(ACTS_PER_SECOND), self.act)
        self._seed = dice.randrange(10_000)
        self._persons: list[str] = []
        self._firms: list[str] = []
        self._orders: list[str] = []
        self._in_amo: dict[str, list[int]] = {}
        self._numbers = iter(range(100, 10_000))
        self.acts = 0

    def begin(self) -> None:
        """What is there before anybody tells or polls."""
        self._sandbox.post("/seed", **AT_THE_START, seed=self._seed)
        self._sandbox.post("/amocrm/seed", **AT_THE_START_IN_AMO, seed=self._seed)
        named = [row for row in self._sandbox.rows("onec_handlers", "counterparties") if row["name"].strip()]
        self._persons = [row["id_1c"] for row in named if row["kind"] == "individual"]
        self._firms = [row["id_1c"] for row in named if row["kind"] == "legal"]
        self._orders = [row["id_1c"] for row in self._sandbox.rows("onec_handlers", "orders")]
        self._see_amo()

    def act(self) -> None:
        """One seeded act; who has come to amoCRM from 1C is edited there as well."""
        (act,) = self._dice.choices([act for act, _ in ACTS], [weight for _, weight in ACTS])
        self._see_amo()
        act(self)
        self.acts += 1

    def enter_person(self) -> None:
        self._persons.append(self._in_1c("individuals", **self._person(), email=self._email()))

    def enter_firm(self) -> None:
        self._firms.append(self._in_1c("legals", name=f"ООО «Цугцванг {next(self._numbers)}»", inn=self._inn()))

    def order(self) -> None:
        parties = {"contact": self._one(self._persons), "company": self._one(self._firms)}
        asked = {slot: party for slot, party in parties.items() if self._dice.random() < 0.7}
        self._orders.append(self._in_1c("orders", name="Абонемент", budget=self._budget(), **asked))

    def edit_person(self) -> None:
        self._in_1c(f"counterparties/{self._one(self._persons)}", **self._person())

    def edit_firm(self) -> None:
        self._in_1c(f"counterparties/{self._one(self._firms)}", name=f"АО «Гамбит {next(self._numbers)}»")

    def edit_order(self) -> None:
        self._in_1c(f"orders/{self._one(self._orders)}", budget=self._budget())

    def book(self) -> None:
        event = self._dice.choice(("part_payment", "part_shipment", "payment", "shipment", "cancel_order"))
        part = {"sum": "100"} if event.startswith("part_") else {}
        path = f"/onec_handlers/orders/{self._one(self._orders)}/events"
        self._sandbox.post(path, event_name=event, **part)

    def enter_contact(self) -> None:
        person = self._person()
        self._into_amo("contacts", name=person["name"], phones=[person["phone"]], emails=[self._email()])

    def enter_company(self) -> None:
        self._into_amo("companies", name=f"АО «Ладья {next(self._numbers)}»", fields={"INN": self._inn()})

    def enter_lead(self) -> None:
        links: dict[str, Any] = {}
        if self._dice.random() < 0.7:
            links["contacts"] = [self._one(self._in_amo["contacts"])]
        if self._dice.random() < 0.5:
            links["company_id"] = self._one(self._in_amo["companies"])
        self._into_amo("leads", name="Заявка", price=self._dice.randrange(1, 99) * 1000, **links)

    def edit_contact(self) -> None:
        person = self._person()
        self._into_amo("contacts", self._one(self._in_amo["contacts"]), name=person["name"], phones=[person["phone"]])

    def edit_company(self) -> None:
        self._into_amo("companies", self._one(self._in_amo["companies"]), name=f"АО «Дебют {next(self._numbers)}»")

    def price_lead(self) -> None:
        self._into_amo("leads", self._one(self._in_amo["leads"]), price=self._dice.randrange(1, 99) * 1000)

    def give_lead_away(self) -> None:
        self._into_amo("leads", self._one(self._in_amo["leads"]), contacts=[self._one(self._in_amo["contacts"])])

    def rename_on_both_sides(self) -> None:
        """Of two names at once either may win, and both sides must show that one."""
        for id_1c, contact in self._known_to_both("counterparties", "contacts"):
            self._into_amo("contacts", contact, name=self._person()["name"])
            self._in_1c(f"counterparties/{id_1c}", name=self._person()["name"])

    def price_on_both_sides(self) -> None:
        for id_1c, lead in self._known_to_both("orders", "leads"):
            self._in_1c(f"orders/{id_1c}", budget=self._budget())
            self._into_amo("leads", lead, price=self._dice.randrange(1, 99) * 1000)

    def _known_to_both(self, table: str, entity: str) -> list[tuple[str, int]]:
        """One, or none yet: ids in 1C and in amoCRM."""
        rows = self._sandbox.rows("onec_handlers", table)
        known = [(row["id_1c"], row["amo_id"]) for row in rows if row["amo_id"] in self._in_amo[entity]]
        return [self._one(known)] if known else []

    def _see_amo(self) -> None:
        """Of companies those with an INN, for without one they are no counterparty and the manager is told so."""
        rows = {entity: self._sandbox.rows("amocrm", entity) for entity in POLLED}
        firms = [row["id"] for row in rows["companies"] if _value(row, "INN")]
        leads = [row["id"] for row in rows["leads"] if row["company_id"] in (None, *firms)]
        self._in_amo = {"contacts": [row["id"] for row in rows["contacts"]], "companies": firms, "leads": leads}

    def _in_1c(self, what: str, **fields: Any) -> str:
        return str(self._sandbox.post(f"/onec_handlers/{what}", **fields)["id_1c"])

    def _into_amo(self, entity: str, id_: int | None = None, **fields: Any) -> None:
        self._sandbox.post(f"/amocrm/{entity}" + (f"/{id_}" if id_ else ""), **fields)

    def _one(self, many: Sequence[Any]) -> Any:
        """Half of all edits are of the same few, so that both sides edit one at the same time."""
        return self._dice.choice(many[:HOT] if self._dice.random() < SHARE_OF_HOT else many)

    def _person(self) -> dict[str, str]:
        number = next(self._numbers)
        digits = f"{number:04}"
        return {"name": f"Лев Выдуманный {number}", "phone": f"+7 999 100-{digits[:2]}-{digits[2:]}"}

    def _email(self) -> str:
        return f"t{next(self._numbers)}@people.example"

    def _inn(self) -> str:
        return inn_of(f"008{next(self._numbers):06}")

    def _budget(self) -> str:
        return f"{self._dice.randrange(1, 99) * 100}.50"


ACTS = (
    (Traders.enter_person, 10),
    (Traders.enter_firm, 5),
    (Traders.order, 8),
    (Traders.edit_person, 14),
    (Traders.edit_firm, 5),
    (Traders.edit_order, 8),
    (Traders.book, 12),
    (Traders.enter_contact, 8),
    (Traders.enter_company, 4),
    (Traders.enter_lead, 6),
    (Traders.edit_contact, 14),
    (Traders.edit_company, 5),
    (Traders.price_lead, 8),
    (Traders.give_lead_away, 3),
    (Traders.rename_on_both_sides, 6),
    (Traders.price_on_both_sides, 6),
)


def judge(sandbox: Any, chronicle: Sequence[Mapping[str, Any]], exchange: Exchange) -> Verdict:
    """What both stores hold in the end, and what was ever created in them; nothing of Parom's own books."""
    mine = [entry for entry in chronicle if entry["system"] in SIDES]
    verdict = Verdict(
        records=len({(entry["entity"], entry["key"]) for entry in mine}),
        versions=sum(entry["who"] == "person" for entry in mine),
        writes=sum(entry["who"] == "api" for entry in mine),
    )
    for text in disagreements(sandbox):
        _list_for(text, verdict).append(f"trade: {text}")
    verdict.duplicated += [f"trade: {text}" for text in _created_again(mine)]
    verdict.duplicated += [f"trade: {change['entity']} got another id in amoCRM" for change in exchange.changed_ids]
    if exchange.differing:
        verdict.other.append(f"trade: {exchange.differing} times two answers to one request differed")
    return verdict


def _list_for(text: str, verdict: Verdict) -> list[str]:
    if found := re.search(r": (\d+) events, (\d+) notes", text):
        told, shown = map(int, found.groups())
        return verdict.lost if shown < told else verdict.duplicated if shown > told else verdict.reordered
    if re.search(r": \d+ (have the id|are) | in 1C is ", text):
        return verdict.duplicated
    if any(words in text for words in LOST):
        return verdict.lost
    return verdict.untrue_notes if "its status is" in text else verdict.lost


def _created_again(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Whoever was created by us: once for each one of the other side, and never for whom we had made there."""
    born: dict[tuple[str, str], str] = {}
    images: dict[tuple[str, str], set[str]] = defaultdict(set)
    notes: Counter[str] = Counter()
    for entry in entries:
        if entry["verb"] != "created":
            continue
        entity, key, state = entry["entity"], str(entry["key"]), entry["state"]
        if entity == "notes":
            notes.update(MARK.findall(str(state["params"].get("text"))))
            continue
        if entity not in ENTITIES:
            continue
        born[_place(entity, state), key] = entry["who"]
        source = _source(entry["system"], state)
        if entry["who"] == "api" and source:
            images[_place(entity, state), source].add(key)
    for (place, source), keys in images.items():
        if len(keys) > 1:
            yield f"{place}: {source} was created {len(keys)} times"
        if born.get((OTHER_SIDE[place], source)) == "api":
            yield f"{place}: {source} was created from what we had created ourselves"
    yield from (f"note {mark} was written {times} times" for mark, times in notes.items() if times > 1)


def _place(entity: str, state: Mapping[str, Any]) -> str:
    return "order" if entity == "orders" else str(state["kind"]) if entity == "counterparties" else entity


def _source(system: str, state: Mapping[str, Any]) -> str | None:
    """Whom of the other side it is."""
    if system == "onec_handlers":
        return str(state["amo_id"]) if state["amo_id"] else None
    return _value(state, ID_FIELD)


def _value(row: Mapping[str, Any], code: str) -> str | None:
    """The first value of a field of amoCRM."""
    fields = row["custom_fields_values"] or ()
    held = next((each["values"] for each in fields if each["field_code"] == code), ())
    return str(held[0]["value"]) if held else None
