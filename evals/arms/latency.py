"""Searches for a trade-off between value and latency; latency is known beforehand to all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitruvius.evals.arms.arm import Arm, Given
from vitruvius.evals.arms.gaussian import distances, expected_improvement, posterior, raw_of
from vitruvius.evals.searches import run_search
from vitruvius.memory.transfer.source_hints import Source
from vitruvius.spaces.space import Architecture, FloatArray
from vitruvius.tasks.tables.plain_table import LATENCY
from vitruvius.tasks.task import Constraints

POPULATION = 20
FIRST_DRAWS = 5
CAPS = (1.0, 0.5, 0.25, 0.1)  # quantiles of latency, in turns
PART = 25  # queries of one search under one cap
TRUST = 0.9  # of the same task
MAX_STEPS = 2000


def latency_of(given: Given, architecture: Architecture) -> float:
    """Returns the known latency; infinity where there is none."""
    return (given.task().costs(architecture) or {}).get(LATENCY, np.inf)


def agent_under_caps(given: Given) -> None:
    """Searches under one cap after the other, each with what the others found as a source."""
    members = given.space.members() or ()
    known = [latency_of(given, member) for member in members]
    caps = np.quantile(np.array(known)[np.isfinite(known)], CAPS)
    sources: list[Source] = []
    for turn in range(MAX_STEPS):
        limit = Constraints(caps=((LATENCY, float(caps[turn % len(caps)])),))
        task = given.task(constraints=limit)
        searched = run_search(
            given.space,
            task,
            queries=PART,
            seed=given.seed + 1000 * turn,  # caps come again: another seed each time
            sources=sources,
        )
        sources.append(
            Source(
                run_id=f"part{turn}",
                task_name=task.name,
                space=given.space,
                metric=task.metric,
                trials=searched.trials,
                trust=TRUST,
            )
        )


def nsga2(given: Given) -> None:
    """NSGA-II (Deb et al. 2002) by mutation: the better front first, then the wider apart."""
    rng = given.rng()
    alive: list[Architecture] = []
    while len(alive) < POPULATION:
        drawn = given.space.sample(rng)
        given.oracle.ask(drawn)
        alive.append(drawn)
    for _ in range(MAX_STEPS):
        points = _points(given, alive)
        order = nsga2_order(points)
        alive = [alive[place] for place in order[:POPULATION]]
        parents = [alive[min(rng.integers(len(alive), size=2))] for _ in range(POPULATION)]
        alive = list(dict.fromkeys([*alive, *(given.space.mutate(p, rng) for p in parents)]))


def _points(given: Given, architectures: list[Architecture]) -> FloatArray:
    return np.array([[-given.oracle.ask(a), latency_of(given, a)] for a in architectures])


def nsga2_order(points: FloatArray) -> list[int]:
    """Returns places by front, and within a front by crowding distance; less is better [N, 2]."""
    left, order = list(range(len(points))), []
    while left:
        here = points[left]
        no_worse = (here[:, None] <= here[None]).all(axis=2)
        better = (here[:, None] < here[None]).any(axis=2)
        beaten = np.asarray((no_worse & better).any(axis=0))
        front = [place for place, is_beaten in zip(left, beaten, strict=True) if not is_beaten]
        left = [place for place, is_beaten in zip(left, beaten, strict=True) if is_beaten]
        crowding = _crowding(points[front])
        order += [front[place] for place in np.argsort(-crowding, kind="stable").tolist()]
    return order


def _crowding(points: FloatArray) -> FloatArray:
    found = np.zeros(len(points))
    for column in points.T:
        order = np.argsort(column, kind="stable")
        spread = column[order[-1]] - column[order[0]]
        found[order[[0, -1]]] = np.inf
        if spread > 0:
            found[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / spread
    return found


def gp_trade_off(given: Given) -> None:
    """Expected hypervolume improvement; the value has the plain process, the latency is known.

    Values below the median seen count as the median: broken architectures say nothing here.
    """
    rng, raw = given.rng(), raw_of(given.space)
    costs = np.array([latency_of(given, a) for a in raw.architectures])
    places: dict[Architecture, list[int]] = {a: [] for a in raw.architectures}
    for place, architecture in enumerate(raw.architectures):
        places[architecture].append(place)
    far: NDArray[np.float32] = np.empty((0, len(raw)), dtype=np.float32)
    asked: list[int] = []
    values: list[float] = []
    closed = ~np.isfinite(costs)
    most = float(costs[~closed].max())
    gain = rng.random(len(raw))
    while not closed.all():
        row = int(np.argmax(np.where(closed, -np.inf, gain)))
        # combinations that lead to the same member are one question
        closed[places[raw.architectures[row]]] = True
        asked.append(row)
        values.append(given.oracle.ask(raw.architectures[row]))
        far = np.vstack([far, distances(raw.choices[[row]], raw.choices)])
        if len(asked) >= FIRST_DRAWS:
            seen = np.maximum(values, np.median(values))
            scores = (seen - seen.mean()) / (seen.std() + 1e-9)
            mean, deviation = posterior(far[:, asked], far, scores)
            gain = hypervolume_gain(scores, costs[asked], mean, deviation, costs, most)


def hypervolume_gain(
    scores: FloatArray,
    paid: FloatArray,
    mean: FloatArray,
    deviation: FloatArray,
    costs: FloatArray,
    most: float,
) -> FloatArray:
    """Returns the expected growth of the area that is dominated, for candidates of known cost.

    The front is a staircase: over each of its steps the growth is an expected improvement.

    Args:
        scores: of what was tried [N].
        paid: costs of what was tried [N].
        mean: of the candidates [M].
        deviation: of the candidates [M].
        costs: of the candidates [M].
        most: where the area ends.
    """
    level, left = float(scores.min()), -np.inf
    found = np.zeros(len(mean))
    order = np.argsort(paid, kind="stable")
    for right, score in [*zip(paid[order], scores[order], strict=True), (most, np.inf)]:
        if score > level:
            width = np.clip(right - np.maximum(costs, left), 0.0, None)
            found += width * expected_improvement(mean, deviation, level)
            level, left = float(score), float(right)
    return found


ARMS = (
    Arm(
        name="agent under caps",
        about="the agent under four latency caps in turn, earlier parts as sources",
        run=agent_under_caps,
    ),
    Arm(name="nsga2", about="NSGA-II by mutation", run=nsga2),
    Arm(
        name="gp trade-off",
        about="expected hypervolume improvement under the process of gp-ei",
        run=gp_trade_off,
    ),
)
