"""`parom beat`: Celery beat with the schedule of `parom.toml`. Any number of them may run."""

import click

from workers.app import app, runtime


@click.command()
def beat() -> None:
    """Send the ticks that make polls, dispatch and upkeep happen."""
    runtime()
    app.start(["beat", "--loglevel", "INFO"])
