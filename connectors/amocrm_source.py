"""Reading contacts, companies and leads of an amoCRM account, and writing what came of them (facts/amocrm.md §5-§8)."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from connectors.amocrm_answer import GONE
from connectors.amocrm_config import AmoCrmConfig
from connectors.amocrm_entities import Entities
from connectors.amocrm_fields import Field
from connectors.amocrm_listing import Listing
from connectors.amocrm_shapes import (
    BASE,
    KINDS,
    Shown,
    Wire,
    company_id,
    main_contact_id,
    row_fields,
    values,
)
from connectors.base import Conditions, Note, Page, Row, Window
from connectors.errors import ConnectorError, Refused, Rejected

LONGEST_ID = 18
LEADS_AT_ONCE = 20
"""Of a page, where each of their contacts and companies is a call of its own: after an error all are read again."""


class Part(NamedTuple):
    """What of a lead is an entity of its own, and how its id is found."""

    kind: str
    id_in: Callable[[Shown], int | None]


PARTS = {"main_contact": Part("contacts", main_contact_id), "company": Part("companies", company_id)}


class AmoCrmSource:
    """One kind of entity of an account; `kinds` are all of them, for leads show their contact and company."""

    def __init__(self, kind: str, kinds: Mapping[str, Entities], listing: Listing, config: AmoCrmConfig) -> None:
        self._kind, self._kinds, self._listing, self._config = kind, kinds, listing, config

    def page(self, window: Window, fields: Sequence[str]) -> Page:
        """As `SourceEntity`; any may be empty.

        If `is_deleted` is among `fields`, what was deleted since comes at the end, and shows little but its id.
        """
        codes = self._codes(fields, window.conditions)
        part = self._listing.read(window.after_id, window.modified_since, with_deleted="is_deleted" in fields)
        young = (shown for shown in part.rows if _is_young(shown, window.created_since))
        met, place = self._met(young, codes, window.conditions), part.next
        if self._is_slow(fields) and len(met) > LEADS_AT_ONCE:
            met = met[:LEADS_AT_ONCE]
            place = self._listing.after(part, met[-1][1])
        rows = self._rows(met, fields, codes)
        return Page(rows, place is None, part.began, last_id=str(place) if place else None)

    def read(self, ids: Sequence[str], fields: Sequence[str], conditions: Conditions) -> tuple[Row, ...]:
        """As `SourceEntity`. What is no id of amoCRM is absent like a deleted entity."""
        codes = self._codes(fields, conditions)
        wanted = {int(id_) for id_ in ids if id_.isascii() and id_.isdecimal() and len(id_) <= LONGEST_ID}
        shown = self._kinds[self._kind].by_ids(wanted)
        return self._rows(self._met([shown[id_] for id_ in sorted(shown)], codes, conditions), fields, codes)

    def write_notes(self, field: str, notes: Sequence[Note]) -> list[ConnectorError | None]:
        """As `SourceEntity`; with what the target made of an entity, into the fields that are configured for that."""
        known = self._kinds[self._kind].fields
        try:
            places = {code: known.get(code) for code in (field, *self._places_of_target(notes))}
        except ConnectorError as error:
            return [error] * len(notes)
        bodies = [self._noted(note, field, places) for note in notes]
        results = iter(self._kinds[self._kind].note([body for body in bodies if body is not None]))
        return [self._nobody() if body is None else next(results) for body in bodies]

    def received(self, item: Any) -> Row:
        raise NotImplementedError

    def _places_of_target(self, notes: Sequence[Note]) -> Iterator[str]:
        if any(note.target_id for note in notes):
            yield self._config.id_field
        if any(note.link for note in notes):
            yield self._config.link_field

    def _noted(self, note: Note, field: str, places: Mapping[str, Field]) -> Wire | None:
        if not (note.id.isascii() and note.id.isdecimal() and len(note.id) <= LONGEST_ID):
            return None
        texts = {field: note.text, self._config.id_field: note.target_id, self._config.link_field: note.link}
        filled = [(places[code], text) for code, text in texts.items() if text is not None and code in places]
        values = [
            {"field_id": place.id, "values": [{"value": text}] if text else None}
            for place, text in filled
            if place.takes(text)
        ]
        return {"id": int(note.id), "custom_fields_values": values}

    def _nobody(self) -> Rejected:
        return Rejected(f"amoCRM {self._config.host}: {self._kind} have no such id", told=GONE)

    def _codes(self, fields: Sequence[str], conditions: Conditions) -> tuple[str, ...]:
        """Those of `fields` that are custom.

        Refused if there is no such field, or none of a condition's: it would look empty everywhere.
        """
        codes = self._custom(fields)
        self._require(codes, [self._kind, *(PARTS[part].kind for part in self._parts_in(fields))])
        self._require(self._custom(conditions), [self._kind])
        return codes

    def _custom(self, fields: Iterable[str]) -> tuple[str, ...]:
        return tuple(code for code in fields if code not in (*BASE, *KINDS[self._kind]))

    def _require(self, codes: Iterable[str], kinds: Sequence[str]) -> None:
        for code in codes:
            if not any(self._kinds[kind].fields.find(code) for kind in kinds):
                raise Refused(f"amoCRM {self._config.host}: {' and '.join(kinds)} have no field {code}")

    def _parts_in(self, fields: Collection[str]) -> list[str]:
        return [part for part in PARTS if part in fields and self._kind == "leads"]

    def _is_slow(self, fields: Collection[str]) -> bool:
        return any(not self._kinds[PARTS[part].kind].are_read_together() for part in self._parts_in(fields))

    def _met(self, shown: Iterable[Shown], codes: Collection[str], conditions: Conditions) -> list[tuple[Row, Shown]]:
        """The rows that meet the conditions, each with what it shows."""
        pairs = [(self._row(each, codes), each) for each in shown]
        return [(row, each) for row, each in pairs if _meets(row, each, conditions)]

    def _rows(
        self, pairs: Sequence[tuple[Row, Shown]], fields: Collection[str], codes: Collection[str]
    ) -> tuple[Row, ...]:
        """Leads with the contact and the company that were asked for."""
        leads = [each for _, each in pairs]
        parts = {part: self._parts(part, leads, codes) for part in self._parts_in(fields)}
        return tuple(
            replace(
                row,
                fields={**row.fields, **{part: found.get(PARTS[part].id_in(each)) for part, found in parts.items()}},
            )
            for row, each in pairs
        )

    def _parts(self, part: str, leads: Sequence[Shown], codes: Collection[str]) -> Mapping[int | None, Wire]:
        """By id; what is not there any more has none."""
        kind, id_in = PARTS[part].kind, PARTS[part].id_in
        shown = self._kinds[kind].by_ids(id_ for lead in leads if (id_ := id_in(lead)) is not None)
        return {id_: row_fields(kind, each, codes, self._config.own_fields) for id_, each in shown.items()}

    def _row(self, shown: Shown, codes: Collection[str]) -> Row:
        modified = self._listing.second_of(shown)
        created = shown.get("created_at")
        created = created if isinstance(created, int) else modified
        fields = row_fields(self._kind, shown, codes, self._config.own_fields)
        return Row(str(shown["id"]), fields, _moment(modified), _moment(created))


def _moment(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def _is_young(shown: Shown, created_since: datetime | None) -> bool:
    """What was deleted does not tell when it was created."""
    created = shown.get("created_at")
    return created_since is None or not isinstance(created, int) or created >= int(created_since.timestamp())


def _meets(row: Row, shown: Shown, conditions: Conditions) -> bool:
    return all(_text(_value(row, shown, code)) in wanted for code, wanted in conditions.items())


def _value(row: Row, shown: Shown, code: str) -> Any:
    """A condition may be on a field that was not asked for."""
    return row.fields[code] if code in row.fields else next(iter(values(shown, code)), None)


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
