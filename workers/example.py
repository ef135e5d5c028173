"""Writes the commented example of `parom.toml` from the dataclasses that will read it, so it cannot go stale.

What must be there stands live, what may be there as a commented default. Secrets are `${SYSTEM_KEY}`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from textwrap import wrap
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

from connectors.base import Secret
from tasks.flow import FlowKind
from workers.schema import has_default, is_required
from workers.sections import Basics, ConnectionKeys, flow_keys
from workers.toml import dotted, inline, pairs

INTRODUCTION = """\
# What Parom connects and carries. After a change: parom check
#
# A line that begins with # and no space is a default or a sample: take the # away to change it.
# Durations are "500ms", "60s", "5m", "2h", "1d". Secrets never stand here: "${NAME}" is the
# environment variable NAME, "${file:/run/secrets/name}" the content of that file.
"""
WIDTH = 100
SAMPLES: Mapping[Any, Any] = {
    str: "FILL_IN",
    int: 1,
    float: 1.0,
    bool: False,
    date: date(2026, 1, 1),
    datetime: datetime(2026, 1, 1),  # noqa: DTZ001 - the file's own time zone
    timedelta: timedelta(minutes=1),
    ZoneInfo: "Europe/Moscow",
    Path: "path",
    tuple: (),
    Mapping: {},
}


@dataclass(frozen=True)
class Entry:
    """One key of a table: what stands behind it, and whether it stands live."""

    name: str
    help: str
    value: Any
    live: bool


def render(systems: Mapping[str, type], kinds: Mapping[str, FlowKind]) -> str:
    """A `parom.toml` with one connection per system, named as that, and one flow per kind, named as its instance."""
    lines = [INTRODUCTION, *_keys(_entries(Basics, ()))]
    for name, config in systems.items():
        path = ("connections", name)
        lines += _table(path, [*_entries(ConnectionKeys, path, system=name), *_entries(config, path)])
    for name, kind in kinds.items():
        path = ("flows", kind.instance)
        ends: dict[str, Any] = {"kind": name, "source": kind.source_system, "target": kind.target_system}
        parents = tuple(kinds[parent.kind].instance for parent in kind.parents)
        ends |= {"parent": parents[0]} if len(parents) == 1 else {"parents": parents}
        lines += _table(path, [*_entries(flow_keys(kind), path, **ends), *_entries(kind.options, path)])
    return "\n".join(lines)


def _entries(cls: Any, path: tuple[str, ...], **given: Any) -> Iterator[Entry]:
    hints = get_type_hints(cls)
    shown: list[tuple[Entry, bool]] = []
    for declared in fields(cls):
        name, hint, about = declared.name, hints[declared.name], declared.metadata
        default = declared.default if declared.default_factory is MISSING else declared.default_factory()
        values = (given.get(name), default, about.get("example"), about.get("min"), _sample(hint, (*path, name)))
        value = next(value for value in values if value not in (None, MISSING))
        is_live = is_required(declared, hint) or is_dataclass(default)
        shown.append((Entry(name, _help(about.get("help", ""), hint), value, is_live), has_default(declared)))
    troubled = _troubled(cls, {entry.name: entry.value for entry, has_one in shown if not has_one})
    yield from (replace(entry, live=entry.live or entry.name in troubled) for entry, _ in shown)


def _troubled(cls: Any, required: Mapping[str, Any]) -> set[str]:
    """Keys whose defaults do not suffice, such as ids that nobody but the user knows."""
    problems = cls(**required).problems() if hasattr(cls, "problems") else ()
    return {path.partition(".")[0] for path, _ in problems}


def _help(text: str, hint: Any) -> str:
    choices = ", ".join(map(inline, get_args(hint))) if get_origin(hint) is Literal else ""
    return "; one of ".join(filter(None, [text, choices]))


def _sample(hint: Any, path: tuple[str, ...]) -> Any:
    """Something of the right type, for a key without a default."""
    origin, arguments = get_origin(hint), get_args(hint)
    if NoneType in arguments:
        return _sample(arguments[0], path)
    if hint is str and path[-1].endswith("url"):
        return "https://fill-in.example"
    if hint is Secret:
        return f"${{{re.sub('[^A-Z0-9]', '_', '_'.join(path[1:]).upper())}}}"
    if is_dataclass(hint) and isinstance(hint, type):
        return hint(**{entry.name: entry.value for entry in _entries(hint, path)})
    return arguments[0] if origin is Literal else SAMPLES[origin or hint]


def _table(path: tuple[str, ...], entries: list[Entry], sign: str = "") -> Iterator[str]:
    yield f"{sign}[{dotted(path)}]"
    yield from _keys((entry for entry in entries if not _is_table(entry.value)), sign)
    for entry in entries:
        if _is_table(entry.value):
            yield from _comment(entry.help)
            yield from _nested((*path, entry.name), entry.value, sign if entry.live else "#")


def _keys(entries: Iterable[Entry], sign: str = "") -> Iterator[str]:
    for entry in entries:
        yield from _comment(entry.help)
        yield f"{sign if entry.live else '#'}{entry.name} = {inline(entry.value)}\n"


def _is_table(value: Any) -> bool:
    has_rows = isinstance(value, tuple) and any(map(is_dataclass, value))
    return has_rows or is_dataclass(value) or (isinstance(value, Mapping) and bool(value))


def _nested(path: tuple[str, ...], value: Any, sign: str) -> Iterator[str]:
    if is_dataclass(value):
        yield from _table(path, [_as_in(value, entry) for entry in _entries(type(value), path)], sign)
    elif isinstance(value, tuple):
        yield from _legend(value[0])
        for row in value:
            yield from _lines(f"[[{dotted(path)}]]", row, sign)
    else:
        yield from _legend(next(iter(value.values())))
        yield from _lines(f"[{dotted(path)}]", value, sign)


def _as_in(default: Any, entry: Entry) -> Entry:
    """The key as the outer table's default has it; live where that is not the key's own default."""
    value = getattr(default, entry.name)
    return entry if value in (None, entry.value) else replace(entry, value=value, live=True)


def _legend(row: Any) -> Iterator[str]:
    """What the keys mean that every row has."""
    for declared in fields(row) if is_dataclass(row) else ():
        yield from _comment(f"{declared.name}: {declared.metadata.get('help', '')}")


def _lines(header: str, table: Any, sign: str) -> Iterator[str]:
    yield from (f"{sign}{line}" for line in (header, *pairs(table)))
    yield ""


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(text, WIDTH)]
