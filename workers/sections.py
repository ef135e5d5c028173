"""The sections of `parom.toml`, key by key; `schema.py` reads them, `example.py` writes the example from them.

What a system adds to a connection, and a kind to a flow, is declared by their own dataclasses.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from connectors.base import Secret
from tasks.flow import FlowKind

SECOND = timedelta(seconds=1)


def about(text: str, **more: Any) -> Mapping[str, Any]:
    return {"help": text, **more}


@dataclass(frozen=True, kw_only=True)
class Basics:
    """The keys above all tables. `repr` hides the URLs: they may hold passwords."""

    timezone: ZoneInfo = field(metadata=about("that of dates and times which name none", example="Europe/Moscow"))
    database_url: str = field(
        default="sqlite:///var/parom.db", repr=False, metadata=about("the ledger; PostgreSQL in production")
    )
    redis_url: str = field(default="embedded", repr=False, metadata=about("Redis 6.2 or later in production"))
    var: Path = field(default=Path("var"), metadata=about("folder, beside this file, of what Parom keeps on disk"))
    threads: int = field(default=200, metadata=about("records at a time in one worker; waiting is cheap", min=1))
    lease: timedelta = field(default=15 * SECOND, metadata=about("how long a record waits for a worker that died"))
    history_days: int = field(default=90, metadata=about("days for which attempts are remembered", min=1))
    api_token: Secret | None = field(
        default=None,
        metadata=about(
            "what operators' programs show at /api/; without it nobody may ask there", example="${PAROM_API_TOKEN}"
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Tables:
    """All that stands below the basics."""

    connections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    flows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ConnectionKeys:
    system: str = field(metadata=about("the outside system"))


@dataclass(frozen=True, kw_only=True)
class FlowKeys:
    kind: str = field(metadata=about("what is carried where"))
    source: str = field(metadata=about("the connection that is read"))
    target: str = field(metadata=about("the connection that is written to"))
    since: date = field(metadata=about("what was created earlier is left alone", example=date(2026, 1, 1)))
    modified_since: datetime | date | None = field(
        default=None, metadata=about("where the first poll begins, if not at since", example=date(2026, 1, 1))
    )
    every: timedelta = field(default=60 * SECOND, metadata=about("pause between polls", min=SECOND))
    overlap: timedelta = field(default=120 * SECOND, metadata=about("how far a poll looks back for late changes"))
    window: int = field(default=48, metadata=about("records of this flow in Redis at a time", min=1))
    enabled: bool = field(default=True, metadata=about("false stops the flow; it keeps what it knows"))


@dataclass(frozen=True, kw_only=True)
class NoteKeys:
    """Of a kind whose source is told how its records fared."""

    status_field: str = field(metadata=about("the source's text field for notes", example="UF_CRM_SYNC_STATUS"))
    success_note: str = field(default="Успешно", metadata=about("the note on a record that was delivered"))
    skipped_note: str = field(default="Успешно", metadata=about("the note on a record that need not be delivered"))


@dataclass(frozen=True, kw_only=True)
class ChildKeys:
    """Of a kind whose records need those of another flow first."""

    parent: str = field(metadata=about("the flow that brings what these records need first"))
    brings_parents: bool = field(default=True, metadata=about("fetch a parent that is older than its flow's since"))


@dataclass(frozen=True, kw_only=True)
class ChildrenKeys:
    """Of a kind whose records need those of several other flows first."""

    parents: tuple[str, ...] = field(metadata=about("the flows that bring what these records need first"))
    brings_parents: bool = field(default=True, metadata=about("fetch a parent that is older than its flow's since"))


@dataclass(frozen=True, kw_only=True)
class InboxKeys:
    """Of a kind whose source can also send us what changed."""

    inbox_token: Secret | None = field(
        default=None, metadata=about("what the source shows at POST /inbox/NAME; without it nobody can push")
    )
    inbox_patience: timedelta = field(
        default=10 * SECOND,
        metadata=about("how long a pushed event waits for earlier ones that arrive after it", min=timedelta()),
    )


@cache
def flow_keys(kind: FlowKind) -> type[FlowKeys]:
    """The keys that every flow of the kind has."""
    wanted = (
        (InboxKeys, kind.is_pushed),
        (ChildKeys, len(kind.parents) == 1),
        (ChildrenKeys, len(kind.parents) > 1),
        (NoteKeys, kind.status_types),
    )
    bases = (*(keys for keys, is_wanted in wanted if is_wanted), FlowKeys)
    return make_dataclass("FlowKeys", (), bases=bases, frozen=True, kw_only=True)
