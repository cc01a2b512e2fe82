"""The chairs that the settings ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from vitruvius.agents.chairs.architect import ModelArchitect
from vitruvius.agents.chairs.theorist import ModelTheorist
from vitruvius.agents.chairs.view import Architect, Theorist
from vitruvius.agents.chairs.voice import Voice
from vitruvius.agents.model.client import ModelClient
from vitruvius.agents.model.endpoint import ModelSettings
from vitruvius.agents.model.replayed_client import ReplayClient
from vitruvius.agents.model.resolving import Resolved, resolve_model
from vitruvius.agents.model.tokens import price_of
from vitruvius.memory.records import ModelCall
from vitruvius.settings import ModelChairs


class BothChairs(Architect, Theorist, Protocol):
    """Someone who can take both chairs: the analyst."""


def create_chairs(
    settings: ModelSettings, analyst: BothChairs, resolved: Resolved | None = None
) -> tuple[Architect, Theorist]:
    """Returns architect and theorist: a model with the analyst behind it, or the analyst.

    With `model_chairs` a model takes one chair, and the analyst the other.

    Imports langchain, reads files and, for `auto`, asks the endpoint: call it outside the event
    loop. A model without a known price counts zero dollars; the runner refuses a dollar budget
    then (`prices.price_of`).

    Args:
        settings: names the model and its endpoint.
        analyst: takes each step that the model cannot.
        resolved: what `resolve_model` said, if it was asked already.

    Raises:
        ConfigError: a model is named but no endpoint is configured, or prices cannot be read.
    """
    endpoint = (resolved or resolve_model(settings)).endpoint
    if endpoint is None:
        return analyst, analyst
    client = ModelClient(endpoint, price=price_of(endpoint.model, settings.home))
    voice = Voice(client, prompt_tokens=settings.prompt_tokens)
    return _seated(voice, analyst, settings.model_chairs)


def replayed_chairs(
    calls: Sequence[ModelCall],
    analyst: BothChairs,
    *,
    prompt_tokens: int,
    already: int,
    chairs: ModelChairs = "both",
) -> tuple[Architect, Theorist]:
    """Returns the chairs of a replay: a run's stored replies, or the analyst where it had none.

    Args:
        calls: of the recorded run, in order.
        analyst: takes each step that it took then.
        prompt_tokens: as then.
        already: how many of the calls the replay has booked, before it was interrupted.
        chairs: that the model took.
    """
    if not calls:
        return analyst, analyst
    voice = Voice(ReplayClient(calls, already=already), prompt_tokens=prompt_tokens)
    return _seated(voice, analyst, chairs)


def _seated(voice: Voice, analyst: BothChairs, chairs: ModelChairs) -> tuple[Architect, Theorist]:
    architect = analyst if chairs == "theorist" else ModelArchitect(voice, analyst)
    theorist = analyst if chairs == "architect" else ModelTheorist(voice, analyst)
    return architect, theorist
