"""LangSmith: which run a trace is of, and that nothing of it is lost when a process ends.

Tracing is LangChain's own: on where its variables say so, silent otherwise.
"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

from langchain_core.tracers.langchain import wait_for_all_tracers

from vitruvius.memory.records import Run

FLUSH_S = 10.0  # a collector that does not answer must not keep a run from ending
_SWITCHES = (
    "LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2",
)  # fmt: skip


def traced_as(run: Run) -> dict[str, Any]:
    """Returns what a trace says of itself: the run's id is a tag and in the metadata."""
    return {
        "run_name": f"search {run.id}",
        "tags": [f"run:{run.id}"],
        "metadata": {"run": run.id, "task": run.task_name, "space": run.space_name},
    }


def is_traced() -> bool:
    """Returns whether the environment asks for traces."""
    return any(os.environ.get(name, "").lower() == "true" for name in _SWITCHES)


async def send_traces() -> None:
    """Waits until what was traced is sent, for a few seconds at most; nothing without tracing."""
    if is_traced():
        await asyncio.to_thread(_send)


def _send() -> None:
    sender = threading.Thread(target=wait_for_all_tracers, daemon=True)
    sender.start()
    sender.join(FLUSH_S)
