"""Vitruvius designs neural networks and rewrites its own design principles.

import vitruvius as vt
run = vt.search(task="mnist1d", budget="20 trials")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vitruvius.api import asearch, create, estimate, learn, open, runs, search
    from vitruvius.errors import (
        ConfigError,
        RunHeld,
        ToolError,
        VitruviusError,
    )
    from vitruvius.graphs.offline.auditing import audit
    from vitruvius.run.handle import SearchRun

__version__ = "0.1.0"
__all__ = [
    "ConfigError",
    "RunHeld",
    "SearchRun",
    "ToolError",
    "VitruviusError",
    "asearch",
    "audit",
    "create",
    "estimate",
    "learn",
    "open",
    "runs",
    "search",
]
_HOMES = {
    "SearchRun": "vitruvius.run.handle",
    "asearch": "vitruvius.api",
    "audit": "vitruvius.graphs.offline.auditing",
    "create": "vitruvius.api",
    "estimate": "vitruvius.api",
    "learn": "vitruvius.api",
    "open": "vitruvius.api",
    "runs": "vitruvius.api",
    "search": "vitruvius.api",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `import vitruvius` is instant."""
    if name not in __all__:
        raise AttributeError(f"module 'vitruvius' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(_HOMES.get(name, "vitruvius.errors"))
    return getattr(module, name)


def __dir__() -> list[str]:
    """Shows the public names, imported or not, to whoever explores the package."""
    return __all__
