"""What the exchange still has to tell our service: every change and event, oldest first, until it was taken."""

import itertools
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.onec_handlers.reference import Values

KEPT_SENT = 200_000


@dataclass(slots=True)
class Entry:
    """`content` is the row or event as it was then; `id_1c` is the object whose entries keep their order.

    `body` is what was sent first, so that a repeat is identical; `status` and `error` are of the last answer.
    """

    seq: int
    entity: str
    id_1c: str
    content: Values
    attempts: int = 0
    status: int | None = None
    error: str = ""
    body: Values | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "seq": self.seq,
            "entity": self.entity,
            "id_1c": self.id_1c,
            "content": self.content,
            "attempts": self.attempts,
            "status": self.status,
            "error": self.error,
            "body": self.body,
        }


class Outbox:
    """The caller holds the base's lock."""

    def __init__(self) -> None:
        self._seqs = itertools.count(1)
        self._pending: dict[int, Entry] = {}
        self._of: dict[str, dict[int, Entry]] = defaultdict(dict)
        self._sent: deque[dict[str, Any]] = deque(maxlen=KEPT_SENT)

    def __len__(self) -> int:
        return len(self._pending)

    def append(self, entity: str, id_1c: str, content: Values) -> None:
        seq = next(self._seqs)
        self._pending[seq] = self._of[id_1c][seq] = Entry(seq, entity, id_1c, content)

    def pending(self, limit: int | None = None) -> list[Entry]:
        return list(itertools.islice(self._pending.values(), limit))

    def later(self, entry: Entry) -> Iterator[Entry]:
        """What waits behind an entry and is of the same object."""
        return (one for one in self._of[entry.id_1c].values() if one.seq > entry.seq)

    def awaits(self, id_1c: str) -> bool:
        return bool(self._of.get(id_1c))

    def settle(self, entry: Entry, outcome: str, data: Any = None) -> None:
        """Off the list, unless the base was reset meanwhile."""
        if self._pending.get(entry.seq) is entry:
            del self._pending[entry.seq], self._of[entry.id_1c][entry.seq]
            self._sent.append(entry.as_json() | {"outcome": outcome, "data": data})

    def sent(self) -> list[dict[str, Any]]:
        return list(self._sent)
