"""Which fields of amoCRM a 1C base wants to be told: what it saved itself (brief 001 §2.7)."""

from collections.abc import Mapping

from sqlalchemy import select

from tasks.ledger.database import Ledger, insert_into
from tasks.ledger.tables import field_maps

FieldMap = Mapping[str, str | None]
"""`p_<id of the field in amoCRM>`, or `inn_<id>` for the one that holds the INN → what 1C said of it, if anything."""


def save(ledger: Ledger, connection: str, entity: str, fields: FieldMap) -> bool:
    """Put `fields` in the place of what the base saved for the entity before. False if that was the same."""
    with ledger.write() as transaction:
        query = select(field_maps.c.fields).where(field_maps.c.connection == connection, field_maps.c.entity == entity)
        if transaction.execute(query).scalar_one_or_none() == dict(fields):
            return False
        changed = {"fields": dict(fields), "changed_at": ledger.now(transaction)}
        row = insert_into(transaction, field_maps).values(connection=connection, entity=entity, **changed)
        keys = ["connection", "entity"]
        transaction.execute(row.on_conflict_do_update(index_elements=keys, set_=changed))
        return True


def saved(ledger: Ledger, connection: str, entity: str) -> FieldMap:
    """What the base saved for "contacts", "companies" or "leads"; empty if nothing."""
    query = select(field_maps.c.fields).where(field_maps.c.connection == connection, field_maps.c.entity == entity)
    with ledger.read() as transaction:
        return transaction.execute(query).scalar_one_or_none() or {}


def wanted(ledger: Ledger, connection: str, entity: str) -> frozenset[str]:
    """The ids of the fields that the base wants to be told; `saved` says of which entities."""
    return frozenset(name.removeprefix("p_") for name in saved(ledger, connection, entity) if name.startswith("p_"))
