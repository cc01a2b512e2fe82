import math

import pytest
import torch

from vitruvius.tools.proxies.spectra import OFFSET, correlation_score, cosine_score


def of_eigenvalues(*values: float) -> float:
    return -sum(math.log(v + OFFSET) + 1 / (v + OFFSET) for v in values)


UNCORRELATED = torch.tensor([[1.0, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])


def test_uncorrelated_rows_have_the_largest_score() -> None:
    assert correlation_score(UNCORRELATED) == pytest.approx(of_eigenvalues(1, 1, 1))
    torch.manual_seed(0)
    assert correlation_score(torch.randn(3, 50)) < correlation_score(UNCORRELATED)


def test_a_direction_that_is_lost_costs_a_hundred_thousand() -> None:
    twice = torch.cat([UNCORRELATED, -3 * UNCORRELATED[:1] + 7])
    assert correlation_score(twice) == pytest.approx(of_eigenvalues(2, 1, 1, 0))
    assert of_eigenvalues(0) == pytest.approx(-1e5, rel=1e-3)


def test_a_constant_row_is_a_direction_lost_or_as_published_no_number() -> None:
    dead = torch.cat([UNCORRELATED, torch.full((1, 4), 0.3)])
    assert correlation_score(dead) == pytest.approx(of_eigenvalues(1, 1, 1, 0))
    assert math.isnan(correlation_score(dead, counts_constant=False))


def test_scale_shift_and_order_do_not_matter() -> None:
    torch.manual_seed(0)
    rows = torch.randn(6, 40)
    scale = torch.tensor([1e-3, 1.0, 5.0, 1e4, 2.0, 1e8])[:, None]
    moved = (rows * scale + 3 * scale)[torch.randperm(6)][:, torch.randperm(40)]
    assert correlation_score(moved) == pytest.approx(correlation_score(rows), rel=1e-4)
    turned = rows[torch.randperm(6)] * scale
    assert cosine_score(turned) == pytest.approx(cosine_score(rows), rel=1e-5)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_rows_that_are_not_finite_have_no_score(bad: float) -> None:
    rows = UNCORRELATED.clone()
    rows[1, 2] = bad
    assert math.isnan(correlation_score(rows))
    assert math.isnan(cosine_score(rows))


def test_large_finite_rows_have_a_score() -> None:
    assert correlation_score(UNCORRELATED * 1e30) == pytest.approx(of_eigenvalues(1, 1, 1))
    assert cosine_score(UNCORRELATED * 1e30) == pytest.approx(1.0)


def test_cosines_range_from_a_half_to_one() -> None:
    assert cosine_score(torch.eye(4)) == 1.0
    assert cosine_score(torch.tensor([[1.0, 2], [2, 4], [-1, -2]])) == pytest.approx(0.5)
    half = cosine_score(torch.tensor([[1.0, 0], [0.5, math.sqrt(0.75)]]))
    assert half == pytest.approx(1 - 0.5 ** (1 / 20) / 2)


def test_a_zero_row_has_no_cosines() -> None:
    assert math.isnan(cosine_score(torch.tensor([[1.0, 0.0], [0.0, 0.0]])))


def test_a_rows_cosine_with_itself_takes_no_part() -> None:
    torch.manual_seed(0)
    rows = torch.randn(5, 1000).double()
    rows /= rows.norm(dim=1, keepdim=True)
    pairs = [abs(float(rows[i] @ rows[j])) for i in range(5) for j in range(5) if i != j]
    expected = 1 - sum(pair ** (1 / 20) for pair in pairs) / 2 / len(pairs)
    assert cosine_score(rows) == pytest.approx(expected, abs=1e-9)
