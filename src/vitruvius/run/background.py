"""The one background thread of a process, and how the foreground waits for it under Ctrl-C.

It owns the event loop, the saver and the workers of every run that this process drives.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

from vitruvius.errors import INTERRUPTED

T = TypeVar("T")

SLICE_S = 0.2  # a wait is cut into these: a signal that another thread received wakes nobody


def in_kernel() -> bool:
    """Returns whether this process is the kernel of a notebook."""
    module = sys.modules.get("IPython")  # a kernel has imported it; nobody else pays for that
    shell = module.get_ipython() if module is not None else None
    return getattr(shell, "kernel", None) is not None


@lru_cache(maxsize=1)
def loop() -> asyncio.AbstractEventLoop:
    """Returns the running loop of the background thread, started at the first call."""
    made = asyncio.new_event_loop()
    # A daemon: a script that ends while a run goes on is not held; what was finished is kept.
    threading.Thread(target=made.run_forever, name="vitruvius", daemon=True).start()
    return made


def submit(coroutine: Coroutine[Any, Any, T]) -> Future[T]:
    """Starts a coroutine in the background thread and returns its future."""
    return asyncio.run_coroutine_threadsafe(coroutine, loop())


def awake(future: Future[T]) -> None:
    """Waits until the future is done, in slices."""
    while not wait([future], timeout=SLICE_S).done:
        pass


def finish(coroutine: Coroutine[Any, Any, T], stop: Callable[[], None]) -> T:
    """Runs a coroutine in the background thread to its end.

    The first Ctrl-C calls `stop`, which is to bring that end about; a second one ends the process
    at once, workers included.
    """
    future = submit(coroutine)
    try:
        with _interrupts(stop):
            awake(future)
    except KeyboardInterrupt:  # of a handler that is not Python's own
        stop()
        try:
            awake(future)
        except KeyboardInterrupt:
            os._exit(INTERRUPTED)
    return future.result()


@contextmanager
def _interrupts(stop: Callable[[], None]) -> Iterator[None]:
    """Calls `stop` at the first Ctrl-C, and ends the process, workers included, at the second.

    Python's own handler raises instead, and what is raised while the main thread collects garbage
    is lost. A handler of somebody else's stays.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    answers = iter([stop])

    def answer(*_: object) -> None:
        next(answers, lambda: os._exit(INTERRUPTED))()

    signal.signal(signal.SIGINT, answer)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def first_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Calls `stop` at the first Ctrl-C; the next one raises, as it does in any cell."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield  # only the main thread may set handlers, and one that is not Python's cannot be kept
        return

    def answer(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        stop()

    signal.signal(signal.SIGINT, answer)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
