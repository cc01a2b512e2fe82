"""What a run did: decisions, calls of a model, its account, its journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    BindParameter,
    ScalarSelect,
    Select,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    update,
)

from vitruvius.errors import ConfigError, VitruviusError
from vitruvius.memory.decisions import Decision
from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.database import Database
from vitruvius.memory.ledger.requests import close_wish_of
from vitruvius.memory.records import (
    BREAKS_A_TRIAL,
    Course,
    DecisionStatus,
    Mark,
    ModelCall,
    ResultStatus,
    RunKind,
    Spent,
)

_decisions, _calls, _marks = schema.decisions.c, schema.calls.c, schema.marks.c
_trials, _results, _runs = schema.trials.c, schema.results.c, schema.runs.c
_RUN: BindParameter[str] = bindparam("run")
# What a person spends in conversation is theirs to spend: it ends no search.
_OF_SEARCH = (_calls.run_id == _RUN, _calls.chair != "chat")
_OF_RUN = {
    "wall_s": select(_runs.wall_s).where(_runs.id == _RUN),
    "budget": select(_runs.budget).where(_runs.id == _RUN),
    "short": select(_runs.parent).where(_runs.id == _RUN, _runs.kind == RunKind.SEARCH),
    # numbers are dense, so the last one counts them
    "opened": select(func.max(_trials.number)).where(_trials.run_id == _RUN),
    # The concatenation keeps SQLite from reading all trials of the run at every step: it goes
    # through the index of those that break a limit.
    "breaks": select(func.count())
    .join_from(schema.results, schema.trials)
    .where(
        _results.status == literal_column(f"'{ResultStatus.INFEASIBLE}'"),
        _trials.run_id.concat("") == _RUN,
    ),
    "tokens": select(func.sum(_calls.tokens_in + _calls.tokens_out)).where(*_OF_SEARCH),
    "dollars": select(func.sum(_calls.dollars)).where(*_OF_SEARCH),
}
_ACCOUNT = select(*(query.scalar_subquery().label(name) for name, query in _OF_RUN.items()))
_TRAINED = (
    select(func.sum(_results.train_s))
    .join_from(schema.results, schema.trials)
    .where(_trials.run_id == _RUN, _trials.reused.is_(False))
)
_SELECT: Select[Any] = select(
    _decisions.id,
    _decisions.run_id,
    _decisions.step,
    _decisions.author,
    _decisions.call,
    _decisions.status,
    _decisions.outcome,
).where(_decisions.run_id == _RUN)
_open = _SELECT.where(_decisions.was_accepted, _decisions.status == DecisionStatus.ACCEPTED)
_OPEN = _open.order_by(_decisions.id).limit(1)
_LAST = _SELECT.order_by(_decisions.id.desc()).limit(bindparam("last"))
_ACCEPTED = select(func.count()).where(_decisions.run_id == _RUN, _decisions.was_accepted)
_ADD = insert(schema.decisions)
_CLOSE = update(schema.decisions).where(
    _decisions.id == bindparam("decision"), _decisions.status == DecisionStatus.ACCEPTED
)
_AMEND = update(schema.decisions).where(
    _decisions.id == bindparam("decision"), _decisions.status == DecisionStatus.ACCEPTED
)
_FIND = select(_decisions.id).where(_decisions.id == bindparam("decision"))
_MARK = schema.insert_or(schema.marks).on_conflict_do_nothing()
_OF_NAME = (_marks.run_id == _RUN, _marks.name == bindparam("of_name"))
_MARKS = (
    select(_marks.step, _marks.data)
    .where(*_OF_NAME)
    .order_by(_marks.step.desc())
    .limit(bindparam("last"))
)
_COUNT_MARKS = select(func.count()).where(*_OF_NAME)
_NOTHING = Spent(trials=0, wall_s=0.0, tokens=0, dollars=0.0, train_s=0.0)
_ALL = 2**62  # no limit, in words that every database takes


def _of_journal(name: str) -> Select[Any]:
    return select(_marks.data).where(_marks.run_id == _RUN, _marks.name == name)


def _counted(query: Select[Any]) -> ScalarSelect[Any]:
    return select(func.count()).select_from(query.subquery()).scalar_subquery()


_verified = _of_journal("verified").order_by(_marks.step.desc()).limit(1).subquery()
_latest = (
    select(_decisions.step, _decisions.call, _decisions.status)
    .where(_decisions.run_id == _RUN)
    .order_by(_decisions.id.desc())
    .limit(bindparam("last"))
    .subquery()
)
_closed = func.coalesce(select(_verified.c.data["closed"].as_integer()).scalar_subquery(), 0)
_since = func.coalesce(select(_verified.c.data["step"].as_integer()).scalar_subquery(), -1)
_COURSE = select(
    _counted(_of_journal("reflected")).label("reflections"),
    _counted(_of_journal("verified")).label("verifications"),
    _closed.label("verified_closed"),
    func.coalesce(
        select(_verified.c.data["reflected_at"].as_integer()).scalar_subquery(), _closed
    ).label("reflected_at"),
    _counted(
        select(_latest.c.step).where(
            _latest.c.status == DecisionStatus.CARRIED_OUT,
            _latest.c.step >= _since,
            _latest.c.call["tool"].as_string().is_distinct_from("train"),
        )
    ).label("idle"),
    _open.with_only_columns(_decisions.id).exists().label("has_open_decision"),
)


class Steps:
    """The `decisions`, `calls` and `marks` tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_decision(
        self,
        run_id: str,
        step: int,
        author: str,
        call: Mapping[str, Any],
        status: DecisionStatus,
        outcome: str | None = None,
    ) -> Decision:
        """Stores a decision before it is carried out, or one that was turned down."""
        row = {
            "run_id": run_id,
            "step": step,
            "author": author,
            "call": self._database.without_keys(call),
            "status": DecisionStatus(status),
            "outcome": outcome,
        }
        with self._database.write() as connection:
            is_accepted = status == DecisionStatus.ACCEPTED
            number = connection.execute(
                _ADD, {**row, "was_accepted": is_accepted}
            ).inserted_primary_key
        assert number is not None
        return Decision.stored({"id": number[0], **row})

    def open_decision(self, run_id: str) -> Decision | None:
        """Returns the decision that was accepted and is not carried out yet, if any."""
        with self._database.read() as connection:
            row = connection.execute(_OPEN, {"run": run_id}).one_or_none()
        return None if row is None else _decision(row)

    def close_decision(self, decision_id: int, status: DecisionStatus, outcome: str | None) -> None:
        """Records what became of an accepted decision, and of the wish that it was, if it was one.

        A closed one stays as it is.
        """
        row = {"decision": decision_id, "status": DecisionStatus(status), "outcome": outcome}
        with self._database.write() as connection:
            if connection.execute(_CLOSE, row).rowcount:
                close_wish_of(connection, decision_id, status, outcome)
                return
            if connection.execute(_FIND, {"decision": decision_id}).one_or_none():
                return
        raise VitruviusError(f"the ledger has no decision {decision_id}")

    def amend_decision(self, decision_id: int, call: Mapping[str, Any]) -> None:
        """Changes what an open decision will do: the person who was asked wrote another call."""
        changed = self._database.without_keys(call)
        with self._database.write() as connection:
            if not connection.execute(_AMEND, {"decision": decision_id, "call": changed}).rowcount:
                raise VitruviusError(f"the ledger has no open decision {decision_id}")

    def decisions(self, run_id: str, last: int | None = None) -> list[Decision]:
        """Returns the run's decisions in order, those turned down included; the `last` few."""
        with self._database.read() as connection:
            rows = connection.execute(
                _LAST, {"run": run_id, "last": _ALL if last is None else last}
            ).all()
        return [_decision(row) for row in reversed(rows)]

    def accepted_decisions(self, run_id: str) -> int:
        """Returns how many decisions were accepted, whatever became of them."""
        with self._database.read() as connection:
            return connection.scalar(_ACCEPTED, {"run": run_id}) or 0

    def course(self, run_id: str, last: int) -> Course:
        """Returns where the loop of a run stands; `last` decisions are looked at for idle ones."""
        with self._database.read() as connection:
            row = connection.execute(_COURSE, {"run": run_id, "last": last}).one()
            return Course(**row._asdict())

    def add_call(self, run_id: str, call: ModelCall) -> None:
        """Stores a call of a language model; keys in its texts are blanked out."""
        row = self._database.without_keys(asdict(call))
        with self._database.write() as connection:
            connection.execute(
                insert(schema.calls).values(run_id=run_id, created=schema.now(), **row)
            )

    def calls(self, run_id: str) -> list[ModelCall]:
        """Returns the run's calls in order."""
        hidden = ("id", "run_id", "created")
        columns = [column for column in _calls if column.name not in hidden]
        query = select(*columns).where(_calls.run_id == run_id).order_by(_calls.id)
        with self._database.read() as connection:
            return [ModelCall(**row._mapping) for row in connection.execute(query)]

    def spent(self, run_id: str) -> Spent:
        """Returns the run's account: trials opened, wall seconds, tokens, dollars.

        Tokens and dollars are those of the search; a conversation about it is not in them.

        Seconds of training are summed where the run's budget limits them; reused results cost none.

        Short trainings that a search began with are in its account, but for the trials: those are
        full trainings.

        Nothing is trained for an architecture that breaks a limit of the task, so `BREAKS_A_TRIAL`
        of them count as one trial.

        Raises:
            ConfigError: where there is no such run.
        """
        with self._database.read() as connection:
            row = connection.execute(_ACCOUNT, {"run": run_id}).one()
            is_limited = (row.budget or {}).get("train_s") is not None
            trained = connection.scalar(_TRAINED, {"run": run_id}) or 0.0 if is_limited else None
        if row.wall_s is None:
            raise ConfigError(f"there is no run {run_id!r} in {self._database.place}")
        breaks = row.breaks
        before = self.spent(row.short) if row.short is not None else _NOTHING
        return Spent(
            trials=(row.opened or 0) - breaks + breaks // BREAKS_A_TRIAL,
            wall_s=row.wall_s + before.wall_s,
            tokens=(row.tokens or 0) + before.tokens,
            dollars=(row.dollars or 0.0) + before.dollars,
            train_s=None if trained is None else trained + (before.train_s or 0.0),
        )

    def mark(self, run_id: str, name: str, step: int, data: Mapping[str, Any]) -> None:
        """Notes in the run's journal that something happened at a step; the first note stays."""
        row = {
            "run_id": run_id,
            "name": name,
            "step": step,
            "data": self._database.without_keys(data),
        }
        with self._database.write() as connection:
            connection.execute(_MARK, row)

    def marks(self, run_id: str, name: str, last: int | None = None) -> list[Mark]:
        """Returns the notes of one name in order of step; the `last` few."""
        last = _ALL if last is None else last
        with self._database.read() as connection:
            rows = connection.execute(_MARKS, {"run": run_id, "of_name": name, "last": last}).all()
        return [Mark(run_id=run_id, name=name, step=step, data=data) for step, data in rows[::-1]]

    def marks_of_all(self, name: str) -> list[Mark]:
        """Returns the notes of one name over all runs, by run and step."""
        query = select(schema.marks).where(_marks.name == name)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(_marks.run_id, _marks.step)).all()
        return [Mark(**row._mapping) for row in rows]

    def count_marks(self, run_id: str, name: str) -> int:
        """Returns how many notes of one name there are."""
        with self._database.read() as connection:
            return connection.scalar(_COUNT_MARKS, {"run": run_id, "of_name": name}) or 0


def _decision(row: Any) -> Decision:
    return Decision.stored(row._asdict())
