"""The base's time: naive, in its own zone, to the second (facts/onec.md §A3). What two clocks share stays ambiguous."""

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sandbox.onec.reference import EMPTY_DATE


def zone_of(name: str) -> ZoneInfo:
    """Raises ValueError for an unknown zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"no such time zone: {name}") from error


def local(moment: datetime, zone: ZoneInfo) -> str:
    """An aware moment as the base writes it."""
    return moment.astimezone(zone).replace(tzinfo=None, microsecond=0).isoformat()


def typed(text: str | None, zone: ZoneInfo) -> str:
    """What a person gives, with an offset or as on the wall; nothing is the empty date. Raises ValueError."""
    if not text:
        return EMPTY_DATE
    moment = datetime.fromisoformat(text)
    return local(moment, zone) if moment.tzinfo else moment.replace(microsecond=0).isoformat()


def with_offset(text: str, zone: ZoneInfo) -> str:
    """The base's time as ISO with offset; the first of two if the clock was put back. Nothing for the empty date."""
    return "" if text == EMPTY_DATE else datetime.fromisoformat(text).replace(tzinfo=zone).isoformat()
