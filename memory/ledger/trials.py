"""Trials and the results they point at: written before a training starts, closed after."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BindParameter,
    Select,
    bindparam,
    func,
    insert,
    select,
    update,
)

from vitruvius.errors import ConfigError
from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.part import LedgerPart
from vitruvius.memory.ledger.statements import Prepared
from vitruvius.memory.records import NewTrial, Origin, ResultStatus, Trial
from vitruvius.spaces.space import Architecture


@dataclass(frozen=True, kw_only=True)
class Tally:
    """The trials of a run in a line: how many, how many closed, least and greatest value."""

    trials: int
    closed: int
    least: float | None
    most: float | None


_trials, _results, _runs = schema.trials.c, schema.results.c, schema.runs.c


class TrialRows(LedgerPart):
    """The `trials` table: what a run sees of results."""

    def open_trials(
        self, run_id: str, decision_id: int | None, news: Sequence[NewTrial]
    ) -> list[Trial]:
        """Returns new trials, numbered on; their results are found or made, open.

        A second call with the same decision returns the trials of the first.

        Raises:
            ConfigError: where there is no such run.
        """
        with self._database.quick_write() as connection:
            if decision_id is not None:
                made = _OF_DECISION.all(connection, run=run_id, decision=decision_id)
                if made:
                    return [_trial(row) for row in made]
            keys = _KEYS.one(connection, run=run_id)
            if keys is None:
                raise ConfigError(f"there is no run {run_id!r} in {self._database.place}")
            last = keys.last or 0
            for number, new in enumerate(news, start=last + 1):
                result_id, was_there = _result_of(connection, keys.space_id, keys.task_id, new)
                _ADD.run(
                    connection,
                    run_id=run_id,
                    number=number,
                    result_id=result_id,
                    decision_id=decision_id,
                    origin=new.origin,
                    propensity=new.propensity,
                    reused=was_there,
                )
            return [_trial(row) for row in _AFTER.all(connection, run=run_id, after=last)]

    def trials(self, run_id: str, after: int = 0) -> list[Trial]:
        """Returns the run's trials with a number above `after`, in order of number."""
        with self._database.quick_read() as connection:
            rows = _AFTER.all(connection, run=run_id, after=after)
        return [_trial(row) for row in rows]

    def tallies(self, run_id: str | None = None) -> dict[str, Tally]:
        """Returns how many trials a run has and how far their values reach; None: every run's."""
        query = (
            select(
                _trials.run_id,
                func.count().label("trials"),
                func.count(_results.closed).label("closed"),
                func.min(_results.value).label("least"),
                func.max(_results.value).label("most"),
            )
            .join_from(schema.trials, schema.results)
            .group_by(_trials.run_id)
        )
        if run_id is not None:
            query = query.where(_trials.run_id == run_id)
        with self._database.read() as connection:
            rows = [row._asdict() for row in connection.execute(query)]
        return {row.pop("run_id"): Tally(**row) for row in rows}

    def test_values(self, run_id: str) -> dict[int, float]:
        """Returns test metrics by trial number. For the report only: selection uses none."""
        return self._by_number(run_id, _results.test)

    def weights(self, run_id: str) -> dict[int, str]:
        """Returns paths of weights by trial number."""
        return self._by_number(run_id, _results.weights)

    def _by_number(self, run_id: str, column: Any) -> dict[int, Any]:
        query = (
            select(_trials.number, column)
            .join_from(schema.trials, schema.results)
            .where(_trials.run_id == run_id, column.is_not(None))
            .order_by(_trials.number)
        )
        with self._database.read() as connection:
            return {number: value for number, value in connection.execute(query)}


_RUN: BindParameter[str] = bindparam("run")
_last = select(func.max(_trials.number)).where(_trials.run_id == _RUN).scalar_subquery()
_KEYS = Prepared(select(_runs.space_id, _runs.task_id, _last.label("last")).where(_runs.id == _RUN))
_SELECT: Select[Any] = (
    select(
        _trials.run_id,
        _trials.number,
        _trials.result_id,
        _trials.decision_id,
        _results.architecture,
        _results.fidelity,
        _results.seed,
        _trials.origin,
        _trials.propensity,
        _trials.reused,
        _results.status,
        _results.value,
        _results.train_s,
        _results.params,
        _results.flops,
        _results.message,
        _results.curve,
    )
    .join_from(schema.trials, schema.results)
    .where(_trials.run_id == _RUN)
    .order_by(_trials.number)
)
_AFTER = Prepared(_SELECT.where(_trials.number > bindparam("after")))
_OF_DECISION = Prepared(_SELECT.where(_trials.decision_id == bindparam("decision")))
_ADD = Prepared(insert(schema.trials), [column.name for column in _trials])
_KEY = ("space_id", "architecture", "task_id", "fidelity", "seed")
_FIND = Prepared(
    select(_results.id).where(*(schema.results.c[name] == bindparam(name) for name in _KEY))
)
_OPEN = Prepared(insert(schema.results), [*_KEY, "status", "opened", "attempts", "curve"])
_TRAINED = Prepared(
    update(schema.trials)
    .where(_trials.result_id == bindparam("result"), _trials.run_id == _RUN)
    .values(reused=False)
)


def _result_of(
    connection: sqlite3.Connection, space_id: str, task_id: str, new: NewTrial
) -> tuple[int, bool]:
    """Returns the result's id, and whether its row was there before."""
    key: dict[str, Any] = {
        "space_id": space_id,
        "architecture": new.architecture.text,
        "task_id": task_id,
        "fidelity": new.fidelity,
        "seed": new.seed,
    }
    found = _FIND.scalar(connection, **key)
    if found is not None:
        return found, True
    row = {"status": ResultStatus.PENDING, "opened": schema.now(), "attempts": 0, "curve": []}
    made = _OPEN.run(connection, **key, **row).lastrowid
    assert made is not None
    return made, False


def _trial(row: Any) -> Trial:
    fields = row._asdict()
    fields["architecture"] = Architecture(row.architecture)
    fields["origin"] = Origin(row.origin)
    fields["status"] = ResultStatus(row.status)
    fields["curve"] = tuple(row.curve)
    return Trial(**fields)


def note_trained(connection: sqlite3.Connection, result_id: int, run_id: str) -> None:
    """Records that a run trains this result itself, whoever had opened it."""
    _TRAINED.run(connection, result=result_id, run=run_id)
