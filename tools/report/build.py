"""Building a report from ledger rows alone, and writing it into the folder of its run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from vitruvius.errors import VitruviusError
from vitruvius.memory.evidence.calibration import calibrate, proxy_weights, with_weights
from vitruvius.memory.evidence.effects import feature_effects
from vitruvius.memory.ledger.evidence import region_of
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.model.proxy_scores import board_of
from vitruvius.memory.model.ranking import learn
from vitruvius.memory.records import (
    Calibration,
    ModelCall,
    Origin,
    ResultStatus,
    Run,
    RunKind,
    RunStatus,
    Score,
    Trial,
)
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.task import Metric, Task
from vitruvius.tools.drawing import draw_svg
from vitruvius.tools.report.data import SUMMARY, json_text, summary_data
from vitruvius.tools.report.distrust import distrust_of
from vitruvius.tools.report.facts import (
    Account,
    Best,
    ModelAccount,
    Report,
    ShortReport,
    StoppedReport,
)
from vitruvius.tools.report.finalists import baseline_of, finalists, kept_weights
from vitruvius.tools.report.markdown import to_markdown
from vitruvius.tools.report.principles_and_cuts import LEAST_FITTED, audits_of, principles_of
from vitruvius.tools.report.statistics import curve_of, noise_of
from vitruvius.tools.report.suggestions import promising_of, suggestions_of
from vitruvius.tools.report.transfer import transfer_of

FAILURES = (
    ResultStatus.FAILED,
    ResultStatus.TIMEOUT,
    ResultStatus.OUT_OF_MEMORY,
    ResultStatus.DIVERGED,
    ResultStatus.INFEASIBLE,
    ResultStatus.CANCELLED,
)

FILE, PAGE = "report.md", "report.html"


def build_report(
    ledger: Ledger, run_id: str, space: SearchSpace, task: Task, status: RunStatus | None = None
) -> Report:
    """Returns the report of a run, finished or not; `status` stands in for that of its row.

    Raises:
        ConfigError: where the ledger has no such run.
    """
    run = ledger.runs.get(run_id)
    run = run if status is None else replace(run, status=status)
    trials, weights = ledger.trials.of(run_id), ledger.trials.weights(run_id)
    answer = finalists(trials, ledger.trials.test_values(run_id), task.metric)
    best = None
    if answer:
        architecture = answer[0].architecture
        best = Best(
            finalist=answer[0],
            drawing=space.draw(architecture),
            picture=draw_svg(space, architecture),
            weights=kept_weights(architecture, trials, weights, task.metric),
        )
    found = answer[0].found if answer else None
    decisions, cuts = ledger.steps.decisions(run_id), ledger.cuts.of(run_id)
    # the control arm and fresh seeds judge the search: its model must not learn from them
    measured = [t for t in trials if t.origin not in (Origin.CONTROL, Origin.CONFIRM)]
    lesson = learn(measured, task.metric)
    noise = noise_of(trials)
    region = region_of(space, cuts)
    scores = ledger.scores.of(run.space_id, run.task_id, None, None)
    report = Report(
        run=run,
        metric=task.metric,
        is_noisy=task.is_noisy,
        spent=ledger.steps.spent(run_id),
        trials=trials,
        best=best,
        baseline=baseline_of(space, trials, task.metric, answer[0], noise) if answer else None,
        finalists=answer,
        noise=noise,
        curve=curve_of(trials, task.metric),
        effects=feature_effects(space, task.metric, lesson),
        effects_on=tuple(trial.number for trial in lesson.trials),
        transfer=transfer_of(ledger, run),
        principles=principles_of(ledger, run_id, trials),
        cuts=audits_of(cuts, trials, decisions, space, task.metric, lesson, found),
        region_left=region.fraction(),
        accounts=_accounts(trials),
        short=_short(ledger, run),
        stopped=_stopped(trials, task.fidelity.epochs),
        models=_models(ledger.steps.calls(run_id)),
        failures=_failures(trials),
        decisions=Counter(f"{decision.author}, {decision.status}" for decision in decisions),
        calibrations=_calibrations(scores, measured, space, task.metric),
        calibrated_on=tuple(t.number for t in measured if t.value is not None),
        distrust=(),
        promising=promising_of(space, task, trials, lesson, region),
        suggestions=(),
    )
    # last: doubts and suggestions look at every other fact
    report = replace(report, distrust=distrust_of(report, trials))
    return replace(report, suggestions=suggestions_of(report))


def _calibrations(
    scores: Sequence[Score], trials: Sequence[Trial], space: SearchSpace, metric: Metric
) -> list[Calibration]:
    """Returns what each proxy was worth, with its weight in the model of these trials."""
    found, board = calibrate(scores, trials, metric, space), board_of(scores)
    lesson = learn(trials, metric)
    if board is None or len(lesson.trials) < LEAST_FITTED:
        return found
    return with_weights(found, proxy_weights(space, board, (), lesson))


def _accounts(trials: Sequence[Trial]) -> list[Account]:
    accounts = []
    for origin in Origin:
        mine = [trial for trial in trials if trial.origin == origin]
        if mine:
            accounts.append(
                Account(
                    kind=origin.value,
                    trials=tuple(trial.number for trial in mine),
                    reused=tuple(trial.number for trial in mine if trial.reused),
                    train_s=sum(t.train_s or 0.0 for t in mine if not t.reused),
                )
            )
    return accounts


def _short(ledger: Ledger, run: Run) -> ShortReport | None:
    if run.kind != RunKind.SEARCH or run.parent is None:
        return None
    trials = ledger.trials.of(run.parent)
    return ShortReport(
        run_id=run.parent,
        fidelity=str(run.settings.get("fidelity_first")),
        trials=len(trials),
        train_s=sum(t.train_s or 0.0 for t in trials if not t.reused),
    )


def _stopped(trials: Sequence[Trial], epochs: int) -> StoppedReport | None:
    mine = [t for t in trials if t.status == ResultStatus.STOPPED_EARLY and not t.reused]
    if not mine:
        return None
    return StoppedReport(
        trials=tuple(trial.number for trial in mine),
        uniform=sum(trial.origin == Origin.EXPLORE for trial in mine),
        train_s=sum(trial.train_s or 0.0 for trial in mine),
        whole_s=sum((trial.train_s or 0.0) * epochs / len(trial.curve) for trial in mine),
    )


def _models(calls: Sequence[ModelCall]) -> list[ModelAccount]:
    groups: dict[tuple[str, str], list[ModelCall]] = {}
    for call in calls:
        groups.setdefault((call.chair, call.model), []).append(call)
    return [
        ModelAccount(
            chair=chair,
            model=model,
            calls=len(mine),
            errors=sum(call.error is not None for call in mine),
            tokens_in=sum(call.tokens_in for call in mine),
            tokens_out=sum(call.tokens_out for call in mine),
            estimated=any(call.tokens_estimated for call in mine),
            dollars=sum(call.dollars for call in mine),
            wall_s=sum(call.wall_s for call in mine),
        )
        for (chair, model), mine in groups.items()
    ]


def _failures(trials: Sequence[Trial]) -> Mapping[str, Sequence[Trial]]:
    kinds = {status.value: [t for t in trials if t.status == status] for status in FAILURES}
    return {kind: mine for kind, mine in kinds.items() if mine}


def write_report(
    ledger: Ledger,
    run_id: str,
    space: SearchSpace,
    task: Task,
    run_dir: Path,
    status: RunStatus,
    *,
    with_page: bool = True,
) -> Path:
    """Writes `report.md`, `report.html` and `summary.json`, each whole; returns the first's path.

    `status` is what the run's row will say: the report comes first, so that a run that is done
    has one, whenever the process was killed.

    Args:
        ledger: where the facts are.
        run_id: of the run.
        space: of the run.
        task: of the run.
        run_dir: the run's folder; made if it is not there.
        status: what its row will say.
        with_page: whether HTML is written too, which a thousand searches of a bench do not need.

    Raises:
        VitruviusError: the folder cannot be written; the run itself is not harmed.
    """
    facts = build_report(ledger, run_id, space, task, status)
    path = run_dir / FILE
    _write(path, to_markdown(facts), run_id)
    if with_page:
        write_page(facts, run_dir / PAGE)
    _write(run_dir / SUMMARY, json_text(summary_data(facts, run_dir)), run_id)
    return path


def write_page(facts: Report, path: Path) -> None:
    """Writes the report as one self-contained page of HTML, by atomic rename.

    Raises:
        VitruviusError: the folder cannot be written.
    """
    from vitruvius.tools.report.page import to_html  # the template engine, only where it is needed

    _write(path, to_html(facts), facts.run.id)


def _write(path: Path, text: str, run_id: str) -> None:
    draft = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise VitruviusError(
            f"cannot write the report {path}: {error.strerror}; mend that, then run "
            f"`vitruvius report {run_id}`"
        ) from error
