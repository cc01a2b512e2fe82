"""Vitruvius designs neural networks and rewrites its own design principles.

import vitruvius as vt
run = vt.search(task="mnist1d", budget="20 trials")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vitruvius.api import SearchRun, asearch, open, search
    from vitruvius.errors import (
        BudgetExhausted,
        ConfigError,
        RunHeld,
        ToolError,
        VitruviusError,
    )

__version__ = "0.1.0"
__all__ = [
    "BudgetExhausted",
    "ConfigError",
    "RunHeld",
    "SearchRun",
    "ToolError",
    "VitruviusError",
    "asearch",
    "open",
    "search",
]
_API = ("SearchRun", "asearch", "open", "search")


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `import vitruvius` is instant."""
    if name not in __all__:
        raise AttributeError(f"module 'vitruvius' has no attribute {name!r}")
    from importlib import import_module

    module = import_module("vitruvius.api" if name in _API else "vitruvius.errors")
    return getattr(module, name)
