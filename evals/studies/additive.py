"""A simple additive model of scores by rules: what a set of rules foretells of unseen trials."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln
from scipy.stats import t

from vitruvius.spaces.space import FloatArray

SPREADS = (0.1, 0.3, 1.0, 3.0)  # prior deviations of a rule's weight, in units of the noise
OFFSET_VARIANCE = 10.0  # of the mean of all scores, in units of the noise
SHAPE, RATE = 1.0, 0.5  # inverse gamma prior of the noise's variance


def log_predictive(
    known: FloatArray, scores: FloatArray, unseen: FloatArray, truth: FloatArray
) -> FloatArray:
    """Returns the log density of each unseen score under a Bayesian linear model [M].

    Noise and weights are integrated out; the spread of the weights is the one with the largest
    evidence on the known trials, so that rules that say nothing are shrunk away.

    Args:
        known: which rules the known trials satisfy, as 0 and 1 [N, R].
        scores: theirs [N].
        unseen: as `known` [M, R].
        truth: the unseen scores [M].
    """
    best, chosen = -np.inf, None
    for spread in SPREADS if known.shape[1] else SPREADS[:1]:
        evidence, posterior = _fit(_design(known), scores, spread)
        if evidence > best:
            best, chosen = evidence, posterior
    assert chosen is not None
    mean, inverse, shape, rate = chosen
    rows = _design(unseen)
    variance = rate / shape * (1 + np.einsum("mr,rs,ms->m", rows, inverse, rows))
    density = t.logpdf(truth, 2 * shape, loc=rows @ mean, scale=np.sqrt(variance))
    return np.asarray(density, dtype=np.float64)


def _design(satisfied: FloatArray) -> FloatArray:
    """Returns the rules about their middle, and a column for the mean of all [N, 1 + R]."""
    return np.hstack([np.ones((len(satisfied), 1)), satisfied - 0.5])


def _fit(
    rows: FloatArray, scores: FloatArray, spread: float
) -> tuple[float, tuple[FloatArray, FloatArray, float, float]]:
    """Returns the log evidence and the posterior: mean, covariance over noise, shape, rate."""
    prior = np.full(rows.shape[1], spread**-2)
    prior[0] = 1 / OFFSET_VARIANCE
    precision = np.diag(prior) + rows.T @ rows
    inverse = np.asarray(np.linalg.inv(precision), dtype=np.float64)
    mean = inverse @ (rows.T @ scores)
    shape = SHAPE + len(scores) / 2
    rate = RATE + 0.5 * float(scores @ scores - mean @ precision @ mean)
    evidence = 0.5 * (np.log(prior).sum() - np.linalg.slogdet(precision)[1])
    evidence += SHAPE * np.log(RATE) - shape * np.log(rate) + gammaln(shape) - gammaln(SHAPE)
    return float(evidence), (mean, inverse, shape, rate)
