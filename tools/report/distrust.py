"""What to distrust in a report: each doubt is derived from its rows, none is a matter of taste."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from vitruvius.memory.records import (
    BREAKS_A_TRIAL,
    Origin,
    ResultStatus,
    RunStatus,
    Standing,
    Trial,
)
from vitruvius.tools.report.facts import Finalist, Report
from vitruvius.tools.report.words import plural
from vitruvius.tools.safe_text import names

FEW_TRIALS = 20
FEW_SEEDS = 3
MANY_FAILURES = 0.2
FEW_ON_A_SIDE = 5
UNIFORM_WORDS = "--control buys a real random arm"


def distrust_of(report: Report, trials: Sequence[Trial]) -> tuple[str, ...]:
    """Returns the doubts that the rows themselves raise, the gravest first."""
    return (
        *_of_the_run(report, trials),
        *_of_the_best(report),
        *_of_the_comparison(report, trials),
        *_of_the_principles(report),
        *_of_the_account(report, trials),
    )


def _of_the_run(report: Report, trials: Sequence[Trial]) -> Iterator[str]:
    if report.run.status != RunStatus.DONE:
        yield f"The run is {report.run.status}, not done: everything here may still change."
    if report.best is None:
        yield "No trial finished with a score, so there is no best network."
    finished = [trial.number for trial in trials if trial.value is not None]
    if 0 < len(finished) < FEW_TRIALS:
        yield (
            f"Only {len(finished)} trials finished ({names(finished)}); below {FEW_TRIALS} most "
            "differences are luck."
        )
    kinds = dict(report.failures)
    broke = [trial.number for trial in kinds.pop(ResultStatus.INFEASIBLE, ())]
    if len(broke) > MANY_FAILURES * max(1, len(trials)):
        yield (
            f"{len(broke)} of {len(trials)} architectures broke a limit of the task and were not "
            f"trained ({names(broke)}; {BREAKS_A_TRIAL} of them cost one trial): much of the "
            "effort went into what is not allowed; loosen the limit, or search a smaller space."
        )
    failed = [trial.number for mine in kinds.values() for trial in mine]
    if len(failed) > MANY_FAILURES * max(1, len(trials)):
        yield (
            f"{len(failed)} of {len(trials)} trials failed ({names(failed)}): what the run learned "
            "is partly about what can be trained at all."
        )


def _of_the_best(report: Report) -> Iterator[str]:
    if report.best is None:
        return
    best = report.best.finalist
    if best.confirmed is None:
        if report.is_noisy:
            yield (
                f"The best network is not confirmed on fresh seeds: {best.found.name} is the best "
                "of many noisy numbers, and so too good on average."
            )
        return
    if len(best.confirmed.trials) < FEW_SEEDS:
        yield (
            f"The best network was confirmed on {len(best.confirmed.trials)} fresh "
            f"seed{'s' if len(best.confirmed.trials) > 1 else ''} only "
            f"({names(best.confirmed.trials)}); its interval is wide or missing."
        )
    close = [other for other in report.finalists[1:] if _is_close(report, best, other)]
    if close:
        numbers = [number for f in close if f.confirmed for number in f.confirmed.trials]
        yield (
            f"{len(close)} other finalist{'s' if len(close) > 1 else ''} ({names(numbers)}) "
            "cannot be told from the best network: the gap lies within the noise."
        )
    yield from _optimism(report, best)


def _is_close(report: Report, best: Finalist, other: Finalist) -> bool:
    """Returns whether two confirmed means differ by less than two standard errors of their gap."""
    if best.confirmed is None or other.confirmed is None or report.noise is None:
        return False
    error = report.noise.deviation * math.sqrt(
        1 / len(best.confirmed.trials) + 1 / len(other.confirmed.trials)
    )
    return abs(best.confirmed.mean - other.confirmed.mean) < 2 * error


def _optimism(report: Report, best: Finalist) -> Iterator[str]:
    if best.confirmed is None or best.search is None or report.noise is None:
        return
    drop = report.metric.sign * (best.search.mean - best.confirmed.mean)
    if drop > report.noise.deviation:
        yield (
            f"The search saw {best.search.mean:.4g} for the best network "
            f"({names(best.search.trials)}), fresh seeds {best.confirmed.mean:.4g} "
            f"({names(best.confirmed.trials)}): the first number was luck in part."
        )


def _of_the_comparison(report: Report, trials: Sequence[Trial]) -> Iterator[str]:
    curve = report.curve
    if not curve.points or curve.points[-1].agent is None:
        return
    n = curve.points[-1].n
    value, number = curve.points[-1].agent
    if curve.share_high is not None and 1 - (1 - curve.share_high) ** n > 0.05:
        yield (
            f"{len(curve.uniform)} uniform draws are too few to show that the search beats random "
            f"search of {n} trials; {UNIFORM_WORDS}."
        )
    sign = report.metric.sign
    better = [
        trial
        for trial in trials
        if trial.origin == Origin.CONTROL
        and trial.value is not None
        and sign * trial.value >= sign * value
    ]
    if better:
        yield (
            f"The random arm did as well as the search: {names(t.number for t in better)} "
            f"against T{number}."
        )


def _of_the_principles(report: Report) -> Iterator[str]:
    untested = [
        principle.version.name
        for principle in report.principles
        if principle.trust is not None and principle.evidence is None
    ]
    if untested:
        yield f"Recalled from earlier runs and not tested here: {', '.join(untested)}."
    thin = [
        principle.version.name
        for principle in report.principles
        if principle.standing == Standing.SUPPORTED
        and principle.evidence is not None
        and min(principle.evidence.n_in, principle.evidence.n_out) < FEW_ON_A_SIDE
    ]
    if thin:
        yield (
            f"Supported with fewer than {FEW_ON_A_SIDE} trials on one side, so mostly by the "
            f"model: {', '.join(thin)}."
        )
    provisional = [c.cut.number for c in report.cuts if c.cut.in_force and c.cut.provisional]
    if provisional:
        yield (
            "Provisional cuts are in force, on other runs' evidence only: "
            f"{', '.join(f'cut {number}' for number in provisional)}."
        )
    for audit in report.cuts:
        best = report.best.finalist.found.value if report.best else None
        if not audit.cut.in_force or audit.best_outside is None or best is None:
            continue
        value, number = audit.best_outside
        if report.metric.sign * (value - best) >= 0:
            yield f"Cut {audit.cut.number} leaves out T{number}, which is as good as the best."


def _of_the_account(report: Report, trials: Sequence[Trial]) -> Iterator[str]:
    reused = [trial.number for trial in trials if trial.reused]
    if reused:
        yield (
            f"{len(reused)} results were reused from earlier runs and cost nothing "
            f"({names(reused)}): the seconds below are less than a fresh run would take."
        )
    if any(model.estimated for model in report.models):
        yield "Some token counts are estimates: the endpoint did not tell its usage."
    asked = {model.model for model in report.models if model.chair == "architect"}
    stepped_in = report.decisions.get("analyst, carried_out", 0)
    if asked and stepped_in:
        yield (
            f"The analyst took {plural(stepped_in, 'decision')} because answers of "
            f"{', '.join(sorted(asked))} could not be used."
        )
