"""Who speaks in a conversation: the model that the settings name, or nobody but the analyst."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace

from vitruvius.agents.chat.voice import ChatVoice
from vitruvius.agents.model.client import ModelClient
from vitruvius.agents.model.endpoint import ModelSettings
from vitruvius.agents.model.prices import price_of
from vitruvius.agents.model.resolving import at_hand, resolve_model


@dataclass(frozen=True, kw_only=True)
class Speaker:
    """A voice, None for the analyst, and a sentence that says who speaks."""

    voice: ChatVoice | None
    words: str


def create_speaker(settings: ModelSettings, engines: ExitStack) -> Speaker:
    """Returns who answers. Reads files and may ask the endpoint: call it outside the event loop.

    Args:
        settings: name the model and its endpoint.
        engines: a model file is served until it closes.

    Raises:
        ConfigError: a model is named but no endpoint is configured.
    """
    resolved = engines.enter_context(at_hand(resolve_model(settings), settings))
    words = resolved.words.replace("takes both chairs", "answers")
    if resolved.endpoint is None:
        return Speaker(voice=None, words=words)
    endpoint = replace(resolved.endpoint, retries=0)  # a person is there to ask again
    client = ModelClient(endpoint, price=price_of(endpoint.model, settings.home))
    return Speaker(
        voice=ChatVoice(client=client, prompt_tokens=settings.prompt_tokens), words=words
    )
