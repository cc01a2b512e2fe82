"""What a person means, by plain matching of words: the analyst's ear, where there is no model.

The table is read from the top; the first pattern that is found names the tool. Nothing is guessed
beyond it: what matches no line is not understood, and the analyst says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from vitruvius.agents.chat.commands import read_command

Call = dict[str, Any]
_NAME = r"\b([TPCtpc]\d+(?:\.\d+)?)\b"
_Read = Callable[[re.Match[str]], Call]


def _tool(tool: str, **given: Any) -> _Read:
    return lambda found: {"tool": tool, **given}


def _slash(form: str) -> _Read:
    return lambda found: read_command(form.format(*found.groups()))


INTENTS: Mapping[str, _Read] = {
    r"^(?:teach|principle)\s*:\s*(.+)": _slash("/teach {0}"),
    r"^note\s*:\s*(.+)": _slash("/note {0}"),
    r"\bundo\b.*?\b(\d+)\b": _slash("/undo {0}"),
    r"\b(?:retire|give up)\b.*?\b([Pp]\d+)": _slash("/retire {0}"),
    r"^(?:prune|cut)\b.*?\b([Pp]\d+)": _slash("/prune {0}"),
    r"\bfork\b(?:.*?\bstep (\d+))?": lambda found: read_command(f"/fork {found[1] or ''}".strip()),
    rf"\b(?:compare|versus|vs\.?|against|difference)\b.*?{_NAME}.*?{_NAME}": _slash(
        "/compare {0} {1}"
    ),
    rf"{_NAME}.*\b(?:better|worse|versus|vs\.?|than)\b.*?{_NAME}": _slash("/compare {0} {1}"),
    rf"\bwhy\b.*?{_NAME}": _slash("/why {0}"),
    r"\bwhy\b.*\bcut (\d+)": _slash("/why {0}"),
    r"\b(?:why\b|was|is)\s+(\S+)\s+(?:pruned|cut|removed|left out)": _slash("/why {0}"),
    r"\bwhy\b.*\b(?:was|were|is)\s+(\S+)\s+(?:pruned|cut|removed|left out)": _slash("/why {0}"),
    r"\bwhy\b.*\bbest\b": _tool("why", name="best"),
    r"\b([Tt]\d+)\b": _slash("/trial {0}"),
    r"\b([Pp]\d+)\b": _slash("/why {0}"),
    r"\bwhat (?:helps?|works?|matters?)\b|\bwhat .*\b(?:helps?|good)\b": _tool("helps"),
    r"\b(?:learn(?:ed|t)?|lessons?)\b": _tool("learned"),
    r"\b(?:next|suggest\w*|should (?:i|we|it)|try)\b": _tool("next"),
    r"\b(?:distrust|doubts?|trust|sure|noise)\b": _tool("report", section="distrust"),
    r"\bfail(?:ed|ures?|s)?\b": _tool("report", section="failures"),
    r"\brandom\b": _tool("report", section="random"),
    r"\bprox(?:y|ies)\b": _tool("proxies"),
    r"\b(?:principles?|rules?)\b": _tool("principles"),
    r"\b(?:pruned?|cuts?|region)\b": _tool("region"),
    r"\b(?:budget|costs?|spent|tokens?|dollars?|money|time|left)\b": _tool("budget"),
    r"\b(worst|latest|slowest|smallest)\b": _slash("/trials {0}"),
    r"\bbest (\d+)\b": _slash("/trials best {0}"),
    r"\bbest\b": _tool("best"),
    r"\btrials\b": _tool("trials"),
}
CANNOT = (
    "Without a model I can only answer what the ledger holds, asked in plain forms: why is T17 "
    "best, why was CHOICE pruned, what helps, compare T3 and T9, what did you learn, what should I "
    "try next; or a command: /help lists them. A model is set with /model NAME."
)


def intent_of(text: str) -> Call | None:
    """Returns the tool call that a question asks for; None where it is not understood.

    Raises:
        ToolError: a slash command that needs something else.

    Example:
        >>> intent_of("Which is better, and compare T3 with T9?")
        {'tool': 'compare', 'first': 'T3', 'second': 'T9'}
        >>> intent_of("Sing me a song") is None
        True
    """
    said = " ".join(text.split())
    if said.startswith("/"):
        return read_command(said)
    for pattern, read in INTENTS.items():
        found = re.search(pattern, said, re.IGNORECASE)
        if found is not None:
            return read(found)
    return None
