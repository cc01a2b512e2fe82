"""A question about a costly decision, in words at a terminal, and what is typed as its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from vitruvius.tools.safe_text import clean

PROMPT = "Carry it out? [Y/n, why not, or other arguments as JSON] "


def answer_of(line: str) -> dict[str, Any]:
    """Returns what a typed line answers.

    Yes or nothing approves; an object of JSON approves with these arguments; the end of the input
    leaves the question open; anything else refuses, and is the reason.
    """
    typed = line.strip()
    if not line:
        return {"approved": None}
    if typed.lower() in ("", "y", "yes"):
        return {"approved": True}
    if typed.startswith("{"):
        with suppress(ValueError, RecursionError):
            return {"approved": True, "call": json.loads(typed)}
    return {"approved": False, "reason": typed}


def question_words(payload: Mapping[str, Any]) -> str:
    """Returns what is asked: what was wrong with the last answer, what would be done, its price."""
    problem = payload.get("problem")
    lines = [f"That will not do: {clean(str(problem))}"] if problem else []
    call = payload.get("call", {})
    lines.append(_call_words(call) + _price_words(payload.get("price", {})))
    lines += [f"  {clean(json.dumps(spec))}" for spec in call.get("architectures", ())]
    return "\n".join(lines)


def _call_words(call: Mapping[str, Any]) -> str:
    reason = clean(str(call.get("reason") or "no reason given"))
    if call.get("tool") == "train":
        return f"Train {len(call.get('trials', ()))} architectures. {reason}"
    if call.get("tool") == "prune":
        what = call.get("principle") or f"cut {call.get('cut')}"
        return f"Prune: {call.get('action')} {clean(str(what))}. {reason}"
    return f"{clean(str(call.get('tool')))}. {reason}"


def _price_words(price: Mapping[str, float | None]) -> str:
    told = (
        ("{:.3g} s of training", price.get("seconds")),
        ("{:.0f} tokens", price.get("tokens")),
        ("${:.2g}", price.get("dollars")),
    )
    words = [text.format(amount) for text, amount in told if amount]
    return f" (About {', '.join(words)}.)" if words else ""
