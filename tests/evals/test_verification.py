"""The check of the evidence: its truth is brute force, and one small run is honest."""

from pathlib import Path

import numpy as np
import pytest

from vitruvius.evals.verification import (
    NULLS,
    Claim,
    PlantedCell,
    Verified,
    field_of,
    summarise,
    verify,
)
from vitruvius.spaces.cell import Cell
from vitruvius.spaces.rules import RangeCondition, Rule


def claim(author: str, standing: str, truth: float, principle: int = 1) -> Claim:
    return Claim(
        metric="c10",
        seed=0,
        trials=8,
        author=author,
        rule="",
        principle=principle,
        version=1,
        standing=standing,
        effect=1.0,
        low=0.5,
        high=1.5,
        truth=truth,
    )


def test_planted_features_are_coins_that_follow_the_architecture() -> None:
    space = PlantedCell()
    plain = Cell()
    drawn = [space.sample(np.random.default_rng(i)) for i in range(200)]
    features = space.featurise(drawn)
    assert features.shape[1] == len(space.features) == len(plain.features) + NULLS
    assert (features[:, :-NULLS] == plain.featurise(drawn)).all()
    coins = features[:, -NULLS:]
    assert (coins == space.featurise(drawn)[:, -NULLS:]).all()
    assert (abs(coins.mean(axis=0) - 0.5) < 0.15).all()


def test_truth_is_the_mean_difference_over_all_cells(shared_data: Path) -> None:
    field = field_of(str(shared_data / "nas_bench_201.parquet"), "c10")
    assert field.weights.sum() == pytest.approx(1)
    assert field.weights @ field.scores == pytest.approx(0, abs=0.01)
    assert field.weights @ field.scores**2 == pytest.approx(1, abs=0.05)
    assert field.top.sum() == pytest.approx(1)
    alive = Rule(stance="require", all=(RangeCondition(feature="paths", at_least=1),))
    assert field.effect(alive) > 1.5
    for i in range(NULLS):
        coin = Rule(stance="require", all=(RangeCondition(feature=f"coin_{i}", at_least=1),))
        assert abs(field.effect(coin)) < 0.02


def test_summary_counts_signs_nulls_and_coverage() -> None:
    claims = [
        claim("analyst", "supported", 1.0),
        claim("analyst", "supported", -0.1),
        claim("analyst", "candidate", -1.0),
        claim("null", "candidate", 0.0, principle=2),
        claim("null", "supported", 0.0, principle=3),
    ]
    figures = summarise([Verified(claims=claims, retained=[1.0, 0.9], kept=[1.0, 0.5])])
    assert figures["wrong_signs"] == 0.5
    assert figures["nulls_ever_supported"] == 0.5
    assert figures["coverage"] == pytest.approx(0.2)
    assert figures["runs_below_95_at_end"] == 1.0
    assert figures["kept_at_end"] == 0.5


def test_a_small_run_is_honest(shared_data: Path) -> None:
    run = verify(str(shared_data / "nas_bench_201.parquet"), "c100", 800, 48)
    figures = summarise([run])
    assert figures["coverage"] >= 0.9
    assert figures["wrong_signs"] == 0
    assert min(run.retained) >= 0.95
