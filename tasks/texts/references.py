"""From `text:PATH`, `topics` and `masked:...` to tasks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast, get_args

from vitruvius.tasks.texts.corpora import CHARACTERS_PER_TOKEN, read_text, read_topics
from vitruvius.tasks.texts.text import (
    LANGUAGE_RECIPE,
    MASKED_RECIPE,
    TOKENS,
    TextMetric,
    TextTask,
    create_text_task,
    usual_unit,
)
from vitruvius.tasks.texts.tokens import Unit

if TYPE_CHECKING:
    from vitruvius.tasks.registry import Options

TOPICS = "topics"  # in place of a path: the corpus that Python carries


def load_text_task(ref: str, options: Options) -> TextTask:
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
        measure=cast("TextMetric", options.one_of("metric", get_args(TextMetric), "cross_entropy")),
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
