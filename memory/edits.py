"""Typed operations on principles, as data that a model may write."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from vitruvius.spaces.rules import Rule

Name = Annotated[str, Field(pattern=r"^P\d+$", description="a principle, like P7")]
Text = Annotated[str, Field(min_length=3, max_length=600)]


class _Edit(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    rationale: Text


class Add(_Edit):
    """A new principle."""

    edit: Literal["add"] = "add"
    statement: Text
    rule: Rule


class Revise(_Edit):
    """Another statement and rule for a principle."""

    edit: Literal["revise"] = "revise"
    principle: Name
    statement: Text
    rule: Rule


class Narrow(_Edit):
    """A principle under further conditions: the new rule implies the old one's scope."""

    edit: Literal["narrow"] = "narrow"
    principle: Name
    statement: Text
    rule: Rule


class Merge(_Edit):
    """Several principles become one."""

    edit: Literal["merge"] = "merge"
    principles: Annotated[tuple[Name, ...], Field(min_length=2, max_length=6)]
    statement: Text
    rule: Rule


class Retire(_Edit):
    """A principle is given up."""

    edit: Literal["retire"] = "retire"
    principle: Name


Edit = Annotated[Add | Revise | Narrow | Merge | Retire, Field(discriminator="edit")]
