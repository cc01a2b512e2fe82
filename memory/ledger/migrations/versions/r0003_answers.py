"""What a model's reply was made of, so that a run can be replayed from its ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds the parts of a reply; calls of before have none."""
    op.add_column("calls", sa.Column("answer", sa.JSON(), nullable=True))
