"""Texts to model: which one a reference names, and how it is read."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import cast, get_args

from vitruvius.errors import ConfigError
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.metrics import metrics_of_texts
from vitruvius.tasks.options import Options
from vitruvius.tasks.texts.text import (
    LANGUAGE_RECIPE,
    MASKED_RECIPE,
    TOKENS,
    TextTask,
    Unit,
    create_text_task,
    usual_unit,
)

TOPICS = "topics"  # in place of a path: the corpus that Python carries

CHARACTERS_PER_TOKEN = 32  # at most read for each token wanted; English words take about 4


def load_text_task(ref: str, options: Options, _: SearchSpace | None) -> TextTask:
    """Returns the task of a reference: `topics`, `text:PATH`, `masked:topics` or `masked:PATH`.

    Raises:
        ConfigError: one sentence that says what is wrong with the reference or the file.
    """
    masked = options.name == "masked"
    unit = cast("Unit", options.one_of("unit", get_args(Unit), usual_unit(masked=masked)))
    tokens = options.whole("tokens") or TOKENS
    text, name, about = _corpus(options, tokens)
    task = create_text_task(
        text,
        name=f"masked-{name}" if masked else name,
        ref=ref,
        about=about,
        unit=unit,
        context=options.whole("context"),
        vocabulary=options.whole("vocabulary"),
        tokens=tokens,
        masked=masked,
        measure=options.one_of("metric", metrics_of_texts(), "cross_entropy") or "cross_entropy",
        recipe=options.recipe(MASKED_RECIPE if masked else LANGUAGE_RECIPE),
        constraints=options.constraints(),
    )
    options.done()
    return task


def _corpus(options: Options, tokens: int) -> tuple[str, str, str]:
    """Returns the text, the task's name and what it is."""
    if options.name == TOPICS or options.given.get("path") == TOPICS:
        if options.name != TOPICS:
            options.text("path")
        return read_topics(), TOPICS, "the help texts that come with Python"
    path = options.path()
    text = read_text(path, CHARACTERS_PER_TOKEN * tokens)
    return text, re.sub(r"[^\w.-]+", "-", path.stem), f"the text of {path.name}"


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
