"""The rows of one entity: only what was written is kept, what compares is parsed once, ids stay sorted."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from typing import Any

from sandbox.bitrix24.fields import Field
from sandbox.bitrix24.switches import Switches
from sandbox.bitrix24.values import comparable, empty
from sandbox.chronicle import Verb

_ABSENT: Any = object()


class Row:
    """`values` are as the API shows them; `parsed` caches what they compare as and forgets a field that is written.

    `changed` is its table's: whoever writes a row cannot forget to say so.
    """

    __slots__ = ("born", "changed", "id", "parsed", "values")

    def __init__(self, row_id: int, values: dict[str, Any], *, born: float, changed: dict[int, Verb]) -> None:
        self.id = row_id
        self.born = born
        self.changed = changed
        self.values: dict[str, Any] = {}
        self.parsed: dict[str, Any] = {"ID": row_id}
        for code, value in values.items():
            self.put(code, value)

    def put(self, code: str, value: Any) -> bool:
        """Whether anything changed; None takes the value away."""
        if self.values.get(code) == value:
            return False
        self.parsed.pop(code, None)
        if value is None:
            self.values.pop(code, None)
        else:
            self.values[code] = value
        self.mark()
        return True

    def mark(self) -> None:
        """It was saved, be it as it was before."""
        self.changed.setdefault(self.id, "updated")


class Table:
    """Rows by id. Not thread-safe: the portal's lock guards it."""

    def __init__(self, schema: dict[str, Field], *, first_id: int = 1) -> None:
        self.schema = schema
        self.rows: dict[int, Row] = {}
        self.ids: list[int] = []
        self.next_id = first_id
        self.changed: dict[int, Verb] = {}
        self._empties: dict[str, Any] = {}
        self._blank: dict[str, Any] = {}

    def configure(self, switches: Switches) -> None:
        """Empty values are shown as the switches say, also in rows that exist already."""
        self._step = switches.id_step
        self._empties = {code: empty(field, switches) for code, field in self.schema.items()}
        self._shows_empty_multifields = switches.empty_multifield == "list"
        before, self._blank = self._blank, self._shown_blank()
        if before != self._blank:
            for row in self.rows.values():
                row.mark()

    def add(self, values: dict[str, Any], *, born: float, row_id: int | None = None) -> Row:
        """A new row under the next id, or under `row_id`; raises ValueError when that id is taken."""
        row_id = self.next_id if row_id is None else row_id
        if row_id in self.rows:
            raise ValueError(f"id {row_id} exists")
        self.changed[row_id] = "created"
        row = Row(row_id, values, born=born, changed=self.changed)
        self.rows[row_id] = row
        insort(self.ids, row_id)
        self.next_id = max(self.next_id, row_id + self._step)
        return row

    def remove(self, row_id: int) -> None:
        del self.rows[row_id]
        del self.ids[bisect_left(self.ids, row_id)]
        self.changed[row_id] = "deleted"

    def parsed(self, row: Row, code: str) -> Any:
        value = row.parsed.get(code, _ABSENT)
        if value is _ABSENT:
            value = row.parsed[code] = comparable(self.schema[code], row.values.get(code))
        return value

    def shown(self, row: Row, codes: Iterable[str] | None = None) -> dict[str, Any]:
        """The row as JSON; fields that hold nothing in the form the switches ask for, empty multifields left out."""
        if codes is None:
            return {**self._blank, **row.values, "ID": str(row.id)}
        shown: dict[str, Any] = {}
        for code in codes:
            if code == "ID":
                shown["ID"] = str(row.id)
                continue
            value = row.values.get(code)
            if value is not None:
                shown[code] = value
            elif not self.schema[code].is_multifield:
                shown[code] = self._empties[code]
            elif self._shows_empty_multifields:
                shown[code] = []
        return shown

    def _shown_blank(self) -> dict[str, Any]:
        """What a row without a single value looks like."""
        codes = [field.code for field in self.schema.values() if not field.is_write_only]
        return self.shown(Row(0, {}, born=0.0, changed={}), codes)

    def take_changed(self) -> dict[int, Verb]:
        """What became of which rows since the last call."""
        changed = self.changed.copy()
        self.changed.clear()
        return changed

    def rewrite(self, code: str, change: Callable[[Any], Any]) -> None:
        for row in self.rows.values():
            if code in row.values:
                row.put(code, change(row.values[code]))
