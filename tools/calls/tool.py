"""What every tool is: a class that holds its arguments, its check, its words, and its doing.

The schema for a model, the tool of a conversation, the slash command, the lines in the MCP
server's description and the wish are views of that class. A new tool is one file with its class,
and one line in `registry.TOOLS`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol, Self

from pydantic import Field

from vitruvius.errors import ToolError
from vitruvius.memory.decisions import Call, Decision
from vitruvius.memory.edits import Edit
from vitruvius.memory.records import DecisionStatus
from vitruvius.spaces.region import Region
from vitruvius.spaces.rules import Rule
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tools.calls.schemas import TEXT, Offer, Problem, object_of, schema_of

if TYPE_CHECKING:
    from vitruvius.tools.calls.proxy import Proxy
    from vitruvius.tools.calls.prune import Prune

UNSAID = "somebody "  # how a reason begins that nobody gave
ASKED_FOR = f"{UNSAID}asked for it"

Reason = Annotated[str, Field(max_length=600)]
Text = Annotated[str, Field(min_length=3, max_length=600)]
Name = Annotated[str, Field(pattern=r"^P\d+(\.\d+)?$", description="a principle, like P7")]


@dataclass(frozen=True, kw_only=True)
class ProposalContext:
    """The facts of a run that a proposal must respect."""

    space: SearchSpace
    region: Region
    evaluated: Mapping[Architecture, str]  # to the name of its trial, T17
    k: int  # most architectures in one decision to train
    trials_left: int | None = None
    proxies: Sequence[str] = ()
    principles: Mapping[str, Rule] = field(default_factory=dict)  # P7 to its rule; not retired
    cuts: Mapping[int, str] = field(default_factory=dict)  # in force: number to principle, P7
    asked: Mapping[str, str] = field(default_factory=dict)  # `question_key` to what was answered
    audited: str | None = None  # what an audit answered since the last training

    @property
    def most_to_train(self) -> int:
        """How many architectures one decision may train: k, or the trials that are left."""
        return self.k if self.trials_left is None else min(self.k, self.trials_left)


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A decision that can be carried out, its architectures parsed, and what was left out of it."""

    decision: Tool
    architectures: tuple[Architecture, ...] = ()
    left_out: str | None = None  # a sentence: repeats that were dropped beside new ones


@dataclass(frozen=True, kw_only=True)
class Command:
    """A slash command: how it is used, what it does, and the tool call that it becomes."""

    usage: str  # begins with its name
    about: str
    read: Callable[[Sequence[str], str], dict[str, Any]]

    @property
    def name(self) -> str:
        return self.usage.split()[0].removeprefix("/")

    def needs(self, what: str) -> ToolError:
        """Returns what to tell somebody who left something out."""
        return ToolError(f"/{self.name} needs {what}: {self.usage}")


class Engine(Protocol):
    """What a search does for a tool; tools know neither graphs nor the run's session.

    Each returns the outcome in a line; None: the run was stopped first, and a resume goes on.
    """

    async def train(self, decision: Decision) -> str | None: ...
    async def score(self, asked: Proxy) -> str | None: ...
    async def recall(self, query: str) -> str: ...
    async def audit(self, decision: Decision) -> str: ...
    async def prune(self, decision: Decision, asked: Prune) -> str: ...


class Desk(Protocol):
    """What a search does with a wish that it takes up."""

    async def decide(self, asked: Tool) -> Decision:
        """Returns the decision that the wish becomes, checked as any other."""
        ...

    async def rewrite(self, edit: Callable[[], Awaitable[Edit]]) -> None:
        """Writes the edit of the principles that the wish is, and measures it."""
        ...

    async def rule_of(self, statement: str) -> Rule:
        """Returns the rule that plain words mean."""
        ...

    async def keep(self) -> None:
        """Keeps the wish where the architect reads it."""
        ...


class Tool(Call):
    """One thing that may be asked of a run; its docstring says what it does, to a model too.

    The views below are derived from its fields; a tool that knows its arguments more narrowly
    than their types say overrides them.
    """

    FOR_ARCHITECT: ClassVar[bool] = False  # a decision of the loop
    FOR_PEOPLE: ClassVar[bool] = False  # in a conversation
    IS_WISH: ClassVar[bool] = False  # left with a run for whoever drives it
    IS_COSTLY: ClassVar[bool] = False  # a person who wants to be asked is asked before it
    IS_SHOWN_FIRST: ClassVar[bool] = False  # how it was understood is shown, whatever it costs
    COMMANDS: ClassVar[Sequence[Command]] = ()
    EXAMPLES: ClassVar[Sequence[str]] = ()  # calls as somebody would write them
    ALSO: ClassVar[Sequence[str]] = ()  # other names that a wish may go by

    @classmethod
    def named(cls) -> str:
        """Returns the name of the tool."""
        return str(cls.model_fields["tool"].default)

    @classmethod
    def offer(cls, context: ProposalContext) -> Offer | None:
        """Returns what a model is told of the tool in this state of a run; None: no use now."""
        return cls.__doc__ or "", schema_of(cls)

    @classmethod
    def chat_offer(cls, space: SearchSpace) -> Offer:
        """Returns what a model is told of the tool in a conversation."""
        return cls.__doc__ or "", schema_of(cls)

    @classmethod
    def from_person(cls, written: Mapping[str, Any], space: SearchSpace) -> Self:
        """Returns the call that a person wrote, who may write more freely than a model.

        Raises:
            ToolError: an architecture is not of the space.
            ValidationError: an argument is wrong.
        """
        return cls.model_validate(written)

    def asks(self, trials: int = 0) -> str:
        """Returns what a person is asked to approve, without a question mark.

        Args:
            trials: that it would open, where that is known.
        """
        return self.tool

    def check(self, context: ProposalContext) -> Checked:
        """Returns the call as it can be carried out.

        Raises:
            Problem: duplicate, over budget or invalid, with a sentence that says how to mend it.
        """
        return Checked(decision=self)

    def kept(self, space: SearchSpace) -> dict[str, Any]:
        """Returns the wish as the ledger keeps it: architectures in canonical form, rules checked.

        Raises:
            ToolError: an architecture is not of the space, or a rule does not fit it.
        """
        return self.model_dump(mode="json", exclude_none=True)

    async def take_up(self, desk: Desk) -> Decision | None:
        """Begins what the wish asks for; returns the decision that it became, if it became one."""
        return await desk.decide(self)

    async def carry_out(self, engine: Engine, decision: Decision) -> str | None:
        """Does what a decision says; returns the outcome, None where the run was stopped first.

        Raises:
            ToolError: it cannot be done; the decision's author is told why.
        """
        raise NotImplementedError(f"{self.tool} is no decision")


def reason_and(**properties: Any) -> dict[str, Any]:
    """Returns the schema of arguments that follow a reason: a model thinks before it names them."""
    return object_of({"reason": TEXT, **properties})


def invalid(sentence: str) -> Problem:
    """Returns the problem of a call that cannot be carried out as written."""
    return Problem(DecisionStatus.INVALID, sentence)


def parse_all(specs: Sequence[Mapping[str, Any]], space: SearchSpace) -> list[Architecture]:
    """Returns the architectures of a call.

    Raises:
        Problem: names the first that is none.
    """
    architectures = []
    for number, spec in enumerate(specs, start=1):
        try:
            architectures.append(space.parse(dict(spec)))
        except ToolError as error:
            raise invalid(f"architecture {number} of {len(specs)}: {error}") from error
    return architectures


def question_key(asked: Tool) -> str:
    """Returns the text that two equal questions to proxies or memory share, whatever reason."""
    data = asked.model_dump(exclude={"reason"})
    for name in ("architectures", "proxies"):
        if name in data:
            data[name] = sorted(json.dumps(item, sort_keys=True) for item in data[name])
    return json.dumps(data, sort_keys=True)


def check_is_new(asked: Tool, context: ProposalContext) -> None:
    """Raises where a question was asked already and the answer is known."""
    answer = context.asked.get(question_key(asked))
    if answer is not None:
        raise Problem(
            DecisionStatus.DUPLICATE,
            f"this {asked.tool} was asked already ({answer}); use the answer, or ask "
            "something else",
        )
