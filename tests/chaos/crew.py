"""The processes of an installation under chaos: whoever falls is started again, whoever falls unasked is reported."""

import json
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from tasks.ledger.tables import State, records
from tests.harbour import Harbour

IS_READY = b" ready."
"""What a Celery worker logs when it begins to consume."""
CARRIERS = ("worker", "web")
"""Roles whose processes hold records: a web process delivers what 1C pushes by itself."""
RESTART_AFTER = 1.0
"""Seconds until the service manager of the machine starts a fallen process again."""


@dataclass(eq=False)
class Post:
    """One place in the crew: a role, and the process that fills it now."""

    role: str
    command: tuple[str, ...]
    environ: dict[str, str] = field(default_factory=dict)
    process: object = None
    fell_at: float | None = None
    is_frozen: bool = False
    started_at: float = 0.0
    log: Path | None = None
    may_end: bool = False
    """Whether somebody has asked this process to end."""


@dataclass(frozen=True)
class Loss:
    """At `at` (seconds since 1970) a carrier died or was frozen, with the records of these ids in its hands."""

    at: float
    held: tuple[int, ...] | None
    """None if nobody could tell, the database being away."""
    is_death: bool


class Crew:
    """Two workers, two beats, a web process; orders to die at a seam go through `orders`."""

    def __init__(self, harbour: Harbour, orders: Path, *, workers: int = 2, beats: int = 2) -> None:
        self._harbour, self._orders = harbour, orders
        (orders / "obeyed").mkdir(parents=True)
        self._order_number = 0
        self.posts = [Post("worker", ("worker",)) for _ in range(workers)]
        self.posts += [Post("beat", ("beat",)) for _ in range(beats)]
        self._stopped: set[int] = set()
        self.losses: list[Loss] = []
        self.unasked: list[str] = []
        self.disturbed_at = 0.0
        """When Redis or the database was last known to be disturbed, on the monotonic clock."""

    def add_web(self, port: int) -> None:
        self.posts.append(Post("web", ("web", "--listen", f"127.0.0.1:{port}")))

    def start(self) -> None:
        for post in self.posts:
            self._start(post)

    def of(self, role: str) -> list[Post]:
        """The posts of a role whose process runs."""
        return [post for post in self.posts if post.role == role and post.fell_at is None and not post.is_frozen]

    def all_work(self) -> bool:
        """Whether every worker is up and takes messages."""
        return all(
            post.fell_at is None and not post.is_frozen and IS_READY in post.log.read_bytes()
            for post in self.posts
            if post.role == "worker"
        )

    def kill(self, post: Post) -> None:
        post.may_end = True
        post.process.kill()
        post.process.wait()
        self._has_died(post, time.time())

    def end(self, post: Post) -> None:
        """Asks it to end what it does and go, as a rolling restart does."""
        post.may_end = True
        post.process.send_signal(signal.SIGTERM)

    def freeze(self, post: Post) -> None:
        post.is_frozen = True
        os.kill(post.process.pid, signal.SIGSTOP)
        self._has_lost(post, time.time(), is_death=False)

    def thaw(self, post: Post) -> None:
        if post.is_frozen:
            post.is_frozen = False
            os.kill(post.process.pid, signal.SIGCONT)

    def order(self, seam: str, act: str) -> Path:
        """The next process that comes to the seam is to be killed or stopped; returns the order's file."""
        self._order_number += 1
        path = self._orders / f"{self._order_number:05}.json"
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps({"seam": seam, "act": act}))
        draft.rename(path)
        return path

    def is_obeyed(self, order: Path) -> bool:
        return self._receipt(order).exists()

    def withdraw(self, order: Path) -> None:
        order.unlink(missing_ok=True)

    def withdraw_all(self) -> None:
        """No order stands any more, and nobody stays frozen."""
        for order in self._orders.glob("*.json"):
            self.withdraw(order)
        for post in self.posts:
            self.thaw(post)

    def thaw_by_order(self, order: Path) -> None:
        """Lets whoever was stopped by the order go on."""
        receipt = json.loads(self._receipt(order).read_text())
        for post in self.posts:
            if post.process.pid == receipt["pid"] and post.process.poll() is None:
                self._has_lost(post, receipt["at"], is_death=False)
                os.kill(receipt["pid"], signal.SIGCONT)

    def newly_frozen(self) -> set[int]:
        """The records that workers hold who were stopped since the last time that somebody asked."""
        stopped = {post.process.pid for post in self.posts if post.role in CARRIERS and _is_stopped(post.process.pid)}
        new, self._stopped = stopped - self._stopped, stopped
        return {record for pid in new for record in self._held_by(pid) or ()}

    def mend(self) -> None:
        """Notice who has fallen, and start again who fell a moment ago."""
        now = time.monotonic()
        for post in self.posts:
            if post.fell_at is None and post.process.poll() is not None:
                self._note_fall(post)
            elif post.fell_at is not None and now - post.fell_at > RESTART_AFTER:
                self._start(post)

    def _note_fall(self, post: Post) -> None:
        receipts = (json.loads(path.read_text()) for path in (self._orders / "obeyed").glob("*.receipt"))
        mine = next((receipt for receipt in receipts if receipt["pid"] == post.process.pid), None)
        if mine is None and not post.may_end and not self._found_no_neighbour(post):
            self.unasked.append(f"{post.role} ended by itself with {post.process.returncode}")
        self._has_died(post, mine["at"] if mine else time.time())

    def _found_no_neighbour(self, post: Post) -> bool:
        """It came up while Redis or the database was away, said so and left, as a service manager expects."""
        return post.process.returncode == 1 and self.disturbed_at > post.started_at

    def _has_died(self, post: Post, at: float) -> None:
        post.fell_at = time.monotonic()
        self._has_lost(post, at, is_death=True)

    def _has_lost(self, post: Post, at: float, *, is_death: bool) -> None:
        if post.role in CARRIERS:
            self.losses.append(Loss(at, self._held_by(post.process.pid), is_death))

    def _held_by(self, pid: int) -> tuple[int, ...] | None:
        mine = records.c.lease_owner.contains(f":{pid}:")
        query = select(records.c.id).where(records.c.state == State.RUNNING, mine)
        try:
            with self._harbour.ledger.read() as connection:
                return tuple(connection.execute(query).scalars())
        except Exception:  # noqa: BLE001 - the database may be away as well
            return None

    def _start(self, post: Post) -> None:
        post.log = self._harbour.folder / f"{post.command[0]}-{len(self._harbour.processes)}.log"
        environ = {"CHAOS_ORDERS": str(self._orders), **post.environ}
        post.process = self._harbour.start(*post.command, **environ)
        post.fell_at, post.is_frozen, post.may_end = None, False, False
        post.started_at = time.monotonic()

    def _receipt(self, order: Path) -> Path:
        return order.with_name("obeyed") / f"{order.stem}.receipt"


def _is_stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False
