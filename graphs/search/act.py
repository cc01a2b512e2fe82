"""Carrying a decision out, idempotently by its id; a training that failed is retried here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from vitruvius.errors import ToolError, VitruviusError
from vitruvius.events import EventKind
from vitruvius.graphs.search import prune as pruning
from vitruvius.graphs.search.answers import answer_audit, answer_proxies, answer_recall
from vitruvius.graphs.search.session import Session
from vitruvius.memory.decisions import Decision
from vitruvius.memory.model.halving import demands
from vitruvius.memory.records import DecisionStatus, NewTrial, Origin, ResultStatus, Trial
from vitruvius.tasks.tables.table import Tabular
from vitruvius.tools.calls import registry
from vitruvius.tools.calls.proxy import Proxy
from vitruvius.tools.calls.prune import Prune
from vitruvius.tools.calls.tool import Tool
from vitruvius.tools.calls.train import Train
from vitruvius.tools.training.evaluation import Failed, FailureKind, Outcome, Request, Stopped
from vitruvius.tools.training.evaluator import adopt

STOPPABLE = (Origin.ARCHITECT, Origin.EXPLORE)
KEPT_WEIGHTS = 5  # best architectures whose weights stay on disk
MAX_REFUSED = 6  # decisions in a row
POLL_S = 0.5  # while another live run trains the same result


async def carry_out(session: Session, decision: Decision) -> None:
    """Does what the decision says and closes it, unless the run is stopping."""
    try:
        outcome = await _tool(decision).carry_out(SearchEngine(session), decision)
    except ToolError as error:
        if isinstance(decision.call, Train):
            raise  # its trials may be open: a resume goes on with them
        outcome = f"refused: {error}"
    if outcome is None:
        return  # stopped: the decision stays open for the resume
    if decision.is_edited:
        outcome = f"the person changed the call; {outcome}"
    await session.call(session.close_decision, decision, DecisionStatus.CARRIED_OUT, outcome)


def _tool(decision: Decision) -> Tool:
    """Returns the tool that a decision calls.

    Raises:
        VitruviusError: this program has none of that name: another version wrote the decision.
    """
    call = decision.call
    if isinstance(call, Tool) and type(call) in registry.TOOLS:
        return call
    raise VitruviusError(
        f"step {decision.step} calls {call.tool!r}, a tool that this Vitruvius does not have: go "
        f"on with the version that wrote it, or fork the run at step {max(decision.step - 1, 0)}"
    )


@dataclass(frozen=True)
class SearchEngine:
    """What a search does for its tools: see `tools.calls.tool.Engine`."""

    session: Session

    async def train(self, decision: Decision) -> str | None:
        """Trains what the decision names and what the program put beside it."""
        return await _train(self.session, decision)

    async def score(self, asked: Proxy) -> str | None:
        """Asks the proxies, over the workers."""
        return await answer_proxies(self.session, asked)

    async def recall(self, query: str) -> str:
        """Searches the memory, without what a fork must not know."""
        return await self.session.call(answer_recall, self.session, query)

    async def audit(self, decision: Decision) -> str:
        """Asks the run's own trials what decides."""
        return await self.session.call(answer_audit, self.session, decision)

    async def prune(self, decision: Decision, asked: Prune) -> str:
        """Cuts or undoes, where the evidence allows it."""
        return await self.session.call(pruning.prune_by_decision, self.session, decision, asked)


def refuse(session: Session, decision: Decision, reason: str) -> None:
    """Closes a decision that the person refused; stops the run where none is ever approved."""
    ledger, run_id = session.ledger, session.run.id
    outcome = f"the person refused: {reason or 'no reason given'}"
    session.close_decision(decision, DecisionStatus.REFUSED, outcome)
    # A person who refuses everything would be asked for ever: refusals cost no budget.
    latest = ledger.steps.decisions(run_id, last=MAX_REFUSED)
    if len(latest) == MAX_REFUSED and all(d.status == DecisionStatus.REFUSED for d in latest):
        session.tell(EventKind.WARNING, f"the last {MAX_REFUSED} decisions were refused: stopping")
        session.stopping.set()


async def _train(session: Session, decision: Decision) -> str | None:
    news = [
        NewTrial(
            architecture=session.space.parse(plan.spec),
            fidelity=session.task.fidelity.key,
            seed=plan.seed,
            origin=plan.origin,
            propensity=plan.propensity,
        )
        for plan in decision.plans
    ]
    # Rows first: a kill from here on leaves trials that a resume finds, and opens none twice.
    trials = await session.call(session.ledger.trials.open, session.run.id, decision.id, news)
    demanded = await session.call(_demands, session, trials[0].number)
    closed = await asyncio.gather(*(finish(session, trial, demanded) for trial in trials))
    if session.stopping.is_set():
        return None
    await session.call(_thin_weights, session)
    return "; ".join(_words(session, trial) for trial in closed if trial is not None)


def _demands(session: Session, number: int) -> Mapping[int, float] | None:
    """Returns what rungs ask: as the trials before the decision say, so that a resume agrees."""
    if not session.policy.halving:
        return None
    told = [trial for trial in session.reader.digest().search if trial.number < number]
    return demands(told, session.task.metric, session.task.fidelity.epochs)


def _thin_weights(session: Session) -> None:
    """Deletes the weights of this run's trainings whose architecture is not among the best."""
    if isinstance(session.task, Tabular):
        return  # nothing was trained
    paths = list((session.run_dir / "weights").glob("*.pt"))
    digest = session.reader.digest()
    best = set(digest.leaders(KEPT_WEIGHTS)) if paths else set()
    for path in paths:
        if path.stem.isdigit() and digest.results.get(int(path.stem)) not in best:
            path.unlink(missing_ok=True)


def _words(session: Session, trial: Trial) -> str:
    if trial.status == ResultStatus.STOPPED_EARLY:
        reached = f"{trial.curve[-1]:.4g} {session.task.metric.unit}".rstrip()
        epochs = session.task.fidelity.epochs
        return f"{trial.name} stopped after {len(trial.curve)} of {epochs} epochs: {reached}"
    if trial.value is None:
        return f"{trial.name} {trial.status}: {trial.problem}"
    return f"{trial.name} {trial.value:.4g} {session.task.metric.unit}".rstrip()


async def finish(
    session: Session, trial: Trial, demanded: Mapping[int, float] | None = None
) -> Trial | None:
    """Brings one trial's result to an end: adopts it, waits for it, or evaluates it.

    Chosen and uniform trials have to meet what rungs demand; repeats, the control arm and
    confirmations are statistics of finished trainings, and go on to the end.

    Returns the closed trial; None where the run was stopped first.
    """
    ledger, result_id = session.ledger, trial.result_id
    if trial.number in await session.call(session.reader.cut_off):
        return await session.call(_tell_done, session, trial.number)
    if trial.status == ResultStatus.CANCELLED:
        await session.call(ledger.results.reopen, result_id)
    elif not trial.status.is_open:
        return await session.call(_tell_done, session, trial.number)
    request = Request(
        result_id=result_id,
        architecture=trial.architecture,
        fidelity=session.task.fidelity,
        seed=trial.seed,
        demands={} if demanded and trial.origin not in STOPPABLE else demanded,
    )
    while not session.stopping.is_set():
        match await session.call(_take_up, session, trial, request):
            case "closed":
                break
            case "ours":
                outcome = await _train_once(session, trial, request)
                if isinstance(outcome, Failed) and outcome.kind == FailureKind.CANCELLED:
                    if trial.number not in session.reader.cut_off():
                        return None
                    break
                if not (isinstance(outcome, Failed) and outcome.retriable):
                    break
                if not await session.call(ledger.results.reopen, result_id):
                    break
            case "another's":
                await asyncio.sleep(POLL_S)
    else:
        return None
    return await session.call(_tell_done, session, trial.number)


def _take_up(
    session: Session, trial: Trial, request: Request
) -> Literal["closed", "ours", "another's"]:
    """Says who brings a result to an end: a killed process did, we shall, or a live run does."""
    if _adopt(session, request):
        return "closed"
    if session.ledger.results.start(request.result_id, session.driver):
        return "ours"
    status = _now(session, trial.number).status
    if status == ResultStatus.CANCELLED:
        session.ledger.results.reopen(request.result_id)
    return "another's" if status.is_open or status == ResultStatus.CANCELLED else "closed"


def _adopt(session: Session, request: Request) -> bool:
    """Takes over the outcome that a killed process left behind; returns whether there was one."""
    starter = session.ledger.results.started_by(request.result_id)
    if starter is None:
        return False
    outcome = adopt(session.run_dir.parent / starter, request.result_id, request)
    if outcome is None:
        return False
    _close(session, request.result_id, outcome)
    return True


def _now(session: Session, number: int) -> Trial:
    return session.ledger.trials.of(session.run.id, after=number - 1)[0]


def _tell_done(session: Session, number: int) -> Trial:
    trial = _now(session, number)
    session.tell(
        EventKind.TRIAL_DONE,
        _words(session, trial),
        trial=trial.name,
        origin=trial.origin,
        status=trial.status,
        value=trial.value,
        train_s=trial.train_s,
        spent=session.account(),
        architecture=trial.architecture.text,
        seed=trial.seed,
        params=trial.params,
        curve=trial.curve,
    )
    return trial


async def _train_once(session: Session, trial: Trial, request: Request) -> Outcome:
    """Evaluates and closes the result; a stop of the run, or the end of its time, cancels it."""
    session.tell(
        EventKind.TRIAL_STARTED, f"{trial.name} started", trial=trial.name, origin=trial.origin
    )
    evaluation = asyncio.ensure_future(session.evaluator.evaluate(request))
    stop = asyncio.ensure_future(session.stopping.wait())
    left = await session.call(session.seconds_left, trial)
    await asyncio.wait({evaluation, stop}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    is_cut_off = False
    outcome: Outcome
    if evaluation.done():
        outcome = evaluation.result()
    else:
        evaluation.cancel()
        await asyncio.wait({evaluation})
        is_cut_off = not session.stopping.is_set()
        message = "cut off: the run's time was over" if is_cut_off else "the run was stopped"
        outcome = Failed(kind=FailureKind.CANCELLED, message=message, train_s=0.0)
    await session.call(_close, session, trial.result_id, outcome)
    if is_cut_off:  # noted after: a kill in between leaves a trial that is taken up once more
        await session.call(session.note_cut_off, trial.number)
    return outcome


def _close(session: Session, result_id: int, outcome: Outcome) -> None:
    """Writes an outcome to the result's row; a row that is closed stays as it is."""
    if isinstance(outcome, Failed):
        session.ledger.results.close(
            result_id,
            status=ResultStatus(outcome.kind.value),
            train_s=outcome.train_s,
            message=outcome.message,
        )
        return
    if isinstance(outcome, Stopped):
        session.ledger.results.close(
            result_id,
            status=ResultStatus.STOPPED_EARLY,
            train_s=outcome.train_s,
            curve=outcome.curve,
            params=outcome.params,
            flops=outcome.flops,
        )
        return
    session.ledger.results.close(
        result_id,
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
