"""How independent rows are: scores of their correlations and of their cosines."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

OFFSET = 1e-5  # k: what a direction that is lost costs is about 1 / k


def correlation_score(rows: Tensor, *, counts_constant: bool = True) -> float:
    """Returns S: minus the sum of ln(v + k) + 1 / (v + k) over eigenvalues v, with k = 1e-5.

    The eigenvalues are those of the rows' Pearson correlations. Mellor et al. 2021,
    arXiv:2006.04647v1 (version 1). Uncorrelated rows give the largest value, about minus their
    number; every direction that is lost costs about 1e5. In float64, by a symmetric solver,
    eigenvalues not below 0. NaN where a row is not finite.

    Args:
        rows: [n, m], m observations of n things.
        counts_constant: whether a row that never changes is a direction lost. Otherwise the
            score is NaN, as published, for its correlations do not exist.

    Example:
        >>> import torch
        >>> round(correlation_score(torch.tensor([[1.0, -1, 1, -1], [1, 1, -1, -1]])), 3)
        -2.0
    """
    import torch

    values = rows.detach().double()
    largest = values.abs().amax(dim=1)
    values = values - values.mean(dim=1, keepdim=True)
    products = values @ values.T
    lengths = products.diagonal().sqrt()
    if not bool(torch.isfinite(lengths).all()):
        return math.nan
    rounding = torch.finfo(torch.float32).eps * math.sqrt(values.shape[1]) * largest
    is_constant = lengths <= rounding
    if bool(is_constant.any()) and not counts_constant:
        return math.nan
    scale = torch.where(is_constant, 0.0, 1 / lengths)
    correlations = products * scale[:, None] * scale[None, :]
    found = torch.linalg.eigvalsh(correlations).clamp_min(0.0) + OFFSET
    return -float((found.log() + 1 / found).sum())


def cosine_score(rows: Tensor) -> float:
    """Returns 1 - sum |c| ** (1 / 20) / (2 (n^2 - n)) over the cosines c of different rows.

    From 0.5 (all rows in line) to 1 (all at right angles). Celotti et al. 2020, "Improving
    Zero-Shot Neural Architecture Search with Parameters Scoring", as in
    aaronserianni/training-free-nas, whose sum takes in the diagonal, a row's cosine with itself
    less 1: exactly 0 there, since its library sets a row's distance from itself to 0. NaN where a
    row is zero or not finite.

    Args:
        rows: [n, m], n at least 2.

    Example:
        >>> import torch
        >>> cosine_score(torch.eye(3)), cosine_score(torch.ones(3, 2))
        (1.0, 0.5)
    """
    import torch

    n = len(rows)
    values = rows.detach().double()
    products = values @ values.T
    scale = products.diagonal().rsqrt()  # infinite for a zero row: 0 times it is NaN
    cosines = (products * scale[:, None] * scale[None, :]).fill_diagonal_(0.0)
    cosines = torch.where(torch.isfinite(scale).all(), cosines, math.nan)
    return 1 - float(cosines.abs().clamp_max(1.0).pow(1 / 20).sum()) / (2 * (n * n - n))
