"""The handle of a run: what it found, how to go on with it, steer it, ask it; how it is shown."""

from __future__ import annotations

from vitruvius.notebook.run import NotebookRun
from vitruvius.run.asking import RunAsking
from vitruvius.run.detached_handle import DetachedRun
from vitruvius.run.driver import ignore

__all__ = ["SearchRun", "ignore"]


class SearchRun(NotebookRun, RunAsking, DetachedRun):
    """One run of the ledger: what it found, and the handle to go on with it or to steer it."""
