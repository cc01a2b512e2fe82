"""Asking the person before something costly: yes, edit, or why not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vitruvius.errors import ToolError

if TYPE_CHECKING:
    from vitruvius.cli.chat_terminal import Lines, Screen
    from vitruvius.spaces.space import SearchSpace

HOW = "[y]es, [e]dit, or why not> "
HOW_TAUGHT = "[y]es, [n]o, or say the rule otherwise> "
EDITED = "edit> "

Answer = dict[str, Any]


def ask_person(
    question: Mapping[str, Any], lines: Lines, screen: Screen, space: SearchSpace
) -> Answer | None:
    """Returns the person's answer to a costly call; None where they leave it open."""
    call = dict(question["call"])
    if call["tool"] == "principle":
        return _ask_taught(call, str(question.get("understood", "")), lines, screen, space)
    screen.ask(_words(call, question.get("price") or {}), _lines_of(call))
    while (said := _read(lines, HOW)) is not None:
        if said.lower() in ("y", "yes"):
            return {"approved": True}
        if said.lower() in ("e", "edit"):
            said = _read(lines, EDITED, default=_editable(call)) or ""
        if not said:
            continue
        if said.startswith(("{", "[")):
            try:
                return {"approved": True, "call": _edited(call, json.loads(said))}
            except ValueError as error:
                screen.note(f"that is no JSON: {error}")
                continue
        return {"approved": False, "reason": "" if said.lower() in ("n", "no") else said}
    return None


def _ask_taught(
    call: dict[str, Any], understood: str, lines: Lines, screen: Screen, space: SearchSpace
) -> Answer | None:
    """Shows the rule that a principle was understood as, until it is right or given up."""
    from vitruvius.agents.chat.plain_words import understood as read_rule
    from vitruvius.spaces.rules import words

    edited = False
    while True:
        screen.ask(f"Understood as the rule: {understood}", [f"You said: {call['statement']}"])
        said = _read(lines, HOW_TAUGHT)
        if said is None:
            return None
        if said.lower() in ("y", "yes"):
            return {"approved": True, "call": call} if edited else {"approved": True}
        if said.lower() in ("n", "no") or said.lower().startswith("no,"):
            return {"approved": False, "reason": said.partition(",")[2].strip()}
        try:
            rule = read_rule(said, space) if said else None
        except ToolError as error:
            screen.note(str(error))
            continue
        if rule is not None:
            call = call | {"rule": rule.model_dump(mode="json", exclude_none=True)}
            understood, edited = words(rule), True


def _read(lines: Lines, prompt: str, default: str = "") -> str | None:
    """Returns a line without blanks around it; None where the person leaves."""
    try:
        said = lines.read(prompt, default=default)
    except KeyboardInterrupt:
        return None
    return None if said is None else said.strip()


def _words(call: Mapping[str, Any], price: Mapping[str, Any]) -> str:
    from vitruvius.tools.calls.registry import asks

    cost = [f"{price['seconds']:.3g} s of training"] if price.get("seconds") else []
    cost += [f"{price['tokens']:,.0f} tokens"] if price.get("tokens") else []
    cost += [f"${price['dollars']:.2f}"] if price.get("dollars") else []
    about = f", about {', '.join(cost)}" if cost else ""
    return f"{asks(call)}{about}?"


def _lines_of(call: Mapping[str, Any]) -> list[str]:
    lines = [str(one) for one in call.get("architectures", ())]
    reason = str(call.get("reason") or "")
    has_reason = reason and not reason.startswith(
        "somebody "
    )  # what wishes say where none is given
    return [*lines, f"Reason: {reason}"] if has_reason else lines


def _editable(call: Mapping[str, Any]) -> str:
    """Returns the part of a call that a person would change, as JSON on one line."""
    if call["tool"] == "train":
        specs = [json.loads(one) if isinstance(one, str) else one for one in call["architectures"]]
        return json.dumps(specs if len(specs) > 1 else specs[0])
    return json.dumps({name: value for name, value in call.items() if name != "tool"})


def _edited(call: Mapping[str, Any], given: Any) -> dict[str, Any]:
    if call["tool"] == "train":
        if isinstance(given, Mapping) and "architectures" in given:
            return {**given, "tool": "train"}
        return {"tool": "train", "architectures": given if isinstance(given, list) else [given]}
    return {**given, "tool": call["tool"]} if isinstance(given, Mapping) else dict(call)
