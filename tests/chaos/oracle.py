"""The judge. It sees what the source ever held and what the target ever held, and nothing of Parom's own books.

Both come from the sandbox's chronicle: every state of every row, in the one order in which they were committed.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from tasks.flow import Flow
from tasks.flows import KINDS
from workers.cli.verify import SOURCES, TARGETS, expected


@dataclass(frozen=True)
class State:
    """What a row held from `seq` on; `values` is None from its deletion on."""

    seq: int
    values: Mapping[str, Any] | None
    is_new: bool


@dataclass
class Verdict:
    """Violations by what was promised, each as a sentence; and how much was looked at."""

    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    reordered: list[str] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)
    untrue_notes: list[str] = field(default_factory=list)
    restless: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    records: int = 0
    versions: int = 0
    writes: int = 0

    @property
    def violations(self) -> list[str]:
        lists = {name: found for name, found in vars(self).items() if isinstance(found, list)}
        return [f"{name}: {text}" for name, found in lists.items() for text in found]

    def __add__(self, other: "Verdict") -> "Verdict":
        return Verdict(**{name: value + getattr(other, name) for name, value in vars(self).items()})


class Chronicle:
    """The states of rows by (system, entity) and key, oldest first."""

    def __init__(self, entries: Sequence[Mapping[str, Any]]) -> None:
        self._rows: dict[tuple[str, str], dict[str, list[State]]] = defaultdict(lambda: defaultdict(list))
        for entry in entries:
            if (entry["state"] or {}).get("is_generated"):
                continue  # the target's own guess at what nobody told it
            state = State(entry["seq"], entry["state"], entry["verb"] == "created")
            self._rows[entry["system"], entry["entity"]][entry["key"]].append(state)

    def of(self, system: str, entity: str) -> dict[str, list[State]]:
        return self._rows[system, entity]


def judge(flow: Flow, chronicle: Chronicle, users: Mapping[str, Any], zone: ZoneInfo) -> Verdict:
    """Every row of the flow's source against the states of its target row, and children against their parents."""
    sources = chronicle.of(flow.kind.source_system, flow.kind.source_entity)
    targets = chronicle.of(flow.kind.target_system, flow.kind.target_entity)
    parent, parents = next(iter(flow.kind.parents), None), _parents(flow, chronicle)
    verdict = Verdict(records=len(sources), versions=sum(map(len, sources.values())))
    for key, states in sources.items():
        _Row(flow, key, [_as_read(state, users) for state in states], targets.get(key, []), parents, zone).judge(
            verdict
        )
    for key, states in targets.items():
        verdict.writes += len(states)
        if key not in sources:
            verdict.other.append(f"{flow.name} {key}: in the target, and never was in the source")
        owner = parent and states[0].values.get(parent.field)
        if owner and parents.get(str(owner), states[0].seq) >= states[0].seq:
            verdict.orphaned.append(f"{flow.name} {key}: created before its parent")
    return verdict


def _parents(flow: Flow, chronicle: Chronicle) -> Mapping[str, int]:
    """When each possible parent was created in the target, by its key."""
    kinds = [KINDS[parent.kind] for parent in flow.kind.parents]
    held = [chronicle.of(kind.target_system, kind.target_entity) for kind in kinds]
    return {key: states[0].seq for rows in held for key, states in rows.items()}


def _as_read(state: State, users: Mapping[str, Any]) -> State:
    """As the connector shows a row: with the seller's name."""
    if state.values is None or "ASSIGNED_BY_ID" not in state.values:
        return state
    seller = users.get(str(state.values["ASSIGNED_BY_ID"]))
    return State(state.seq, {**state.values, "ASSIGNED_BY": seller}, state.is_new)


@dataclass
class _Row:
    """One source entity: its versions, and the committed states of its target entity."""

    flow: Flow
    key: str
    versions: list[State]
    written: list[State]
    parents: Mapping[str, int]
    zone: ZoneInfo

    def __post_init__(self) -> None:
        self._as_held = TARGETS[self.flow.kind.target_system]
        self._source = SOURCES[self.flow.kind.source_system]
        self._name = f"{self.flow.name} {self.key}"
        self._payloads = [self._wanted(version.values) for version in self.versions]

    def judge(self, verdict: Verdict) -> None:
        creations = sum(state.is_new for state in self.written)
        if creations > 1:
            verdict.duplicated.append(f"{self._name}: created {creations} times")
        verdict.reordered += self._steps_back()
        final = self.versions[-1].values
        if final is None or not self._meets(final) or self._is_older(final) or self._is_yet_to_come(final):
            return
        verdict.lost += self._misses()
        if self.flow.status_field:
            verdict.untrue_notes += self._untrue_note(final.get(self.flow.status_field) or "")

    def _steps_back(self) -> Iterator[str]:
        """The written states must be a walk through the versions, never back and never before their time."""
        at = 0
        for number, state in enumerate(self.written, 1):
            found = next((index for index in range(at, len(self.versions)) if self._could_show(state, index)), None)
            if found is None:
                yield f"{self._name}: write {number} of {len(self.written)} shows no version from number {at + 1} on"
                return
            at = found

    def _could_show(self, state: State, index: int) -> bool:
        return self.versions[index].seq < state.seq and self._shows(state, index)

    def _shows(self, state: State, index: int) -> bool:
        payload, _ = self._payloads[index]
        if payload is None:
            return False
        held = self._as_held(payload)
        return all(state.values.get(name) == held[name] for name in held)

    def _misses(self) -> Iterator[str]:
        payload, _ = self._payloads[-1]
        if payload is None:
            return
        if not self.written and not self._lacks_parent(payload):
            yield f"{self._name}: never arrived"
        if self.written and self.flow.target.updates and not self._shows(self.written[-1], len(self.versions) - 1):
            yield f"{self._name}: the last version did not arrive"

    def _untrue_note(self, shown: str) -> Iterator[str]:
        payload, note = self._payloads[-1]
        if payload is not None and not self.written:
            is_true = shown != self.flow.success_note  # it waits for its parent, in whatever words
        else:
            is_true = shown == (self.flow.success_note if self._is_final() else note)
        if not is_true:
            yield f"{self._name}: {'the note is missing' if not shown else 'the note is another one'}"

    def _is_older(self, values: Mapping[str, Any]) -> bool:
        created = values[self._source.created]
        return bool(created) and datetime.fromisoformat(created) < self.flow.since

    def _is_yet_to_come(self, values: Mapping[str, Any]) -> bool:
        """Dated by a clock that ran ahead: CoMagic refuses it, and the manager is told, until that moment has come."""
        created = values[self._source.created]
        return bool(created) and datetime.fromisoformat(created) > datetime.now(self.zone)

    def _is_final(self) -> bool:
        return bool(self.written) and not self.flow.target.updates

    def _meets(self, values: Mapping[str, Any]) -> bool:
        return all(str(values.get(code)) in wanted for code, wanted in self.flow.mapping.conditions.items())

    def _wanted(self, values: Mapping[str, Any] | None) -> tuple[dict[str, Any] | None, str]:
        if values is None or not self._meets(values):
            return None, ""
        return expected(self.flow, values, self.zone)

    def _lacks_parent(self, payload: Mapping[str, Any]) -> bool:
        parent = next(iter(self.flow.kind.parents), None)
        owner = parent and payload.get(parent.field)
        return bool(owner) and str(owner) not in self.parents
