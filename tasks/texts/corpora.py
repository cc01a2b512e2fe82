"""Texts to model: any UTF-8 file, and one corpus that every Python carries."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from vitruvius.errors import ConfigError

CHARACTERS_PER_TOKEN = 32  # at most read for each token wanted; English words take about 4


def read_text(path: Path, characters: int) -> str:
    """Returns the beginning of a UTF-8 text file, at most so many characters.

    Raises:
        ConfigError: if there is no such file, or it is a folder, empty, or not text.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; name one text file in it")
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(characters)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error.reason}") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if "\0" in text:
        raise ConfigError(f"{path} is not text: it holds zero bytes")
    if not text.strip():
        raise ConfigError(f"{path} holds no text")
    return text


@lru_cache(maxsize=1)
def read_topics() -> str:
    """Returns the paragraphs of Python's own help texts (`pydoc_data.topics`), each once.

    Topics come in the order of their names. A fifth of the text is printed under several topics: a
    paragraph stays where it comes first, so that none is both learned and asked. Another version of
    Python has another text.
    """
    from pydoc_data.topics import topics

    paragraphs = (
        paragraph
        for name in sorted(topics)
        for paragraph in re.split(r"\n\s*\n", topics[name])
        if paragraph.strip()
    )
    first = {" ".join(paragraph.split()): paragraph for paragraph in reversed([*paragraphs])}
    return "\n\n".join(reversed(first.values()))
