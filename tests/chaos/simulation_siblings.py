"""What the simulated engine talks to: a ledger whose clock others move; a source, a target and hints that misbehave.

Source and target remember all that they ever held, for simulation_oracle.py. What goes wrong is drawn from the tables
of simulation_faults.py.
"""

from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import event

from connectors.base import Found
from connectors.errors import ParentMissing, Rejected, Transient
from tasks.ledger import migrate
from tasks.ledger.tables import metadata
from tests.chaos import simulation_faults as faults
from tests.siblings import START, MemoryPublisher, MemorySource, MemoryTarget, MovableLedger

DEADLINE = timedelta(seconds=35)
SETTLE = timedelta(seconds=60)


class StillLedger(MovableLedger):
    """A ledger whose clock stands until it is moved, and never shows one time twice; it need survive no power cut."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"sqlite:///{folder}/ledger.db")
        for pragma in ("synchronous = OFF", "journal_mode = MEMORY"):
            event.listen(self.engine, "connect", lambda raw, _, pragma=pragma: raw.execute(f"PRAGMA {pragma}"))
        migrate.upgrade(self)

    def now(self, connection):
        self.ahead += timedelta(microseconds=1)
        return START + self.ahead

    def empty(self):
        self.ahead = timedelta()
        with self.write() as connection:
            for each in reversed(metadata.sorted_tables):
                connection.execute(each.delete())


class Version(NamedTuple):
    """What the source showed from a moment on; numbers are one order over all siblings."""

    number: int
    fields: dict


class Write(NamedTuple):
    """What the target was sent or has committed; `verb` is "delete" for what a person did there."""

    number: int
    verb: str
    key: str
    payload: dict | None


@dataclass
class HostileSource(MemorySource):
    """Stamps whole seconds, as Bitrix24 does; remembers every version and every note."""

    world: Any = None
    versions: dict[str, list[Version]] = field(default_factory=lambda: defaultdict(list))
    written: list[tuple[str, str]] = field(default_factory=list)

    def edit(self, source_id, **fields):
        super().edit(source_id, **fields)
        self.versions[source_id].append(Version(next(self.world.numbers), self.rows[source_id].fields))
        self.world.tell("edited", {source_id: self.rows[source_id].fields})

    def page(self, window, fields):
        self.world.draw(faults.READS)()
        page = self.world.draw(faults.PAGES)(self, super().page(window, fields))
        self._shows(page.rows, "page answered")
        return page

    def read(self, ids, fields, conditions):
        self.world.draw(faults.READS)()
        rows = super().read(sorted(ids), fields, conditions)
        self._shows(rows, "read answered")
        return rows

    def _shows(self, rows, seam):
        self.world.tell("shown", {row.id: row.fields for row in rows})
        if self.world.process.kind != "sync":
            self.world.process.rows = [(self, row.id) for row in rows]
        self.world.reach(seam)

    def write_notes(self, code, notes):
        return self.world.draw(faults.NOTES)(self, notes)

    def take_notes(self, notes):
        """What `write_notes` does where nothing is amiss; the note of a deleted row is refused."""
        for each in notes:
            if each.id in self.rows:
                self.notes[each.id] = each.text
                self.written.append((each.id, each.text))
                self.rows[each.id] = replace(self.rows[each.id], modified=self.clock)
        self.world.reach("batch sent")
        return [None if each.id in self.rows else Rejected("not found", told="") for each in notes]


@dataclass
class HostileTarget(MemoryTarget):
    """Sends nothing after the deadline, as connectors/deadline.py; commits what it was sent within `settle`."""

    world: Any = None
    settle: timedelta = SETTLE
    asked: list[Write] = field(default_factory=list)
    log: list[Write] = field(default_factory=list)
    twice: set[str] = field(default_factory=set)
    flying: list[tuple[datetime, Callable]] = field(default_factory=list)
    ids: Any = field(default_factory=lambda: count(1))

    def find(self, key):
        self.world.reach("find sending")
        self.world.draw(faults.READS)()
        found = Found(f"t{key}", self.held[key]) if key in self.held else None
        self.world.reach("find answered")
        return found

    def create(self, payload):
        return self._send("create", payload)

    def update(self, id_, payload):
        assert self.updates, "never rewritten"
        return self._send("update", payload)

    def _send(self, verb, payload):
        write = Write(next(self.world.numbers), verb, payload["key"], dict(payload))
        self.asked.append(write)
        self.world.reach(f"{verb} sending")
        if self.world.now > self.world.process.intended_at + DEADLINE:
            raise Transient("the deadline is over; nothing was sent")
        answer = self.world.draw(faults.ANSWERS)(self, partial(self._commit, write))
        self.world.reach(f"{verb} answered")
        return answer

    def _commit(self, write):
        if write.verb == "update" and write.key not in self.held:
            return None
        if write.verb == "create" and self.parents is not None and write.payload["client"] not in self.parents:
            raise ParentMissing("400 about client", told="нет клиента")
        if write.verb == "create" and write.key in self.held:
            self.twice.add(write.key)
        self.held[write.key] = write.payload
        self.log.append(write._replace(number=next(self.world.numbers)))
        self.world.tell(f"committed {write.verb}", {write.key: write.payload})
        return f"t{next(self.ids)}"

    def lose(self, key):
        """A person deletes it in the target."""
        if self.held.pop(key, None):
            self.log.append(Write(next(self.world.numbers), "delete", key, None))

    def send_slowly(self, commit):
        """It lands within `settle` of the intent, whatever becomes of the sender."""
        latest = self.world.process.intended_at + self.settle - self.world.now
        self.flying.append((self.world.now + self.world.rng.random() * latest, commit))

    def land(self):
        """Commit what was on its way until now."""
        due = sorted((each for each in self.flying if each[0] <= self.world.now), key=lambda each: each[0])
        self.flying = [each for each in self.flying if each[0] > self.world.now]
        for _, commit in due:
            with suppress(ParentMissing):
                commit()


@dataclass
class LossyPublisher(MemoryPublisher):
    """Its process may die between two halves of what it publishes."""

    world: Any = None

    def sync(self, record_ids):
        middle = len(record_ids) // 2
        super().sync(record_ids[:middle])
        self.world.reach("publish sync")
        super().sync(record_ids[middle:])

    def _add(self, hints):
        for hint in hints:
            if not self.is_down:
                self.world.draw(faults.HINTS)(self.hints, hint)
