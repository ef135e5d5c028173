"""1C and amoCRM at work: the exchange that pushes, people on both sides, and whether both end up saying the same."""

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass

import requests
from redis import Redis

from tests.harbour import TRADE_FLOWS, TRADE_TOKEN, free_port, kill, wait_until
from workers.cli.verify_both import disagreements

SIDES = ("amocrm", "onec_handlers")
FROM_AMO = ("contacts", "companies", "leads")
PUSHED = ("individuals", "legals", "orders", "events")
OPEN = ("pending", "queued", "running", "waiting")
SHOWN = 20
LONGEST_ROUND = 900.0


class Trade:
    """The base behind a web process of `harbour`: it registers, is approved, and pushes when it is told to."""

    def __init__(self, harbour):
        self.harbour, self.sandbox = harbour, harbour.sandbox
        self.listen = f"127.0.0.1:{free_port()}"
        self.web = f"http://{self.listen}"
        self.open()

    def open(self):
        """Start the web process, always at the same address."""
        self.process = self.harbour.start("web", "--listen", self.listen)
        wait_until(lambda: self.harbour.ready(self.web), "the web process answers")

    def bind(self):
        """The base introduces itself; its address is this machine's own, so an operator must allow it."""
        assert not self.push(register=True)["registered"]["success"], "a private address needs an approval"
        approved = self.harbour.run("base", "approve", "trade", "--private")
        assert approved.returncode == 0, approved.stdout + approved.stderr
        assert self.push(register=True, limit=0)["registered"] == {"status": 200, "success": True, "error": ""}
        return self

    def push(self, **plan):
        """One round of the exchange; returns what became of it. It may take long: each request waits for amoCRM."""
        url, asked = f"{self.sandbox.addresses['admin']}/onec_handlers/push", {"url": self.web, "token": TRADE_TOKEN}
        answer = requests.post(url, json={**asked, "threads": 8, **plan}, timeout=LONGEST_ROUND)
        assert answer.ok, answer.text
        return answer.json()

    def person_in_amo(self, entity, **fields):
        return self.sandbox.post(f"/amocrm/{entity}", **fields)["id"]

    def person_in_1c(self, entity, **fields):
        return self.sandbox.post(f"/onec_handlers/{entity}", **fields)["id_1c"]

    def edit_in_amo(self, entity, id_, **fields):
        return self.sandbox.post(f"/amocrm/{entity}/{id_}", **fields)

    def edit_in_1c(self, table, id_1c, **fields):
        return self.sandbox.post(f"/onec_handlers/{table}/{id_1c}", **fields)

    def book(self, order, event_name, **fields):
        return self.sandbox.post(f"/onec_handlers/orders/{order}/events", event_name=event_name, **fields)

    def amo(self, entity):
        return {row["id"]: row for row in self.sandbox.rows("amocrm", entity)}

    def base(self, table):
        return {row["id_1c"]: row for row in self.sandbox.rows("onec_handlers", table)}

    def writes(self):
        """Everything that was written into either side, in order."""
        return [(system, *write) for system in SIDES for write in self.sandbox.writes(system)]

    def written(self):
        """How many writes each side was asked for."""
        systems = self.sandbox.get("/journal/summary")["systems"]
        return {name: systems[name]["commands"]["by_kind"].get("write", 0) for name in SIDES if name in systems}

    def turns(self):
        return {flow: self.harbour.status(flow)["turns"] for flow in FROM_AMO}

    def is_quiet(self):
        """Whether no flow has anything under way."""
        stands = [self.harbour.status(flow) for flow in TRADE_FLOWS]
        return not any(each["by_state"].get(state) for each in stands for state in OPEN) and not any(
            each["notes_due"] for each in stands
        )

    def rest(self, *, rounds=2, patience=180.0):
        """Push until nothing is left and poll until nothing is new, `rounds` times in a row."""
        ends, calm = time.monotonic() + patience, 0
        while calm < rounds:
            assert time.monotonic() < ends, f"never at rest: {self.standing()}"
            before = self.written()
            left = self.push(drop_refused=True)["left"]
            self._wait_for_polls(patience)
            is_calm = not left and self.is_quiet() and self.written() == before
            calm = calm + 1 if is_calm else 0

    def _wait_for_polls(self, patience):
        """Until of each flow a poll began after this moment, and ended."""
        before = self.turns()

        def have_ended():
            return all(number > before[flow] + 1 for flow, number in self.turns().items())

        wait_until(have_ended, "everything is polled anew", patience=patience)

    def pushed(self):
        """How many records of what 1C told have come to an end."""
        stands = [self.harbour.status(flow)["by_state"] for flow in PUSHED]
        return sum(by_state.get(state, 0) for by_state in stands for state in ("done", "rejected"))

    def standing(self):
        stands = {flow: self.harbour.status(flow) for flow in TRADE_FLOWS}
        shown = {flow: (each["by_state"], each["causes"], each["poll_error"]) for flow, each in stands.items()}
        outbox = self.sandbox.rows("onec_handlers", "outbox")
        return shown, [(entry["entity"], entry["status"], entry["error"]) for entry in outbox[:5]]


@dataclass(frozen=True)
class Volume:
    """How much is on its way from 1C; of everything that people enter in amoCRM there is a share of it."""

    counterparties: int
    orders: int
    events: int

    def enter(self, sandbox, seed=1):
        sandbox.post(
            "/seed",
            counterparties=self.counterparties,
            orders=self.orders,
            order_events=self.events,
            seed=seed,
        )
        amo = {"contacts": self.counterparties // 4, "companies": self.counterparties // 10, "leads": self.orders // 4}
        sandbox.post("/amocrm/seed", **amo, seed=seed)

    @property
    def records(self):
        return self.counterparties + self.orders + self.events


DROPPED = (("amocrm", "^(POST|PATCH)", 1), ("amocrm", "^GET", 1), ("onec_handlers", "^POST", 4))
"""Whose answers, to which requests, how much more often than the others: 1C is asked for less."""


class Fire:
    """Answers are dropped, workers and the web process are killed, Redis is emptied, while 1C pushes all the time."""

    def __init__(self, trade, *, share=0.05, seed=1):
        self.trade, self.dice = trade, random.Random(seed)
        self.workers = [process for process in trade.harbour.processes if "worker" in process.args]
        self.rounds, self.tally, self._is_over = 0, Counter(), threading.Event()
        for system, match, weight in DROPPED:
            fault = {"system": system, "match": match, "action": "reset_after"}
            trade.sandbox.post("/faults", **fault, probability=min(0.5, share * weight), seed=seed)

    def burn(self, volume, *, kills, patience=600.0):
        """Kill something each time another part of the volume has arrived."""
        pushing = threading.Thread(target=self._push_on, daemon=True)
        pushing.start()
        for number in range(1, kills + 1):
            due = volume.records * number // (kills + 1)
            wait_until(lambda due=due: self.trade.pushed() >= due, f"{due} records have arrived", patience=patience)
            self._strike(number)
        wait_until(lambda: self.trade.pushed() >= volume.records * 0.9, "most has arrived", patience=patience)
        self._is_over.set()
        pushing.join()
        self.trade.sandbox.session.delete(self.trade.sandbox.addresses["admin"] + "/faults", timeout=30)

    def _strike(self, number):
        harbour = self.trade.harbour
        kill(self.workers.pop(0))
        self.workers.append(harbour.start("worker"))
        if number % 2:
            kill(self.trade.process)
            self.trade.open()
        else:
            Redis.from_url(harbour.redis.url).flushall()

    def _push_on(self):
        while not self._is_over.is_set():
            told = self.trade.push(drop_refused=True, repeat=0.1, shuffle=self.rounds, limit=200)
            self.tally.update(told["outcomes"])
            self.rounds += 1
            self._is_over.wait(0.5)


def assert_both_sides_agree(harbour):
    """Each counterparty is one contact or company, each order one lead, each event one note, and they say the same.

    Nothing is asked but the two stores.
    """
    found = disagreements(harbour.sandbox)
    assert not found, "\n".join([f"{len(found)} disagreements", *found[:SHOWN]])
