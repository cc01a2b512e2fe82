"""What is written while a run is driven: its log, and traces where LangSmith's variables ask.

The log holds every event as a line of JSON beside the run's other files. Tracing is LangChain's
own: a trace says which run it is of, and nothing of it is lost when a process ends.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from typing import Any

from langchain_core.tracers.langchain import wait_for_all_tracers

from vitruvius.events import LOG, Event, EventKind, Listener
from vitruvius.memory.records import Run

FLUSH_S = 10.0  # a collector that does not answer must not keep a run from ending
_SWITCHES = (
    "LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2",
)  # fmt: skip


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        row = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "kind": getattr(record, "kind", "log"),
            "text": record.getMessage(),
            "data": getattr(record, "data", {}),
        }
        return json.dumps(row, default=_plain)


def _plain(value: Any) -> Any:
    """Returns what JSON has no word for, as far as a reader needs it."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return dict(value) if isinstance(value, Mapping) else str(value)


@contextmanager
def logged(run_dir: Path, listener: Listener) -> Iterator[Listener]:
    """Yields a listener that writes each event, its data too, to `log.jsonl` and passes it on.

    Event texts hold no keys: a chair's errors are redacted where they are caught.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(run_dir / LOG, encoding="utf-8")
    handler.setFormatter(_JsonLines())
    lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    writer = QueueListener(lines, handler)  # a thread of its own: the event loop never writes
    writer.start()
    relay = QueueHandler(lines)
    logger = logging.getLogger(f"vitruvius.runs.{run_dir.name}")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(relay)

    def listen(event: Event) -> None:
        level = logging.WARNING if event.kind == EventKind.WARNING else logging.INFO
        logger.log(level, event.text, extra={"kind": event.kind.value, "data": event.data})
        listener(event)

    try:
        yield listen
    finally:
        logger.removeHandler(relay)
        writer.stop()
        handler.close()


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
