"""In which order the entries of a round are told, by several threads at once."""

import random
import threading
from collections.abc import Sequence

from sandbox.onec_handlers.outbox import Entry


class Agenda:
    """Entries to be told, handed out in order; of one object one at a time, and none after one that failed."""

    def __init__(self, entries: Sequence[Entry], stuck: set[str]) -> None:
        """`stuck` are objects of which nothing more may be told in this round; more are added."""
        self._waiting = {entry.seq: entry for entry in entries if entry.id_1c not in stuck}
        self._stuck = stuck
        self._busy: set[str] = set()
        self._turn = threading.Condition()
        self.blocked = len(entries) - len(self._waiting)

    def take(self) -> Entry | None:
        """The next entry of an object that nobody else is telling of; None when all are handed out."""
        with self._turn:
            while self._waiting:
                entry = next((one for one in self._waiting.values() if one.id_1c not in self._busy), None)
                if entry is not None:
                    self._busy.add(entry.id_1c)
                    return self._waiting.pop(entry.seq)
                self._turn.wait()
            return None

    def done(self, entry: Entry, *, goes_on: bool) -> None:
        with self._turn:
            self._busy.discard(entry.id_1c)
            if not goes_on:
                self._stuck.add(entry.id_1c)
            behind = [] if goes_on else [seq for seq, one in self._waiting.items() if one.id_1c == entry.id_1c]
            for seq in behind:
                del self._waiting[seq]
            self.blocked += len(behind)
            self._turn.notify_all()


def shuffled(entries: list[Entry], seed: str) -> list[Entry]:
    """Every object keeps the order of its own entries."""
    places = [entry.id_1c for entry in entries]
    random.Random(seed).shuffle(places)
    queues: dict[str, list[Entry]] = {}
    for entry in reversed(entries):
        queues.setdefault(entry.id_1c, []).append(entry)
    return [queues[id_1c].pop() for id_1c in places]
