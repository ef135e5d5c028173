"""`parom worker`: a Celery worker with the settings of `parom.toml`."""

import click

from workers.app import app, runtime, settings


@click.command()
@click.option("--threads", type=click.IntRange(1, 1000), help="records at a time; default: `threads` of parom.toml")
def worker(threads: int | None) -> None:
    """Work on records until stopped (SIGTERM lets running ones end)."""
    runtime()  # what is misconfigured is told before Celery starts
    count = threads or settings().threads
    app.worker_main(
        ["worker", "--concurrency", str(count), "--loglevel", "INFO", "--without-mingle", "--without-gossip"]
    )
