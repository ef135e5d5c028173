"""Events: records that belong to a stream and leave in its order; what a source calls the version that it showed."""

import sqlalchemy as sa
from alembic import op

from tasks.ledger.database import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("records", sa.Column("stream", sa.String(length=128), nullable=True))
    op.add_column("records", sa.Column("position", UtcDateTime(), nullable=True))
    op.add_column("records", sa.Column("ripe_at", UtcDateTime(), nullable=True))
    op.add_column("records", sa.Column("source_version", sa.String(length=64), nullable=True))
    op.create_index(
        "records_stream",
        "records",
        ["flow", "stream", "position", "id"],
        unique=False,
        postgresql_where=sa.text("stream IS NOT NULL"),
        sqlite_where=sa.text("stream IS NOT NULL"),
    )
