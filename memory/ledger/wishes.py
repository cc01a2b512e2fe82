"""Wishes: what is asked of a run from outside its loop, taken up once by whoever drives it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, bindparam, insert, select, update

from vitruvius.errors import ConfigError, VitruviusError
from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.part import LedgerPart
from vitruvius.memory.ledger.requests import Wish, WishStatus
from vitruvius.memory.ledger.statements import Prepared
from vitruvius.memory.records import Decision, DecisionStatus

_wishes, _decisions, _runs = schema.wishes.c, schema.decisions.c, schema.runs.c
_RUN: Any = bindparam("run")
_SELECT: Select[Any] = select(*_wishes)
_OF_RUN = Prepared(_SELECT.where(_wishes.run_id == _RUN).order_by(_wishes.id))
_OPEN = Prepared(
    _SELECT.where(_wishes.run_id == _RUN, _wishes.status == WishStatus.OPEN).order_by(_wishes.id)
)
_ONE = Prepared(_SELECT.where(_wishes.id == bindparam("wish")))
_ADD = Prepared(insert(schema.wishes), ["run_id", "created", "author", "call", "status", "words"])
_KNOWN = Prepared(select(_runs.id).where(_runs.id == _RUN))
_TAKE = Prepared(
    update(schema.wishes).where(_wishes.id == bindparam("wish")), ["step", "decision_id"]
)
_IS_OPEN = _wishes.status == WishStatus.OPEN
_CLOSE = Prepared(
    update(schema.wishes).where(_wishes.id == bindparam("wish"), _IS_OPEN),
    ["status", "words", "step"],
)
_CLOSE_OF = Prepared(
    update(schema.wishes).where(_wishes.decision_id == bindparam("decision"), _IS_OPEN),
    ["status", "words"],
)
_DECIDE = Prepared(
    insert(schema.decisions),
    ["run_id", "step", "author", "call", "was_accepted", "status", "outcome"],
)
_DECIDED = Prepared(
    select(_decisions.id, _decisions.run_id, _decisions.step, _decisions.author, _decisions.call,
           _decisions.status, _decisions.outcome)
    .where(_decisions.id == bindparam("decision"))
)  # fmt: skip


class WishRows(LedgerPart):
    """The `wishes` table."""

    def add_wish(self, run_id: str, author: str, call: Mapping[str, Any]) -> Wish:
        """Stores a wish and returns it, open; keys in its texts are blanked out.

        Raises:
            ConfigError: where there is no such run.
        """
        row = {
            "run_id": run_id,
            "created": schema.now(),
            "author": author,
            "call": self._without_keys(call),
            "status": WishStatus.OPEN,
            "words": "",
        }
        with self._database.quick_write() as connection:
            if _KNOWN.one(connection, run=run_id) is None:
                raise ConfigError(f"there is no run {run_id!r} in {self._database.place}")
            number = _ADD.run(connection, **row).lastrowid
            return _wish(_ONE.one(connection, wish=number))

    def wishes(self, run_id: str, *, is_open: bool | None = None) -> list[Wish]:
        """Returns a run's wishes, oldest first; the open ones, the closed ones, or all."""
        with self._database.quick_read() as connection:
            rows = (_OPEN if is_open else _OF_RUN).all(connection, run=run_id)
        found = [_wish(row) for row in rows]
        return [w for w in found if w.status != WishStatus.OPEN] if is_open is False else found

    def wish(self, wish_id: int) -> Wish:
        """Returns a wish as it stands."""
        with self._database.quick_read() as connection:
            return self._one(connection, wish_id)

    def take_wish(self, wish_id: int, step: int, call: Mapping[str, Any]) -> Decision:
        """Makes a wish the run's next decision, once, and returns the decision.

        Closing that decision closes the wish. Taken a second time, the first decision comes back.

        Args:
            wish_id: an open wish.
            step: of the decision.
            call: as it is to be carried out.
        """
        with self._database.quick_write() as connection:
            wish = self._one(connection, wish_id)
            if wish.decision_id is None:
                row = {
                    "run_id": wish.run_id,
                    "step": step,
                    "author": wish.author,
                    "call": self._without_keys(call),
                    "was_accepted": True,
                    "status": DecisionStatus.ACCEPTED,
                    "outcome": None,
                }
                number = _DECIDE.run(connection, **row).lastrowid
                _TAKE.run(connection, wish=wish_id, step=step, decision_id=number)
            else:
                number = wish.decision_id
            found = _DECIDED.one(connection, decision=number)
        row = found._asdict()
        written, state = row.pop("call"), DecisionStatus(row.pop("status"))
        return Decision(written=written, status=state, **row)

    def close_wish(
        self, wish_id: int, status: WishStatus, words: str, step: int | None = None
    ) -> None:
        """Records what became of an open wish, and at which step; a closed one stays as it is.

        Raises:
            ValueError: if `status` is open.
        """
        if status == WishStatus.OPEN:
            raise ValueError("a wish is closed as done or refused")
        row = {"status": WishStatus(status), "words": self._without_keys(words)}
        with self._database.quick_write() as connection:
            wish = self._one(connection, wish_id)
            step = step if wish.step is None else wish.step
            _CLOSE.run(connection, wish=wish_id, step=step, **row)

    def _one(self, connection: sqlite3.Connection, wish_id: int) -> Wish:
        row = _ONE.one(connection, wish=wish_id)
        if row is None:
            raise VitruviusError(f"the ledger has no wish {wish_id}")
        return _wish(row)


def close_wish_of(
    connection: sqlite3.Connection, decision_id: int, status: DecisionStatus, outcome: str | None
) -> None:
    """Closes the wish that became this decision, if one did, in the decision's transaction."""
    words = outcome or ""
    was_done = status == DecisionStatus.CARRIED_OUT and not words.startswith("refused:")
    _CLOSE_OF.run(
        connection,
        decision=decision_id,
        status=WishStatus.DONE if was_done else WishStatus.REFUSED,
        words=words.removeprefix("refused: "),
    )


def _wish(row: Any) -> Wish:
    fields = row._asdict()
    return Wish(written=fields.pop("call"), status=WishStatus(fields.pop("status")), **fields)
