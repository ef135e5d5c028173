"""The connection to the ledger: SQLite in WAL or PostgreSQL, one clock (the database's), short transactions.

A transaction is never open across an outside call: take what you need, leave the `with`, then call.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, DateTime, Dialect, Engine, Table, create_engine, event, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.types import TypeDecorator

BUSY_SECONDS = 30
"""How long a SQLite writer waits for another process's transaction."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, kept in UTC. SQLite has no zones, so they are taken off and put back here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Ledger:
    """A ledger at a database address; opens connections lazily, so it may be made before a fork."""

    def __init__(self, url: str, *, pool_size: int = 20) -> None:
        self.engine = _engine(url, pool_size)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        # Threads of one process would otherwise meet in SQLite's busy handler, which sleeps and is unfair.
        self._writer = threading.Lock() if self.is_sqlite else nullcontext()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; commits at the end, rolls back on any exception."""
        with self._writer, self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads and, on SQLite, waits for no writer."""
        with self.engine.connect().execution_options(sqlite_begin="BEGIN") as connection:
            yield connection

    def now(self, connection: Connection) -> datetime:
        """The database's clock, aware, UTC. Leases of several hosts are comparable by it alone."""
        if self.is_sqlite:
            return datetime.now(UTC)  # the database is this host's, and so is its clock
        moment = connection.execute(select(func.clock_timestamp())).scalar_one()
        assert isinstance(moment, datetime)  # noqa: S101 - narrows the type
        return moment.astimezone(UTC)

    def clock(self) -> datetime:
        """As `now`, outside of any transaction: to be asked before an outside system is."""
        with self.read() as connection:
            return self.now(connection)

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


def insert_into(connection: Connection, table: Table) -> Any:
    """The dialect's INSERT, which knows what to do on a conflict."""
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


def _engine(url: str, pool_size: int) -> Engine:
    address = make_url(url)
    if address.get_backend_name() != "sqlite":
        return create_engine(
            url, hide_parameters=True, pool_size=pool_size, max_overflow=pool_size, pool_timeout=10, pool_pre_ping=True
        )
    Path(address.database or "").parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url,
        hide_parameters=True,  # they are people's data, and errors are logged
        pool_size=pool_size,
        max_overflow=pool_size,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions behind our back
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later would fail at the upgrade; it takes the lock at once instead.
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN IMMEDIATE"))
