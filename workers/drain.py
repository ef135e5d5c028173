"""Draining: poll every flow once, then wait until nothing is in flight or due soon."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from celery import Celery

from tasks.ledger import report
from tasks.ledger.report import FlowReport
from tasks.runtime import Runtime

SOON = timedelta(seconds=15)
"""A retry that is due within this time is waited for; a later one is left to the next run and told."""
ASK_AGAIN = 5.0
LOOK_EVERY = 0.2


@dataclass(frozen=True)
class Drained:
    """How it ended: the last reports, and whether every record is where it should be."""

    reports: tuple[FlowReport, ...]
    seconds: float

    @property
    def is_clean(self) -> bool:
        """Polled to the end, nothing pending or parked, no note due. Rejected records are their managers' business."""
        return all(_is_clean(each) for each in self.reports)


def _is_clean(flow: FlowReport) -> bool:
    open_states = ("pending", "queued", "running", "waiting", "parked")
    is_open = any(flow.by_state.get(state) for state in open_states)
    return not (is_open or flow.notes_due or flow.poll_error or flow.paused_by)


def drain(
    runtime: Runtime, app: Celery, *, watch: Callable[[tuple[FlowReport, ...]], None], mend: Callable[[], None]
) -> Drained:
    """Ask for one poll of every flow and wait for the work. Every moment `watch` sees the reports, `mend` may act."""
    began = time.monotonic()
    turns_before = {name: report.of_flow(runtime.ledger, name).turns for name in runtime.flows}
    asked_at: dict[str, float] = {}
    for reports in _looks(runtime):
        watch(reports)
        mend()
        unpolled = [each for each in reports if not _is_polled(each, turns_before[each.name])]
        for each in unpolled:
            # A message may be lost; a doubled one finds the turn taken.
            if not each.is_polling and time.monotonic() - asked_at.get(each.name, 0.0) > ASK_AGAIN:
                app.send_task("parom.poll", (each.name, True))
                asked_at[each.name] = time.monotonic()
        if not unpolled and not _is_busy(runtime):
            return Drained(_reports(runtime), time.monotonic() - began)
    raise AssertionError  # the looks never end by themselves


def _is_busy(runtime: Runtime) -> bool:
    return any(report.unfinished_soon(runtime.ledger, name, within=SOON) for name in runtime.flows)


def _reports(runtime: Runtime) -> tuple[FlowReport, ...]:
    return tuple(report.of_flow(runtime.ledger, name) for name in runtime.flows)


def _looks(runtime: Runtime) -> Iterator[tuple[FlowReport, ...]]:
    while True:
        yield _reports(runtime)
        time.sleep(LOOK_EVERY)


def _is_polled(flow: FlowReport, turns_before: int) -> bool:
    """Read to the end since we began, or ended for a reason that a person will be told."""
    is_over = flow.turns > turns_before and not flow.is_polling and not flow.has_open_window
    return is_over or bool(flow.turns > turns_before and flow.poll_error) or bool(flow.paused_by)
