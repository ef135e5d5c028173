"""The ledger: records, flows, history."""

import sqlalchemy as sa
from alembic import op

from tasks.ledger.database import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "flows",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("modified_since", UtcDateTime(), nullable=False),
        sa.Column("window_high", UtcDateTime(), nullable=True),
        sa.Column("after_id", sa.String(length=128), nullable=True),
        sa.Column("polled_at", UtcDateTime(), nullable=True),
        sa.Column("completed_at", UtcDateTime(), nullable=True),
        sa.Column("poll_due_at", UtcDateTime(), nullable=False),
        sa.Column("poll_error", sa.Text(), nullable=True),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.String(length=128), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("paused_by", sa.String(length=16), nullable=True),
        sa.Column("paused_reason", sa.Text(), nullable=True),
        sa.Column("paused_at", UtcDateTime(), nullable=True),
        sa.Column("probe_at", UtcDateTime(), nullable=True),
        sa.Column("probe_wait", sa.Integer(), server_default="0", nullable=False),
        sa.Column("creates_held_until", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "records",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("flow", sa.String(length=64), nullable=False),
        sa.Column("source_id", sa.String(length=128), nullable=False),
        sa.Column("snapshot", sa.JSON(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("modified", UtcDateTime(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("queued_at", UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("crashes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cause", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.String(length=128), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("in_doubt_at", UtcDateTime(), nullable=True),
        sa.Column("target_id", sa.String(length=128), nullable=True),
        sa.Column("delivered_version", sa.Integer(), nullable=True),
        sa.Column("delivered_hash", sa.String(length=64), nullable=True),
        sa.Column("delivered_at", UtcDateTime(), nullable=True),
        sa.Column("parent_flow", sa.String(length=64), nullable=True),
        sa.Column("parent_id", sa.String(length=128), nullable=True),
        sa.Column("note_text", sa.Text(), nullable=True),
        sa.Column("note_shown", sa.Text(), nullable=True),
        sa.Column("note_due_at", UtcDateTime(), nullable=True),
        sa.Column("note_attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("note_fence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("note_lease_until", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("records_by_state", "records", ["flow", "state", "cause"], unique=False)
    op.create_index(
        "records_due",
        "records",
        ["flow", "priority", "due_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
        sqlite_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "records_in_flight",
        "records",
        ["flow", "queued_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('queued', 'running')"),
        sqlite_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_index(
        "records_leased",
        "records",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("state = 'running'"),
        sqlite_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "records_note_due",
        "records",
        ["flow", "note_due_at"],
        unique=False,
        postgresql_where=sa.text("note_due_at IS NOT NULL"),
        sqlite_where=sa.text("note_due_at IS NOT NULL"),
    )
    op.create_index(
        "records_of_parent",
        "records",
        ["parent_flow", "parent_id", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
        sqlite_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "records_retry",
        "records",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('rejected', 'waiting')"),
        sqlite_where=sa.text("state IN ('rejected', 'waiting')"),
    )
    op.create_index("records_source", "records", ["flow", "source_id"], unique=True)
    op.create_index(
        "records_suspect",
        "records",
        ["flow", "due_at"],
        unique=False,
        postgresql_where=sa.text("crashes > 1"),
        sqlite_where=sa.text("crashes > 1"),
    )

    op.create_table(
        "history",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("record_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("history_by_age", "history", ["at"], unique=False)
    op.create_index("history_of_record", "history", ["record_id", "id"], unique=False)


def downgrade() -> None:

    op.drop_table("history")

    op.drop_table("records")
    op.drop_table("flows")
