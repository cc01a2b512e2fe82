"""The analyst: both chairs taken by statistics, with no model, key or network."""

from __future__ import annotations

import asyncio

import numpy as np
from scipy.special import ndtr

from vitruvius.agents.acquisition import GUIDED_OPTIMISM, OPTIMISM, bounds, pick
from vitruvius.agents.candidates import random_untried, untried
from vitruvius.agents.chairs import Proposal, Rewrite
from vitruvius.agents.rewriting import propose_edits
from vitruvius.agents.view import RunView
from vitruvius.memory.hints import Prior
from vitruvius.memory.ranking import Lesson, learn
from vitruvius.memory.records import ResultStatus, Standing
from vitruvius.memory.rules_prior import rules_prior
from vitruvius.memory.surrogate import Surrogate
from vitruvius.memory.transfer import source_prior
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
    heard = _heard(view)
    if heard is None and len(lesson.trials) < MIN_RESULTS:
        picks = random_untried(view, view.k, rng)
        return _proposal(picks, f"a draw of the region: {len(lesson.trials)} results so far")
    features = view.space.featurise([trial.architecture for trial in lesson.trials])
    model = _model(view, lesson, features) if heard is None else fit(view, lesson, features, heard)
    failures = _failure_model(view)
    optimism = OPTIMISM if heard is None else GUIDED_OPTIMISM

    candidates = untried(view, lesson, lambda there: bounds(model.at(there), optimism), rng)
    posterior = model.at(candidates.features, candidates.plain)
    penalty = np.where(candidates.free, _risk(failures, candidates.features), np.inf)
    rows = pick(posterior, penalty, view.k, model.noise_sd**2, optimism)
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


def _heard(view: RunView) -> Prior | None:
    """Returns what sources with trials of their own say; their principles say nothing beyond it."""
    return source_prior(view.space, view.sources)


def fit(view: RunView, lesson: Lesson, features: FloatArray, heard: Prior) -> Surrogate:
    """Returns the model with the sources' word, weighted by what the trials make of it."""
    scores = heard.rescaled(features, lesson.scores)
    return Surrogate.fit(view.space, features, scores, heard)


def learned_weights(view: RunView) -> dict[str, float]:
    """Returns each source's weight by its run: 1 as trusted, 0 of no use, below 0 misleading.

    That is the weight that the run's trials leave its hints, over the one that trust gave them.
    Without trials it is 1; sources that say nothing are left out.
    """
    heard = _heard(view)
    if heard is None:
        return {}
    lesson = learn(view.trials, view.task.metric)
    features = view.space.featurise([trial.architecture for trial in lesson.trials])
    weights = fit(view, lesson, features, heard).weights()
    found = {}
    for run_id in dict.fromkeys(hint.source for hint in heard.hints):
        rows = [row for row, hint in enumerate(heard.hints) if hint.source == run_id]
        if run_id is not None:
            found[run_id] = float(weights[rows].sum() / heard.weights[rows].sum())
    return found


def _prior(view: RunView) -> Prior | None:
    told = [
        (p.version.rule, p.trust * p.source_effect)
        for p in view.principles
        if p.source_effect is not None
        and p.trust > 0
        and p.standing not in (Standing.CONTRADICTED, Standing.RETIRED)
    ]
    return Prior.certain(rules_prior(view.space, told)) if told else None


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
