"""The single values of `parom.toml`: how each type is written, and what Python makes of it.

No message shows a value: it may be a secret in the wrong place.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from marshmallow import ValidationError

from connectors.base import Secret
from workers.faults import Fault, suggestion
from workers.substitution import Given

Reader = Callable[[Any], Any]
"""TOML value → Python value; raises ValidationError, whose leaves are lists of Faults without paths."""

# Order matters: in Python a bool is an int and a datetime a date.
WORDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    datetime: "a date with time",
    date: "a date",
    time: "a time",
    list: "a list",
    dict: "a table",
}
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION = re.compile(rf"([0-9]{{1,7}}(?:\.[0-9]{{1,3}})?)({'|'.join(UNITS)})")


class WrongType(ValidationError):
    def __init__(self, expected: str, value: Any) -> None:
        self.expected = expected
        super().__init__([Fault((), f"expected {expected}, found {WORDS[_type_of(value)]}")])


def refused(message: str, hint: str = "") -> ValidationError:
    return ValidationError([Fault((), message, hint)])


def plain(*types: type, convert: Reader = lambda value: value) -> Reader:
    """Reads what TOML itself has a form for; the first of `types` gives the name of what was expected."""

    def read(value: Any) -> Any:
        if _type_of(value) not in types:
            raise WrongType(WORDS[types[0]], value)
        return convert(value)

    return read


def choice(*known: Any) -> Reader:
    def choose(value: Any) -> Any:
        if value not in known:
            raise refused(f"expected one of {', '.join(map(repr, known))}", suggestion(str(value), map(str, known)))
        return known[known.index(value)]

    return plain(type(known[0]), convert=choose)


def spell(duration: timedelta) -> str:
    """As the file writes it: "2m"."""
    units = ((unit, timedelta(seconds=seconds)) for unit, seconds in reversed(UNITS.items()))
    return next(f"{duration // length}{unit}" for unit, length in units if not duration % length)


def _type_of(value: Any) -> type:
    return next(kind for kind in WORDS if isinstance(value, kind))


def _duration(value: Any) -> timedelta:
    if not isinstance(value, str):
        raise WrongType('a duration such as "60s", "5m", "2h" or "1d"', value)
    if not (match := DURATION.fullmatch(value)):
        raise refused("is not a duration", 'write "60s", "5m", "2h" or "1d"')
    if not (duration := timedelta(seconds=float(match[1]) * UNITS[match[2]])):
        raise refused("must be more than zero")
    return duration


def _secret(value: str) -> Secret:
    if not isinstance(value, Given):
        raise refused("a secret must not stand in this file", 'write exactly "${NAME}" or "${file:/path}"')
    return Secret(value)


def _zone(value: str) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        close = get_close_matches(value, available_timezones(), n=1) or ["Europe/Moscow"]
        raise refused("is not a time zone", f"did you mean '{close[0]}'?") from error


SCALARS: Mapping[Any, Reader] = {
    Any: lambda value: value,
    str: plain(str, convert=str),
    int: plain(int),
    float: plain(float, int),
    bool: plain(bool),
    date: plain(date),
    datetime: plain(datetime),
    timedelta: _duration,
    Secret: plain(str, convert=_secret),
    ZoneInfo: plain(str, convert=_zone),
    Path: plain(str, convert=Path),
}
