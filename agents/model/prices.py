"""What a model's tokens cost, from a file that the user can edit."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from vitruvius.errors import ConfigError

_DATE = re.compile(r"-\d{4}-?\d{2}-?\d{2}$")


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
