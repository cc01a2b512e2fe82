"""The analyst: both chairs taken by statistics, with no model, key or network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache

import numpy as np
from scipy.special import ndtr

from vitruvius.agents.analyst.acquisition import (
    EAGER_OPTIMISM,
    GUIDED_OPTIMISM,
    OPTIMISM,
    PROXY_OPTIMISM,
    bounds,
    pick,
    random_untried,
    untried,
)
from vitruvius.agents.analyst.edits import propose_edits
from vitruvius.agents.chairs.view import Proposal, Rewrite, RunView
from vitruvius.memory.evidence.calibration import demoted
from vitruvius.memory.model.gaussian_process import Surrogate
from vitruvius.memory.model.prior import Prior, cost_hints, keeps_limits, rules_prior
from vitruvius.memory.model.proxy_scores import with_proxies
from vitruvius.memory.model.ranking import Lesson, learn
from vitruvius.memory.records import Origin, ResultStatus, Standing
from vitruvius.memory.transfer.source_hints import Source
from vitruvius.memory.transfer.weighing import fit_hinted, source_prior
from vitruvius.spaces.space import Architecture, FloatArray
from vitruvius.tasks.task import Task, TrainableTask
from vitruvius.tools.calls.proxy import Proxy
from vitruvius.tools.calls.train import Train

AUTHOR = "analyst"
MIN_RESULTS = 4  # before so many, a draw of the region is as good as any model
DRAWS_PER_PICK = 30  # where a task has limits
FAILURE_COST = 4.0  # score that a certain failure would cost
PRIOR_TEST = 8  # trials from which the prior of earlier runs must explain better than none

OUTRIGHT = (ResultStatus.FAILED, ResultStatus.INFEASIBLE)


class Analyst:
    """Chooses by the upper confidence bound of the run's model, and writes what the model says."""

    async def decide(self, view: RunView) -> Proposal:
        """Returns a decision to train 1 to `view.k` untried architectures of the region.

        Or, now and then, one to ask proxies about those that are about to be considered.

        Raises:
            ToolError: if nothing untried is left there.
        """
        return await asyncio.to_thread(_decide, view)

    async def rewrite(self, view: RunView) -> Rewrite:
        """Returns edits of the principles that the run's trials suggest, perhaps none."""
        edits = await asyncio.to_thread(propose_edits, view)
        return Rewrite(edits=edits, author=AUTHOR)


def _decide(view: RunView) -> Proposal:
    question = ask(view, lambda: _picks(view, MOST)[0])
    return choose(view) if question is None else Proposal(decision=question, author=AUTHOR)


def choose(view: RunView) -> Proposal:
    """Returns what the analyst would train next; a pure function of the view."""
    picks, reason = _picks(view, view.k)
    decision = Train(architectures=[pick.spec for pick in picks], reason=reason)
    return Proposal(decision=decision, author=AUTHOR)


def _picks(view: RunView, count: int) -> tuple[list[Architecture], str]:
    """Returns up to `count` untried architectures, the most promising first, and why."""
    rng = np.random.default_rng(view.seed)
    lesson = learn(view.trials, view.task.metric)
    heard = _heard(view, view.sources)
    guided = heard if heard is not None and heard.is_guide else None
    if guided is None and len(lesson.trials) < MIN_RESULTS:
        reason = f"a draw of the region: {len(lesson.trials)} results so far"
        return _drawn(view, count, rng), reason
    model = _model(view, lesson, heard) if guided is None else _hinted(view, lesson, guided)
    failures = _failure_model(view)
    optimism = _optimism(view, guided is not None)

    def judge(features: FloatArray, architectures: Sequence[Architecture]) -> FloatArray:
        return bounds(model.at(view.beside(features, architectures)), optimism)

    candidates = untried(view, lesson, judge, rng)
    seen = view.beside(candidates.features, candidates.architectures)
    posterior = model.at(seen, candidates.plain)
    allowed = candidates.free & keeps_limits(view.space, view.task, candidates.architectures)
    free = allowed if allowed.any() else candidates.free
    penalty = np.where(free, _risk(failures, candidates.features), np.inf)
    rows = pick(posterior, penalty, count, model.noise_sd**2, optimism)
    first = rows[0]
    reason = (
        f"highest optimistic score among {free.sum():,} untried: the model of "
        f"{len(lesson.trials)} trials expects it above {ndtr(posterior.mean[first]):.0%} of them, "
        f"give or take {posterior.sd[first]:.1f} standard deviations"
    )
    return [candidates.architectures[row] for row in rows], reason


def _drawn(view: RunView, count: int, rng: np.random.Generator) -> list[Architecture]:
    """Returns draws of the region, of those not known to break a limit if there are any."""
    if not view.task.constraints.limits:
        return random_untried(view, count, rng)
    drawn = random_untried(view, DRAWS_PER_PICK * count, rng)
    kept = keeps_limits(view.space, view.task, drawn)
    allowed = [architecture for architecture, ok in zip(drawn, kept, strict=True) if ok]
    return (allowed or drawn)[:count]


def _optimism(view: RunView, guided: bool) -> float:
    """Returns how optimistic to be.

    With sources hardly, until uniform trials can tell on them: trials that were all chosen for one
    reason have scores only among each other, and say little. With proxies less than without: what
    they may be worth is doubted most for the extreme, which are no better for that.
    """
    if not guided:
        return OPTIMISM if view.board is None else PROXY_OPTIMISM
    told = any(trial.origin == Origin.EXPLORE for trial in view.trials)
    return GUIDED_OPTIMISM if told else EAGER_OPTIMISM


def _model(view: RunView, lesson: Lesson, heard: Prior | None) -> Surrogate:
    """Returns the model, with the word of earlier runs as its prior mean while that helps."""
    features = _tried(view, lesson)
    plain = Surrogate.fit(view.space, features, lesson.scores, heard)
    prior = _with_board(view, _of_rules(view), ())
    if prior is None or not prior.is_guide:
        return plain
    told = Surrogate.fit(view.space, features, lesson.scores, prior)
    is_early = len(lesson.trials) < PRIOR_TEST
    return told if is_early or told.log_evidence > plain.log_evidence else plain


def _heard(view: RunView, sources: Sequence[Source]) -> Prior | None:
    """Returns what sources, costs and proxies say; principles of sources say nothing beyond it."""
    told = source_prior(view.space, sources, cost_hints(view.space, view.task))
    return _with_board(view, told, sources)


def _with_board(view: RunView, told: Prior | None, sources: Sequence[Source]) -> Prior | None:
    if view.board is None:
        return told
    return with_proxies(told, view.board, tuple(sources), len(view.space.features))


def _tried(view: RunView, lesson: Lesson) -> FloatArray:
    """Returns the features of the trials as hints read them."""
    tried = [trial.architecture for trial in lesson.trials]
    return view.beside(view.space.featurise(tried), tried)


def _hinted(view: RunView, lesson: Lesson, heard: Prior) -> Surrogate:
    return fit_hinted(view.space, lesson, heard, _heard(view, ()), _tried(view, lesson))


def _of_rules(view: RunView) -> Prior | None:
    """Returns what recalled principles say, costs beside them; None if there is no principle."""
    told = [
        (p.version.rule, p.trust * p.source_effect)
        for p in view.principles
        if p.source_effect is not None
        and p.trust > 0
        and p.standing not in (Standing.CONTRADICTED, Standing.RETIRED)
    ]
    if not told:
        return None
    return Prior.certain(rules_prior(view.space, told), cost_hints(view.space, view.task))


def _failure_model(view: RunView) -> Surrogate | None:
    """Returns a model of who fails outright (raises, breaks a constraint): 1 fails, -1 does not.

    Those that diverge or run out of memory or time are in the main model, as the worst.
    """
    known = [t for t in view.trials if t.value is not None or t.status in OUTRIGHT]
    failed = np.array([trial.status in OUTRIGHT for trial in known])
    if not failed.any():
        return None
    features = view.space.featurise([trial.architecture for trial in known])
    return Surrogate.fit(view.space, features, np.where(failed, 1.0, -1.0))


def _risk(failures: Surrogate | None, features: FloatArray) -> FloatArray:
    if failures is None:
        return np.zeros(len(features))
    posterior = failures.at(features)
    return np.asarray(FAILURE_COST * ndtr(posterior.mean / (posterior.sd + failures.noise_sd)))


SHARE = 0.1  # of the examples that trainings see, proxies may see at most
SEEN = 512  # examples that the scores of one architecture cost: 8 passes over a batch of 64
FEWEST, MOST = 8, 32  # architectures in one question

Rank = Callable[[], Sequence[Architecture]]


def ask(view: RunView, rank: Rank) -> Proxy | None:
    """Returns a question about trials that have no scores yet and the next candidates, or None.

    Asked are the proxies that the view names and the run has not demoted, and only where networks
    are really trained: a table's answers cost less than a score. What it may spend is counted in
    examples and not in seconds, so that a run is the same on every machine; seconds follow, as
    both are passes of the same networks.

    Args:
        view: of the run.
        rank: returns untried candidates, the most promising first; called only if there is room.
    """
    room = allowance(view)
    names = [name for name in view.proxies if name not in demoted(view.calibrations)]
    just_asked = bool(view.decisions) and isinstance(view.decisions[-1].call, Proxy)
    if room < FEWEST or not names or just_asked:
        return None
    known = view.board
    told = [t.architecture for t in view.trials if t.value is not None]
    wanted = [
        architecture
        for architecture in dict.fromkeys([*told, *rank()])
        if known is None or not known.has(architecture, names)
    ][: min(room, MOST)]
    if not wanted:
        return None
    return Proxy(
        architectures=[architecture.spec for architecture in wanted],
        proxies=names,
        reason=f"scores of {len(wanted)} architectures that are about to be considered",
    )


def allowance(view: RunView) -> int:
    """Returns about how many more architectures the proxies may be asked now."""
    if not view.proxies:
        return 0
    seen = _remembered(view.task) if isinstance(view.task, Hashable) else _seen(view.task)
    return int(SHARE * seen * (len(view.trials) + view.k) / SEEN) - view.asked


@lru_cache(maxsize=8)
def _remembered(task: Task) -> int:
    return _seen(task)


def _seen(task: Task) -> int:
    """Returns how many examples one training sees; 0 where nothing is really trained.

    (To ask a table whether it is a `TrainableTask` costs a tenth of a decision.)
    """
    if not isinstance(task, TrainableTask):
        return 0
    return len(task.load().train.labels) * task.recipe.epochs
