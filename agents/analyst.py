"""The analyst: both chairs taken by statistics, with no model, key or network."""

from __future__ import annotations

import asyncio

import numpy as np
from scipy.special import ndtr

from vitruvius.agents.acquisition import bounds, pick
from vitruvius.agents.candidates import random_untried, untried
from vitruvius.agents.chairs import Proposal, Rewrite
from vitruvius.agents.rewriting import propose_edits
from vitruvius.agents.view import RunView
from vitruvius.memory.ranking import Lesson, learn
from vitruvius.memory.records import ResultStatus, Standing
from functools import lru_cache
from vitruvius.memory.hints import combine, Prior
from vitruvius.memory.transfer import source_hints
from vitruvius.memory.rules_prior import rules_prior
from vitruvius.memory.surrogate import Mean, Surrogate
from vitruvius.spaces.space import Architecture, FloatArray
from vitruvius.tools.decisions import Train

AUTHOR = "analyst"
MIN_RESULTS = 4  # before so many, a draw of the region is as good as any model
FAILURE_COST = 4.0  # score that a certain failure would cost
PRIOR_TEST = 8  # trials from which the prior of earlier runs must explain better than none

OUTRIGHT = (ResultStatus.FAILED, ResultStatus.INFEASIBLE)


class Analyst:
    """Chooses by the upper confidence bound of the run's model, and writes what the model says."""

    async def decide(self, view: RunView) -> Proposal:
        """Returns a decision to train 1 to `view.k` untried architectures of the region.

        Raises:
            ToolError: if nothing untried is left there.
        """
        return await asyncio.to_thread(choose, view)

    async def rewrite(self, view: RunView) -> Rewrite:
        """Returns edits of the principles that the run's trials suggest, perhaps none."""
        edits = await asyncio.to_thread(propose_edits, view)
        return Rewrite(edits=edits, author=AUTHOR)


def choose(view: RunView) -> Proposal:
    """Returns the analyst's decision; a pure function of the view."""
    rng = np.random.default_rng(view.seed)
    lesson = learn(view.trials, view.task.metric)
    hinted = hints_prior(view)
    if len(lesson.trials) < (MIN_RESULTS if hinted is None else 0):
        picks = random_untried(view, view.k, rng)
        return _proposal(picks, f"a draw of the region: {len(lesson.trials)} results so far")
    features = view.space.featurise([trial.architecture for trial in lesson.trials])
    if hinted is not None:
        scores = hinted_scores(hinted, features, lesson.scores)
        model = Surrogate.fit(view.space, features, scores, hinted=hinted)
    else:
        model = _model(view, lesson, features)
    failures = _failure_model(view)

    candidates = untried(view, lesson, lambda there: bounds(model.at(there)), rng)
    posterior = model.at(candidates.features, candidates.plain)
    penalty = np.where(candidates.free, _risk(failures, candidates.features), np.inf)
    rows = pick(posterior, penalty, view.k, model.noise_sd**2)
    first = rows[0]
    reason = (
        f"highest optimistic score among {candidates.free.sum():,} untried: the model of "
        f"{len(lesson.trials)} trials expects it above {ndtr(posterior.mean[first]):.0%} of them, "
        f"give or take {posterior.sd[first]:.1f} standard deviations"
    )
    return _proposal([candidates.architectures[row] for row in rows], reason)


def _proposal(picks: list[Architecture], reason: str) -> Proposal:
    decision = Train(architectures=[pick.spec for pick in picks], reason=reason)
    return Proposal(decision=decision, author=AUTHOR)


def _model(view: RunView, lesson: Lesson, features: FloatArray) -> Surrogate:
    """Returns the model, with the word of earlier runs as its prior mean while that helps."""
    plain = Surrogate.fit(view.space, features, lesson.scores)
    prior = _prior(view)
    if prior is None:
        return plain
    told = Surrogate.fit(view.space, features, lesson.scores, prior)
    is_early = len(lesson.trials) < PRIOR_TEST
    return told if is_early or told.log_evidence > plain.log_evidence else plain


def hints_prior(view: RunView):
    return _combined(view.space, tuple(view.sources))


@lru_cache(maxsize=8)
def _combined(space, sources):
    return combine(space, [hint for source in sources for hint in source_hints(space, source)])


def hinted_scores(prior: Prior, features, scores):
    n = len(scores)
    if n == 0:
        return scores
    mean, sd = prior.mean(features), np.sqrt(prior.share)
    grid = np.linspace(mean.min() - 4 * sd, mean.max() + 4 * sd, 300)
    below = ndtr((grid[:, None] - mean) / sd).mean(axis=1)
    return np.interp(ndtr(scores), below, grid)


def _prior(view: RunView) -> Mean | None:
    told = [
        (p.version.rule, p.trust * p.source_effect)
        for p in view.principles
        if p.source_effect is not None
        and p.trust > 0
        and p.standing not in (Standing.CONTRADICTED, Standing.RETIRED)
    ]
    return rules_prior(view.space, told) if told else None


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
