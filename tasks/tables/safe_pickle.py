"""Pickles of others, read without running what they ask for."""

from __future__ import annotations

import bz2
import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vitruvius.errors import ConfigError

MAX_BYTES = 64 * 2**20  # of one unpacked file; those of NATS-Bench have 0.3 to 1.4 MB
NUMBERS = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"})
ARRAYS = ("numpy.core.multiarray", "numpy._core.multiarray")  # before numpy 2 and since
_MALFORMED = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError,
    OverflowError, MemoryError, RecursionError,
)  # fmt: skip


def read_packed_pickle(path: Path) -> Any:
    """Returns the plain data of a bz2-compressed pickle: containers, texts and numbers.

    Of everything that a pickle can name, it may name ordered dicts and numpy's scalar numbers;
    the latter are rebuilt from their bytes here, not by numpy. Anything else is refused before
    it is imported, so a file cannot run code.

    Raises:
        ConfigError: if the file cannot be read, is larger than `MAX_BYTES`, or names something
            else; the sentence says what.
    """
    try:
        with bz2.open(path) as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, EOFError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path} unpacks to more than {MAX_BYTES:,} bytes")
    try:
        return _Restricted(data).load()
    except _Refused as error:
        raise ConfigError(
            f"{path} asks for {error}, which no table of numbers needs: it was not run, and the"
            " file is refused"
        ) from None
    except _MALFORMED as error:
        raise ConfigError(f"{path} is no pickle of plain data: {error}") from error


class _Refused(Exception):
    """Names what a pickle asked for."""


class _Restricted(pickle.Unpickler):
    """An unpickler that knows three names."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self._allowed = _allowed()

    def find_class(self, module: str, name: str) -> Any:
        """Returns the stand-in of an allowed name."""
        try:
            return self._allowed[module, name]
        except KeyError:
            raise _Refused(f"{module}.{name}") from None


def _allowed() -> dict[tuple[str, str], Callable[..., Any]]:
    """Returns what each allowed name stands for.

    Made anew for each file, since a pickle can set attributes of the objects that it is given.
    """

    class Dtype:
        """Stands for `numpy.dtype`: remembers which kind of number, and no more."""

        def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
            if code not in NUMBERS:
                raise _Refused(f"numbers of type {code!r:.40}")
            self.code, self.order = code, "<"

        def __setstate__(self, state: tuple[Any, ...]) -> None:
            self.order = ">" if state[1] == ">" else "<"

    def scalar(dtype: Any, data: Any) -> float:
        """Stands for numpy's scalar."""
        if type(dtype) is not Dtype or type(data) is not bytes:
            raise _Refused("a scalar that is no number")
        return float(np.frombuffer(data, dtype=np.dtype(dtype.order + dtype.code))[0])

    return {
        ("collections", "OrderedDict"): OrderedDict,
        ("numpy", "dtype"): Dtype,
        **dict.fromkeys(((module, "scalar") for module in ARRAYS), scalar),
    }
