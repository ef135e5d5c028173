"""Bringing a database to the ledger's newest shape, and telling whether it is there."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from tasks.ledger.database import Ledger


class NotMigrated(Exception):
    """The database is not at the revision this release needs."""

    def __init__(self, found: str | None, needed: str | None) -> None:
        super().__init__(
            f"the ledger is at revision {found or 'none'}, this release needs {needed}: run `parom migrate`"
        )


def upgrade(ledger: Ledger) -> str | None:
    """Apply all missing migrations; returns the revision reached."""
    config = _config()
    with ledger.engine.connect().execution_options(sqlite_begin="BEGIN IMMEDIATE") as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
    return head()


def require_current(ledger: Ledger) -> None:
    """Raise NotMigrated unless the database is at this release's revision."""
    with ledger.read() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    if found != head():
        raise NotMigrated(found, head())


def head() -> str | None:
    """The revision this release needs."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
