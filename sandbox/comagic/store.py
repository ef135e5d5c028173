"""What an account keeps, by external id; the caller holds the lock. Rows are replaced and never changed in place."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.chronicle import Change, Verb
from sandbox.system import UnknownEntity

Row = dict[str, Any]

IN_PROCESS, SUCCESS, FAILED = "in_process", "success", "failed"
FINAL_ORDERS = {SUCCESS: 10_010, FAILED: 10_020}


def stage(ext_id: str, name: str, status: str, order: int) -> Row:
    return {"stage_ext_id": ext_id, "stage_name": name, "stage_status": status, "stage_order": order}


FUNNEL: Row = {
    "ext_id": "123",
    "name": "Интересы",
    "stages": [
        stage("NEW", "Новый", IN_PROCESS, 10),
        stage("QUALIFIED", "Квалифицирован", IN_PROCESS, 20),
        stage("OFFER", "Предложение", IN_PROCESS, 30),
        stage("CONTRACT", "Договор", IN_PROCESS, 40),
        stage("WON", "Успех", SUCCESS, FINAL_ORDERS[SUCCESS]),
        stage("LOST", "Отказ", FAILED, FINAL_ORDERS[FAILED]),
    ],
}


@dataclass(slots=True)
class Deal:
    """`last` is the last uploaded row, `stages` every (funnel, stage) it had, `passed` what get.deals_history shows."""

    last: Row
    stages: set[tuple[str, str]] = field(default_factory=set)
    passed: list[Row] = field(default_factory=list)


class Store:
    """Directories are plain rows by ext_id; `history` is every row of every deal in the order of acceptance."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Row]] = {"contacts": {}, "user_fields": {}, "employees": {}, "funnels": {}}
        self.deals: dict[str, Deal] = {}
        self.history: list[Row] = []
        self.sessions: dict[str, float] = {}
        self.session_count = 0
        self._processing: deque[tuple[float, Deal, Callable[[], None]]] = deque()
        self._changes: list[Change] = []

    def rows(self, entity: str) -> list[Row]:
        """Raises UnknownEntity."""
        if entity == "deals":
            return [deal.last for deal in self.deals.values()]
        if entity == "deals_history":
            return list(self.history)
        if entity not in self.tables:
            raise UnknownEntity(entity)
        return list(self.tables[entity].values())

    def changes(self) -> list[Change]:
        """What changed since this was last asked."""
        told, self._changes = self._changes, []
        return told

    def put(self, entity: str, row: Row) -> None:
        table, ext_id = self.tables[entity], row["ext_id"]
        self.note(entity, ext_id, "updated" if ext_id in table else "created", row)
        table[ext_id] = row

    def remove(self, entity: str, ext_id: str) -> None:
        del self.tables[entity][ext_id]
        self.note(entity, ext_id, "deleted", None)

    def remove_deal(self, ext_id: str) -> None:
        del self.deals[ext_id]
        self.history = [row for row in self.history if row["ext_id"] != ext_id]
        self.note("deals", ext_id, "deleted", None)

    def note(self, entity: str, key: str, verb: Verb, state: Row | None) -> None:
        self._changes.append(Change(entity, key, verb, state))

    def is_used(self, is_user: Callable[[Row], bool]) -> bool:
        """Whether any row of any deal is such a user."""
        return any(is_user(row) for row in self.history)

    # Accepted rows are processed later (facts/comagic.md §8).

    def process_at(self, due: float, deal: Deal, finish: Callable[[], None]) -> None:
        self._processing.append((due, deal, finish))

    def process(self, now: float) -> int:
        """Finish what is due, first come first served; how many deals are still in processing."""
        while self._processing and self._processing[0][0] <= now:
            self._processing.popleft()[2]()
        return len({id(deal) for _, deal, _ in self._processing if self.deals.get(deal.last["ext_id"]) is deal})
