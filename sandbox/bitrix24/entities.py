"""Contacts and deals: what get, add, update and delete do to a row (facts/bitrix24.md §6.1, §6.2, §7.1)."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sandbox.bitrix24.fields import CONTACT, DEAL, Field
from sandbox.bitrix24.moments import parsed, printed, zone
from sandbox.bitrix24.multifields import merged, raw
from sandbox.bitrix24.stages import semantic_of, staged
from sandbox.bitrix24.switches import Switches
from sandbox.bitrix24.table import Row, Table
from sandbox.bitrix24.values import Ignored, stored
from sandbox.clock import Clock

# What `params: {"IMPORT": "Y"}` opens for writing on add.
IMPORTED = {"DATE_CREATE", "DATE_MODIFY", "CREATED_BY_ID", "MODIFY_BY_ID"}


@dataclass(frozen=True, slots=True)
class Context:
    """What a write needs to know about the portal."""

    clock: Clock
    switches: Switches
    user_id: str
    multifield_ids: Iterator[int]

    def now(self) -> str:
        return printed(self.clock.now(), self.switches.server_offset)

    def next_multifield_id(self) -> int:
        return next(self.multifield_ids)


@dataclass(frozen=True, slots=True)
class Entity:
    """One classic CRM entity; `derive` recomputes what follows from other fields."""

    name: str
    schema: dict[str, Field]
    defaults: dict[str, Any]
    derive: Callable[[Row, Context], None]


def add(entity: Entity, table: Table, fields: dict[str, Any], context: Context, *, is_import: bool) -> Row:
    """A new row; raises Refusal for an invalid e-mail address."""
    now = context.now()
    values = {
        "CREATED_BY_ID": context.user_id,
        "MODIFY_BY_ID": context.user_id,
        "DATE_CREATE": now,
        "DATE_MODIFY": now,
        "ASSIGNED_BY_ID": context.user_id,
        **entity.defaults,
        **_written(entity, fields, None, context, is_import=is_import),
    }
    row = table.add(filled(values), born=context.clock.elapsed())
    entity.derive(row, context)
    return row


def update(entity: Entity, row: Row, fields: dict[str, Any], context: Context) -> None:
    """Writes what may be written; raises Refusal before anything is changed."""
    written = _written(entity, fields, row.values, context)
    changes = [code for code, value in written.items() if row.put(code, value)]
    if "STAGE_ID" in changes:
        row.put("MOVED_BY_ID", context.user_id)
        row.put("MOVED_TIME", context.now())
    entity.derive(row, context)
    if changes or context.switches.noop_update_touches:
        touch(row, context)


def touch(row: Row, context: Context) -> None:
    row.put("DATE_MODIFY", context.now())
    row.put("MODIFY_BY_ID", context.user_id)


def as_given(entity: Entity, fields: dict[str, Any], context: Context) -> dict[str, Any]:
    """Values of the admin side: stored exactly as given, so that every odd shape can be shown."""
    return {
        code: (raw(code, value, context.next_multifield_id) or None) if entity.schema[code].is_multifield else value
        for code, value in fields.items()
        if code in entity.schema and code != "ID"
    }


def _written(
    entity: Entity,
    fields: dict[str, Any],
    held: dict[str, Any] | None,
    context: Context,
    *,
    is_import: bool = False,
) -> dict[str, Any]:
    """What of `fields` reaches the store; `held` are the row's values, None for a new row."""
    written: dict[str, Any] = {}
    for code, value in fields.items():
        field = entity.schema.get(code)
        if field is None or not _is_writable(field, is_new=held is None, is_import=is_import):
            continue
        if field.is_multifield:
            written[code] = merged(code, (held or {}).get(code, []), value, context.next_multifield_id) or None
            continue
        with suppress(Ignored):
            written[code] = stored(field, value, context.switches)
    return written


def _is_writable(field: Field, *, is_new: bool, is_import: bool) -> bool:
    if field.is_read_only:
        return is_import and field.code in IMPORTED
    return is_new or not field.is_immutable


def filled(values: dict[str, Any]) -> dict[str, Any]:
    return {code: value for code, value in values.items() if value is not None}


def _derive_contact(row: Row, _context: Context) -> None:
    row.put("HAS_PHONE", "Y" if row.values.get("PHONE") else "N")
    row.put("HAS_EMAIL", "Y" if row.values.get("EMAIL") else "N")
    row.put("HAS_IMOL", "N")


def _derive_deal(row: Row, context: Context) -> None:
    category = row.values.get("CATEGORY_ID", "0")
    stage = staged(row.values.get("STAGE_ID", "NEW"), category)
    semantic = semantic_of(stage)
    row.put("STAGE_ID", stage)
    row.put("STAGE_SEMANTIC_ID", semantic)
    row.put("IS_NEW", "Y" if stage.rpartition(":")[2] == "NEW" else "N")
    if context.switches.closed_derived:
        row.put("CLOSED", "N" if semantic == "P" else "Y")


def restate_offsets(table: Table, offset: str) -> None:
    """Print every moment in another server offset, as a portal does whose zone was changed."""
    zone(offset)

    def restated(value: Any) -> Any:
        moment = parsed(str(value), offset)
        return printed(moment, offset) if moment else value

    for field in table.schema.values():
        if field.family == "moment":
            table.rewrite(field.code, restated)


CONTACTS = Entity(
    name="contact",
    schema=CONTACT,
    defaults={"OPENED": "Y", "EXPORT": "Y", "TYPE_ID": "CLIENT", "SOURCE_ID": "CALL"},
    derive=_derive_contact,
)
DEALS = Entity(
    name="deal",
    schema=DEAL,
    defaults={
        "STAGE_ID": "NEW",
        "TYPE_ID": "SALE",
        "CURRENCY_ID": "RUB",
        "OPENED": "Y",
        "CATEGORY_ID": "0",
        "IS_MANUAL_OPPORTUNITY": "N",
        "IS_RECURRING": "N",
    },
    derive=_derive_deal,
)
