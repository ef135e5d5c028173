"""Reading entities of a Bitrix24 portal by its classic lists, and writing notes (facts/bitrix24.md §4, §5)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from connectors.base import Conditions, Note, Page, Row, Window
from connectors.bitrix24_batch import Batches, Command
from connectors.bitrix24_enrich import Enrichment, Witness, enriched, objects_of
from connectors.bitrix24_portal import Portal, is_id, moment
from connectors.errors import ConnectorError, Refused

PAGE = 50
COMPLETED_PAGE = 48
"""Rows of a page that need more than a list shows: with a command each, one for users and one for the witness they fill
a batch."""


@dataclass(frozen=True)
class Entity:
    """A kind of CRM entity with classic methods. Its rows carry ID, DATE_CREATE and DATE_MODIFY."""

    list_method: str
    update_method: str
    fields_method: str
    synthetic: tuple[str, ...] = ()
    """Fields that no list shows, but another method."""


ENTITIES = {
    "contacts": Entity("crm.contact.list", "crm.contact.update", "crm.contact.fields"),
    "deals": Entity("crm.deal.list", "crm.deal.update", "crm.deal.fields", ("PRODUCT_ROWS", "ASSIGNED_BY")),
}


@dataclass(frozen=True)
class _Listed:
    """One answer of a list method."""

    rows: tuple[Row, ...]
    server_time: datetime


class Bitrix24Source:
    """One kind of entity of a portal."""

    def __init__(self, portal: Portal, batches: Batches, entity: Entity, enrichments: Mapping[str, Enrichment]) -> None:
        self._portal = portal
        self._batches = batches
        self._entity = entity
        self._enrichments = enrichments

    def page(self, window: Window, fields: Sequence[str]) -> Page:
        """As `SourceEntity`, at most 50 rows; none is empty but the last."""
        after, began = int(window.after_id or 0), None
        changed = {">=DATE_MODIFY": _stamp(window.modified_since)}
        if window.created_since is not None:
            changed[">=DATE_CREATE"] = _stamp(window.created_since)
        while True:
            listed = self._list({**changed, ">ID": after}, fields, window.conditions)
            # Rows that are passed over may change while we go on, so the first answer's clock counts.
            began = began or listed.server_time
            ids = [after, *(int(row.id) for row in listed.rows)]
            if any(later <= earlier for earlier, later in pairwise(ids)):
                raise self._unusable("page out of order")
            taken = listed.rows[:COMPLETED_PAGE] if self._asked(fields) else listed.rows
            after, is_last = ids[len(taken)], len(taken) == len(listed.rows) < PAGE
            young = [row for row in taken if _is_young(row, window.created_since)]
            rows = self._completed(young, fields, window.conditions)
            if rows or is_last:
                return Page(rows, is_last, began, last_id=str(after) if after else None)

    def read(self, ids: Sequence[str], fields: Sequence[str], conditions: Conditions) -> tuple[Row, ...]:
        """As `SourceEntity`. What is no id of this portal is absent like a deleted one."""
        wanted = sorted({int(id_) for id_ in ids if is_id(id_)})
        found: list[Row] = []
        for start in range(0, len(wanted), PAGE):
            asked = wanted[start : start + PAGE]
            listed = self._list({"@ID": asked}, fields, conditions)
            self._require_asked_for(listed.rows, map(str, asked))
            found += self._completed(listed.rows, fields, conditions)
        return tuple(found)

    def write_notes(self, field: str, notes: Sequence[Note]) -> list[ConnectorError | None]:
        """As `SourceEntity`; the notes of concurrent callers travel together, up to 50 in a call."""
        method = self._entity.update_method
        results = self._batches.run([Command(method, {"id": note.id, f"fields[{field}]": note.text}) for note in notes])
        return [self._written(result) for result in results]

    def received(self, item: Any) -> Row:
        raise NotImplementedError

    def _written(self, result: Any) -> ConnectorError | None:
        if isinstance(result, ConnectorError):
            return result
        # Whatever else it says: a status text may be written again.
        return None if result is True else self._portal.unusable(self._entity.update_method, "nothing was written")

    def _list(self, wanted: Mapping[str, Any], fields: Sequence[str], conditions: Conditions) -> _Listed:
        method, select = self._entity.list_method, self._select(fields, conditions)
        # `start: -1` saves the portal the count, which costs it five hundred times the page (facts §0.12).
        params = {"filter": {**wanted, **_filter(conditions)}, "order": {"ID": "ASC"}, "start": -1, "select": select}
        answer = self._portal.call(method, params)
        if not isinstance(answer["result"], list):
            raise self._unusable("the result is not a list")
        rows = tuple(self._row(shown) for shown in answer["result"])
        custom = [code for code in self._listable(fields) if code.startswith("UF_")]
        self._require_known([*conditions, *custom], rows)
        return _Listed(rows, self._portal.server_time(method, answer))

    def _select(self, fields: Sequence[str], conditions: Conditions) -> list[str]:
        needed = [code for enrichment in self._asked(fields).values() for code in enrichment.reads]
        own = ["ID", "DATE_MODIFY", "DATE_CREATE"]
        return list(dict.fromkeys([*own, *conditions, *self._listable(fields), *needed]))

    def _listable(self, fields: Sequence[str]) -> list[str]:
        return [code for code in fields if code not in self._enrichments]

    def _asked(self, fields: Sequence[str]) -> dict[str, Enrichment]:
        return {code: enrichment for code, enrichment in self._enrichments.items() if code in fields}

    def _completed(self, rows: Sequence[Row], fields: Sequence[str], conditions: Conditions) -> tuple[Row, ...]:
        """Those of `rows` that meet the conditions, with the synthetic fields.

        Conditions are checked again because a portal may ignore a filter that it does not know (facts §5.1).
        """
        meeting = [row for row in rows if _meets(row, conditions)]
        if not (enrichments := self._asked(fields)):
            return tuple(meeting)
        select = self._select(fields, conditions)
        witness = Witness(lambda ids: self._listing(ids, select), self._listed_again)
        complete = enriched(meeting, enrichments, witness, self._batches)
        return tuple(row for row in complete if _meets(row, conditions))  # a row that was read again may have moved on

    def _listing(self, ids: Sequence[str], select: Sequence[str]) -> Command:
        wanted = {f"filter[@ID][{number}]": id_ for number, id_ in enumerate(ids)}
        shown = {f"select[{number}]": code for number, code in enumerate(select)}
        return Command(self._entity.list_method, {**wanted, **shown, "order[ID]": "ASC", "start": "-1"})

    def _listed_again(self, ids: Sequence[str], result: Any) -> list[Row]:
        rows = [self._row(shown) for shown in objects_of(self._portal, self._entity.list_method, result)]
        self._require_asked_for(rows, ids)
        return rows

    def _require_asked_for(self, rows: Sequence[Row], ids: Iterable[str]) -> None:
        """Where the portal ignored our list of ids, a row that it does not show may still be there."""
        if {row.id for row in rows} - set(ids):
            raise self._unusable("rows that nobody asked for")

    def _row(self, shown: Any) -> Row:
        if not isinstance(shown, dict) or not is_id(id_ := str(shown.get("ID"))):
            raise self._unusable("a row without ID")
        return Row(
            str(int(id_)), shown, self._moment(id_, shown, "DATE_MODIFY"), self._moment(id_, shown, "DATE_CREATE")
        )

    def _moment(self, id_: str, shown: Mapping[str, Any], code: str) -> datetime:
        found = moment(shown.get(code))
        if found is None:
            raise self._unusable(f"row {id_} without a readable {code}")
        return found

    def _require_known(self, codes: Sequence[str], rows: Sequence[Row]) -> None:
        """A field that exists is in every row, be it empty; one that does not is left out without a word.

        Passed on, a mistyped code would look like a field that is empty everywhere, and blank it in the target; in
        a condition it would keep every row out.
        """
        lost = [code for code in dict.fromkeys(codes) if not any(code in row.fields for row in rows)]
        if rows and lost:
            raise Refused(f"{self._portal.name} {self._entity.list_method}: there is no field {', '.join(lost)}")

    def _unusable(self, what: str) -> ConnectorError:
        return self._portal.unusable(self._entity.list_method, what)


def _filter(conditions: Conditions) -> dict[str, Any]:
    """Raises ValueError for a condition that nothing can meet."""
    if empty := [code for code, values in conditions.items() if not values]:
        raise ValueError(f"a condition without values: {', '.join(empty)}")
    return {
        (code if len(values) == 1 else f"@{code}"): (values[0] if len(values) == 1 else list(values))
        for code, values in conditions.items()
    }


def _meets(row: Row, conditions: Conditions) -> bool:
    return all(set(values) & _texts(row.fields.get(code)) for code, values in conditions.items())


def _texts(value: Any) -> set[str]:
    """A field's values as texts: the portal shows `7`, `"7"`, `[7]` or `["7"]`, as it pleases."""
    if isinstance(value, list):
        return {text for item in value for text in _texts(item)}
    if isinstance(value, bool):
        return {"1" if value else "0"}
    return set() if value is None else {str(value)}


def _is_young(row: Row, created_since: datetime | None) -> bool:
    """Checked again because a portal may ignore a filter that it does not know (facts §5.1)."""
    return created_since is None or row.created >= created_since.replace(microsecond=0)


def _stamp(when: datetime) -> str:
    """With its offset: without one a portal would read it in a zone of its own. Whole seconds, rounded down."""
    if when.tzinfo is None:
        raise ValueError("a time without its offset")
    return when.isoformat(timespec="seconds")
