"""Trials and the results they point at: written before a training starts, closed after.

A run that learns from outcomes known elsewhere is given thousands of rows at once, all or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Select,
    bindparam,
    func,
    insert,
    select,
    update,
)

from vitruvius.errors import ConfigError
from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.database import Database
from vitruvius.memory.records import GivenRow, NewTrial, Origin, ResultStatus, Trial
from vitruvius.spaces.space import Architecture


@dataclass(frozen=True, kw_only=True)
class Tally:
    """The trials of a run in a line: how many, how many closed, least and greatest value."""

    trials: int
    closed: int
    least: float | None
    most: float | None


_trials, _results, _runs = schema.trials.c, schema.results.c, schema.runs.c


class Trials:
    """The `trials` table: what a run sees of results."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, run_id: str, decision_id: int | None, news: Sequence[NewTrial]) -> list[Trial]:
        """Returns new trials, numbered on; their results are found or made, open.

        A second call with the same decision returns the trials of the first.

        Raises:
            ConfigError: where there is no such run.
        """
        with self._database.write() as connection:
            given = {"run": run_id, "decision": decision_id}
            keys = connection.execute(_KEYS, given).one_or_none()
            if keys is None:
                raise ConfigError(f"there is no run {run_id!r} in {self._database.place}")
            if keys.made:
                return [_trial(row) for row in connection.execute(_OF_DECISION, given)]
            last = keys.last or 0
            for number, new in enumerate(news, start=last + 1):
                # the row is there before a training starts: a kill leaves it open, never lost
                result_id, was_there = _result_of(connection, keys.space_id, keys.task_id, new)
                connection.execute(
                    _ADD,
                    {
                        "run_id": run_id,
                        "number": number,
                        "result_id": result_id,
                        "decision_id": decision_id,
                        "origin": new.origin,
                        "propensity": new.propensity,
                        "reused": was_there,
                    },
                )
            return [
                _trial(row)
                for row in connection.execute(_AFTER, {"run": run_id, "after": last}).all()
            ]

    def of(self, run_id: str, after: int = 0) -> list[Trial]:
        """Returns the run's trials with a number above `after`, in order of number."""
        with self._database.read() as connection:
            rows = connection.execute(_AFTER, {"run": run_id, "after": after}).all()
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

    def give(self, run_id: str, rows: Sequence[GivenRow]) -> int:
        """Stores rows as closed results and as the run's trials, in order; returns how many.

        A result that is closed already stays as it is. A run is given its rows once: a second
        call changes nothing.

        Raises:
            ConfigError: where there is no such run.
        """
        with self._database.write() as connection:
            run = connection.execute(
                select(_runs.space_id, _runs.task_id).where(_runs.id == run_id)
            ).one_or_none()
            if run is None:
                raise ConfigError(f"there is no run {run_id!r} in {self._database.place}")
            mine = select(func.count()).where(_trials.run_id == run_id)
            if known := connection.scalar(mine):
                return int(known)
            if rows:
                _write_given(connection, run_id, run.space_id, run.task_id, rows)
        return len(rows)

    def settled(self, run_id: str) -> tuple[int, int]:
        """Returns the last trial before the first open one, and how many up to it have a value.

        What follows an open trial may still change, so other runs do not read it.
        """
        mine = _trials.run_id == run_id
        both = schema.trials.join(schema.results)
        is_open = _results.closed.is_(None) | (_results.status == ResultStatus.CANCELLED)
        first_open = select(func.min(_trials.number)).select_from(both)
        last = select(func.max(_trials.number)).where(mine)
        with self._database.read() as connection:
            opened = connection.scalar(first_open.where(mine, is_open))
            up_to = (connection.scalar(last) or 0) if opened is None else opened - 1
            scored = select(func.count()).select_from(both)
            scored = scored.where(mine, _trials.number <= up_to, _results.value.is_not(None))
            return up_to, connection.scalar(scored) or 0

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
_made = _trials.run_id == _RUN, _trials.decision_id == bindparam("decision")
_KEYS = select(
    _runs.space_id,
    _runs.task_id,
    _last.label("last"),
    select(_trials.number).where(*_made).exists().label("made"),
).where(_runs.id == _RUN)
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
        _results.peak_mib,
        _results.message,
        _results.curve,
    )
    .join_from(schema.trials, schema.results)
    .where(_trials.run_id == _RUN)
    .order_by(_trials.number)
)
_AFTER = _SELECT.where(_trials.number > bindparam("after"))
_OF_DECISION = _SELECT.where(_trials.decision_id == bindparam("decision"))
_ADD = insert(schema.trials)
_KEY = ("space_id", "architecture", "task_id", "fidelity", "seed")
_FIND = select(_results.id).where(*(schema.results.c[name] == bindparam(name) for name in _KEY))
_OPEN = (
    schema.insert_or(schema.results)
    .on_conflict_do_nothing(index_elements=_KEY)
    .returning(_results.id)
)
_TRAINED = (
    update(schema.trials)
    .where(_trials.result_id == bindparam("result"), _trials.run_id == _RUN)
    .values(reused=False)
)


def _result_of(
    connection: Connection, space_id: str, task_id: str, new: NewTrial
) -> tuple[int, bool]:
    """Returns the result's id, and whether its row was there before."""
    key: dict[str, Any] = {
        "space_id": space_id,
        "architecture": new.architecture.text,
        "task_id": task_id,
        "fidelity": new.fidelity,
        "seed": new.seed,
    }
    row = {"status": ResultStatus.PENDING, "opened": schema.now(), "attempts": 0, "curve": []}
    made = connection.scalar(_OPEN, {**key, **row})  # most are new: asked last whether one is there
    if made is not None:
        return int(made), False
    return int(connection.execute(_FIND, key).scalar_one()), True


def _trial(row: Any) -> Trial:
    fields = row._asdict()
    fields["architecture"] = Architecture(row.architecture)
    fields["origin"] = Origin(row.origin)
    fields["status"] = ResultStatus(row.status)
    fields["curve"] = tuple(row.curve)
    return Trial(**fields)


def note_trained(connection: Connection, result_id: int, run_id: str) -> None:
    """Records that a run trains this result itself, whoever had opened it."""
    connection.execute(_TRAINED, {"result": result_id, "run": run_id})


def _write_given(
    connection: Connection, run_id: str, space_id: str, task_id: str, rows: Sequence[GivenRow]
) -> None:
    before = _numbers(connection, space_id, task_id)
    news = schema.insert_or(schema.results)
    changes = {name: news.excluded[name] for name in ("status", "value", "test", "train_s",
                                                      "params", "flops", "closed")}  # fmt: skip
    closing = news.on_conflict_do_update(
        index_elements=_KEY, set_=changes, where=_results.closed.is_(None)
    )
    connection.execute(closing, [_given(row, space_id, task_id) for row in rows])
    numbers = _numbers(connection, space_id, task_id)
    keys = [(row.architecture.text, row.fidelity, row.seed) for row in rows]
    connection.execute(
        insert(schema.trials),
        [
            {
                "run_id": run_id,
                "number": number,
                "result_id": numbers[key],
                "decision_id": None,
                "origin": Origin.GIVEN,
                "propensity": row.propensity,
                "reused": key in before,
            }
            for number, (row, key) in enumerate(zip(rows, keys, strict=True), start=1)
        ],
    )


def _numbers(
    connection: Connection, space_id: str, task_id: str
) -> dict[tuple[str, str, int], int]:
    query = select(_results.id, _results.architecture, _results.fidelity, _results.seed).where(
        _results.space_id == space_id, _results.task_id == task_id
    )
    return {(row.architecture, row.fidelity, row.seed): row.id for row in connection.execute(query)}


def _given(row: GivenRow, space_id: str, task_id: str) -> dict[str, Any]:
    at = schema.now()
    return {
        "space_id": space_id,
        "architecture": row.architecture.text,
        "task_id": task_id,
        "fidelity": row.fidelity,
        "seed": row.seed,
        "status": row.status,
        "opened": at,
        "closed": at,
        "attempts": 0,
        "value": row.value,
        "test": row.test,
        "train_s": row.train_s,
        "curve": [],
        "params": row.params,
        "flops": row.flops,
    }
