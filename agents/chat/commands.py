"""Slash commands: what can be asked and done at the prompt without a model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from vitruvius.errors import ToolError
from vitruvius.spaces.space import SearchSpace
from vitruvius.tools.questions.looking import MOST_ROWS, Sort

Call = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Command:
    """A slash command: how it is used, what it does, and the tool call that it becomes."""

    usage: str
    about: str
    read: Callable[[Sequence[str], str], Call]


def _alone(tool: str) -> Callable[[Sequence[str], str], Call]:
    def read(words: Sequence[str], rest: str) -> Call:
        if words:
            raise ToolError(f"/{tool} takes nothing more, got {rest!r:.60}")
        return {"tool": tool}

    return read


def _named(tool: str, argument: str) -> Callable[[Sequence[str], str], Call]:
    def read(words: Sequence[str], rest: str) -> Call:
        if not rest:
            raise ToolError(f"/{tool} needs {argument}: {COMMANDS[tool].usage}")
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
        raise ToolError(f"/compare needs two trials: {COMMANDS['compare'].usage}")
    return {"tool": "compare", "first": words[0], "second": words[1]}


def _undo(words: Sequence[str], rest: str) -> Call:
    if not words or not re.fullmatch(r"[Cc]?\d+", words[0]):
        raise ToolError(f"/undo needs the number of a cut: {COMMANDS['undo'].usage}")
    reason = rest.partition(" ")[2].strip()
    number = int(words[0].lstrip("Cc"))
    return {"tool": "prune", "action": "undo", "cut": number} | (
        {"reason": reason} if reason else {}
    )


def _prune(words: Sequence[str], rest: str) -> Call:
    if len(words) != 1:
        raise ToolError(f"/prune needs a principle: {COMMANDS['prune'].usage}")
    return {"tool": "prune", "action": "cut", "principle": words[0].upper().partition(".")[0]}


def _teach(words: Sequence[str], rest: str) -> Call:
    if not rest:
        raise ToolError(f"/teach needs a principle in plain words: {COMMANDS['teach'].usage}")
    return {"tool": "principle", "statement": rest, "rule": None}


def _retire(words: Sequence[str], rest: str) -> Call:
    if len(words) != 1:
        raise ToolError(f"/retire needs a principle: {COMMANDS['retire'].usage}")
    return {"tool": "retire", "principle": words[0].upper().partition(".")[0]}


def _train(words: Sequence[str], rest: str) -> Call:
    """Reads JSON, or a trial with what is to be changed; `finish_call` fills in the rest of it."""
    if rest.startswith(("{", "[")):
        try:
            given = json.loads(rest)
        except ValueError as error:
            raise ToolError(f"/train: that is no JSON: {error}") from None
        return {"tool": "train", "architectures": given if isinstance(given, list) else [given]}
    if not words or not re.fullmatch(r"[Tt]\d+", words[0]):
        raise ToolError(f"/train needs a trial to start from, or JSON: {COMMANDS['train'].usage}")
    changes = dict(_change(word) for word in words[1:])
    return {"tool": "train", "from": words[0].upper(), "changes": changes}


def _change(word: str) -> tuple[str, str]:
    slot, mark, choice = word.partition("=")
    if not mark or not choice:
        raise ToolError(f"expected SLOT=CHOICE, got {word!r:.60}")
    return slot, choice


def _fork(words: Sequence[str], rest: str) -> Call:
    step, _, budget = f"{rest} ".partition("with ")
    if step.strip() and not step.strip().isdigit():
        raise ToolError(f"/fork takes the number of a step: {COMMANDS['fork'].usage}")
    return {
        "tool": "fork",
        "at": int(step) if step.strip() else None,
        "budget": budget.strip() or None,
    }


def _command(usage: str, about: str, read: Callable[[Sequence[str], str], Call]) -> Command:
    return Command(usage=usage, about=about, read=read)


COMMANDS: Mapping[str, Command] = {
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
    "train": _command(
        "/train T17 SLOT=CHOICE... | {JSON}", "train a change of a trial; asks first", _train
    ),
    "prune": _command("/prune P3", "cut by a principle; asks first", _prune),
    "undo": _command("/undo CUT [REASON]", "undo a cut; asks first", _undo),
    "teach": _command("/teach WORDS", "state a principle; shows the rule first", _teach),
    "retire": _command("/retire P3", "give a principle up", _retire),
    "note": _command("/note WORDS", "leave a note for the architect", _named("note", "text")),
    "fork": _command(
        "/fork [STEP] [with BUDGET]", "a new run that shares this one up to a step", _fork
    ),
}


def read_command(text: str) -> Call:
    """Returns the tool call of a slash command.

    Raises:
        ToolError: there is no such command, or it needs something else.

    Example:
        >>> read_command("/undo 2 pooling matters here")
        {'tool': 'prune', 'action': 'undo', 'cut': 2, 'reason': 'pooling matters here'}
    """
    name, _, rest = text.removeprefix("/").partition(" ")
    command = COMMANDS.get(name)
    if command is None:
        raise ToolError(f"there is no command /{name:.40}; /help lists them")
    return command.read(rest.split(), rest.strip())


def help_rows() -> list[tuple[str, str]]:
    """Returns usage and meaning of every command."""
    return [(command.usage, command.about) for command in COMMANDS.values()]


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
