"""Tool calls as the ledger keeps them: JSON in a row, their own class again when they are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

_KINDS: dict[str, type[Call]] = {}


class Call(BaseModel):
    """A call of a tool. The tools themselves are in `tools.calls`, a class each.

    A class that names its tool is what `read_stored` returns for that name. Memory stands below
    the tools and cannot import them; but whoever asks for a kind of call by its class has
    imported it, and so has made it known here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool: str

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        name = cls.model_fields["tool"].default
        if isinstance(name, str) and not issubclass(cls, _KINDS.get(name, ())):
            _KINDS[name] = cls

    @classmethod
    def stored(cls, written: Mapping[str, Any]) -> Call:
        """Returns the call of a row, which holds what the program added to it besides."""
        return cls.model_validate({n: written[n] for n in cls.model_fields if n in written})


class NoCall(Call):
    """A reply that was turned down: no call could be read in it."""

    tool: str = ""
    text: str


def read_stored(written: Mapping[str, Any]) -> Call:
    """Returns the call in a row of the ledger; a plain `Call` where this program knows no such.

    Example:
        >>> read_stored({"text": "I would rather not."})
        NoCall(tool='', text='I would rather not.')
    """
    name = written.get("tool")
    if name is None:
        return NoCall(text=str(written.get("text", "")))
    try:
        return _KINDS.get(str(name), Call).stored(written)
    except ValidationError:  # of another version, or written by hand
        return Call(tool=str(name))
