"""Places for the nodes of a graph: layers from top to bottom, few crossings, straight long edges.

Sugiyama, Tagawa & Toda 1981: ranks by longest path, order by barycentres, long edges through
unseen places. The last step is exact: the least squares of a row that keeps its order and its gaps
are an isotonic regression.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

SWEEPS = 6
STARTS = 12
SETTLING = 120  # sweeps that move spots sideways
GAP = 18.0  # between neighbours of a row
STRAIGHT = 8.0  # how much more a long edge pulls than a short one


@dataclass(kw_only=True)
class Spot:
    """A place in a row: a node, the label of an edge, or where an edge passes."""

    name: str
    width: float
    height: float
    rank: int
    is_passed: bool  # by an edge; its label, if it has one, is here
    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Box:
    """The size of something to be placed."""

    width: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where everything is. `ways` are, for each edge, the names of the spots that it goes through.

    The middle one of an edge with a label is the label's.
    """

    spots: Mapping[str, Spot]
    ways: Sequence[tuple[str, ...]]
    labels: Mapping[int, str]  # spot of the label by the place of its edge
    width: float
    height: float


def lay_out(
    boxes: Mapping[str, Box],
    edges: Sequence[tuple[str, str]],
    labels: Mapping[int, Box],
    *,
    row_gap: float,
) -> Layout:
    """Returns places for nodes and labels.

    Args:
        boxes: sizes of the nodes by name.
        edges: start and end; no circle.
        labels: sizes of labels by the place of their edge.
        row_gap: between two rows; half of it where edges have labels.
    """
    step = 2 if labels else 1
    ranks = _ranks(list(boxes), edges, step)
    spots = {
        name: Spot(name=name, width=box.width, height=box.height, rank=ranks[name], is_passed=False)
        for name, box in boxes.items()
    }
    ways, named = [], {}
    for place, (start, end) in enumerate(edges):
        between = range(ranks[start] + 1, ranks[end])
        names = [f"{place}/{rank}" for rank in between]
        for name, rank in zip(names, between, strict=True):
            spots[name] = Spot(name=name, width=2, height=2, rank=rank, is_passed=True)
        if place in labels:
            middle = names[(len(names) - 1) // 2]
            spots[middle].width, spots[middle].height = labels[place].width, labels[place].height
            named[place] = middle
        ways.append((start, *names, end))
    rows = _ordered(spots, ways)
    _place_across(spots, ways, rows)
    height = _place_down(rows, row_gap / step)
    left = min(spot.x - spot.width / 2 for spot in spots.values())
    for spot in spots.values():
        spot.x -= left
    width = max(spot.x + spot.width / 2 for spot in spots.values())
    return Layout(spots=spots, ways=ways, labels=named, width=width, height=height)


def _ranks(names: Sequence[str], edges: Sequence[tuple[str, str]], step: int) -> dict[str, int]:
    """Returns the longest way to each node; sources move down to just above what reads them."""
    ranks = dict.fromkeys(names, 0)
    for _ in names:
        for start, end in edges:
            ranks[end] = max(ranks[end], ranks[start] + step)
    for name in names:
        after = [ranks[end] for start, end in edges if start == name]
        if after and not any(end == name for _, end in edges):
            ranks[name] = min(after) - step
    least = min(ranks.values(), default=0)
    return {name: rank - least for name, rank in ranks.items()}


def _ordered(spots: Mapping[str, Spot], ways: Sequence[tuple[str, ...]]) -> list[list[Spot]]:
    """Returns the rows, in the order with the fewest crossings that sweeping finds.

    Sweeps get stuck, so they start from several orders; the draws are the same every time.
    """
    above, below = _neighbours(ways)
    rows: list[list[Spot]] = [[] for _ in range(1 + max(spot.rank for spot in spots.values()))]
    for spot in spots.values():
        rows[spot.rank].append(spot)
    best, fewest = [list(row) for row in rows], _crossings(rows, below)
    shuffler = random.Random(0)
    for _ in range(STARTS):
        for sweep in range(SWEEPS):
            near, turned = (above, rows) if sweep % 2 == 0 else (below, rows[::-1])
            for row in turned:
                places = {s.name: p for other in rows for p, s in enumerate(other)}
                row.sort(key=_barycentre(near, places))
            crossings = _crossings(rows, below)
            if crossings < fewest:
                best, fewest = [list(row) for row in rows], crossings
            if not fewest:
                return best
        for row in rows:
            shuffler.shuffle(row)
    return best


def _barycentre(
    near: Mapping[str, list[str]], places: Mapping[str, int]
) -> Callable[[Spot], tuple[float, int]]:
    def key(spot: Spot) -> tuple[float, int]:
        found = [places[name] for name in near.get(spot.name, ())]
        middle = sum(found) / len(found) if found else float(places[spot.name])
        return middle, places[spot.name]

    return key


def _neighbours(
    ways: Sequence[tuple[str, ...]],
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    above: dict[str, list[str]] = {}
    below: dict[str, list[str]] = {}
    for way in ways:
        for start, end in itertools.pairwise(way):
            below.setdefault(start, []).append(end)
            above.setdefault(end, []).append(start)
    return above, below


def _crossings(rows: Sequence[Sequence[Spot]], below: Mapping[str, list[str]]) -> int:
    count = 0
    for row, after in itertools.pairwise(rows):
        places = {spot.name: place for place, spot in enumerate(after)}
        ends = [sorted(places[name] for name in below.get(spot.name, ())) for spot in row]
        for i, first in enumerate(ends):
            count += sum(a > b for second in ends[i + 1 :] for a in first for b in second)
    return count


def _place_across(
    spots: Mapping[str, Spot], ways: Sequence[tuple[str, ...]], rows: Sequence[list[Spot]]
) -> None:
    """Sets x: every spot as near to the middle of its neighbours as its row lets it."""
    above, below = _neighbours(ways)
    for row in rows:
        for place, offset in enumerate(_offsets(row)):
            row[place].x = offset
    for sweep in range(SETTLING):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wanted, weights = [], []
            for spot in row:
                names = above.get(spot.name, []) + below.get(spot.name, [])
                pulls = [STRAIGHT if spot.is_passed and spots[n].is_passed else 1.0 for n in names]
                total = sum(pulls)
                middle = sum(p * spots[n].x for p, n in zip(pulls, names, strict=True))
                wanted.append(middle / total if total else spot.x)
                weights.append(max(total, 0.1))
            offsets = _offsets(row)
            kept = _rising([w - o for w, o in zip(wanted, offsets, strict=True)], weights)
            for spot, value, offset in zip(row, kept, offsets, strict=True):
                spot.x = value + offset


def _offsets(row: Sequence[Spot]) -> list[float]:
    """Returns the least distance of each spot's middle from that of the first."""
    found = [0.0]
    for before, spot in itertools.pairwise(row):
        found.append(found[-1] + (before.width + spot.width) / 2 + GAP)
    return found


def _rising(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Returns the nearest values that do not fall (pool adjacent violators)."""
    pools: list[tuple[float, float, int]] = []  # mean, weight, length
    for value, weight in zip(values, weights, strict=True):
        pools.append((value, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, v, m), (b, w, n) = pools[-2:]
            pools[-2:] = [((a * v + b * w) / (v + w), v + w, m + n)]
    return [mean for mean, _, length in pools for _ in range(length)]


def _place_down(rows: Sequence[Sequence[Spot]], gap: float) -> float:
    top = 0.0
    for row in rows:
        tall = max((spot.height for spot in row), default=0.0)
        for spot in row:
            spot.y = top + tall / 2
        top += tall + gap
    return top - gap
