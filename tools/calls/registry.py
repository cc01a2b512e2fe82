"""The table of tools, a line each, and how untrusted data are read as one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from vitruvius.errors import ToolError
from vitruvius.memory.decisions import read_stored
from vitruvius.memory.records import DecisionStatus
from vitruvius.spaces.rule_words import looks_like_a_rule, read_rule
from vitruvius.spaces.space import SearchSpace
from vitruvius.tools.calls.audit import Audit
from vitruvius.tools.calls.fork import Fork
from vitruvius.tools.calls.note import Note
from vitruvius.tools.calls.principle import Principle
from vitruvius.tools.calls.proxy import Proxy
from vitruvius.tools.calls.prune import Prune
from vitruvius.tools.calls.recall import Recall
from vitruvius.tools.calls.retire import Retire
from vitruvius.tools.calls.schemas import Offer, Problem, loosened, read_kind, sentence_of
from vitruvius.tools.calls.tool import Command, ProposalContext, Tool
from vitruvius.tools.calls.train import Train

# In the order in which a model is told of them.
TOOLS: list[type[Tool]] = [
    Train,
    Proxy,
    Recall,
    Audit,
    Prune,
    Principle,
    Retire,
    Note,
    Fork,
]

# Names that the program itself goes by in the ledger: a wish under one would read as its own act.
AUTHORS = frozenset({"analyst", "audit", "confirmation", "design", "evidence", "program"})
AUTHOR_CHARS = 60


def architects_tools() -> dict[str, type[Tool]]:
    """Returns the tools that a decision of the loop may be, by name."""
    return {tool.named(): tool for tool in TOOLS if tool.FOR_ARCHITECT}


def peoples_tools() -> dict[str, type[Tool]]:
    """Returns the tools of a conversation, by name."""
    return {tool.named(): tool for tool in TOOLS if tool.FOR_PEOPLE}


def wishes() -> dict[str, type[Tool]]:
    """Returns the tools that can be left with a run as a wish, by every name that they go by."""
    kinds = [tool for tool in TOOLS if tool.IS_WISH]
    return {name: tool for tool in kinds for name in (tool.named(), *tool.ALSO)}


def offers(context: ProposalContext) -> dict[str, Offer]:
    """Returns what the architect can use now: name to description and schema of arguments."""
    told = {name: tool.offer(context) for name, tool in architects_tools().items()}
    return {name: offer for name, offer in told.items() if offer is not None}


def commands() -> dict[str, Command]:
    """Returns the slash commands of all tools, by name."""
    return {command.name: command for tool in TOOLS for command in tool.COMMANDS}


def examples() -> list[str]:
    """Returns how each wish is written as a call."""
    return [example for tool in TOOLS if tool.IS_WISH for example in tool.EXAMPLES]


def asks(written: Mapping[str, Any], trials: int = 0) -> str:
    """Returns what a person is asked to approve, of a call as the ledger keeps it: `Tool.asks`."""
    call = read_stored(written)
    return call.asks(trials) if isinstance(call, Tool) else call.tool


def read_decision(data: object) -> Tool:
    """Returns the decision in untrusted JSON data: `{"tool": name, argument: value, ...}`.

    Raises:
        Problem: invalid; the sentence names the argument that is wrong and what it should be.
    """
    kinds, loose = architects_tools(), loosened(data)
    name = read_kind(loose, "tool", list(kinds))
    try:
        return kinds[name].model_validate(loose)
    except ValidationError as error:
        raise Problem(DecisionStatus.INVALID, sentence_of(error, name)) from error


def read_wish(data: object, space: SearchSpace) -> Tool:
    """Returns the wish in untrusted data; `{"tool": "undo", "cut": 2}` is a way to write a prune.

    Raises:
        Problem: invalid; the sentence names the argument that is wrong and what it should be.
        ToolError: an architecture is not of the space.

    Example:
        >>> from vitruvius.spaces.registry import load_space
        >>> read_wish({"tool": "undo", "cut": 2}, load_space("nb201")).action
        'undo'
    """
    return _of_person(data, wishes(), space)


def read_call(data: object, space: SearchSpace) -> Tool:
    """Returns what somebody asks for in a conversation; raises as `read_wish`."""
    return _of_person(data, wishes() | peoples_tools(), space)


def _of_person(data: object, kinds: Mapping[str, type[Tool]], space: SearchSpace) -> Tool:
    name = read_kind(data, "tool", list(kinds))
    assert isinstance(data, Mapping)
    plain = {key: value for key, value in data.items() if value is not None}
    try:
        return kinds[name].from_person(plain, space)
    except ValidationError as error:
        raise Problem(DecisionStatus.INVALID, sentence_of(error, name)) from error


def read_words(text: str, space: SearchSpace) -> Tool:
    """Returns what a sentence asks for: a principle where it reads as a rule, else a note.

    Raises:
        ToolError: it is meant as a rule, and something in it is not known to the space.
    """
    try:
        rule = read_rule(text, space)
        return read_wish({"tool": "principle", "statement": text, "rule": rule}, space)
    except Problem:
        raise
    except ToolError as error:
        if looks_like_a_rule(text):
            raise ToolError(
                f'{error}; to leave it as a note, ask for {{"tool": "note", "text": ...}}'
            ) from None
    return read_wish({"tool": "note", "text": text}, space)


def checked_author(author: str) -> str:
    """Returns the name under which a wish is kept.

    Raises:
        ToolError: it is empty, too long, or one that the program itself goes by.
    """
    name = " ".join(author.split())
    if not 0 < len(name) <= AUTHOR_CHARS or name in AUTHORS:
        raise ToolError(
            f"expected an author's name of at most {AUTHOR_CHARS} characters that the program "
            f"does not use itself, got {author!r}"
        )
    return name
