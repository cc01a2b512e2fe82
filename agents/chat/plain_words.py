"""A principle in plain words read as a rule, without a model: names of the space, and a few forms.

Understood are the rules as they are shown (`edge_0_3 = conv and depth >= 2`, `not (...)`), and
sentences that name slots, choices and features of the space. What is not found there is not
guessed: the person is told which names there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from vitruvius.errors import ToolError
from vitruvius.spaces.rules import (
    Condition,
    RangeCondition,
    Rule,
    SlotCondition,
    TrendCondition,
    check_rule,
)
from vitruvius.spaces.space import Feature, SearchSpace, Slot

MOST_CONDITIONS = 3
_AGAINST = re.compile(
    r"^\s*not\b|\b(?:avoid|never|without|hurts?|harms?|bad|worse|worst|useless|don'?t|do not|"
    r"does not help|no good)\b"
)
_NUMBER = r"(-?\d+(?:\.\d+)?)"
_LEAST = re.compile(
    rf"(?:>=|at least|no (?:less|fewer) than|from)\s*{_NUMBER}|{_NUMBER}\s*(?:or more|<=)"
)
_MOST = re.compile(rf"(?:<=|at most|no more than|up to)\s*{_NUMBER}|{_NUMBER}\s*or (?:less|fewer)")
_ABOVE = re.compile(rf"(?:>|(?<!no )more than|above|over|greater than)\s*{_NUMBER}")
_BELOW = re.compile(rf"(?:<|(?<!no )(?:less|fewer) than|below|under)\s*{_NUMBER}")
_BETWEEN = re.compile(rf"between\s*{_NUMBER}\s*and\s*{_NUMBER}")
_EXACT = re.compile(rf"(?:=|\bis\b|\bof\b|\bequals?\b)\s*{_NUMBER}")
_UP = re.compile(
    r"\b(?:large[r]?|big(?:ger)?|high(?:er)?|more|many|deep(?:er)?|wide[r]?|upper|long)"
)
_DOWN = re.compile(r"\b(?:small(?:er)?|low(?:er)?|fewer|few|less|shallow|narrow(?:er)?|short)")
_SAME = {"wide": "width", "wider": "width", "deep": "depth", "deeper": "depth"}
_FILLER = {"nor", "the", "a", "an"}


def understood(text: str, space: SearchSpace) -> Rule:
    """Returns the rule that a sentence states.

    Raises:
        ToolError: nothing in it names a part of the space; the sentence says what there is.

    Example:
        >>> from vitruvius.spaces.registry import load_space
        >>> understood("avoid pooling from input to output", load_space("nb201")).stance
        'avoid'
    """
    said = " ".join(text.lower().replace("≥", ">=").replace("≤", "<=").split())
    said = _BETWEEN.sub(r">= \1 <= \2", said)
    against = _AGAINST.search(said) is not None
    clauses = re.split(r"\s+and\s+|\s*;\s*|\s*&\s*", said)
    conditions: list[Condition] = []
    for clause in clauses:
        found = _condition(clause, space)
        if found is not None and found not in conditions:
            conditions.append(found)
    if not conditions:  # the names may stand on either side of an "and"
        whole = _condition(said, space)
        conditions = [whole] if whole is not None else []
    if not conditions:
        raise ToolError(f"that names nothing of this space; {_names(space)}")
    rule = Rule(stance="avoid" if against else "require", all=tuple(conditions[:MOST_CONDITIONS]))
    check_rule(rule, space)
    return rule


def _names(space: SearchSpace) -> str:
    slots = "; ".join(f"{slot.name}: {', '.join(slot.names)}" for slot in space.slots)
    features = ", ".join(f.name for f in space.features if f.choice is None and f.slot is None)
    parts = [f"slots and choices: {slots}"] if slots else []
    parts += [f"features: {features}"] if features else []
    return "; ".join(parts)


def _condition(clause: str, space: SearchSpace) -> Condition | None:
    slot = _slot(clause, space.slots)
    choices = _choices(clause, [slot] if slot else space.slots)
    if slot is not None and choices and not (slot.is_ordinal and _has_bound(clause)):
        return SlotCondition(slot=slot.name, choices=choices)
    feature = _feature(clause, space.features)
    if feature is not None:
        return _about(clause, feature)
    owners = [s for s in space.slots if choices and set(choices) <= set(s.names)]
    if slot is None and len(owners) == 1:
        return SlotCondition(slot=owners[0].name, choices=choices)
    return _share_of(clause, owners[0], choices[0], space) if owners and slot is None else None


def _share_of(clause: str, owner: Slot, choice: str, space: SearchSpace) -> Condition | None:
    """Returns how much there is of a kind that many slots may hold, where the space counts it."""
    kind = next(c.traits.get("kind") for c in owner.choices if c.name == choice)
    feature = next((f.name for f in space.features if f.name == f"share(kind={kind})"), None)
    side: Literal["up", "down"] = "down" if _DOWN.search(clause) else "up"
    return None if feature is None else TrendCondition(feature=feature, trend=side)


def _has_bound(clause: str) -> bool:
    return any(form.search(clause) for form in (_LEAST, _MOST, _ABOVE, _BELOW))


def _slot(clause: str, slots: Iterable[Slot]) -> Slot | None:
    """Returns the slot that a clause names; an edge also by its two ends."""
    named = [slot for slot in slots if _has_name(clause, slot.name)]
    if named:
        return max(named, key=lambda slot: len(slot.name))
    edges = [slot for slot in slots if re.fullmatch(r"edge_\d+_\d+", slot.name)]
    if not edges:
        return None
    last = max(int(slot.name.split("_")[2]) for slot in edges)
    text = re.sub(r"\binput\b", "0", re.sub(r"\boutput\b", str(last), clause))
    ends = re.search(r"\b(?:node )?(\d+) (?:to|->) (?:the )?(?:node )?(\d+)\b", text)
    wanted = f"edge_{ends[1]}_{ends[2]}" if ends else ""
    return next((slot for slot in edges if slot.name == wanted), None)


def _has_name(clause: str, name: str) -> bool:
    spoken = re.sub(r"[_\W]+", "[ _-]*", name.lower().strip("_"))
    return re.search(rf"(?<![a-z0-9]){spoken}(?![a-z0-9])", clause) is not None


def _choices(clause: str, slots: Iterable[Slot]) -> tuple[str, ...]:
    """Returns the choices that a clause names: in full, else the one most of whose words it has."""
    names = list(dict.fromkeys(name for slot in slots for name in slot.names))
    whole = [name for name in names if _has_name(clause, name)]
    if whole:
        longest = [n for n in whole if not any(n != m and n.lower() in m.lower() for m in whole)]
        return tuple(longest)
    words = re.findall(r"[a-z0-9]+", clause)
    parts = {name: _parts(name) for name in names}
    said = {
        name: {part for part in mine if any(_begins(word, part) for word in words)}
        for name, mine in parts.items()
    }
    shared = [part for mine in parts.values() for part in mine]
    # a word that one choice alone has names it; others, like a kernel's size, only add to it
    telling = {n: any(shared.count(part) == 1 for part in hits) for n, hits in said.items()}
    scores = {
        name: len(hits) + telling[name]
        for name, hits in said.items()
        if telling[name] or len(hits) == len(parts[name]) > 0
    }
    best = max(scores.values(), default=0)
    found = [name for name, score in scores.items() if score == best]
    return tuple(found) if len(found) == 1 else ()


def _begins(word: str, part: str) -> bool:
    """Returns whether a word is a part of a name, or a longer form of it: pooling of pool."""
    return word == part or (len(part) > 2 and word.startswith(part))


def _parts(name: str) -> set[str]:
    return {part for part in re.split(r"[_\W]+", name.lower()) if part and part not in _FILLER}


def _feature(clause: str, features: Iterable[Feature]) -> Feature | None:
    for short, name in _SAME.items():
        clause = re.sub(rf"\b{short}\b", f"{short} {name}", clause)
    named = [f for f in features if f.choice is None and _has_name(clause, f.name)]
    return max(named, key=lambda f: len(f.name), default=None)


def _about(clause: str, feature: Feature) -> Condition | None:
    """Returns a bound on a feature, or its trend."""
    step = 0.0 if feature.kind == "share" else 1.0
    low, high = _bound(_LEAST, clause), _bound(_MOST, clause)
    if low is None and (above := _bound(_ABOVE, clause)) is not None:
        low = above + step
    if high is None and (below := _bound(_BELOW, clause)) is not None:
        high = below - step
    if low is None and high is None and (exact := _bound(_EXACT, clause)) is not None:
        low = high = exact
    if low is not None or high is not None:
        return RangeCondition(feature=feature.name, at_least=low, at_most=high)
    if feature.kind == "bool":
        return RangeCondition(feature=feature.name, at_least=1)
    side: Literal["up", "down"] | None = None
    side = "up" if _UP.search(clause) else "down" if _DOWN.search(clause) else None
    return TrendCondition(feature=feature.name, trend=side) if side else None


def _bound(form: re.Pattern[str], clause: str) -> float | None:
    found = form.search(clause)
    return None if found is None else float(next(part for part in found.groups() if part))
