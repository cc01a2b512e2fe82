"""The file in which principles travel between homes. What it says is data, never trusted."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from vitruvius.memory.records import Standing
from vitruvius.spaces.rules import Rule

# one line, so that no text can pass for more than one line of a prompt or a report
_OneLine = AfterValidator(lambda text: " ".join(text.split()))
WIDEST = 8.0  # bound of effects; a test compares it with that of `effects`, which needs scipy
Name = Annotated[str, Field(min_length=1, max_length=200), _OneLine]
Text = Annotated[str, Field(min_length=3, max_length=600), _OneLine]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=10**9)]
Effect = Annotated[float, Field(ge=-WIDEST, le=WIDEST)]
Points = Annotated[float, Field(ge=-1e12, le=1e12)]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExportedEvidence(_Data):
    """What one run last measured of a version: its sums, not its trials."""

    run: Name  # in the home it came from
    task: Name
    up_to: Count
    look: Annotated[int, Field(ge=1, le=10**6)]
    n_in: Count
    n_out: Count
    effect: Effect
    low: Effect
    high: Effect
    p_value: Share
    doubly_robust: Points | None = None
    points: Points | None = None
    top_loss: Share
    top_loss_high: Share
    kept: Share
    standing: Standing

    @model_validator(mode="after")
    def _is_an_interval(self) -> Self:
        if not self.low <= self.effect <= self.high:
            raise ValueError("expected low <= effect <= high")
        return self


class ExportedVersion(_Data):
    """One version of a principle and what was measured of it."""

    name: Name  # in the home it came from
    statement: Text
    rule: Rule
    task: Name
    author: Name
    rationale: Text
    evidence: Annotated[tuple[ExportedEvidence, ...], Field(max_length=1_000)] = ()


class ExportedPrinciple(ExportedVersion):
    """One principle as it stands; `history` are the versions before, oldest first."""

    space: Name
    history: Annotated[tuple[ExportedVersion, ...], Field(max_length=1_000)] = ()


class PrincipleFile(_Data):
    """The whole file. Version 1 had neither evidence nor history."""

    format: Literal["vitruvius-principles"] = "vitruvius-principles"
    version: Literal[1, 2] = 2
    principles: Annotated[tuple[ExportedPrinciple, ...], Field(max_length=10_000)]
