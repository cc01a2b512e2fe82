"""What to try next, the most telling step first, and the untried architectures that look best."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from scipy.special import ndtr

from vitruvius.memory.evidence.calibration import Verdict, verdict
from vitruvius.memory.evidence.contrasts import describe_population
from vitruvius.memory.model.gaussian_process import Surrogate
from vitruvius.memory.model.prior import keeps_limits
from vitruvius.memory.model.ranking import Lesson
from vitruvius.memory.records import Origin, ResultStatus, RunStatus, Standing, Trial
from vitruvius.spaces.region import Region
from vitruvius.spaces.space import (
    Architecture,
    FloatArray,
    SearchSpace,
    distinct_reference,
    reference_features,
    reference_sample,
)
from vitruvius.tasks.task import Task
from vitruvius.tools.report.distrust import FEW_ON_A_SIDE
from vitruvius.tools.report.facts import Promising, Report, Suggestion
from vitruvius.tools.report.words import plural

WORTH = 0.05  # chance of the best candidate from which more trials are worth their price
MOST_SEEDS = 50
DETECTED = 2.8  # standard errors of a gap that 80 % of 5 % tests find

SHOWN = 5
LEAST_FITTED = 8  # trials from which a chance means something
NEAR = 300  # neighbours of the best trial that are looked at


def suggestions_of(report: Report) -> tuple[Suggestion, ...]:
    """Returns what would change most in this report, in order.

    First what keeps the answer from being one, then what could overturn it, then what could better
    it, then what would sharpen what was learned.
    """
    return (
        *_to_end(report),
        *_to_settle(report),
        *_to_better(report),
        *_to_learn(report),
    )


def _to_end(report: Report) -> Iterator[Suggestion]:
    run = report.run
    if run.status != RunStatus.DONE:
        yield Suggestion(
            what="Let the run end",
            why=f"It is {run.status}; what is below may change.",
            command=f"vitruvius resume {run.id}",
            trials=(),
        )
    if report.best is None and report.failures:
        kind, mine = max(report.failures.items(), key=lambda item: len(item[1]))
        yield Suggestion(
            what="Make one architecture train",
            why=f"No trial has a score; most ended as {kind.replace('_', ' ')}.",
            command="vitruvius doctor",
            trials=tuple(trial.number for trial in mine),
        )


def _to_settle(report: Report) -> Iterator[Suggestion]:
    best, noise = report.best, report.noise
    if best is None:
        return
    answer = best.finalist
    if answer.confirmed is None and report.is_noisy:
        yield Suggestion(
            what="Train the best network again on fresh seeds",
            why="Its number is the best of many noisy ones; a larger budget leaves room for "
            "repeats at the end.",
            command=_again(report, 1.5),
            trials=(answer.found.number,),
        )
    for other in report.finalists[1:2]:
        if answer.confirmed is None or other.confirmed is None or noise is None:
            continue
        gap = abs(answer.confirmed.mean - other.confirmed.mean)
        needed = math.ceil(2 * (DETECTED * noise.deviation / gap) ** 2) if gap else MOST_SEEDS + 1
        have = min(len(answer.confirmed.trials), len(other.confirmed.trials))
        if have < needed:
            seeds = f"about {needed}" if needed <= MOST_SEEDS else f"more than {MOST_SEEDS}"
            yield Suggestion(
                what=f"Tell {answer.found.name} and {other.found.name} apart, or take the cheaper",
                why=f"With the noise of this task that takes {seeds} fresh seeds of each; there "
                f"are {have}.",
                command=None,
                trials=(*answer.confirmed.trials, *other.confirmed.trials),
            )
    curve = report.curve
    n = curve.points[-1].n if curve.points else 0
    if curve.share_high is not None and 1 - (1 - curve.share_high) ** n > 0.05:
        yield Suggestion(
            what="Buy a larger random arm" if report.curve.control_rises else "Buy a random arm",
            why=f"{plural(len(curve.uniform), 'uniform draw')} cannot show that the search beats "
            f"random search of {n} trials.",
            command=_again(report, 1.0, "--control", "0.3"),
            trials=curve.uniform,
        )


def _to_better(report: Report) -> Iterator[Suggestion]:
    for audit in report.cuts:
        if audit.cut.in_force and audit.as_good_outside:
            yield Suggestion(
                what=f"Undo cut {audit.cut.number}",
                why="What it removes holds trials as good as the answer's.",
                command=f"vitruvius region undo {report.run.id} {audit.cut.number}",
                trials=audit.as_good_outside,
            )
    if report.best is None or not report.promising:
        return
    first, count = report.promising[0], len(report.curve.rises)
    _, _, last = report.curve.rises[-1] if count else (0, 0.0, 0)
    if first.chance >= WORTH:
        yield Suggestion(
            what="Go on searching",
            why=f"The model gives the best untried architecture a chance of {first.chance:.0%} to "
            f"beat the best trial; the last improvement came with T{last}.",
            command=_again(report, 2.0),
            trials=report.effects_on,
        )
    else:
        yield Suggestion(
            what="Widen the space or the training, not the search",
            why="No untried architecture looked at has a chance above "
            f"{max(first.chance, 0.001):.1%} to beat the best trial; the last improvement came "
            f"with T{last}.",
            command=None,
            trials=report.effects_on,
        )
    out = report.failures.get(ResultStatus.OUT_OF_MEMORY, ())
    late = report.failures.get(ResultStatus.TIMEOUT, ())
    for mine, what in ((out, "Give trainings more memory"), (late, "Give trainings more time")):
        if mine:
            yield Suggestion(
                what=what,
                why=f"{plural(len(mine), 'trial')} ended for the lack of it, and rank worst.",
                command=None,
                trials=tuple(trial.number for trial in mine),
            )


def _to_learn(report: Report) -> Iterator[Suggestion]:
    for principle in report.principles:
        evidence = principle.evidence
        if evidence is None or principle.standing != Standing.SUPPORTED:
            continue
        if min(evidence.n_in, evidence.n_out) < FEW_ON_A_SIDE:
            side = "keep" if evidence.n_in < evidence.n_out else "break"
            yield Suggestion(
                what=f"Test {principle.version.name}",
                why=f"Only {plural(min(evidence.n_in, evidence.n_out), 'trial')} {side} its rule, "
                "so its effect is mostly the model's.",
                command=None,
                trials=(*evidence.supporting, *evidence.contradicting),
            )
    proxies = [one for one in report.calibrations if verdict(one) == Verdict.PREDICTS]
    if proxies:
        best = max(proxies, key=lambda one: abs(one.partial or one.spearman))
        yield Suggestion(
            what=f"Let {best.proxy} order what is tried first",
            why="It says more than counting parameters and layers on this run's trials.",
            command=None,
            trials=report.calibrated_on,
        )
    if report.best is not None and any(t.origin == Origin.ARCHITECT for t in report.trials):
        yield Suggestion(
            what="Use what was learned on the next task",
            why="Its principles and trials are recalled, and believed as far as they prove right.",
            command=f"vitruvius run --task TASK --principles-from {report.run.id}",
            trials=(),
        )


def _again(report: Report, factor: float, *options: str) -> str | None:
    """Returns the command that starts such a run again with a larger trial budget."""
    run = report.run
    if not run.task_ref or not run.space_ref or run.budget.trials is None:
        return None
    trials = math.ceil(factor * run.budget.trials)
    words = ["vitruvius", "run", "--task", run.task_ref, "--space", run.space_ref,
             "--budget", f"{trials} trials", *options]  # fmt: skip
    return shlex.join(words)


def promising_of(
    space: SearchSpace,
    task: Task,
    trials: Sequence[Trial],
    lesson: Lesson,
    region: Region,
) -> list[Promising]:
    """Returns up to `SHOWN` untried architectures by their chance to beat the best trial.

    Looked for among the reference sample of the space and the neighbours of the best trial, outside
    cuts too; those known to break a limit of the task are left out. The chance is that of one
    training, noise included, by the model of the run's own trials.
    """
    if len(lesson.trials) < LEAST_FITTED:
        return []
    scores = describe_population(space, lesson).scores
    features = space.featurise([trial.architecture for trial in lesson.trials])
    model = Surrogate.fit(space, features, scores)
    best = lesson.trials[int(np.argmax(scores))].architecture
    tried = {trial.architecture for trial in trials}
    known, rows = _reference(space)
    near = [a for a in space.neighbours(best)[:NEAR] if a not in tried]
    free = [place for place, each in enumerate(known) if each not in tried]
    candidates = [*(known[place] for place in free), *near]
    if not candidates:
        return []
    there = np.vstack([rows[free], space.featurise(near)]) if near else rows[free]
    posterior = model.at(there)
    spread = np.sqrt(posterior.sd**2 + model.noise_sd**2)
    chances = ndtr((posterior.mean - scores.max()) / spread)
    inside = region.mask(there)
    found: dict[Architecture, Promising] = {}
    for row in np.argsort(-chances, kind="stable").tolist():
        each = candidates[row]
        if each not in found and keeps_limits(space, task, [each])[0]:
            found[each] = Promising(
                architecture=each, chance=float(chances[row]), is_inside=bool(inside[row])
            )
        if len(found) == SHOWN:
            break
    return list(found.values())


@lru_cache(maxsize=4)
def _reference(space: SearchSpace) -> tuple[list[Architecture], FloatArray]:
    """Returns the different architectures of the reference sample and their features."""
    first, _ = distinct_reference(space)
    sample = reference_sample(space)
    return [sample[place] for place in first.tolist()], reference_features(space)[first]
