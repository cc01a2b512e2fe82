"""The page: the facts of a report put into one HTML file, all text of others escaped."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from vitruvius.budget import budget_text
from vitruvius.memory.evidence.calibration import COUNTED, Verdict, verdict
from vitruvius.memory.records import RunKind, Standing, Trial
from vitruvius.spaces.rules import words
from vitruvius.tools.plots.palette import DARK, LIGHT
from vitruvius.tools.report import words as in_words
from vitruvius.tools.report.account import MEANING
from vitruvius.tools.report.facts import Report
from vitruvius.tools.report.learned import doubts_of_lesson
from vitruvius.tools.report.page import figures
from vitruvius.tools.report.page.figures import search_curve
from vitruvius.tools.report.page.marks import Marks
from vitruvius.tools.report.transfer import became
from vitruvius.tools.report.words import interval, plural, seconds, value_text
from vitruvius.tools.safe_text import clean

MOST_ROWS = 1500  # trials in the table; of more, those that something rests on by name
MOST_TEXT = 160  # characters of an architecture in the table
_PLACE = "vitruvius.tools.report.page"


def to_html(report: Report, follows: str | None = None) -> str:
    """Returns the whole report as one page that loads nothing, the same text for the same rows.

    Args:
        report: the facts.
        follows: where the page is served, the address of the stream that says when it has changed.
    """
    rows = rows_of(report)
    marks = Marks({trial.number for trial in rows})
    return _page().render(
        report=report,
        follows=follows,
        run=report.run,
        metric=report.metric,
        marks=marks,
        n=marks.number,
        trials=marks.trials,
        rows=rows,
        cited=cited(report),
        is_search=report.run.kind == RunKind.SEARCH,
        doubts=list(_doubts(report)),
        curve=search_curve(report, marks),
        effect_scale=figures.scale_of([v for e in report.effects for v in (e.low, e.high)]),
        shown_principles=[p for p in report.principles if p.standing != Standing.RETIRED],
        principle_ids={f"P{p.version.principle}" for p in report.principles},
        given_up=[p for p in report.principles if p.standing == Standing.RETIRED],
        proxy_rows=sorted(
            report.calibrations, key=lambda c: (c.proxy in COUNTED, -abs(c.spearman))
        ),
        proxy_scale=figures.Scale(low=-1.0, high=1.0),
        counted=next((c for c in report.calibrations if c.proxy == "params"), None),
        last=max((trial.number for trial in report.trials), default=0),
    )


def rows_of(report: Report) -> list[Trial]:
    """Returns the trials that have a row on the page: all, or those cited where they are many."""
    if report.n_trials <= MOST_ROWS:
        return list(report.trials)
    named = cited(report)
    return [trial for trial in report.trials if trial.number in named]


def cited(report: Report) -> frozenset[int]:
    """Returns the trials that the report names one by one."""
    found: set[int] = set(report.curve.reach)
    for finalist in report.finalists:
        found.add(finalist.found.number)
        for estimate in (finalist.search, finalist.confirmed, finalist.test):
            found |= set(estimate.trials) if estimate else set()
    if report.baseline is not None:
        found.add(report.baseline.found.number)
    for rises in (report.curve.rises, report.curve.control_rises):
        found |= {number for _, _, number in rises}
    for principle in report.principles:
        for look in principle.looks:
            found |= {*look.supporting, *look.contradicting}
    for audit in report.cuts:
        found |= {audit.best_outside[1]} if audit.best_outside else set()
        found |= set(audit.as_good_outside)
    for mine in report.failures.values():
        found.add(mine[0].number)
    return frozenset(found)


def _doubts(report: Report) -> list[str]:
    if report.run.kind == RunKind.SEARCH:
        return list(report.distrust)
    return list(doubts_of_lesson(report))


def _clipped(text: str) -> str:
    """Returns an architecture's text with places to break it."""
    return clean(text.replace(",", ", "), MOST_TEXT)


def style() -> Markup:
    """Returns the style sheet of every page: both palettes, and what they colour."""
    light, dark = LIGHT.variables(), DARK.variables()
    return Markup(
        f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
        f"@media print {{ :root {{ {light} }} }}\n{_read('page.css')}"
    )


def script() -> str:
    """Returns the script of every page."""
    return _read("page.js")


def _read(name: str) -> str:
    return files(_PLACE).joinpath(f"templates/{name}").read_text("utf-8")


@lru_cache(maxsize=1)
def _page() -> Template:
    """Returns the template with everything that it may call."""
    environment = Environment(
        loader=PackageLoader(_PLACE, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"clean": clean, "clipped": _clipped, "svg": Markup}
    environment.globals |= {
        "COUNTED": COUNTED,
        "MEANING": MEANING,
        "Verdict": Verdict,
        "answer": in_words,
        "became": became,
        "budget_text": budget_text,
        "figures": figures,
        "interval": interval,
        "plural": plural,
        "rule_words": words,
        "seconds": seconds,
        "script": Markup(script()),
        "style": style(),
        "value_text": value_text,
        "verdict": verdict,
    }
    return environment.get_template("page.html.jinja")
