"""Trials and the results they point at: written before a training starts, closed after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select, update

from vitruvius.errors import ConfigError
from vitruvius.memory import schema
from vitruvius.memory.ledger_part import LedgerPart
from vitruvius.memory.records import NewTrial, Origin, ResultStatus, Trial
from vitruvius.spaces.space import Architecture

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
        with self._database.write() as connection:
            if decision_id is not None:
                mine = (_trials.run_id == run_id, _trials.decision_id == decision_id)
                made = _read(connection, _SELECT.where(*mine))
                if made:
                    return made
            keys = connection.execute(
                select(_runs.space_id, _runs.task_id).where(_runs.id == run_id)
            ).one_or_none()
            if keys is None:
                raise ConfigError(f"there is no run {run_id!r} in {self._database.place}")
            last = connection.scalar(_LAST.where(_trials.run_id == run_id)) or 0
            for number, new in enumerate(news, start=last + 1):
                result_id, was_there = _result_of(connection, keys.space_id, keys.task_id, new)
                connection.execute(
                    insert(schema.trials).values(
                        run_id=run_id,
                        number=number,
                        result_id=result_id,
                        decision_id=decision_id,
                        origin=new.origin,
                        propensity=new.propensity,
                        reused=was_there,
                    )
                )
            return _read(connection, _SELECT.where(_trials.run_id == run_id, _trials.number > last))

    def trials(self, run_id: str, after: int = 0) -> list[Trial]:
        """Returns the run's trials with a number above `after`, in order of number."""
        with self._database.read() as connection:
            return _read(
                connection, _SELECT.where(_trials.run_id == run_id, _trials.number > after)
            )

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


_LAST = select(func.max(_trials.number))
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
    .order_by(_trials.number)
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
    query = select(_results.id).where(*(schema.results.c[name] == key[name] for name in key))
    found = connection.scalar(query)
    if found is not None:
        return found, True
    made = connection.execute(
        insert(schema.results).values(
            **key, status=ResultStatus.PENDING, opened=schema.now(), attempts=0, curve=[]
        )
    ).inserted_primary_key
    assert made is not None
    return made[0], False


def _read(connection: Connection, query: Select[Any]) -> list[Trial]:
    return [_trial(row) for row in connection.execute(query)]


def _trial(row: Row[Any]) -> Trial:
    fields = dict(row._mapping)
    fields["architecture"] = Architecture(row.architecture)
    fields["origin"] = Origin(row.origin)
    fields["status"] = ResultStatus(row.status)
    fields["curve"] = tuple(row.curve)
    return Trial(**fields)


def note_trained(connection: Connection, result_id: int, run_id: str) -> None:
    """Records that a run trains this result itself, whoever had opened it."""
    connection.execute(
        update(schema.trials)
        .where(_trials.result_id == result_id, _trials.run_id == run_id)
        .values(reused=False)
    )
