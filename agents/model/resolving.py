"""Which model takes the chairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from vitruvius.agents.model.capabilities import Capabilities, probe
from vitruvius.agents.model.endpoint import DUMMY_KEY, Endpoint, ModelSettings, find_address
from vitruvius.agents.model.local import REPLY_TOKENS, check_local, is_file_of_model, served
from vitruvius.agents.model.transport import TransportFailed, classified
from vitruvius.errors import ConfigError
from vitruvius.settings import ModelChairs

__all__ = ["Capabilities", "Resolved", "at_hand", "probe", "resolve_model", "served_models"]

# Taken by `auto` at OpenAI's own endpoint, where many models are served.
OPENAI_CHOICE = "gpt-5-mini"

_SEATS: dict[ModelChairs, str] = {
    "both": "both chairs",
    "architect": "the architect's chair, the analyst the theorist's",
    "theorist": "the theorist's chair, the analyst the architect's",
}


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """Which model takes the chairs. `words` say it to people.

    `endpoint` None: the analyst, or a model file (`file`), which `at_hand` serves.
    """

    endpoint: Endpoint | None
    words: str
    file: Path | None = None

    @property
    def model(self) -> str | None:
        """The model's name; None for the analyst."""
        if self.file is not None:
            return self.file.stem
        return self.endpoint.model if self.endpoint else None


@contextmanager
def at_hand(resolved: Resolved, settings: ModelSettings) -> Iterator[Resolved]:
    """Yields the choice with its endpoint up: a model file is served until the block ends.

    Raises:
        ConfigError: the file cannot be served here.
    """
    if resolved.file is None:
        yield resolved
        return
    with served(resolved.file, context=settings.prompt_tokens + REPLY_TOKENS) as url:
        endpoint = Endpoint(
            model=resolved.file.stem,
            base_url=url,
            api_key=DUMMY_KEY,
            timeout_s=settings.model_timeout_s,
            max_tokens=REPLY_TOKENS,
        )
        yield replace(resolved, endpoint=endpoint)


def resolve_model(settings: ModelSettings) -> Resolved:
    """Returns the endpoint or model file that the settings stand for, or the analyst.

    `auto` takes the configured endpoint if one is configured and answers, else the analyst; it
    asks the endpoint what it serves (at most 10 s).

    Raises:
        ConfigError: a model is named but no endpoint is configured, the URL is not one, or a
            model file cannot be served here.
    """
    name, seats = settings.model, _SEATS[settings.model_chairs]
    if name == "analyst":
        return _analyst("as asked")
    if is_file_of_model(name):
        file = Path(name)
        check_local(file)
        words = f"{file.stem}, served here from {file}, takes {seats}."
        return Resolved(endpoint=None, file=file, words=words)
    address = find_address(settings)
    if address is None and name == "auto":
        return _analyst("no model endpoint is configured (OPENAI_BASE_URL, OPENAI_API_KEY)")
    if address is None:
        raise ConfigError(
            f"model {name!r} needs an endpoint: set OPENAI_API_KEY, or OPENAI_BASE_URL for "
            "another server (any key will do there), or use --model analyst"
        )
    base_url, api_key = address
    endpoint = Endpoint(
        model=name, base_url=base_url, api_key=api_key, timeout_s=settings.model_timeout_s
    )
    if name != "auto":
        return Resolved(endpoint=endpoint, words=f"{name} at {endpoint.where} takes {seats}.")
    try:
        served = served_models(endpoint)
    except (TransportFailed, ConfigError) as error:
        return _analyst(str(error))
    model, note = _choice(endpoint, served)
    if model is None:
        return _analyst(note)
    return Resolved(
        endpoint=replace(endpoint, model=model),
        words=f"{model} at {endpoint.where} takes {seats} ({note}).",
    )


def _analyst(why: str) -> Resolved:
    return Resolved(endpoint=None, words=f"The built-in analyst takes both chairs: {why}.")


def _choice(endpoint: Endpoint, served: Sequence[str]) -> tuple[str | None, str]:
    """Returns a model that is served and a note; None where a choice could cost money."""
    if endpoint.is_openai and OPENAI_CHOICE in served:
        return OPENAI_CHOICE, "the usual choice there; name another with --model"
    if len(served) == 1:
        return served[0], "the model that it serves"
    if served and endpoint.is_local:
        return served[0], f"the first of {len(served)} that it serves; name another with --model"
    if not served and not endpoint.is_openai:
        return "default", "the endpoint lists no models; name one with --model"
    return None, f"{endpoint.where} serves {len(served)} models; name one with --model"


def served_models(endpoint: Endpoint, *, timeout_s: float = 5.0) -> list[str]:
    """Returns the names of the models that an endpoint lists; none if it keeps no list.

    Raises:
        TransportFailed: if it cannot be reached.
        ConfigError: if it refuses the key.
    """
    import openai

    with openai.OpenAI(
        api_key=endpoint.api_key,
        base_url=endpoint.base_url or "https://api.openai.com/v1",
        timeout=timeout_s,
        max_retries=1,
    ) as client:
        try:
            return [model.id for model in client.models.list().data or ()]
        except openai.NotFoundError:
            return []
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise classified(error, endpoint) from error
