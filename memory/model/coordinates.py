"""Features as coordinates in which distances mean something, group by group."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vitruvius.spaces.space import Feature, FloatArray, SearchSpace, reference_features

FAMILY = 5  # so many features `name(...)` form a group of their own


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Affine map of (square roots of) features; `groups` are its columns by group.

    Each group is scaled so that two draws of the space's sampler lie at mean squared distance 1
    in it, so no group speaks louder for having more columns.
    """

    names: tuple[str, ...]
    groups: tuple[slice, ...]
    columns: tuple[int, ...]
    roots: FloatArray  # 1 where the square root is taken
    centre: FloatArray
    scale: FloatArray

    def of(self, features: FloatArray) -> FloatArray:
        """Returns the coordinates [N, D] of a feature matrix [N, F]."""
        chosen = features[:, list(self.columns)]
        rooted = self.roots > 0
        chosen[:, rooted] = np.sqrt(np.maximum(chosen[:, rooted], 0))
        chosen -= self.centre
        chosen /= self.scale
        return chosen


@lru_cache(maxsize=16)
def coordinates(space: SearchSpace) -> Coordinates:
    """Returns the coordinates of a space, from its features' kinds and its sampler's draws.

    Groups: choices at slots; families of `FAMILY` or more features named alike (`share(...)`,
    `paths(...)`); everything else. Columns of the first two keep their common unit, so that
    choices stay exchangeable; the others are standardised. Counts enter as square roots.
    """
    features = space.features
    families = Counter(_family(feature) for feature in features)
    labels = [_group(feature, families) for feature in features]
    reference = reference_features(space)
    varies = reference.std(axis=0) > 1e-9
    columns: list[int] = []
    groups, names, roots, centre, scale = [], [], [], [], []
    for label in dict.fromkeys(labels):
        members = [i for i, each in enumerate(labels) if each == label and varies[i]]
        if not members:
            continue
        rooted = [float(features[i].kind == "count" and label.endswith("(")) for i in members]
        drawn = reference[:, members]
        drawn = np.where(np.array(rooted) > 0, np.sqrt(np.maximum(drawn, 0)), drawn)
        spread = drawn.std(axis=0)
        unit = spread if label == "form" else np.ones(len(members))
        # mean squared distance of two independent draws is twice the summed variance
        total = np.sqrt(2 * ((spread / unit) ** 2).sum())
        groups.append(slice(len(columns), len(columns) + len(members)))
        names.append(label)
        columns += members
        roots += rooted
        centre += drawn.mean(axis=0).tolist()
        scale += (unit * total).tolist()
    return Coordinates(
        tuple(names),
        tuple(groups),
        tuple(columns),
        np.array(roots),
        np.array(centre),
        np.array(scale),
    )


def _family(feature: Feature) -> str:
    return feature.name.split("(")[0] + "(" if "(" in feature.name else feature.name


def _group(feature: Feature, families: Counter[str]) -> str:
    if feature.choice is not None:
        return "choices"
    family = _family(feature)
    return family if family.endswith("(") and families[family] >= FAMILY else "form"
