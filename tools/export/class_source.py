"""The source of a network's own classes, with all that they use, cut out of their modules."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from vitruvius.errors import VitruviusError

LIBRARIES = frozenset(sys.stdlib_module_names) | {"torch"}
FUTURE = "from __future__ import annotations"
ALWAYS = ("from pathlib import Path", "import torch", "from torch import nn")


class Unexportable(VitruviusError):
    """Why a network cannot be written in one way; another may do."""


def definitions(build: Callable[[], nn.Module]) -> tuple[str, str]:
    """Returns the source of the class of what `build` returns, and the call that makes it again.

    The class is found with every function, class, constant and import of its module that it
    uses, and those of modules that are neither torch nor Python's own, transitively.

    Raises:
        Unexportable: if the class is torch's own, its arguments are not plain data, its source
            cannot be read, or it uses a library that is neither torch nor Python's own.
    """
    kind, call = _constructor(build)
    collector = _Collector()
    collector.collect(_module_of(kind.__module__), kind.__name__)
    return import_block(collector.imports) + "\n\n\n" + "\n\n\n".join(collector.parts), call


def import_block(lines: Iterable[str]) -> str:
    """Returns the imports of a standalone module: Python's own, then torch's."""
    wanted = sorted({*ALWAYS, *lines} - {FUTURE})
    groups = ([line for line in wanted if ("torch" in line) is late] for late in (False, True))
    return "\n\n".join([FUTURE, *("\n".join(group) for group in groups)])


def _constructor(build: Callable[[], nn.Module]) -> tuple[type[nn.Module], str]:
    """Returns the class of the network and the text of the call that `build` makes."""
    kind = type(build())
    if kind.__module__.partition(".")[0] == "torch" or "." in kind.__qualname__:
        raise Unexportable(f"its class {kind.__qualname__} has no source of its own")
    calls: dict[int, str | None] = {}
    original = kind.__init__

    def recording(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        calls[id(self)] = _call(kind.__name__, args, kwargs)
        original(self, *args, **kwargs)

    is_own = "__init__" in vars(kind)
    kind.__init__ = recording  # type: ignore[method-assign]
    try:
        network = build()
    finally:
        if is_own:
            kind.__init__ = original  # type: ignore[method-assign]
        else:
            del kind.__init__
    call = calls.get(id(network))
    if call is None:
        raise Unexportable(f"the arguments of {kind.__name__} are not plain data")
    return kind, call


def _call(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    given = [*(("", value) for value in args), *((f"{key}=", v) for key, v in kwargs.items())]
    texts = []
    for key, value in given:
        if not is_plain(value):
            return None
        texts.append(f"    {key}{value!r},\n")
    return f"{name}(\n{''.join(texts)})"


def is_plain(value: Any) -> bool:
    """Returns whether the value's `repr` is Python text that gives it back."""
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError, TypeError):
        return False


class _Collector:
    """Gathers definitions in an order in which each comes after what it uses."""

    def __init__(self) -> None:
        self.imports: set[str] = set()
        self.parts: list[str] = []
        self._visited: set[tuple[str, str]] = set()
        self._origins: dict[str, str] = {}  # name in the new module -> where it comes from
        self._tables: dict[str, tuple[dict[str, ast.stmt], list[str]]] = {}

    def collect(self, module: ModuleType, name: str) -> None:
        if (module.__name__, name) in self._visited:
            return
        self._visited.add((module.__name__, name))
        table, lines = self._table(module)
        node = table[name]
        if isinstance(node, ast.Import | ast.ImportFrom):
            self._follow(node, name)
            return
        self._claim(name, module.__name__)
        for inner in ast.walk(node):
            if isinstance(inner, ast.Import | ast.ImportFrom) and not _is_library(inner):
                raise Unexportable(f"{name} needs {ast.unparse(inner)!r} when it runs")
            if isinstance(inner, ast.Name) and inner.id in table:
                self.collect(module, inner.id)
        self.parts.append("\n".join(lines[_first_line(node) - 1 : node.end_lineno]))

    def _follow(self, node: ast.Import | ast.ImportFrom, name: str) -> None:
        """Notes a library's import; for any other module, collects what is imported."""
        alias = next(a for a in node.names if _bound(a) == name)
        if _is_library(node):
            line = ast.unparse(node).partition("import ")[0] + "import " + ast.unparse(alias)
            self._claim(name, line)
            self.imports.add(line)
        elif isinstance(node, ast.Import) or alias.asname or node.level or not node.module:
            raise Unexportable(f"it needs {ast.unparse(node)!r}")
        else:
            self.collect(_module_of(node.module), name)

    def _claim(self, name: str, origin: str) -> None:
        if self._origins.setdefault(name, origin) != origin:
            raise Unexportable(f"{name} means different things in the modules that it uses")

    def _table(self, module: ModuleType) -> tuple[dict[str, ast.stmt], list[str]]:
        if module.__name__ not in self._tables:
            text = _read(module)
            table = {name: node for node in ast.parse(text).body for name in _defined(node)}
            self._tables[module.__name__] = (table, text.splitlines())
        return self._tables[module.__name__]


def _defined(node: ast.stmt) -> Iterator[Any]:
    """Yields the names that a statement at the top of a module defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from map(_bound, node.names)


def _bound(alias: ast.alias) -> str:
    """Returns the name that an import makes known."""
    return alias.asname or alias.name.partition(".")[0]


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _is_library(node: ast.Import | ast.ImportFrom) -> bool:
    if isinstance(node, ast.ImportFrom):
        return not node.level and (node.module or "").partition(".")[0] in LIBRARIES
    return all(alias.name.partition(".")[0] in LIBRARIES for alias in node.names)


def _module_of(name: str) -> ModuleType:
    try:
        return sys.modules.get(name) or importlib.import_module(name)
    except ImportError as error:
        raise Unexportable(f"it uses {name}, which cannot be imported") from error


def _read(module: ModuleType) -> str:
    path = getattr(module, "__file__", None)
    if path is None or ("site-packages" in Path(path).parts and not _is_ours(module)):
        raise Unexportable(f"it uses {module.__name__}, which is not torch and has no file here")
    return Path(path).read_text("utf-8")


def _is_ours(module: ModuleType) -> bool:
    return module.__name__.partition(".")[0] == "vitruvius"
