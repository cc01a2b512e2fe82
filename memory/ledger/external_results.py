"""Outcomes known from elsewhere: thousands of rows at once, all of them or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.dialects.sqlite import insert as insert_or

from vitruvius.errors import ConfigError
from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.part import LedgerPart
from vitruvius.memory.records import GivenRow, Origin, ResultStatus

_results, _trials, _runs = schema.results.c, schema.trials.c, schema.runs.c
_KEYS = ("space_id", "architecture", "task_id", "fidelity", "seed")


class GivenRows(LedgerPart):
    """Results and trials of a run that learns from rows."""

    def give_trials(self, run_id: str, rows: Sequence[GivenRow]) -> int:
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
                _write(connection, run_id, run.space_id, run.task_id, rows)
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


def _write(
    connection: Connection, run_id: str, space_id: str, task_id: str, rows: Sequence[GivenRow]
) -> None:
    before = _numbers(connection, space_id, task_id)
    news = insert_or(schema.results)
    changes = {name: news.excluded[name] for name in ("status", "value", "test", "train_s",
                                                      "params", "flops", "closed")}  # fmt: skip
    closing = news.on_conflict_do_update(
        index_elements=_KEYS, set_=changes, where=_results.closed.is_(None)
    )
    connection.execute(closing, [_result(row, space_id, task_id) for row in rows])
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


def _result(row: GivenRow, space_id: str, task_id: str) -> dict[str, Any]:
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
