"""Carrying a decision out, idempotently by its id."""

from __future__ import annotations

import asyncio
from typing import Any

from vitruvius.tools.evaluator import adopt
from vitruvius.tools.proxies import score

from vitruvius.errors import ToolError
from vitruvius.events import EventKind
from vitruvius.graphs import pruning
from vitruvius.graphs.session import Session
from vitruvius.memory.records import (
    Decision,
    DecisionStatus,
    NewTrial,
    Origin,
    ResultStatus,
    Trial,
)
from vitruvius.tools.evaluation import Failed, FailureKind, Outcome, Request, Trained

MAX_ATTEMPTS = 2
POLL_S = 0.5  # while another live run trains the same result


async def carry_out(session: Session, decision: Decision) -> None:
    """Does what the decision says and closes it, unless the run is stopping."""
    if decision.call["tool"] == "train":
        outcome = await _train(session, decision)
        if outcome is None:
            return  # stopped: the decision stays open for the resume
    else:
        outcome = await session.call(_other, session, decision)
    await session.call(
        session.ledger.close_decision, decision.id, DecisionStatus.CARRIED_OUT, outcome
    )


async def _train(session: Session, decision: Decision) -> str | None:
    news = [
        NewTrial(
            architecture=session.space.parse(plan["spec"]),
            fidelity=session.task.fidelity.key,
            seed=int(plan["seed"]),
            origin=Origin(plan["origin"]),
            propensity=plan["propensity"],
        )
        for plan in decision.call["trials"]
    ]
    trials = await session.call(session.ledger.open_trials, session.run.id, decision.id, news)
    await asyncio.gather(*(finish(session, trial) for trial in trials))
    if session.stopping.is_set():
        await session.call(session.forget)
        return None
    closed = {trial.number: trial for trial in await session.call(session.trials)}
    return "; ".join(_words(session, closed[trial.number]) for trial in trials)


def _words(session: Session, trial: Trial) -> str:
    if trial.value is None:
        return f"{trial.name} {trial.status}: {trial.message}"
    return f"{trial.name} {trial.value:.4g} {session.task.metric.unit}".rstrip()


async def finish(session: Session, trial: Trial) -> None:
    """Brings one trial's result to an end: adopts it, waits for it, or evaluates it."""
    ledger = session.ledger
    while True:
        status = await session.call(ledger.result_status, trial.result_id)
        if not status.is_open and status != ResultStatus.CANCELLED:
            break
        found = await session.call(adopt, session.run_dir.parent, trial.result_id)
        if found is not None:
            await session.call(_close, session, trial, found)
            break
        if session.stopping.is_set():
            return
        if not await session.call(ledger.start_result, trial.result_id, session.driver):
            await asyncio.sleep(POLL_S)
            continue
        session.tell(
            EventKind.TRIAL_STARTED,
            f"{trial.name} started",
            trial=trial.name,
            origin=trial.origin,
        )
        outcome = await _evaluate(session, trial)
        if isinstance(outcome, Failed) and outcome.kind == FailureKind.CANCELLED:
            await session.call(_close, session, trial, outcome)
            return
        await session.call(_close, session, trial, outcome)
        break
    await session.call(_tell_done, session, trial.number)


def _tell_done(session: Session, number: int) -> None:
    trial = session.ledger.trials(session.run.id, after=number - 1)[0]
    session.tell(
        EventKind.TRIAL_DONE,
        _words(session, trial),
        trial=trial.name,
        origin=trial.origin,
        status=trial.status,
        value=trial.value,
        train_s=trial.train_s,
        spent=session.ledger.spent(session.run.id),
    )


async def _evaluate(session: Session, trial: Trial) -> Outcome:
    request = Request(
        result_id=trial.result_id,
        architecture=trial.architecture,
        fidelity=session.task.fidelity,
        seed=trial.seed,
    )
    for _ in range(MAX_ATTEMPTS):
        evaluation = asyncio.ensure_future(session.evaluator.evaluate(request))
        stop = asyncio.ensure_future(session.stopping.wait())
        await asyncio.wait({evaluation, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not evaluation.done():
            evaluation.cancel()
            await asyncio.wait({evaluation})
            return Failed(kind=FailureKind.CANCELLED, message="the run was stopped", train_s=0.0)
        outcome = evaluation.result()
        if isinstance(outcome, Trained) or not outcome.retriable:
            return outcome
    return outcome


def _close(session: Session, trial: Trial, outcome: Outcome) -> None:
    """Writes an outcome to the result's row; a row that is closed stays as it is."""
    if isinstance(outcome, Failed):
        session.ledger.close_result(
            trial.result_id,
            status=ResultStatus(outcome.kind.value),
            train_s=outcome.train_s,
            message=outcome.message,
        )
        return
    session.ledger.close_result(
        trial.result_id,
        status=ResultStatus.DONE,
        value=outcome.value,
        test=outcome.test,
        train_s=outcome.train_s,
        curve=outcome.curve,
        params=outcome.params,
        flops=outcome.flops,
        peak_mib=outcome.peak_mib,
        weights=str(outcome.weights) if outcome.weights else None,
    )


def _other(session: Session, decision: Decision) -> str:
    call = decision.call
    try:
        match call["tool"]:
            case "proxy":
                return _scores(session, call)
            case "recall":
                return _recalled(session, call)
            case _:
                return pruning.prune_by_decision(session, decision)
    except ToolError as error:
        return f"refused: {error}"


def _scores(session: Session, call: Any) -> str:
    architectures = [session.space.parse(spec) for spec in call["architectures"]]
    run, ledger = session.run, session.ledger
    known = {
        (s.proxy, s.architecture): s
        for s in ledger.scores(run.space_id, run.task_id, call["proxies"], architectures)
    }
    missing = [a for a in architectures if any((p, a) not in known for p in call["proxies"])]
    if missing:
        fresh = score(session.space, session.task, missing, call["proxies"], run.seed)
        ledger.put_scores(run.space_id, run.task_id, fresh)
        known |= {(s.proxy, s.architecture): s for s in fresh}
    lines = []
    for architecture in architectures:
        found = [known[p, architecture] for p in call["proxies"]]
        texts = [
            f"{s.proxy} {s.value:.4g}" if s.value is not None else f"{s.proxy} -" for s in found
        ]
        lines.append(f"{architecture}: {', '.join(texts)}")
    return "; ".join(lines)


def _recalled(session: Session, call: Any) -> str:
    features = {feature.name for feature in session.space.features}
    found = session.index.search(call["query"], session.space.name, features, 5)
    versions = {v.name: v for v in session.ledger.all_current()}
    lines = [
        f"{name}: {versions[name].statement!r} (similarity {similarity:.2f})"
        for name, similarity in found
        if name in versions
    ]
    return "; ".join(lines) or "nothing in memory fits"
