"""Commands that serve: board (pages for people), mcp (tools for coding agents)."""

from __future__ import annotations

import socket
from typing import Annotated

import typer

from vitruvius.cli.console import Home, home_of
from vitruvius.errors import ConfigError

HOST = "127.0.0.1"
GOODBYE_S = 1  # for streams that browsers hold open


def board(
    port: Annotated[int, typer.Option(help="Where to serve, on this machine only; 0: any.")] = 8642,
    home: Home = None,
) -> None:
    """Serve every run as a page that follows it while it works. Read-only, to this machine only.

    Example: vitruvius board

    Ctrl-C ends it; runs go on.
    """
    import uvicorn

    from vitruvius.board.app import create_app

    taken = _bound(port)  # before the server: a taken port is a sentence, and port 0 has a number
    folder = home_of(home)
    print(f"http://{HOST}:{taken.getsockname()[1]} shows the runs of {folder}", flush=True)
    config = uvicorn.Config(
        create_app(folder), log_level="warning", timeout_graceful_shutdown=GOODBYE_S
    )
    uvicorn.Server(config).run(sockets=[taken])


def mcp(home: Home = None) -> None:
    """Serve searches and the ledger to a coding agent, by the Model Context Protocol on stdio.

    Needs the extra named mcp. In an agent's settings the command is vitruvius, its argument mcp.
    """
    try:
        from vitruvius.servers.mcp import create_server
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("mcp"):
            raise
        raise ConfigError(
            "the MCP server needs its library: pip install 'vitruvius[mcp]'"
        ) from None
    create_server(home_of(home)).run()


def _bound(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((HOST, port))
        made.listen()  # whoever comes at once waits until the pages are ready
    except (OSError, OverflowError) as error:
        made.close()
        raise ConfigError(
            f"port {port} on {HOST} cannot be had ({error}); name another with --port, or 0 for any"
        ) from None
    return made
