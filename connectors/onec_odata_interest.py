"""An Interest as the base shows it, and as the engine wants it (facts/onec.md A3, B).

The base's times bear no offset. An hour that comes twice in autumn is taken for its first time; one that spring skips
is moved on, as clocks are; year 1 is no time at all.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from connectors.onec_odata_config import InterestNames

GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
NO_GUID = "00000000-0000-0000-0000-000000000000"
STANDARD = ("Ref_Key", "DataVersion", "DeletionMark")
PERSONS = ("contact_person", "potential_client", "partner")
"""Whose phones and e-mails an Interest has, in their order."""
_TIMES = ("stage_changed_at", "modified_at")


@dataclass(frozen=True)
class Contacts:
    """What people wrote down of one person, in the order of the rows."""

    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()


class Unreadable(ValueError):
    """A row that is not one of an Interest. Names the attribute, never its value."""


class Interests:
    """Reads the rows of one base's set."""

    def __init__(self, names: "InterestNames", zone: ZoneInfo, *, status_attribute: str) -> None:
        self._names, self._zone, self._status = names, zone, status_attribute

    def select(self) -> list[str]:
        """All attributes that are read, each once."""
        named = (getattr(self._names, key) for key in ("date", *_READERS, *_TIMES, *PERSONS))
        return list(dict.fromkeys([*STANDARD, *filter(None, [*named, self._status])]))

    def fields(self, shown: Mapping[str, Any], contacts: Mapping[str, Mapping[str, Contacts]]) -> dict[str, Any]:
        """`Row.fields`: the canonical Interest, and `data_version`; `contacts` are by kind of person and GUID."""
        persons = [contacts.get(kind, {}).get(guid, Contacts()) for kind, guid in self.persons(shown).items()]
        read = {key: read(self._value(shown, key)) for key, read in _READERS.items()}
        times = {key: self._stamp(shown, key) for key in _TIMES}
        status = {self._status: shown.get(self._status)} if self._status else {}
        return {
            **status,
            "id": id_of(shown),
            "created_at": self._stamp(shown, "date"),
            **read,
            **times,
            "phones": [phone for person in persons for phone in person.phones],
            "emails": [email for person in persons for email in person.emails],
            "is_deleted": shown.get("DeletionMark") is True,
            "data_version": str(shown.get("DataVersion") or ""),
        }

    def created(self, shown: Mapping[str, Any]) -> datetime | None:
        return moment(self._value(shown, "date"), self._zone)

    def persons(self, shown: Mapping[str, Any]) -> dict[str, str]:
        """The GUIDs of those that the Interest names, in the order of PERSONS."""
        found = {person: reference(self._value(shown, person)) for person in PERSONS}
        return {person: guid for person, guid in found.items() if guid}

    def missing(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """Attributes that no row has: one that exists is in every row, be it empty."""
        return [name for name in self.select() if rows and not any(name in row for row in rows)]

    def _value(self, shown: Mapping[str, Any], key: str) -> Any:
        return shown.get(getattr(self._names, key))

    def _stamp(self, shown: Mapping[str, Any], key: str) -> str | None:
        found = moment(self._value(shown, key), self._zone)
        return found.isoformat() if found else None


def id_of(shown: Mapping[str, Any]) -> str:
    """Raises Unreadable."""
    found = reference(shown.get("Ref_Key"))
    if not found:
        raise Unreadable("a row without Ref_Key")
    return found


def reference(value: Any) -> str:
    """A GUID in lower case; empty for an empty one and for what is none."""
    text = value.strip().lower() if isinstance(value, str) else ""
    return text if GUID.fullmatch(text) and text != NO_GUID else ""


def moment(value: Any, zone: ZoneInfo) -> datetime | None:
    """A naive time of the base as an aware one; None for year 1 and for what tells no time."""
    try:
        naive = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    if naive.year <= 1:
        return None
    aware = naive if naive.tzinfo else naive.replace(tzinfo=zone)
    # By way of UTC a time that spring skips becomes one that exists.
    return aware.astimezone(UTC).astimezone(zone)


def text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    return number(value) or ""


def text_or_none(value: Any) -> str | None:
    return text(value) or None


def number(value: Any) -> str | None:
    """A decimal without an exponent. What is text stays text: a mapping refuses it by name."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    return format(Decimal(str(value)), "f")


def _stage(value: Any) -> str:
    """A reference, or the name of an enumeration's value."""
    shown = text(value)
    return reference(shown) if GUID.fullmatch(shown) else shown


_READERS = {
    "name": text,
    "stage": _stage,
    "revenue": number,
    "comment": text_or_none,
    "communication_id": text_or_none,
    "communication_type": text_or_none,
}
