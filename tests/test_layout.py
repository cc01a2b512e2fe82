"""The folders at the root and the import name are one tree; floors import only what they may."""

import ast
import zipfile
from pathlib import Path

import pytest
from setuptools import build_meta

ROOT = Path(__file__).parents[1]
FOLDERS = ("agents", "tools", "memory", "graphs", "evals", "spaces", "tasks")
FLOORS = ("spaces", "tasks", "memory", "tools", "agents", "graphs")  # each sees those before it
FACE = {"settings", "errors", "budget", "events"}  # may be imported by every floor


@pytest.mark.parametrize("name", FOLDERS)
def test_link(name: str) -> None:
    assert (ROOT / "src/vitruvius" / name).resolve() == ROOT / name


def test_wheel_holds_every_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = tmp_path / "extra.cfg"  # keep build/ and egg-info, stale ones too, out of the tree
    extra.write_text(f"[build]\nbuild_base={tmp_path}/b\n[egg_info]\negg_base={tmp_path}\n")
    monkeypatch.setenv("DIST_EXTRA_CONFIG", str(extra))
    monkeypatch.chdir(ROOT)
    wheel = zipfile.ZipFile(tmp_path / build_meta.build_wheel(str(tmp_path)))
    packed = {name for name in wheel.namelist() if name.endswith(".py")}
    ours = {f"vitruvius/{p.relative_to(ROOT)}" for f in FOLDERS for p in (ROOT / f).rglob("*.py")}
    source = ROOT / "src/vitruvius"
    face = {f"vitruvius/{p.name}" for p in source.glob("*.py")}
    face |= {f"vitruvius/{p.relative_to(source)}" for p in (source / "cli").rglob("*.py")}
    assert packed == ours | face
    assert {"vitruvius/py.typed", "vitruvius/agents/prices.toml"} <= set(wheel.namelist())
    assert all(name.startswith("vitruvius") for name in wheel.namelist())


def imports(path: Path) -> set[str]:
    """Returns the dotted names that a module imports, TYPE_CHECKING blocks included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("floor", FLOORS)
def test_a_floor_imports_only_those_above_it(floor: str) -> None:
    allowed = set(FLOORS[: FLOORS.index(floor) + 1]) | FACE
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / floor).rglob("*.py")
        for name in imports(path)
        if name.startswith("vitruvius.") and name.split(".")[1] not in allowed
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("floor", "banned"),
    [
        ("spaces", {"sqlalchemy", "chromadb", "langchain_core"}),
        ("memory", {"torch", "langgraph", "openai"}),
        ("tools", {"langchain_openai", "langchain_core", "openai", "langgraph"}),
    ],
)
def test_a_floor_does_without_what_is_not_its_business(floor: str, banned: set[str]) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / floor).rglob("*.py")
        for name in imports(path)
        if name.split(".")[0] in banned
    ]
    assert not wrong


def test_modules_are_short() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in (*FOLDERS, "src/vitruvius/cli")
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long


def test_no_machine_path_is_committed() -> None:
    markers = ("/" + "work/", "/tmp" + "/v/")
    wrong = [
        str(path.relative_to(ROOT))
        for folder in (*FOLDERS, "src", "tests", "docs", ".ci")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
        and path.suffix in {".py", ".md", ".toml", ".txt", ""}
        and "__pycache__" not in path.parts
        and any(marker in path.read_text(encoding="utf-8", errors="ignore") for marker in markers)
    ]
    assert not wrong
