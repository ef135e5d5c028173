"""A person in the portal's interface: values are stored as given, MODIFY_BY_ID is theirs."""

from typing import Any

from sandbox.bitrix24 import entities
from sandbox.bitrix24.entities import Entity
from sandbox.bitrix24.merging import merge
from sandbox.bitrix24.portal import ENTITIES, Portal
from sandbox.bitrix24.productrows import opportunity
from sandbox.bitrix24.table import Row
from sandbox.bitrix24.users import HUMAN
from sandbox.bitrix24.values import to_int


class Hands:
    """Edits rows of one portal; raises KeyError for an unknown row, ValueError for an id that is taken."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    def create_many(self, plural: str, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Rows in one go; `ID`, dates and authors may be given, `PRODUCT_ROWS` with a deal."""
        with self._portal.lock:
            return [self._create(ENTITIES[plural], fields) for fields in given]

    def _create(self, entity: Entity, fields: dict[str, Any]) -> dict[str, Any]:
        context, table = self._portal.context(HUMAN), self._portal.tables[entity.name]
        now = context.now()
        values = {
            **entity.defaults,
            **dict.fromkeys(("CREATED_BY_ID", "MODIFY_BY_ID", "ASSIGNED_BY_ID"), HUMAN),
            **dict.fromkeys(("DATE_CREATE", "DATE_MODIFY"), now),
            **entities.as_given(entity, fields, context),
        }
        row_id = to_int(fields.get("ID")) or None
        row = table.add(entities.filled(values), born=context.clock.elapsed(), row_id=row_id)
        entity.derive(row, context)
        self._put_products(row, fields)
        return table.shown(row)

    def edit(self, plural: str, row_id: int, fields: dict[str, Any]) -> dict[str, Any]:
        """Fields replaced as a whole; DATE_MODIFY is now and MODIFY_BY_ID a person unless given."""
        entity = ENTITIES[plural]
        context, table = self._portal.context(HUMAN), self._portal.tables[entity.name]
        with self._portal.lock:
            row = table.rows[row_id]
            entities.touch(row, context)
            for code, value in entities.as_given(entity, fields, context).items():
                row.put(code, value)
            entity.derive(row, context)
            self._put_products(row, fields)
            return table.shown(row)

    def delete(self, plural: str, row_id: int) -> None:
        with self._portal.lock:
            self._portal.remove(ENTITIES[plural], row_id)

    def merge(self, loser_id: int, winner_id: int) -> dict[str, Any]:
        """Two contacts that are one person become one."""
        with self._portal.lock:
            winner = merge(self._portal, loser_id, winner_id, self._portal.context(HUMAN))
            return self._portal.tables["contact"].shown(winner)

    def _put_products(self, deal: Row, fields: dict[str, Any]) -> None:
        if "PRODUCT_ROWS" not in fields:
            return
        rows = [self._portal.product_row(given, deal.id) | given for given in fields["PRODUCT_ROWS"]]
        self._portal.product_rows[deal.id] = rows
        if "OPPORTUNITY" not in fields:
            deal.put("OPPORTUNITY", opportunity(rows))
