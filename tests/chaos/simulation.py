"""Level S: the engine's own code under thousands of seeded schedules; one thread, no process, no socket, no sleep.

A schedule is the journey of one record, from its birth in the source to the note that tells of its delivery, through
everything hostile: workers die or freeze at any seam (seams.py) while others run on, answers are lost, writes land
late, people edit, delete and go back, hints vanish or are doubled (simulation_faults.py). A world carries a thousand
schedules at once, so that polls and upkeep are shared. Then all faults end, and when nothing is due any more the world
is judged (simulation_oracle.py). The same seed is the same run.

`python -m tests.chaos.simulation SEED [WORLDS]` prints what was met, and the story of each violation.
"""

import itertools
import logging
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import fakeredis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import select

from connectors import deadline, http
from connectors.errors import ConnectorError
from tasks import dispatch, look, note, policy, poll, resync, sync, upkeep
from tasks.holdings import Holdings
from tasks.ledger import Ledger, cursors, intake, records
from tasks.ledger.tables import State
from tasks.ledger.tables import records as table
from tasks.runtime import Runtime
from tests import siblings
from tests.chaos import seams, simulation_faults
from tests.chaos.simulation_oracle import judge
from tests.chaos.simulation_siblings import HostileSource, HostileTarget, LossyPublisher, StillLedger
from tests.siblings import START
from workers import keeper
from workers.hints import CeleryPublisher

SCHEDULES = 1000
STEPS = 40
LEASE = timedelta(seconds=15)
KILLED, FROZEN, SLOW = 0.018, 0.007, 0.003
"""How often an attempt that comes to a seam ends there, freezes or is slow."""
OFTENER = 2
"""By this more often any other process does: there are fewer of them."""
CRASHES = policy.CRASHES_TO_PARK - 1
"""So often in a row may a schedule end the worker of one record, and it must not be parked for that."""
DEEPEST = 2
"""So many processes may be halted while another runs."""

ROUNDS = 30
"""So many times in a row may work make more work at once: children leave one after the other."""

STEP_SECONDS = (0, 0.3, 1, 2, 5, 10, 20, 30, 65, 130)
FREEZE_SECONDS = (0, 0.3, 4, 16, 20, 40, 62, 80, 200)
HEALING_SECONDS = (20, 20, *[65] * 3, 300, 300, *[1000] * 3, 3700, 22000, 3700, 3700)
"""One after the other they outlast every wait of tasks/policy.py."""


class Killed(BaseException):
    """The process ends here; nothing of it catches this."""


@dataclass
class Process:
    """Whoever works off a hint.

    `intended_at`: when it last wrote down that it would write to the target; `forgiven`: the crashes of its record that
    its finish makes forgotten; `rows`: what the source has shown it.
    """

    kind: str
    argument: object
    runtime: Runtime
    intended_at: datetime
    forgiven: int = 0
    rows: list[tuple[HostileSource, str]] = field(default_factory=list)


class Simulation:
    """A world; `judged` runs it once. `met` counts what happened, `struck` holds the records whose attempts it hit."""

    def __init__(self, ledger: StillLedger, seed: int, *, schedules: int = SCHEDULES) -> None:
        ledger.empty()
        self.seed, self.schedules = seed, schedules
        self.rng = random.Random(seed)
        random.seed(seed)  # the engine's backoff
        self.numbers = itertools.count(1)
        self.is_calm = False
        self.stack: list[Process] = []
        self.crashes: Counter[int] = Counter()
        self.met: Counter[str] = Counter()
        self.struck: set[int] = set()
        self.journal: list[tuple[datetime, str, str, Mapping[str, str]]] = []
        self._build(ledger)

    def _build(self, ledger) -> None:
        self.redis_server = fakeredis.FakeServer()
        self.redis = fakeredis.FakeRedis(server=self.redis_server, retry=Retry(NoBackoff(), 0))
        self.publisher = LossyPublisher(world=self)
        self.students, self.tickets = self.sides = siblings.build_family(ledger, self.redis)
        for side in self.sides:
            size = self.rng.choice((7, 20, 50))
            side.source = side.connectors.source.entity = HostileSource(world=self, page_size=size)
            side.target = side.connectors.target.entity = HostileTarget(world=self)
        self.tickets.target.updates = False
        self.tickets.target.parents = self.students.target.held
        self.runtime = replace(self.students.runtime, publisher=self.publisher, lease=LEASE)
        self.skew = timedelta(minutes=self.rng.choice((-10, 0, 0, 10)))
        self.later(0)

    # --- time and chance ---

    @property
    def now(self) -> datetime:
        return START + self.runtime.ledger.ahead

    def later(self, seconds: float) -> None:
        """Let time pass for everybody; what was on its way to a target may land."""
        self.runtime.ledger.ahead += timedelta(seconds=seconds)
        for side in self.sides:
            side.source.clock = (self.now + self.skew).replace(microsecond=0)
            side.target.land()

    def draw(self, faults):
        """One of a table by its weight; the first, which is no fault, once the world is healed."""
        if self.is_calm:
            return next(iter(faults))
        drawn = self.rng.choices(list(faults), weights=faults.values())[0]
        if drawn not in simulation_faults.FAULTLESS:
            self._meet(drawn.__name__)
        return drawn

    def side(self):
        return self.rng.choice(self.sides)

    def name(self) -> str:
        return f"n{next(self.numbers)}"

    def tell(self, what: str, about: Mapping[str, str] | None = None) -> None:
        """Into the journal; `about` says more of each key that it concerns."""
        who = " < ".join(f"{process.kind} {process.argument}" for process in reversed(self.stack))
        self.journal.append((self.now, who, what, about or {}))

    def _meet(self, what: str) -> None:
        self.met[what] += 1
        self.tell(what)
        if self.stack and self.process.kind == "sync":
            self.struck.add(self.process.argument)

    # --- processes and their seams ---

    @property
    def process(self) -> Process:
        return self.stack[-1]

    def run(self, kind: str, argument=None, *, runtime: Runtime | None = None) -> None:
        """A task in a process of its own, or of this runtime, which may end on the way."""
        runtime = runtime or replace(self.runtime, owner=f"p{next(self.numbers)}", holdings=Holdings())
        self.stack.append(Process(kind, argument, runtime, self.now))
        try:
            ending = TASKS[kind](runtime, argument)
            if kind == "sync" and ending:
                self.crashes[argument] -= self.process.forgiven
        except Killed:
            pass
        finally:
            self.stack.pop()

    def reach(self, seam: str) -> None:
        """A process has come to a seam: mostly it goes on, sometimes it ends here, freezes or is slow."""
        if self.is_calm or not self.stack:
            return
        if seam.endswith(".intend open"):  # the time that it writes down was asked before whatever happens now
            self.process.intended_at = self.now
        if seam == "records.finish committed":
            self.process.forgiven = self.crashes[self.process.argument]
        roll = self.rng.random() / (1 if self.process.kind == "sync" else OFTENER)
        if roll < KILLED:
            self.kill(seam)
        elif roll < KILLED + FROZEN:
            self._freeze(seam)
        elif roll < KILLED + FROZEN + SLOW and seam.endswith(("sending", "answered", "sent")):
            self._be_slow(seam)

    def kill(self, seam: str) -> None:
        if self._may_crash():
            self._meet(f"killed at {seam}")
            raise Killed

    def _freeze(self, seam: str) -> None:
        """SIGSTOP: its leases run out, others go on, then it goes on as if nothing had been."""
        if self._may_crash():
            self._meet(f"frozen at {seam}")
            self.later(self.rng.choice(FREEZE_SECONDS))
            if not seam.endswith((" open", " half")):  # within a transaction of SQLite nobody else can do anything
                self._meanwhile()

    def _be_slow(self, seam: str) -> None:
        """The call takes its time; the process lives and prolongs its leases, as far as others let it write."""
        if not self._may_crash():
            return
        self._meet(f"slow at {seam}")
        for _ in range(self.rng.randint(1, 4)):
            self.later(LEASE.total_seconds() / 3)
            self.run("prolong", runtime=self.process.runtime)
            self._meanwhile()

    def _may_crash(self) -> bool:
        if self.process.kind != "sync":
            return True
        self.crashes[self.process.argument] += 1
        return self.crashes[self.process.argument] <= CRASHES

    def _meanwhile(self) -> None:
        if len(self.stack) > DEEPEST:
            return
        halted = self.process
        self.run("upkeep")
        for _ in range(self.rng.randint(0, 3)):
            self.draw(simulation_faults.MEANWHILE)(self, halted)

    def rows_of(self, process: Process) -> list[tuple[HostileSource, str]]:
        """The rows of the source that a process is at work on."""
        if process.kind != "sync":
            return process.rows
        query = select(table.c.flow, table.c.source_id).where(table.c.id == process.argument)
        with self.runtime.ledger.read() as connection:
            flow, key = connection.execute(query).one()
        return [(self.runtime.flows[flow].source, key)]

    # --- people, the beat, workers ---

    def hint(self, side, key) -> None:
        """The source's webhook tells us that something changed."""
        name = side.flow.name
        if not self.redis_server.connected or self.redis.scard(f"parom:changed:{name}") == look.AT_ONCE:
            return  # of more than AT_ONCE Redis would choose for itself, and the seed no longer decides
        if look.hint(self.redis, name, [key]):
            self.publisher.look(name)

    def work(self, *, most: int) -> None:
        """Workers take up to `most` of the hints that wait or come meanwhile."""
        hints = self.publisher.hints
        for _ in range(most):
            if not hints:
                return
            self.run(*hints.popleft())

    def attempt(self, side, key) -> None:
        """A worker is quick to take the hint of this one."""
        record_id = self._record_id(side.flow.name, key)
        if record_id is not None:
            self.run("sync", record_id)

    def _record_id(self, flow, key) -> int | None:
        query = select(table.c.id).where(table.c.flow == flow, table.c.source_id == key)
        with self.runtime.ledger.read() as connection:
            return connection.execute(query).scalar()

    def live(self) -> None:
        """People and machines do their worst."""
        keys = [str(n) for n in range(1, self.schedules + 1)]
        self.rng.shuffle(keys)
        for step in range(STEPS):
            for key in keys[step::STEPS]:
                self._bear(key)
            for _ in range(self.schedules // STEPS // 3):
                self._disturb()
            self.draw(simulation_faults.EVERYBODY)(self)
            self.run("tick")
            if self.rng.random() < 0.5:
                self.run("upkeep")
            self.work(most=self.rng.choice((10, 50, 1000, 1000, 1000)))
            self.later(self.rng.choice(STEP_SECONDS))

    def _bear(self, key) -> None:
        """The lower half of the ids are students, the upper half tickets of some of them."""
        half = self.schedules // 2
        side = self.students if int(key) <= half else self.tickets
        client = {} if side is self.students else {"CLIENT": self._client(half)}
        side.source.edit(key, ID=key, NAME=self.rng.choice((*[self.name()] * 18, "", "-")), **client)
        if self.rng.random() < 0.1:
            self.hint(side, key)

    def _client(self, half: int) -> str:
        """Mostly one that is delivered; a ticket that waits for its client costs many attempts."""
        delivered = list(self.students.target.held)
        return self.rng.choice(delivered) if delivered and self.rng.random() < 0.8 else str(self.rng.randint(1, half))

    def _disturb(self) -> None:
        side = self.rng.choice((self.students, self.students, self.tickets))
        if side.source.rows:
            self.draw(simulation_faults.PEOPLE)(self, side, self.rng.choice(list(side.source.rows)))

    def rest(self, seconds) -> Iterator[str]:
        """Let time pass, and let everything be done that falls due in it; yields a violation if that has no end."""
        for pause in seconds:
            self.later(pause)
            self.run("upkeep")
            self.run("tick")
            for _ in range(ROUNDS):
                if not self.publisher.hints:
                    break
                self.work(most=self.schedules)
                self.run("tick")
            else:
                yield "everybody 0: work never ends"
                return

    def judged(self) -> list[str]:
        """Live, heal, and say what the engine broke of its promise."""
        with watched(self.reach):
            self.live()
            self.is_calm = True
            simulation_faults.all_is_well(self)
            verdict = [*self.rest(HEALING_SECONDS), *judge(self), *self._unfinished()]
            written = self._written()
            for side in self.sides:
                self.run("force", side.flow.name)
            verdict += self.rest(HEALING_SECONDS[-3:])
        if self._written() != written:
            verdict.append("everybody 0: a second run wrote although nothing had changed")
        return verdict

    def _written(self):
        return [(len(side.target.log), len(side.source.written)) for side in self.sides]

    def _unfinished(self):
        """Secondly the ledger: nothing may be parked, no schedule being cruel enough, and nothing be left undone."""
        query = select(table.c.flow, table.c.source_id, table.c.state, table.c.detail)
        unfinished = (State.PARKED, State.QUEUED, State.RUNNING, State.PENDING)
        with self.runtime.ledger.read() as connection:
            for row in connection.execute(query.where(table.c.state.in_(unfinished))):
                yield f"{row.flow} {row.source_id}: {row.state}: {row.detail}"

    def story(self, violation: str) -> str:
        """The violation, and all that happened to its record."""
        flow, _, key = violation.partition(":")[0].partition(" ")
        attempt = f"sync {self._record_id(flow, key)} "
        mine = [each for each in self.journal if attempt in f"{each[1]} " or key in each[3]]
        lines = [f"    {at:%H:%M:%S} [{who}] {what} {about.get(key, '')}" for at, who, what, about in mine]
        return "\n".join([f"seed {self.seed}, {self.schedules} schedules: {violation}", *lines])


def _resync(runtime, argument):
    with suppress(ConnectorError):
        resync.resync(runtime, *argument)


# The modules' functions are looked up at each call: mutations.py may have replaced them.
TASKS = {
    "sync": lambda runtime, record_id: sync.sync(runtime, record_id),  # noqa: PLW0108
    "poll": lambda runtime, flow: poll.poll(runtime, flow),  # noqa: PLW0108
    "force": lambda runtime, flow: poll.poll(runtime, flow, force=True),
    "look": lambda runtime, flow: look.look(runtime, flow),  # noqa: PLW0108
    "note": lambda runtime, flow: note.note(runtime, flow),  # noqa: PLW0108
    "tick": lambda runtime, _: upkeep.tick(runtime),
    "upkeep": lambda runtime, _: upkeep.upkeep(runtime),
    "prolong": lambda runtime, _: keeper.prolong(runtime),
    "resync": _resync,
}

PATCHED = (
    *(Ledger, CeleryPublisher, http.Http, deadline.Watched, sync.Attempt),
    *(cursors, dispatch, intake, records, sync, upkeep),
)
"""What seams.py and mutations.py change."""


@contextmanager
def as_it_was():
    """Whatever is patched inside the block is as before after it."""
    before = [(owner, dict(vars(owner))) for owner in PATCHED]
    try:
        yield
    finally:
        for owner, attributes in before:
            for name, value in attributes.items():
                if vars(owner)[name] is not value:
                    setattr(owner, name, value)
            for name in vars(owner).keys() - attributes.keys():
                delattr(owner, name)


@contextmanager
def watched(reach):
    """Every seam that the engine comes to inside the block is told to `reach`."""
    with as_it_was():
        seams.install(reach)
        yield


def main() -> None:
    logging.disable()
    first, worlds = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    met: Counter[str] = Counter()
    struck = broken = 0
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        ledger = StillLedger(Path(folder))
        for seed in range(first, first + worlds):
            world = Simulation(ledger, seed)
            for violation in world.judged():
                print(world.story(violation), end="\n\n")
                broken += 1
            met += world.met
            struck += len(world.struck)
    for what, times in sorted(met.items()):
        print(f"{times:8d}  {what}")
    print(f"{worlds * SCHEDULES} schedules; the attempts of {struck} met a fault; {broken} violations")
    sys.exit(broken > 0)


if __name__ == "__main__":
    main()
