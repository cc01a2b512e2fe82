"""Which candidates to try: upper confidence bounds, spread over a batch."""

from __future__ import annotations

import numpy as np

from vitruvius.memory.model.gaussian_process import Posterior
from vitruvius.spaces.space import FloatArray

OPTIMISM = 3.0  # posterior standard deviations above the mean; 2.5 to 4 measure alike
GUIDED_OPTIMISM = 2.0  # where other runs are listened to
PROXY_OPTIMISM = 1.0  # where proxies are heard; 3 found a third as many of the best recurrent cells
EAGER_OPTIMISM = 0.5  # before any uniform trial of a run that listens


def bounds(posterior: Posterior, optimism: float = OPTIMISM) -> FloatArray:
    """Returns the optimistic score of each candidate [M]."""
    return posterior.mean + optimism * posterior.sd


def pick(
    posterior: Posterior,
    penalty: FloatArray,
    count: int,
    noise: float,
    optimism: float = OPTIMISM,
) -> list[int]:
    """Returns up to `count` rows of highest optimistic score less penalty.

    Within a batch the mean stays and the deviations shrink as if the earlier picks had been
    tried, so that the picks spread (Desautels et al. 2014, GP-BUCB, algorithm 1).

    Args:
        posterior: at the candidates.
        penalty: subtracted from their scores [M]; infinite where one may not be picked.
        count: at least 1.
        noise: variance of a trial's score around the process.
        optimism: posterior standard deviations above the mean.
    """
    variance = posterior.sd**2
    rows: list[int] = []
    known: list[FloatArray] = []
    while True:
        score = posterior.mean + optimism * np.sqrt(variance) - penalty
        score[rows] = -np.inf
        rows.append(int(np.argmax(score)))
        if len(rows) == min(count, int(np.isfinite(penalty).sum())):
            return rows
        shared = posterior.covariance_with(rows[-1])
        for earlier in known:
            shared = shared - earlier[rows[-1]] * earlier
        known.append(shared / np.sqrt(shared[rows[-1]] + noise + 1e-9))
        variance = np.maximum(variance - known[-1] ** 2, 0)
