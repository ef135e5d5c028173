"""What a method is, and what every method needs: the row it is about, the fields it was given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.bitrix24.entities import Entity
from sandbox.bitrix24.errors import access_denied, bad_id, not_array, not_found
from sandbox.bitrix24.listing import Result
from sandbox.bitrix24.values import to_int
from sandbox.wire import Kind

if TYPE_CHECKING:
    from sandbox.bitrix24.portal import Portal
    from sandbox.bitrix24.table import Row

Params = dict[str, Any]
Run = Callable[["Portal", Params], Result]


@dataclass(frozen=True, slots=True)
class Method:
    """`scope` empty means basic: every webhook may call it. `kind` and `entity` are what the journal calls it."""

    run: Run
    scope: str
    kind: Kind
    entity: str = ""


def row_of(portal: "Portal", entity: Entity, params: Params) -> "Row":
    """Raises Refusal for an id that is none, unknown or hidden."""
    row_id = to_int(params.get("id"))
    if row_id <= 0:
        raise bad_id()
    row = portal.store.table(entity).rows.get(row_id)
    if row is None:
        raise not_found()
    if not portal.is_readable(row):
        raise access_denied()
    return row


def fields_of(params: Params) -> dict[str, Any]:
    fields = params.get("fields")
    if fields == []:
        return {}
    if not isinstance(fields, dict):
        raise not_array("fields")
    return fields
