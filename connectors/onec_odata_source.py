"""Reading Interests by OData, and writing notes (facts/onec.md A2, A7, B).

1C knows no moment of change. A window therefore shows every Interest dated within the last days; once a night it shows,
of all of them, those whose version is not known yet. Rows are counted through, for GUIDs cannot be compared: each page
begins among the last rows of the one before, so that what was deleted meanwhile makes it skip none.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from connectors import onec_inbox
from connectors.base import Conditions, Note, Page, Row, Window
from connectors.errors import ConnectorError, Refused, Rejected, Transient
from connectors.onec_odata_base import Base, Told
from connectors.onec_odata_config import OVERLAP
from connectors.onec_odata_contacts import ContactInformation, chunks
from connectors.onec_odata_interest import STANDARD, Interests, Unreadable, id_of, reference

if TYPE_CHECKING:
    from connectors.onec_odata_config import OneCConfig

WINDOW, SCAN = "window", "scan"
REMEMBERED = 3
"""So many of the last ids are in a position: to be found again, one of them must not have been deleted."""
OF_CONTACTS = frozenset({"phones", "emails"})
AN_HOUR = timedelta(hours=1)
"""By so much a naive bound is put back, for in autumn an hour comes twice."""
NO_DATE = "0001-01-01T00:00:00"


@dataclass(frozen=True)
class Place:
    """Where a window goes on: after `passed` rows, the last of which were `last`. Its text is the page's `last_id`."""

    mode: str = WINDOW
    passed: int = 0
    last: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str | None) -> "Place":
        """What is no position is the beginning: rows that come twice are no work."""
        mode, passed, *last = (text or "").split(" ") if " " in (text or "") else ("", "")
        if mode not in (WINDOW, SCAN) or not (passed.isascii() and passed.isdecimal()):
            return cls()
        return cls(mode, int(passed), tuple(last))

    def __str__(self) -> str:
        return " ".join([self.mode, str(self.passed), *self.last])


@dataclass(frozen=True)
class _Listed:
    """Rows of the set by id in the set's order, without those that the place has passed; `skipped` come before them."""

    rows: Mapping[str, Mapping[str, Any]]
    skipped: int
    is_last: bool
    server_time: datetime

    def up_to(self, count: int) -> "_Listed":
        rows = dict(list(self.rows.items())[:count])
        return _Listed(rows, self.skipped, self.is_last and count >= len(self.rows), self.server_time)

    def end(self, place: Place) -> Place:
        """The place after the last row; a page without rows moves nowhere."""
        last = (*place.last, *self.rows)[-REMEMBERED:]
        return Place(place.mode, self.skipped + len(self.rows), last)


class InterestSource:
    """The Interests of one base."""

    def __init__(self, base: Base, config: "OneCConfig") -> None:
        self._base, self._config = base, config
        self._set, self._zone = config.interest.set, config.timezone
        self._contacts = ContactInformation(base, config)
        self._interests = Interests(config.interest, config.timezone, status_attribute=config.status_attribute)

    def page(self, window: Window, fields: Sequence[str]) -> Page:
        """As `SourceEntity`; `last_id` is a position and not an id. Pages of a scan may be empty."""
        place = Place.of(window.after_id)
        if place.mode == SCAN:
            return self._scanned(window, fields, place)
        listed = self._list(place, self._in_full(self._recent(window)), self._config.page_rows)
        # The base's own clock decides whether the night has come, so it has to be asked first.
        if window.after_id is None and self._is_scan_due(window.modified_since, listed.server_time):
            return self._scanned(window, fields, Place(SCAN))
        rows = self._rows(listed.rows.values(), listed.server_time, fields, window.conditions)
        return self._page(window, rows, listed, place)

    def read(self, ids: Sequence[str], fields: Sequence[str], conditions: Conditions) -> tuple[Row, ...]:
        """As `SourceEntity`. What is no GUID is absent like a deleted one."""
        shown = self._named(list(dict.fromkeys(filter(None, map(reference, ids)))))
        return () if shown is None else self._rows(shown.content, shown.server_time, fields, conditions)

    def write_notes(self, field: str, notes: Sequence[Note]) -> list[ConnectorError | None]:
        """As `SourceEntity`. Each write gives the Interest a new version, so the next scan reads it once more."""
        if not self._config.status_attribute or field != self._config.status_attribute:
            message = f"{self._base.title} {self._set}: status_attribute does not name {field}"
            return [Rejected(message, told="В 1С не настроен реквизит для статуса") for _ in notes]
        return [self._written(note) for note in notes]

    def received(self, item: Any) -> Row:
        """As `SourceEntity`: an Interest as the base itself sends it (connectors/onec_inbox.py)."""
        return onec_inbox.received(item, self._zone)

    def _written(self, note: Note) -> ConnectorError | None:
        if not (guid := reference(note.id)):
            return Rejected(f"{self._base.title} {self._set}: the id is no GUID", told="1С: документ не найден")
        try:
            self._base.patch(self._set, guid, {self._config.status_attribute: note.text})
        except ConnectorError as error:
            return error
        return None

    def _scanned(self, window: Window, fields: Sequence[str], place: Place) -> Page:
        versions = self._list(place, {"$select": ",".join(STANDARD), **self._all(window)}, self._config.scan_rows)
        shown = {id_: str(row.get("DataVersion") or "") for id_, row in versions.rows.items()}
        unknown = frozenset(window.unknown(shown) if window.unknown else shown)
        places = [number for number, id_ in enumerate(shown) if id_ in unknown]
        if len(places) > self._config.page_rows:
            places = places[: self._config.page_rows]
            versions = versions.up_to(places[-1] + 1)
        told = self._unknown(versions, places, window)
        rows = self._rows(told.content, told.server_time, fields, window.conditions) if told else ()
        return self._page(window, rows, versions, place)

    def _unknown(self, versions: _Listed, places: Sequence[int], window: Window) -> Told | None:
        """The rows at these places in full: by id, or as one stretch of the set where that saves calls."""
        ids = [list(versions.rows)[place] for place in places]
        stretch = places[-1] - places[0] + 1 if places else 0
        if stretch > self._config.page_rows or len(self._chunks(ids)) <= 1:
            return self._named(ids)
        count = {"$top": str(stretch), "$skip": str(versions.skipped + places[0])}
        told = self._base.rows(self._set, {**self._in_full(self._all(window)), "$orderby": "Ref_Key", **count})
        found = {id_: row for id_, row in self._by_id(told.content).items() if id_ in ids}
        # Rows may have moved since their versions were listed.
        moved = self._named([id_ for id_ in ids if id_ not in found])
        return Told([*found.values(), *(moved.content if moved else ())], told.server_time)

    def _list(self, place: Place, options: Mapping[str, str], count: int) -> _Listed:
        skip, began = max(0, place.passed - OVERLAP), None
        while True:
            asked = {**options, "$orderby": "Ref_Key", "$top": str(count), "$skip": str(skip)}
            told = self._base.rows(self._set, asked)
            began = began or told.server_time
            rows = self._by_id(told.content)
            seen = [number for number, id_ in enumerate(rows) if id_ in place.last]
            if seen or not skip:
                break
            # More was deleted than pages overlap.
            skip = max(0, skip - count + OVERLAP)
        if len(told.content) >= count <= max(seen, default=-1) + 1:
            raise Transient(f"{self._base.title} {self._set}: the same rows again, for another $skip")
        first = min(seen, default=-1) + 1
        kept = dict(list(rows.items())[first:])
        return _Listed(kept, skip + first, len(told.content) < count, began)

    def _named(self, ids: Sequence[str]) -> Told | None:
        """The rows of these ids, those that are gone left out; None if there is none to ask for."""
        answers = []
        for chunk in self._chunks(ids):
            told = self._base.rows(self._set, chunk.options)
            if self._by_id(told.content).keys() - chunk.guids:
                raise Transient(f"{self._base.title} {self._set}: rows that nobody asked for")
            answers.append(told)
        return Told([row for told in answers for row in told.content], answers[0].server_time) if answers else None

    def _chunks(self, ids: Sequence[str]) -> Any:
        return chunks(self._base, self._set, "Ref_Key", ids, self._in_full({}), longest=self._config.longest_url)

    def _by_id(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
        try:
            return {id_of(row): row for row in rows}
        except Unreadable as error:
            raise Transient(f"{self._base.title} {self._set}: {error}") from None

    def _rows(
        self, shown: Iterable[Mapping[str, Any]], now: datetime, fields: Sequence[str], conditions: Conditions
    ) -> tuple[Row, ...]:
        """An Interest without a date counts as created now: it must be seen, for the mapping to refuse it."""
        shown = list(shown)
        if lost := self._interests.missing(shown):
            hint = "correct the name, or empty it"
            raise Refused(f"{self._base.title} {self._set}: there is no attribute {', '.join(lost)}: {hint}")
        wants_contacts = OF_CONTACTS & {*fields, *conditions}
        contacts = self._contacts.read(map(self._interests.persons, shown)) if wants_contacts else {}
        rows = [self._row(row, self._interests.fields(row, contacts), now) for row in shown]
        if rows and (unknown := conditions.keys() - rows[0].fields.keys()):
            raise Refused(f"{self._base.title} {self._set}: a condition on {', '.join(sorted(unknown))}: there is none")
        return tuple(row for row in rows if _meets(row, conditions))

    def _row(self, shown: Mapping[str, Any], fields: Mapping[str, Any], now: datetime) -> Row:
        created = self._interests.created(shown) or now
        return Row(fields["id"], fields, now, created, version=fields["data_version"] or None)

    def _page(self, window: Window, rows: Sequence[Row], listed: _Listed, place: Place) -> Page:
        since = window.created_since
        young = tuple(row for row in rows if since is None or row.created >= since)
        return Page(young, listed.is_last, listed.server_time, str(listed.end(place)))

    def _in_full(self, filter_: Mapping[str, str]) -> dict[str, str]:
        return {"$select": ",".join(self._interests.select()), **filter_}

    def _recent(self, window: Window) -> dict[str, str]:
        since = window.modified_since - timedelta(days=self._config.days)
        since = max(since, window.created_since) if window.created_since else since
        return {"$filter": self._dated_since(since)}

    def _all(self, window: Window) -> dict[str, str]:
        if window.created_since is None:
            return {}
        undated = f"{self._config.interest.date} eq datetime'{NO_DATE}'"
        return {"$filter": f"{self._dated_since(window.created_since)} or {undated}"}

    def _dated_since(self, when: datetime) -> str:
        if when.tzinfo is None:
            raise ValueError("a time without its offset")
        naive = (when.astimezone(UTC) - AN_HOUR).astimezone(self._zone).replace(tzinfo=None)
        return f"{self._config.interest.date} ge datetime'{naive.isoformat(timespec='seconds')}'"

    def _is_scan_due(self, since: datetime, now: datetime) -> bool:
        """Whether the time of the nightly scan lies between the two."""
        local = now.astimezone(self._zone)
        days = (local.date(), local.date() - timedelta(days=1))
        nights = (datetime.combine(day, self._config.scan_time, self._zone).astimezone(UTC) for day in days)
        return since < next(night for night in nights if night <= now)


def _meets(row: Row, conditions: Conditions) -> bool:
    return all(str(row.fields.get(code)) in values for code, values in conditions.items())
