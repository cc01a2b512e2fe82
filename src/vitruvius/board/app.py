"""The board's web application: pages made from the ledger, and streams that say when to look again.

Only GET is served, to this machine only: the ledger is opened for each look and never written.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from vitruvius import api
from vitruvius.errors import ConfigError, VitruviusError
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.run.listing import listed
from vitruvius.tools.report.page import script, style, to_html

KEPT_PAGES = 16
REST = 3.0  # times what a page took to make, before it is made again: 0.6 s for 1,000 trials

_templates = Environment(
    loader=PackageLoader("vitruvius.board"), autoescape=True, undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip

LOOK_S = 1.0  # between two looks for changes
HOSTS = ("127.0.0.1", "localhost", "[::1]")  # a page elsewhere must not read through a name of ours
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


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


def create_app(home: Path) -> Starlette:
    """Returns the application that shows the runs of a home, which may still be empty."""
    pages = Pages(home)

    async def runs(_: Request) -> Response:
        return _html(await asyncio.to_thread(pages.runs))

    async def run(request: Request) -> Response:
        return _html(await pages.run(request.path_params["run"]))

    async def runs_changes(request: Request) -> Response:
        return _changes(request, pages.runs_token)

    async def run_changes(request: Request) -> Response:
        name = request.path_params["run"]
        await asyncio.to_thread(pages.run_token, name)  # 404 now, not a stream that breaks
        return _changes(request, lambda: pages.run_token(name))

    async def script(_: Request) -> Response:
        return Response(live_script(), media_type="text/javascript", headers=HEADERS)

    return Starlette(
        routes=[
            Route("/", runs),
            Route("/changes", runs_changes),
            Route("/live.js", script),
            Route("/runs/{run}", run),
            Route("/runs/{run}/changes", run_changes),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS))],
        exception_handlers={ConfigError: _not_found, HTTPException: _refused},
    )


def _changes(request: Request, token: Callable[[], str]) -> StreamingResponse:
    """Returns a stream of server-sent events: one whenever the token is another."""

    async def events() -> AsyncIterator[str]:
        known = request.query_params.get("since")
        while True:
            now = await asyncio.to_thread(token)
            if now != known:
                known = now
                yield f"data: {now}\n\n"
            else:
                yield ": nothing new\n\n"  # a client that left is noticed by writing to it
            await asyncio.sleep(LOOK_S)

    return StreamingResponse(events(), media_type="text/event-stream", headers=HEADERS)


def _html(text: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(text, status_code=status, headers=HEADERS)


async def _not_found(_: Request, error: Exception) -> Response:
    return _html(error_page(str(error)), 404)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _html(error_page(error.detail), error.status_code)
