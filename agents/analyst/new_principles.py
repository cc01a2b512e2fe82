"""Which findings become new principles: those that cut, and those that explain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vitruvius.agents.analyst.mining import (
    CUT_LIMIT,
    Finding,
    Miner,
    measured,
    overlaps,
    subject_of,
)
from vitruvius.agents.analyst.phrases import statement
from vitruvius.memory.edits import Add, Edit
from vitruvius.spaces.rules import Rule, SlotCondition
from vitruvius.spaces.space import SearchSpace

MAX_ADDS = 3
MAX_CUTTING = 2  # of the adds, for what they would cut
MAX_LIVE = 12
MAX_TESTS = 10  # of pairs against their parts
ALIKE = 0.75  # overlap at which a new rule says too little new
WORTH_CUTTING = 0.03  # share of the space that a cutting rule must add
WORTH_SAYING = 0.02  # share of the variance that an explaining rule must add


def add_principles(
    space: SearchSpace, said: Sequence[Finding], found: Sequence[Finding], miner: Miner
) -> list[Edit]:
    """Returns new principles: first those that would cut most, then those that explain most.

    Args:
        space: for the words.
        said: what the live principles say.
        found: clear findings to choose from.
        miner: judges what they add to each other.
    """
    room = min(MAX_ADDS, MAX_LIVE - len(said))
    chosen: list[Finding] = []
    while len(chosen) < room:
        known = [*said, *chosen]
        near = overlaps(found, known).max(axis=1, initial=0.0)
        fresh = [
            finding
            for finding, overlap in zip(found, near, strict=True)
            if overlap < ALIKE and not any(_is_other_threshold(finding, k) for k in known)
        ]
        finding = None
        if len(chosen) < MAX_CUTTING:
            finding = _best_cut(fresh, known, miner)
        finding = finding or _best_saying(fresh, known, miner)
        if finding is None:
            break
        chosen.append(finding)
    return [
        Add(
            statement=statement(finding.rule, space),
            rule=finding.rule,
            rationale=measured(finding),
        )
        for finding in chosen
    ]


def _is_other_threshold(new: Finding, known: Finding) -> bool:
    """Returns whether a rule is another threshold on the same feature."""
    if any(isinstance(condition, SlotCondition) for condition in new.rule.all):
        return False
    return subject_of(new.rule) == subject_of(known.rule)


def _best_cut(fresh: Sequence[Finding], known: Sequence[Finding], miner: Miner) -> Finding | None:
    """Returns the finding that may cut and would remove most of what is not yet removed."""
    cutting = [k.kept for k in known if k.top_loss_high < CUT_LIMIT]
    left = np.logical_and.reduce(cutting) if cutting else np.True_
    rated = [
        (float((~f.kept & left).mean()) / len(f.rule.all) ** 0.5, f)
        for f in fresh
        if f.top_loss_high < CUT_LIMIT
    ]
    return _first_sound(rated, WORTH_CUTTING, miner)


def _best_saying(
    fresh: Sequence[Finding], known: Sequence[Finding], miner: Miner
) -> Finding | None:
    """Returns the finding that explains most of what the known ones leave unexplained."""
    gains = miner.explained(fresh, known).tolist()
    rated = [(gain / len(f.rule.all), f) for gain, f in zip(gains, fresh, strict=True)]
    return _first_sound(rated, WORTH_SAYING, miner)


def _first_sound(
    rated: Sequence[tuple[float, Finding]], worth: float, miner: Miner
) -> Finding | None:
    """Returns the highest rated finding that is worth it and more than its parts."""
    ordered = sorted(rated, key=lambda row: -row[0])
    singles = [(gain, finding) for gain, finding in ordered if len(finding.rule.all) == 1]
    pairs = [row for row in ordered if len(row[1].rule.all) > 1][:MAX_TESTS]
    for gain, finding in sorted([*pairs, *singles[:1]], key=lambda row: -row[0]):
        if gain < worth:
            return None
        if len(finding.rule.all) == 1:
            return finding
        parts = [Rule(stance="require", all=(part,)) for part in finding.rule.all]
        if miner.explained([finding], miner.judge(parts))[0] >= WORTH_SAYING:
            return finding
    return None
