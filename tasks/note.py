"""Note: tell the source how its records fared, many at a time. A failing note never undoes or repeats a delivery."""

import logging
from datetime import timedelta

from connectors.base import Note
from tasks import policy
from tasks.dispatch import NOTE_BATCH
from tasks.flow import Flow
from tasks.ledger import notes
from tasks.ledger.notes import DueNote
from tasks.runtime import Runtime

log = logging.getLogger("parom.note")

LINGER = timedelta(seconds=5)
"""How long a note waits for others while its flow is busy; when nothing else is coming it leaves at once."""


def note(runtime: Runtime, name: str) -> int:
    """Write the flow's ripe notes; returns how many the source took."""
    flow = runtime.flows[name]
    taken = 0
    while flow.status_field and notes.are_ripe(runtime.ledger, name, batch=NOTE_BATCH, linger=LINGER):
        due = notes.claim(runtime.ledger, name, limit=NOTE_BATCH, lease=runtime.lease)
        with runtime.holdings.notes((each.record_id, each.fence) for each in due):
            written = _write(runtime, flow, due)
        taken += written
        if written < len(due) or not due:
            break  # what failed has its own due time; asking at once again would only fail again
    return taken


def _told(due: DueNote) -> Note:
    return Note(due.source_id, due.text, target_id=due.target_id, link=due.target_link)


def _write(runtime: Runtime, flow: Flow, due: tuple[DueNote, ...]) -> int:
    if not due or flow.status_field is None:
        return 0
    results = flow.source.write_notes(flow.status_field, [_told(each) for each in due])
    notes.written(runtime.ledger, [n for n, error in zip(due, results, strict=True) if error is None])
    for failed, error in zip(due, results, strict=True):
        if error is not None:
            retry = policy.after_note_error(error, attempts=failed.attempts)
            notes.failed(runtime.ledger, failed, reason=str(error), again_in=retry.again_in, counted=retry.counted)
    failures = [error for error in results if error is not None]
    if failures:
        log.warning("%d notes not written: %s", len(failures), failures[0], extra={"flow": flow.name})
    return len(due) - len(failures)
