"""What a source showed, on its way into the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True)
class Event:
    """One of the things that happen to a source entity, in an order that the target must keep."""

    stream: str
    """The entity's id."""
    mark: str
    """What tells it from the event before."""
    field: str
    """The field of the row that says when it happened."""
    position: datetime | None
    """When it happened, aware; None if the source does not tell."""
    begins: datetime | None
    """When the entity began; aware."""
    same_within: timedelta = timedelta()
    """How long after an event another one of its mark is the same."""
    ripens_in: timedelta = timedelta()
    """How long it waits, from now on, for earlier ones that may come after it."""


@dataclass(frozen=True)
class Seen:
    """One entity as a source showed it: the mapped fields, when it changed there, what its status field says."""

    source_id: str
    fields: Mapping[str, Any]
    modified: datetime
    note_shown: str | None = None
    event: Event | None = None
    version: str | None = None
    """What the source calls this state of the entity; no content."""
