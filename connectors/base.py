"""What the engine asks of an outside system. Connectors fulfil these protocols; nothing here does I/O.

Configuration of a connector is a frozen dataclass: the annotation of a field is its type in `parom.toml`, its
`metadata["help"]` the comment that `parom init` writes, a `Secret` never leaves `repr`, log or error.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, Protocol, Self

from connectors.errors import ConnectorError


class Secret(str):
    """A string that must not be shown: its `repr` is masked, its value is used as any `str`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


@dataclass(frozen=True)
class Row:
    """One entity as the source shows it. `fields` are the vendor's names and types; times are aware."""

    id: str
    fields: Mapping[str, Any]
    modified: datetime
    created: datetime
    version: str | None = None
    """What the source calls this state of the entity, if it counts them."""


Conditions = Mapping[str, Sequence[str]]
"""By field code: the values of which an entity must have one."""


@dataclass(frozen=True)
class Window:
    """A question to the source: what changed since (inclusive), above which id. Times are aware."""

    modified_since: datetime
    created_since: datetime | None = None
    after_id: str | None = None
    conditions: Conditions = field(default_factory=dict)
    unknown: Callable[[Mapping[str, str]], Collection[str]] | None = None
    """Of versions by id: the ids whose version is not known yet. For sources that cannot tell what changed since."""


@dataclass(frozen=True)
class Page:
    """One answer. `server_time` is the source's clock when it began to answer.

    `last_id` is where the next page goes on: the highest id that was looked at, or a place of the connector's own.
    A row may come again in a later page.
    """

    rows: tuple[Row, ...]
    last: bool
    server_time: datetime
    last_id: str | None


@dataclass(frozen=True)
class Note:
    """A text for one entity's status field; and what the target made of it, where the source has a place for that."""

    id: str
    text: str
    target_id: str | None = None
    link: str | None = None


class Malformed(ValueError):
    """What a source sent us has not the shape that was agreed on. The text is for the sender, and shows no values."""


class SourceEntity(Protocol):
    """A kind of entity that can be read and, where the system has a status field, written a note."""

    def page(self, window: Window, fields: Sequence[str]) -> Page:
        """The next page of `window`. Raises Transient, Throttled or Refused."""

    def read(self, ids: Sequence[str], fields: Sequence[str], conditions: Conditions) -> tuple[Row, ...]:
        """The named entities as they are now; the deleted, and those that fail a condition, are absent.

        Raises as `page`.
        """

    def write_notes(self, field: str, notes: Sequence[Note]) -> list[ConnectorError | None]:
        """Write each note into `field`; one result per note, in order: None, or why that one failed."""

    def received(self, item: Any) -> Row:
        """The row that an item pushed by the source stands for. Raises Malformed; NotImplementedError if none can."""


class Located(str):
    """A target's id of an entity, and where a person finds it there."""

    __slots__ = ("link",)

    def __new__(cls, id_: str, *, link: str | None) -> Self:
        made = super().__new__(cls, id_)
        made.link = link
        return made

    link: str | None


class WriteClass(StrEnum):
    """What a repeated write does in the target (RELIABILITY §2)."""

    UPSERT = "A"
    CREATE_AND_FIND = "B"
    CREATE_BLIND = "C"


@dataclass(frozen=True)
class Found:
    """An entity as the target holds it: its own id there, and all fields it shows."""

    id: str
    fields: Mapping[str, Any]


class TargetEntity(Protocol):
    """A kind of entity that can be found by our key, created and updated."""

    write_class: WriteClass
    updates: bool
    """Whether an entity may be overwritten once it is there."""
    settle: timedelta
    """How long after a lost answer a write may still become visible."""

    def find(self, key: str) -> Found | None:
        """The entity that carries `key`. Raises Transient, Throttled, Refused; Rejected for an impossible key."""

    def match(self, payload: Mapping[str, Any]) -> str | None:
        """The id of an entity that does not carry our key and is the same by what the payload says of it, or None.

        Raises as `find`; Rejected if several could be meant.
        """

    def create(self, payload: Mapping[str, Any]) -> str:
        """Create and return the target's id. Raises any ConnectorError; InDoubt when the answer was lost."""

    def update(self, id_: str, payload: Mapping[str, Any]) -> str | None:
        """Overwrite the entity of that id and return it, or None if there is none. Raises as `create`."""


@dataclass(frozen=True)
class Finding:
    """One line of `parom check`."""

    level: Literal["ok", "warning", "error"]
    text: str
    hint: str = ""


@dataclass(frozen=True)
class Health:
    """How a connection stands, by what Redis remembers of it; the system itself is not asked.

    `breaker` is closed, open or half-open, and unknown while Redis does not answer. `seconds` pass until the next call
    may go. `budget_used` is 1.0 when no call may go at once, and more while the vendor wants to be left alone.
    """

    breaker: str
    seconds: float
    budget_used: float


@dataclass(frozen=True)
class FieldNeed:
    """A source field that a flow reads or writes: what `parom check` must find on the live system."""

    code: str
    label: str
    types: tuple[str, ...]
    writable: bool = False
    options: frozenset[int] = frozenset()
    """Enumeration ids that the configuration names."""


class Vault(Protocol):
    """Where a connector keeps secrets that it was given while it ran: encrypted, durable, one for all workers."""

    def read(self, name: str) -> str | None:
        """What was written last, or None. Raises Transient if the store does not answer."""

    def write(self, name: str, value: str) -> None:
        """Durable when it returns. Raises as `read`."""

    def exclusively(self, name: str, *, longest: timedelta) -> AbstractContextManager[None]:
        """Hold `name` alone, among all processes, for at most `longest`. Raises Throttled if others hold it so long."""


class Connector(Protocol):
    """One account of one outside system."""

    def source(self, entity: str) -> SourceEntity:
        """The entity kind by name, as declared in `tasks/flows.py`. KeyError if the system has none."""

    def target(self, entity: str) -> TargetEntity:
        """As `source`."""

    def headroom(self) -> int:
        """How many records it could serve within a few seconds, by its rate budget; 1 while it is unavailable.

        Dispatch hands out no more, so that records wait in the ledger and not in a worker's thread.
        """

    def health(self) -> Health:
        """For `parom status`: cheap, and raises nothing."""

    def probe(self) -> None:
        """One cheap call that succeeds if and only if the account works. Raises as a read does."""

    def check(self, entity: str, needs: Sequence[FieldNeed]) -> Iterable[Finding]:
        """Compare the live account with what the configuration expects.

        Makes fields of our own where they are missing, and writes nothing else.
        """
