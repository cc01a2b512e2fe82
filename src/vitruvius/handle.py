"""The handle of a run: what it found, and how to go on with it."""

from __future__ import annotations

from vitruvius.notebook import NotebookRun
from vitruvius.run_driver import ignore

__all__ = ["SearchRun", "ignore"]


class SearchRun(NotebookRun):
    """One run of the ledger: what it found, and the handle to go on with it."""
