"""Cholesky factors by LAPACK itself: for small matrices SciPy's checks cost more than the work."""

from __future__ import annotations

import numpy as np
from scipy.linalg.blas import dtrsm
from scipy.linalg.lapack import dpotrf, dtrtrs

from vitruvius.spaces.space import FloatArray


def lower_factor(matrix: FloatArray) -> FloatArray:
    """Returns the lower Cholesky factor of a symmetric positive definite matrix [N, N].

    Raises:
        numpy.linalg.LinAlgError: if it is not positive definite.
    """
    if not len(matrix):
        return matrix
    factor, info = dpotrf(matrix, lower=1, clean=1)
    if info != 0:
        raise np.linalg.LinAlgError(f"the matrix of {len(matrix)} rows is not positive definite")
    return np.asarray(factor)


def solve_lower(factor: FloatArray, right: FloatArray) -> FloatArray:
    """Returns factor^-1 right for a lower factor [N, N] and a vector [N] or matrix [N, M]."""
    if not len(factor):
        return right
    if right.ndim == 1:
        return np.asarray(dtrtrs(factor, right, lower=1)[0])
    # From the right, on the transpose: LAPACK's way of storing it, so that nothing is copied over.
    return np.asarray(dtrsm(1.0, factor, right.T, side=1, lower=1, trans_a=1)).T
