"""The base's objects, what links them, and every stage an Interest came through; the caller holds the lock."""

import base64
import itertools
import random
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from sandbox.chronicle import Change, Who
from sandbox.onec.interests import Values, state_of, with_communication
from sandbox.onec.moments import local, zone_of
from sandbox.onec.reference import (
    EMPTY_REF,
    INTERESTS,
    MODIFIED,
    PEOPLE,
    STAFF,
    STAGE_CHANGED,
    STAGES,
    STATES,
    USERS,
)
from sandbox.onec.schema import BLANK, SETS
from sandbox.onec.switches import Switches

Record = Callable[[Who, Sequence[Change]], None]
STAGE = "СостояниеИнтереса_Key"


class Store:
    """Sets of objects by Ref_Key. An object is a map of its properties as sent, replaced and never changed in place.

    `save` changes objects; `settle` then finds out what became of the Interests, and `record` is told on `commit`.
    """

    def __init__(self, now: Callable[[], datetime], record: Record) -> None:
        self.switches = Switches()
        self.tables: dict[str, dict[str, Values]] = {name: {} for name in SETS}
        self.states: dict[str, list[Values]] = {}
        self.reads = itertools.count()
        self._now = now
        self._record = record
        self._versions = itertools.count(1)
        self._numbers: dict[str, itertools.count[int]] = defaultdict(lambda: itertools.count(1))
        self._dice = random.Random("1C")
        self._of_person: dict[str, dict[str, None]] = defaultdict(dict)
        self._touched: dict[str, None] = {}
        self._changes: list[Change] = []
        self._ordered: dict[str, list[Values]] = {}
        self._lay_foundations()

    def now(self) -> str:
        """The base's own time."""
        return local(self._now(), zone_of(self.switches.time_zone))

    def new_ref(self) -> str:
        return str(uuid.UUID(int=self._dice.getrandbits(128), version=4))

    def new_number(self, date: str) -> str:
        """Unique within its year only."""
        return f"0000-{next(self._numbers[date[:4]]):06}"

    def find(self, ref: str, *names: str) -> Values | None:
        """The object, looked for in all sets unless some are named."""
        tables = (self.tables[name] for name in names or SETS)
        return next((table[ref] for table in tables if ref in table), None)

    def ordered(self, name: str) -> list[Values]:
        """All objects of a set by reference: the order is stable, and not that of the GUIDs (§A2)."""
        if name not in self._ordered:
            self._ordered[name] = sorted(self.tables[name].values(), key=lambda values: self.rank(values["Ref_Key"]))
        return self._ordered[name]

    def rank(self, ref: str) -> tuple[str, str]:
        """Where a reference stands among others: as the database keeps its bytes, or by its presentation."""
        presentation = ""
        if self.switches.ref_order == "presentation" and (values := self.find(ref)) is not None:
            presentation = values.get("Description") or f"{values.get('Date')} {values.get('Number')}"
        return presentation, f"{ref[19:23]}{ref[24:]}{ref[14:18]}{ref[9:13]}{ref[:8]}"

    def forget_order(self) -> None:
        self._ordered.clear()

    def save(self, name: str, values: Values, *, given: Iterable[str] = ()) -> Values:
        """Write an object; dates that are `given` stay, the others tell that it was written, and moved, now."""
        ref = values["Ref_Key"]
        before = self.tables[name].get(ref)
        if name == INTERESTS:
            values = self._stamped(values, before, frozenset(given))
            self._relink(ref, before, values)
            self._touched[ref] = None
        self.tables[name][ref] = values | {"DataVersion": self._next_version()}
        self._ordered.pop(name, None)
        self._touched.update(self._of_person.get(ref, {}))
        return self.tables[name][ref]

    def settle(self) -> None:
        """What the changes since the last time made of the Interests: each new state is a version of its own."""
        zone = zone_of(self.switches.time_zone)
        for ref in self._touched:
            interest = self.tables[INTERESTS][ref]
            self._restate(ref, state_of(interest, self._people_of(interest), zone))
        self._touched.clear()

    def commit(self, who: Who) -> None:
        self.settle()
        self._record(who, self._changes)
        self._changes = []

    def _restate(self, ref: str, state: Values) -> None:
        stages = self.states.setdefault(ref, [])
        if stages and stages[-1] == state:
            return
        self._changes.append(Change("interests", ref, "updated" if stages else "created", state))
        if stages and stages[-1]["stage"] == state["stage"]:
            stages[-1] = state
        else:
            stages.append(state)

    def _people_of(self, interest: Values) -> list[Values]:
        found = (self.find(interest[f"{slot}_Key"]) for slot in PEOPLE if interest[f"{slot}_Key"] != EMPTY_REF)
        return [person for person in found if person is not None and "КонтактнаяИнформация" in person]

    def _stamped(self, values: Values, before: Values | None, given: frozenset[str]) -> Values:
        stamps = {} if MODIFIED in given else {MODIFIED: self.now()}
        if STAGE_CHANGED not in given and (before is None or before[STAGE] != values[STAGE]):
            stamps[STAGE_CHANGED] = self.now()
        return with_communication(values, given) | stamps

    def _relink(self, ref: str, before: Values | None, after: Values) -> None:
        for slot in PEOPLE:
            if before is not None:
                self._of_person[before[f"{slot}_Key"]].pop(ref, None)
        for slot in PEOPLE:
            self._of_person[after[f"{slot}_Key"]][ref] = None

    def _next_version(self) -> str:
        return base64.b64encode(next(self._versions).to_bytes(8, "big")).decode()

    def _lay_foundations(self) -> None:
        for name, rows in ((STATES, STAGES), (USERS, STAFF)):
            for number, (description, ref) in enumerate(rows.items(), start=1):
                row: dict[str, Any] = {"Ref_Key": ref, "Code": f"{number:09}", "Description": description}
                self.save(name, BLANK[name] | row)
