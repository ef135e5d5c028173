"""Dates as the portal prints and reads them (facts/bitrix24.md §5.2, §5.3): second granularity, server offset."""

import re
from datetime import UTC, date, datetime, timezone
from functools import lru_cache

# Beyond these a moment cannot be moved into every zone.
EARLIEST_YEAR, LATEST_YEAR = 2, 9998

_RUSSIAN = re.compile(r"(\d\d)\.(\d\d)\.(\d{4})(?: (\d\d:\d\d(?::\d\d)?))?$")


@lru_cache(maxsize=64)
def zone(offset: str) -> timezone:
    """`+03:00` as a fixed time zone; raises ValueError."""
    delta = datetime.fromisoformat(f"2020-01-01T00:00:00{offset}").utcoffset()
    if delta is None:
        raise ValueError(f"not an offset: {offset!r}")
    return timezone(delta)


def printed(moment: datetime, offset: str) -> str:
    return moment.astimezone(zone(offset)).isoformat(timespec="seconds")


def printed_day(day: date, offset: str) -> str:
    """A date is midnight UTC shown in the server's offset."""
    return printed(datetime(day.year, day.month, day.day, tzinfo=UTC), offset)


def parsed(text: str, offset: str) -> datetime | None:
    """A moment in any form the portal reads, `offset` standing in for a missing one; None if it cannot be read."""
    if russian := _RUSSIAN.match(text.strip()):
        day, month, year, time = russian.groups()
        text = f"{year}-{month}-{day}T{time or '00:00:00'}"
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone(offset))


def parsed_day(text: str) -> date | None:
    """The date of a text: its UTC date when it carries a time and an offset, as the portal stores midnight UTC."""
    moment = parsed(text, "+00:00")
    return moment.astimezone(UTC).date() if moment else None
