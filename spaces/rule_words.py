"""Rules read from plain words: the inverse of `spaces.rules.words`, and a little more.

Names are matched against those that the space knows, the longest first, so that a name may hold
commas, brackets or arrows.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import ValidationError

from vitruvius.errors import ToolError
from vitruvius.spaces.rules import (
    Condition,
    RangeCondition,
    Rule,
    SlotCondition,
    TrendCondition,
    check_rule,
)
from vitruvius.spaces.space import SearchSpace

EXAMPLES = (
    "write it like `NAME = CHOICE`, `NAME is one of A, B`, `NAME >= 2`, "
    "`NAME on the upper side of its median`, joined by `and`, or `not (...)`"
)
_STANCE = re.compile(
    r"(?:(?P<no>avoid|never|not)|require|prefer|use|keep to)\b(?:\s+architectures\b)?\s*", re.I
)
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
_END = r"(?=\s*(?:$|,|\)|and\b|or\b))"
_AND = re.compile(r"\s*(?:,\s*)?and\b\s*", re.I)
_OR = re.compile(r"\s*(?:,|\bor\b)\s*", re.I)
_WITH = re.compile(r"(?:with|the)\s+", re.I)
_IS = re.compile(r"\s*(?:is one of|is in|in|is|=+)\s*", re.I)
_LOW = re.compile(rf"({_NUMBER})\s*<=\s*", re.I)
_BOUND = re.compile(
    rf"\s*(?:of\s+|is\s+)?(?P<side><=|>=|=+|at least|at most)\s*(?P<number>{_NUMBER})", re.I
)
_STRICT = re.compile(r"\s*[<>](?!=)")
_TREND = re.compile(r"\s*(?:is\s+)?on the (upper|lower) side of its median", re.I)
_SIZE = re.compile(r"(?P<up>large|high|more|many|big)\s+|(?:small|low|less|fewer|few)\s+", re.I)
_LIKE_A_RULE = re.compile(
    r"=|[<>]\s*[-+.\d]|\bis one of\b|\bside of its median\b|\bat (?:least|most)\b|^\s*not\s*\(",
    re.I,
)
_NEAR = 3


def looks_like_a_rule(text: str) -> bool:
    """Returns whether words are meant as a rule, whether they can be read or not.

    Example:
        >>> looks_like_a_rule("depth >= 2"), looks_like_a_rule("hurry up")
        (True, False)
    """
    return _LIKE_A_RULE.search(text) is not None


def read_rule(text: str, space: SearchSpace) -> Rule:
    """Returns the rule that words say; reads whatever `words` writes, to six digits.

    Raises:
        ToolError: says what could not be read, and names the slots and features that come nearest.
    """
    rest = " ".join(text.split()).rstrip(".!")
    stance: Literal["require", "avoid"] = "require"
    if (found := _STANCE.match(rest)) is not None:
        stance = "avoid" if found["no"] else "require"
        rest = rest[found.end() :]
    if rest.startswith("(") and rest.endswith(")"):
        rest = rest[1:-1].strip()
    conditions: list[Condition] = []
    while True:
        condition, rest = _condition(_without(_WITH, rest), space)
        conditions.append(condition)
        if not rest.strip():
            break
        if (joined := _AND.match(rest)) is None:
            raise ToolError(f"cannot read {rest.strip()!r} after the first part; {EXAMPLES}")
        rest = rest[joined.end() :]
    try:
        rule = Rule(stance=stance, all=tuple(conditions))
    except ValidationError:
        raise ToolError(f"a rule has one to three conditions, got {len(conditions)}") from None
    check_rule(rule, space)
    return rule


def _condition(text: str, space: SearchSpace) -> tuple[Condition, str]:
    """Returns the condition at the beginning and what follows it."""
    for read in (_placed, _slot, _trend_of_size, _range):
        found = read(text, space)
        if found is not None:
            return found
    raise ToolError(_unknown(text, space))


def _slot(text: str, space: SearchSpace) -> tuple[Condition, str] | None:
    """Reads `SLOT = CHOICE` and `SLOT is one of A, B`."""
    name, rest = _name(text, (slot.name for slot in space.slots))
    is_ = _IS.match(rest)
    if name is None or is_ is None or _BOUND.match(rest[is_.end() :]):
        return None
    slot = next(slot for slot in space.slots if slot.name == name)
    choices, after = _choices(rest[is_.end() :], slot.names)
    if choices:
        return SlotCondition(slot=name, choices=choices), after
    if _range(text, space) is not None:  # a number that is no choice, of a feature of that name
        return None
    came = re.split(r"\s+and\b|,", rest[is_.end() :])[0].strip()
    raise ToolError(
        f"slot {name} has no choice {came!r}{_nearest(came, slot.names)}; "
        f"it has: {', '.join(slot.names)}"
    )


def _placed(text: str, space: SearchSpace) -> tuple[Condition, str] | None:
    """Reads `A or B at SLOT`."""
    for slot in space.slots:
        choices, rest = _choices(text, slot.names, end=r"(?=\s*(?:,|or\b|at\b))")
        where = re.match(rf"\s*at\s+{re.escape(slot.name)}{_END}", rest, re.I)
        if choices and where is not None:
            return SlotCondition(slot=slot.name, choices=choices), rest[where.end() :]
    return None


def _trend_of_size(text: str, space: SearchSpace) -> tuple[Condition, str] | None:
    """Reads `large FEATURE` and `small FEATURE`."""
    size = _SIZE.match(text)
    if size is None:
        return None
    name, rest = _name(text[size.end() :], _features(space))
    if name is None:
        return None
    return TrendCondition(feature=name, trend="up" if size["up"] else "down"), rest


def _range(text: str, space: SearchSpace) -> tuple[Condition, str] | None:
    """Reads `FEATURE >= 2`, `1 <= FEATURE <= 2` and the sides of a median."""
    low = _LOW.match(text)
    name, rest = _name(text[low.end() :] if low else text, _features(space))
    if name is None:
        return None
    if low is None and (side := _TREND.match(rest)) is not None:
        up = side[1].lower() == "upper"
        return TrendCondition(feature=name, trend="up" if up else "down"), rest[side.end() :]
    if _STRICT.match(rest):
        raise ToolError(f"write >= or <= for {name}: a bound counts itself")
    bounds: dict[str, Any] = {"at_least": float(low[1])} if low else {}
    if (bound := _BOUND.match(rest)) is not None:
        number, rest = float(bound["number"]), rest[bound.end() :]
        side_ = bound["side"].lower()
        if side_ in (">=", "at least"):
            bounds["at_least"] = number
        elif side_ in ("<=", "at most"):
            bounds["at_most"] = number
        else:
            bounds |= {"at_least": number, "at_most": number}
    elif low is None:
        return None
    try:
        return RangeCondition(feature=name, **bounds), rest
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise ToolError(f"{name}: {problem}") from None


def _features(space: SearchSpace) -> Iterable[str]:
    return (feature.name for feature in space.features)


def _name(text: str, names: Iterable[str]) -> tuple[str | None, str]:
    """Returns the longest of the names that the text begins with, and what follows it."""
    for name in sorted(names, key=len, reverse=True):
        if text[: len(name)].lower() == name.lower() and not re.match(r"\w", text[len(name) :]):
            return name, text[len(name) :]
    return None, text


def _choices(text: str, names: Iterable[str], end: str = _END) -> tuple[tuple[str, ...], str]:
    """Returns the choices that the text begins with, and what follows them."""
    known = sorted(names, key=len, reverse=True)
    found: list[str] = []
    while True:
        name = next((n for n in known if re.match(re.escape(n) + end, text, re.I)), None)
        if name is None:
            return tuple(dict.fromkeys(found)), text
        found.append(name)
        text = text[len(name) :]
        more = _OR.match(text)
        if more is None or not any(
            re.match(re.escape(n) + end, text[more.end() :], re.I) for n in known
        ):
            return tuple(dict.fromkeys(found)), text
        text = text[more.end() :]


def _unknown(text: str, space: SearchSpace) -> str:
    came = re.split(r"\s*(?:[<>=]|\bis\b|\bon the\b|\band\b|\bat\b)", text)[0].strip() or text
    named = [feature.name for feature in space.features if feature.choice is None]
    names = list(dict.fromkeys([*(slot.name for slot in space.slots), *named]))
    return (
        f"space {space.name} knows no {came!r}{_nearest(came, names)}; it knows: "
        f"{', '.join(names)}; {EXAMPLES}"
    )


def _nearest(came: str, names: Iterable[str]) -> str:
    by_lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(came.lower(), by_lower, n=_NEAR, cutoff=0.5)
    return f" (nearest: {', '.join(by_lower[name] for name in near)})" if near else ""


def _without(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.match(text)
    return text[found.end() :] if found else text
