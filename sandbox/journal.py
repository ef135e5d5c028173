"""What was asked and answered, written before the answer leaves. In memory only: parameters are personal data."""

import hashlib
import itertools
import threading
from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.wire import Request, Response, Trace

KEPT_ENTRIES = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One HTTP request; `at` is the monotonic second it arrived, `status` 0 means that no answer was sent."""

    seq: int
    at: float
    time: datetime
    system: str
    http_method: str
    path: str
    client_ip: str
    body_sha256: str
    status: int
    fault: str | None
    trace: Trace

    def as_json(self) -> dict[str, Any]:
        return {
            "seq": self.seq,
            "at": self.at,
            "time": self.time.isoformat(),
            "system": self.system,
            "http_method": self.http_method,
            "path": self.path,
            "client_ip": self.client_ip,
            "body_sha256": self.body_sha256,
            "status": self.status,
            "fault": self.fault,
            **_trace_json(self.trace),
            "commands": [_trace_json(command) for command in self.trace.commands],
        }


def _trace_json(trace: Trace) -> dict[str, Any]:
    return {
        "method": trace.method,
        "kind": trace.kind,
        "entity": trace.entity,
        "key": trace.key,
        "params": trace.params,
        "committed": trace.is_committed,
        "error": trace.error,
    }


class Journal:
    """Append-only; the counts cover everything since the last reset, the entries the last KEPT_ENTRIES."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self._entries: deque[Entry] = deque(maxlen=KEPT_ENTRIES)
            self._last_seq = 0
            self._counts: Counter[tuple[str, str, str, str]] = Counter()

    def append(
        self,
        system: str,
        request: Request,
        response: Response,
        *,
        at: float,
        time: datetime,
        is_answered: bool,
        fault: str | None,
    ) -> None:
        trace, body_sha256 = response.trace, hashlib.sha256(request.body).hexdigest()
        with self._lock:
            self._last_seq += 1
            self._entries.append(
                Entry(
                    seq=self._last_seq,
                    at=at,
                    time=time,
                    system=system,
                    http_method=request.http_method,
                    path=request.path,
                    client_ip=request.client_ip,
                    body_sha256=body_sha256,
                    status=response.status if is_answered else 0,
                    fault=fault,
                    trace=trace,
                )
            )
            self._counts[system, "http", trace.method, trace.kind] += 1
            for command in trace.commands or (trace,):
                self._counts[system, "commands", command.method, command.kind] += 1

    def since(self, seq: int, *, system: str | None = None, limit: int = 10_000) -> list[Entry]:
        """Entries after `seq`, oldest first."""
        with self._lock:
            first = self._entries[0].seq if self._entries else 1
            later = itertools.islice(self._entries, max(0, seq + 1 - first), None)
            wanted = (entry for entry in later if system in (None, entry.system))
            return list(itertools.islice(wanted, limit))

    def summary(self) -> dict[str, Any]:
        """Per system: HTTP calls and commands (a batch is one call and many commands), by method and by kind."""
        with self._lock:
            counts = dict(self._counts)
            last_seq = self._last_seq
        systems: dict[str, Any] = {}
        for (system, level, method, kind), count in sorted(counts.items()):
            part = systems.setdefault(system, {}).setdefault(level, {"total": 0, "by_method": {}, "by_kind": {}})
            part["total"] += count
            part["by_method"][method] = part["by_method"].get(method, 0) + count
            part["by_kind"][kind] = part["by_kind"].get(kind, 0) + count
        return {"last_seq": last_seq, "systems": systems}
