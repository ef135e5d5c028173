"""Poll: ask the source what changed, write it to the ledger, move the cursor; one transaction per page.

A window begins at the source's clock of the former window, less an overlap, and is read by ascending id. Rows that
change meanwhile come again in the next window; rows that come twice are no work (tasks/ledger/intake.py).
"""

import logging
from dataclasses import replace
from datetime import timedelta
from functools import partial

from connectors.base import Page, Window
from connectors.errors import ConnectorError
from tasks import dispatch, policy
from tasks.flow import Flow
from tasks.ledger import cursors, intake, pauses
from tasks.ledger.cursors import Position, Turn
from tasks.ledger.intake import Taken
from tasks.runtime import Runtime

log = logging.getLogger("parom.poll")

CLOCK_SLACK = timedelta(seconds=30)
"""By so much two clocks may drift apart between two polls; far less than the overlap of two windows."""
PAGES_PER_TURN = 100
"""After so many pages the task asks for another turn, so that a first load does not sit on a thread for hours."""


def poll(runtime: Runtime, name: str, *, force: bool = False) -> Taken | None:
    """Read what changed in the flow's source. None if it is not this caller's turn, else what came."""
    flow = runtime.flows[name]
    turn = cursors.take_turn(
        runtime.ledger, name, owner=runtime.owner, lease=runtime.lease, every=flow.every, force=force
    )
    if turn is None:
        return None
    with runtime.holdings.turn(name):
        return _read(runtime, flow, turn)


def _read(runtime: Runtime, flow: Flow, turn: Turn) -> Taken:
    total = Taken()
    try:
        for _ in range(PAGES_PER_TURN):
            turn, taken = _read_page(runtime, flow, turn)
            if taken is None:
                log.info("lost the turn to poll", extra={"flow": flow.name})
                return total
            total += taken
            dispatch.dispatch(runtime, flow.name)
            if turn.position.after_id is None:
                cursors.end_turn(runtime.ledger, turn)
                return total
    except ConnectorError as error:
        _end_after(runtime, flow, turn, error)
        return total
    cursors.end_turn(runtime.ledger, turn, due_in=timedelta())
    runtime.publisher.poll(flow.name)
    return total


def _read_page(runtime: Runtime, flow: Flow, turn: Turn) -> tuple[Turn, Taken | None]:
    asked_at = runtime.ledger.clock()
    page = flow.source.page(_window(runtime, flow, turn.position), flow.reads)
    earlier = _clock_set_back(turn, page)
    if earlier is not None:
        return _read_page(runtime, flow, replace(turn, position=earlier))
    position = _moved(turn, page)
    rows = [flow.seen(row) for row in page.rows]
    taken = cursors.store_page(runtime.ledger, turn, rows, position, lease=runtime.lease, asked_at=asked_at)
    return replace(turn, position=position), taken


def try_out(runtime: Runtime, flow: Flow) -> None:
    """Ask the source what the next poll will ask, and keep nothing. Raises what the poll would."""
    flow.source.page(_window(runtime, flow, cursors.position(runtime.ledger, flow.name)), flow.reads)


def _window(runtime: Runtime, flow: Flow, position: Position) -> Window:
    return Window(
        position.modified_since - flow.overlap,
        created_since=flow.since,
        after_id=position.after_id,
        conditions=flow.mapping.conditions,
        unknown=partial(intake.unknown, runtime.ledger, flow.name),
    )


def _moved(turn: Turn, page: Page) -> Position:
    now = turn.position
    high = now.window_high or page.server_time
    opened = turn.now if now.window_high is None else now.opened_at
    if page.last:
        return Position(high, opened_at=opened)
    return Position(now.modified_since, window_high=high, after_id=page.last_id, opened_at=opened)


def _clock_set_back(turn: Turn, page: Page) -> Position | None:
    """Where to begin instead, if the source's clock was set back since the former window.

    Rows may have been stamped since then by the corrected clock, and would lie below the window for ever.
    """
    was = turn.position
    if was.window_high is not None or was.opened_at is None:
        return None
    elapsed = max(turn.now - was.opened_at, timedelta())
    begins = page.server_time - elapsed
    if begins >= was.modified_since - CLOCK_SLACK:
        return None
    log.warning("the source's clock was set back", extra={"flow": turn.flow})
    return Position(begins, opened_at=None)


def _end_after(runtime: Runtime, flow: Flow, turn: Turn, error: ConnectorError) -> None:
    retry = policy.after_poll_error(error)
    log.warning("poll ended: %s", error, extra={"flow": flow.name})
    cursors.end_turn(runtime.ledger, turn, error=str(error), due_in=retry.again_in)
    if retry.pauses:
        pause_refused(runtime, flow.name, error)


def pause_refused(runtime: Runtime, name: str, error: ConnectorError) -> None:
    """Stop a flow whose connection is refused, tell the operator once; `upkeep` probes and resumes it."""
    waits = {"first_probe": policy.PROBE_EVERY, "longest": policy.LONGEST_PROBE}
    if pauses.refuse(runtime.ledger, name, reason=str(error), **waits):
        log.error("flow paused, a person is needed: %s", error, extra={"flow": name, "alert": True})
