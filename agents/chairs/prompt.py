"""The prompt of a chair: a view of the run rendered as a fresh page, within a number of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import Template

from vitruvius.agents.chairs.prompt_lines import (
    budget_text,
    by_standing,
    contradiction_lines,
    cuts_text,
    decision_line,
    noise_text,
    notes_text,
    principle_line,
    progress_text,
    proxy_lines,
    source_lines,
    task_text,
    trial_lines,
)
from vitruvius.agents.chairs.view import RunView
from vitruvius.agents.model.quoting import fenced

Count = Callable[[str], int]


@cache
def prompts() -> dict[str, Template]:
    """Returns every prompt file by its name without ending. Reads files the first time."""
    folder = resources.files("vitruvius.agents.chairs").joinpath("prompts")
    files = [file for file in folder.iterdir() if file.name.endswith(".md")]
    return {
        file.name.removesuffix(".md"): Template(file.read_text("utf-8").strip()) for file in files
    }


def template(name: str) -> Template:
    """Returns a prompt file by name, without its ending."""
    return prompts()[name]


@dataclass(frozen=True, kw_only=True)
class Page:
    """A rendered view. `left_out` counts the lines that did not fit, by section."""

    text: str
    tokens: int
    left_out: dict[str, int]


def render(view: RunView, ask: str, *, count: Count, budget: int) -> Page:
    """Returns the page of a view in at most `budget` tokens, as `count` counts them.

    Task, space, budget, noise, region, progress and notes are always there. The other sections
    give up their least telling lines first: trials in the middle of the ranking and old ones,
    principles that are not supported, old decisions, weak proxies. Best and worst trials stay
    longest.
    """
    fixed = {
        "task": task_text(view),
        "space": view.space.describe(),
        "budget": budget_text(view),
        "noise": noise_text(view),
        "cuts": cuts_text(view),
        "progress": progress_text(view),
        "ask": f"{notes_text(view)}{ask}",
    }
    sections = {
        "trials": trial_lines(view),
        "principles": [principle_line(view, known) for known in by_standing(view)],
        "contradictions": contradiction_lines(view),
        "sources": source_lines(view),
        "proxies": proxy_lines(view),
        "decisions": [decision_line(decision) for decision in reversed(view.decisions)],
    }
    around = {name: _body(name, (), len(lines)) for name, lines in sections.items()}
    frame = template("page").substitute(fixed, **around)
    kept = _fill(sections, count, budget - count(frame))
    left_out = {name: len(lines) - kept[name] for name, lines in sections.items()}
    bodies = {
        name: _body(name, lines[: kept[name]], left_out[name]) for name, lines in sections.items()
    }
    text = template("page").substitute(fixed, **bodies)
    return Page(text=text, tokens=count(text), left_out=left_out)


def _fill(sections: dict[str, list[str]], count: Count, room: int) -> dict[str, int]:
    """Returns how many lines of each section fit, taken in turns by their shares."""
    shares = {
        "trials": 4,
        "principles": 2,
        "contradictions": 1,
        "sources": 1,
        "proxies": 1,
        "decisions": 1,
    }
    waiting = {name: iter(lines) for name, lines in sections.items()}
    kept = dict.fromkeys(sections, 0)
    while waiting:
        for name in list(waiting):
            for _ in range(shares[name]):
                line = next(waiting[name], None)
                cost = 0 if line is None else count(line) + 1
                if line is None or cost > room:
                    del waiting[name]
                    break
                room -= cost
                kept[name] += 1
    return kept


_EMPTY = {
    "trials": "None yet.",
    "principles": "None yet.",
    "contradictions": "None.",
    "sources": "None: nothing was learned elsewhere.",
    "proxies": "Nothing to compare yet.",
    "decisions": "None yet.",
}
_HEADS = {
    "trials": "Best and worst first. Each line: trial, score, architecture.",
    "principles": "Effect: how much better architectures are that satisfy the rule, in standard "
    "deviations of rank, with a 95 % interval.",
    "contradictions": "Trials that a principle gets wrong, the most telling first.",
    "sources": "Other runs that this one may learn from. Trust: the weight of their word before "
    "this run has measured it.",
    "proxies": "Rank correlation with this run's trained scores, with a 95 % interval; given what "
    "is counted; weight in the model of the run. One that does no better than params or depth is "
    "demoted: of no use.",
    "decisions": "Latest first.",
}


def _body(name: str, lines: Sequence[str], left_out: int) -> str:
    if not lines and not left_out:
        return _EMPTY[name]
    note = (f"({left_out} less telling lines are left out for room)",) if left_out else ()
    return "\n".join((_HEADS[name], fenced(lines), *note))
