"""The folders at the root and the import name are one tree; floors import only what they may."""

import ast
import re
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from setuptools import build_meta

ROOT = Path(__file__).parents[1]
FOLDERS = ("agents", "tools", "memory", "graphs", "evals", "spaces", "tasks")
FLOORS = ("spaces", "tasks", "memory", "tools", "agents", "graphs")  # each sees those before it
RUN = {"langgraph-cli"}  # commands of extras, which are run and not imported
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
    ours = {
        f"vitruvius/{p.relative_to(ROOT)}"
        for f in FOLDERS
        for p in (ROOT / f).rglob("*.py")
        if "studies" not in p.parts  # one-off programs stay in the repository
    }
    source = ROOT / "src/vitruvius"
    packed_face = {f"vitruvius/{path.relative_to(source)}" for path in face()}
    assert packed == ours | packed_face
    assert {f"vitruvius/board/{name}" for name in ("live.js", "templates/runs.html.jinja")} <= set(
        wheel.namelist()
    )
    assert {"vitruvius/py.typed", "vitruvius/agents/model/prices.toml"} <= set(wheel.namelist())
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


def face() -> list[Path]:
    source = ROOT / "src/vitruvius"
    folders = [path for path in source.iterdir() if path.is_dir() and not path.is_symlink()]
    inside = [path for folder in folders for path in folder.rglob("*.py")]
    return [*source.glob("*.py"), *inside]


def modules(*folders: str) -> list[Path]:
    """Returns what a run may import: conformance suites, which need pytest, are left out."""
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return [path for path in found if not path.name.startswith("testing")]


def test_the_face_does_without_evals_but_for_their_own_command() -> None:
    users = [path.name for path in face() if any("vitruvius.evals" in n for n in imports(path))]
    assert users == ["evaluate.py"]


def test_spaces_import_torch_in_builders_only() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for path in modules("spaces")
        if path.parent.name != "builders"
        for node in ast.parse(path.read_text(encoding="utf-8")).body  # for types is deeper
        if isinstance(node, ast.Import) and any(a.name.startswith("torch") for a in node.names)
    ]
    assert not wrong


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_what_is_imported_is_declared_and_nothing_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [text for extra in project["optional-dependencies"].values() for text in extra]
    wanted = [*project["dependencies"], *extras]
    declared = {plain(re.split(r"[^\w.-]", text)[0]) for text in wanted}
    names = {name.split(".")[0] for path in [*modules(*FOLDERS), *face()] for name in imports(path)}
    foreign = names - set(sys.stdlib_module_names) - {"vitruvius"}
    homes = packages_distributions()  # several distributions may share one name: langgraph
    makers = {name: {plain(home) for home in homes[name]} for name in foreign}
    assert not [name for name in foreign if not makers[name] & declared]
    assert declared - set().union(*makers.values()) == RUN


def test_modules_are_short() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in [*(p for f in FOLDERS for p in (ROOT / f).rglob("*.py")), *face()]
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
