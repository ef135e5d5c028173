"""`parom.toml` as values. `load` names all that is wrong at once, with line, key and hint, and shows no secret."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Any

from connectors.base import Secret
from tasks.flow import FlowKind
from workers.checks import Checks
from workers.document import read_document
from workers.faults import SettingsError
from workers.logs import secret_parts
from workers.sections import Basics, ConnectionKeys, FlowKeys
from workers.urls import absolute

__all__ = ["ConnectionSettings", "FlowSettings", "Settings", "SettingsError", "load"]


@dataclass(frozen=True, kw_only=True)
class ConnectionSettings(ConnectionKeys):
    """One account of one outside system; `config` is of the system's dataclass."""

    name: str
    config: Any


@dataclass(frozen=True, kw_only=True)
class FlowSettings(FlowKeys):
    """A flow as the file binds it; `options` is of its kind's dataclass, `modified_since` aware."""

    name: str
    options: Any
    modified_since: datetime
    status_field: str | None = None
    success_note: str = ""
    skipped_note: str = ""
    parent: str | None = None
    parents: tuple[str, ...] = ()
    brings_parents: bool = True
    inbox_token: Secret | None = None
    inbox_patience: timedelta = timedelta()


@dataclass(frozen=True, kw_only=True)
class Settings(Basics):
    """The whole file, checked; paths are absolute."""

    connections: Mapping[str, ConnectionSettings]
    flows: Mapping[str, FlowSettings]

    @property
    def is_redis_embedded(self) -> bool:
        """Whether Redis is ours to start."""
        return self.redis_url == "embedded"

    def secrets(self) -> frozenset[str]:
        """Everything that no log, error or page may show, in each form in which it may turn up."""
        return frozenset(_secrets(self))


def load(
    path: Path | str | None,
    environ: Mapping[str, str],
    *,
    systems: Mapping[str, type],
    kinds: Mapping[str, FlowKind],
) -> Settings:
    """The settings in `path`, or in PAROM_CONFIG, or in ./parom.toml. Raises SettingsError with all that is wrong.

    `systems` and `kinds` declare what a connection or a flow may be, and which keys of its own it then has.
    """
    document = read_document(Path(path or environ.get("PAROM_CONFIG") or "parom.toml"))
    checks = Checks(document, environ, systems=systems, kinds=kinds)
    basics, connections, flows = checks.basics(), checks.connections(), checks.flows()
    if basics:
        checks.capacity(basics.threads)
    if checks.faults:
        raise document.error(checks.faults)
    made = {
        "database_url": absolute(basics.database_url, document.folder),
        "var": document.folder / basics.var,
        "connections": {
            name: ConnectionSettings(**vars(keys), name=name, config=config)
            for name, (keys, config) in connections.items()
        },
        "flows": {name: _flow(name, keys, options, basics.timezone) for name, (keys, options) in flows.items()},
    }
    return Settings(**vars(basics) | made)


def _flow(name: str, keys: FlowKeys, options: Any, zone: tzinfo) -> FlowSettings:
    begin = _aware(keys.modified_since or keys.since, zone)
    return FlowSettings(**vars(keys) | {"name": name, "options": options, "modified_since": begin})


def _aware(moment: date, zone: tzinfo) -> datetime:
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time.min)
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from secret_parts(value, whole=isinstance(value, Secret))
    elif is_dataclass(value):
        yield from _secrets(tuple(getattr(value, declared.name) for declared in fields(value)))
    elif isinstance(value, Mapping | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _secrets(item)
