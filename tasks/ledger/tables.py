"""The tables of the ledger and the words their columns hold. Migrations are made from here; a test compares them."""

from enum import IntEnum, StrEnum

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, MetaData, String, Table, Text, text

from tasks.ledger.database import UtcDateTime

metadata = MetaData()

_Id = BigInteger().with_variant(Integer, "sqlite")


class State(StrEnum):
    """Where a record stands (DESIGN §6)."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    REJECTED = "rejected"
    WAITING = "waiting"
    PARKED = "parked"


class Priority(IntEnum):
    """What leaves first."""

    FRESH = 0
    RETRY = 1
    BACKFILL = 2


IN_FLIGHT = (State.QUEUED, State.RUNNING)

records = Table(
    "records",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("flow", String(64), nullable=False),
    Column("source_id", String(128), nullable=False),
    # what the source showed
    Column("snapshot", JSON, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("modified", UtcDateTime, nullable=False),
    # where it stands
    Column("state", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("due_at", UtcDateTime),
    Column("queued_at", UtcDateTime),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("crashes", Integer, nullable=False, server_default="0"),
    Column("cause", String(64)),
    Column("detail", Text),
    # who works on it
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("lease_owner", String(128)),
    Column("lease_until", UtcDateTime),
    Column("in_doubt_at", UtcDateTime),
    # what the target has
    Column("target_id", String(128)),
    Column("delivered_version", Integer),
    Column("delivered_hash", String(64)),
    Column("delivered_at", UtcDateTime),
    # what the source is told
    Column("note_text", Text),
    Column("note_shown", Text),
    Column("note_due_at", UtcDateTime),
    Column("note_attempts", Integer, nullable=False, server_default="0"),
    Column("note_fence", Integer, nullable=False, server_default="0"),
    Column("note_lease_until", UtcDateTime),
)

Index("records_source", records.c.flow, records.c.source_id, unique=True)
# Each index holds only the rows of its question, so that a ledger of millions costs no more than one of thousands.
for _name, _columns, _where in (
    ("records_due", ("flow", "priority", "due_at", "id"), "state = 'pending'"),
    ("records_in_flight", ("flow", "state", "queued_at"), "state IN ('queued', 'running')"),
    ("records_leased", ("lease_owner", "lease_until"), "state = 'running'"),
    ("records_retry", ("due_at",), "state IN ('rejected', 'waiting') AND due_at IS NOT NULL"),
    ("records_note_due", ("flow", "note_due_at"), "note_due_at IS NOT NULL"),
    ("records_unfinished", ("flow", "state", "cause"), "state NOT IN ('done', 'skipped')"),
):
    Index(_name, *(records.c[c] for c in _columns), postgresql_where=text(_where), sqlite_where=text(_where))

flows = Table(
    "flows",
    metadata,
    Column("name", String(64), primary_key=True),
    # the cursor (tasks/poll.py)
    Column("modified_since", UtcDateTime, nullable=False),
    Column("window_high", UtcDateTime),
    Column("after_id", String(128)),
    Column("polled_at", UtcDateTime),
    Column("completed_at", UtcDateTime),
    Column("poll_due_at", UtcDateTime, nullable=False),
    Column("poll_error", Text),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("lease_owner", String(128)),
    Column("lease_until", UtcDateTime),
    # whether it runs
    Column("paused_by", String(16)),
    Column("paused_reason", Text),
    Column("paused_at", UtcDateTime),
    Column("probe_at", UtcDateTime),
    Column("creates_held_until", UtcDateTime),
)

history = Table(
    "history",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("record_id", _Id, ForeignKey("records.id", ondelete="CASCADE"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    Column("event", String(32), nullable=False),
    Column("detail", Text),
)
Index("history_of_record", history.c.record_id, history.c.id)
Index("history_by_age", history.c.at)
