"""Other labels change nothing where traits are kept, and leave nothing where they are hidden."""

from pathlib import Path

import numpy as np
import pytest

from vitruvius.evals.cases import Case, build
from vitruvius.evals.disguise import DisguisedSpace
from vitruvius.evals.jobs import Job, run_job
from vitruvius.evals.protocols import nb201
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.slots import SlotSpace


@pytest.mark.parametrize("disguise", ["renamed", "hidden"])
def test_a_disguised_space_draws_and_moves_as_its_own(disguise: str) -> None:
    plain = Cell()
    space = DisguisedSpace(plain, disguise)  # type: ignore[arg-type]
    one, two = np.random.default_rng(5), np.random.default_rng(5)
    for _ in range(20):
        drawn, own = space.sample(one), plain.sample(two)
        assert space.to_inner(drawn) == own
        assert space.canonical(drawn) == drawn == space.parse(drawn.spec)
        assert [space.to_inner(a) for a in space.neighbours(drawn)] == plain.neighbours(own)
    members = space.members()
    assert members is not None
    assert [space.to_inner(a) for a in members] == list(plain.members())


def test_renamed_features_are_the_same_and_hidden_ones_say_nothing() -> None:
    plain = Cell()
    renamed, hidden = DisguisedSpace(plain, "renamed"), DisguisedSpace(plain, "hidden")
    drawn = [plain.sample(np.random.default_rng(seed)) for seed in range(10)]
    features = renamed.featurise([renamed.of_inner(a) for a in drawn])
    assert (features == plain.featurise(drawn)).all()
    assert [f.kind for f in renamed.features] == [f.kind for f in plain.features]
    told = [f for f in renamed.features if f.slot]
    words = " ".join(f"{f.name} {f.slot} {f.choice} {f.description}" for f in told)
    words += hidden.describe()
    assert not any(word in words for word in ("conv", "skip", "pool", "edge_", "none"))
    assert len(hidden.features) == 30 < len(SlotSpace.features.func(plain))


def test_the_agent_asks_the_same_under_other_labels(shared_data: Path) -> None:
    traces = [
        run_job(
            Job(
                case=Case(target=nb201("c100"), queries=14, disguise=disguise),  # type: ignore[arg-type]
                arm="cold",
                seed=1,
                data=shared_data,
            )
        )
        for disguise in ("", "renamed")
    ]
    assert traces[0].trace == traces[1].trace
    assert traces[0].steps == traces[1].steps


def test_a_disguised_table_answers_as_its_own(shared_data: Path) -> None:
    plain = build(Case(target=nb201("c10"), queries=1), shared_data, 0).truth
    case = Case(target=nb201("c10"), queries=1, disguise="hidden")
    other = build(case, shared_data, 0).truth
    assert list(other.values.values()) == list(plain.values.values())
    one, two = next(iter(plain.values)), next(iter(other.values))
    assert plain.task.costs(one) == other.task.costs(two)
    assert (plain.threshold, plain.best) == (other.threshold, other.best)
