"""Training architectures for real: the costly tool."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from vitruvius.errors import ToolError
from vitruvius.memory.decisions import Decision
from vitruvius.memory.records import DecisionStatus
from vitruvius.spaces.region import Region
from vitruvius.spaces.rules import words
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tools.calls.schemas import (
    TEXT,
    Offer,
    Problem,
    architecture_schema,
    list_of,
    object_of,
)
from vitruvius.tools.calls.tool import (
    ASKED_FOR,
    Checked,
    Command,
    Engine,
    ProposalContext,
    Reason,
    Tool,
    invalid,
    parse_all,
    reason_and,
)

MOST_IN_CHAT = 4  # architectures in one call of a conversation

Specs = Annotated[list[dict[str, Any]], Field(min_length=1, max_length=32)]


def _from_line(given: Sequence[str], rest: str) -> dict[str, Any]:
    """Reads JSON, or a trial with what is to be changed; `commands.completed` fills in the rest."""
    if rest.startswith(("{", "[")):
        try:
            found = json.loads(rest)
        except ValueError as error:
            raise ToolError(f"/train: that is no JSON: {error}") from None
        return {"tool": "train", "architectures": found if isinstance(found, list) else [found]}
    if not given or not re.fullmatch(r"[Tt]\d+", given[0]):
        raise _COMMAND.needs("a trial to start from, or JSON")
    changes = dict(_change(word) for word in given[1:])
    return {"tool": "train", "from": given[0].upper(), "changes": changes}


def _change(word: str) -> tuple[str, str]:
    slot, mark, choice = word.partition("=")
    if not mark or not choice:
        raise ToolError(f"expected SLOT=CHOICE, got {word!r:.60}")
    return slot, choice


_COMMAND = Command(
    usage="/train T17 SLOT=CHOICE... | {JSON}",
    about="train a change of a trial; asks first",
    read=_from_line,
)


class Train(Tool):
    """Train architectures for real and learn their validation score. The costly tool."""

    FOR_ARCHITECT: ClassVar[bool] = True
    FOR_PEOPLE: ClassVar[bool] = True
    IS_WISH: ClassVar[bool] = True
    IS_COSTLY: ClassVar[bool] = True
    COMMANDS: ClassVar[Sequence[Command]] = (_COMMAND,)
    EXAMPLES: ClassVar[Sequence[str]] = ('{"tool": "train", "architectures": [{...}]}',)

    tool: Literal["train"] = "train"
    architectures: Specs = Field(description="1 to k architectures, each an object of its space")
    reason: Reason = ""

    @classmethod
    def offer(cls, context: ProposalContext) -> Offer | None:
        many = context.most_to_train
        if many <= 0:
            return None
        return (
            f"Train 1 to {many} new architectures for real and learn their validation score. "
            "Costs one trial each.",
            reason_and(architectures=list_of(architecture_schema(context.space), many)),
        )

    @classmethod
    def chat_offer(cls, space: SearchSpace) -> Offer:
        many = list_of(architecture_schema(space), MOST_IN_CHAT)
        return (
            "Train new architectures for real. Costly: the person is asked first.",
            object_of({"architectures": many, "reason": TEXT}, optional=["reason"]),
        )

    @classmethod
    def stored(cls, written: Mapping[str, Any]) -> Train:
        """Returns the call of a row: a decision of the program alone names no architecture.

        A wish keeps architectures as text.
        """
        given = written.get("architectures", ())
        specs = [json.loads(spec) if isinstance(spec, str) else spec for spec in given]
        reason = str(written.get("reason", ""))
        # Not checked again: its specifications were parsed by the space before it was stored.
        return cls.model_construct(tool="train", architectures=specs, reason=reason)

    @classmethod
    def from_person(cls, written: Mapping[str, Any], space: SearchSpace) -> Self:
        given = written.get("architectures")
        if isinstance(given, str | Mapping):
            given = [given]
        if isinstance(given, list):
            given = [parsed(a, space).spec if isinstance(a, str | Mapping) else a for a in given]
            written = {**written, "architectures": given}
        return cls.model_validate({"reason": ASKED_FOR, **written})

    def asks(self, trials: int = 0) -> str:
        count = trials or len(self.architectures)
        return f"Train {count} architecture{'s' if count > 1 else ''}"

    def check(self, context: ProposalContext) -> Checked:
        """Returns the decision without repeats; architectures must lie inside the region."""
        found = parse_all(self.architectures, context.space)
        if len(found) > context.k:
            raise invalid(f"train names {len(found)} architectures; at most {context.k} at once")
        new, repeats = _without_repeats(found, context)
        for architecture, number in new.items():
            _check_inside(architecture, number, context)
        if context.trials_left is not None and len(new) > context.trials_left:
            raise Problem(
                DecisionStatus.OVER_BUDGET,
                f"train names {len(new)} new architectures; the budget has {context.trials_left} "
                "trials left",
            )
        specs = [architecture.spec for architecture in new]
        return Checked(
            decision=self.model_copy(update={"architectures": specs}),
            architectures=tuple(new),
            left_out="; ".join(repeats) or None,
        )

    def kept(self, space: SearchSpace) -> dict[str, Any]:
        texts = [space.parse(spec).text for spec in self.architectures]
        return super().kept(space) | {"architectures": texts}

    async def carry_out(self, engine: Engine, decision: Decision) -> str | None:
        return await engine.train(decision)


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


def _without_repeats(
    found: Sequence[Architecture], context: ProposalContext
) -> tuple[dict[Architecture, int], list[str]]:
    """Returns the new architectures with their places, and a sentence for each repeat."""
    new: dict[Architecture, int] = {}
    repeats = []
    for number, architecture in enumerate(found, start=1):
        if architecture in context.evaluated:
            repeats.append(f"architecture {number} is {context.evaluated[architecture]} again")
        elif architecture in new:
            repeats.append(f"architecture {number} equals architecture {new[architecture]}")
        else:
            new[architecture] = number
    if not new:
        raise Problem(
            DecisionStatus.DUPLICATE,
            f"{'; '.join(repeats)}; the result is known, so change at least one part of it",
        )
    return new, repeats


def _check_inside(architecture: Architecture, number: int, context: ProposalContext) -> None:
    features = context.space.featurise([architecture])
    for cut in context.region.cuts:
        if not Region(context.space, (cut,)).mask(features)[0]:
            raise invalid(
                f"architecture {number} lies outside the region: cut {cut.number} by "
                f"{cut.principle} keeps only {words(cut.rule)}; stay inside, or undo that cut first"
            )
