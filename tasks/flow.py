"""What a flow is: a kind declared in `flows.py`, an instance bound to connections by `parom.toml`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from connectors.base import Connector, FieldNeed, Row, SourceEntity, TargetEntity
from mappings.outcome import EntityMapping
from tasks.ledger.seen import Event, Seen

STATUS_FIELD_LABEL = "Статус синхронизации"


@dataclass(frozen=True)
class Parent:
    """What records of a kind need first: records of another kind, named by a field of the payload."""

    kind: str
    field: str
    label: str
    """What the source's users call it, in Russian."""
    link: str | None = None
    """The field of the payload that takes the parent's id in the target; None if the target knows it by our key."""


@dataclass(frozen=True)
class Stream:
    """Each record of a kind is an event of one entity: all are kept, and leave in their order. Fields of the row."""

    at: str
    """When it happened, ISO with offset; null if the source does not tell."""
    mark: str
    """What tells it from the event before."""
    begins: str
    """When the entity began, which is the time of a first event that has none."""
    supersedes: bool = True
    """Whether an event is worth nothing once a later one has been delivered."""
    same_within: timedelta = timedelta()
    """How long the source may tell the same event, by its mark, again."""


@dataclass(frozen=True)
class Twin:
    """The kind that carries the same entities the other way, between the same two systems."""

    kind: str
    leads: bool
    """Whether of two edits at once ours wins; the other kind says the opposite."""
    field: str
    """The field of our payload that holds the id which the target's own records have."""
    nameless: str | None = None
    """How source ids of the other kind begin that name nothing in our target: its sender knew no more than our id."""
    spared: tuple[str, ...] = ()
    """Fields of our payload, and of the view, that are not sent while the target shows the same, but more exactly."""


@dataclass(frozen=True)
class FlowKind:
    """A way from one entity to another; instances differ in connections, codes and dictionaries only."""

    name: str
    instance: str
    """What its first instance is usually called."""
    summary: str
    source_system: str
    source_entity: str
    target_system: str
    target_entity: str
    key: str
    """The field of the payload by which the target finds our write; it holds the source id."""
    options: type
    mapping: Callable[[Any], EntityMapping]
    status_types: tuple[str, ...] = ()
    """Types of source field that can hold a note; none if the source is told nothing."""
    parents: tuple[Parent, ...] = ()
    """In the order in which they are seen to; each of another kind."""
    stream: Stream | None = None
    twin: Twin | None = None
    is_pushed: bool = False
    """Whether the source can also send us what changed."""
    demands: Callable[[Any], Sequence[FieldNeed]] = lambda _: ()
    """By the options: what `parom check` must find in the live target."""
    shared: tuple[tuple[str, str], ...] = ()
    """Options that a key of the source's connection says already: (option, key)."""

    def reads(self, options: Any) -> tuple[str, ...]:
        """Codes of the source fields that a mapping with these options reads; the status field may be none of them."""
        codes: tuple[str, ...] = options.codes
        return codes


@dataclass(frozen=True)
class Flow:
    """A flow kind at work between two connections. Durations are positive, datetimes aware."""

    name: str
    kind: FlowKind
    mapping: EntityMapping
    source_name: str
    source_connection: Connector
    target_name: str
    target_connection: Connector
    every: timedelta
    since: datetime
    """Entities created earlier are not ours."""
    starts_at: datetime
    """Where the first poll begins."""
    overlap: timedelta
    status_field: str | None
    success_note: str
    skipped_note: str
    window: int
    parent_flows: Mapping[str, str] = field(default_factory=dict)
    """By kind, the flow that brings what this one's records need first."""
    twin_flow: str | None = None
    """The flow that carries the same entities the other way."""
    demands: Sequence[FieldNeed] = ()
    """What `parom check` must find in the live target."""
    brings_parents: bool = True
    """Whether a parent that its flow never saw, being older than its `since`, is fetched on demand."""

    @property
    def source(self) -> SourceEntity:
        return self.source_connection.source(self.kind.source_entity)

    @property
    def target(self) -> TargetEntity:
        return self.target_connection.target(self.kind.target_entity)

    @property
    def reads(self) -> tuple[str, ...]:
        """Everything asked of the source: what is mapped, and what its status field shows."""
        return (*self.mapping.fields, *([self.status_field] if self.status_field else []))

    def needs(self) -> tuple[FieldNeed, ...]:
        """What `parom check` must find in the live source."""
        uses = [FieldNeed(use.code, use.label, use.types, options=use.options) for use in self.mapping.needs()]
        if self.status_field:
            uses.append(FieldNeed(self.status_field, STATUS_FIELD_LABEL, self.kind.status_types, writable=True))
        return tuple(uses)

    def seen(self, row: Row) -> Seen:
        """What the ledger keeps of a row: mapped fields only, the shown note apart."""
        kept = {code: row.fields[code] for code in self.mapping.fields if code in row.fields}
        shown = row.fields.get(self.status_field) if self.status_field else None
        note = str(shown) if shown else None
        return Seen(row.id, kept, row.modified, note_shown=note, event=self._event(row), version=row.version)

    def _event(self, row: Row) -> Event | None:
        stream = self.kind.stream
        if stream is None:
            return None
        at, begins = (_moment(row.fields.get(name)) for name in (stream.at, stream.begins))
        mark = str(row.fields.get(stream.mark) or "")
        return Event(row.id, mark, stream.at, at, begins, same_within=stream.same_within)


def _moment(value: Any) -> datetime | None:
    """A time with its offset, or None; what is wrong with it is the mapping's to say."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None
