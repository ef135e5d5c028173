"""The Celery app: tasks by stable names, the beat schedule, one lazily built runtime per process.

`celery -A workers.app worker|beat|flower` work as for any Celery project. Nothing is read or opened at import.
"""

import logging
import os
import sys
import threading
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from kombu.transport.redis import Channel as RedisChannel

from tasks import look, note, poll, resync, sync, upkeep
from tasks.runtime import Runtime
from workers import compose, logs
from workers.hints import CeleryPublisher
from workers.keeper import Keeper
from workers.settings import Settings

TICK_SECONDS = 1.0
UPKEEP_SECONDS = 3.0
SWITCH_SECONDS = 0.0005


@cache
def settings() -> Settings:
    """The process's settings, read once. Raises SettingsError naming every problem."""
    return compose.read_settings(os.environ)


def _celery_settings() -> dict[str, Any]:
    ticks = {
        "tick": {"task": "parom.tick", "schedule": TICK_SECONDS, "options": {"expires": 10}},
        "upkeep": {"task": "parom.upkeep", "schedule": UPKEEP_SECONDS, "options": {"expires": 10}},
    }
    return {
        "broker_url": compose.redis_url(settings()),
        "worker_concurrency": settings().threads,
        "beat_schedule": ticks,
    }


app = Celery("parom", config_source="celeryconfig", set_as_current=True)
app.add_defaults(_celery_settings)
# A worker that ends puts no message back: the ledger sends lost hints again, and what kombu cannot put back, because
# Redis is away, it would write to a file in /tmp.
RedisChannel.do_restore = False


@setup_logging.connect
def set_up_logging(**_: Any) -> None:
    """Log as PAROM_LOG_LEVEL and PAROM_LOG_FORMAT say, with every known secret masked."""
    level, form = os.environ.get("PAROM_LOG_LEVEL", "INFO"), os.environ.get("PAROM_LOG_FORMAT")
    for chatty in ("celery.app.trace", "celery.worker.strategy", "celery.beat"):
        logging.getLogger(chatty).setLevel(logging.WARNING)  # they name every task twice
    broker = logs.secret_parts(compose.redis_url(settings()), whole=True)
    logs.setup(level, json=form == "json" if form else None, secrets={*settings().secrets(), *broker})


# --- the tasks: names and arguments are a contract, people send them from Flower and `celery call` ---


@app.task(name="parom.poll")
def poll_task(flow: str, force: bool = False) -> None:  # noqa: FBT001, FBT002 - people send ["students", true]
    """Ask the flow's source what changed, if it is due (or at once, with `force`)."""
    poll.poll(working_runtime(), flow, force=force)


@app.task(name="parom.sync")
def sync_task(record_id: int) -> None:
    """Make one attempt for one record of the ledger."""
    sync.sync(working_runtime(), record_id)


@app.task(name="parom.look")
def look_task(flow: str) -> None:
    """Read what the flow's source has hinted at."""
    look.look(working_runtime(), flow)


@app.task(name="parom.note")
def note_task(flow: str) -> None:
    """Write the flow's ripe notes."""
    note.note(working_runtime(), flow)


@app.task(name="parom.tick")
def tick_task() -> None:
    """Ask for due polls, hand out due records and ripe notes."""
    upkeep.tick(working_runtime())


@app.task(name="parom.upkeep")
def upkeep_task() -> None:
    """Free, wake, probe, forget."""
    upkeep.upkeep(working_runtime())


@app.task(name="parom.resync")
def resync_task(
    flow: str,
    ids: Sequence[str] = (),
    *,
    since: str | None = None,
    failed: bool = False,
    cause: str | None = None,
    everything: bool = False,
) -> None:
    """Deliver chosen records again. `since` is an ISO date or datetime. Raises ValueError if nothing is chosen."""
    if not (ids or since or failed or cause or everything):
        raise ValueError("name ids, or choose with since, failed, cause or everything")
    start = datetime.fromisoformat(since) if since else None
    if start and start.tzinfo is None:
        start = start.replace(tzinfo=settings().timezone)
    choice = resync.Choice(ids=tuple(map(str, ids)), since=start, failed=failed, cause=cause)
    resync.resync(working_runtime(), flow, choice)


_building = threading.Lock()


def runtime() -> Runtime:
    """What this process works with. Raises SettingsError, RedisAway or NotMigrated."""
    with _building:
        return _runtime()


def working_runtime() -> Runtime:
    """As `runtime`, in a process that works on records: its leases are kept alive."""
    with _building:
        return _kept_runtime()


@cache
def _kept_runtime() -> Runtime:
    built = _runtime()
    # A hundred threads that mostly wait: one that holds SQLite's only writer must get its turn soon.
    sys.setswitchinterval(SWITCH_SECONDS)
    Keeper(built).start()
    return built


@cache
def _runtime() -> Runtime:
    redis = compose.connect_redis(compose.redis_url(settings()))
    return compose.build_runtime(settings(), redis, CeleryPublisher(app, redis))
