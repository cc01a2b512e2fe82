"""References: what loads, and what sentence refuses the rest."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from vitruvius.errors import ConfigError
from vitruvius.spaces.registry import (
    absolute_ref,
    is_user_object,
    load_object,
    load_space,
    parse_ref,
    source_hash,
)

EXAMPLE = Path(__file__).parents[2] / "docs/examples/my_space.py"


def written(folder: Path, source: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(source))
    return path


@pytest.mark.parametrize(
    ("ref", "name", "options"),
    [
        ("nb201", "nb201", {}),
        (" nb201:channels=16,cells=5 ", "nb201", {"channels": "16", "cells": "5"}),
        ("table:a/b.parquet,metric=c10", "table", {"path": "a/b.parquet", "metric": "c10"}),
        ("data:a,b.npz", "data", {"path": "a,b.npz"}),
        ("data:x=1/y.npz", "data", {"x": "1/y.npz"}),
        ("data:./x=1/y.npz,epochs=2", "data", {"path": "./x=1/y.npz", "epochs": "2"}),
        ("a:key=", "a", {"key": ""}),
    ],
)
def test_references_have_a_name_a_path_and_options(
    ref: str, name: str, options: dict[str, str]
) -> None:
    assert parse_ref(ref) == (name, options)


@pytest.mark.parametrize(
    ("ref", "sentence"),
    [
        ("", "expected a name"),
        (":a=1", "expected a name"),
        ("mine.py", "which object of the file"),
        ("a:b=1,c", "expected key=value"),
        ("a:b=1,b=2", "given twice"),
    ],
)
def test_other_texts_are_refused(ref: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        parse_ref(ref)


@pytest.mark.parametrize(
    ("ref", "sentence"),
    [
        ("nb202", "no space 'nb202'; there are nb201, transnas, macro"),
        ("nb201:width=3", "no option 'width'; it has channels, stages, cells, reduction"),
        ("nb201:channels=wide", "whole number"),
        ("nb201:cells=0", "whole number"),
        ("nb201:reduction=stride", "pool or residual"),
        ("macro:depth=3", "it has none"),
        ("absent.py:space", "no file"),
    ],
)
def test_unknown_spaces_and_options_are_refused(ref: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load_space(ref)


@pytest.mark.parametrize("ref", ["nb201", "macro", "nb201:channels=16,stages=2"])
def test_a_space_is_loaded_again_from_its_ref(ref: str) -> None:
    space = load_space(ref)
    assert space.ref == ref
    assert load_space(space.ref).id == space.id


def test_a_user_space_knows_its_absolute_ref(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLE.parent)
    assert is_user_object("my_space.py:space")
    space = load_space("my_space.py:space")
    assert space.ref == absolute_ref("my_space.py:space") == f"{EXAMPLE.resolve()}:space"
    assert load_space(space.ref) == space


@pytest.mark.parametrize(
    "source",
    [
        "space = Macro()",
        "def space(): return Macro()",
        "class space(Macro): pass",
        "import functools\nspace = functools.partial(Macro)()",
    ],
)
def test_an_instance_a_function_or_a_class_will_do(tmp_path: Path, source: str) -> None:
    path = written(tmp_path, f"from vitruvius.spaces.macro import Macro\n{source}")
    assert load_space(f"{path}:space").name == "macro"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("spacey = 1", r"defines no 'space'; it defines spacey"),
        ("x = 1\nspace = 1 / 0", r"line 2 of .*mine.py raised ZeroDivisionError"),
        ("x = 1\nspace = (", r"line 2 of .*mine.py raised SyntaxError"),
        ("def space():\n    return nothing", r"line 2 of .* raised NameError: name 'nothing'"),
        ("def space(size): ...", r"callable without arguments, but needs size"),
        ("import sys\nsys.exit(3)", r"line 2 of .* raised SystemExit"),
        ("import missing_module", r"line 1 of .* raised ModuleNotFoundError"),
        ("space = 3", r"is a int, not a search space: it lacks name, id"),
        (
            "from vitruvius.spaces.slots import SlotSpace\nspace = SlotSpace('a', [])",
            r"line 2 of .* needs at least one slot",
        ),
    ],
)
def test_what_is_wrong_in_a_user_file_is_said_in_one_sentence(
    tmp_path: Path, source: str, sentence: str
) -> None:
    path = written(tmp_path, source)
    with pytest.raises(ConfigError, match=sentence):
        load_space(f"{path}:space")


def test_an_edit_is_seen_at_once_and_leaves_no_bytecode(tmp_path: Path) -> None:
    path = written(tmp_path, "a = 1")
    before = list(sys.path)
    assert load_object(f"{path}:a") == 1
    path.write_text("a = 2")
    assert load_object(f"{path}:a") == 2
    assert [file.name for file in tmp_path.iterdir()] == ["mine.py"]
    assert sys.path == before


def test_source_hash_covers_what_the_file_imports(tmp_path: Path) -> None:
    written(tmp_path, "value = 1", "beside.py")
    written(tmp_path, "import other", "unrelated.py")
    path = written(tmp_path, "from beside import value\nimport json")
    ref = f"{path}:value"
    assert load_object(ref) == 1
    before = source_hash(ref)
    assert [Path(name).name for name in before] == ["beside.py", "mine.py"]
    written(tmp_path, "value = 2", "beside.py")
    assert source_hash(ref) != before
    assert source_hash("nb201") == {}


def test_id_of_a_user_space_follows_its_source(tmp_path: Path) -> None:
    path = written(tmp_path, EXAMPLE.read_text())
    before = load_space(f"{path}:space").id
    path.write_text(EXAMPLE.read_text().replace("nn.Flatten()", "nn.Flatten(1)"))
    assert load_space(f"{path}:space").id != before
