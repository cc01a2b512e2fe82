"""Text from models, imports and user files made safe to show: it stays text wherever it lands."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_SPECIAL = re.compile(r"([\\`*\[\]<>#|!~&@$^{}])")
_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_LINK = re.compile(r"(?<=[A-Za-z])(://)|(?<=\bwww)(\.)", re.IGNORECASE)
_BACKTICKS = re.compile(r"`+")
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn")
MAX_CHARACTERS = 600


def clean(text: str, limit: int = MAX_CHARACTERS) -> str:
    """Returns the text on one line without control, formatting or bidirectional characters.

    Terminal escape sequences lose their escape character and with it their effect.
    """
    spaced = (" " if c.isspace() else c for c in text)
    shown = "".join(c for c in spaced if unicodedata.category(c) not in _UNSEEN)
    kept = " ".join(shown.split())
    return kept if len(kept) <= limit else kept[: limit - 1].rstrip() + "…"


def escape(text: str, limit: int = MAX_CHARACTERS) -> str:
    r"""Returns the text for a Markdown sentence or table cell; no markup, HTML or link is left.

    Example:
        >>> print(escape("*bold* <b> | [x](y)"))
        \*bold\* \<b\> \| \[x\](y)
    """
    escaped = _SPECIAL.sub(r"\\\1", clean(text, limit))
    escaped = _UNDERSCORE.sub(r"\\_", escaped)
    return _LINK.sub(lambda match: "\\" + match.group(0), escaped)


def code(text: str) -> str:
    """Returns the text as a Markdown code span; escaped text where a span is unsafe in a table."""
    body = clean(text)
    if not body or "|" in body:
        return escape(body)
    fence = "`" * (max((len(run) for run in _BACKTICKS.findall(body)), default=0) + 1)
    pad = " " if body.startswith("`") or body.endswith("`") else ""
    return f"{fence}{pad}{body}{pad}{fence}"


def names(numbers: Iterable[int]) -> str:
    """Returns trial numbers as names, runs of them joined.

    Example:
        >>> names([1, 2, 3, 7])
        'T1-T3, T7'
    """
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ", ".join("-".join(f"T{number}" for number in part) for part in parts)
