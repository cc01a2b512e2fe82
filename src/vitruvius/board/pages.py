"""The board's pages, each made again only when the ledger has changed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from vitruvius import api
from vitruvius.errors import VitruviusError
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.run.listing import listed
from vitruvius.tools.report.page import script, style, to_html

KEPT_PAGES = 16
REST = 3.0  # times what a page took to make, before it is made again: 0.6 s for 1,000 trials

_templates = Environment(
    loader=PackageLoader("vitruvius.board"), autoescape=True, undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip


@dataclass
class _Page:
    """A page as it was made last."""

    token: str = ""
    html: str = ""
    rests_until: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Pages:
    """The pages of a home."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._made: OrderedDict[str, _Page] = OrderedDict()

    def runs(self) -> str:
        """Returns the page of all runs, the latest first."""
        rows = listed(self._home)
        token = _token(rows)
        page = _templates.get_template("runs.html.jinja")
        return page.render(rows=rows, home=str(self._home), token=token, style=style())

    def runs_token(self) -> str:
        """Returns a short text that is another one whenever the list of runs would be."""
        return _token(listed(self._home))

    def run_token(self, run_id: str) -> str:
        """Returns a short text that is another one whenever the run's page may be.

        Raises:
            ConfigError: there is no such run.
        """
        api.open(run_id, home=self._home)  # says so where there is none, and makes no ledger
        with Ledger.open(self._home) as ledger:
            marks = [ledger.steps.count_marks(run_id, name) for name in ("reflected", "verified")]
            tally = ledger.trials.tallies(run_id).get(run_id)
            steps = ledger.steps.accepted_decisions(run_id)
            return _token([ledger.runs.get(run_id).status, tally, steps, marks])

    async def run(self, run_id: str) -> str:
        """Returns the page of a run: its report as it stands, which follows the run.

        It is made at most every fourth of the time: a thousand trials take seconds, and the run
        that is watched comes first.

        Raises:
            ConfigError: there is no such run.
        """
        page = self._made.setdefault(run_id, _Page())
        self._made.move_to_end(run_id)
        while len(self._made) > KEPT_PAGES:
            self._made.popitem(last=False)
        async with page.lock:  # many readers of one page wait for the same making
            if await asyncio.to_thread(self.run_token, run_id) != page.token:
                await asyncio.sleep(page.rests_until - time.monotonic())
                started = time.monotonic()
                page.token = await asyncio.to_thread(self.run_token, run_id)
                page.html = await asyncio.to_thread(self._render, run_id, page.token)
                took = time.monotonic() - started
                page.rests_until = time.monotonic() + REST * took
            return page.html

    def _render(self, run_id: str, token: str) -> str:
        try:
            facts = api.open(run_id, home=self._home).facts()
        except VitruviusError as error:  # its space or task cannot be made again here
            return error_page(f"run {run_id} cannot be shown: {error}")
        return to_html(facts, follows=f"/runs/{run_id}/changes?since={token}")


def error_page(problem: str) -> str:
    """Returns a page of one sentence."""
    return _templates.get_template("error.html.jinja").render(problem=problem, style=style())


def live_script() -> str:
    """Returns the script of every page, and what puts a changed page in place of an open one."""
    return script() + (files("vitruvius.board") / "live.js").read_text("utf-8")


def _token(data: Any) -> str:
    text = json.dumps(data, default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
