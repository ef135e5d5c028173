"""A person in the portal's interface: values are stored as given, MODIFY_BY_ID is theirs."""

from dataclasses import replace
from typing import Any

from sandbox.bitrix24 import writes
from sandbox.bitrix24.entities import ENTITIES, Entity
from sandbox.bitrix24.merging import merge
from sandbox.bitrix24.portal import Portal
from sandbox.bitrix24.productrows import opportunity
from sandbox.bitrix24.table import Row
from sandbox.bitrix24.users import HUMAN
from sandbox.bitrix24.values import to_int

# What an edit sets by itself, unless the person's edit names it.
BOOKKEEPING = ("DATE_MODIFY", "MODIFY_BY_ID", "MOVED_BY_ID", "MOVED_TIME")


class Hands:
    """Edits rows of one portal; raises KeyError for an unknown row, ValueError for an id that is taken."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    def create(self, plural: str, fields: dict[str, Any]) -> dict[str, Any]:
        """`ID`, dates and authors may be given, `PRODUCT_ROWS` with a deal."""
        with self._portal.commit("person"):
            return self._create(ENTITIES[plural], fields, self._portal.context(HUMAN))

    def create_many(self, plural: str, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Rows that were there before the story begins: no event tells of them."""
        with self._portal.commit("person"):
            context = replace(self._portal.context(HUMAN), announce=lambda *_: None)
            return [self._create(ENTITIES[plural], fields, context) for fields in given]

    def _create(self, entity: Entity, fields: dict[str, Any], context: writes.Context) -> dict[str, Any]:
        values = writes.as_given(entity, fields, context)
        row = writes.add(entity, values, context, row_id=to_int(fields.get("ID")) or None)
        self._put_products(row, fields)
        return context.store.table(entity).shown(row)

    def edit(self, plural: str, row_id: int, fields: dict[str, Any]) -> dict[str, Any]:
        """Fields replaced as a whole; DATE_MODIFY is now and MODIFY_BY_ID a person unless given."""
        entity = ENTITIES[plural]
        with self._portal.commit("person"):
            context = self._portal.context(HUMAN)
            row = context.store.table(entity).rows[row_id]
            values = writes.as_given(entity, fields, context)
            writes.update(entity, row, values, context, touches=True)
            for code in BOOKKEEPING:
                if code in values:
                    row.put(code, values[code])
            self._put_products(row, fields)
            return context.store.table(entity).shown(row)

    def delete(self, plural: str, row_id: int) -> None:
        with self._portal.commit("person"):
            writes.remove(ENTITIES[plural], row_id, self._portal.context(HUMAN))

    def merge(self, loser_id: int, winner_id: int) -> dict[str, Any]:
        """Two contacts that are one person become one."""
        with self._portal.commit("person"):
            context = self._portal.context(HUMAN)
            return context.store.tables["contact"].shown(merge(loser_id, winner_id, context))

    def _put_products(self, deal: Row, fields: dict[str, Any]) -> None:
        if "PRODUCT_ROWS" not in fields:
            return
        rows = [self._portal.product_row(given, deal.id) | given for given in fields["PRODUCT_ROWS"]]
        self._portal.store.put_product_rows(deal.id, rows)
        if "OPPORTUNITY" not in fields:
            deal.put("OPPORTUNITY", opportunity(rows))
