"""What two spaces both know: features, how their values compare, rules and architectures.

A feature is the same in two spaces if it has the same name and kind, and says something only where
it varies in both. Shares and booleans mean the same as they stand. Counts and ordinals do not (six
layers are many here and few there): they compare as quantiles under each space's own sampler. A
rule is told in the other space by what both know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vitruvius.spaces.rules import (
    Condition,
    RangeCondition,
    Rule,
    SlotCondition,
    TrendCondition,
    holds,
)
from vitruvius.spaces.space import (
    Architecture,
    Choice,
    Feature,
    FloatArray,
    SearchSpace,
    reference_features,
)

LEAST_SHARED = 3  # features that vary in both spaces, for one to say anything of the other
AS_THEY_ARE = ("bool", "share")  # kinds whose values mean the same everywhere
TIES = 1e-9  # values nearer than this are one value


@dataclass(frozen=True, kw_only=True, eq=False)
class Matching:
    """How a source's space speaks to a target's.

    `pairs` are the columns (of the source, of the target) of the features that both know, and
    `share` the part of the source's varying features that these are. `reason` says, in a sentence,
    why nothing can be carried over; it is empty where something can.
    """

    source: SearchSpace
    target: SearchSpace
    pairs: tuple[tuple[int, int], ...]
    share: float
    reason: str = ""

    @property
    def is_one_family(self) -> bool:
        """Whether nothing needs translating."""
        return is_one_family(self.source, self.target)

    @property
    def names(self) -> tuple[str, ...]:
        """The features that both know."""
        return tuple(self.source.features[mine].name for mine, _ in self.pairs)

    def in_source(self, features: FloatArray) -> FloatArray:
        """Returns the target's features [N, F] as the source would describe them [N, G].

        What the target does not know is neutral: the average under the source's sampler.
        """
        if self.is_one_family:
            return features
        found = self._neutral(len(features))
        here, there = _ordered(self.target), _ordered(self.source)
        for mine, other in self.pairs:
            values = features[:, other]
            if self.source.features[mine].kind not in AS_THEY_ARE:
                values = np.quantile(there[:, mine], quantiles(values, here[:, other]))
            found[:, mine] = values
        return found

    def common(self, features: FloatArray) -> FloatArray:
        """Returns the source's features [N, G], neutral wherever the target knows nothing."""
        if self.is_one_family:
            return features
        found = self._neutral(len(features))
        known = [mine for mine, _ in self.pairs]
        found[:, known] = features[:, known]
        return found

    def _neutral(self, rows: int) -> FloatArray:
        return np.tile(reference_features(self.source).mean(axis=0), (rows, 1))


def is_one_family(one: SearchSpace, other: SearchSpace) -> bool:
    """Returns whether what is said of one is said of the other, whatever their skeletons."""
    alike = one.slots == other.slots and one.features == other.features
    return alike and one.name == other.name


@lru_cache(maxsize=64)
def match(source: SearchSpace, target: SearchSpace) -> Matching:
    """Returns which features two spaces both know, and how their values compare.

    Example:
        >>> from vitruvius.spaces.registry import load_space
        >>> matching = match(load_space("nb201"), load_space("transnas"))
        >>> len(matching.pairs), matching.reason
        (46, '')
        >>> match(load_space("macro"), load_space("nb201")).reason
        'macro and nb201 have no feature in common.'
    """
    there = {(feature.name, feature.kind): place for place, feature in _varying(target)}
    mine = _varying(source)
    pairs = tuple((p, there[f.name, f.kind]) for p, f in mine if (f.name, f.kind) in there)
    if is_one_family(source, target):
        return Matching(source=source, target=target, pairs=pairs, share=1.0)
    reason = ""
    if len(pairs) < LEAST_SHARED:
        names = ", ".join(source.features[place].name for place, _ in pairs)
        few = f"; at least {LEAST_SHARED} features must vary in both" if names else ""
        shared = f"only {names}" if names else "no feature"
        reason = f"{source.name} and {target.name} have {shared} in common{few}."
    share = 0.0 if reason else len(pairs) / len(mine)
    return Matching(source=source, target=target, pairs=pairs, share=share, reason=reason)


def quantiles(values: FloatArray, ordered: FloatArray) -> FloatArray:
    """Returns the midranks in [0, 1] of values in a sorted sample: half of the ties lie below.

    Example:
        >>> quantiles(np.array([0.0, 1.0, 5.0]), np.array([1.0, 1.0, 2.0, 3.0])).tolist()
        [0.0, 0.25, 1.0]
    """
    below = np.searchsorted(ordered, values - TIES, side="left")
    not_above = np.searchsorted(ordered, values + TIES, side="right")
    ranks: FloatArray = (below + not_above) / (2.0 * len(ordered))
    return ranks


@lru_cache(maxsize=16)
def _ordered(space: SearchSpace) -> FloatArray:
    """Returns the features of draws of the space's sampler, each column sorted."""
    return np.sort(reference_features(space), axis=0)


def _varying(space: SearchSpace) -> list[tuple[int, Feature]]:
    """Returns the features that differ between draws of the space's sampler, with their columns."""
    spread = np.ptp(reference_features(space), axis=0)
    return [(place, f) for place, f in enumerate(space.features) if spread[place] > 0]


FACTOR = 2.0  # a bound means the same up to so much in the share that meets it, or that does not


def carry_rule(rule: Rule, source: SearchSpace, target: SearchSpace) -> Rule | str:
    """Returns the rule that means the same in another space, or why there is none.

    Within a family the rule stays as it is, whatever the skeleton. Otherwise each condition is
    told by features that both know: choices by name, shares and booleans by value, bounds on counts
    and ordinals by the share of the sampler's draws that meet them. A trend speaks of each space's
    own median already.

    Args:
        rule: fits the source.
        source: the space it was learned in.
        target: the space it is told in.
    """
    if is_one_family(source, target):
        return rule
    told: list[Condition] = []
    for condition in rule.all:
        carried = _carried(condition, source, target)
        if isinstance(carried, str):
            return carried
        told.append(carried)
    new = Rule(stance=rule.stance, all=tuple(told))
    kept = float(holds(new, target, reference_features(target)).mean())
    if kept in (0.0, 1.0):
        every = "every" if kept else "no"
        return f"In {target.name} {every} architecture satisfies the rule, so it says nothing."
    return new


def _carried(condition: Condition, source: SearchSpace, target: SearchSpace) -> Condition | str:
    if isinstance(condition, SlotCondition):
        return _carried_choices(condition, source, target)
    kinds = {feature.name: feature.kind for feature in source.features}
    known = {feature.name: feature.kind for feature in target.features}
    name = condition.feature
    if known.get(name) != kinds[name]:
        return f"{target.name} has no {name} of the kind that {source.name} has."
    if isinstance(condition, TrendCondition) or kinds[name] in AS_THEY_ARE:
        return condition
    return _carried_bounds(condition, source, target)


def _carried_choices(
    condition: SlotCondition, source: SearchSpace, target: SearchSpace
) -> Condition | str:
    old = next(slot for slot in source.slots if slot.name == condition.slot)
    new = next((slot for slot in target.slots if slot.name == condition.slot), None)
    if new is None or new.is_ordinal != old.is_ordinal:
        return f"{target.name} has no slot {old.name} like that of {source.name}."
    if old.is_ordinal:
        held = sorted(_numbers(old.choices, condition.choices))
        between = _numbers(old.choices, old.names)
        if len(held) != sum(held[0] <= number <= held[-1] for number in between):
            return f"The choices {', '.join(condition.choices)} of {old.name} leave a gap."
        bounds = RangeCondition(feature=old.name, at_least=held[0], at_most=held[-1])
        return _carried(bounds, source, target)
    known = tuple(choice for choice in condition.choices if choice in new.names)
    if not known:
        return f"Slot {new.name} of {target.name} has no choice {' or '.join(condition.choices)}."
    if len(known) == len(new.names):
        return f"Slot {new.name} of {target.name} has no other choices, so that says nothing."
    return SlotCondition(slot=new.name, choices=known)


def _carried_bounds(
    condition: RangeCondition, source: SearchSpace, target: SearchSpace
) -> RangeCondition | str:
    """Returns bounds that as large a part of the target's sampler meets, or why there are none."""
    name = condition.feature
    here = _column(source, name, reference_features(source))
    there = _column(target, name, reference_features(target))
    found: dict[str, float] = {}
    for side, sign in (("at_least", 1.0), ("at_most", -1.0)):
        bound = getattr(condition, side)
        if bound is None or (sign * here >= sign * bound).all():
            continue  # a bound that all meet says nothing there, and need not be told
        share = float((sign * here >= sign * bound).mean())
        candidates = np.unique(there)
        shares = np.array([(sign * there >= sign * each).mean() for each in candidates])
        nearest = int(np.abs(shares - share).argmin())
        if not _is_about(share, float(shares[nearest])):
            return (
                f"{side.replace('_', ' ')} {bound:g} of {name} holds for {share:.0%} of"
                f" {source.name}, and no bound does so for about as much of {target.name}."
            )
        found[side] = float(candidates[nearest])
    if not found:
        return f"The bounds on {name} leave out nothing of {source.name}, so they say nothing."
    if found.get("at_least", -np.inf) > found.get("at_most", np.inf):
        return f"The bounds on {name} leave nothing between them in {target.name}."
    return RangeCondition(feature=name, **found)


def _is_about(one: float, other: float) -> bool:
    """Returns whether two shares, and what they leave, differ by at most `FACTOR`."""
    sides = ((one, other), (1 - one, 1 - other))
    return all(0 < a <= FACTOR * b and 0 < b <= FACTOR * a for a, b in sides)


def _numbers(choices: Iterable[Choice], names: Iterable[str]) -> list[float]:
    wanted = set(names)
    return [c.value for c in choices if c.name in wanted and c.value is not None]


def _column(space: SearchSpace, name: str, features: FloatArray) -> FloatArray:
    place = next(i for i, feature in enumerate(space.features) if feature.name == name)
    return np.asarray(features[:, place])


def scores_here(
    source: SearchSpace, target: SearchSpace, known: Mapping[Architecture, float]
) -> dict[bytes, float]:
    """Returns what is known of a source's architectures, by the features of their twins.

    A twin has the same choices at slots of the same names. One architecture of the source can have
    several, which only the target tells apart; they are all found where the target lists its
    members.
    """
    members = target.members()
    if is_one_family(source, target):
        twins = dict(known)
    elif members is not None:
        asked = ((member, _twin(member, source)) for member in members)
        twins = {member: known[twin] for member, twin in asked if twin and twin in known}
    else:
        told = ((_twin(each, target), score) for each, score in known.items())
        twins = {twin: score for twin, score in told if twin is not None}
    if not twins:
        return {}
    rows = np.ascontiguousarray(target.featurise(list(twins)))
    return dict(zip((row.tobytes() for row in rows), twins.values(), strict=True))


def look_up(features: FloatArray, scores: Mapping[bytes, float]) -> FloatArray:
    """Returns the scores of rows of features [N], NaN where there is none."""
    rows = np.ascontiguousarray(features)
    return np.array([scores.get(row.tobytes(), np.nan) for row in rows])


def _twin(architecture: Architecture, space: SearchSpace) -> Architecture | None:
    """Returns the canonical form of the same choices in a space, if it has them."""
    choices = architecture.spec
    if not isinstance(choices, dict) or choices.keys() != {slot.name for slot in space.slots}:
        return None
    if any(choices[slot.name] not in slot.names for slot in space.slots):
        return None
    return space.canonical(architecture)
