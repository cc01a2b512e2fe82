"""Stating a principle, in words or as a rule; trials measure it like any other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from vitruvius.memory.decisions import Decision
from vitruvius.memory.edits import Add, Edit, Revise
from vitruvius.spaces.rules import Rule, check_rule
from vitruvius.spaces.space import SearchSpace
from vitruvius.tools.calls.schemas import TEXT, Offer, object_of, rule_schema
from vitruvius.tools.calls.tool import UNSAID, Command, Desk, Name, Text, Tool


def _teach(words: Sequence[str], rest: str) -> dict[str, Any]:
    if not rest:
        raise _COMMAND.needs("a principle in plain words")
    return {"tool": "principle", "statement": rest, "rule": None}


_COMMAND = Command(
    usage="/teach WORDS", about="state a principle; shows the rule first", read=_teach
)


class Principle(Tool):
    """State a principle; it is measured like any other. `principle`: the one that it rewrites."""

    FOR_PEOPLE: ClassVar[bool] = True
    IS_WISH: ClassVar[bool] = True
    IS_SHOWN_FIRST: ClassVar[bool] = True
    COMMANDS: ClassVar[Sequence[Command]] = (_COMMAND,)
    EXAMPLES: ClassVar[Sequence[str]] = ('{"tool": "principle", "statement": "width >= 8"}',)

    tool: Literal["principle"] = "principle"
    statement: Text
    rule: Rule | None = None
    principle: Name | None = None
    reason: Text = f"{UNSAID}stated it"

    @classmethod
    def chat_offer(cls, space: SearchSpace) -> Offer:
        return (
            "State a principle for the person: their words and the rule that you understand. They "
            "see the rule and may correct it; then trials measure it like any other.",
            object_of({"statement": TEXT, "rule": rule_schema(space)}),
        )

    def kept(self, space: SearchSpace) -> dict[str, Any]:
        if self.rule is not None:
            check_rule(self.rule, space)
        return super().kept(space)

    async def take_up(self, desk: Desk) -> Decision | None:
        await desk.rewrite(lambda: self._edit(desk))
        return None

    async def _edit(self, desk: Desk) -> Edit:
        rule = self.rule if self.rule is not None else await desk.rule_of(self.statement)
        if self.principle is None:
            return Add(rationale=self.reason, statement=self.statement, rule=rule)
        return Revise(
            principle=self.principle.split(".")[0],
            rationale=self.reason,
            statement=self.statement,
            rule=rule,
        )
