"""Counting tokens before a call: tiktoken where its encoding is on this disk, else an estimate."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

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
