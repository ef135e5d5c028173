"""`parom migrate`: the ledger's tables, made or brought up to date."""

import click

from tasks.ledger import Ledger
from tasks.ledger import migrate as migrations
from workers.app import settings


@click.command()
def migrate() -> None:
    """Bring the ledger to this release's shape; harmless when it is there already."""
    ledger = Ledger(settings().database_url)
    click.echo(f"the ledger is at revision {migrations.upgrade(ledger)}")
