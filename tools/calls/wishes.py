"""Wishes: what a person, or a program for one, may ask of a run, as data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from vitruvius.errors import ToolError
from vitruvius.memory.records import DecisionStatus
from vitruvius.spaces.rule_words import looks_like_a_rule, read_rule
from vitruvius.spaces.rules import Rule, check_rule
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tools.calls.untrusted import Problem, sentence_of

TOOLS = ("train", "prune", "undo", "principle", "retire", "note")
NOTE_CHARS = 1000
AUTHORS = frozenset({"analyst", "audit", "confirmation", "design", "evidence", "program"})
AUTHOR_CHARS = 60

Text = Annotated[str, Field(min_length=3, max_length=600)]
Reason = Annotated[str, Field(max_length=600)]
Name = Annotated[str, Field(pattern=r"^P\d+(\.\d+)?$", description="a principle, like P7")]


class _Wish(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrainWish(_Wish):
    """Train these architectures next."""

    tool: Literal["train"] = "train"
    architectures: list[str | dict[str, Any]] = Field(min_length=1, max_length=32)
    reason: Reason = "somebody asked for it"


class PruneWish(_Wish):
    """Cut the space by a principle, if the evidence licenses it, or undo a cut."""

    tool: Literal["prune"] = "prune"
    action: Literal["cut", "undo"]
    principle: Name | None = None
    cut: int | None = None
    reason: Reason = "somebody asked for it"

    @model_validator(mode="before")
    @classmethod
    def _told_by_its_object(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("action") is None:
            return {**data, "action": "undo" if data.get("cut") is not None else "cut"}
        return data

    @model_validator(mode="after")
    def _has_its_object(self) -> PruneWish:
        if self.action == "cut" and (self.principle is None or self.cut is not None):
            raise ValueError("to cut, name the principle and nothing else")
        if self.action == "undo" and (self.cut is None or self.principle is not None):
            raise ValueError("to undo, name the cut's number and nothing else")
        return self


class PrincipleWish(_Wish):
    """State a principle; it is measured like any other. `principle`: the one that it rewrites."""

    tool: Literal["principle"] = "principle"
    statement: Text
    rule: Rule | None = None
    principle: Name | None = None
    reason: Text = "somebody stated it"


class RetireWish(_Wish):
    """Give up a principle."""

    tool: Literal["retire"] = "retire"
    principle: Name
    reason: Text = "somebody asked for it"


class NoteWish(_Wish):
    """Leave a note, which the architect reads as data."""

    tool: Literal["note"] = "note"
    text: str = Field(min_length=1, max_length=NOTE_CHARS)


AnyWish = Annotated[
    TrainWish | PruneWish | PrincipleWish | RetireWish | NoteWish, Field(discriminator="tool")
]
_WISH: TypeAdapter[AnyWish] = TypeAdapter(AnyWish)


def read_wish(data: object) -> AnyWish:
    """Returns the wish in untrusted data; `{"tool": "undo", "cut": 2}` is a way to write a prune.

    Raises:
        Problem: invalid; the sentence names the argument that is wrong and what it should be.

    Example:
        >>> read_wish({"tool": "undo", "cut": 2}).action
        'undo'
    """
    try:
        return _WISH.validate_python(_plain(data))
    except ValidationError as error:
        raise Problem(DecisionStatus.INVALID, sentence_of(error, data, "tool", TOOLS)) from error


def _plain(data: object) -> object:
    if not isinstance(data, Mapping):
        return data
    plain = {name: value for name, value in data.items() if value is not None}
    if plain.get("tool") == "undo":
        plain |= {"tool": "prune", "action": "undo"}
    if isinstance(plain.get("architectures"), str | Mapping):
        plain["architectures"] = [plain["architectures"]]
    return plain


def read_words(text: str, space: SearchSpace) -> AnyWish:
    """Returns what a sentence asks for: a principle where it reads as a rule, else a note.

    Raises:
        ToolError: it is meant as a rule, and something in it is not known to the space.
    """
    try:
        return read_wish({"tool": "principle", "statement": text, "rule": read_rule(text, space)})
    except Problem:
        raise
    except ToolError as error:
        if looks_like_a_rule(text):
            raise ToolError(
                f'{error}; to leave it as a note, ask for {{"tool": "note", "text": ...}}'
            ) from None
    return read_wish({"tool": "note", "text": text})


def fit(wish: AnyWish, space: SearchSpace) -> dict[str, Any]:
    """Returns the wish as the ledger keeps it: architectures in canonical form, rules checked.

    Raises:
        ToolError: an architecture is not of the space, or a rule does not fit it.
    """
    call = wish.model_dump(mode="json", exclude_none=True)
    if isinstance(wish, TrainWish):
        call["architectures"] = [parsed(one, space).text for one in wish.architectures]
    if isinstance(wish, PrincipleWish) and wish.rule is not None:
        check_rule(wish.rule, space)
    return call


def parsed(written: str | Mapping[str, Any], space: SearchSpace) -> Architecture:
    """Returns the architecture that a person wrote: an object, or its JSON text.

    Raises:
        ToolError: says what is wrong with it.
    """
    if not isinstance(written, str):
        return space.parse(dict(written))
    try:
        return space.parse(json.loads(written))
    except (ValueError, RecursionError):
        return space.parse(written)


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
