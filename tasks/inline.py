"""Inline: a record whose sender waits for the answer. It is in the ledger first, and delivered as every other one is.

If the answer does not come in time, or this process ends, workers go on with the record as with any other.
"""

import time
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from threading import Event

from sqlalchemy import select

from connectors.base import Row
from tasks import dispatch
from tasks.flow import Flow
from tasks.ledger import intake
from tasks.ledger.tables import IN_FLIGHT, State, records
from tasks.runtime import Runtime
from tasks.sync import sync

LOOK_EVERY = 0.1
"""Seconds between looks at a record that somebody else is delivering."""
SETTLED = (State.DONE, State.SKIPPED, State.REJECTED, State.PARKED)
_THREADS = ThreadPoolExecutor(32, thread_name_prefix="inline")
"""An attempt goes on when its sender no longer waits; more attempts at a time are left to the workers."""


@dataclass(frozen=True)
class Outcome:
    """How the record stood when we looked last."""

    state: State
    target_id: str | None
    detail: str | None
    cause: str | None

    @property
    def is_settled(self) -> bool:
        """Whether nothing more will come of it by itself."""
        return self.state in SETTLED


def carry(runtime: Runtime, name: str, row: Row, *, patience: timedelta, executor: Executor = _THREADS) -> Outcome:
    """Take `row` into the ledger and deliver it; returns how it stands after at most `patience`.

    Raises SQLAlchemyError if it could not be stored; anything that happens later is in the outcome.
    """
    ends = time.monotonic() + patience.total_seconds()
    record = _store(runtime, runtime.flows[name], row)
    if not _outcome(runtime, record).is_settled:
        attempted = Event()
        executor.submit(_attempt, runtime, name, record, attempted)
        attempted.wait(max(0.0, ends - time.monotonic()))
    while not (outcome := _outcome(runtime, record)).is_settled and time.monotonic() < ends:
        if outcome.state not in IN_FLIGHT:
            break  # it waits for something that nobody here can hasten
        time.sleep(LOOK_EVERY)
    return outcome


def _store(runtime: Runtime, flow: Flow, row: Row) -> int:
    seen, asked_at = flow.seen(row), runtime.ledger.clock()
    with runtime.ledger.write() as connection:
        now = runtime.ledger.now(connection)
        return intake.put(connection, flow.name, seen, now=now, asked_at=asked_at)


def _attempt(runtime: Runtime, name: str, record: int, attempted: Event) -> None:
    try:
        with suppress(Exception):  # the ledger says what became of it
            sync(runtime, record)
    finally:
        attempted.set()
    dispatch.dispatch(runtime, name)  # nobody waits for it


def _outcome(runtime: Runtime, record: int) -> Outcome:
    columns = (records.c[name] for name in ("state", "target_id", "detail", "cause"))
    with runtime.ledger.read() as connection:
        state, *rest = connection.execute(select(*columns).where(records.c.id == record)).one()
    return Outcome(State(state), *rest)
