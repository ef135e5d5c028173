"""Preview: what would be sent for one record, against what the target holds now. Writes nothing anywhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from mappings.outcome import Mapped, Skipped
from tasks.flow import Flow

ABSENT = object()


@dataclass(frozen=True)
class Difference:
    """One field of the payload: what would be sent, and what the target shows (ABSENT if it shows none)."""

    field: str
    sent: Any
    held: Any

    @property
    def is_equal(self) -> bool:
        """Whether sending it would change nothing."""
        return bool(self.sent == self.held)


@dataclass(frozen=True)
class Preview:
    """`target_id` is None while the target has no such entity. A skipped record has no fields."""

    outcome: Mapped | Skipped
    target_id: str | None = None
    fields: tuple[Difference, ...] = ()


def preview(flow: Flow, source_id: str, *, today: date) -> Preview | None:
    """Read the entity from the source as it is now and map it. None if the source has none of that id.

    Raises marshmallow.ValidationError as the mapping does, and ConnectorError if a system cannot be asked.
    """
    rows = flow.source.read([source_id], flow.reads, flow.mapping.conditions)
    if not rows:
        return None
    mapped = flow.mapping.map(rows[0].fields, today=today)
    if isinstance(mapped, Skipped):
        return Preview(mapped)
    found = flow.target.find(str(mapped.payload[flow.kind.key]))
    held: Mapping[str, Any] = found.fields if found else {}
    fields = tuple(Difference(field, sent, held.get(field, ABSENT)) for field, sent in mapped.payload.items())
    return Preview(mapped, found.id if found else None, fields)
