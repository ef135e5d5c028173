"""What the engine sees of a mapping: its protocol, its two outcomes, and the text for the person who can mend a record.

The third outcome is `marshmallow.ValidationError`: the record is wrong. It carries messages only, never the record's
data, and no message repeats a value: notes, logs and `parom history` show these texts to people.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from marshmallow import ValidationError

LONGEST_NOTE = 255


@dataclass(frozen=True)
class Mapped:
    """The payload to send. `warnings` (Russian) name what was left out or assumed for want of a readable value."""

    payload: dict[str, Any]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skipped:
    """The record is none of this flow's business. `reason` is for `parom history` and names nobody."""

    reason: str


@dataclass(frozen=True)
class FieldUse:
    """A source field that a mapping reads, and so what `parom check` must find on the live system."""

    code: str
    label: str
    types: tuple[str, ...]
    """Any of which will do; none for what the source's connector fetches from elsewhere."""
    options: frozenset[int] = frozenset()
    """Enumeration ids that the configuration names."""


class EntityMapping(Protocol):
    """One source entity → one target entity. Built from its own frozen options dataclass; shared between threads."""

    fields: tuple[str, ...]
    """Codes of the source fields it reads, as the vendor spells them."""

    conditions: Mapping[str, tuple[str, ...]]
    """By field code: the values of which a source entity must have one to be of interest at all."""

    def map(self, raw: Mapping[str, Any], *, today: date) -> Mapped | Skipped:
        """Map `raw`, the source's own names and types. Raises ValidationError: {code: [message, …]} in schema order."""

    def needs(self) -> Iterable[FieldUse]:
        """Every field of `fields`, described."""


class TwinMapping(EntityMapping, Protocol):
    """A mapping of entities that travel both ways; its twin maps the same entities back."""

    def common(self, raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What both systems show of the entity, in one form: the twin makes the same of its own row of it.

        What the row does not tell is absent; None if it tells nothing.
        """


def agree(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Of what `common` makes of an entity's two rows: whether both tell something, and in all of it the same."""
    here, there = one or {}, other or {}
    both = here.keys() & there.keys()
    return bool(both) and all(here[name] == there[name] for name in both)


def told(error: ValidationError) -> str:
    """All messages of `error` in their order, joined by "; "; the last ones give way to "…" beyond 255 characters."""
    messages = list(dict.fromkeys(_texts(error.messages)))
    text = "; ".join(messages)
    while len(text) > LONGEST_NOTE and len(messages) > 1:
        messages.pop()
        text = "; ".join([*messages, "…"])
    return text if len(text) <= LONGEST_NOTE else text[: LONGEST_NOTE - 1] + "…"


def _texts(messages: Any) -> Iterator[str]:
    if isinstance(messages, str):
        yield messages
        return
    for message in messages.values() if isinstance(messages, Mapping) else messages:
        yield from _texts(message)
