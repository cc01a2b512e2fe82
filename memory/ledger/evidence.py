"""What a run's trials say of principles, and what it searches no more because of them.

Evidence is measured again and again, and all looks are kept. A cut is made once, undone once, never
forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, func, insert, select, update

from vitruvius.errors import ToolError
from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.database import Database
from vitruvius.memory.ledger.principle_edits import split_name
from vitruvius.memory.records import CutRecord, Evidence, Standing
from vitruvius.spaces.region import Cut, Region
from vitruvius.spaces.rules import Rule
from vitruvius.spaces.space import SearchSpace

_evidence = schema.evidence.c
_IN_TIME = (_evidence.up_to, _evidence.principle, _evidence.version)
_KEYS = (_evidence.run_id, _evidence.principle, _evidence.version)
_last = (
    select(*_KEYS, func.max(_evidence.up_to).label("up_to"))
    .where(_evidence.run_id == bindparam("run"))
    .group_by(*_KEYS)
    .subquery()
)
_same = and_(*(_evidence[name] == _last.c[name] for name in _last.c.keys()))  # noqa: SIM118
_ABOUT = select(schema.evidence).where(_evidence.principle == bindparam("number"))
_LATEST = select(schema.evidence).join(_last, onclause=_same)
_cuts = schema.cuts.c
_SELECT: Select[Any] = select(*(column for column in _cuts if column.name != "rule_key"))
_OF_RUN = _SELECT.where(_cuts.run_id == bindparam("run")).order_by(_cuts.number)


class Measurements:
    """The `evidence` table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, evidence: Sequence[Evidence]) -> None:
        """Stores measurements; one of the same version up to the same trial stays as it is."""
        if not evidence:
            return
        rows = [asdict(one) for one in evidence]
        with self._database.write() as connection:
            connection.execute(schema.insert_or(schema.evidence).on_conflict_do_nothing(), rows)

    def of(self, run_id: str) -> list[Evidence]:
        """Returns all measurements of a run, in order of time."""
        query = select(schema.evidence).where(_evidence.run_id == run_id).order_by(*_IN_TIME)
        with self._database.read() as connection:
            return [_measured(row._asdict()) for row in connection.execute(query)]

    def latest(self, run_id: str) -> dict[tuple[int, int], Evidence]:
        """Returns the last measurement of each (principle, version) in a run."""
        with self._database.read() as connection:
            rows = connection.execute(_LATEST, {"run": run_id}).all()
        return {(row.principle, row.version): _measured(row._asdict()) for row in rows}

    def about(self, principle: int | str) -> list[Evidence]:
        """Returns all measurements of a principle's versions over all runs."""
        with self._database.read() as connection:
            return evidence_about(connection, split_name(principle)[0])


class Cuts:
    """The `cuts` table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
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

    def undo(self, run_id: str, number: int, step: int, by: str, reason: str) -> CutRecord:
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

    def of(self, run_id: str) -> list[CutRecord]:
        """Returns all cuts of a run in order, those undone included."""
        with self._database.read() as connection:
            rows = connection.execute(_OF_RUN, {"run": run_id}).all()
        return [_cut(row._asdict()) for row in rows]


def evidence_about(connection: Connection, principle: int) -> list[Evidence]:
    """Returns all measurements of a principle's versions over all runs."""
    rows = connection.execute(_ABOUT.order_by(_evidence.run_id, *_IN_TIME), {"number": principle})
    return [_measured(row._asdict()) for row in rows]


def _measured(row: Mapping[str, Any]) -> Evidence:
    fields = dict(row)
    fields["standing"] = Standing(fields["standing"])
    fields["supporting"] = tuple(fields["supporting"])
    fields["contradicting"] = tuple(fields["contradicting"])
    return Evidence(**fields)


def _of(run_id: str, number: int) -> Select[Any]:
    return _SELECT.where(_cuts.run_id == run_id, _cuts.number == number)


def _cut(row: Mapping[str, Any]) -> CutRecord:
    return CutRecord(**{**row, "rule": Rule.model_validate(row["rule"])})


def region_of(space: SearchSpace, cuts: Iterable[CutRecord]) -> Region:
    """Returns the space less the cuts in force; those undone are passed over."""
    return Region(
        space,
        tuple(
            Cut(
                number=cut.number,
                rule=cut.rule,
                principle=cut.principle,
                reason=cut.reason,
                provisional=cut.provisional,
            )
            for cut in cuts
            if cut.in_force
        ),
    )
