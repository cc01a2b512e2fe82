"""Runs in the ledger: made, forked, listed, held by one driver at a time."""

from __future__ import annotations

import difflib
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, insert, select, update

from vitruvius.budget import Budget
from vitruvius.errors import ConfigError, RunHeld
from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.database import Database, redact_settings
from vitruvius.memory.ledger.forks import last_shared_step, lineage_of, share_facts
from vitruvius.memory.records import ResultStatus, Run, RunKind, RunStatus

_ID_TRIES = 50
STALE_S = 30.0  # without a heartbeat for so long, a driver is dead
_RUN_COLUMNS = [column for column in schema.runs.c if column.name != "wall_s"]
_columns = schema.runs.c
_ONE: Select[Any] = select(*_RUN_COLUMNS).where(_columns.id == bindparam("run"))
_BEAT = (
    update(schema.runs)
    .where(_columns.id == bindparam("run"), _columns.driver == bindparam("by"))
    .values(heartbeat=bindparam("at"), wall_s=_columns.wall_s + bindparam("elapsed"))
    .returning(_columns.stop_requested)
)
# of a run that a fork starts with as well
_KEPT = ("space_ref", "space_id", "space_name", "task_ref", "task_id", "task_name", "seed",
         "settings", "sources", "parent", "kind", "metric")  # fmt: skip


class Runs:
    """The `runs` table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        *,
        space_ref: str,
        space_id: str,
        space_name: str,
        task_ref: str,
        task_id: str,
        task_name: str,
        seed: int,
        budget: Budget,
        settings: Mapping[str, Any],
        sources: Mapping[str, str],
        parent: str | None = None,
        kind: RunKind = RunKind.SEARCH,
        metric: Mapping[str, str] | None = None,
    ) -> Run:
        """Returns a new pending run. Keys among the settings are blanked out."""
        with self._database.write() as connection:
            return insert_run(
                connection,
                space_ref=space_ref,
                space_id=space_id,
                space_name=space_name,
                task_ref=task_ref,
                task_id=task_id,
                task_name=task_name,
                seed=seed,
                budget=budget,
                settings=redact_settings(settings, self._database.secrets),
                sources=dict(sources),
                parent=parent,
                kind=kind,
                metric=None if metric is None else dict(metric),
            )

    def get(self, run_id: str) -> Run:
        """Returns a run.

        Raises:
            ConfigError: names the nearest ids, where there is no such run.
        """
        with self._database.read() as connection:
            row = connection.execute(_ONE, {"run": run_id}).one_or_none()
            if row is not None:
                return _run(row)
            known = list(connection.scalars(select(schema.runs.c.id)))
        near = difflib.get_close_matches(run_id, known, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else "`vitruvius runs` lists them"
        raise ConfigError(f"there is no run {run_id!r} in {self._database.place}; {hint}")

    def all(self) -> list[Run]:
        """Returns all runs, newest first."""
        query = select(*_RUN_COLUMNS).order_by(schema.runs.c.created.desc(), schema.runs.c.id)
        with self._database.read() as connection:
            return [_run(row) for row in connection.execute(query)]

    def claim(self, run_id: str, driver: str) -> None:
        """Makes `driver`, in this process, the one that drives the run.

        Raises:
            RunHeld: while another live driver has it.
            ConfigError: where there is no such run.
        """
        at = schema.now()
        with self._database.write() as connection:
            row = connection.execute(_ONE, {"run": run_id}).one_or_none()
            if (
                row is not None
                and row.driver not in (None, driver)
                and is_live(row.host, row.pid, row.heartbeat, at)
            ):
                raise RunHeld(
                    f"run {run_id} is driven by process {row.pid} on {row.host}: wait for it, "
                    f"or stop it with `vitruvius stop {run_id}`; if it has died, `vitruvius "
                    f"resume {run_id}` takes over, {STALE_S:g} s after its last sign of life at "
                    "the latest"
                )
            if row is not None:
                connection.execute(
                    update(schema.runs)
                    .where(schema.runs.c.id == run_id)
                    .values(
                        status=RunStatus.RUNNING,
                        driver=driver,
                        host=this_host(),
                        pid=os.getpid(),
                        heartbeat=at,
                        stop_requested=False,
                        finished=None,
                    )
                )
                _drop_leftovers(connection, run_id, driver)
                return
        self.get(run_id)  # says what is known instead

    def beat(self, run_id: str, driver: str, wall_s: float) -> bool:
        """Renews the lease, books wall seconds; returns whether a stop was requested.

        Raises:
            RunHeld: where the run was taken from this driver.
        """
        given = {"run": run_id, "by": driver, "at": schema.now(), "elapsed": wall_s}
        with self._database.write() as connection:
            row = connection.execute(_BEAT, given).one_or_none()
        if row is None:
            raise RunHeld(f"run {run_id} is no longer driven by this process: another has taken it")
        return bool(row.stop_requested)

    def release(self, run_id: str, driver: str, status: RunStatus) -> None:
        """Lets go of a run and says where it stands; nothing, where another has taken it."""
        finished = schema.now() if status == RunStatus.DONE else None
        with self._database.write() as connection:
            connection.execute(
                update(schema.runs)
                .where(schema.runs.c.id == run_id, schema.runs.c.driver == driver)
                .values(
                    status=status,
                    driver=None,
                    host=None,
                    pid=None,
                    heartbeat=None,
                    stop_requested=False,
                    finished=finished,
                )
            )

    def request_stop(self, run_id: str) -> None:
        """Asks the run's driver to stop; it sees this at its next beat.

        Raises:
            ConfigError: where there is no such run.
        """
        query = update(schema.runs).where(schema.runs.c.id == run_id).values(stop_requested=True)
        with self._database.write() as connection:
            found = connection.execute(query).rowcount
        if not found:
            self.get(run_id)

    def fork(self, run_id: str, at: int | None = None, *, budget: Budget | None = None) -> Run:
        """Returns a new run that shares what `run_id` had found up to a step.

        Its account counts the shared trials, which were reused; seconds, tokens and dollars start
        at zero. The other run may be at work meanwhile.

        Args:
            run_id: a search, or a fork of one.
            at: the last step that is shared; None: the run as it stands, but for a decision that
                is not over yet.
            budget: of the fork; None: the limits of the other run.

        Raises:
            ConfigError: there is no such run or step, or the run is no search.
        """
        found = self.get(run_id)
        if found.kind != RunKind.SEARCH:
            raise ConfigError(f"run {run_id} is no search ({found.kind}): it cannot be forked")
        with self._database.write() as connection:
            last = last_shared_step(connection, run_id, at)
            fields = {name: getattr(found, name) for name in _KEPT}
            fork = insert_run(
                connection,
                budget=found.budget if budget is None else budget,
                status=RunStatus.PENDING if last < 0 else RunStatus.INTERRUPTED,
                forked_from=run_id,
                forked_at=last,
                **fields,
            )
            share_facts(connection, run_id, fork.id, last, is_whole=at is None)
        return fork

    def lineage(self, run_id: str) -> list[str]:
        """Returns the run, the one that it was forked from, and so on to the first."""
        with self._database.read() as connection:
            return lineage_of(connection, run_id)


def insert_run(
    connection: Connection, *, budget: Budget, status: RunStatus = RunStatus.PENDING, **fields: Any
) -> Run:
    """Writes a run under a free id and returns it; `fields` are the row's other columns."""
    created = schema.now()
    run_id = _free_id(connection, f"{created:%y%m%d}")
    connection.execute(
        insert(schema.runs).values(
            id=run_id,
            status=status,
            created=created,
            finished=created if status == RunStatus.DONE else None,
            budget=asdict(budget),
            stop_requested=False,
            wall_s=0.0,
            **fields,
        )
    )
    return _run(connection.execute(_ONE, {"run": run_id}).one())


def _free_id(connection: Connection, day: str) -> str:
    for _ in range(_ID_TRIES):
        run_id = f"{day}-{secrets.token_hex(2)}"
        if connection.execute(_ONE, {"run": run_id}).one_or_none() is None:
            return run_id
    raise ConfigError(f"no free run id is left for {day}: more than 60,000 runs were made")


def _drop_leftovers(connection: Connection, run_id: str, driver: str) -> None:
    """Frees results that a driver of the same name left running when it last let go."""
    connection.execute(
        update(schema.results)
        .where(
            schema.results.c.status == ResultStatus.RUNNING,
            schema.results.c.driver == driver,
            schema.results.c.run_id == run_id,
        )
        .values(status=ResultStatus.PENDING)
    )


def _run(row: Row[Any]) -> Run:
    fields = dict(row._mapping)
    fields["status"] = RunStatus(row.status)
    fields["budget"] = Budget(**row.budget)
    fields["kind"] = RunKind(row.kind)
    return Run(**fields)


def run_data(run: Run) -> dict[str, Any]:
    """Returns a run without what its driver needs."""
    return {
        "id": run.id,
        "status": run.status.value,
        "created": run.created.isoformat(),
        "finished": run.finished.isoformat() if run.finished else None,
        "task": run.task_ref or run.task_name,
        "space": run.space_ref or run.space_name,
        "seed": run.seed,
        "budget": asdict(run.budget),
        "model": run.settings.get("model"),
        "parent": run.parent,
        "forked_from": run.forked_from,
        "forked_at": run.forked_at,
        "kind": run.kind.value,
    }


@cache
def this_host() -> str:
    """Returns the name of this machine."""
    return socket.gethostname()


def is_live(host: str | None, pid: int | None, heartbeat: datetime | None, at: datetime) -> bool:
    """Returns whether a driver may still be working: a fresh heartbeat and, here, a process."""
    if heartbeat is None or (at - heartbeat).total_seconds() >= STALE_S:
        return False
    return pid is None or host != this_host() or _is_running(pid)


def _is_running(pid: int) -> bool:
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    import psutil  # only here: most questions are answered above

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
