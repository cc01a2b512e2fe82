"""What calls for a repair: results that stall, principles that trials contradict, doubtful cuts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from vitruvius.agents.chairs.view import PrincipleView, RunView
from vitruvius.memory.records import Origin, Standing, Trial
from vitruvius.spaces.space import Architecture

STALLED = 8  # results without a better one, from which the page says so
DOUBTFUL = 0.25  # a trial outside the cuts among this best share of all makes them doubtful


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How the search goes.

    `best` is the first trial of the architecture with the best mean, `value`; `since` counts the
    results after it.
    """

    best: Trial | None = None
    value: float = 0.0
    since: int = 0

    @property
    def is_stalled(self) -> bool:
        return self.best is not None and self.since >= STALLED


def progress_of(view: RunView) -> Progress:
    """Returns the best architecture so far, the first of equals, and what came after it."""
    sign = view.task.metric.sign
    done = [t for t in view.trials if t.value is not None and t.origin != Origin.CONTROL]
    first = {trial.architecture: trial for trial in reversed(done)}
    scores: dict[Architecture, list[float]] = defaultdict(list)
    for trial in done:
        scores[trial.architecture].append(trial.value or 0.0)
    means = {found: sum(values) / len(values) for found, values in scores.items()}
    best = max(
        first.values(), key=lambda t: (sign * means[t.architecture], -t.number), default=None
    )
    if best is None:
        return Progress()
    since = sum(trial.number > best.number for trial in view.trials)
    return Progress(best=best, value=means[best.architecture], since=since)


def disputed(view: RunView) -> list[PrincipleView]:
    """Returns the principles that this run's trials speak against as a whole, worst first."""
    bad = (Standing.CONTRADICTED, Standing.WEAKENED)
    found = [
        known
        for known in view.principles
        if known.evidence is not None
        and (known.standing in bad or known.evidence.effect < 0)
        and known.standing != Standing.RETIRED
    ]
    return sorted(found, key=lambda known: known.evidence.effect if known.evidence else 0.0)


def good_outside(view: RunView) -> list[Trial]:
    """Returns trials outside the cuts that are among the best of all: the cuts may be wrong."""
    if not view.cuts:
        return []
    sign = view.task.metric.sign
    done = [trial for trial in view.trials if trial.value is not None]
    ranked = sorted(done, key=lambda t: -sign * (t.value or 0.0))
    top = ranked[: int(DOUBTFUL * len(ranked))]
    if not top:
        return []
    inside = view.region.mask(view.space.featurise([trial.architecture for trial in top]))
    return [trial for trial, is_inside in zip(top, inside, strict=True) if not is_inside]


def needs_repair(view: RunView) -> list[str]:
    """Returns why principles or cuts should be mended now, in sentences; none if all is well."""
    progress = progress_of(view)
    reasons = []
    if progress.is_stalled and progress.best is not None:
        reasons.append(f"none of the {progress.since} results since {progress.best.name} is better")
    if bad := disputed(view):
        names = ", ".join(known.version.name for known in bad[:6])
        reasons.append(f"the trials speak against {names}")
    if outside := good_outside(view):
        names = ", ".join(trial.name for trial in outside[:6])
        reasons.append(f"{names}, outside the cuts, are among the best: a cut may be wrong")
    return reasons
