"""The ledger's tables.

A change here needs a migration under `migrations/versions`, and its revision in `file.REVISIONS`;
the store of the table writes and reads the column.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.sqlite import insert as insert_or

__all__ = ["insert_or"]  # what to do on a conflict: the one statement that each dialect writes

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcTime(TypeDecorator[datetime]):
    """Stored in UTC without a zone; comes back with the zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


def now() -> datetime:
    """Returns the time of this moment, in UTC."""
    return datetime.now(UTC)


metadata = MetaData(naming_convention=NAMING)


def _run_id(*, primary_key: bool = False, nullable: bool = False) -> Column[str]:
    return Column("run_id", Text, ForeignKey("runs.id"), primary_key=primary_key, nullable=nullable)


runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("finished", UtcTime),
    Column("space_ref", Text, nullable=False),
    Column("space_id", Text, nullable=False),
    Column("space_name", Text, nullable=False),
    Column("task_ref", Text, nullable=False),
    Column("task_id", Text, nullable=False),
    Column("task_name", Text, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("budget", JSON, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("sources", JSON, nullable=False),
    Column("parent", Text, ForeignKey("runs.id")),
    Column("driver", Text, index=True),
    Column("host", Text),
    Column("pid", Integer),
    Column("heartbeat", UtcTime),
    Column("stop_requested", Boolean, nullable=False),
    Column("wall_s", Float, nullable=False),
    Column("kind", Text, nullable=False, server_default="search"),
    Column("metric", JSON(none_as_null=True)),
    Column("forked_from", Text, ForeignKey("runs.id")),
    Column("forked_at", Integer),  # the last step that is shared
)

results = Table(
    "results",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("space_id", Text, nullable=False),
    Column("architecture", Text, nullable=False),
    Column("task_id", Text, nullable=False),
    Column("fidelity", Text, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("driver", Text),  # who trains it, and in which run
    _run_id(nullable=True),
    Column("opened", UtcTime, nullable=False),
    Column("started", UtcTime),
    Column("closed", UtcTime),
    Column("attempts", Integer, nullable=False),
    Column("value", Float),
    Column("test", Float),
    Column("train_s", Float),
    Column("curve", JSON, nullable=False),
    Column("params", Integer),
    Column("flops", Integer),
    Column("peak_mib", Float),
    Column("weights", Text),
    Column("message", Text),
    UniqueConstraint("space_id", "architecture", "task_id", "fidelity", "seed"),
    Index("ix_results_running", "driver", sqlite_where=text("status = 'running'")),
    Index("ix_results_infeasible", "task_id", sqlite_where=text("status = 'infeasible'")),
)

trials = Table(
    "trials",
    metadata,
    _run_id(primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("result_id", Integer, ForeignKey("results.id"), nullable=False, index=True),
    Column("decision_id", Integer, ForeignKey("decisions.id"), index=True),
    Column("origin", Text, nullable=False),
    Column("propensity", Float),
    Column("reused", Boolean, nullable=False),
)

scores = Table(
    "scores",
    metadata,
    Column("space_id", Text, primary_key=True),
    Column("task_id", Text, primary_key=True),
    Column("proxy", Text, primary_key=True),
    Column("architecture", Text, primary_key=True),
    Column("value", Float),
    Column("wall_s", Float, nullable=False),
    Column("note", Text, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", Text, ForeignKey("runs.id"), nullable=False, index=True),
    Column("step", Integer, nullable=False),
    Column("author", Text, nullable=False),
    Column("call", JSON, nullable=False),
    Column("was_accepted", Boolean, nullable=False),  # at first, whatever became of it
    Column("status", Text, nullable=False),
    Column("outcome", Text),
    Index("ix_decisions_run_id_was_accepted_status", "run_id", "was_accepted", "status"),
)

versions = Table(
    "versions",
    metadata,
    Column("principle", Integer, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("statement", Text, nullable=False),
    Column("rule", JSON, nullable=False),
    Column("rule_key", Text, nullable=False, index=True),
    Column("space_name", Text, nullable=False),
    Column("task_name", Text, nullable=False),
    Column("author", Text, nullable=False),
    _run_id(nullable=True),
    Column("step", Integer, nullable=False),
    Column("edit", Text, nullable=False),
    Column("edit_key", Text),  # of the edit that wrote it: the same edit is applied once a step
    Column("rationale", Text, nullable=False),
    Column("parents", JSON, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("at_step", Integer),  # decisions of its run that were over; `step` counts reflections
    UniqueConstraint("run_id", "step", "edit_key"),
)

vectors = Table(
    "vectors",
    metadata,
    Column("principle", Integer, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("encoder", Text, nullable=False),
    Column("vector", LargeBinary, nullable=False),  # float32, little-endian
    ForeignKeyConstraint(["principle", "version"], ["versions.principle", "versions.version"]),
)

adoptions = Table(
    "adoptions",
    metadata,
    _run_id(primary_key=True),
    Column("principle", Integer, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("trust", Float, nullable=False),
    Column("source_effect", Float),
    Column("similarity", Float, nullable=False),
    ForeignKeyConstraint(["principle", "version"], ["versions.principle", "versions.version"]),
)

evidence = Table(
    "evidence",
    metadata,
    _run_id(primary_key=True),
    Column("principle", Integer, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("up_to", Integer, primary_key=True),
    Column("look", Integer, nullable=False),
    Column("n_in", Integer, nullable=False),
    Column("n_out", Integer, nullable=False),
    Column("effect", Float, nullable=False),
    Column("low", Float, nullable=False),
    Column("high", Float, nullable=False),
    Column("p_value", Float, nullable=False),
    Column("doubly_robust", Float),
    Column("points", Float),
    Column("top_loss", Float, nullable=False),
    Column("top_loss_high", Float, nullable=False),
    Column("kept", Float, nullable=False),
    Column("standing", Text, nullable=False),
    Column("supporting", JSON, nullable=False),
    Column("contradicting", JSON, nullable=False),
    ForeignKeyConstraint(["principle", "version"], ["versions.principle", "versions.version"]),
    Index("ix_evidence_principle_version", "principle", "version"),
)

cuts = Table(
    "cuts",
    metadata,
    _run_id(primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("rule", JSON, nullable=False),
    Column("rule_key", Text, nullable=False),
    Column("principle", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("provisional", Boolean, nullable=False),
    Column("kept", Float, nullable=False),
    Column("top_loss_high", Float, nullable=False),
    Column("made_step", Integer, nullable=False),
    Column("undone_step", Integer),
    Column("undone_by", Text),
    Column("undone_reason", Text),
)

calls = Table(
    "calls",
    metadata,
    Column("id", Integer, primary_key=True),
    _run_id(),
    Column("created", UtcTime, nullable=False),
    Column("chair", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("model", Text, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("reply", Text, nullable=False),
    Column("tokens_in", Integer, nullable=False),
    Column("tokens_out", Integer, nullable=False),
    Column("tokens_estimated", Boolean, nullable=False),
    Column("dollars", Float, nullable=False),
    Column("wall_s", Float, nullable=False),
    Column("error", Text),
    Column("answer", JSON(none_as_null=True)),
    # covers the account's sums, so that they never read prompts
    Index("ix_calls_account", "run_id", "tokens_in", "tokens_out", "dollars"),
)

marks = Table(
    "marks",
    metadata,
    _run_id(primary_key=True),
    Column("name", Text, primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("data", JSON, nullable=False),
)

wishes = Table(
    "wishes",
    metadata,
    Column("id", Integer, primary_key=True),
    _run_id(),
    Column("created", UtcTime, nullable=False),
    Column("author", Text, nullable=False),
    Column("call", JSON, nullable=False),
    Column("status", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("step", Integer),  # at which the driver took it up
    Column("decision_id", Integer, ForeignKey("decisions.id"), index=True),
    Index("ix_wishes_run_id_status", "run_id", "status"),
)

messages = Table(
    "messages",
    metadata,
    Column("id", Integer, primary_key=True),
    _run_id(),
    Column("created", UtcTime, nullable=False),
    Column("thread", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("data", JSON, nullable=False),
    Column("step", Integer, nullable=False),  # decisions of the run that were over
    Index("ix_messages_run_id_thread", "run_id", "thread"),
)
