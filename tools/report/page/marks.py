"""Numbers on the page: each carries its value and the trials that it rests on, and links there."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence

from markupsafe import Markup, escape

from vitruvius.tools.safe_text import clean, names

_NAMED = re.compile(r"\b(T[0-9]+(?:-T[0-9]+)?)\b")
LONG = 200  # characters of a list of trials that is written wherever it is needed
MOST_RANGES = 10  # of trial numbers that are written out; the rest is told on hovering


class Marks:
    """Writes numbers and names of trials; `shown` are those that have a row on the page."""

    def __init__(self, shown: Collection[int]) -> None:
        self.shown = frozenset(shown)
        self._lists: dict[str, str] = {}  # long lists of trials and their ids on the page

    def number(
        self,
        text: object,
        fact: str,
        value: float | None,
        trials: Iterable[int] = (),
        *,
        key: object = "",
        source: str = "",
    ) -> Markup:
        """Returns a number as it is read, with what it is, its exact value and where it is from.

        Args:
            text: what is read.
            fact: which fact of the report this is.
            value: the number itself.
            trials: that it rests on.
            key: which one of several: a proxy, a feature, a cut.
            source: where it comes from if not from trials: `account`, `settings`, `space`.
        """
        told = names(trials)
        data = [f'data-fact="{escape(fact)}"']
        if value is not None and math.isfinite(value):
            data.append(f'data-value="{value:.12g}"')
        if key != "":
            data.append(f'data-key="{escape(clean(str(key), 300))}"')
        if not told:
            said = escape(source or "settings")
            return Markup('<span class="n" {} data-source="{}">{}</span>').format(
                Markup(" ".join(data)), said, str(text)
            )
        listed, title = self._listed(told)
        return Markup('<a class="n" href="{}" {} data-trials="{}" title="from {}">{}</a>').format(
            self._target(trials), Markup(" ".join(data)), listed, title, str(text)
        )

    def _listed(self, told: str) -> tuple[str, str]:
        """Returns what an element says of its trials, and what is read on hovering.

        A long list is written once on the page, else a thousand trials would make megabytes.
        """
        if len(told) <= LONG:
            return told, told
        name = self._lists.setdefault(told, f"list{len(self._lists) + 1}")
        return f"#{name}", told[:LONG].rpartition(",")[0] + ", ..."

    @property
    def lists(self) -> Markup:
        """The long lists of trials that numbers point at: the last thing on the page."""
        return Markup("").join(
            Markup('<i id="{}" data-list="{}"></i>').format(name, told)
            for told, name in self._lists.items()
        )

    def trials(self, numbers: Sequence[int], nothing: str = "none") -> Markup:
        """Returns names of trials, each range linked to its row."""
        told = names(numbers)
        if not told:
            return Markup("<span>{}</span>").format(nothing)
        ranges = told.split(", ")
        found = Markup(", ").join(self._range(one) for one in ranges[:MOST_RANGES])
        more = len(ranges) - MOST_RANGES
        if more > 0:
            found += Markup(" and {} more").format(more)
        listed, title = self._listed(told)
        return Markup('<span class="trials" data-trials="{}" title="{}">{}</span>').format(
            listed, title, found
        )

    def _range(self, told: str) -> Markup:
        first = told.partition("-")[0]
        return self.trial(int(first[1:]), told.replace("-", "\u2013"))

    def trial(self, number: int, text: str = "") -> Markup:
        """Returns the name of one trial, linked to its row where it has one."""
        name = text or f"T{number}"
        if number not in self.shown:
            return Markup("{}").format(name)
        return Markup('<a href="#T{}">{}</a>').format(number, name)

    def linked(self, text: str) -> Markup:
        """Returns a sentence in which the trials that it names are links."""
        parts = _NAMED.split(clean(text, 2000))
        return Markup("").join(
            self._range(part) if place % 2 else escape(part) for place, part in enumerate(parts)
        )

    def _target(self, trials: Iterable[int]) -> str:
        first = min((n for n in trials if n in self.shown), default=None)
        return "#trials" if first is None else f"#T{first}"
