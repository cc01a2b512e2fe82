"""Messages: what was said about a run, in order, without keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import bindparam, func, insert, select

from vitruvius.errors import ConfigError
from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.part import LedgerPart
from vitruvius.memory.ledger.requests import Message
from vitruvius.memory.ledger.statements import Prepared
from vitruvius.memory.records import DecisionStatus

_messages, _decisions, _runs = schema.messages.c, schema.decisions.c, schema.runs.c
_RUN: Any = bindparam("run")
_over = (
    select(func.count())
    .where(
        _decisions.run_id == _RUN,
        _decisions.was_accepted,
        _decisions.status != DecisionStatus.ACCEPTED,
    )
    .scalar_subquery()
)
_CLOCK = Prepared(select(_over.label("step")).where(_runs.id == _RUN))
_ADD = Prepared(
    insert(schema.messages), ["run_id", "created", "thread", "role", "text", "data", "step"]
)
_LAST = Prepared(
    select(*_messages)
    .where(_messages.run_id == _RUN, _messages.thread == bindparam("of_thread"))
    .order_by(_messages.id.desc())
    .limit(bindparam("last"))
)
_THREADS = Prepared(
    select(_messages.thread, func.max(_messages.id).label("newest"))
    .where(_messages.run_id == _RUN)
    .group_by(_messages.thread)
    .order_by(func.max(_messages.id).desc())
)
_ALL = -1  # SQLite's limit that is none


class MessageRows(LedgerPart):
    """The `messages` table."""

    def add_message(
        self,
        run_id: str,
        thread: str,
        role: Literal["user", "agent", "tool"],
        text: str,
        data: Mapping[str, Any] | None = None,
    ) -> Message:
        """Stores a message and returns it; keys in its texts are blanked out.

        Raises:
            ConfigError: where there is no such run.
        """
        row = {
            "run_id": run_id,
            "created": schema.now(),
            "thread": thread,
            "role": role,
            "text": self._without_keys(text),
            "data": self._without_keys(data or {}),
        }
        with self._database.quick_write() as connection:
            step = _CLOCK.scalar(connection, run=run_id)
            if step is None:
                raise ConfigError(f"there is no run {run_id!r} in {self._database.place}")
            number = _ADD.run(connection, **row, step=step).lastrowid
        assert number is not None
        return Message(id=number, step=step, **row)

    def messages(self, run_id: str, thread: str, last: int | None = None) -> list[Message]:
        """Returns the messages of a thread in order; the `last` few."""
        last = _ALL if last is None else last
        with self._database.quick_read() as connection:
            rows = _LAST.all(connection, run=run_id, of_thread=thread, last=last)
        return [Message(**row._asdict()) for row in reversed(rows)]

    def threads(self, run_id: str) -> list[str]:
        """Returns the names of the threads about a run, the one that spoke last first."""
        with self._database.quick_read() as connection:
            return [row.thread for row in _THREADS.all(connection, run=run_id)]
