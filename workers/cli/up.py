"""`parom up`: Redis if embedded, worker and beat in one process tree; Ctrl-C ends them all."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from tasks.ledger import Ledger
from tasks.ledger import migrate as migrations
from workers.app import app, runtime, settings
from workers.cli.failures import WorkFailed
from workers.drain import Drained, drain
from workers.embedded import EmbeddedRedis
from workers.processes import ProcessTree
from workers.web.callers import are_expected


@click.command()
@click.option("--drain", "is_drain", is_flag=True, help="poll once, finish all due work, tell how it went, end")
@click.option("--listen", default="127.0.0.1:8080", show_default=True, help="of the web process")
def up(*, is_drain: bool, listen: str) -> None:
    """Run everything on this machine: the embedded Redis if configured, worker, beat, and web if anybody calls us."""
    has_callers = are_expected(settings()) and not is_drain
    log_folder = settings().var / "log" if is_drain else None
    with running(log_folder=log_folder, listen=listen if has_callers else None) as mend:
        if is_drain:
            raise SystemExit(_drain(mend))
        click.echo("running; Ctrl-C ends it", err=True)
        while True:
            mend()
            time.sleep(1)
    if is_drain:  # Ctrl-C ended it before it could tell
        raise SystemExit(WorkFailed.exit_code)


@contextmanager
def running(*, log_folder: Path | None = None, listen: str | None = None) -> Iterator[Callable[[], None]]:
    """A migrated ledger, the embedded Redis if configured, a worker, a beat and, to `listen`, a web process.

    They run until the block ends or Ctrl-C.
    Yields a function that starts again what has ended; call it now and then.
    """
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell's background job would ignore Ctrl-C's signal
        signal.signal(number, _interrupt)
    redis = EmbeddedRedis(settings().var) if settings().is_redis_embedded else None
    tree = ProcessTree(log_folder)

    def mend() -> None:
        if redis:
            redis.start()
        tree.mend()

    try:
        mend()
        migrations.upgrade(Ledger(settings().database_url))
        runtime()
        tree.start("worker", [sys.executable, "-m", "workers.cli", "worker"])
        tree.start("beat", [sys.executable, "-m", "workers.cli", "beat"])
        if listen:
            tree.start("web", [sys.executable, "-m", "workers.cli", "web", "--listen", listen])
        yield mend
    except KeyboardInterrupt:
        click.echo("ending", err=True)
    finally:
        tree.stop()
        if redis:
            redis.stop()


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _drain(mend: Callable[[], None]) -> int:
    from rich.console import Console

    from workers.cli.progress import shown_progress, summary

    console = Console(highlight=False, soft_wrap=True)
    with shown_progress(console) as watch:
        drained: Drained = drain(runtime(), app, watch=watch, mend=mend)
    summary(console, drained)
    return 0 if drained.is_clean else WorkFailed.exit_code
