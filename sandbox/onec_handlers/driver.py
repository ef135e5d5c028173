"""The 1C side calls our service (briefs/001 §2): one round over the outbox, from the oldest entry to the newest.

An entry leaves the outbox when it was taken (200 and `success`) and not before, so everything is told at least once.
Entries of one object go in their order, one at a time; what is not taken holds back what stands behind it until the
next round. Counterparties go before orders, so that an order can name them by their ids in amoCRM.
"""

import random
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sandbox.onec_handlers import messages
from sandbox.onec_handlers.agenda import Agenda, shuffled
from sandbox.onec_handlers.base import OneCHandlers
from sandbox.onec_handlers.calling import DELIVERED, REFUSED, Post, Reply, headers_of, post, written
from sandbox.onec_handlers.outbox import Entry
from sandbox.onec_handlers.plan import Plan
from sandbox.onec_handlers.reference import Values
from sandbox.onec_handlers.store import Store

SHOWN_ERRORS = 20
SUPERSEDED, DROPPED, HELD, BLOCKED = "superseded", "dropped", "held", "blocked"


@dataclass(slots=True)
class Tally:
    """What became of entries (`outcomes`) and of requests; the caller holds the lock."""

    outcomes: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    repeats: Counter[str] = field(default_factory=lambda: Counter(sent=0, different=0))
    changed_ids: list[Values] = field(default_factory=list)
    errors: list[Values] = field(default_factory=list)

    def count(self, replies: Sequence[Reply]) -> None:
        self.statuses.update(str(reply.status) for reply in replies)
        self.codes.update(reply.code for reply in replies if reply.code and reply.status)
        self.repeats["sent"] += len(replies) - 1
        told = {str(reply.data) for reply in replies if reply.outcome == DELIVERED}
        self.repeats["different"] += len(told) > 1

    def blame(self, entry: Entry) -> None:
        if len(self.errors) < SHOWN_ERRORS:
            named = {"seq": entry.seq, "entity": entry.entity, "id_1c": entry.id_1c}
            self.errors.append(named | {"status": entry.status, "error": entry.error})


class Round:
    """One pass over the outbox. `run` returns what the admin side shows."""

    def __init__(self, base: OneCHandlers, plan: Plan, send: Post) -> None:
        self._base = base
        self._plan = plan
        self._send = send
        self._lock = threading.Lock()
        self._tally = Tally()
        self._stuck: set[str] = set()
        switches = base.switches
        self._key = switches.key if plan.key is None else plan.key
        self._id_base = switches.id_base if plan.id_base is None else plan.id_base
        self._headers = headers_of(switches, token=plan.token, login=plan.login, password=plan.password)

    def run(self) -> Values:
        plan, registered = self._plan, self._register() if self._plan.register else None
        entries: list[Entry] = []
        if registered is None or registered["success"]:
            with self._base.commit("person") as store:
                entries = store.outbox.pending(plan.limit)
        for start in range(0, len(entries), plan.batch):
            for some in self._phases(entries[start : start + plan.batch], start):
                self._tell(some)
        return self._summary(len(entries), registered)

    def _register(self) -> Values:
        address = self._plan.web_address or self._base.web_address
        switches = self._base.switches
        body = messages.base_of(switches, key=self._key, id_base=self._id_base, web_address=address)
        reply = self._post(messages.BASE_PATH, body)
        return {"status": reply.status, "success": reply.outcome == DELIVERED, "error": reply.error}

    def _phases(self, entries: list[Entry], start: int) -> list[list[Entry]]:
        ordered = entries if self._plan.shuffle is None else shuffled(entries, f"{self._plan.shuffle} {start}")
        if self._base.switches.orders_without_ids:
            return [ordered]
        parties = [entry for entry in ordered if entry.entity in ("contact", "company")]
        return [parties, [entry for entry in ordered if entry.entity not in ("contact", "company")]]

    def _tell(self, entries: list[Entry]) -> None:
        agenda = Agenda(entries, self._stuck)
        if self._plan.threads == 1:
            self._work(agenda)
        else:
            with ThreadPoolExecutor(self._plan.threads) as pool:
                for work in [pool.submit(self._work, agenda) for _ in range(self._plan.threads)]:
                    work.result()
        self._tally.outcomes[BLOCKED] += agenda.blocked

    def _work(self, agenda: Agenda) -> None:
        while (entry := agenda.take()) is not None:
            goes_on = False
            try:
                goes_on = self._deliver(entry)
            finally:
                agenda.done(entry, goes_on=goes_on)

    def _deliver(self, entry: Entry) -> bool:
        """Whether the next entry of the same object may follow."""
        body = self._body(entry)
        if body is None:
            with self._lock:
                self._tally.outcomes[HELD] += 1
            return False
        path = messages.PATHS[entry.entity]
        if entry.entity == "order" and self._plan.legacy_orders:
            path = messages.LEGACY_ORDERS_PATH
        replies = self._posted(entry, path, body)
        reply = next((one for one in replies if one.outcome == DELIVERED), replies[0])
        with self._base.commit("api") as store:
            outcome = self._settle(store, entry, reply)
        with self._lock:
            self._tally.count(replies)
            self._tally.outcomes[outcome] += 1
            if outcome != DELIVERED:
                self._tally.blame(entry)
        return outcome in (DELIVERED, SUPERSEDED, DROPPED)

    def _body(self, entry: Entry) -> Values | None:
        """None for an order that must wait for its counterparties."""
        with self._base.commit("person") as store:
            if messages.awaited(store, entry):
                return None
            entry.attempts += 1
            if entry.body is None or store.switches.retry_body == "rebuilt":
                entry.body = messages.body_of(store, entry, key=self._key, id_base=self._id_base)
            return entry.body

    def _posted(self, entry: Entry, path: str, body: Values) -> list[Reply]:
        seed = f"{self._plan.shuffle} {entry.seq} {entry.attempts}"
        if random.Random(seed).random() >= self._plan.repeat:
            return [self._post(path, body)]
        if not self._plan.repeat_at_once:
            return [self._post(path, body), self._post(path, body)]
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(partial(self._post, path), (body, body)))

    def _post(self, path: str, body: Values) -> Reply:
        url = self._plan.url.rstrip("/") + path
        return self._send(url, written(body, self._base.switches), self._headers, self._plan.timeout_s)

    def _settle(self, store: Store, entry: Entry, reply: Reply) -> str:
        outcome = reply.outcome
        entry.status, entry.error = reply.status, reply.error
        if outcome == DELIVERED:
            self._learn(store, entry, reply.data)
        elif outcome == REFUSED and entry.entity != "event" and _is_outdated(store, entry):
            outcome = SUPERSEDED
        elif outcome == REFUSED and self._plan.drop_refused:
            outcome = DROPPED
        if outcome in (DELIVERED, SUPERSEDED, DROPPED):
            store.outbox.settle(entry, outcome, reply.data)
        return outcome

    def _learn(self, store: Store, entry: Entry, data: Any) -> None:
        """The id that amoCRM gave; the exchange writes it into the object without telling of it."""
        row = store.find(entry.id_1c)
        if entry.entity == "event" or row is None or isinstance(data, bool) or not str(data).isdecimal():
            return
        if row["amo_id"] == int(data):
            return
        if row["amo_id"] is not None:
            change = {"entity": entry.entity, "id_1c": entry.id_1c, "from": row["amo_id"], "to": int(data)}
            self._tally.changed_ids.append(change)
        store.save(row | {"amo_id": int(data)}, is_told=False)

    def _summary(self, entries: int, registered: Values | None) -> Values:
        tally = self._tally
        return {
            "registered": registered,
            "entries": entries,
            "requests": tally.statuses.total(),
            "outcomes": dict(+tally.outcomes),
            "statuses": dict(tally.statuses),
            "codes": dict(tally.codes),
            "repeats": dict(tally.repeats),
            "changed_ids": tally.changed_ids,
            "errors": tally.errors,
            "left": len(self._base.rows("outbox")),
        }


def pushed(base: OneCHandlers, *, send: Post = post, **given: Any) -> Values:
    """One round after a `Plan`; rounds of one base follow one another. Raises ValueError for a plan that is none."""
    try:
        plan = Plan(**given)
    except TypeError as error:
        raise ValueError(f"not a plan: {error}") from error
    with base.exchange:
        return Round(base, plan, send).run()


def _is_outdated(store: Store, entry: Entry) -> bool:
    """Whether the object was written again since."""
    return any(one.entity != "event" for one in store.outbox.later(entry))
