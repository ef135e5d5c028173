"""Every state that a row of any system ever had, in the order of the commits. In memory only: it is personal data.

A system calls `record` while it holds the lock under which it changed its rows; that alone makes the order true. The
times are the real ones, never the sandbox's movable clock.
"""

import itertools
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

KEPT_VERSIONS = 500_000

Verb = Literal["created", "updated", "deleted"]
Who = Literal["person", "api"]


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one row: `entity` as /store names it, `state` the whole row as /store shows it, None if deleted.

    The state is copied no deeper than its fields, so what a field holds must be replaced and never changed in place.
    """

    entity: str
    key: str
    verb: Verb
    state: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Version:
    """A row after one commit; rows of the same shape share `names`. `at` is monotonic, `time` is in UTC."""

    seq: int
    at: float
    time: datetime
    system: str
    who: Who
    entity: str
    key: str
    verb: Verb
    names: tuple[str, ...]
    values: tuple[Any, ...] | None

    @property
    def state(self) -> dict[str, Any] | None:
        return None if self.values is None else dict(zip(self.names, self.values, strict=True))

    def as_json(self) -> dict[str, Any]:
        return {
            "seq": self.seq,
            "at": self.at,
            "time": self.time.isoformat(),
            "system": self.system,
            "entity": self.entity,
            "key": self.key,
            "verb": self.verb,
            "who": self.who,
            "state": self.state,
        }


class Chronicle:
    """Append-only, one sequence of numbers for all systems; the last `kept` versions are remembered."""

    def __init__(self, kept: int = KEPT_VERSIONS) -> None:
        self._kept = kept
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self._versions: deque[Version] = deque(maxlen=self._kept)
            self._shapes: dict[tuple[str, ...], tuple[str, ...]] = {}
            self._last_seq = 0

    def record(self, system: str, who: Who, changes: Sequence[Change]) -> None:
        """One commit, called under the system's own lock; its rows share one moment."""
        if not changes:
            return
        with self._lock:
            at, moment = time.monotonic(), datetime.now(UTC)
            for change in changes:
                self._last_seq += 1
                names, values = self._packed(change.state)
                self._versions.append(
                    Version(
                        self._last_seq, at, moment, system, who, change.entity, change.key, change.verb, names, values
                    )
                )

    def since(
        self, seq: int, *, system: str | None = None, entity: str | None = None, limit: int = 10_000
    ) -> list[Version]:
        """Versions after `seq`, oldest first."""
        with self._lock:
            first = self._versions[0].seq if self._versions else 1
            later = itertools.islice(self._versions, max(0, seq + 1 - first), None)
            wanted = (one for one in later if system in (None, one.system) and entity in (None, one.entity))
            return list(itertools.islice(wanted, limit))

    def _packed(self, state: dict[str, Any] | None) -> tuple[tuple[str, ...], tuple[Any, ...] | None]:
        if state is None:
            return (), None
        names = tuple(state)
        return self._shapes.setdefault(names, names), tuple(state.values())
