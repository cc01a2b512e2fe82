"""Decisions as the ledger keeps them: their call is JSON in a row, and its own class when read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict

from vitruvius.memory.records import DecisionStatus, Origin

_KINDS: dict[str, type[Call]] = {}


class Call(BaseModel):
    """A call of a tool. The tools themselves are in `tools.calls`, a class each.

    A class that names its tool is what `read_stored` returns for that name. Memory stands below
    the tools and cannot import them; but whoever asks for a kind of call by its class has
    imported it, and so has made it known here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool: str

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        name = cls.model_fields["tool"].default
        if isinstance(name, str) and not issubclass(cls, _KINDS.get(name, ())):
            _KINDS[name] = cls

    @classmethod
    def stored(cls, written: Mapping[str, Any]) -> Call:
        """Returns the call of a row, which holds what the program added to it besides."""
        return cls.model_validate({n: written[n] for n in cls.model_fields if n in written})


class NoCall(Call):
    """A reply that was turned down: no call could be read in it."""

    tool: str = ""
    text: str


def read_stored(written: Mapping[str, Any]) -> Call:
    """Returns the call in a row of the ledger; a plain `Call` where this program knows no such.

    Example:
        >>> read_stored({"text": "I would rather not."})
        NoCall(tool='', text='I would rather not.')
    """
    name = written.get("tool")
    if name is None:
        return NoCall(text=str(written.get("text", "")))
    try:
        return _KINDS.get(str(name), Call).stored(written)
    except (ValueError, TypeError):  # of another version, or written by hand
        return Call(tool=str(name))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A trial that a decision is going to open, as the decision holds it."""

    spec: dict[str, Any]
    origin: Origin
    seed: int
    propensity: float | None = None

    @classmethod
    def stored(cls, written: Mapping[str, Any]) -> Plan:
        """Returns the plan in a row of the ledger."""
        return cls(**{**written, "origin": Origin(written["origin"])})

    @property
    def written(self) -> dict[str, Any]:
        """The plan as the ledger stores it."""
        return vars(self) | {"origin": self.origin.value}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One validated tool call, stored before it is carried out, or one turned down."""

    id: int
    run_id: str
    step: int
    author: str  # "analyst", a model's name, or the program: "design", "confirmation"
    written: Mapping[str, Any]  # its row: the call, and what the program added; see below
    status: DecisionStatus
    outcome: str | None  # one line for the next view

    @classmethod
    def stored(cls, row: Mapping[str, Any]) -> Decision:
        """Returns the decision of a row, whose column for it is `call`."""
        fields = {name: value for name, value in row.items() if name != "call"}
        status = DecisionStatus(row["status"])
        return cls(**{**fields, "written": row["call"], "status": status})

    @cached_property
    def call(self) -> Call:
        """The tool call, as the class of its tool; a `NoCall` where none could be read.

        Read when it is asked for: a long run has thousands of decisions, and few are looked into.
        """
        return read_stored(self.written)

    @property
    def reason(self) -> str:
        """Why its author wants it; empty where they did not say."""
        return str(self.written.get("reason") or "")

    @property
    def plans(self) -> list[Plan]:
        """The trials that it opens, the program's among them."""
        return [Plan.stored(plan) for plan in self.written.get("trials", ())]

    @property
    def wish(self) -> int | None:
        """The wish that it was, if it was one."""
        return self.written.get("wish")

    @property
    def is_edited(self) -> bool:
        """Whether a person changed the call before it was carried out."""
        return bool(self.written.get("edited"))
