"""Pools: a space restricted to listed architectures."""

from __future__ import annotations

import numpy as np
import pytest

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.cells.cell import Cell, from_string
from vitruvius.spaces.pool import NEAREST, Pool
from vitruvius.spaces.region import Cut, Region
from vitruvius.spaces.rules import RangeCondition, Rule
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Builder


@pytest.fixture(scope="module")
def pool() -> Pool:
    return Pool(Cell(), Cell().members()[::50])


def test_members_are_canonical_and_distinct() -> None:
    twins = [
        from_string("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"),
        from_string("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|"),
    ]
    pool = Pool(Cell(), twins)
    assert list(pool.members()) == [twins[0]]
    assert pool.neighbours(twins[0]) == []
    with pytest.raises(ToolError, match="no member besides"):
        pool.mutate(twins[0], np.random.default_rng(0))


def test_an_empty_pool_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        Pool(Cell(), [])


def test_sampling_is_uniform(pool: Pool) -> None:
    rng = np.random.default_rng(0)
    drawn = [pool.sample(rng) for _ in range(100 * len(pool.members()))]
    counts = [drawn.count(member) for member in pool.members()]
    assert min(counts) > 50
    assert max(counts) < 160


def test_neighbours_are_the_nearest_by_features(pool: Pool) -> None:
    features = pool.featurise(pool.members())
    spread = np.ptp(features, axis=0)
    scaled = features[:, spread > 0] / spread[spread > 0]
    for place in (0, 17, 60):
        near = pool.neighbours(pool.members()[place])
        distance = np.abs(scaled - scaled[place]).sum(axis=1)
        distance[place] = np.inf
        found = sorted(distance[pool.members().index(member)] for member in near)
        np.testing.assert_allclose(found, np.sort(distance)[:NEAREST])


def test_a_stranger_has_neighbours_but_does_not_parse(pool: Pool) -> None:
    stranger = next(cell for cell in Cell().members() if cell not in pool.members())
    assert len(pool.neighbours(stranger)) == NEAREST
    with pytest.raises(ToolError, match=r"not among the 99 listed .* nearest are \{"):
        pool.parse(stranger.spec)


def test_a_pool_builds_what_its_space_builds(pool: Pool) -> None:
    assert isinstance(pool, Builder)
    assert not isinstance(Pool(SlotSpace("s", Cell().slots), pool.members()), Builder)
    assert pool.id == Cell().id


def test_pools_are_equal_when_their_members_are(pool: Pool) -> None:
    assert Pool(Cell(), pool.members()) == pool
    assert Pool(Cell(), pool.members()[1:]) != pool
    assert Pool(Cell(channels=4), pool.members()) != pool
    assert hash(Pool(Cell(), pool.members())) == hash(pool)


def test_a_region_of_a_pool_counts_members(pool: Pool) -> None:
    rule = Rule(stance="require", all=(RangeCondition(feature="depth", at_least=1),))
    region = Region(pool).with_cut(Cut(number=1, rule=rule, principle="P1.1", reason="test"))
    share = region.mask(pool.featurise(pool.members())).mean()
    assert region.fraction() == pytest.approx(share, abs=0.03)
