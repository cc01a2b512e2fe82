"""What went wrong between us and an endpoint, told apart by who must act."""

from __future__ import annotations

from vitruvius.agents.model.endpoint import Endpoint
from vitruvius.errors import ConfigError, VitruviusError

MAX_WAIT_S = 60.0


class TransportFailed(VitruviusError):
    """No reply came: a rate limit, a server's error, a time-out, a broken connection."""


class BadReply(VitruviusError):
    """The server could not read its own model's tool call: a bad decision, not a broken line."""


class ContextFull(VitruviusError):
    """The prompt is longer than the model can take."""


class RequestRefused(VitruviusError):
    """The server does not take a request of this form."""


FAILURES = (ConfigError, TransportFailed, BadReply, ContextFull, RequestRefused)


def expected() -> tuple[type[Exception], ...]:
    """Returns the exceptions by which a call can fail.

    langchain-openai raises plain ValueError, KeyError, TypeError or AttributeError for an answer
    that is not of the protocol (an HTML page, null choices).
    """
    import openai

    return (
        openai.OpenAIError,
        TimeoutError,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    )


def classified(error: Exception, endpoint: Endpoint) -> VitruviusError:
    """Returns the error as one of ours, in a sentence without keys."""
    import openai
    from langchain_core.exceptions import ContextOverflowError

    said = endpoint.redact(" ".join(str(error).split()))[:300]
    status = getattr(error, "status_code", None)
    code = str(getattr(error, "code", "") or "")
    if isinstance(error, ContextOverflowError) or (status in (400, 413) and "context" in said):
        return ContextFull(f"the prompt is too long for {endpoint.model}: {said}")
    if "parse tool call" in said.lower() or "failed to parse input" in said.lower():
        return BadReply(f"the server could not read the tool call that the model wrote: {said}")
    if status in (401, 402, 403) or code in ("insufficient_quota", "invalid_api_key"):
        return ConfigError(
            f"{endpoint.where} refuses the key or the account (HTTP {status}): {said}. Set "
            "OPENAI_API_KEY to a key that is valid there, or use --model analyst."
        )
    if status == 404:
        return ConfigError(
            f"{endpoint.where} has no model {endpoint.model!r} or no chat-completions there "
            f"(HTTP 404): {said}. Check --model and OPENAI_BASE_URL."
        )
    if isinstance(status, int) and 400 <= status < 500 and status not in (408, 409, 425, 429):
        return RequestRefused(f"{endpoint.where} refused the request (HTTP {status}): {said}")
    if isinstance(error, (openai.APITimeoutError, TimeoutError)):
        return TransportFailed(f"{endpoint.where} did not answer in time")
    if isinstance(error, openai.APIConnectionError):
        return TransportFailed(f"{endpoint.where} cannot be reached: {_root(error, endpoint)}")
    if isinstance(status, int):
        return TransportFailed(f"{endpoint.where} failed (HTTP {status}): {said}")
    return TransportFailed(
        f"{endpoint.where} sent something that is not a chat completion: "
        f"{type(error).__name__}: {said}"
    )


def _root(error: BaseException, endpoint: Endpoint) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return endpoint.redact(str(error) or type(error).__name__)[:200]


def retry_after(error: BaseException | None, otherwise_s: float) -> float:
    """Returns the seconds to wait: what the server asks for, at most `MAX_WAIT_S`."""
    response = getattr(error, "response", None)
    asked = response.headers.get("retry-after") if response is not None else None
    try:
        wait_s = float(asked) if asked is not None else otherwise_s
    except ValueError:  # an HTTP date
        wait_s = otherwise_s
    return min(max(wait_s, 0.0), MAX_WAIT_S)
