"""Which features two spaces share, and how their values compare."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_space import NARROW, WIDE, plain
from scipy.stats import rankdata, spearmanr

from vitruvius.memory.transfer.space_overlap import match, quantiles
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.cells.transnas import TransNas
from vitruvius.spaces.macro import Macro
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Choice, Slot, reference_features
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.table import TabularTask

NB201, TRANSNAS, MACRO = Cell(), TransNas(), Macro()


@given(
    values=st.lists(st.integers(-5, 5), min_size=1, max_size=30),
    reference=st.lists(st.integers(-5, 5), min_size=1, max_size=30),
)
def test_quantiles_are_midranks(values: list[int], reference: list[int]) -> None:
    found = quantiles(np.array(values, dtype=float), np.array(sorted(reference), dtype=float))
    sample = np.array(reference)
    slow = [((sample < v).sum() + (sample <= v).sum()) / (2 * len(sample)) for v in values]
    np.testing.assert_allclose(found, slow)
    own = quantiles(sample.astype(float), np.sort(sample).astype(float))
    np.testing.assert_allclose(own, (rankdata(sample) - 0.5) / len(sample))


@pytest.mark.parametrize("space", [NB201, TRANSNAS, MACRO, NARROW], ids=lambda s: s.name)
def test_a_space_matches_itself(space: SlotSpace) -> None:
    matching = match(space, space)
    features = reference_features(space)
    assert matching.is_one_family
    assert (matching.share, matching.reason) == (1.0, "")
    assert matching.in_source(features) is features
    assert matching.common(features) is features


def test_the_skeleton_makes_no_other_family() -> None:
    assert match(NB201, Cell(channels=8, cells=3)).is_one_family


def test_numbers_compare_by_rank_whatever_their_unit() -> None:
    matching = match(WIDE, NARROW)
    assert {"width", "depth", "share(kind=conv)", "layer_0=conv"} <= set(matching.names)
    rng = np.random.default_rng(0)
    draws = [NARROW.sample(rng) for _ in range(50)]
    to_wide = dict(zip(("8", "16", "24", "32"), ("100", "200", "400", "1000"), strict=True))
    twins = [WIDE.parse({**a.spec, "width": to_wide[a.spec["width"]]}) for a in draws]
    np.testing.assert_allclose(
        matching.in_source(NARROW.featurise(draws)), matching.common(WIDE.featurise(twins))
    )


def test_what_the_target_does_not_know_is_neutral() -> None:
    fixed = plain("fixed", (8,))
    matching = match(WIDE, fixed)
    width = [feature.name for feature in WIDE.features].index("width")
    average = reference_features(WIDE)[:, width].mean()
    assert (matching.in_source(reference_features(fixed))[:, width] == average).all()
    assert (matching.common(reference_features(WIDE))[:, width] == average).all()
    assert matching.share < 1


def test_cells_of_two_benchmarks_share_edges_shares_and_paths() -> None:
    matching = match(NB201, TRANSNAS)
    assert set(matching.names) == {feature.name for feature in TRANSNAS.features}
    assert matching.names == tuple(f.name for f in NB201.features if f.name in matching.names)
    assert set(match(TRANSNAS, NB201).names) == set(matching.names)


def test_the_same_name_of_another_kind_is_another_feature() -> None:
    assert {"depth"} <= {f.name for f in MACRO.features} & {f.name for f in NB201.features}
    matching = match(MACRO, NB201)  # a slot's number here, a count there
    assert matching.names == ()
    assert matching.reason == "macro and nb201 have no feature in common."
    assert matching.share == 0


def test_too_little_in_common_is_said() -> None:
    other = SlotSpace(
        "other",
        [Slot(name="width", choices=tuple(Choice(name=str(w), value=w) for w in (1, 2)))],
        ref="",
    )
    matching = match(NARROW, other)
    assert matching.names == ("width",)
    assert matching.reason.startswith("narrow and other have only width in common; at least 3")


def test_a_feature_that_never_varies_says_nothing() -> None:
    fixed = plain("fixed", (8,))
    assert "width" not in match(NARROW, fixed).names
    assert "width" not in match(fixed, NARROW).names


def test_what_is_learned_of_one_benchmark_ranks_the_cells_of_another(shared_data: Path) -> None:
    """A linear model of NAS-Bench-201 over the matched columns, told of TransNAS-Bench-101."""
    source = load_task(f"table:{shared_data / 'nas_bench_201.parquet'},metric=c10")
    target = load_task(f"table:{shared_data / 'transnas_bench_101_micro.parquet'}")
    assert isinstance(source, TabularTask)
    assert isinstance(target, TabularTask)
    matching = match(NB201, TRANSNAS)
    values = source.all_values()
    ranks = rankdata([value for value, _ in values.values()])
    known = matching.common(NB201.featurise(list(values)))
    known = np.hstack([known, np.ones((len(known), 1))])
    weights = np.linalg.solve(known.T @ known + np.eye(known.shape[1]), known.T @ ranks)
    cells = TRANSNAS.members()
    told = matching.in_source(TRANSNAS.featurise(cells)) @ weights[:-1]
    scores = [value for value, _ in map(target.all_values().get, cells)]
    assert spearmanr(told, scores)[0] > 0.55
