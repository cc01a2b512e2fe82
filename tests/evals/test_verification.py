"""The check of the evidence: its truth is brute force, and one small run is honest."""

from pathlib import Path

import numpy as np
import pytest

from vitruvius.evals.studies.verification import (
    NULLS,
    PLANTER,
    Claim,
    PlantedCell,
    Start,
    Verified,
    field_of,
    flaps,
    summarise,
    verify,
)
from vitruvius.graphs.search.prune import EVIDENCE
from vitruvius.memory.records import PERSON, CutRecord
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.rules import RangeCondition, Rule, SlotCondition


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


@pytest.mark.parametrize("start", ["cold", "wrong"])
def test_a_small_run_is_honest(shared_data: Path, start: Start) -> None:
    run = verify(str(shared_data / "nas_bench_201.parquet"), "c100", 800, 32, start)
    figures = summarise([run])
    assert figures["coverage"] >= 0.9
    assert figures["wrong_signs"] == 0
    assert min(run.retained) >= 0.95
    looks = sorted({claim.trials for claim in run.claims})
    for trials in looks:
        planted = [c for c in run.claims if c.author == PLANTER and c.trials == trials]
        assert len({claim.principle for claim in planted}) == NULLS
    assert len(looks) == len(run.retained)


def test_a_run_that_recalls_a_misleading_one_is_honest(shared_data: Path) -> None:
    run = verify(str(shared_data / "nas_bench_201.parquet"), "c100", 800, 24, "inverted")
    assert len({claim.principle for claim in run.claims}) > NULLS
    assert summarise([run])["wrong_signs"] == 0
    assert run.retained[-1] >= 0.95


def test_a_flap_is_a_cut_that_comes_back() -> None:
    def cut(number: int, slot: str, undone_by: str | None) -> CutRecord:
        rule = Rule(stance="avoid", all=(SlotCondition(slot=slot, choices=("none",)),))
        return CutRecord(
            run_id="r",
            number=number,
            rule=rule,
            principle="P1.1",
            reason="",
            provisional=False,
            kept=0.8,
            top_loss_high=0.0,
            made_step=number,
            undone_step=None if undone_by is None else number + 1,
            undone_by=undone_by,
        )

    assert flaps([cut(1, "edge_0_1", EVIDENCE), cut(2, "edge_0_2", None)]) == 0
    assert flaps([cut(1, "edge_0_1", PERSON), cut(2, "edge_0_1", None)]) == 0
    assert flaps([cut(1, "edge_0_1", EVIDENCE), cut(2, "edge_0_1", None)]) == 1
