"""Hints: what is said of architectures before a run has trials, as a prior of its model.

So speak earlier runs, by the effects of their rules, and costs that are known before a training.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from scipy.special import ndtr

from vitruvius.spaces.rules import Rule, holds
from vitruvius.spaces.space import (
    Architecture,
    BoolArray,
    FloatArray,
    SearchSpace,
    reference_features,
)
from vitruvius.tasks.task import Task, known_costs

Mean = Callable[[FloatArray], FloatArray]  # features [N, F] -> values [N]

LEAST_SHARE = 0.1  # of the scores' variance is left open, however good the hints
DOUBT = 0.5  # prior standard deviation of a hint's weight; 0.3 to 0.6 measure alike
LONG = 1000  # feature matrices of so many rows are those of all candidates: asked again and again
GRID = 300
FEW, SETTLED = 10, 20  # the own scale counts from FEW trials on, half after SETTLED more


@dataclass(frozen=True, kw_only=True, eq=False)
class Hint:
    """A word on every architecture: more is better. Mean 0 and deviation 1 under the sampler.

    `trust` is the correlation with the run's scores that it claims, `doubt` the standard deviation
    of the weight that the run's trials may give it, `source` the run that says it.
    """

    name: str
    values: Mean
    trust: float
    doubt: float = DOUBT
    source: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Prior:
    """What the model holds of scores before any trial: hints and their expected weights [J].

    `share` is the part of the scores' variance that the hints leave open. `root` [J, J] times its
    transpose is the covariance of the weights; None: each has its hint's own doubt. `silence`
    gives the variance [N] of scores that is owed to what hints do not say of an architecture.
    """

    hints: tuple[Hint, ...]
    weights: FloatArray
    share: float
    together: FloatArray | None = None  # covariance of the hints under the sampler [J, J]
    root: FloatArray | None = None
    silence: Mean | None = None
    _last: list[tuple[FloatArray, FloatArray]] = field(default_factory=list)

    @classmethod
    def certain(cls, mean: Mean, others: Sequence[Hint] = ()) -> Prior:
        """Returns the prior that takes a mean at its word and leaves all else open.

        Of the other hints it expects nothing, but the trials may give them weight.
        """
        hint = Hint(name="mean", values=mean, trust=1.0, doubt=0.0)
        return cls(hints=(hint, *others), weights=np.eye(1 + len(others))[0], share=1.0)

    @property
    def is_guide(self) -> bool:
        """Whether it expects anything, before the run's trials say what to make of the hints."""
        return bool(self.weights.any())

    def values(self, features: FloatArray) -> FloatArray:
        """Returns what each hint says [N, J]; kept for the last long matrix."""
        if self._last and self._last[0][0] is features:
            return self._last[0][1]
        found = np.stack([hint.values(features) for hint in self.hints], axis=1)
        if len(features) >= LONG:
            self._last[:] = [(features, found)]
        return found

    def mean(self, features: FloatArray) -> FloatArray:
        """Returns the expected scores [N]."""
        return np.asarray(self.values(features) @ self.weights)

    def basis(self, features: FloatArray) -> FloatArray:
        """Returns the hints [N, J], whose inner products are the kernel of their weights.

        In units of the variance that is left open, as every kernel of the model.
        """
        if self.root is not None:
            return np.asarray(self.values(features) @ (self.root / np.sqrt(self.share)))
        return np.asarray(self.values(features) * (self.doubts / np.sqrt(self.share)))

    def unsaid(self, features: FloatArray) -> FloatArray | None:
        """Returns the variance owed to silence [N], in units of `basis`; None: there is none."""
        return None if self.silence is None else np.asarray(self.silence(features) / self.share)

    def moved(self, steps: FloatArray) -> FloatArray:
        """Returns the weights [J] after steps in units of `basis` [J]."""
        scale = np.sqrt(self.share)
        if self.root is not None:
            return np.asarray(self.weights + self.root @ steps / scale)
        return np.asarray(self.weights + self.doubts / scale * steps)

    @property
    def doubts(self) -> FloatArray:
        """Prior standard deviations of the weights [J], where none depends on another."""
        return np.array([hint.doubt for hint in self.hints])

    def rescaled(
        self, features: FloatArray, scores: FloatArray, weights: FloatArray | None = None
    ) -> FloatArray:
        """Returns normal scores [N] on the scale on which the hints expect them.

        Trials that were chosen for what the hints say are expected close together, so that their
        order alone says little; a normal score among few would tear them apart. The order stays;
        quantiles are those of the predictions' mixture. As trials become many their own scale takes
        over, which tells the best apart.

        Args:
            features: of the trials [N, F].
            scores: normal scores [N].
            weights: of the hints, as far as they are known by now; None: as expected beforehand.
        """
        if not len(scores):
            return scores
        mean, sd = self.mean(features), float(np.sqrt(self.share))
        if weights is not None and self.together is not None:
            mean = self.values(features) @ weights
            explained = float(weights @ self.together @ weights)
            sd = float(np.sqrt(max(LEAST_SHARE, 1 - explained)))
        grid = np.linspace(mean.min() - 4 * sd, mean.max() + 4 * sd, GRID)
        below = ndtr((grid[:, None] - mean) / sd).mean(axis=1)
        told = np.interp(ndtr(scores), below, grid)
        early = SETTLED / (SETTLED + max(0, len(scores) - FEW))
        return np.asarray(early * told + (1 - early) * scores)


def combine(space: SearchSpace, hints: Sequence[Hint]) -> Prior | None:
    """Returns the prior of several hints, or None of none.

    Hints are averaged, each by its trust. Together they claim no more than the mean of their
    trusts: hints of one origin repeat each other. (Weights that are solved for from the hints'
    correlations set one against the other: a median of 5 to 11 queries instead of 2 to 4 with a
    source of 50 random NAS-Bench-201 cells.)
    """
    if not hints:
        return None
    claims = np.array([hint.trust for hint in hints])
    if not claims.any():
        return Prior(hints=tuple(hints), weights=claims, share=1.0)
    reference = reference_features(space)
    said = np.stack([hint.values(reference) for hint in hints], axis=1)
    told = float((claims**2).sum() / claims.sum())
    weights = told * claims / float((said @ claims).std())
    together = np.atleast_2d(np.cov(said, rowvar=False))
    share = max(LEAST_SHARE, 1 - told**2)
    return Prior(hints=tuple(hints), weights=weights, share=share, together=together)


RIDGE = 0.1


def rules_prior(space: SearchSpace, told: Sequence[tuple[Rule, float]]) -> Mean:
    """Returns the prior mean under which each rule has its told effect, all others averaged over.

    Effects of overlapping rules are not added up: weights of the rules are solved for so that
    each contrast under the space's sampler is the told one (with a ridge, as told effects may
    contradict each other).

    Args:
        space: whose sampler averages.
        told: rules that fit the space, and their effects in normal-score units.
    """
    reference = reference_features(space)
    met = np.array([holds(rule, space, reference) for rule, _ in told], dtype=np.float64)
    kept = met.mean(axis=1, keepdims=True)
    use = ((kept > 0) & (kept < 1)).ravel()
    rules = [rule for (rule, _), ok in zip(told, use, strict=True) if ok]
    effects = np.array([effect for (_, effect), ok in zip(told, use, strict=True) if ok])
    met, kept = met[use], kept[use]
    contrast = met / met.sum(1, keepdims=True) - (1 - met) / (1 - met).sum(1, keepdims=True)
    mixing = contrast @ met.T  # what a weight on rule j adds to the effect of rule i
    weights = np.linalg.solve(mixing.T @ mixing + RIDGE * np.eye(len(rules)), mixing.T @ effects)

    def mean(features: FloatArray) -> FloatArray:
        total = np.zeros(len(features))
        for rule, weight, share in zip(rules, weights, kept.ravel(), strict=True):
            total += weight * (holds(rule, space, features) - share)
        return total

    return mean


CHEAP = ("params", "flops")  # exact, free, and of the architecture alone


def cost_hints(space: SearchSpace, task: Task) -> tuple[Hint, ...]:
    """Returns hints of log parameters and multiply-adds, where a listed space's are all known.

    They claim nothing: whether more is better is for the run's trials to say. Only a task that
    tells costs has them, which is a table: where networks are really trained they are counted on a
    network that is built, and a hint needs them of every member (NAS-Bench-201: 6,466 networks to
    build before the first trial). A task that is no key of a cache has none.
    """
    return _cost_hints(space, task) if isinstance(task, Hashable) else ()


@lru_cache(maxsize=8)
def _cost_hints(space: SearchSpace, task: Task) -> tuple[Hint, ...]:
    members = space.members()
    if members is None:
        return ()
    known = [known_costs(task, member) for member in members]
    rows = {row.tobytes(): place for place, row in enumerate(space.featurise(members))}
    hints = []
    for name in CHEAP:
        costs = np.array([costs.get(name, np.nan) for costs in known])
        if not (costs > 0).all() or costs.std() == 0:
            continue
        logs = np.log(costs)
        drawn = logs[[rows[row.tobytes()] for row in reference_features(space)]]
        hints.append(_hint(name, (logs - drawn.mean()) / drawn.std(), rows))
    return tuple(hints)


def _hint(name: str, logs: FloatArray, rows: dict[bytes, int]) -> Hint:
    def values(features: FloatArray) -> FloatArray:
        there = np.ascontiguousarray(features)
        return logs[np.array([rows[row.tobytes()] for row in there], dtype=np.int64)]

    return Hint(name=name, values=values, trust=0.0)


def keeps_limits(
    space: SearchSpace, task: Task, architectures: Sequence[Architecture]
) -> BoolArray:
    """Returns which architectures are not known to break a limit of the task [N].

    Args:
        space: its members are looked up once.
        task: gives limits and costs.
        architectures: all members of the space, in their order, or any others.
    """
    if not task.constraints.limits:
        return np.ones(len(architectures), dtype=np.bool_)
    members = space.members()
    if members is not None and len(members) == len(architectures) and isinstance(task, Hashable):
        return _members_keep(space, task)
    return _keep(task, architectures)


@lru_cache(maxsize=4)
def _members_keep(space: SearchSpace, task: Task) -> BoolArray:
    return _keep(task, space.members() or ())


def _keep(task: Task, architectures: Sequence[Architecture]) -> BoolArray:
    known = [known_costs(task, architecture) for architecture in architectures]
    broken = task.constraints.violation
    return np.array([not costs or broken(**costs) is None for costs in known], dtype=np.bool_)
