"""Runs that learn from rows, or stand for an import; the metric beside them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the kind of a run, a search so far, and its metric, unknown so far."""
    op.add_column("runs", sa.Column("kind", sa.Text(), nullable=False, server_default="search"))
    op.add_column("runs", sa.Column("metric", sa.JSON(), nullable=True))
