"""Which source files an object of the user's rests on, and their hashes."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def hash_sources(path: Path) -> dict[str, str]:
    """Returns the SHA-256 by path of a file and of the modules beside it that it imports.

    The files are read, never run.
    """
    return {
        str(source): hashlib.sha256(source.read_bytes()).hexdigest()
        for source in sorted(_sources(path))
    }


def source_of(thing: Any) -> str:
    """Returns the hash of the source of a user's class or function; "" for this package's."""
    module = getattr(thing, "__module__", None) or ""
    if thing is None or module.partition(".")[0] == "vitruvius":
        return ""
    path = getattr(sys.modules.get(module), "__file__", None)
    if path and Path(path).is_file():
        text = "".join(hash_sources(Path(path)).values())
    else:
        try:
            text = inspect.getsource(thing)
        except (OSError, TypeError):  # typed at a prompt: nothing to hash
            return ""
    return hashlib.sha256(text.encode()).hexdigest()


def _sources(path: Path) -> set[Path]:
    found: set[Path] = set()
    queue = [path]
    while queue:
        source = queue.pop()
        if source in found:
            continue
        found.add(source)
        for module in _imports(source):
            part = path.parent.joinpath(*module.split("."))
            candidates = (part.with_suffix(".py"), part / "__init__.py")
            queue.extend(beside for beside in candidates if beside.is_file())
    return found


def _imports(source: Path) -> Iterator[str]:
    try:
        tree = ast.parse(source.read_bytes())
    except SyntaxError:
        return  # the hash does not need it; loading will say where it is
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
