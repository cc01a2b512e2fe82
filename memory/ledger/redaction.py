"""Keeps keys out of what is stored: the last gate before the ledger."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Any

HIDDEN = "[redacted]"
_SECRET_NAME = re.compile(r"(^|_)(key|secret|password|passwd|token|authorization)$", re.IGNORECASE)
_SECRET_TEXT = re.compile(r"\b(?:sk|pk|hf|gsk|xai)[-_][A-Za-z0-9_\-]{16,}|(?<=Bearer )\S{12,}")
_SHORTEST = 8  # a dummy key like "x" is no secret, and would blank out words


def redact_texts(data: Any, secrets: Iterable[str] = ()) -> Any:
    """Returns JSON-able data in which no text holds a key; names are not looked at."""
    return _walk(data, _known(secrets), by_name=False)


def redact_settings(data: Mapping[str, Any], secrets: Iterable[str] = ()) -> dict[str, Any]:
    """Returns JSON-able settings without keys: also what stands under names like `api_key`."""
    settings: dict[str, Any] = _walk(data, _known(secrets), by_name=True)
    return settings


def _known(secrets: Iterable[str]) -> tuple[str, ...]:
    own = [os.environ.get(name, "") for name in os.environ if _names_a_secret(name)]
    known = {secret for secret in (*secrets, *own) if len(secret) >= _SHORTEST}
    return tuple(sorted(known, key=len, reverse=True))  # one may be part of another


@lru_cache(maxsize=1024)
def _names_a_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def _redact(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return _SECRET_TEXT.sub(HIDDEN, text)


def _walk(data: Any, secrets: tuple[str, ...], *, by_name: bool) -> Any:
    if isinstance(data, Mapping):
        return {
            str(name): HIDDEN
            if by_name and value and _SECRET_NAME.search(str(name))
            else _walk(value, secrets, by_name=by_name)
            for name, value in data.items()
        }
    if isinstance(data, Enum):
        return data.value
    if data is None or isinstance(data, bool | int | float):
        return data
    if isinstance(data, list | tuple | set | frozenset):
        return [_walk(value, secrets, by_name=by_name) for value in data]
    return _redact(str(data), secrets)
