"""What the pages say can be done: commands, options and targets exist, blocks run, tables agree."""

import ast
import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from vitruvius.__main__ import main
from vitruvius.cli.app import EXIT_CODES
from vitruvius.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "AGENTS.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:<!-- file: (\S+) -->\n)?```(\w+)\n(.*?)```", re.DOTALL)
CODE = re.compile(r"(<!-- code: (\S+) (\S+) until (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
TOPS = ("spaces", "tasks", "memory", "tools", "agents", "graphs", "evals", "src/vitruvius")
FACE = "The face: public names, settings, errors, budget, events. Its doors hold no logic."
HOUSE = re.compile(r"(<!-- folders -->\n).*?(<!-- end -->)", re.DOTALL)
TABLE = re.compile(r"(<!-- settings:.*?-->\n).*?(<!-- end -->)", re.DOTALL)


def blocks(page: Path, language: str) -> list[tuple[str, str]]:
    """Returns (file name or "", text) of a page's blocks in a language."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [(name, text) for name, kind, text in found if kind == language]


def shell_lines(program: str) -> list[tuple[str, list[str]]]:
    """Returns (page, words) of every line in a shell block that calls the program."""
    found = []
    for page in PAGES:
        for _, text in blocks(page, "sh"):
            for line in text.splitlines():
                words = shlex.split(line, comments=True)
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                    words.pop(0)
                if words and Path(words[0]).name == program:
                    found.append((page.name, words[1:]))
    return found


def exit_code(words: list[str]) -> int:
    """Returns how the program ends when it reads a command line and then prints its help.

    Unknown commands and options are refused while the line is read, before the help comes.
    """
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    return int(ended.value.code or 0)


@pytest.mark.parametrize(("page", "words"), shell_lines("vitruvius"))
def test_a_command_in_the_pages_exists(page: str, words: list[str]) -> None:
    assert exit_code(words) == 0


@pytest.mark.parametrize("words", [["run", "--tasc", "x"], ["rum"], ["region", "redo", "x"]])
def test_a_wrong_command_would_be_found(words: list[str]) -> None:
    assert exit_code(words) == 2


def test_a_target_in_the_pages_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = {word for _, words in shell_lines("make") for word in words}
    assert {"run", "test"} <= used <= targets


def test_the_evals_in_the_pages_exist_and_take_the_options_shown() -> None:
    calls = [words for _, words in shell_lines("python") if words[:1] == ["-m"]]
    names = [words[1] for words in calls]
    assert len(names) == len(set(names)) >= 5
    for _, module, *options in calls:
        path = ROOT / "src" / Path(*module.split(".")).with_suffix(".py")
        known = set(re.findall(r'add_argument\("(--[a-z-]+)"', path.read_text(encoding="utf-8")))
        assert {word for word in options if word.startswith("--")} <= known, module


FOLDERS = "agents|docs|evals|graphs|memory|spaces|src|tasks|tests|tools"
PATH = re.compile(rf"(?<![\w./<])(?!evals/results)(?:{FOLDERS})/[\w./-]*\w/?")
MODULE = re.compile(r"\bvitruvius(?!\.toml)(?:\.[a-z_]\w*)+(?!/)\b")


def is_name(dotted: str) -> bool:
    """Returns whether a dotted name is a module, or something that a module holds."""
    home, _, last = dotted.rpartition(".")
    with suppress(ModuleNotFoundError):
        if importlib.util.find_spec(dotted) is not None:
            return True
    return hasattr(importlib.import_module(home), last)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_the_pages_name_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not [path for path in PATH.findall(text) if not (ROOT / path).exists()]
    assert not [name for name in MODULE.findall(text) if not is_name(name)]


def test_no_dollar_in_the_pages_is_taken_by_the_shell() -> None:
    for page in PAGES:
        for _, text in blocks(page, "sh"):
            assert not re.search(r'"[^"\n]*\$\d', text), page.name


def test_a_page_that_is_linked_exists() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_pages_state_the_exit_codes_of_the_help() -> None:
    said = " ".join((ROOT / "docs/concepts.md").read_text().split())
    assert EXIT_CODES.removeprefix("Exit codes: ") in said


def test_every_setting_is_documented_as_it_is() -> None:
    """`VITRUVIUS_WRITE_DOCS=1 pytest tests/test_docs.py` writes the table anew."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default
        if field.default_factory is not None:
            default = {"home": "the platform's data folder", "workers": "one a core, at most 4"}[
                name
            ]
        shown = "none" if default is None else str(default)
        rows.append(f"| `{name}` | {shown} | {field.description} |")
    page = ROOT / "docs/settings.md"
    text = page.read_text(encoding="utf-8")
    wanted = TABLE.sub(lambda m: m[1] + "\n".join(rows) + "\n" + m[2], text)
    if os.environ.get("VITRUVIUS_WRITE_DOCS"):
        page.write_text(wanted, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == wanted


def folder_rows() -> list[str]:
    """Returns a row for each folder of the package: what its `__init__` says in a sentence."""
    inits = [init for top in TOPS for init in sorted((ROOT / top).rglob("__init__.py"))]
    rows = ["| folder | holds |", "|---|---|"]
    for init in inits:
        folder = str(init.parent.relative_to(ROOT))
        if "migrations" not in folder:
            said = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
            said = FACE if folder == "src/vitruvius" else said.split("\n")[0]
            rows.append(f"| `{folder}/` | {said} |")
    return rows


def test_the_page_for_contributors_names_every_folder_by_its_own_words() -> None:
    """`VITRUVIUS_WRITE_DOCS=1 pytest tests/test_docs.py` writes the table anew."""
    page = ROOT / "docs/contributing.md"
    text = page.read_text(encoding="utf-8")
    wanted = HOUSE.sub(lambda m: m[1] + "\n".join(folder_rows()) + "\n" + m[2], text)
    if os.environ.get("VITRUVIUS_WRITE_DOCS"):
        page.write_text(wanted, encoding="utf-8")
    assert HOUSE.search(text)
    assert page.read_text(encoding="utf-8") == wanted


def source_of(path: str, name: str, until: str) -> str:
    """Returns the text of a class of a file, up to one of its methods."""
    text = (ROOT / path).read_text(encoding="utf-8")
    nodes = ast.parse(text).body
    (found,) = [n for n in nodes if isinstance(n, ast.ClassDef) and n.name == name]
    (end,) = [n for n in found.body if isinstance(n, ast.FunctionDef) and n.name == until]
    first = found.decorator_list[0].lineno if found.decorator_list else found.lineno
    return "\n".join(text.splitlines()[first - 1 : end.lineno - 1]).rstrip() + "\n"


def test_code_in_the_pages_is_that_of_the_file() -> None:
    """`VITRUVIUS_WRITE_DOCS=1 pytest tests/test_docs.py` writes it anew."""
    shown = 0
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        shown += len(CODE.findall(text))
        wanted = CODE.sub(
            lambda m: f"{m[1]}```python\n{source_of(*m.group(2, 3, 4))}```\n{m[5]}", text
        )
        if os.environ.get("VITRUVIUS_WRITE_DOCS"):
            page.write_text(wanted, encoding="utf-8")
        assert page.read_text(encoding="utf-8") == wanted, page.name
    assert shown


def run_block(text: str, folder: Path) -> None:
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "VITRUVIUS_"))},
        "PYTHONPATH": str(ROOT / "src"),
        "VITRUVIUS_HOME": str(folder / "home"),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=folder, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    for name, text in blocks(ROOT / "README.md", "python"):
        if name:
            (tmp_path / name).write_text(text, encoding="utf-8")
        else:
            run_block(text, tmp_path)


def test_the_users_files_of_the_pages_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vitruvius.spaces.registry import load_space
    from vitruvius.tasks.registry import load_task
    from vitruvius.tasks.task import TrainableTask

    for name, text in blocks(ROOT / "README.md", "python"):
        if name:
            (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    task = load_task("my_data.py:task")
    assert isinstance(task, TrainableTask)
    assert task.signature.outputs == 3
    space = load_space(f"{ROOT / 'docs/examples/my_space.py'}:space")
    assert [slot.name for slot in space.slots] == ["layers", "width", "dropout", "activation"]


def test_the_example_of_the_page_on_tables_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = ROOT / "docs/tables.md"
    ((name, table),) = blocks(page, "csv")
    ((_, text),) = blocks(page, "python")
    (tmp_path / name).write_text(table, encoding="utf-8")
    run_block(text, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VITRUVIUS_HOME", str(tmp_path / "home"))
    lines = [line for _, text in blocks(page, "sh") for line in text.splitlines()]
    for line in lines:
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(line)[1:])
        assert not ended.value.code, line
    assert "92.3" in capsys.readouterr().out


def test_the_toml_of_the_pages_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vitruvius.settings import load_settings

    for name in [name for name in os.environ if name.startswith("VITRUVIUS_")]:
        monkeypatch.delenv(name)
    ((_, text),) = blocks(ROOT / "docs/settings.md", "toml")
    (tmp_path / "vitruvius.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_settings().budget == "200 trials, 8h"
