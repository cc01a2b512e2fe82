"""The handle of a run: what it found, and how to go on with it."""

from __future__ import annotations

from vitruvius.run_detached import DetachedRun
from vitruvius.run_driver import ignore

__all__ = ["SearchRun", "ignore"]


class SearchRun(DetachedRun):
    """One run of the ledger: what it found, and the handle to go on with it."""
