"""What a run will take: from earlier runs of its task and space, or from its own first trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from vitruvius.agents.model.endpoint import find_address
from vitruvius.budget import Budget
from vitruvius.events import Event, EventKind
from vitruvius.graphs.search.schedule import confirm_reserve
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Run, RunKind, Spent
from vitruvius.settings import Settings
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.tables.table import Tabular
from vitruvius.tasks.task import Task
from vitruvius.tools.report.words import plural, seconds

ESTIMATED = "estimated"  # the mark; step 0 before the start, step 1 after the first trials
FIRST = 4  # paid trials of the run itself, after which it is estimated anew
LOOKED_AT = 5  # latest earlier runs
UNKNOWN = "not known until the first trials"


@dataclass(frozen=True, kw_only=True)
class Rate:
    """What one paid trial takes; `trials` says on how many that rests, `words` whose they are."""

    trials: int
    wall_s: float
    train_s: float
    tokens: float | None  # None: other models were asked then
    dollars: float | None
    words: str


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run will take in all; None where that is not known. Units: s, dollars.

    `ends_by` is the limit that ends it, as far as is known, and `rests_on` says from what.
    """

    trials: int | None
    wall_s: float | None
    tokens: int | None
    dollars: float | None
    ends_by: str | None
    rests_on: str

    @property
    def data(self) -> dict[str, Any]:
        """The estimate as plain data."""
        return asdict(self)


def estimate(budget: Budget, rate: Rate | None, *, spends_tokens: bool = True) -> Estimate:
    """Returns what a budget will buy at this rate; without one, what the limits alone say.

    Args:
        budget: of the run.
        rate: what a trial takes, if that is known.
        spends_tokens: False where the analyst decides.
    """
    wall_s, train_s = (rate.wall_s, rate.train_s) if rate else (None, None)
    tokens, dollars = (rate.tokens, rate.dollars) if rate else (None, None)
    if not spends_tokens:
        tokens, dollars = 0.0, 0.0
    counts = {
        "trials": math.inf if budget.trials is None else float(budget.trials),
        "time": _count(budget.wall_s, wall_s),
        "seconds of training": _count(budget.train_s, train_s),
        "tokens": _count(budget.tokens, tokens),
        "dollars": _count(budget.dollars, dollars),
    }
    ends_by = min(counts, key=lambda name: counts[name])
    is_known = math.isfinite(counts[ends_by])
    trials = max(1, int(counts[ends_by])) if is_known else None
    spent = _all(trials, tokens, budget.tokens)
    return Estimate(
        trials=trials,
        wall_s=_all(trials, wall_s, budget.wall_s),
        tokens=None if spent is None else round(spent),
        dollars=_all(trials, dollars, budget.dollars),
        ends_by=ends_by if is_known else None,
        rests_on=UNKNOWN if rate is None else rate.words,
    )


def estimate_before(
    ledger: Ledger | None, task: Task, space: SearchSpace, settings: Settings, budget: Budget
) -> Estimate:
    """Returns the estimate for a run that has not started; `ledger` None: there is none yet."""
    earlier = [] if ledger is None else _earlier(ledger, task, space)
    rates = [_rate_of(ledger, run, task, settings) for run in earlier] if ledger else []
    rate = _pooled([rate for rate in rates if rate is not None])
    is_analyst = settings.model == "analyst"
    if settings.model == "auto" and not is_analyst:
        is_analyst = find_address(settings) is None
    return estimate(budget, rate, spends_tokens=not is_analyst)


@dataclass(frozen=True, kw_only=True)
class Stand:
    """Where a run stood after some of its trials."""

    trials: int
    wall_s: float


def estimate_after(
    before: Stand, spent: Spent, closed: int, train_s: float, budget: Budget
) -> Estimate:
    """Returns the estimate from a run's own first trials.

    Args:
        before: after its first batch: what came before is the start, which comes once.
        spent: the run's account now.
        closed: its trials so far, more than before.
        train_s: mean seconds of a training.
        budget: of the run.
    """
    each = (spent.wall_s - before.wall_s) / (closed - before.trials)
    start_s = max(0.0, spent.wall_s - closed * each)
    rate = Rate(
        trials=closed,
        wall_s=each,
        train_s=train_s,
        tokens=spent.tokens / closed,
        dollars=spent.dollars / closed,
        words=f"its own first {closed} trials",
    )
    limit = None if budget.wall_s is None else max(spent.wall_s, budget.wall_s) - start_s
    found = estimate(replace(budget, wall_s=limit), rate)
    return replace(found, wall_s=None if found.wall_s is None else start_s + found.wall_s)


def shortfalls(found: Estimate, budget: Budget, *, reflect_every: int, is_noisy: bool) -> list[str]:
    """Returns what the budget will not reach, as sentences."""
    if found.trials is None or found.rests_on == UNKNOWN:
        return []
    short = []
    kept = confirm_reserve(Budget(trials=found.trials), is_noisy)
    if found.trials - kept < reflect_every:
        short.append(
            f"the {found.ends_by} will be used up after about {found.trials} trials, before the "
            f"first reflection ({reflect_every} results): principles will guide nothing"
        )
    if is_noisy and kept < 1:
        short.append("nothing will be left to confirm the best network on fresh seeds")
    return short


def estimate_words(found: Estimate) -> str:
    """Returns the estimate in one sentence.

    Example:
        >>> print(estimate_words(Estimate(trials=48, wall_s=160.0, tokens=0, dollars=0.0,
        ...     ends_by="trials", rests_on="its own first 4 trials")))
        estimate: about 48 trials, 2 min 40 s, no tokens; from its own first 4 trials
    """
    is_known = found.rests_on != UNKNOWN
    parts = ["trials: " + UNKNOWN]
    if found.trials is not None:
        parts = [f"{'about' if is_known else 'at most'} {plural(found.trials, 'trial')}"]
    if found.ends_by not in (None, "trials"):
        parts[0] += f" (the limit on {found.ends_by} ends it)"
    parts.append(_time(found, is_known))
    if found.tokens == 0:
        parts.append("no tokens")
    elif found.tokens is None:
        parts.append(f"tokens and dollars {UNKNOWN}")
    else:
        parts.append(f"{found.tokens:,} tokens")
        parts.append("dollars not known" if found.dollars is None else f"${found.dollars:.2f}")
    return f"estimate: {', '.join(parts)}" + (f"; from {found.rests_on}" if is_known else "")


def estimate_event(found: Estimate) -> Event:
    """Returns the estimate as an event."""
    return Event(kind=EventKind.ESTIMATED, text=estimate_words(found), data=found.data)


def _time(found: Estimate, is_known: bool) -> str:
    if found.wall_s is None:
        return f"time {UNKNOWN}"
    return ("" if is_known else "at most ") + seconds(found.wall_s)


def _count(limit: float | None, each: float | None) -> float:
    return limit / each if limit is not None and each else math.inf


def _all(trials: int | None, each: float | None, limit: float | None) -> float | None:
    """Returns what all trials take, at most the limit; the limit where that is not known."""
    if each == 0:
        return 0.0
    if trials is None or each is None:
        return limit
    return trials * each if limit is None else min(trials * each, limit)


def _earlier(ledger: Ledger, task: Task, space: SearchSpace) -> list[Run]:
    same = [
        run
        for run in ledger.runs.all()
        if run.kind == RunKind.SEARCH and (run.task_id, run.space_id) == (task.id, space.id)
    ]
    return same[:LOOKED_AT]


def _rate_of(ledger: Ledger, run: Run, task: Task, settings: Settings) -> Rate | None:
    """Returns what a trial of an earlier run would take with the workers of now."""
    paid = [t for t in ledger.trials.of(run.id) if t.train_s is not None and not t.reused]
    if not paid:
        return None
    spent, train_s = ledger.steps.spent(run.id), sum(t.train_s or 0.0 for t in paid)
    wall_s = spent.wall_s / len(paid)
    if not isinstance(task, Tabular):
        each, then = train_s / len(paid), int(run.settings.get("workers", settings.workers))
        wall_s = max(0.0, wall_s - each / then) + each / settings.workers
    is_same_model = _model_of(run.settings) == _model_of(settings.public())
    return Rate(
        trials=len(paid),
        wall_s=wall_s,
        train_s=train_s / len(paid),
        tokens=spent.tokens / len(paid) if is_same_model else None,
        dollars=spent.dollars / len(paid) if is_same_model else None,
        words="",
    )


def _model_of(settings: Mapping[str, Any]) -> tuple[Any, Any]:
    return settings.get("model"), settings.get("base_url")


def _pooled(rates: Sequence[Rate]) -> Rate | None:
    """Returns the mean rate of several runs, each trial counting the same."""
    if not rates:
        return None
    total = sum(rate.trials for rate in rates)
    told = [rate for rate in rates if rate.tokens is not None]
    asked = sum(rate.trials for rate in told)
    return Rate(
        trials=total,
        wall_s=sum(rate.wall_s * rate.trials for rate in rates) / total,
        train_s=sum(rate.train_s * rate.trials for rate in rates) / total,
        tokens=sum((r.tokens or 0.0) * r.trials for r in told) / asked if told else None,
        dollars=sum((r.dollars or 0.0) * r.trials for r in told) / asked if told else None,
        words=f"{total} trials of {len(rates)} earlier run{'s' * (len(rates) > 1)} of this task "
        "in this space",
    )
