"""Requests: what is asked and said of a run from outside its loop, as wishes and messages.

A wish is taken up once, by whoever drives the run. What is stored holds no keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

from sqlalchemy import Connection, Select, bindparam, func, insert, select, update

from vitruvius.errors import ConfigError, VitruviusError
from vitruvius.memory.decisions import Call, Decision, read_stored
from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.database import Database
from vitruvius.memory.records import DecisionStatus


class WishStatus(StrEnum):
    """Where a wish stands."""

    OPEN = "open"
    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody asks of a run from outside its loop; its driver carries it out.

    `step` is where the driver took it up, `decision_id` the decision that it became, if any.
    """

    id: int
    run_id: str
    author: str
    written: Mapping[str, Any]  # its row: a call of a tool, see `tools.calls.registry.read_wish`
    status: WishStatus
    words: str  # what became of it
    created: datetime
    step: int | None = None
    decision_id: int | None = None

    @cached_property
    def call(self) -> Call:
        """What is asked for, as the class of its tool."""
        return read_stored(self.written)


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message of a conversation about a run. `step`: decisions that were over by then."""

    id: int
    run_id: str
    thread: str
    role: Literal["user", "agent", "tool"]
    text: str
    data: Mapping[str, Any]
    created: datetime
    step: int = 0


_wishes, _messages = schema.wishes.c, schema.messages.c
_decisions, _runs = schema.decisions.c, schema.runs.c
_RUN: Any = bindparam("run")
_SELECT: Select[Any] = select(*_wishes)
_OF_RUN = _SELECT.where(_wishes.run_id == _RUN).order_by(_wishes.id)
_OPEN = _SELECT.where(_wishes.run_id == _RUN, _wishes.status == WishStatus.OPEN).order_by(
    _wishes.id
)
_ONE = _SELECT.where(_wishes.id == bindparam("wish"))
_ADD = insert(schema.wishes)
_KNOWN = select(_runs.id).where(_runs.id == _RUN)
_TAKE = update(schema.wishes).where(_wishes.id == bindparam("wish"))
_IS_OPEN = _wishes.status == WishStatus.OPEN
_CLOSE = update(schema.wishes).where(_wishes.id == bindparam("wish"), _IS_OPEN)
_CLOSE_OF = update(schema.wishes).where(_wishes.decision_id == bindparam("decision"), _IS_OPEN)
_DECIDE = insert(schema.decisions)
_DECIDED = select(
    _decisions.id,
    _decisions.run_id,
    _decisions.step,
    _decisions.author,
    _decisions.call,
    _decisions.status,
    _decisions.outcome,
).where(_decisions.id == bindparam("decision"))
_over = (
    select(func.count())
    .where(
        _decisions.run_id == _RUN,
        _decisions.was_accepted,
        _decisions.status != DecisionStatus.ACCEPTED,
    )
    .scalar_subquery()
)
_CLOCK = select(_over.label("step")).where(_runs.id == _RUN)
_SAY = insert(schema.messages)
_LAST = (
    select(*_messages)
    .where(_messages.run_id == _RUN, _messages.thread == bindparam("of_thread"))
    .order_by(_messages.id.desc())
    .limit(bindparam("last"))
)
_THREADS = (
    select(_messages.thread, func.max(_messages.id).label("newest"))
    .where(_messages.run_id == _RUN)
    .group_by(_messages.thread)
    .order_by(func.max(_messages.id).desc())
)
_ALL = 2**62  # no limit, in words that every database takes


class Requests:
    """The `wishes` and `messages` tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_wish(self, run_id: str, author: str, call: Mapping[str, Any]) -> Wish:
        """Stores a wish and returns it, open; keys in its texts are blanked out.

        Raises:
            ConfigError: where there is no such run.
        """
        row = {
            "run_id": run_id,
            "created": schema.now(),
            "author": author,
            "call": self._database.without_keys(call),
            "status": WishStatus.OPEN,
            "words": "",
        }
        with self._database.write() as connection:
            if connection.execute(_KNOWN, {"run": run_id}).one_or_none() is None:
                raise ConfigError(f"there is no run {run_id!r} in {self._database.place}")
            made = connection.execute(_ADD, row).inserted_primary_key
            assert made is not None
            return self._one(connection, made[0])

    def wishes(self, run_id: str, *, is_open: bool | None = None) -> list[Wish]:
        """Returns a run's wishes, oldest first; the open ones, the closed ones, or all."""
        with self._database.read() as connection:
            rows = connection.execute(_OPEN if is_open else _OF_RUN, {"run": run_id}).all()
        found = [_wish(row) for row in rows]
        return [w for w in found if w.status != WishStatus.OPEN] if is_open is False else found

    def wish(self, wish_id: int) -> Wish:
        """Returns a wish as it stands."""
        with self._database.read() as connection:
            return self._one(connection, wish_id)

    def take_wish(self, wish_id: int, step: int, call: Mapping[str, Any]) -> Decision:
        """Makes a wish the run's next decision, once, and returns the decision.

        Closing that decision closes the wish. Taken a second time, the first decision comes back.

        Args:
            wish_id: an open wish.
            step: of the decision.
            call: as it is to be carried out.
        """
        with self._database.write() as connection:
            wish = self._one(connection, wish_id)
            if wish.decision_id is None:
                row = {
                    "run_id": wish.run_id,
                    "step": step,
                    "author": wish.author,
                    "call": self._database.without_keys(call),
                    "was_accepted": True,
                    "status": DecisionStatus.ACCEPTED,
                    "outcome": None,
                }
                made = connection.execute(_DECIDE, row).inserted_primary_key
                assert made is not None
                number = made[0]
                connection.execute(_TAKE, {"wish": wish_id, "step": step, "decision_id": number})
            else:
                number = wish.decision_id
            found = connection.execute(_DECIDED, {"decision": number}).one()
        return Decision.stored(found._asdict())

    def close_wish(
        self, wish_id: int, status: WishStatus, words: str, step: int | None = None
    ) -> None:
        """Records what became of an open wish, and at which step; a closed one stays as it is.

        Raises:
            ValueError: if `status` is open.
        """
        if status == WishStatus.OPEN:
            raise ValueError("a wish is closed as done or refused")
        row = {"status": WishStatus(status), "words": self._database.without_keys(words)}
        with self._database.write() as connection:
            wish = self._one(connection, wish_id)
            step = step if wish.step is None else wish.step
            connection.execute(_CLOSE, {"wish": wish_id, "step": step, **row})

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
            "text": self._database.without_keys(text),
            "data": self._database.without_keys(data or {}),
        }
        with self._database.write() as connection:
            step = connection.scalar(_CLOCK, {"run": run_id})
            if step is None:
                raise ConfigError(f"there is no run {run_id!r} in {self._database.place}")
            number = connection.execute(_SAY, {**row, "step": step}).inserted_primary_key
        assert number is not None
        return Message(id=number[0], step=step, **row)

    def messages(self, run_id: str, thread: str, last: int | None = None) -> list[Message]:
        """Returns the messages of a thread in order; the `last` few."""
        last = _ALL if last is None else last
        with self._database.read() as connection:
            rows = connection.execute(
                _LAST, {"run": run_id, "of_thread": thread, "last": last}
            ).all()
        return [Message(**row._asdict()) for row in reversed(rows)]

    def threads(self, run_id: str) -> list[str]:
        """Returns the names of the threads about a run, the one that spoke last first."""
        with self._database.read() as connection:
            return [row.thread for row in connection.execute(_THREADS, {"run": run_id}).all()]

    def _one(self, connection: Connection, wish_id: int) -> Wish:
        row = connection.execute(_ONE, {"wish": wish_id}).one_or_none()
        if row is None:
            raise VitruviusError(f"the ledger has no wish {wish_id}")
        return _wish(row)


def close_wish_of(
    connection: Connection, decision_id: int, status: DecisionStatus, outcome: str | None
) -> None:
    """Closes the wish that became this decision, if one did, in the decision's transaction."""
    words = outcome or ""
    # a decision may be carried out and yet say no: its outcome, not its status, tells the asker
    was_done = status == DecisionStatus.CARRIED_OUT and not words.startswith("refused:")
    connection.execute(
        _CLOSE_OF,
        {
            "decision": decision_id,
            "status": WishStatus.DONE if was_done else WishStatus.REFUSED,
            "words": words.removeprefix("refused: "),
        },
    )


def _wish(row: Any) -> Wish:
    fields = row._asdict()
    return Wish(written=fields.pop("call"), status=WishStatus(fields.pop("status")), **fields)
