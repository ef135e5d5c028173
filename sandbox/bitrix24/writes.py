"""What a write does: to the row, its links, its history, and whom it tells (facts/bitrix24.md §6, §10)."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sandbox.bitrix24 import history
from sandbox.bitrix24.entities import COMPANIES, CONTACTS, DEALS, Entity
from sandbox.bitrix24.fields import Field
from sandbox.bitrix24.files import replaced
from sandbox.bitrix24.links import SORT_STEP, Link
from sandbox.bitrix24.moments import printed
from sandbox.bitrix24.multifields import merged, raw
from sandbox.bitrix24.php import items_of
from sandbox.bitrix24.store import Relation, Store
from sandbox.bitrix24.switches import Switches
from sandbox.bitrix24.table import Row
from sandbox.bitrix24.values import Ignored, stored, to_int
from sandbox.clock import Clock

# What `params: {"IMPORT": "Y"}` opens for writing on add.
IMPORTED = {"DATE_CREATE", "DATE_MODIFY", "CREATED_BY_ID", "MODIFY_BY_ID"}

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Context:
    """Who writes where and when; `announce` is told the verb, the entity's name and the id."""

    clock: Clock
    switches: Switches
    user_id: str
    store: Store
    announce: Callable[[str, str, int], None]

    def now(self) -> str:
        return printed(self.clock.now(), self.switches.server_offset)

    def next_multifield_id(self) -> int:
        return next(self.store.multifield_ids)

    def next_file_id(self) -> int:
        return next(self.store.file_ids)


def add(entity: Entity, values: Values, context: Context, *, row_id: int | None = None) -> Row:
    """A new row of accepted values; raises ValueError for an id that is taken."""
    now = context.now()
    bookkeeping = {
        **dict.fromkeys(("CREATED_BY_ID", "MODIFY_BY_ID", "ASSIGNED_BY_ID"), context.user_id),
        **dict.fromkeys(("DATE_CREATE", "DATE_MODIFY"), now),
    }
    whole = {**bookkeeping, **entity.defaults, **values}
    kept = {code: value for code, value in whole.items() if value is not None and not entity.schema[code].is_write_only}
    row = context.store.table(entity).add(kept, born=context.clock.elapsed(), row_id=row_id)
    entity.derive(row, context.switches)
    _link(entity, row, values, context)
    if entity is DEALS:
        history.begun(context.store.tables["stage_history"], row, born=context.clock.elapsed())
    context.announce("ADD", entity.name, row.id)
    return row


def update(entity: Entity, row: Row, values: Values, context: Context, *, touches: bool) -> bool:
    """Accepted values into the row, `touches` even when they are what it holds. Whether anything was saved."""
    before = history.place_of(row)
    changes = [code for code, value in values.items() if not entity.schema[code].is_write_only and row.put(code, value)]
    if "STAGE_ID" in changes or "CATEGORY_ID" in changes:
        row.put("MOVED_BY_ID", context.user_id)
        row.put("MOVED_TIME", context.now())
    entity.derive(row, context.switches)
    is_linked = _link(entity, row, values, context)
    if not (changes or is_linked or touches):
        return False
    touch(row, context)
    if entity is DEALS:
        history.moved(context.store.tables["stage_history"], row, before, context.now(), born=context.clock.elapsed())
    context.announce("UPDATE", entity.name, row.id)
    return True


def remove(entity: Entity, row_id: int, context: Context) -> None:
    """Raises KeyError."""
    context.store.remove(entity, row_id, unbinds_deals=context.switches.delete_unbinds_deals)
    context.announce("DELETE", entity.name, row_id)


def touch(row: Row, context: Context) -> None:
    row.put("DATE_MODIFY", context.now())
    row.put("MODIFY_BY_ID", context.user_id)
    row.mark()


def accepted(
    entity: Entity, fields: Values, held: Values | None, context: Context, *, is_import: bool = False
) -> Values:
    """What of the classic `fields` reaches the store; `held` is None for a new row. Raises Refusal."""
    taken: Values = {}
    for code, value in fields.items():
        field = entity.schema.get(code)
        if field is None or not _is_writable(field, is_new=held is None, is_import=is_import):
            continue
        if field.is_multifield:
            taken[code] = merged(code, (held or {}).get(code, []), value, context.next_multifield_id) or None
            continue
        with suppress(Ignored):
            taken[code] = (
                replaced(field, value, context.next_file_id)
                if field.family == "file"
                else stored(field, value, context.switches)
            )
    return taken


def as_given(entity: Entity, fields: Values, context: Context) -> Values:
    """Values of the admin side: stored exactly as given, so that every odd shape can be shown."""
    return {
        code: (raw(code, value, context.next_multifield_id) or None) if entity.schema[code].is_multifield else value
        for code, value in fields.items()
        if code in entity.schema and code != "ID"
    }


def relink(entity: Entity, relation: Relation, owner: int, links: list[Link], context: Context) -> bool:
    """The links of one owner, at whichever end it stands, become exactly these. Whether anything changed."""
    store, is_near = context.store, relation.entity is entity
    side = relation.near if is_near else relation.far
    touched = [owner] if is_near else side.others(owner)
    is_changed = side.set(owner, links)
    store.show_primaries(relation, touched if is_near else [*touched, *side.others(owner)])
    return is_changed


def _is_writable(field: Field, *, is_new: bool, is_import: bool) -> bool:
    if field.is_read_only:
        return is_import and field.code in IMPORTED
    return is_new or not field.is_immutable


def _link(entity: Entity, row: Row, values: Values, context: Context) -> bool:
    """The links that a write names, by the whole set or by the primary alone."""
    relation, whole, single = _LINKING[entity.name](context.store)
    if whole in values:
        ids = [to_int(item) for item in items_of(values[whole])]
    elif single in values:
        ids = [to_int(values[single])]
        if relation.near.others(row.id)[:1] == ids:
            return False
    else:
        return False
    links = [Link(other, SORT_STEP * number) for number, other in enumerate(dict.fromkeys(ids), 1) if other > 0]
    if whole in values:
        return relink(entity, relation, row.id, links, context)
    # The field itself holds what was written, which on the admin side may be anything.
    return relation.near.set(row.id, links)


_LINKING: dict[str, Callable[[Store], tuple[Relation, str, str]]] = {
    CONTACTS.name: lambda store: (store.companies_of_contacts, "COMPANY_IDS", "COMPANY_ID"),
    COMPANIES.name: lambda store: (store.companies_of_contacts, "CONTACT_ID", ""),
    DEALS.name: lambda store: (store.contacts_of_deals, "CONTACT_IDS", "CONTACT_ID"),
}
