"""All that a portal remembers: rows, product rows, links, the history of stages. The portal's lock guards it."""

import itertools
from dataclasses import dataclass
from typing import Any

from sandbox.bitrix24.entities import COMPANIES, CONTACTS, DEALS, ENTITIES, Entity
from sandbox.bitrix24.links import Side, sides
from sandbox.bitrix24.moments import parsed, printed, zone
from sandbox.bitrix24.schemas import STAGE_HISTORY, USER
from sandbox.bitrix24.switches import Switches
from sandbox.bitrix24.table import Table
from sandbox.bitrix24.users import staff_rows
from sandbox.chronicle import Change
from sandbox.system import UnknownEntity

FIRST_ID = 1000
# What /store calls the rows of a table.
PLURALS = {entity.name: plural for plural, entity in ENTITIES.items()} | {"user": "users"}


@dataclass(frozen=True, slots=True)
class Relation:
    """`near` rows show their primary link in the field `code`."""

    entity: Entity
    code: str
    near: Side
    far: Side


class Store:
    """Tables by entity name; ids are counted here so that a fresh store repeats them."""

    def __init__(self) -> None:
        self.tables = {entity.name: Table(entity.schema, first_id=FIRST_ID) for entity in ENTITIES.values()}
        self.tables |= {"user": Table(USER), "stage_history": Table(STAGE_HISTORY, first_id=FIRST_ID)}
        self.product_rows: dict[int, list[dict[str, Any]]] = {}
        self.companies_of_contacts = Relation(CONTACTS, "COMPANY_ID", *sides())
        self.contacts_of_deals = Relation(DEALS, "CONTACT_ID", *sides())
        self.product_row_ids, self.multifield_ids, self.file_ids = (itertools.count(FIRST_ID) for _ in range(3))
        self.configure(Switches())
        for user_id, values in staff_rows().items():
            self.tables["user"].add(values, born=0.0, row_id=user_id)
        # The staff was there before anything happened.
        self.changes()

    def configure(self, switches: Switches) -> None:
        for table in self.tables.values():
            table.configure(switches)

    def table(self, entity: Entity) -> Table:
        return self.tables[entity.name]

    def rows(self, plural: str) -> list[dict[str, Any]]:
        """Every row, full, lowest id first; raises UnknownEntity."""
        if plural == "product_rows":
            return [row for rows in self.product_rows.values() for row in rows]
        name = ENTITIES[plural].name if plural in ENTITIES else plural.removesuffix("s")
        table = self.tables.get(name)
        if table is None:
            raise UnknownEntity(plural)
        return [table.shown(table.rows[row_id]) for row_id in table.ids]

    def changes(self) -> list[Change]:
        """What became of rows since the last call, each as it is now; a deal comes with its `PRODUCT_ROWS`."""
        return [
            Change(PLURALS.get(name, name), str(row_id), verb, None if verb == "deleted" else self._state(name, row_id))
            for name, table in self.tables.items()
            if table.changed
            for row_id, verb in table.take_changed().items()
        ]

    def put_product_rows(self, deal_id: int, rows: list[dict[str, Any]]) -> None:
        self.product_rows[deal_id] = rows
        self.table(DEALS).rows[deal_id].mark()

    def remove(self, entity: Entity, row_id: int, *, unbinds_deals: bool) -> None:
        """The row and what hangs on it; raises KeyError."""
        self.table(entity).remove(row_id)
        if entity is DEALS:
            self.product_rows.pop(row_id, None)
            self.contacts_of_deals.near.set(row_id, [])
        if entity is CONTACTS:
            self.companies_of_contacts.near.set(row_id, [])
            if unbinds_deals:
                self.unlink_everywhere(self.contacts_of_deals, row_id)
        if entity is COMPANIES:
            self.unlink_everywhere(self.companies_of_contacts, row_id)

    def _state(self, name: str, row_id: int) -> dict[str, Any]:
        table = self.tables[name]
        shown = table.shown(table.rows[row_id])
        return shown | {"PRODUCT_ROWS": self.product_rows.get(row_id, [])} if name == DEALS.name else shown

    def unlink_everywhere(self, relation: Relation, far_id: int) -> None:
        near_ids = relation.far.others(far_id)
        relation.far.set(far_id, [])
        self.show_primaries(relation, near_ids)

    def show_primaries(self, relation: Relation, near_ids: list[int]) -> None:
        """Print the primary link of each into its row."""
        table = self.table(relation.entity)
        for near_id in near_ids:
            if near_id in table.rows:
                primary = next(iter(relation.near.others(near_id)), None)
                table.rows[near_id].put(relation.code, None if primary is None else str(primary))

    def restate_offsets(self, offset: str) -> None:
        """Print every moment in another server offset, as a portal does whose zone was changed."""
        zone(offset)

        def restated(value: Any) -> Any:
            moment = parsed(str(value), offset)
            return printed(moment, offset) if moment else value

        for table in self.tables.values():
            for field in table.schema.values():
                if field.family == "moment":
                    table.rewrite(field.code, restated)
