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

# SQLite uses a partial index only where the query says the index's own words, and not by a parameter.
IS_PENDING = text("state = 'pending'")
IS_QUEUED = text("state = 'queued'")
IS_RUNNING = text("state = 'running'")
IS_WAITING = text("state = 'waiting'")
IS_IN_FLIGHT = text("state IN ('queued', 'running')")
IS_SUSPECT = text("crashes > 1")
IS_EVENT = text("stream IS NOT NULL")
IS_ASLEEP = text("state IN ('rejected', 'waiting')")
IS_IN_DOUBT = text("in_doubt_at IS NOT NULL")

records = Table(
    "records",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("flow", String(64), nullable=False),
    Column("source_id", String(128), nullable=False),
    # an event: of which entity, and when it happened there
    Column("stream", String(128)),
    Column("position", UtcDateTime),
    Column("ripe_at", UtcDateTime),
    # what the source showed
    Column("snapshot", JSON, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("modified", UtcDateTime, nullable=False),
    Column("stored_at", UtcDateTime),
    Column("source_version", String(64)),
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
    Column("target_link", Text),
    Column("delivered_version", Integer),  # null: none, or the target is to get it once more
    Column("delivered_hash", String(64)),
    Column("delivered_at", UtcDateTime),
    # of a flow with a twin: what the source showed when both sides agreed last
    Column("agreed", JSON),
    # whom it needs first
    Column("parent_flow", String(64)),
    Column("parent_id", String(128)),
    # what the source is told
    Column("note_text", Text),
    Column("note_shown", Text),
    Column("note_due_at", UtcDateTime),
    Column("note_attempts", Integer, nullable=False, server_default="0"),
    Column("note_fence", Integer, nullable=False, server_default="0"),
    Column("note_lease_until", UtcDateTime),
)

Index("records_source", records.c.flow, records.c.source_id, unique=True)
Index("records_by_state", records.c.flow, records.c.state, records.c.cause)
# Each of these holds only the rows of its question, so that a ledger of millions costs no more than one of thousands.
for _name, _columns, _where in (
    ("records_due", ("flow", "priority", "due_at", "id"), IS_PENDING),
    ("records_in_flight", ("flow", "queued_at"), IS_IN_FLIGHT),
    ("records_leased", ("lease_until",), IS_RUNNING),
    ("records_retry", ("due_at",), IS_ASLEEP),
    ("records_of_parent", ("parent_flow", "parent_id", "id"), IS_WAITING),
    ("records_suspect", ("flow", "due_at"), IS_SUSPECT),
    ("records_stream", ("flow", "stream", "position", "id"), IS_EVENT),
    ("records_note_due", ("flow", "note_due_at"), text("note_due_at IS NOT NULL")),
    ("records_target", ("flow", "target_id"), text("target_id IS NOT NULL")),
    ("records_in_doubt", ("flow",), IS_IN_DOUBT),
):
    Index(_name, *(records.c[c] for c in _columns), postgresql_where=_where, sqlite_where=_where)

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
    Column("probe_wait", Integer, nullable=False, server_default="0"),
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

# Secrets, and whose turn it is to renew one (tasks/ledger/vault.py). A row without a value is a turn only.
vault = Table(
    "vault",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("value", Text),
    Column("changed_at", UtcDateTime),
    Column("holder", String(64)),
    Column("held_until", UtcDateTime),
)

# Packages of handlers for 1C: versions are only ever added, and none is given twice.
handler_packages = Table(
    "handler_packages",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=True),
    Column("connection", String(64), nullable=False),
    Column("handlers", JSON, nullable=False),
    Column("published_by", String(64), nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)

# Which fields of an entity a 1C base wants to be told.
field_maps = Table(
    "field_maps",
    metadata,
    Column("connection", String(64), primary_key=True),
    Column("entity", String(32), primary_key=True),
    Column("fields", JSON, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)
