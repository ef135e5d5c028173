"""Phones and e-mails of the persons whom Interests name: rows of other sets, asked for by the page (onec.md B)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors.errors import Refused, Transient
from connectors.onec_odata_base import Base
from connectors.onec_odata_interest import PERSONS, Contacts, reference, text

if TYPE_CHECKING:
    from connectors.onec_odata_config import OneCConfig


LEAST_DIGITS = 10
"""Of a text that is a phone with its code."""


class ContactInformation:
    """The contact information of one base."""

    def __init__(self, base: Base, config: "OneCConfig") -> None:
        self._base, self._names, self._longest = base, config.contacts, config.longest_url

    def read(self, persons: Iterable[Mapping[str, str]]) -> dict[str, dict[str, Contacts]]:
        """Of the persons that Interests name, by kind and GUID; each asked for once. Raises as `Base.rows`."""
        wanted: dict[str, dict[str, None]] = {person: {} for person in PERSONS}
        for named in persons:
            for person, guid in named.items():
                wanted[person][guid] = None
        return {person: self._of(self.set_of(person), list(guids)) for person, guids in wanted.items()}

    def set_of(self, person: str) -> str:
        name: str = getattr(self._names, f"{person}_set")
        return name

    def select(self) -> list[str]:
        names = self._names
        numbered = ["LineNumber", names.kind, names.shown, names.phone, names.email]
        return list(dict.fromkeys([names.owner, *filter(None, numbered)]))

    def _of(self, set_: str, guids: Sequence[str]) -> dict[str, Contacts]:
        if not set_:
            return {}
        found: dict[str, list[Mapping[str, Any]]] = {}
        fixed = {"$orderby": f"{self._names.owner},LineNumber", "$select": ",".join(self.select())}
        for chunk in chunks(self._base, set_, self._names.owner, guids, fixed, longest=self._longest):
            rows = self._base.rows(set_, chunk.options).content
            self._require_known(set_, rows)
            for row in rows:
                found.setdefault(self._owner(set_, row, chunk.guids), []).append(row)
        return {guid: self._contacts(rows) for guid, rows in found.items()}

    def _owner(self, set_: str, row: Mapping[str, Any], asked: frozenset[str]) -> str:
        owner = reference(row.get(self._names.owner))
        if owner not in asked:
            # Where the base ignored our filter, other people's rows would follow.
            raise Transient(f"{self._base.title} {set_}: rows that nobody asked for")
        return owner

    def _require_known(self, set_: str, rows: Sequence[Mapping[str, Any]]) -> None:
        lost = [name for name in self.select() if rows and not any(name in row for row in rows)]
        if lost:
            raise Refused(f"{self._base.title} {set_}: there is no attribute {', '.join(lost)}")

    def _contacts(self, rows: Sequence[Mapping[str, Any]]) -> Contacts:
        names, ordered = self._names, sorted(rows, key=_line)
        phones = (self._phone(row) for row in ordered if self._is(row, names.phone_kind))
        emails = (self._email(row) for row in ordered if self._is(row, names.email_kind))
        return Contacts(tuple(filter(None, phones)), tuple(filter(None, emails)))

    def _is(self, row: Mapping[str, Any], kind: str) -> bool:
        """Where no attribute tells the kind, the one that is filled does."""
        return not self._names.kind or row.get(self._names.kind) == kind

    def _phone(self, row: Mapping[str, Any]) -> str:
        """As people wrote it: in the digits alone an extension looks like a part of the number."""
        digits, shown = text(row.get(self._names.phone)), self._shown(row)
        is_whole = sum(map(str.isdecimal, shown)) >= LEAST_DIGITS
        return shown if is_whole or not digits else digits

    def _email(self, row: Mapping[str, Any]) -> str:
        return text(row.get(self._names.email)) or self._shown(row)

    def _shown(self, row: Mapping[str, Any]) -> str:
        """Without a kind the text may be anything."""
        return text(row.get(self._names.shown)) if self._names.kind else ""


@dataclass(frozen=True)
class Chunk:
    """Some GUIDs that fit into one URL, and the options that ask for them."""

    guids: frozenset[str]
    options: Mapping[str, str]


def chunks(
    base: Base, set_: str, name: str, guids: Sequence[str], fixed: Mapping[str, str], *, longest: int
) -> list[Chunk]:
    """As few as the length of a URL allows, with one GUID in each at the least."""
    if not guids:
        return []
    one, two = (len(base.address(set_, _asking(name, [guids[0]] * count, fixed))) for count in (1, 2))
    size = max(1, 1 + (longest - one) // (two - one))
    parts = [guids[start : start + size] for start in range(0, len(guids), size)]
    return [Chunk(frozenset(part), _asking(name, part, fixed)) for part in parts]


def _asking(name: str, guids: Sequence[str], fixed: Mapping[str, str]) -> dict[str, str]:
    return {**fixed, "$filter": " or ".join(f"{name} eq guid'{guid}'" for guid in guids)}


def _line(row: Mapping[str, Any]) -> int:
    """Numbers of lines come as text (A3)."""
    shown = str(row.get("LineNumber"))
    return int(shown) if shown.isascii() and shown.isdecimal() else 0
