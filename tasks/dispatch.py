"""Dispatch: hand due records to workers, never more at once than the flow's window.

The backlog stays in the ledger; Redis holds the window, and no more than the target can serve in a few seconds. The
last places of a window are kept from backfill, so that a fresh change finds one free.
"""

import logging
from datetime import datetime, timedelta

from sqlalchemy import Connection

from tasks.flow import Flow
from tasks.ledger import pauses, window
from tasks.ledger.tables import Priority
from tasks.runtime import Runtime

log = logging.getLogger("parom.dispatch")

KEPT_FROM_BACKFILL = 5
"""One in so many places of a window is never given to backfill."""
HINT_LOST_AFTER = timedelta(seconds=5)
HINT_OLD_AFTER = timedelta(seconds=15)
"""Redis holds no more than a few seconds of work, so a hint that old is lost even while others wait there."""
NOTE_BATCH = 50


def dispatch(runtime: Runtime, name: str) -> int:
    """Queue what is due and fits the window; returns how many records were handed out."""
    flow = runtime.flows[name]
    headroom = flow.target_connection.headroom()  # asked before the transaction: it may be a call to Redis
    with runtime.ledger.write() as connection:
        now = runtime.ledger.now(connection)
        if pauses.standing(connection, name, now=now, lock=True).paused_by:
            return 0
        chosen = _choose(connection, flow, headroom, now)
    # Only now, after the commit: a worker may be faster than we are.
    runtime.publisher.sync(chosen)
    return len(chosen)


def _choose(connection: Connection, flow: Flow, headroom: int, now: datetime) -> list[int]:
    running = window.in_flight(connection, flow.name)
    suspect = window.suspect(connection, flow.name, now=now)
    if suspect is not None:
        return window.queue_alone(connection, suspect, now=now) if running == 0 else []
    places = flow.window - running
    chosen = window.queue(connection, flow.name, limit=min(places, headroom), now=now, last=Priority.RETRY)
    left = min(places - flow.window // KEPT_FROM_BACKFILL, headroom) - len(chosen)
    return chosen + window.queue(connection, flow.name, limit=left, now=now)


def publish_lost_hints(runtime: Runtime, name: str) -> int:
    """Send again the hints that no longer exist: flushed, or lost with a worker. Doubled ones end at the claim."""
    waiting = runtime.publisher.waiting()
    if waiting is None:
        return 0
    patience = HINT_LOST_AFTER if waiting == 0 else HINT_OLD_AFTER
    with runtime.ledger.write() as connection:
        now = runtime.ledger.now(connection)
        if pauses.standing(connection, name, now=now).paused_by:
            return 0
        limit = runtime.flows[name].window
        lost = window.lost_hints(connection, name, queued_before=now - patience, limit=limit, now=now)
    runtime.publisher.sync(lost)
    return len(lost)


def top_up(runtime: Runtime, name: str, *, at_once: bool = False) -> None:
    """After a finished record: refill the window once per few finishes, send notes once per full batch.

    `at_once` after a suspect, which ran alone: the others have waited long enough.
    """
    number = runtime.finished.next(name)
    is_few = number is not None and number % max(1, runtime.flows[name].window // 4) == 0
    if at_once or is_few:
        dispatch(runtime, name)
    if number is not None and number % NOTE_BATCH == 0:
        runtime.publisher.note(name)
