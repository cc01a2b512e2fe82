"""What can be asked and done at the prompt without a model: slash commands, and plain sentences.

The commands that do something are those of the tools (`tools.calls`); what only asks is answered in
`tools.questions.registry`, and has its words here. The table of sentences is read from the top; the
first pattern that is found names the tool. Nothing is guessed beyond it: what matches no line is
not understood, and the analyst says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from vitruvius.errors import ToolError
from vitruvius.spaces.space import SearchSpace
from vitruvius.tools.calls.registry import commands as tool_commands
from vitruvius.tools.calls.tool import Command
from vitruvius.tools.questions.looking import MOST_ROWS, Sort

Call = dict[str, Any]


def _alone(tool: str) -> Callable[[Sequence[str], str], Call]:
    def read(words: Sequence[str], rest: str) -> Call:
        if words:
            raise ToolError(f"/{tool} takes nothing more, got {rest!r:.60}")
        return {"tool": tool}

    return read


def _named(tool: str, argument: str) -> Callable[[Sequence[str], str], Call]:
    def read(words: Sequence[str], rest: str) -> Call:
        if not rest:
            raise ASKING[tool].needs(argument)
        return {"tool": tool, argument: rest}

    return read


def _trials(words: Sequence[str], rest: str) -> Call:
    call: Call = {"tool": "trials"}
    for word in words:
        if word in get_args(Sort):
            call["sort"] = word
        elif word.isdigit():
            call["limit"] = min(max(int(word), 1), MOST_ROWS)
        else:
            call.setdefault("holding", []).append(word)
    return call


def _compare(words: Sequence[str], rest: str) -> Call:
    if len(words) != 2:
        raise ASKING["compare"].needs("two trials")
    return {"tool": "compare", "first": words[0], "second": words[1]}


def _command(usage: str, about: str, read: Callable[[Sequence[str], str], Call]) -> Command:
    return Command(usage=usage, about=about, read=read)


ASKING: Mapping[str, Command] = {
    "best": _command("/best", "the best network so far", _alone("best")),
    "trials": _command(
        "/trials [best|worst|latest|slowest|smallest] [N] [TEXT...]",
        "trials in a table; TEXT must be in the architecture",
        _trials,
    ),
    "trial": _command("/trial T17", "all that is known of a trial", _named("trial", "trial")),
    "why": _command(
        "/why T17|P3|C2|CHOICE", "why a trial, a principle, a cut", _named("why", "name")
    ),
    "compare": _command("/compare T3 T9", "two trials side by side", _compare),
    "principles": _command("/principles", "what was learned, measured", _alone("principles")),
    "helps": _command("/helps", "what raises the score, and what does not", _alone("helps")),
    "learned": _command("/learned", "lessons, cuts and doubts", _alone("learned")),
    "region": _command("/region", "what is pruned, and why", _alone("region")),
    "next": _command("/next", "untried architectures near the best", _alone("next")),
    "proxies": _command("/proxies", "what training-free scores are worth", _alone("proxies")),
    "report": _command("/report WORD", "a section of the report", _named("report", "section")),
    "budget": _command("/budget", "limits, and what was spent", _alone("budget")),
}


def commands() -> Mapping[str, Command]:
    """Returns every slash command: those that ask, then those of the tools."""
    return {**ASKING, **tool_commands()}


def read_command(text: str) -> Call:
    """Returns the tool call of a slash command.

    Raises:
        ToolError: there is no such command, or it needs something else.

    Example:
        >>> read_command("/undo 2 pooling matters here")
        {'tool': 'prune', 'action': 'undo', 'cut': 2, 'reason': 'pooling matters here'}
    """
    name, _, rest = text.removeprefix("/").partition(" ")
    command = commands().get(name)
    if command is None:
        raise ToolError(f"there is no command /{name:.40}; /help lists them")
    return command.read(rest.split(), rest.strip())


def help_rows() -> list[tuple[str, str]]:
    """Returns usage and meaning of every command."""
    return [(command.usage, command.about) for command in commands().values()]


def completed(call: Call, architecture: Callable[[str], Any], space: SearchSpace) -> Call:
    """Returns a call to train with its architecture written out: a trial's, changed.

    Args:
        call: of `read_command`.
        architecture: returns the specification of a trial.
        space: of the run.

    Raises:
        ToolError: the trial, a slot or a choice does not exist.
    """
    if "from" not in call:
        return call
    spec = dict(architecture(str(call["from"])))
    for slot, choice in call["changes"].items():
        if slot not in spec:
            raise ToolError(f"{call['from']} has no slot {slot!r:.40}; it has: {', '.join(spec)}")
        spec[slot] = choice
    return {"tool": "train", "architectures": [space.parse(spec).spec]}


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
