"""Seams: the moments between two steps at which a process may end or freeze, each with a name.

The product knows nothing of them. `install` stands between its steps from outside: around every transaction of the
ledger, every call to an outside system and every hint that is published. Whatever is added to the product has its
seams by itself.
"""

import sys
from collections.abc import Callable
from contextlib import contextmanager
from functools import wraps

from connectors import deadline, http
from tasks.ledger import Ledger, cursors
from workers.hints import CeleryPublisher

Reach = Callable[[str], None]

NAMED = {
    "before the claim is committed": "records.claim open",
    "after the claim": "records.claim committed",
    "after the find": "find .* answered",
    "before the intent is committed": "records.intend open",
    "after the intent, before sending": "records.intend committed",
    "sent, not yet answered": "(create|update) .* sent",
    "answered, not yet finished": "(create|update) .* answered",
    "before the finish is committed": "records.finish open",
    "after the finish, before the note": "records.finish committed",
    "note claimed": "notes.claim committed",
    "note sent": "batch of notes sent",
    "note answered, not written down": "notes.written open",
    "note written down": "notes.written committed",
    "turn taken": "cursors.take_turn committed",
    "cursor moved, rows not stored": "cursors.store_page half",
    "page not committed": "cursors.store_page open",
    "page committed, nothing published": "cursors.store_page committed",
    "queued, not published": "dispatch.dispatch committed",
    "half published": "publish sync half",
    "freed, not committed": "upkeep.upkeep open",
}
"""The crash points of the certificate: what a person calls them, and the pattern of the seams they stand for."""


def install(reach: Reach) -> None:
    """From now on, in this process, call `reach` with the name of each seam that is come to. Once per process."""
    _around_transactions(reach)
    _inside_a_page(reach)
    _around_calls(reach)
    _around_hints(reach)


def _around_transactions(reach: Reach) -> None:
    write = Ledger.write

    @contextmanager
    def watched(self):
        name = _asker(sys._getframe(2))  # beyond contextlib
        with write(self) as connection:
            yield connection
            reach(f"{name} open")
        reach(f"{name} committed")

    Ledger.write = watched


def _asker(frame) -> str:
    module = frame.f_globals["__name__"].rpartition(".")[2]
    return f"{module}.{frame.f_code.co_name}"


def _inside_a_page(reach: Reach) -> None:
    take = cursors.intake.take

    @wraps(take)
    def watched(*args, **kwargs):
        reach(f"{_asker(sys._getframe(1))} half")
        return take(*args, **kwargs)

    cursors.intake.take = watched


def _around_calls(reach: Reach) -> None:
    send, getresponse = http.Http._send, deadline.Watched.getresponse

    def watched_send(self, call, watch):
        is_notes = call.name == "batch" and b".update" in call.body
        watch.name = "batch of notes" if is_notes else call.name
        reach(f"{watch.name} sending")
        answer = send(self, call, watch)
        reach(f"{watch.name} answered")
        return answer

    def watched_getresponse(self, *args, **kwargs):
        reach(f"{deadline.current_watch().name} sent")
        return getresponse(self, *args, **kwargs)

    http.Http._send = watched_send
    deadline.Watched.getresponse = watched_getresponse


def _around_hints(reach: Reach) -> None:
    for kind in ("sync", "poll", "look", "note"):
        _around_one_hint(reach, kind, getattr(CeleryPublisher, kind))


def _around_one_hint(reach: Reach, kind: str, publish) -> None:
    def watched(self, what):
        if kind == "sync" and len(what) > 1:
            middle = len(what) // 2
            publish(self, what[:middle])
            reach("publish sync half")
            publish(self, what[middle:])
        elif what:
            reach(f"publish {kind}")
            publish(self, what)

    setattr(CeleryPublisher, kind, watched)
