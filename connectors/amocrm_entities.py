"""Contacts, companies or leads of an account: read by ids, looked for by what they hold, written many together."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from connectors.amocrm_account import Account
from connectors.amocrm_answer import Absent, Fault
from connectors.amocrm_api import Api, Query, Reply
from connectors.amocrm_batch import Batch, Item, Written, result_of
from connectors.amocrm_fields import TEXTS, Field, Fields
from connectors.amocrm_shapes import Shown, Wire, embedded, text_of
from connectors.coalesce import Coalescer
from connectors.errors import ConnectorError, Refused, Rejected

READ_AT_ONCE = 100
"""Ids in one address: more would make it longer than servers take."""
FILTERABLE = (*TEXTS, "numeric")
MOST_PAGES = 20
"""Of a search in free text: what is found more often than that does not tell anybody apart."""
WITH: Mapping[str, Query] = {"leads": (("with", "contacts"),)}
"""What lists must be asked for, or they leave it out."""


@dataclass(frozen=True)
class Listed:
    """One page of a list. `has_next` if the API names another, or this one is full."""

    rows: tuple[Shown, ...]
    has_next: bool
    reply: Reply


@dataclass(frozen=True)
class Change:
    """`edit` makes of an entity, as it is now, what is to be written of it; nothing is sent if that is empty."""

    id: int
    edit: Callable[[Shown], Wire]


class Entities:
    """One kind of entity: contacts, companies or leads."""

    def __init__(self, api: Api, account: Account, kind: str) -> None:
        self.kind, self.fields = kind, Fields(api, kind)
        self._api, self._account = api, account
        batch = partial(Batch, api, path=kind, entity=kind, label=self._label, stale=self.fields.forget)
        self._changing = batch("PATCH")
        rows = api.config.batch_rows
        self._creations: Coalescer[Item, Written] = Coalescer(batch("POST").write, limit=rows)
        self._changes: Coalescer[Change, bool] = Coalescer(self._change_all, limit=rows)
        self._notes: Coalescer[Item, Written] = Coalescer(batch("PATCH", repeatable=True).write, limit=rows)

    def listed(self, query: Query, *, limit: int, page: int = 1) -> Listed:
        """Raises as a read; `limit` of at most 250."""
        asked = [*WITH.get(self.kind, ()), *query, ("limit", str(limit)), ("page", str(page))]
        try:
            reply = self._api.get(self.kind, asked)
        except Absent as error:
            raise Refused(f"{error}: check base_url") from None
        if reply.body is None:
            return Listed((), has_next=False, reply=reply)
        rows = embedded(reply.body, self.kind) if isinstance(reply.body, dict) else []
        links = reply.body.get("_links") if isinstance(reply.body, dict) else None
        if not isinstance(links, dict) or not all(isinstance(row.get("id"), int) for row in rows):
            raise self._api.unusable(f"a list of {self.kind} cannot be read")
        return Listed(tuple(rows), has_next="next" in links or len(rows) >= limit, reply=reply)

    def get(self, id_: int) -> Shown | None:
        """The entity as it is now, or None if it is gone."""
        try:
            body = self._api.get(f"{self.kind}/{id_}", WITH.get(self.kind, ())).body
        except Absent:
            return None
        if body is not None and (not isinstance(body, dict) or body.get("id") != id_):
            raise self._api.unusable(f"one of {self.kind} cannot be read")
        return None if body is None or body.get("is_deleted") is True else body

    def are_read_together(self) -> bool:
        """Whether `by_ids` asks for many at once. Raises as a read."""
        return self._account.has("ids")

    def by_ids(self, ids: Iterable[int]) -> dict[int, Shown]:
        """Those that are there. One that a list of ids leaves out is asked for alone, before that is believed."""
        wanted = sorted(set(ids))
        found: dict[int, Shown] = {}
        if len(wanted) > 1 and self.are_read_together():
            for start in range(0, len(wanted), READ_AT_ONCE):
                found |= self._listed(wanted[start : start + READ_AT_ONCE])
        alone = {id_: self.get(id_) for id_ in wanted if id_ not in found}
        return found | {id_: shown for id_, shown in alone.items() if shown is not None}

    def holding(self, field: Field, text: str, holds: Callable[[Shown], bool], *, is_exact: bool = True) -> list[Shown]:
        """All whose `field` has the value `text` and that `holds`. Raises as a read; Rejected if there are too many.

        Without `is_exact` also those whose value has `text` within, perhaps twice: no filter finds them.
        """
        if field.type not in FILTERABLE or not self._account.has("fields"):
            return self.search(text, holds)
        listed = self.listed([(f"filter[custom_fields_values][{field.id}][]", text)], limit=250)
        if not all(text.casefold() in text_of(row, str(field.id)).casefold() or holds(row) for row in listed.rows):
            self._account.distrust("fields")
            return self.search(text, holds)
        if listed.has_next:
            return self.search(text, holds)
        found = [row for row in listed.rows if holds(row)]
        return found if is_exact else [*found, *self.search(text, holds)]

    def search(self, text: str, holds: Callable[[Shown], bool]) -> list[Shown]:
        """All that have `text` anywhere and that `holds`: the API's own search finds parts of words."""
        found: list[Shown] = []
        for page in range(1, MOST_PAGES + 1):
            listed = self.listed([("query", text)], limit=250, page=page)
            found += [row for row in listed.rows if holds(row)]
            if not listed.has_next:
                return found
        raise Rejected(
            f"{self._api.name} {self.kind}: a search finds more than {MOST_PAGES} pages",
            told="amoCRM находит слишком много похожих записей, чтобы выбрать из них нужную",
        )

    def create(self, key: str, body: Wire) -> int:
        """The new one's id. `key` is ours. Raises any ConnectorError, InDoubt if the answer was lost."""
        (written,) = self._creations.submit([Item(key, body)])
        id_: int = result_of(written)["id"]
        return id_

    def change(self, change: Change) -> bool:
        """Whether there was such an entity. Raises as `create`, and what `edit` raises if that is a ConnectorError."""
        (changed,) = self._changes.submit([change])
        is_there: bool = result_of(changed)
        return is_there

    def note(self, bodies: Sequence[Wire]) -> list[ConnectorError | None]:
        """Overwrite what `bodies`, each with its id, name; may be repeated. One result each, in order."""
        results = self._notes.submit([Item(str(body["id"]), body) for body in bodies])
        return [result if isinstance(result, ConnectorError) else None for result in results]

    def _listed(self, ids: Sequence[int]) -> dict[int, Shown]:
        rows = self.listed([("filter[id][]", str(id_)) for id_ in ids], limit=250).rows
        if any(row["id"] not in ids for row in rows):
            self._account.distrust("ids")
            return {}
        return {row["id"]: row for row in rows}

    def _change_all(self, changes: list[Change]) -> list[bool | ConnectorError]:
        """Entities are read at the last moment, so that as little as possible happens to them in between.

        Of several changes of one entity, each sees what the one before it made.
        """
        results: dict[int, bool | ConnectorError] = {}
        waiting: dict[int, Change] = dict(enumerate(changes))
        while waiting:
            firsts = {change.id: number for number, change in reversed(waiting.items())}
            results |= self._change_each({number: waiting.pop(number) for number in sorted(firsts.values())})
        return [results[number] for number in range(len(changes))]

    def _change_each(self, changes: Mapping[int, Change]) -> dict[int, bool | ConnectorError]:
        shown = self.by_ids(change.id for change in changes.values())
        results: dict[int, bool | ConnectorError] = {number: change.id in shown for number, change in changes.items()}
        items: dict[int, Item] = {}
        for number, change in changes.items():
            if change.id in shown:
                try:
                    body = change.edit(shown[change.id])
                except ConnectorError as error:
                    results[number] = error
                    continue
                if body:
                    items[number] = Item(str(change.id), {"id": change.id, **body})
        written = dict(zip(items, self._changing.write(list(items.values())), strict=True))
        return results | {
            number: False if isinstance(each, Absent) else each
            for number, each in written.items()
            if isinstance(each, ConnectorError)
        }

    def _label(self, body: Wire, fault: Fault) -> str:
        """The name of a custom field as people see it."""
        place, sent = fault.place, body.get("custom_fields_values") or []
        if place is None or place >= len(sent):
            return fault.label
        entry: Any = sent[place]
        try:
            known = self.fields.find(str(entry.get("field_id") or entry.get("field_code") or ""))
        except ConnectorError:
            known = None
        return known.name if known and known.name else fault.label
