"""Results: started by one driver, closed once, shared by all runs; and proxies' scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, or_, select, update

from vitruvius.errors import VitruviusError
from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.database import Database
from vitruvius.memory.ledger.runs import is_live
from vitruvius.memory.ledger.trials import note_trained
from vitruvius.memory.records import STOPPED_IN, ResultStatus, Score
from vitruvius.spaces.space import Architecture

MAX_ATTEMPTS = 2  # of a result that failed: the first and one retry
_AT_ONCE = 5000  # architectures in one query; SQLite takes 32,766 parameters
_results, _trials, _runs, _scores = (
    schema.results.c,
    schema.trials.c,
    schema.runs.c,
    schema.scores.c,
)
_OPEN = (ResultStatus.PENDING, ResultStatus.RUNNING)


class Results:
    """The `results` table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, result_id: int, driver: str) -> bool:
        """Returns whether `driver` shall train this result now.

        False where it is closed (use it), or where a live driver trains it (wait). A result whose
        driver is dead goes to the caller; `started_by` named the run that has its files.
        """
        at = schema.now()
        with self._database.write() as connection:
            row = _row(connection, result_id, driver)
            if row.status not in _OPEN or _is_taken(connection, row, at):
                return False
            run_id = row.run_of_driver
            connection.execute(
                _START, {"result": result_id, "driver": driver, "run_id": run_id, "started": at}
            )
            if run_id is not None:  # whoever opened it: this run pays for the training
                note_trained(connection, result_id, run_id)
            return True

    def close(
        self,
        result_id: int,
        *,
        status: ResultStatus,
        value: float | None = None,
        test: float | None = None,
        train_s: float | None = None,
        curve: Sequence[float] = (),
        params: int | None = None,
        flops: int | None = None,
        peak_mib: float | None = None,
        weights: str | None = None,
        message: str | None = None,
    ) -> bool:
        """Closes a result; a closed one stays as it is. Returns whether this call closed it.

        One that was stopped early answers to its own run only: `fidelity` says so from then on,
        and whoever asks for a whole training gets another result.

        Raises:
            ValueError: if `status` is open, or `value` does not fit it: a measured result has a
                finite value, a failure has none.
        """
        if status in _OPEN:
            raise ValueError(f"a result is closed with a final status, not {status!r}")
        if (status == ResultStatus.DONE) != (value is not None and math.isfinite(value)):
            raise ValueError(f"a result that ends as {status!r} cannot have the value {value!r}")
        with self._database.write() as connection:
            closed = connection.execute(
                _CLOSE,
                {
                    "result": result_id,
                    "status": ResultStatus(status),
                    "value": value,
                    "test": test,
                    "train_s": train_s,
                    "curve": list(curve),
                    "params": params,
                    "flops": flops,
                    "peak_mib": peak_mib,
                    "weights": None if weights is None else str(weights),
                    "message": self._database.without_keys(message),
                    "closed": schema.now(),
                },
            )
            if closed.rowcount == 0:
                _row(connection, result_id)
            elif status == ResultStatus.STOPPED_EARLY:
                connection.execute(_SET_APART, {"result": result_id})
            return closed.rowcount == 1

    def reopen(self, result_id: int, driver: str | None = None) -> bool:
        """Makes a result pending again where that is right; returns whether it is pending now.

        Right for a cancelled one, for one whose driver is dead (or is the given `driver`), and,
        once, for one that failed. A measured result is never opened again.
        """
        with self._database.write() as connection:
            row = _row(connection, result_id)
            if row.status == ResultStatus.FAILED:
                may = row.attempts < MAX_ATTEMPTS
            elif row.status == ResultStatus.RUNNING:
                may = row.driver == driver or not _is_taken(connection, row, schema.now())
            else:
                may = row.status in (ResultStatus.CANCELLED, ResultStatus.PENDING)
            if may and row.status != ResultStatus.PENDING:
                connection.execute(_REOPEN, {"result": result_id})
            return bool(may)

    def started_by(self, result_id: int) -> str | None:
        """Returns the run that last started this result: its folder may hold the outcome."""
        with self._database.read() as connection:
            run_id: str | None = _row(connection, result_id).run_id
            return run_id


class Scores:
    """The `scores` table: values of proxies, shared by all runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, space_id: str, task_id: str, scores: Sequence[Score]) -> None:
        """Stores proxies' values; what is there already stays."""
        if not scores:
            return
        rows = [
            {
                "space_id": space_id,
                "task_id": task_id,
                "proxy": score.proxy,
                "architecture": score.architecture.text,
                "value": score.value,
                "wall_s": score.wall_s,
                "note": score.note,
            }
            for score in scores
        ]
        with self._database.write() as connection:
            connection.execute(schema.insert_or(schema.scores).on_conflict_do_nothing(), rows)

    def of(
        self,
        space_id: str,
        task_id: str,
        proxies: Sequence[str] | None,
        architectures: Sequence[Architecture] | None,
    ) -> list[Score]:
        """Returns the stored values for these architectures, in order of proxies, then theirs.

        None stands for all that are stored, by name or by text.
        """
        if architectures is None:
            architectures = self._scored(space_id, task_id)
        found: dict[tuple[str, str], Score] = {}
        texts = list(dict.fromkeys(architecture.text for architecture in architectures))
        query = select(
            _scores.proxy, _scores.architecture, _scores.value, _scores.wall_s, _scores.note
        ).where(
            _scores.space_id == space_id,
            _scores.task_id == task_id,
        )
        if proxies is not None:
            query = query.where(_scores.proxy.in_(proxies))
        with self._database.read() as connection:
            for start in range(0, len(texts), _AT_ONCE):
                some = texts[start : start + _AT_ONCE]
                for row in connection.execute(query.where(_scores.architecture.in_(some))):
                    fields = {**row._mapping, "architecture": Architecture(row.architecture)}
                    found[row.proxy, row.architecture] = Score(**fields)
        known = sorted({proxy for proxy, _ in found}) if proxies is None else proxies
        wanted = ((proxy, text) for proxy in known for text in texts)
        return [found[key] for key in wanted if key in found]

    def _scored(self, space_id: str, task_id: str) -> list[Architecture]:
        with self._database.read() as connection:
            rows = connection.execute(_SCORED, {"space": space_id, "task": task_id}).all()
        return [Architecture(row.architecture) for row in rows]


_of_result = _results.id == bindparam("result")
_SCORED = (
    select(_scores.architecture)
    .where(_scores.space_id == bindparam("space"), _scores.task_id == bindparam("task"))
    .distinct()
    .order_by(_scores.architecture)
)
_STATE = select(
    _results.status, _results.driver, _results.run_id, _results.started, _results.attempts
).where(_of_result)
_run_of = (
    select(_trials.run_id)
    .join_from(schema.trials, schema.runs)
    .where(_trials.result_id == bindparam("result"), _runs.driver == bindparam("by"))
    .limit(1)
)
_STATE_FOR = _STATE.add_columns(_run_of.scalar_subquery().label("run_of_driver"))
_START = (
    update(schema.results)
    .where(_of_result)
    .values(status=ResultStatus.RUNNING, attempts=_results.attempts + 1)
)
_CLOSE = update(schema.results).where(_of_result, or_(*(_results.status == open for open in _OPEN)))
_SET_APART = (
    update(schema.results)
    .where(_of_result)
    .values(fidelity=_results.fidelity + STOPPED_IN + func.coalesce(_results.run_id, ""))
)
_REOPEN = (
    update(schema.results)
    .where(_of_result)
    .values(status=ResultStatus.PENDING, value=None, test=None, curve=[], message=None, closed=None)
)
_LEASE = select(_runs.driver, _runs.host, _runs.pid, _runs.heartbeat).where(
    _runs.id == bindparam("run")
)


def _row(connection: Connection, result_id: int, driver: str | None = None) -> Any:
    """Returns the state of a result; for a driver, also its run that has a trial of it."""
    given = {"result": result_id} | ({} if driver is None else {"by": driver})
    query = _STATE if driver is None else _STATE_FOR
    row = connection.execute(query, given).one_or_none()
    if row is None:
        raise VitruviusError(f"the ledger has no result {result_id}")
    return row


def _is_taken(connection: Connection, row: Any, at: datetime) -> bool:
    """Returns whether a live driver trains the result."""
    if row.status != ResultStatus.RUNNING:
        return False
    if row.run_id is None:  # started outside a claimed run: nobody renews this lease
        return is_live(None, None, row.started, at)
    run = connection.execute(_LEASE, {"run": row.run_id}).one()
    return bool(run.driver == row.driver) and is_live(run.host, run.pid, run.heartbeat, at)
