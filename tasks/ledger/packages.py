"""Packages of handlers that 1C runs (brief 001 §2.8-2.10): only ever added, under versions that only grow.

1C executes what is published here (facts/onec.md D4), so nothing can be changed or taken back, only followed.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, text

from tasks.ledger.database import Ledger
from tasks.ledger.intake import fingerprint
from tasks.ledger.tables import handler_packages


@dataclass(frozen=True)
class Package:
    """What a connection's publisher published, when (aware, UTC) and by which login."""

    version: int
    handlers: Any
    published_by: str
    published_at: datetime


def latest(ledger: Ledger, connection: str) -> Package | None:
    """The connection's newest package, or None if there was never one."""
    with ledger.read() as transaction:
        return _latest(transaction, connection)


def publish(ledger: Ledger, connection: str, handlers: Any, *, by: str) -> tuple[Package, bool]:
    """Add a package, and whether it is new: what equals the newest is that one, so a repeated request adds nothing."""
    with ledger.write() as transaction:
        _one_at_a_time(transaction, connection)
        newest = _latest(transaction, connection)
        if newest and fingerprint(newest.handlers) == fingerprint(handlers):
            return newest, False
        values = {
            "connection": connection,
            "handlers": handlers,
            "published_by": by[:64],
            "published_at": ledger.now(transaction),
        }
        transaction.execute(insert(handler_packages).values(values))
        added = _latest(transaction, connection)
        assert added is not None  # noqa: S101 - it was added a moment ago
        return added, True


def _latest(transaction: Connection, connection: str) -> Package | None:
    columns = (handler_packages.c[name] for name in ("version", "handlers", "published_by", "published_at"))
    newest = select(func.max(handler_packages.c.version)).where(handler_packages.c.connection == connection)
    row = transaction.execute(select(*columns).where(handler_packages.c.version == newest.scalar_subquery())).first()
    return Package(*row) if row else None


def _one_at_a_time(transaction: Connection, connection: str) -> None:
    if transaction.dialect.name == "postgresql":
        lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
        transaction.execute(lock, {"name": f"handler_packages {connection}"})
