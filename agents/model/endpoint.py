"""A model's endpoint: where it is, under which key, and with which limits."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from pydantic import SecretStr

from vitruvius.errors import ConfigError
from vitruvius.settings import ModelChairs

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI


class ModelSettings(Protocol):
    """The settings that concern models; `settings.Settings` has them."""

    @property
    def model(self) -> str:
        """`analyst`, `auto`, or the name of a model that the endpoint serves."""
        ...

    @property
    def model_chairs(self) -> ModelChairs: ...
    @property
    def base_url(self) -> str | None: ...
    @property
    def api_key(self) -> SecretStr | None: ...
    @property
    def model_timeout_s(self) -> float:
        """Longest silence of a call."""
        ...

    @property
    def prompt_tokens(self) -> int: ...
    @property
    def home(self) -> Path: ...


DUMMY_KEY = "not-needed"
_SECRET = re.compile(r"\b(?:sk|pk|lsv2|gsk|hf|xai)[-_][A-Za-z0-9_*-]{6,}|Bearer\s+\S{6,}")


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A server that speaks chat-completions, and how it is called."""

    model: str
    base_url: str | None  # None: OpenAI's own
    api_key: str = field(repr=False)
    timeout_s: float = 120.0  # of silence; a whole call may take five times as long
    retries: int = 2  # after a rate limit, a server's error or a broken connection
    backoff_s: float = 1.0  # before the first retry; doubles
    max_tokens: int = 4096  # of one reply
    temperature: float | None = None  # None: the server's own

    @property
    def is_openai(self) -> bool:
        return self.base_url is None or urlsplit(self.base_url).hostname == "api.openai.com"

    @property
    def is_local(self) -> bool:
        host = urlsplit(self.base_url or "").hostname or ""
        return host == "localhost" or host == "::1" or host.startswith("127.")

    @property
    def where(self) -> str:
        """The address for people, without credentials and query."""
        if self.base_url is None:
            return "api.openai.com"
        parts = urlsplit(self.base_url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"

    def redact(self, text: str) -> str:
        """Returns the text without this endpoint's key and whatever else looks like one."""
        if len(self.api_key) >= 6 and self.api_key != DUMMY_KEY:
            text = text.replace(self.api_key, "[key]")
        return _SECRET.sub("[key]", text)


def find_address(settings: ModelSettings) -> tuple[str | None, str] | None:
    """Returns base URL and key of the configured endpoint, or None if none is configured.

    Where there is a base URL, a missing key becomes a dummy: local servers want none.
    """
    url = settings.base_url or None
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    if url is None and not key:
        return None
    if url is not None and not urlsplit(url).hostname:
        raise ConfigError(
            f"expected a base URL like http://127.0.0.1:8080/v1, got {url!r}; "
            "set OPENAI_BASE_URL or --base-url"
        )
    return url, key or DUMMY_KEY


def create_model(endpoint: Endpoint, *, streaming: bool = False) -> ChatOpenAI:
    """Returns the chat model of an endpoint, with every limit set on purpose.

    The client retries nothing by itself: a 500 for a tool call that was cut off is a bad decision,
    not a transport error, and repeating it would cost the same again (see `agents.model.client`).
    """
    import openai
    from langchain_openai import ChatOpenAI

    limits: dict[str, Any] = {"max_tokens": endpoint.max_tokens}
    if not endpoint.is_openai:  # several servers ignore the newer max_completion_tokens
        limits = {"extra_body": {"max_tokens": endpoint.max_tokens}}
    return ChatOpenAI(
        model=endpoint.model,
        base_url=endpoint.base_url or "https://api.openai.com/v1",
        api_key=SecretStr(endpoint.api_key),
        timeout=openai.Timeout(endpoint.timeout_s, connect=min(10.0, endpoint.timeout_s)),
        stream_chunk_timeout=endpoint.timeout_s,
        max_retries=0,
        temperature=endpoint.temperature,
        streaming=streaming,
        stream_usage=True,
        use_responses_api=False,
        output_version="v0",
        # One connection a call: none outlives the event loop that opened it.
        default_headers={"Connection": "close"},
        http_async_client=openai.DefaultAsyncHttpxClient(),
        **limits,
    )
