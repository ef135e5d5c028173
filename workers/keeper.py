"""The lease keeper: a working process prolongs what it holds; a dead or frozen one no longer does."""

import logging
import threading

from tasks.ledger import notes, records
from tasks.runtime import Runtime

log = logging.getLogger("parom.keeper")


class Keeper(threading.Thread):
    """Prolongs this process's leases for as long as the process lives and runs."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(name="lease keeper", daemon=True)
        self._runtime = runtime

    def run(self) -> None:
        pause = threading.Event()
        while not pause.wait(self._runtime.lease.total_seconds() / 3):
            try:
                prolong(self._runtime)
            except Exception:  # a database that is away for a moment must not end the keeper
                log.warning("leases not prolonged", exc_info=True)


def prolong(runtime: Runtime) -> None:
    """Prolong the leases of what the process works on at this moment."""
    held = runtime.holdings.now()
    if held.records or held.turns:
        records.renew(
            runtime.ledger, owner=runtime.owner, lease=runtime.lease, record_ids=held.records, turns=held.turns
        )
    if held.notes:
        notes.renew(runtime.ledger, held.notes, lease=runtime.lease)
