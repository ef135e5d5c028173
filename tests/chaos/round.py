"""One round: an installation, a seeded run of faults over a seeded story, then peace, and the verdict.

A third of the faults are deaths of a worker while another one works and nothing else fails, so that the time to recover
can be told; after that everything may fail, several things at a time.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from tasks import policy
from tasks.ledger import report
from tasks.ledger.records import CRASHED
from tasks.ledger.tables import State, flows, history, records
from tests.chaos import oracle, trade
from tests.chaos.arena import Arena
from tests.chaos.faults import FAULTS, SYSTEMS, Fault, Undo
from tests.chaos.oracle import Chronicle, Verdict
from tests.chaos.story import Story
from tests.chaos.trade import POLLED, PUSHED, Traders
from tests.harbour import flows_of
from workers import compose

CONTACTS, DEALS, INTERESTS = 120, 50, 60
PAUSE, BREATH = (0.4, 1.6), 15.0
ACTS_PER_SECOND = 6.0
LOOK_EVERY = 0.05
PATIENCE = 150.0
QUIET_POLLS = 2
"""After everything has settled, each flow is polled so often again before silence is believed."""
INSIDE_A_PAGE = ("half", "open", "committed", "committed")
ONE_WAY = ("students", "tickets", "people", "interests")
FLOWS = (*ONE_WAY, *POLLED, *PUSHED)
NEEDED_TO_START = ("redis", "database")
IS_PARKED = records.c.state == State.PARKED
AGAIN_WITHIN = 60.0
"""Seconds within which a second death of the same record is one story with the first."""
END_OF_AN_ATTEMPT = ("created", "updated", "found", "unchanged", "kept", "skipped", "rejected", "waiting", "parked")


@dataclass
class Result:
    """What a round showed.

    `recoveries`: seconds from a worker's death until a record that it held was settled, while only workers died.
    """

    seed: int
    database: str
    faults: Counter = field(default_factory=Counter)
    acts: int = 0
    verdict: Verdict = field(default_factory=Verdict)
    recoveries: list[float] = field(default_factory=list)
    parked: int = 0
    seconds: float = 0.0


@dataclass
class _Running:
    fault: Fault
    undo: Undo
    ends: float


class Round:
    """`count` faults of one seed: the same faults, edits and victims again; only their timing is the machine's."""

    def __init__(
        self, folder: Path, *, seed: int, count: int, database: str, mutation: str = "", only_deaths: bool = False
    ) -> None:
        self._folder = folder
        self._told: list[tuple[str, str, str]] = []
        """When which fault began and ended."""
        self._result = Result(seed, database)
        self._dice = random.Random(seed)
        self._arena = Arena(folder, database, random.Random(f"victims {seed}"), mutation=mutation)
        self._story = Story(self._arena.sandbox, random.Random(f"story {seed}"))
        self._traders = Traders(self._arena.sandbox, random.Random(f"traders {seed}"))
        self._in_background = (self._traders.alone, self._arena.exchange.alone)
        self._running: list[_Running] = []
        self._all_may_fail_at = float("inf")
        possible = self._possible = [fault for fault in FAULTS if database in fault.databases]
        self._dice.shuffle(possible)
        deaths = [fault for fault in possible if fault.kills_a_worker]
        self._deaths_alone = count if only_deaths else count // 3
        self._plan = self._drawn(deaths, self._deaths_alone) + self._drawn(possible, count - self._deaths_alone)

    def _drawn(self, faults: list[Fault], count: int) -> list[Fault]:
        """Every fault once, as far as the count reaches, before any comes again."""
        again = self._dice.choices(faults, [fault.weight for fault in faults], k=count)
        return [*faults, *again][:count]

    def run(self) -> Result:
        """Faults, peace, judgement; nothing is left running."""
        began = time.monotonic()
        try:
            self._begin()
            self._rage()
            self._arena.crew.withdraw_all()  # peace
            for each in self._in_background:
                each.stop()
            is_settled = self._settles()
            self._free_the_parked()
            is_settled = is_settled and self._settles()
            self._judge()
            if is_settled:
                self._stay_quiet()
            self._measure_recoveries()
            if self._result.verdict.violations:
                self._keep_evidence()
        finally:
            self._arena.stop()
        self._result.seconds = time.monotonic() - began
        return self._result

    def _keep_evidence(self) -> None:
        """What a person needs to understand a violation, beside the logs: both books, and when each fault was."""
        evidence: dict[str, Any] = {
            "faults": self._told,
            "chronicle": self._arena.sandbox.get("/chronicle?limit=1000000")["entries"],
            "violations": self._result.verdict.violations,
        }
        with self._arena.harbour.ledger.read() as connection:
            for table in (flows, records, history):
                evidence[table.name] = [dict(row) for row in connection.execute(select(table)).mappings()]
        (self._folder / "evidence.json").write_text(json.dumps(evidence, default=str, ensure_ascii=False))

    def _begin(self) -> None:
        self._story.begin(CONTACTS, DEALS, INTERESTS)
        self._traders.begin()
        # The first load is interrupted where cursor and rows could part.
        self._arena.crew.order(f"cursors.store_page {self._dice.choice(INSIDE_A_PAGE)}", "kill")
        self._arena.crew.start()
        for each in self._in_background:
            each.start()

    def _rage(self) -> None:
        now = time.monotonic()
        next_fault = next_act = now + 3.0  # the processes take so long to start
        begun = 0
        while self._plan or self._running:
            now = time.monotonic()
            is_one_at_a_time = begun < self._deaths_alone
            if self._plan and now >= next_fault and self._may_begin(self._plan[0], alone=is_one_at_a_time):
                if begun == self._deaths_alone:
                    self._all_may_fail_at = time.time()
                begun += 1
                self._start(self._plan.pop(0), now)
                next_fault = now + self._dice.uniform(*PAUSE)
                if begun == self._deaths_alone:
                    next_fault += BREATH
            if now >= next_act:
                self._story.act()
                next_act = now + self._dice.expovariate(ACTS_PER_SECOND)
            self._end_what_is_over(now)
            self._arena.crew.mend()
            self._go_on_with_what_is_frozen()
            time.sleep(LOOK_EVERY)
        self._result.acts = self._story.acts + self._traders.acts

    def _go_on_with_what_is_frozen(self) -> None:
        """A worker that thaws holds what has changed since and has been brought by others."""
        frozen = self._arena.crew.newly_frozen()
        if frozen:
            contacts = select(records.c.source_id).where(records.c.id.in_(frozen), records.c.flow == "students")
            with suppress(SQLAlchemyError), self._arena.harbour.ledger.read() as connection:
                for contact in connection.execute(contacts).scalars().all():
                    self._story.edit_held(contact)

    def _may_begin(self, fault: Fault, *, alone: bool) -> bool:
        if alone:
            return not self._running and self._arena.crew.all_work()
        return not fault.group or all(running.fault.group != fault.group for running in self._running)

    def _start(self, fault: Fault, now: float) -> None:
        undo = fault.begin(self._arena)
        if undo is None:
            self._plan.append(self._dice.choice(self._possible))
            return
        self._told.append((datetime.now(UTC).isoformat(), "begins", fault.name))
        self._running.append(_Running(fault, undo, now + self._dice.uniform(*fault.seconds)))

    def _end_what_is_over(self, now: float) -> None:
        if any(running.fault.group in NEEDED_TO_START for running in self._running):
            self._arena.crew.disturbed_at = now
        for running in [each for each in self._running if each.ends <= now]:
            self._told.append((datetime.now(UTC).isoformat(), "ends", running.fault.name))
            if running.undo():
                self._result.faults[running.fault.name] += 1
            else:  # nobody came its way: another takes its place
                self._plan.append(self._dice.choice(self._possible))
            self._running.remove(running)

    def _settles(self) -> bool:
        """Whether Parom comes to rest by itself."""
        peace = told = datetime.now(UTC)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self._arena.crew.mend()
            if self._arena.exchange.push():
                told = datetime.now(UTC)
            if (
                all(self._is_settled(flow, since=peace) for flow in ONE_WAY)
                and all(self._is_settled(flow, since=told) for flow in POLLED)
                and all(self._arena.harbour.settled(0, flow) for flow in PUSHED)
                and not self._arena.exchange.waiting()  # what has just come to 1C is told by it once more
            ):
                return True
            time.sleep(0.2)
        self._result.verdict.other.append(f"not settled after {PATIENCE:.0f} s: {self._what_is_open()}")
        return False

    def _is_settled(self, flow: str, *, since: datetime) -> bool:
        """Read to the end since then, and nothing left to do."""
        with self._arena.harbour.ledger.read() as connection:
            row = connection.execute(select(flows).where(flows.c.name == flow)).one()
        # What is read to the end was asked at `polled_at`; of a window that was opened earlier some pages may be older.
        is_read = row.window_high is None and row.polled_at and row.polled_at > since
        return bool(is_read) and self._arena.harbour.settled(0, flow)

    def _what_is_open(self) -> str:
        reports = [report.of_flow(self._arena.harbour.ledger, flow) for flow in FLOWS]
        return "; ".join(
            f"{flow.name} {dict(flow.by_state)} {dict(flow.causes)} notes {flow.notes_due} paused {flow.paused_by}"
            f" poll error {flow.poll_error}"
            for flow in reports
        )

    def _judge(self) -> None:
        settings = compose.read_settings(self._arena.harbour.environ)
        entries = self._arena.sandbox.get("/chronicle?limit=1000000")["entries"]
        chronicle = Chronicle(entries)
        users = {user["ID"]: user for user in self._arena.sandbox.get("/store/bitrix24/users")["rows"]}
        for flow in flows_of(settings):
            if flow.name in ONE_WAY:
                self._result.verdict += oracle.judge(flow, chronicle, users, settings.timezone)
        self._result.verdict += trade.judge(self._arena.sandbox, entries, self._arena.exchange)
        self._result.verdict.other += [*self._arena.crew.unasked, *self._arena.leaks()]

    def _stay_quiet(self) -> None:
        """Polled again, with nothing changed in the source, Parom writes nothing anywhere."""
        before = self._writes()
        for _ in range(QUIET_POLLS):
            if not self._settles():
                return
        written = self._writes() - before
        if written:
            self._result.verdict.restless.append(f"{written} writes though nothing had changed")

    def _writes(self) -> int:
        return sum(len(self._arena.sandbox.writes(system)) for system in SYSTEMS)

    def _free_the_parked(self) -> None:
        """What three workers lost, one after another, waits for a person, who sees no fault in it."""
        losses = Counter(record for loss in self._arena.crew.losses for record in loss.held or ())
        untold = sum(loss.held is None for loss in self._arena.crew.losses)
        with self._arena.harbour.ledger.read() as connection:
            parked = connection.execute(select(records.c.id, records.c.flow, records.c.cause).where(IS_PARKED)).all()
        for record, flow, cause in parked:
            if cause != CRASHED or losses[record] + untold < policy.CRASHES_TO_PARK:
                self._result.verdict.other.append(
                    f"{flow}: a record was parked, {cause}, after {losses[record]} losses"
                )
        for flow in {flow for _, flow, _ in parked}:
            self._arena.harbour.run("resync", flow, "--cause", CRASHED)
        self._result.parked = len(parked)

    def _measure_recoveries(self) -> None:
        """From the last death that a record suffered in a row, for those who died while nothing else failed."""
        with self._arena.harbour.ledger.read() as connection:
            for at, held in self._last_deaths():
                died = datetime.fromtimestamp(at, UTC)
                settled = (
                    select(func.min(history.c.at))
                    .where(history.c.record_id.in_(held), history.c.at > died)
                    .where(history.c.event.in_(END_OF_AN_ATTEMPT))
                    .group_by(history.c.record_id)
                )
                self._result.recoveries += [(at - died).total_seconds() for at in connection.execute(settled).scalars()]

    def _last_deaths(self) -> Iterator[tuple[float, set[int]]]:
        losses = sorted(self._arena.crew.losses, key=lambda loss: loss.at)
        for number, loss in enumerate(losses):
            if loss.held and loss.is_death and loss.at <= self._all_may_fail_at:
                soon = [later for later in losses[number + 1 :] if later.at - loss.at < AGAIN_WITHIN]
                yield loss.at, set(loss.held) - {record for later in soon for record in later.held or ()}
