"""When a record's newest content was stored: what was read before that is older."""

import sqlalchemy as sa
from alembic import op

from tasks.ledger.database import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("records", sa.Column("stored_at", UtcDateTime(), nullable=True))
