"""Tokens: counted before a call, and what they cost.

Counted by tiktoken where its encoding is on this disk, else estimated; priced from a file that the
user can edit.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from vitruvius.errors import ConfigError

CHARS_PER_TOKEN = 4.0

# SHA-1 of the address and SHA-256 of the file, as tiktoken 0.14 caches them.
ENCODINGS = {
    "cl100k_base": (
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
    "o200k_base": (
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
}

_DATE = re.compile(r"-\d{4}-?\d{2}-?\d{2}$")


def _cached(key: str, digest: str) -> bool:
    """Whether tiktoken would find the encoding here; it must never be let near the network."""
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if folder is None:
        folder = str(Path(tempfile.gettempdir()) / "data-gym-cache")
    path = Path(folder) / key
    if not folder or not path.is_file():
        return False
    return hashlib.sha256(path.read_bytes()).hexdigest() == digest


def _tiktoken(model: str) -> Callable[[str], int] | None:
    import tiktoken

    try:
        name = tiktoken.encoding_name_for_model(model)
    except KeyError:
        return None
    if name not in ENCODINGS or not _cached(*ENCODINGS[name]):
        return None
    encoding = tiktoken.get_encoding(name)
    return lambda text: len(encoding.encode_ordinary(text))


class TokenCounter:
    """Counts tokens for one model; estimates them unless tiktoken knows it.

    An estimate starts at four characters a token and follows what the endpoint reports.
    """

    def __init__(self, model: str) -> None:
        self._exact = _tiktoken(model)
        self._chars_per_token = CHARS_PER_TOKEN

    def count(self, text: str) -> int:
        """Returns the number of tokens, rounded up where it is an estimate."""
        if self._exact is not None:
            return self._exact(text)
        return int(-(-len(text) // self._chars_per_token))

    def learn(self, chars: int, tokens: int) -> None:
        """Takes the endpoint's own count of a prompt; later estimates follow it."""
        if chars >= 2000 and tokens > 0:  # in a short one the chat template weighs too much
            self._chars_per_token = min(max(chars / tokens, 1.0), 8.0)


@dataclass(frozen=True, kw_only=True)
class Price:
    """US dollars for one million tokens."""

    input: float
    output: float

    def dollars(self, tokens_in: int, tokens_out: int) -> float:
        """Returns what a call costs; cached tokens count in full."""
        return (tokens_in * self.input + tokens_out * self.output) / 1e6


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid")
    input: float = Field(ge=0)
    output: float = Field(ge=0)


_ROWS = TypeAdapter(dict[str, _Row])


def _read(text: str, where: str) -> dict[str, Price]:
    try:
        rows = _ROWS.validate_python(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise ConfigError(
            f"{where} should hold tables [model] with input and output in dollars for a million "
            f"tokens; {error}"
        ) from error
    return {name: Price(input=row.input, output=row.output) for name, row in rows.items()}


def prices(home: Path | None = None) -> dict[str, Price]:
    """Returns the prices by model name; those of `prices.toml` in the home folder win.

    Raises:
        ConfigError: if the user's file is there and cannot be read as prices.
    """
    shipped = resources.files("vitruvius.agents.model").joinpath("prices.toml").read_text("utf-8")
    table = _read(shipped, "the shipped prices.toml")
    own = home / "prices.toml" if home is not None else None
    if own is not None and own.is_file():
        table |= _read(own.read_text("utf-8"), str(own))
    return table


def price_of(model: str, home: Path | None = None) -> Price | None:
    """Returns the price of a model, or None if neither file knows it.

    Args:
        model: the name that the endpoint serves; a date at its end may be missing in the file.
        home: the home folder, for the user's own `prices.toml`.
    """
    table = prices(home)
    return table.get(model) or table.get(_DATE.sub("", model))
