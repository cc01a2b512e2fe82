"""The one background thread of a process: it owns the event loop, the saver and the workers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")


@lru_cache(maxsize=1)
def loop() -> asyncio.AbstractEventLoop:
    """Returns the running loop of the background thread, started at the first call."""
    made = asyncio.new_event_loop()
    threading.Thread(target=made.run_forever, name="vitruvius", daemon=True).start()
    return made


def submit(coroutine: Coroutine[Any, Any, T]) -> Future[T]:
    """Starts a coroutine in the background thread and returns its future."""
    return asyncio.run_coroutine_threadsafe(coroutine, loop())
