"""Upkeep: what beat asks for every few seconds, from anywhere and twice without harm.

Asks for due polls, hands out due records, sends lost hints again, lets ripe notes go; frees what dead workers held,
wakes slow retries, probes refused connections, forgets old history.
"""

import logging
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, update

from connectors.errors import ConnectorError
from tasks import dispatch, look, policy, poll
from tasks.flow import Flow
from tasks.ledger import cursors, history, notes, pauses, records, streams
from tasks.ledger.history import Event
from tasks.ledger.tables import Priority, State
from tasks.ledger.tables import records as table
from tasks.note import LINGER
from tasks.runtime import Runtime

log = logging.getLogger("parom.upkeep")


def tick(runtime: Runtime) -> None:
    """Every second: due polls, due records, lost hints, ripe notes."""
    with runtime.ledger.read() as connection:
        now = runtime.ledger.now(connection)
        due = [name for name in runtime.flows if cursors.is_due(connection, name, now=now)]
    for name in due:
        runtime.publisher.poll(name)
    for name in runtime.flows:
        if look.is_waiting(runtime.redis, name):  # whoever was asked to look has not, or died of it
            runtime.publisher.look(name)
        dispatch.dispatch(runtime, name)
        dispatch.publish_lost_hints(runtime, name)
        if notes.are_ripe(runtime.ledger, name, batch=dispatch.NOTE_BATCH, linger=LINGER):
            runtime.publisher.note(name)


def upkeep(runtime: Runtime) -> None:
    """Every few seconds: free, wake, probe, forget."""
    with runtime.ledger.write() as connection:
        now = runtime.ledger.now(connection)
        for row in records.abandoned(connection, now=now, limit=500):
            _free(runtime, connection, row, now)
        records.wake(connection, now=now)
        history.prune(connection, before=history.age_limit(now, runtime.history_days))
    for flow in runtime.flows.values():
        _probe(runtime, flow)


def _free(runtime: Runtime, connection: Connection, row: RowMapping, now: datetime) -> None:
    crashes = row["crashes"] + 1
    is_poison = crashes >= policy.CRASHES_TO_PARK
    flow = runtime.flows.get(row["flow"])
    settle = flow.target.settle if flow and row["in_doubt_at"] else timedelta()
    values = {
        "state": State.PARKED if is_poison else State.PENDING,
        "priority": Priority.RETRY,
        "cause": records.CRASHED,
        "detail": f"the worker ended during the attempt ({crashes} times)",
        "crashes": crashes,
        # In doubt, the target must have settled before anyone looks; else the first crash is not the record's fault.
        "due_at": (row["in_doubt_at"] or now) + settle + (policy.backoff(crashes) if crashes > 1 else timedelta()),
        "lease_owner": None,
        "lease_until": None,
    }
    connection.execute(update(table).where(table.c.id == row["id"]).values(values))
    streams.advance_of(connection, [row["id"]], now=now)
    event = Event(row["id"], row["version"], "parked" if is_poison else "abandoned", values["detail"])
    history.write(connection, [event], now=now)


def _probe(runtime: Runtime, flow: Flow) -> None:
    if not pauses.take_probe(runtime.ledger, flow.name):
        return
    try:
        # The source is asked as a poll asks: its key may be right and a field that we need be gone.
        poll.try_out(runtime, flow)
        flow.target_connection.probe()
    except ConnectorError as error:
        log.info("still refused: %s", error, extra={"flow": flow.name})
        return
    if pauses.resume(runtime.ledger, flow.name, only="refused"):
        log.warning("the connection works again, the flow goes on", extra={"flow": flow.name})
