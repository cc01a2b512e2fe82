"""Decisions: the tool calls of the architect, as data that a model may write."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

LEAST_TO_AUDIT = 12  # architectures with a result

Reason = Annotated[str, Field(max_length=600)]
Specs = Annotated[list[dict[str, Any]], Field(min_length=1, max_length=32)]


class _Decision(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Train(_Decision):
    """Train architectures for real and learn their validation score. The costly tool."""

    tool: Literal["train"] = "train"
    architectures: Specs = Field(description="1 to k architectures, each an object of its space")
    reason: Reason = ""


class Proxy(_Decision):
    """Compute training-free scores of architectures; cheap, weakly related to the score."""

    tool: Literal["proxy"] = "proxy"
    architectures: Specs
    proxies: list[str] = Field(min_length=1, max_length=16)
    reason: Reason = ""


class Recall(_Decision):
    """Search the memory of principles, those of earlier runs included."""

    tool: Literal["recall"] = "recall"
    query: str = Field(min_length=3, max_length=400)
    reason: Reason = ""


class Prune(_Decision):
    """Cut the space by a principle (kept only if the evidence licenses it), or undo a cut."""

    tool: Literal["prune"] = "prune"
    action: Literal["cut", "undo"]
    principle: str | None = Field(default=None, description="to cut: a principle, like P7")
    cut: int | None = Field(default=None, description="to undo: the cut's number")
    reason: Reason = ""


class Audit(_Decision):
    """Ask what decides in the space, by the results so far; proposed cuts become candidates."""

    tool: Literal["audit"] = "audit"
    reason: Reason = ""


AnyDecision = Annotated[Train | Proxy | Recall | Prune | Audit, Field(discriminator="tool")]
