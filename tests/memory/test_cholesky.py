"""The factors are those of SciPy."""

import numpy as np
import pytest
from scipy.linalg import cholesky, solve_triangular

from vitruvius.memory.model.gaussian_process import lower_factor, solve_lower


@pytest.mark.parametrize("n", [1, 2, 17, 60])
def test_factor_and_solutions_agree_with_scipy(n: int) -> None:
    rng = np.random.default_rng(n)
    points = rng.normal(size=(n, 5))
    matrix = points @ points.T + np.eye(n)
    kept = matrix.copy()
    factor = lower_factor(matrix)
    assert (matrix == kept).all()
    np.testing.assert_allclose(factor, cholesky(matrix, lower=True), rtol=1e-12, atol=1e-12)
    for right in (rng.normal(size=n), rng.normal(size=(n, 3)), rng.normal(size=(40, n)).T):
        before = right.copy()
        solved = solve_lower(factor, right)
        assert solved.shape == right.shape
        assert (right == before).all()
        np.testing.assert_allclose(solved, solve_triangular(factor, right, lower=True), atol=1e-12)


def test_nothing_has_an_empty_factor() -> None:
    assert solve_lower(lower_factor(np.empty((0, 0))), np.empty((0, 4))).shape == (0, 4)


def test_an_indefinite_matrix_is_refused() -> None:
    with pytest.raises(np.linalg.LinAlgError, match="2 rows"):
        lower_factor(np.array([[1.0, 2.0], [2.0, 1.0]]))
