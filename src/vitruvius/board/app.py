"""The board's web application: pages made from the ledger, and streams that say when to look again.

Only GET is served, to this machine only: the ledger is opened for each look and never written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from vitruvius.board.pages import Pages, error_page, live_script
from vitruvius.errors import ConfigError

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
