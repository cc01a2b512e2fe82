"""Cutting the space by a principle, and undoing a cut."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self, assert_never

from pydantic import Field, model_validator

from vitruvius.memory.decisions import Decision
from vitruvius.memory.records import DecisionStatus
from vitruvius.spaces.space import SearchSpace
from vitruvius.tools.calls.schemas import TEXT, Offer, Problem, Schema, object_of, one_of, short
from vitruvius.tools.calls.tool import (
    ASKED_FOR,
    Checked,
    Command,
    Desk,
    Engine,
    Name,
    ProposalContext,
    Reason,
    Tool,
    invalid,
)

NAME_IN_CHAT: Schema = {"type": "string", "description": "a principle, like P3"}


def _undo(words: Sequence[str], rest: str) -> dict[str, Any]:
    if not words or not re.fullmatch(r"[Cc]?\d+", words[0]):
        raise _UNDO.needs("the number of a cut")
    reason = rest.partition(" ")[2].strip()
    number = int(words[0].lstrip("Cc"))
    return {"tool": "prune", "action": "undo", "cut": number} | (
        {"reason": reason} if reason else {}
    )


def _cut(words: Sequence[str], rest: str) -> dict[str, Any]:
    if len(words) != 1:
        raise _CUT.needs("a principle")
    return {"tool": "prune", "action": "cut", "principle": words[0].upper().partition(".")[0]}


_CUT = Command(usage="/prune P3", about="cut by a principle; asks first", read=_cut)
_UNDO = Command(usage="/undo CUT [REASON]", about="undo a cut; asks first", read=_undo)


class Prune(Tool):
    """Cut the space by a principle (kept only if the evidence licenses it), or undo a cut."""

    FOR_ARCHITECT: ClassVar[bool] = True
    FOR_PEOPLE: ClassVar[bool] = True
    IS_WISH: ClassVar[bool] = True
    IS_COSTLY: ClassVar[bool] = True
    COMMANDS: ClassVar[Sequence[Command]] = (_CUT, _UNDO)
    EXAMPLES: ClassVar[Sequence[str]] = (
        '{"tool": "prune", "principle": "P3"}',
        '{"tool": "undo", "cut": 1}',
    )
    ALSO: ClassVar[Sequence[str]] = ("undo",)

    tool: Literal["prune"] = "prune"
    action: Literal["cut", "undo"]
    principle: str | None = Field(default=None, description="to cut: a principle, like P7")
    cut: int | None = Field(default=None, description="to undo: the cut's number")
    reason: Reason = ""

    @classmethod
    def offer(cls, context: ProposalContext) -> Offer | None:
        cuttable = [name for name in context.principles if name not in context.cuts.values()]
        objects: dict[str, Schema] = {}
        actions = []
        if cuttable:
            actions.append("cut")
            objects["principle"] = one_of(cuttable)
        if context.cuts:
            actions.append("undo")
            objects["cut"] = one_of(list(context.cuts))
        if not actions:
            return None
        # One flat object for both actions: native tools must be objects, not unions.
        properties = {"reason": TEXT, "action": one_of(actions), **objects}
        return (
            "Cut the space by a principle; done only if the trials license it. Or undo a cut.",
            object_of(properties, optional=list(objects) if len(actions) > 1 else ()),
        )

    @classmethod
    def chat_offer(cls, space: SearchSpace) -> Offer:
        properties = {
            "action": one_of(["cut", "undo"]),
            "principle": NAME_IN_CHAT,
            "cut": {"type": "integer", "description": "to undo: the cut's number"},
            "reason": TEXT,
        }
        return (
            "Cut the space by a principle (action cut), done only if the trials license it; or "
            "undo a cut (action undo). The person is asked first.",
            object_of(properties, optional=["principle", "cut", "reason"]),
        )

    @classmethod
    def from_person(cls, written: Mapping[str, Any], space: SearchSpace) -> Self:
        action = {"action": "undo"} if written.get("tool") == "undo" else {}
        plain = {"reason": ASKED_FOR, **written, **action, "tool": cls.named()}
        asked = _AskedByPerson.model_validate(plain)
        return cls(**asked.model_dump())

    def asks(self, trials: int = 0) -> str:
        return (
            f"Undo cut {self.cut}"
            if self.action == "undo"
            else f"Cut the space by {self.principle}"
        )

    def check(self, context: ProposalContext) -> Checked:
        """Returns the decision where the principle, or the cut, is there."""
        principle = (self.principle or "").split(".")[0]
        match self.action:
            case "undo":
                if self.cut not in context.cuts:
                    known = ", ".join(map(str, context.cuts)) or "none"
                    raise invalid(f"there is no cut {self.cut} to undo; in force: {known}")
            case "cut":
                if principle not in context.principles:
                    known = ", ".join(context.principles) or "none yet"
                    named = short(self.principle)
                    raise invalid(f"there is no principle {named} to cut by; known: {known}")
                for number, owner in context.cuts.items():
                    if owner == principle:
                        raise Problem(
                            DecisionStatus.DUPLICATE,
                            f"cut {number} by {principle} is in force already",
                        )
            case _:
                assert_never(self.action)
        return Checked(decision=self)

    async def take_up(self, desk: Desk) -> Decision | None:
        if self.principle is None:
            return await desk.decide(self)
        # Whichever version was named: a cut is by the principle as it stands now.
        principle = self.principle.split(".")[0]
        return await desk.decide(self.model_copy(update={"principle": principle}))

    async def carry_out(self, engine: Engine, decision: Decision) -> str | None:
        return await engine.prune(decision, self)


class _AskedByPerson(Prune):
    """A person may leave the action out, and must name its object and nothing else."""

    principle: Name | None = None

    @model_validator(mode="before")
    @classmethod
    def _told_by_its_object(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("action") is None:
            return {**data, "action": "undo" if data.get("cut") is not None else "cut"}
        return data

    @model_validator(mode="after")
    def _has_its_object(self) -> Self:
        if self.action == "cut" and (self.principle is None or self.cut is not None):
            raise ValueError("to cut, name the principle and nothing else")
        if self.action == "undo" and (self.cut is None or self.principle is not None):
            raise ValueError("to undo, name the cut's number and nothing else")
        return self
