"""The house fits in a head: small folders, no crumbs of modules, no circles of imports."""

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/vitruvius"
FACE = {"settings", "errors", "budget", "events"}  # may be imported by every floor
MOST = 25  # modules in a folder, beside its `__init__`
SHORT = 60  # lines under which a module with one importer belongs into it


def _name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "."


@cache
def modules() -> dict[str, Path]:
    """Returns the modules of the package by dotted name, without `vitruvius.`."""
    folders = [SOURCE, *(link.resolve() for link in SOURCE.iterdir() if link.is_symlink())]
    found = {}
    for folder in folders:
        for path in folder.rglob("*.py"):
            inside = path if folder == SOURCE else SOURCE / path.relative_to(ROOT)
            found[_name(inside)] = path
    return found


@cache
def imports(name: str) -> tuple[tuple[str, bool], ...]:
    """Returns the modules that a module imports, and whether only inside a function.

    What is imported for types alone is left out.
    """
    tree = ast.parse(modules()[name].read_text(encoding="utf-8"))
    found: dict[str, bool] = {}
    for node, is_lazy in _import_nodes(tree, is_lazy=False):
        for alias in node.names:
            home = (node.module or "").removeprefix("vitruvius").lstrip(".")
            deep = f"{home}.{alias.name}" if home else alias.name
            target = deep if deep in modules() else home or "."
            if target != name:
                found[target] = is_lazy and found.get(target, True)
    return tuple(found.items())


def _import_nodes(node: ast.AST, *, is_lazy: bool) -> Iterator[tuple[ast.ImportFrom, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        if isinstance(child, ast.ImportFrom) and (child.module or "").split(".")[0] == "vitruvius":
            yield child, is_lazy
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _import_nodes(child, is_lazy=is_lazy or inside)


def lines(name: str) -> int:
    return len(modules()[name].read_text(encoding="utf-8").splitlines())


def importers(name: str) -> set[str]:
    return {user for user in modules() if name in dict(imports(user))}


def test_no_folder_is_crowded() -> None:
    files = [path for path in modules().values() if path.name != "__init__.py"]
    found = Counter(str(p.parent.relative_to(SOURCE if SOURCE in p.parents else ROOT))
                    for p in files)  # fmt: skip
    assert {folder: n for folder, n in found.items() if n > MOST} == {}


# Short modules that one other imports, and why each stands alone.
ALONE: dict[str, str] = {
    "tools.calls.retire": "one tool of a kind",
    "evals.arms.fidelity": "one family of arms a module",
    "evals.synthetic": "many tests search it too",
    "spaces.counting": "what a space can count of itself is no matter of memory",
}


def test_a_short_module_with_one_importer_is_part_of_it() -> None:
    crumbs = {
        name: importers(name)
        for name, path in modules().items()
        if path.name != "__init__.py" and lines(name) < SHORT and len(importers(name)) == 1
    }
    assert {name: users for name, users in crumbs.items() if name not in ALONE} == {}
    assert set(ALONE) <= set(crumbs), "an exception that is none any more"


def _reached(start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in seen and name in modules():
            seen.add(name)
            waiting += [target for target, _ in imports(name)]
    return seen


def test_no_import_inside_a_function_closes_a_circle() -> None:
    closing = {
        (name, target)
        for name in modules()
        for target, is_lazy in imports(name)
        if is_lazy and target != "." and name in _reached(target)
    }
    assert closing == set()


@pytest.mark.parametrize("name", sorted(FACE))
def test_what_all_may_import_imports_nothing_above_it(name: str) -> None:
    assert {target for target, _ in imports(name)} <= FACE


def test_no_module_is_left_behind() -> None:
    """A merge once brought back two modules whose lines had moved into others."""
    outside = [ROOT / "langgraph.json", *(ROOT / "tests").rglob("*.py")]
    texts = {name: path.read_text(encoding="utf-8") for name, path in modules().items()}
    texts |= {str(path): path.read_text(encoding="utf-8") for path in outside}
    imported = {target for name in modules() for target, _ in imports(name)}
    left = [
        name
        for name, path in modules().items()
        if name not in imported
        and path.name not in ("__init__.py", "__main__.py")
        and "migrations" not in name
        and '__name__ == "__main__"' not in texts[name]
        and not any(name in text for other, text in texts.items() if other != name)
    ]
    assert not left
