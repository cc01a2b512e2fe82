"""Forks: a new run that shares what another had found up to a step, and nothing that came after.

A step is the number of a decision. What lies between two decisions (a reflection, its measurements,
the cuts they license) bears the number of the decision that follows, so a fork at step 7 ends with
what decision 7 found, and reflects on it itself.

Trials, decisions, cuts, measurements, closed wishes and messages are copied under the new run's id,
so that every reader finds them as in any run. Results are shared, as they are between all runs, and
so are versions of principles: the fork adopts them with no trust but that of its own trials. The
confirmation at a run's end is left behind: a fork confirms its own finalists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    true,
)

from vitruvius.errors import ConfigError
from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.requests import WishStatus
from vitruvius.memory.records import DecisionStatus, Origin, Run

CONFIRMATION = "confirmation"  # author of the decision that ends a run
_REFLECTION = ("proposed", "reflected", "verified")  # journal lines numbered by reflection
_decisions, _trials, _marks = schema.decisions.c, schema.trials.c, schema.marks.c
_versions, _adoptions = schema.versions.c, schema.adoptions.c
_evidence, _cuts = schema.evidence.c, schema.cuts.c
_PARENT = select(schema.runs.c.forked_from).where(schema.runs.c.id == bindparam("run"))


@dataclass(frozen=True, kw_only=True)
class _Share:
    """What is shared: decisions up to `last`, reflections below `reflections`."""

    source: str
    fork: str
    last: int  # -1: no decision
    reflections: int
    measured: int | None  # last trial that a shared measurement saw; None: any
    is_whole: bool  # the run as it stands: whatever came after its last decision, too

    def until(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        """Returns the condition that a fact of this step is shared."""
        return true() if self.is_whole else column <= self.last


def share_facts(
    connection: Connection, source: str, fork: str, last: int, *, is_whole: bool
) -> None:
    """Copies what a run had found up to a step under the id of its fork.

    Args:
        connection: that writes.
        source: the run.
        fork: the new run, whose row is there.
        last: the last step that is shared, of `last_shared_step`.
        is_whole: whether what came after the last decision is shared, too.
    """
    share = _share(connection, source, fork, last, is_whole=is_whole)
    ids = _share_decisions(connection, share)
    _share_trials(connection, share, ids)
    _share_marks(connection, share)
    _share_versions(connection, share, lineage=lineage_of(connection, source))
    _share_measurements(connection, share)
    _share_cuts(connection, share)
    _share_words(connection, share, ids)


def lineage_of(connection: Connection, run_id: str) -> list[str]:
    """Returns the run, the one that it was forked from, and so on to the first."""
    found: list[str] = []
    name: str | None = run_id
    while name is not None:
        found.append(name)
        name = connection.scalar(_PARENT, {"run": name})
    return found


def roots(runs: Sequence[Run]) -> dict[str, str]:
    """Returns for each run the one from which it was forked in the end, itself where from none.

    Example:
        >>> roots([])
        {}
    """
    parents = {run.id: run.forked_from for run in runs}
    found = {}
    for run in runs:
        root = run.id
        while (parent := parents.get(root)) is not None:
            root = parent
        found[run.id] = root
    return found


def last_shared_step(connection: Connection, run_id: str, at: int | None) -> int:
    """Returns the last step to share.

    Raises:
        ConfigError: no such step is over.
    """
    over = select(func.max(_decisions.step)).where(
        _decisions.run_id == run_id,
        _decisions.was_accepted,
        _decisions.status != DecisionStatus.ACCEPTED,
        _decisions.author != CONFIRMATION,
    )
    last = connection.scalar(over)
    if at is None:
        return -1 if last is None else int(last)
    if last is None:
        raise ConfigError(f"run {run_id} has no step that is over yet; fork it without a step")
    if not 0 <= at <= last:
        raise ConfigError(
            f"run {run_id} has no step {at} to fork at; its steps that are over are 0 to {last}"
        )
    return at


def _share(connection: Connection, source: str, fork: str, last: int, *, is_whole: bool) -> _Share:
    mine = _marks.run_id == source
    if is_whole:
        done = select(func.count()).where(mine, _marks.name == "reflected")
        reflections = connection.scalar(done) or 0
        return _Share(source=source, fork=fork, last=last, reflections=reflections,
                      measured=None, is_whole=True)  # fmt: skip
    looks = connection.execute(
        select(_marks.data).where(mine, _marks.name == "verified").order_by(_marks.step)
    ).scalars()
    shared = [look for look in looks if look["step"] <= last]
    closed = shared[-1]["closed"] if shared else 0
    seen = select(_trials.number).where(
        _trials.run_id == source, _trials.origin.not_in((Origin.CONTROL, Origin.CONFIRM))
    )
    number = connection.scalar(seen.order_by(_trials.number).offset(max(closed - 1, 0)).limit(1))
    return _Share(
        source=source,
        fork=fork,
        last=last,
        reflections=len(shared),
        measured=number if closed and number is not None else 0,
        is_whole=False,
    )


def _rows(
    connection: Connection, table: Table, condition: ColumnElement[bool], order: Any
) -> list[dict[str, Any]]:
    query = select(table).where(condition).order_by(order)
    return [dict(row._mapping) for row in connection.execute(query)]


def _write(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), list(rows))


def _share_decisions(connection: Connection, share: _Share) -> dict[int, int]:
    """Copies decisions; returns the new number of each."""
    condition = and_(
        _decisions.run_id == share.source,
        _decisions.step <= share.last,
        _decisions.author != CONFIRMATION,
    )
    rows = _rows(connection, schema.decisions, condition, _decisions.id)
    first = (connection.scalar(select(func.max(_decisions.id))) or 0) + 1
    ids = {row["id"]: first + place for place, row in enumerate(rows)}
    for row in rows:
        row |= {"id": ids[row["id"]], "run_id": share.fork}
    _write(connection, schema.decisions, rows)
    return ids


def _share_trials(connection: Connection, share: _Share, ids: Mapping[int, int]) -> None:
    rows = _rows(connection, schema.trials, _trials.run_id == share.source, _trials.number)
    shared = [
        {**row, "run_id": share.fork, "decision_id": ids[row["decision_id"]], "reused": True}
        for row in rows
        if row["decision_id"] in ids
    ]
    _write(connection, schema.trials, shared)


def _share_marks(connection: Connection, share: _Share) -> None:
    shared = and_(
        _marks.run_id == share.source,
        or_(
            _marks.name == "recalled",
            and_(_marks.name.in_(_REFLECTION), _marks.step < share.reflections),
        ),
    )
    rows = _rows(connection, schema.marks, shared, _marks.step)
    _write(connection, schema.marks, [{**row, "run_id": share.fork} for row in rows])


def _share_versions(connection: Connection, share: _Share, lineage: Sequence[str]) -> None:
    """Adopts what the run recalled, as it did, and what it wrote, with no word of others'."""
    both = schema.adoptions.join(schema.versions)
    recalled = connection.execute(
        select(schema.adoptions)
        .select_from(both)
        .where(
            _adoptions.run_id == share.source,
            or_(
                _versions.run_id.is_(None),
                _versions.run_id.not_in(lineage),
                _versions.edit == "carry",
                share.until(_versions.at_step),
            ),
        )
    ).all()
    rows = [{**row._mapping, "run_id": share.fork} for row in recalled]
    written = connection.execute(
        select(_versions.principle, _versions.version).where(
            _versions.run_id == share.source, share.until(_versions.at_step)
        )
    ).all()
    own = {"run_id": share.fork, "trust": 0.0, "source_effect": None, "similarity": 1.0}
    rows += [{**own, **row._mapping} for row in written]
    if rows:
        connection.execute(schema.insert_or(schema.adoptions).on_conflict_do_nothing(), rows)


def _share_measurements(connection: Connection, share: _Share) -> None:
    """Copies the measurements of the versions that are shared."""
    adopted = and_(
        _adoptions.run_id == share.fork,
        _adoptions.principle == _evidence.principle,
        _adoptions.version == _evidence.version,
    )
    query = select(schema.evidence).join(schema.adoptions, adopted)
    query = query.where(_evidence.run_id == share.source)
    if share.measured is not None:
        query = query.where(_evidence.up_to <= share.measured)
    rows = [{**row._mapping, "run_id": share.fork} for row in connection.execute(query)]
    _write(connection, schema.evidence, rows)


def _share_cuts(connection: Connection, share: _Share) -> None:
    """Copies cuts; one that was undone later is in force again."""
    shared = and_(_cuts.run_id == share.source, share.until(_cuts.made_step))
    rows = _rows(connection, schema.cuts, shared, _cuts.number)
    for row in rows:
        row["run_id"] = share.fork
        undone = row["undone_step"]
        if undone is not None and not share.is_whole and undone > share.last:
            row |= {"undone_step": None, "undone_by": None, "undone_reason": None}
    _write(connection, schema.cuts, rows)


def _share_words(connection: Connection, share: _Share, ids: Mapping[int, int]) -> None:
    """Copies wishes that are closed, and messages."""
    wishes, messages = schema.wishes.c, schema.messages.c
    closed = and_(
        wishes.run_id == share.source,
        wishes.status != WishStatus.OPEN,
        share.until(wishes.step),
    )
    for table, condition in (
        (schema.wishes, closed),
        (schema.messages, and_(messages.run_id == share.source, share.until(messages.step))),
    ):
        rows = _rows(connection, table, condition, table.c.id)
        for row in rows:
            del row["id"]
            row["run_id"] = share.fork
            if row.get("decision_id") is not None:
                row["decision_id"] = ids.get(row["decision_id"])
        _write(connection, table, rows)
