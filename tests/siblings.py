"""In-memory siblings of what the engine talks to: a source, a target, a publisher. They keep rules, not scripts."""

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

from marshmallow import ValidationError

from connectors.base import Found, Health, Page, Row, WriteClass
from connectors.errors import ParentMissing
from mappings.outcome import FieldUse, Mapped, Skipped
from tasks import look, note, poll, sync, upkeep
from tasks.flow import Flow, FlowKind, Parent
from tasks.idempotency import IdempotencyKeys
from tasks.ledger import Ledger, cursors, report
from tasks.runtime import Counter, Runtime

START = datetime(2026, 1, 10, 12, tzinfo=UTC)


class MovableLedger(Ledger):
    """A ledger whose clock a test can move, so that nothing sleeps."""

    ahead = timedelta()

    def now(self, connection):
        return super().now(connection) + self.ahead


@dataclass
class MemorySource:
    """A table of rows with a clock; pages of two, so that small tests turn pages."""

    clock: datetime = START
    rows: dict[str, Row] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    errors: deque = field(default_factory=deque)
    page_size: int = 2

    def edit(self, source_id, **fields):
        old = self.rows.get(source_id)
        merged = {**(old.fields if old else {}), **fields}
        self.rows[source_id] = Row(source_id, merged, self.clock, old.created if old else self.clock)

    def page(self, window, fields):
        self.calls.append("page")
        self._maybe_fail()
        found = [
            self._shown(row)
            for key, row in sorted(self.rows.items(), key=lambda item: int(item[0]))
            if row.modified >= window.modified_since
            and row.created >= window.created_since
            and int(key) > int(window.after_id or 0)
        ]
        rows = tuple(found[: self.page_size])
        return Page(rows, len(found) < self.page_size, self.clock, rows[-1].id if rows else None)

    def read(self, ids, fields, conditions):
        self.calls.append("read")
        self._maybe_fail()
        return tuple(self._shown(self.rows[i]) for i in ids if i in self.rows)

    def write_notes(self, code, notes):
        self.calls.append("notes")
        if self.errors:
            error = self.errors.popleft()
            return [error] * len(notes)
        for each in notes:
            self.notes[each.id] = each.text
            self.rows[each.id] = replace(self.rows[each.id], modified=self.clock)
        return [None] * len(notes)

    def _shown(self, row):
        return replace(row, fields={**row.fields, "STATUS": self.notes.get(row.id, "")})

    def _maybe_fail(self):
        if self.errors:
            raise self.errors.popleft()


@dataclass
class MemoryTarget:
    """Clients by key. `before` and `after` are called around every write and may raise."""

    held: dict[str, dict] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    errors: deque = field(default_factory=deque)
    lost_answers: deque = field(default_factory=deque)
    during_write: object = None
    write_class: WriteClass = WriteClass.CREATE_AND_FIND
    settle: timedelta = timedelta(0)
    updates: bool = True
    parents: dict | None = None

    def find(self, key):
        self._begin("find", key)
        return Found(f"t{key}", self.held[key]) if key in self.held else None

    def create(self, payload):
        self._begin("create", payload["key"])
        assert payload["key"] not in self.held, "created twice"
        self._require_parent(payload)
        return self._write(payload)

    def match(self, payload):
        return None

    def update(self, id_, payload):
        assert self.updates, "never rewritten"
        self._begin("update", payload["key"])
        self._require_parent(payload)
        return self._write(payload) if payload["key"] in self.held else None

    def _require_parent(self, payload):
        if self.parents is not None and payload["client"] and payload["client"] not in self.parents:
            raise ParentMissing("400 about client", told="нет клиента")

    def _begin(self, verb, key):
        self.calls.append((verb, key))
        if self.errors:
            raise self.errors.popleft()

    def _write(self, payload):
        if self.during_write:
            self.during_write()
        self.held[payload["key"]] = dict(payload)
        if self.lost_answers:
            raise self.lost_answers.popleft()
        return f"t{payload['key']}"


@dataclass
class MemoryConnector:
    entity: object
    room: int = 1000
    probe_errors: deque = field(default_factory=deque)
    probes: int = 0

    def source(self, _):
        return self.entity

    target = source

    def headroom(self):
        return self.room

    def health(self):
        return Health("closed", 0.0, 0.0)

    def probe(self):
        self.probes += 1
        if self.probe_errors:
            raise self.probe_errors.popleft()

    def check(self, entity, needs):
        return ()


class NameMapping:
    """`NAME` must be filled; "-" is none of the flow's business."""

    fields = ("ID", "NAME")
    conditions = {}

    def map(self, raw, *, today):
        if raw.get("NAME") == "-":
            return Skipped("not ours")
        if not raw.get("NAME"):
            raise ValidationError({"NAME": ["Не заполнено поле «Имя»"]})
        if raw["NAME"] == "bug":
            raise RuntimeError("a secret in a message")
        return Mapped({"key": raw["ID"], "name": raw["NAME"]})

    def needs(self):
        return (FieldUse("NAME", "Имя", ("string",)),)


class TicketMapping(NameMapping):
    """As above, and needs the client that `CLIENT` names."""

    fields = ("ID", "NAME", "CLIENT")

    def map(self, raw, *, today):
        mapped = super().map(raw, today=today)
        if isinstance(mapped, Skipped):
            return mapped
        return Mapped({**mapped.payload, "client": raw["CLIENT"]})


@dataclass
class MemoryPublisher:
    """Keeps hints until a test works them off."""

    hints: deque = field(default_factory=deque)
    is_down: bool = False

    def sync(self, record_ids):
        self._add(("sync", record_id) for record_id in record_ids)

    def poll(self, flow):
        self._add([("poll", flow)])

    def look(self, flow):
        self._add([("look", flow)])

    def note(self, flow):
        self._add([("note", flow)])

    def waiting(self):
        return None if self.is_down else sum(1 for kind, _ in self.hints if kind == "sync")

    def _add(self, hints):
        if not self.is_down:
            self.hints.extend(hints)


KIND = FlowKind(
    name="memory",
    instance="students",
    summary="",
    source_system="memory",
    source_entity="rows",
    target_system="memory",
    target_entity="clients",
    key="key",
    options=type(None),
    mapping=lambda _: NameMapping(),
    status_types=("string",),
)


def flow_of(name, mapping, source, target, *, window=64, kind=KIND, **more):
    return Flow(
        name=name,
        kind=kind,
        mapping=mapping,
        source_name="crm",
        source_connection=source,
        target_name="school",
        target_connection=target,
        every=timedelta(seconds=60),
        since=START - timedelta(days=30),
        starts_at=START - timedelta(days=1),
        overlap=timedelta(seconds=120),
        status_field="STATUS",
        success_note="Успешно",
        skipped_note="Успешно",
        window=window,
        **more,
    )


def build(ledger, redis, *, window=64):
    """A runtime with one flow over siblings."""
    source, target = MemorySource(), MemoryTarget()
    connectors = SimpleNamespace(source=MemoryConnector(source), target=MemoryConnector(target))
    flow = flow_of("students", NameMapping(), connectors.source, connectors.target, window=window)
    runtime = runtime_of(ledger, redis, {flow.name: flow})
    return World(runtime, source, target, connectors, flow)


def build_family(ledger, redis, **more):
    """Two worlds over one runtime: students, and tickets that need a student each and are never rewritten."""
    students, tickets = build(ledger, redis), build(ledger, redis)
    tickets.target.updates = False
    tickets.target.parents = students.target.held
    kind = replace(KIND, name="tickets", parents=(Parent("memory", "client", "контакт"),))
    sides = tickets.connectors.source, tickets.connectors.target
    tickets.flow = flow_of("tickets", TicketMapping(), *sides, kind=kind, parent_flows={"memory": "students"}, **more)
    runtime = runtime_of(ledger, redis, {"students": students.flow, "tickets": tickets.flow})
    students.runtime = tickets.runtime = runtime
    return students, tickets


def runtime_of(ledger, redis, flows):
    cursors.register(ledger, [(flow.name, flow.starts_at) for flow in flows.values()])
    return Runtime(
        ledger=ledger,
        redis=redis,
        keys=IdempotencyKeys(redis),
        flows=flows,
        publisher=MemoryPublisher(),
        owner="test",
        timezone=ZoneInfo("Europe/Moscow"),
        finished=Counter(redis),
    )


@dataclass
class World:
    """One flow and all it touches, worked by hand: no threads, no processes, no waiting."""

    runtime: Runtime
    source: MemorySource
    target: MemoryTarget
    connectors: SimpleNamespace
    flow: Flow

    def poll(self):
        poll.poll(self.runtime, self.flow.name, force=True)

    def work(self):
        """Work off every hint and every record and note that is due now."""
        for _ in range(100):
            upkeep.tick(self.runtime)
            hints = self.runtime.publisher.hints
            if not hints:
                return
            while hints:
                self.take(*hints.popleft())
        raise AssertionError("work never ends")

    def take(self, kind, argument):
        {"sync": sync.sync, "poll": poll.poll, "look": look.look, "note": note.note}[kind](self.runtime, argument)

    def later(self, **amount):
        """Let time pass for the engine, and for the source."""
        self.runtime.ledger.ahead += timedelta(**amount)
        self.source.clock += timedelta(**amount)

    def run(self):
        self.poll()
        self.work()

    def record(self, source_id):
        return report.of_record(self.runtime.ledger, self.flow.name, source_id)

    def events(self, source_id):
        return [event.event for event in self.record(source_id).events]
