"""Deaths at a chosen instant: a forked process does the engine's work in one thread, and SIGKILLs itself at a seam.

It talks to the real sandbox, a real Redis-protocol server with Celery's messages in it, and a real database; only the
clock is ours, so that nobody waits for a lease to end.
"""

import gc
import json
import os
import re
import select
import signal
import time
import traceback
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import FileIO
from typing import Any, NoReturn

import requests
from celery import Celery
from redis import Redis

from tasks import look, note, poll, sync, upkeep
from tasks.ledger import Ledger, report
from tests.chaos import mutations, seams
from tests.harbour import Sandbox, wait_until
from workers import compose
from workers.embedded import die_with_parent
from workers.hints import CeleryPublisher
from workers.settings import Settings

VERBS = {"parom.sync": sync.sync, "parom.poll": poll.poll, "parom.look": look.look, "parom.note": note.note}
QUEUES = ("parom", "parom.sync")
OPEN = {"pending", "queued", "running", "waiting"}
PATIENCE = 30.0
"""Seconds of this machine's time that a process may take for all it has to do."""
STEPS = tuple(timedelta(seconds=seconds) for seconds in (4, 40, 200, 500, 4000))
"""Of the recovery's clock: past a lease; the settling and the next poll; a note's lease; and the slow retries."""


class Fuse:
    """A road of seams (regular expressions) to be come to one after another; it burns down at the last one."""

    def __init__(self, road: Sequence[str], burnt: Callable[[str], None]) -> None:
        self._road = [re.compile(seam) for seam in road]
        self._burnt = burnt
        self.calls = 0
        """How many requests have left this process."""

    def reach(self, seam: str) -> None:
        self.calls += seam.endswith(" sent")
        if self._road and self._road[0].fullmatch(seam):
            del self._road[0]
            if not self._road:
                self._burnt(seam)


class Hand:
    """Worker and beat of one installation in one thread, worked by hand."""

    def __init__(self, scene: "Scene") -> None:
        redis = compose.connect_redis(compose.redis_url(scene.settings))
        self.runtime = compose.build_runtime(scene.settings, redis, CeleryPublisher(scene.celery, redis))
        self.scene = scene

    def work(self) -> None:
        """All that is due at this moment."""
        upkeep.upkeep(self.runtime)
        for _ in range(100):
            upkeep.tick(self.runtime)
            if not self._obey():
                return
        raise AssertionError("work never ends")

    def recover(self) -> int:
        """Work, and let time pass, until nothing is open and every source was read to its end; then go on for a while.

        Returns the number of the last call until nothing was open.
        """
        begins = self.runtime.ledger.clock()
        for step in STEPS:
            self.scene.later(step)
            self.work()
            flows = [report.of_flow(self.runtime.ledger, name) for name in self.runtime.flows]
            if all(_is_settled(flow, begins) for flow in flows):
                settled_at = self.scene.last_call()
                self.scene.later(timedelta(seconds=300))
                self.work()
                return settled_at
        raise AssertionError(f"never settled: {flows}")

    def _obey(self) -> bool:
        """Work off what lies in the queues, and what that brings; whether there was anything."""
        was_asked = False
        while message := next(filter(None, map(self.runtime.redis.rpop, QUEUES)), None):
            was_asked = True
            envelope = json.loads(message)
            args, _, _ = json.loads(b64decode(envelope["body"]))
            VERBS[envelope["headers"]["task"]](self.runtime, *args)
        return was_asked


def _is_settled(flow: report.FlowReport, begins: datetime) -> bool:
    was_read = flow.completed_at and flow.completed_at >= begins and not flow.has_open_window
    return bool(was_read) and not OPEN & flow.by_state.keys() and not flow.notes_due


Work = Callable[[Hand], Any]


@dataclass
class Scene:
    """One installation from its beginning, process after process; time passes at our word, outside as well.

    As `Harbour`, for the verdict.
    """

    sandbox: Sandbox
    redis: Redis
    environ: Mapping[str, str]
    settings: Settings
    celery: Celery
    ahead: timedelta = timedelta()
    """Of the machine's clock."""
    mutation: str | None = None
    """The mechanism that is taken away."""

    def live(self, work: Work = Hand.work, *, road: Sequence[str] = ()) -> Any:
        """Do `work` in a process of its own; returns what it does. With a `road`, it must die on it.

        A request that it died of is answered by then: it may be late, but never later than `settle`.
        """
        before = self.last_call()
        words = _ended(self, work, road)
        wait_until(lambda: self.last_call() >= before + words["calls"], "the last request is answered")
        self.ahead = timedelta(seconds=words["ahead"])
        return words.get("result")

    def later(self, step: timedelta) -> None:
        """Let time pass, for the engine and for the outside."""
        self.ahead += step
        self.sandbox.post("/clock", advance_s=step.total_seconds())

    def last_call(self) -> int:
        """The number of the journal's last entry."""
        return self.sandbox.get("/journal/summary")["last_seq"]

    def rule_clock(self) -> None:
        """From now on the ledgers of this process go by the scene's clock."""
        now = Ledger.now
        Ledger.now = lambda ledger, connection: now(ledger, connection) + self.ahead


def celery_of(broker: str) -> Celery:
    """An app whose slow beginnings are behind it; it connects in the child."""
    app = Celery("parom", broker=broker, config_source="celeryconfig", set_as_current=False)
    assert app.producer_pool
    assert app.backend
    return app


def _ended(scene: Scene, work: Work, road: Sequence[str]) -> dict[str, Any]:
    """The last words of a child that has lived; AssertionError if it hung, failed, or never came to its end."""
    parent = os.getpid()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        die_with_parent(parent)
        _live(scene, work, road, writer)
    os.close(writer)
    with os.fdopen(reader, "rb", 0) as pipe:
        try:
            told = _heard(pipe)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
    words = json.loads(told)
    assert "error" not in words, words["error"]
    assert not road or "died_at" in words, f"never came to {road}"
    assert not road or os.WTERMSIG(status) == signal.SIGKILL
    return words


def _heard(pipe: FileIO) -> bytes:
    """All that is said until the other end is gone."""
    told, deadline = b"", time.monotonic() + PATIENCE
    while True:
        ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, "the process hangs"
        piece = pipe.read(65_536)
        if not piece:
            return told
        told += piece


def _live(scene: Scene, work: Work, road: Sequence[str], writer: int) -> NoReturn:
    def die(seam: str) -> None:
        say(died_at=seam)
        os.kill(os.getpid(), signal.SIGKILL)

    def say(**words: Any) -> None:
        words |= {"calls": fuse.calls, "ahead": scene.ahead.total_seconds()}
        os.write(writer, json.dumps(words).encode())

    fuse = Fuse(road, die)
    gc.disable()  # it would touch, and so copy, all that the parent has in memory
    try:
        if scene.mutation:
            mutations.MUTATIONS[scene.mutation]()
        scene.sandbox.session = requests.Session()  # the parent's socket is the parent's
        scene.rule_clock()
        seams.install(fuse.reach)
        say(result=work(Hand(scene)))
    except BaseException:  # noqa: BLE001 - nothing of this process may come back into the test
        say(error=traceback.format_exc())
    finally:
        os._exit(0)
