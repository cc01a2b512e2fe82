"""The analyst proposes new architectures of the region, deterministically, whatever the space."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vitruvius.agents.analyst.analyst import Analyst
from vitruvius.agents.chairs.view import PrincipleView, RunView
from vitruvius.budget import Budget
from vitruvius.errors import ToolError
from vitruvius.memory.records import Origin, ResultStatus, Spent, Standing, Trial
from vitruvius.memory.testing import closed_trial, first_version
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.macro import Macro
from vitruvius.spaces.pool import Pool
from vitruvius.spaces.region import Cut, Region
from vitruvius.spaces.rules import RangeCondition, Rule, SlotCondition
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Architecture, Choice, SearchSpace, Slot
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import Constraints, Fidelity, Metric

Value = Callable[[Architecture], float | ResultStatus]


class Toy:
    """A task as far as the analyst looks at it."""

    name = id = ref = "toy"
    constraints = Constraints()
    fidelity = Fidelity(epochs=8)
    is_noisy = False

    def __init__(self, direction: str = "max") -> None:
        self.metric = Metric.__call__(name="score", direction=direction)  # type: ignore[arg-type]

    def describe(self) -> str:
        return "a toy"


class Bare:
    """A space without slots that lists no members: words over three letters."""

    name, id, ref = "bare", "bare-00000000", "bare"
    slots = ()

    def __init__(self) -> None:
        self._slotted = SlotSpace(
            "bare",
            [
                Slot(
                    name=f"s{i}",
                    choices=tuple(Choice(name=n, value=v) for v, n in enumerate("abc")),
                )
                for i in range(10)
            ],
        )
        self.features = tuple(replace(f, slot=None) for f in self._slotted.features)

    def members(self) -> None:
        return None

    def __getattr__(self, name: str):  # type: ignore[no-untyped-def]
        return getattr(self._slotted, name)


def view_of(
    space: SearchSpace,
    trials: Sequence[Trial],
    *,
    k: int = 1,
    seed: int = 0,
    region: Region | None = None,
    principles: Sequence[PrincipleView] = (),
    direction: str = "max",
) -> RunView:
    region = region or Region(space)
    return RunView(
        run_id="run",
        step=len(trials),
        seed=seed,
        space=space,
        task=Toy(direction),
        region=region,
        trials=trials,
        principles=principles,
        cuts=region.cuts,
        decisions=(),
        calibrations=(),
        noise=None,
        budget=Budget(),
        spent=Spent(trials=len(trials), wall_s=0.0, tokens=0, dollars=0.0),
        k=k,
        proxies=(),
    )


def decide(view: RunView) -> list[Architecture]:
    proposal = asyncio.run(Analyst().decide(view))
    assert proposal.author == "analyst"
    assert proposal.decision.tool == "train"
    assert 10 < len(proposal.decision.reason) < 600
    return [view.space.parse(spec) for spec in proposal.decision.architectures]


def search(space: SearchSpace, value: Value, count: int, **how: object) -> list[Trial]:
    """Four uniform draws, then the analyst alone."""
    trials: list[Trial] = []
    rng = np.random.default_rng(0)
    while len(trials) < count:
        number = len(trials) + 1
        if number <= 4:
            picks, origin = [space.sample(rng)], Origin.EXPLORE
        else:
            view = view_of(space, trials, seed=number, **how)  # type: ignore[arg-type]
            picks, origin = decide(view), Origin.ARCHITECT
        for architecture in picks:
            found = value(architecture)
            failed = isinstance(found, ResultStatus)
            trials.append(
                closed_trial(
                    len(trials) + 1,
                    architecture,
                    None if isinstance(found, ResultStatus) else found,
                    origin=origin,
                    status=found if isinstance(found, ResultStatus) else None,
                )
            )
            assert failed or trials[-1].value is not None
    return trials


def convolutions(architecture: Architecture) -> float:
    return float(sum("conv" in choice for choice in architecture.spec.values()))


def width(architecture: Architecture) -> float:
    spec = architecture.spec
    return float(spec["width"]) * 0.1 + float(spec["depth"]) - 2 * (spec["normalisation"] == "none")


def letters(architecture: Architecture) -> float:
    return float(sum(choice == "c" for choice in architecture.spec.values()))


SPACES: list[tuple[SearchSpace, Value]] = [
    (Cell(), convolutions),
    (Macro(), width),
    (Pool(Cell(), [Cell().sample(np.random.default_rng(i)) for i in range(60)]), convolutions),
    (Bare(), letters),  # type: ignore[list-item]
]
NAMES = ["cell", "macro", "pool", "bare"]


@pytest.mark.parametrize(("space", "value"), SPACES, ids=NAMES)
def test_a_search_never_repeats_and_beats_random(space: SearchSpace, value: Value) -> None:
    trials = search(space, value, 24)
    tried = [trial.architecture for trial in trials]
    assert len(set(tried[4:])) == 20
    assert not set(tried[:4]) & set(tried[4:])
    assert all(space.canonical(a) == a for a in tried)
    rng = np.random.default_rng(1)
    drawn = sorted(float(value(space.sample(rng))) for _ in range(400))  # type: ignore[arg-type]
    found = max(trial.value or 0.0 for trial in trials)
    assert found >= drawn[-4]


@pytest.mark.parametrize(("space", "value"), SPACES, ids=NAMES)
def test_the_same_view_gives_the_same_decision(space: SearchSpace, value: Value) -> None:
    trials = search(space, value, 12)
    for upto in (2, 12):
        first, second = (decide(view_of(space, trials[:upto], k=3, seed=5)) for _ in range(2))
        assert first == second
    others = {decide(view_of(space, trials[:2], seed=seed))[0] for seed in range(10)}
    assert len(others) > 1


@pytest.mark.parametrize(("space", "value"), SPACES, ids=NAMES)
def test_a_batch_has_k_different_new_architectures(space: SearchSpace, value: Value) -> None:
    trials = search(space, value, 12)
    for upto in (3, 12):
        picks = decide(view_of(space, trials[:upto], k=6))
        assert len(set(picks)) == 6
        assert not set(picks) & {trial.architecture for trial in trials[:upto]}


def test_a_batch_spreads() -> None:
    """Its picks differ more from each other than the six highest bounds alone do."""
    space = Cell()
    trials = search(space, convolutions, 12)
    batch = decide(view_of(space, trials, k=6))
    one = decide(view_of(space, trials))[0]
    assert batch[0] == one
    assert len({tuple(sorted(a.spec.values())) for a in batch}) > 1


def test_less_is_better_when_the_metric_says_so() -> None:
    trials = search(Cell(), lambda a: 10 - convolutions(a), 20, direction="min")
    assert min(trial.value or 0.0 for trial in trials) <= 10 - 5


@pytest.mark.parametrize("upto", [2, 12])
def test_it_stays_inside_the_region(upto: int) -> None:
    space = Cell()
    trials = search(space, convolutions, 12)
    rule = Rule(
        stance="avoid", all=(SlotCondition(slot="edge_0_3", choices=("nor_conv_3x3", "none")),)
    )
    region = Region(space).with_cut(Cut(number=1, rule=rule, principle="P1.1", reason=""))
    for pick in decide(view_of(space, trials[:upto], k=8, region=region)):
        assert region.contains(pick)


@pytest.mark.parametrize("upto", [0, 59, 60])
def test_an_exhausted_region_is_said_so(upto: int) -> None:
    space, _ = SPACES[2]
    members = space.members() or ()
    trials = [closed_trial(i + 1, a, float(i % 7)) for i, a in enumerate(list(members)[:upto])]
    left = len(members) - upto
    if left > 0:
        assert len(decide(view_of(space, trials, k=8))) == min(8, left)
        return
    with pytest.raises(ToolError, match="nothing untried is left"):
        decide(view_of(space, trials, k=8))


def test_what_diverges_is_avoided() -> None:
    space = Macro()

    def value(architecture: Architecture) -> float | ResultStatus:
        if architecture.spec["activation"] == "tanh":
            return ResultStatus.DIVERGED
        return width(architecture)

    late = [t.architecture.spec["activation"] for t in search(space, value, 30)[20:]]
    assert late.count("tanh") <= 2


def test_what_breaks_a_constraint_is_avoided() -> None:
    """The cap cuts through the best: a plain failure says nothing of how good it would be."""
    space = Cell()

    def value(architecture: Architecture) -> float | ResultStatus:
        found = convolutions(architecture)
        return ResultStatus.FAILED if found > 4 else found

    trials = search(space, value, 40)
    failed = [trial.status == ResultStatus.FAILED for trial in trials]
    assert max(trial.value or 0.0 for trial in trials) == 4.0
    assert sum(failed[20:]) < 10


def test_all_trials_failed_is_survived() -> None:
    trials = search(Cell(), lambda a: ResultStatus.OUT_OF_MEMORY, 8)
    trials += [
        closed_trial(9 + i, t.architecture, None, status=ResultStatus.FAILED)
        for i, t in enumerate(search(Macro(), lambda a: ResultStatus.FAILED, 5)[:0])
    ]
    assert len(trials) == 8


def told(rule: Rule, effect: float, trust: float = 1.0) -> PrincipleView:
    return PrincipleView(
        version=first_version(1, rule, "another run"),
        standing=Standing.CANDIDATE,
        trust=trust,
        source_effect=effect,
        evidence=None,
    )


def test_earlier_runs_are_heard_early_and_overruled_late() -> None:
    """A recalled rule steers while there are few trials, and not against what they say."""
    space = Cell()
    rule = Rule(stance="require", all=(RangeCondition(feature="share(kind=pool)", at_least=0.5),))
    trials = search(space, convolutions, 40)

    def pooling(upto: int, principles: Sequence[PrincipleView]) -> float:
        picks = decide(view_of(space, trials[:upto], k=8, principles=principles))
        return float(np.mean([list(p.spec.values()).count("avg_pool_3x3") for p in picks]))

    assert pooling(5, [told(rule, 2.0)]) > pooling(5, []) + 0.5
    assert pooling(40, [told(rule, 2.0)]) == pooling(40, [])
    assert pooling(5, [told(rule, 2.0, trust=0.0)]) == pooling(5, [])


def test_cold_start_on_the_table(shared_data: Path) -> None:
    """Three seeds on CIFAR-10 reach the best 0.1 % within 25 queries; 200 seeds: evals."""
    from vitruvius.evals.cases import Case
    from vitruvius.evals.jobs import Job, run_job
    from vitruvius.evals.protocols import nb201

    case = Case(target=nb201("c10"), queries=25)
    for seed in (900, 901, 902):
        job = Job(case=case, arm="cold", seed=seed, data=shared_data)
        outcome = run_job(job)
        assert outcome.hit is not None
        assert run_job(job).trace == outcome.trace


def test_one_query_is_random_when_nothing_is_known(shared_data: Path) -> None:
    task = load_task(f"table:{shared_data / 'nas_bench_201.parquet'},metric=c10")
    view = replace(view_of(Cell(), []), task=task)
    assert len(decide(view)) == 1
