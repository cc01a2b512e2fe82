"""Which other runs a run listens to, with what trust, and their trials as it may use them.

A fork sees nothing that came after it was made: what its elders learned since is no memory to it.
To a third run the whole family is one witness.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vitruvius.errors import ConfigError
from vitruvius.graphs.search.session import Session
from vitruvius.memory.ledger.forks import roots
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.model.ranking import learn
from vitruvius.memory.model.row_selection import answers_of
from vitruvius.memory.records import Run, RunKind, Standing
from vitruvius.memory.transfer.source_hints import MEMORY, NONE, Source, unheard
from vitruvius.memory.transfer.space_overlap import match
from vitruvius.memory.transfer.trust import task_similarity, transfer_record, voice
from vitruvius.memory.transfer.weighing import learned_weights
from vitruvius.spaces.registry import load_space, source_hash
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import Metric

MAX_SOURCES = 4  # that memory alone brings; those named all come
LOOKED_AT = 50  # latest runs of memory
TRANSFERRED = "transferred"  # the mark of what a run made of its sources, by results seen


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What is not used here, and why, in one clause."""

    what: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A run that is listened to. `share` of the features both spaces know: 1 in the same space."""

    run: Run
    space: SearchSpace
    share: float
    trust: float
    up_to: int  # its last trial that may be read


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Who speaks: `speakers` give evidence, `chosen` their trials too, others are refused."""

    speakers: Mapping[str, Run]
    chosen: Sequence[Chosen]
    refused: Sequence[Refusal]


def choose_sources(session: Session) -> Choice:
    """Returns the runs that the settings name, or those of memory that fit best.

    A run that learned from the very table that this task answers from is never one of them: its
    rows are scores that this run has not paid for.
    """
    names = session.policy.principles_from
    if NONE in names:
        return Choice(speakers={}, chosen=(), refused=())
    named = [session.ledger.runs.get(name) for name in names if name != MEMORY]
    others = []
    if MEMORY in names:
        known = {run.id for run in named} | {session.run.id}
        others = [run for run in session.ledger.runs.all() if run.id not in known]
        others = one_of_each_family(session.ledger, others)
    weights = _weights_elsewhere(session)
    speakers: dict[str, Run] = {}
    chosen: list[Chosen] = []
    refused: dict[str, Refusal] = {}
    for number, run in enumerate([*named, *others]):
        try:
            _refuse_the_task_itself(session, run)
            speakers[run.id] = run
            if run.kind != RunKind.IMPORT and number < len(named) + LOOKED_AT:
                found = _chosen(session, run, weights.get(run.id, ()), number < len(named))
                chosen += [found] if found else []
        except ConfigError as error:
            refused.setdefault(str(error), Refusal(what=f"run {run.id}", why=str(error)))
    mine = {run.id for run in named}
    by_memory = sorted((c for c in chosen if c.run.id not in mine), key=lambda c: -c.trust)
    return Choice(
        speakers=speakers,
        chosen=[*(c for c in chosen if c.run.id in mine), *by_memory[:MAX_SOURCES]],
        refused=list(refused.values()),
    )


def sources_of(session: Session, told: Iterable[Mapping[str, Any]]) -> list[Source]:
    """Returns the sources that the mark of a recall names, the same at every resume.

    Raises:
        ConfigError: one can no longer be read as it was.
    """
    made = []
    for one in told:
        run = session.ledger.runs.get(str(one["run"]))
        trials = session.ledger.trials.of(run.id)
        trials = [trial for trial in trials if trial.number <= int(one["up_to"])]
        tried = list(dict.fromkeys(trial.architecture for trial in trials))
        made.append(
            Source(
                run_id=run.id,
                task_name=run.task_name,
                space=_space_of(session, run),
                metric=_metric_of(session, run),
                trials=trials,
                trust=float(one["trust"]),
                scores=session.ledger.scores.of(run.space_id, run.task_id, None, tried),
            )
        )
    return made


def mark_of(chosen: Iterable[Chosen], refused: Iterable[Refusal]) -> dict[str, Any]:
    """Returns what the mark of a recall keeps of them."""
    return {
        "sources": [{"run": c.run.id, "trust": c.trust, "up_to": c.up_to} for c in chosen],
        "refused": [asdict(refusal) for refusal in refused],
    }


def note_weights(session: Session) -> None:
    """Notes what the trials so far make of each source, for the report and for later runs.

    1 is as trusted, 0 of no use, below 0 misleading. It is noted at every measurement and at the
    end, by the results that it rests on: the last note is the one that saw most, whatever ended
    the process in between, and a second look at the same results says the same.
    """
    trials = session.reader.digest().search
    if not session.reader.sources or not trials:
        return
    lesson = learn(trials, session.task.metric)
    found = learned_weights(session.space, session.reader.sources, lesson)
    weights = {run: weight for run, weight in found.items() if math.isfinite(weight)}
    session.ledger.steps.mark(session.run.id, TRANSFERRED, len(trials), {"weights": weights})


def kin_of(ledger: Ledger, run_id: str) -> set[str]:
    """Returns the other runs of its family: those forked from it, or from the same."""
    of = roots(ledger.runs.all())
    return {name for name, root in of.items() if root == of[run_id] and name != run_id}


def one_of_each_family(ledger: Ledger, runs: Sequence[Run]) -> list[Run]:
    """Returns the runs, of each family only the one with most scored trials."""
    of = roots(ledger.runs.all())
    families: dict[str, list[Run]] = {}
    for run in runs:
        families.setdefault(of[run.id], []).append(run)
    loudest = {
        root: max(kin, key=lambda run: ledger.trials.settled(run.id)[1]).id
        if len(kin) > 1
        else kin[0].id
        for root, kin in families.items()
    }
    return [run for run in runs if loudest[of[run.id]] == run.id]


def _refuse_the_task_itself(session: Session, run: Run) -> None:
    learned = run.settings.get("learn") or {}
    if learned.get("answers") == answers_of(session.task):
        raise ConfigError(
            "it learned from the table that this task answers from: a run may know only the "
            "scores that it has paid for"
        )


def _chosen(session: Session, run: Run, weights: Sequence[float], is_named: bool) -> Chosen | None:
    """Returns the run with its trust; None where memory holds nothing of use in it.

    Raises:
        ConfigError: it cannot be used here.
    """
    up_to, scored = session.ledger.trials.settled(run.id)
    if not scored and not is_named:
        return None
    space = _space_of(session, run)
    _metric_of(session, run)
    matching = match(space, session.space)
    if matching.reason:
        raise ConfigError(matching.reason)
    record = transfer_record(_standings_elsewhere(session, run), weights)
    trust = task_similarity(run, session.task.name) * matching.share * voice(scored) * record
    reason = unheard(scored, trust)
    if reason is not None and is_named:
        raise ConfigError(reason)
    if reason is not None:
        return None
    return Chosen(run=run, space=space, share=matching.share, trust=round(trust, 6), up_to=up_to)


def _weights_elsewhere(session: Session) -> dict[str, list[float]]:
    """Returns the weights that other runs learned for each source, as their last notes say."""
    last = {
        mark.run_id: mark.data["weights"] for mark in session.ledger.steps.marks_of_all(TRANSFERRED)
    }
    last.pop(session.run.id, None)  # no run is a witness of its own sources
    found: dict[str, list[float]] = {}
    for told in last.values():
        for run_id, weight in told.items():
            found.setdefault(run_id, []).append(float(weight))
    return found


def _standings_elsewhere(session: Session, run: Run) -> list[Standing]:
    """Returns what later runs measured of the versions that they recalled from this one."""
    wrote = {
        (v.principle, v.version)
        for v in session.ledger.principles.newest(run.id)
        if v.run_id == run.id
    }
    last: dict[tuple[str, int, int], Standing] = {}
    no_witness = {run.id, session.run.id} | kin_of(session.ledger, run.id)
    for principle in sorted({principle for principle, _ in wrote}):
        for one in session.ledger.evidence.about(principle):
            if one.run_id not in no_witness and (one.principle, one.version) in wrote:
                last[one.run_id, one.principle, one.version] = one.standing
    return list(last.values())


def _space_of(session: Session, run: Run) -> SearchSpace:
    if run.space_id == session.space.id:
        return session.space
    if not run.space_ref:
        raise ConfigError(f"its space {run.space_name} was given as an object, which is not stored")
    now = source_hash(run.space_ref)
    if any(run.sources.get(path) != digest for path, digest in now.items()):
        raise ConfigError(f"the file of its space {run.space_name} has changed since")
    return load_space(run.space_ref)


def _metric_of(session: Session, run: Run) -> Metric:
    if run.task_id == session.task.id:
        return session.task.metric
    if run.metric is not None:
        return Metric(**dict(run.metric))  # type: ignore[arg-type]
    if not run.task_ref:
        raise ConfigError(f"its task {run.task_name} was given as an object, which is not stored")
    return load_task(run.task_ref).metric
