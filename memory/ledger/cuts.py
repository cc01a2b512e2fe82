"""Cuts of a run: made once, undone once, never forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, bindparam, insert, select, update

from vitruvius.errors import ToolError
from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.part import LedgerPart
from vitruvius.memory.ledger.statements import Prepared
from vitruvius.memory.records import CutRecord
from vitruvius.spaces.rules import Rule

_cuts = schema.cuts.c
_SELECT: Select[Any] = select(*(column for column in _cuts if column.name != "rule_key"))
_OF_RUN = Prepared(_SELECT.where(_cuts.run_id == bindparam("run")).order_by(_cuts.number))


class CutRows(LedgerPart):
    """The `cuts` table."""

    def add_cut(
        self,
        run_id: str,
        step: int,
        rule: Rule,
        principle: str,
        reason: str,
        provisional: bool,
        kept: float,
        top_loss_high: float,
    ) -> CutRecord:
        """Stores a cut and returns it; the same rule at the same step is stored once.

        Raises:
            ToolError: names the cut in force that holds the same rule already.
        """
        row = {
            "run_id": run_id,
            "rule": rule.model_dump(mode="json", exclude_none=True),
            "principle": principle,
            "reason": reason,
            "provisional": provisional,
            "kept": kept,
            "top_loss_high": top_loss_high,
            "made_step": step,
        }
        with self._database.write() as connection:
            mine = select(_cuts.number, _cuts.rule_key, _cuts.made_step, _cuts.undone_step).where(
                _cuts.run_id == run_id
            )
            cuts = connection.execute(mine.order_by(_cuts.number)).all()
            number = len(cuts) + 1
            for cut in cuts:
                if cut.rule_key == rule.key and cut.made_step == step:
                    return _cut(connection.execute(_of(run_id, cut.number)).one()._asdict())
                if cut.rule_key == rule.key and cut.undone_step is None:
                    raise ToolError(f"cut {cut.number} already keeps to this rule; no new cut made")
            connection.execute(insert(schema.cuts).values(number=number, rule_key=rule.key, **row))
            return _cut(connection.execute(_of(run_id, number)).one()._asdict())

    def undo_cut(self, run_id: str, number: int, step: int, by: str, reason: str) -> CutRecord:
        """Undoes a cut and returns it; again at the same step changes nothing.

        Raises:
            ToolError: where there is no such cut, or it was undone at an earlier step.
        """
        with self._database.write() as connection:
            row = connection.execute(_of(run_id, number)).one_or_none()
            if row is None:
                query = select(_cuts.number).where(
                    _cuts.run_id == run_id, _cuts.undone_step.is_(None)
                )
                known = ", ".join(map(str, connection.scalars(query))) or "none"
                raise ToolError(f"run {run_id} has no cut {number}; cuts in force: {known}")
            if row.undone_step not in (None, step):
                raise ToolError(f"cut {number} was undone at step {row.undone_step} already")
            if row.undone_step is None:
                connection.execute(
                    update(schema.cuts)
                    .where(_cuts.run_id == run_id, _cuts.number == number)
                    .values(undone_step=step, undone_by=by, undone_reason=reason)
                )
            return _cut(connection.execute(_of(run_id, number)).one()._asdict())

    def cuts(self, run_id: str) -> list[CutRecord]:
        """Returns all cuts of a run in order, those undone included."""
        with self._database.quick_read() as connection:
            rows = _OF_RUN.all(connection, run=run_id)
        return [_cut(row._asdict()) for row in rows]


def _of(run_id: str, number: int) -> Select[Any]:
    return _SELECT.where(_cuts.run_id == run_id, _cuts.number == number)


def _cut(row: Mapping[str, Any]) -> CutRecord:
    return CutRecord(**{**row, "rule": Rule.model_validate(row["rule"])})
