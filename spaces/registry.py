"""From text to objects: `nb201:channels=16` or `my_space.py:space`; `built_in` is the table."""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from vitruvius.errors import ConfigError
from vitruvius.spaces.built_in import BUILT_IN, OF_A_FILE, forms, named
from vitruvius.spaces.space import SearchSpace

_USER_OBJECT = re.compile(r"^(?!table:)(?P<path>.+\.py):(?P<name>[A-Za-z_]\w*)$")
_OPTION = re.compile(r"^[a-z_]\w*=")


def parse_ref(ref: str) -> tuple[str, dict[str, str]]:
    """Returns the name and the options of a reference: `name[:[path][,key=value...]]`.

    What comes before the first `key=value` is the option `path`: `table:a.parquet,metric=c10`
    gives `("table", {"path": "a.parquet", "metric": "c10"})`.

    Raises:
        ConfigError: if the text does not follow this grammar.
    """
    name, _, rest = ref.strip().partition(":")
    if not name or name.endswith(".py"):
        raise ConfigError(
            f"expected a name, name:key=value,... or file.py:object, got {ref!r}"
            + ("; say which object of the file" if name else "")
        )
    options: dict[str, str] = {}
    path: list[str] = []
    for item in rest.split(",") if rest else []:
        key, _, value = item.partition("=")
        if not _OPTION.match(item):
            if options:
                raise ConfigError(f"expected key=value after the first option, got {item!r}")
            path.append(item)
        elif key in options:
            raise ConfigError(f"option {key!r} is given twice in {ref!r}")
        else:
            options[key] = value
    return name, {"path": ",".join(path), **options} if path else options


def is_user_object(ref: str) -> bool:
    """Returns whether the reference names an object in a user's file: `file.py:object`."""
    return _USER_OBJECT.match(ref) is not None


def user_file(ref: str) -> tuple[Path, str]:
    """Returns the absolute path and the object's name of `file.py:object`.

    Raises:
        ConfigError: if the reference has another form or the file does not exist.
    """
    match = _USER_OBJECT.match(ref)
    if match is None:
        raise ConfigError(f"expected file.py:object, got {ref!r}")
    path = Path(match["path"]).expanduser().resolve()
    if not path.is_file():
        raise ConfigError(f"there is no file {path} (from {ref!r})")
    return path, match["name"]


def absolute_ref(ref: str) -> str:
    """Returns the reference with an absolute path, so that it holds in any folder."""
    if not is_user_object(ref):
        return ref
    path, name = user_file(ref)
    return f"{path}:{name}"


def source_hash(ref: str) -> dict[str, str]:
    """Returns the SHA-256 of the user's source files by absolute path; {} for built-in names.

    That is the file itself and the modules beside it that it imports. Runs none of them.
    """
    if not is_user_object(ref):
        return {}
    path, _ = user_file(ref)
    return hash_sources(path)


def load_space(ref: str) -> SearchSpace:
    """Returns the space that a reference names: `nb201`, `nb201:channels=16`, `file.py:object`.

    `table:PATH` is the space of a table's architectures, restricted to those recorded.

    Raises:
        ConfigError: if there is no such space or option, or the user's object is no space.
    """
    if is_user_object(ref):
        return _as_space(load_object(ref), absolute_ref(ref))
    name, options = parse_ref(ref)
    if name in OF_A_FILE:
        return cast("SearchSpace", named(OF_A_FILE[name])(ref))
    if name not in BUILT_IN:
        *names, last = forms()
        raise ConfigError(f"there is no space {name!r}; there are {', '.join(names)} and {last}")
    create = named(BUILT_IN[name])
    known = inspect.signature(create).parameters
    values: dict[str, str | int] = {}
    for key, text in options.items():
        if key not in known:
            allowed = f"it has {', '.join(known)}" if known else "it has none"
            raise ConfigError(f"space {name} has no option {key!r}; {allowed}")
        values[key] = int(text) if text.isascii() and text.isdecimal() else text
    return cast("SearchSpace", create(**values))


def built_in_spaces() -> Iterator[SearchSpace]:
    """Returns every built-in space, without options, in the order of their table."""
    return (named(create)() for create in BUILT_IN.values())


def _as_space(found: object, ref: str) -> SearchSpace:
    promised = [name for name in vars(SearchSpace) if not name.startswith("_")]
    missing = [name for name in promised if not hasattr(found, name)]
    if missing:
        raise ConfigError(
            f"{ref} is a {type(found).__name__}, not a search space: it lacks"
            f" {', '.join(missing)}; make it a vitruvius.spaces.slots.SlotSpace or add them"
        )
    with suppress(AttributeError):  # a read-only ref is the object's own business
        cast("Any", found).ref = ref
    return cast("SearchSpace", found)


def load_object(ref: str) -> object:
    """Returns the object that `file.py:object` names.

    A function or class is called, without arguments, and what it returns is the object.

    Raises:
        ConfigError: if the file or the name does not exist, or the user's code raises; the
            sentence gives the line.
    """
    path, name = user_file(ref)
    module = _run_file(path)
    try:
        found = getattr(module, name)
    except AttributeError:
        known = ", ".join(n for n in vars(module) if not n.startswith("_")) or "nothing"
        raise ConfigError(f"{path} defines no {name!r}; it defines {known}") from None
    if not (inspect.isclass(found) or inspect.isroutine(found)):
        return found
    needed = [
        p.name
        for p in inspect.signature(found).parameters.values()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if needed:
        raise ConfigError(
            f"{name} in {path} must be callable without arguments, but needs {', '.join(needed)}"
        )
    with _user_code(path):
        return found()


def _run_file(path: Path) -> ModuleType:
    """Runs the file as a fresh module.

    Not through importlib: bytecode cached within the second of an edit brings old code back.
    """
    source = path.read_bytes()
    name = f"_vitruvius_user_{path.stem}_{hashlib.sha256(bytes(path) + source).hexdigest()[:8]}"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    # as if it were run: it finds the modules beside it
    sys.path.insert(0, str(path.parent))
    try:
        with _user_code(path):
            exec(compile(source, str(path), "exec"), vars(module))  # the user's own file
    finally:
        sys.path.remove(str(path.parent))
    return module


@contextmanager
def _user_code(path: Path) -> Iterator[None]:
    """Whatever the user's code raises becomes one sentence that gives the line."""
    try:
        yield
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        where = f"line {line} of {path}" if line else str(path)
        raise ConfigError(f"{where} raised {type(error).__name__}: {error}") from error


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
