"""The direction of the best points where they lie, and says nothing of a random handful."""

import numpy as np

from vitruvius.memory.transfer.source_hints import direction_of_best
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.space import FloatArray

SPACE = Cell()


def cells(count: int, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    return SPACE.featurise([SPACE.sample(rng) for _ in range(count)])


def test_the_best_lie_in_their_direction() -> None:
    features = cells(300)
    column = [feature.name for feature in SPACE.features].index("share(kind=conv)")
    best = features[np.argsort(-features[:, column])[:20]]
    found = direction_of_best(SPACE, best, np.arange(20.0))
    assert found is not None
    assert found.sure > 0.8
    there = cells(300, seed=1)
    assert np.corrcoef(found.at(there), there[:, column])[0, 1] > 0.7


def test_a_random_handful_is_no_direction() -> None:
    rng = np.random.default_rng(0)
    found = [direction_of_best(SPACE, cells(100, n), rng.standard_normal(100)) for n in range(8)]
    assert np.median([one.sure for one in found if one is not None]) < 0.4


def test_of_a_sample_of_the_space_only_the_best_tenth_counts() -> None:
    features, scores = cells(100), np.arange(100.0)
    one = direction_of_best(SPACE, features, scores)
    scores[:90] = np.random.default_rng(0).permutation(90)
    other = direction_of_best(SPACE, features, scores)
    assert one is not None
    assert other is not None
    assert (one.way == other.way).all()


def test_too_few_say_nothing() -> None:
    assert direction_of_best(SPACE, cells(4), np.arange(4.0)) is None
