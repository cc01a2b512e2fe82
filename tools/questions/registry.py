"""The table of questions, a class and an answer each: what a person or a model may ask of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from vitruvius.errors import ToolError
from vitruvius.tools.calls.schemas import short
from vitruvius.tools.questions import learned, looking, reasons
from vitruvius.tools.questions.book import Answer, Book

Name = Annotated[str, Field(min_length=1, max_length=80)]


class Question(BaseModel):
    """What every question has: which tool answers it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Best(Question):
    """The best network, what fresh seeds say of it, and the search's curve."""

    tool: Literal["best"] = "best"


class Trials(Question):
    """A table of trials, sorted and filtered."""

    tool: Literal["trials"] = "trials"
    sort: looking.Sort = "best"
    status: Name | None = Field(default=None, description="only these: done, failed, diverged, ...")
    origin: Name | None = Field(default=None, description="explore, architect, repeat, confirm")
    holding: list[Name] = Field(
        default=[], max_length=6, description="texts that the architecture must contain"
    )
    limit: int = Field(default=10, ge=1, le=looking.MOST_ROWS)


class OneTrial(Question):
    """Everything about one trial."""

    tool: Literal["trial"] = "trial"
    trial: Name = Field(description="like T17")


class Principles(Question):
    """The principles with their effect, and the trials for and against each."""

    tool: Literal["principles"] = "principles"


class Why(Question):
    """Why: a trial's rank, a principle's history and evidence, a cut's reason."""

    tool: Literal["why"] = "why"
    name: Name = Field(description="a trial T17, a principle P3, a cut C2, or a choice's name")


class Helps(Question):
    """What raises the score by this run's evidence, and what does not."""

    tool: Literal["helps"] = "helps"


class Lessons(Question):
    """What the run learned, what it pruned, and what of it to distrust."""

    tool: Literal["learned"] = "learned"


class Cuts(Question):
    """The region: cuts in force and undone, and what is known outside them."""

    tool: Literal["region"] = "region"


class Compare(Question):
    """Two trials side by side, beside the noise."""

    tool: Literal["compare"] = "compare"
    first: Name = Field(description="like T3")
    second: Name = Field(description="like T9")


class Section(Question):
    """A section of the report."""

    tool: Literal["report"] = "report"
    section: Name = Field(description="a word of its title, like distrust, learned, cost, failures")


class Proxies(Question):
    """What each training-free score was worth here."""

    tool: Literal["proxies"] = "proxies"


class Account(Question):
    """Limits of the run, and what was spent of them."""

    tool: Literal["budget"] = "budget"


class Next(Question):
    """Untried architectures near the best, ranked by the supported principles."""

    tool: Literal["next"] = "next"


AnyQuestion = Annotated[
    Best | Trials | OneTrial | Principles | Why | Helps | Lessons | Cuts | Compare | Section
    | Proxies | Account | Next,
    Field(discriminator="tool"),
]  # fmt: skip
_QUESTION: TypeAdapter[AnyQuestion] = TypeAdapter(AnyQuestion)
QUESTIONS: Mapping[str, type[Question]] = {
    kind.model_fields["tool"].default: kind for kind in get_args(get_args(AnyQuestion)[0])
}
_ANSWERS: Mapping[str, Callable[..., Answer]] = {
    "best": looking.best,
    "trials": looking.trials,
    "trial": lambda book, trial: looking.trial(book, trial),
    "principles": learned.principles,
    "why": reasons.why,
    "helps": learned.helps,
    "learned": learned.lessons,
    "region": learned.region,
    "compare": looking.compare,
    "report": lambda book, section: learned.section(book, section),
    "proxies": learned.proxies,
    "budget": looking.budget,
    "next": looking.suggest,
}


def is_question(call: Mapping[str, Any]) -> bool:
    """Returns whether a tool call only asks, and changes nothing."""
    return call.get("tool") in QUESTIONS


def read_question(call: Mapping[str, Any]) -> AnyQuestion:
    """Returns the question in untrusted data: `{"tool": name, argument: value, ...}`.

    Raises:
        ToolError: names the argument that is wrong and what it should be.
    """
    try:
        return _QUESTION.validate_python(dict(call))
    except ValidationError as error:
        told = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in told["loc"][1:]) or "the call"
        raise ToolError(
            f"{short(call.get('tool'))}, {where}: {told['msg'].lower()}, got {short(told['input'])}"
        ) from None


def answer(book: Book, question: AnyQuestion) -> Answer:
    """Returns the answer to a question, from the ledger alone.

    Raises:
        ToolError: it names something that the run does not have.
    """
    given = question.model_dump(exclude={"tool"})
    return _ANSWERS[question.tool](book, **given)
