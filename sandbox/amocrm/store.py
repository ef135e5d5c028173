"""What an account keeps; the caller holds the lock. Rows are replaced and never changed in place.

A contact's row holds its company, a lead's its company and its contacts: the links at their other ends are an index.
"""

import itertools
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.amocrm import reference
from sandbox.amocrm.reference import ENTITIES
from sandbox.chronicle import Change
from sandbox.clock import Clock
from sandbox.system import UnknownEntity

Row = dict[str, Any]
Deed = Literal["add", "update", "delete", "restore", "merge"]

FIRST_IDS = {"contacts": 5_000_001, "companies": 6_000_001, "leads": 4_000_001, "notes": 2_000_001, "tasks": 1_000_001}
FIRST_FIELD, FIRST_ENUM, FIRST_TAG = 400_001, 4_900_001, 500_001
EVENTS_KEPT = 100_000


@dataclass(frozen=True, slots=True)
class News:
    """What a commit did to one row, for the list of events and for webhooks; `by` is the author's user id."""

    deed: Deed
    entity: str
    row_id: int
    before: Row | None
    after: Row | None
    by: int


class Store:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.tables: dict[str, dict[int, Row]] = {name: {} for name in FIRST_IDS}
        self.trash: dict[str, dict[int, Row]] = {name: {} for name in ENTITIES}
        self.fields = reference.fields()
        self.tags: dict[str, dict[str, int]] = {name: {} for name in ENTITIES}
        self.events: deque[Row] = deque(maxlen=EVENTS_KEPT)
        self.event_ids = itertools.count(1)
        self.field_ids, self.enum_ids = itertools.count(FIRST_FIELD), itertools.count(FIRST_ENUM)
        self._tag_ids = itertools.count(FIRST_TAG)
        self._ids = {name: itertools.count(first) for name, first in FIRST_IDS.items()}
        self._born: dict[tuple[str, int], float] = {}
        self._back: defaultdict[tuple[str, int, str], set[int]] = defaultdict(set)
        self._changes: list[Change] = []
        self._news: list[News] = []

    def rows(self, entity: str) -> list[Row]:
        """Raises UnknownEntity."""
        if entity == "custom_fields":
            return [row for held in self.fields.values() for row in held.values()]
        if entity == "events":
            return list(self.events)
        if entity not in self.tables:
            raise UnknownEntity(entity)
        return sorted(self.tables[entity].values(), key=lambda row: int(row["id"]))

    def now(self) -> int:
        """Unix seconds, as every time of the vendor is."""
        return int(self._clock.now().timestamp())

    def new_id(self, entity: str) -> int:
        """One that nobody has: a person may have named some."""
        kept = self.tables[entity], self.trash.get(entity, {})
        return next(number for number in self._ids[entity] if not any(number in rows for rows in kept))

    def has(self, entity: str, row_id: Any) -> bool:
        """Whether this is the id of a row; anything but a whole number is not."""
        return type(row_id) is int and row_id in self.tables[entity]

    def age_s(self, entity: str, row_id: int) -> float:
        return self._clock.elapsed() - self._born[entity, row_id]

    def tag(self, entity: str, name: str) -> Row:
        if name not in self.tags[entity]:
            self.tags[entity][name] = next(self._tag_ids)
        return {"id": self.tags[entity][name], "name": name, "color": None}

    def put(self, entity: str, row: Row, *, by: int | None = None, deed: Deed | None = None) -> Row:
        """A new state of a row, told as news unless nobody (`by` None) did it."""
        table, row_id = self.tables[entity], int(row["id"])
        before = table.get(row_id)
        if before is None:
            self._born.setdefault((entity, row_id), self._clock.elapsed())
        self._reindex(entity, before, row)
        table[row_id] = row
        self._changes.append(Change(entity, str(row_id), "updated" if before else "created", row))
        if by is not None:
            self._news.append(News(deed or ("update" if before else "add"), entity, row_id, before, row, by))
        return row

    def discard(self, entity: str, row_id: int, *, by: int) -> None:
        """Into the trash; raises KeyError. Links to the row go, links of the row wait there."""
        row = self.tables[entity].pop(row_id)
        self._reindex(entity, row, None)
        self.trash[entity][row_id] = row | {"is_deleted": True, "updated_at": self.now(), "updated_by": by}
        self._changes.append(Change(entity, str(row_id), "deleted", None))
        self._news.append(News("delete", entity, row_id, row, None, by))

    def linked(self, entity: str, row_id: int, other: str) -> list[int]:
        """The leads or contacts whose rows name this one."""
        return sorted(self._back[entity, row_id, other])

    def changes(self) -> list[Change]:
        told, self._changes = self._changes, []
        return told

    def news(self) -> list[News]:
        told, self._news = self._news, []
        return told

    def _reindex(self, entity: str, before: Row | None, after: Row | None) -> None:
        had, has = _named(entity, before), _named(entity, after)
        row_id = int((after or before or {})["id"])
        for other in had - has:
            self._back[(*other, entity)].discard(row_id)
        for other in has - had:
            self._back[(*other, entity)].add(row_id)


def _named(entity: str, row: Row | None) -> set[tuple[str, int]]:
    """Whom a row names as linked."""
    if row is None or entity not in ("contacts", "leads"):
        return set()
    contacts = {("contacts", int(link["id"])) for link in row.get("contacts", ())}
    return contacts | ({("companies", int(row["company_id"]))} if row["company_id"] else set())
