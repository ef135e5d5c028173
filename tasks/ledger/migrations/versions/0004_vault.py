"""The vault; handler packages and field maps of 1C bases; where a person finds what a record became in its target, and
what both sides of twin flows agreed on.
"""

import sqlalchemy as sa
from alembic import op

from tasks.ledger.database import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "vault",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("changed_at", UtcDateTime(), nullable=True),
        sa.Column("holder", sa.String(length=64), nullable=True),
        sa.Column("held_until", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "handler_packages",
        sa.Column("version", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("connection", sa.String(length=64), nullable=False),
        sa.Column("handlers", sa.JSON(), nullable=False),
        sa.Column("published_by", sa.String(length=64), nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "field_maps",
        sa.Column("connection", sa.String(length=64), nullable=False),
        sa.Column("entity", sa.String(length=32), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("connection", "entity"),
    )
    op.add_column("records", sa.Column("target_link", sa.Text(), nullable=True))
    op.add_column("records", sa.Column("agreed", sa.JSON(), nullable=True))
    for name, columns, where in (
        ("records_target", ["flow", "target_id"], sa.text("target_id IS NOT NULL")),
        ("records_in_doubt", ["flow"], sa.text("in_doubt_at IS NOT NULL")),
    ):
        op.create_index(name, "records", columns, unique=False, postgresql_where=where, sqlite_where=where)
