"""Foreign text as data: quoted on one line, between fences that it cannot close."""

from __future__ import annotations

import json
from collections.abc import Iterable

QUOTE_CHARS = 400


def quoted(text: str, limit: int = QUOTE_CHARS) -> str:
    """Returns foreign text as one line of JSON that cannot close a <data> fence."""
    text = text if len(text) <= limit else text[:limit] + "..."
    return json.dumps(text, ensure_ascii=False).replace("<", "\\u003c")


def fenced(lines: Iterable[str]) -> str:
    """Returns lines of data between the fences that the system prompt speaks of."""
    return "\n".join(("<data>", *lines, "</data>"))
