"""Writes values as TOML, in the forms that `values.py` and `schema.py` read."""

import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, timedelta
from json import dumps
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from workers.values import spell

BARE = re.compile(r"[A-Za-z0-9_-]+")


def dotted(path: tuple[str, ...]) -> str:
    return ".".join(name if BARE.fullmatch(name) else _quoted(name) for name in path)


def pairs(table: Any) -> list[str]:
    """A line for each key of a mapping or dataclass; None has no form in the file and is left out."""
    items = table if isinstance(table, Mapping) else {each.name: getattr(table, each.name) for each in fields(table)}
    return [f"{dotted((name,))} = {inline(value)}" for name, value in items.items() if value is not None]


def inline(value: Any) -> str:
    """The value on one line."""
    kind = Mapping if is_dataclass(value) else next(kind for kind in FORMS if isinstance(value, kind))
    return FORMS[kind](value)


def _quoted(text: str) -> str:
    return dumps(text, ensure_ascii=False)


# Order matters: in Python a bool is an int.
FORMS: Mapping[type, Callable[[Any], str]] = {
    bool: lambda value: str(value).lower(),
    str: _quoted,
    int: str,
    float: str,
    date: lambda value: value.isoformat(),
    timedelta: lambda value: _quoted(spell(value)),
    ZoneInfo: lambda value: _quoted(str(value)),
    Path: lambda value: _quoted(value.as_posix()),
    tuple: lambda value: f"[{', '.join(map(inline, value))}]",
    Mapping: lambda value: f"{{ {', '.join(pairs(value))} }}" if value else "{}",
}
