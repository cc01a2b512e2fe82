"""Wishes, messages and forks: what is asked and said of a run from outside its loop."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds two tables, where a run was forked from, and at which decision a version was written.

    Versions of before take that from the verification that followed them; those that an audit
    wrote knew it, and those that were carried came first.
    """
    op.create_table(
        "wishes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("call", sa.JSON(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=True),
        sa.Column("decision_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_wishes_run_id"),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.id"], name="fk_wishes_decision_id"),
        sa.PrimaryKeyConstraint("id", name="pk_wishes"),
    )
    op.create_index("ix_wishes_decision_id", "wishes", ["decision_id"])
    op.create_index("ix_wishes_run_id_status", "wishes", ["run_id", "status"])
    op.create_table(
        "messages",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("thread", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_messages_run_id"),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
    )
    op.create_index("ix_messages_run_id_thread", "messages", ["run_id", "thread"])
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("forked_from", sa.Text(), nullable=True))
        runs.add_column(sa.Column("forked_at", sa.Integer(), nullable=True))
        runs.create_foreign_key("fk_runs_forked_from", "runs", ["forked_from"], ["id"])
    op.add_column("versions", sa.Column("at_step", sa.Integer(), nullable=True))
    op.execute(
        "UPDATE versions SET at_step = CASE WHEN edit = 'carry' THEN 0 WHEN author = 'audit' "
        "THEN step ELSE (SELECT json_extract(marks.data, '$.step') FROM marks WHERE "
        "marks.run_id = versions.run_id AND marks.name = 'verified' "
        "AND marks.step = versions.step) END WHERE run_id IS NOT NULL"
    )
