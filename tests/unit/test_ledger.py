"""The ledger's tables and migrations, on both databases."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from tasks.ledger import Ledger, migrate
from tasks.ledger.intake import fingerprint
from tasks.ledger.tables import metadata


def test_the_migrations_make_the_tables_that_the_code_declares(ledger):
    with ledger.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_a_database_that_is_not_migrated_is_named_with_the_command_to_run(tmp_path):
    with pytest.raises(migrate.NotMigrated, match="parom migrate"):
        migrate.require_current(Ledger(f"sqlite:///{tmp_path}/empty.db"))


def test_migrating_twice_is_harmless(ledger):
    assert migrate.upgrade(ledger) == migrate.head()
    migrate.require_current(ledger)


def test_a_failing_transaction_leaves_nothing(ledger):
    from sqlalchemy import insert, select

    from tasks.ledger.tables import flows

    def write_and_fail():
        with ledger.write() as connection:
            now = ledger.now(connection)
            connection.execute(insert(flows).values(name="x", modified_since=now, poll_due_at=now))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    with ledger.read() as connection:
        assert connection.execute(select(flows)).all() == []


def test_the_fingerprint_ignores_the_order_of_keys_and_nothing_else():
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint({"a": [1, 2]}) != fingerprint({"a": [2, 1]})
    assert fingerprint({"a": 1}) != fingerprint({"a": "1"})
