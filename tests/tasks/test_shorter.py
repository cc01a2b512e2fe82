"""The same task at a cheaper fidelity: another id, a reference that holds, plain refusals."""

from pathlib import Path

import pytest

from vitruvius.errors import ConfigError
from vitruvius.spaces.registry import load_space
from vitruvius.tasks.registry import load_task, shorter_task
from vitruvius.tasks.task import Task

TABLE = """arch.a,arch.b,acc,epochs,train_s,seed
x,1,70,2,10,0
x,1,90,10,50,0
x,1,91,10,50,1
y,1,75,2,10,0
y,1,92,10,50,0
y,1,93,10,50,1
"""


def task_of(folder: Path, options: str = "") -> Task:
    (folder / "t.csv").write_text(TABLE)
    return load_task(f"table:{folder / 't.csv'},metric=acc{options}")


def test_a_table_answers_with_its_short_trainings(tmp_path: Path) -> None:
    task = task_of(tmp_path)
    short = shorter_task(task, "2ep")
    assert (short.fidelity.epochs, short.name, short.metric) == (2, task.name, task.metric)
    assert short.id != task.id
    assert load_task(short.ref).id == short.id
    member = load_space(f"table:{tmp_path / 't.csv'}").parse({"a": "y", "b": "1"})
    assert short.lookup(member, short.fidelity, 0).value == 75  # type: ignore[attr-defined]


def test_single_runs_are_drawn_only_where_short_ones_are_recorded(tmp_path: Path) -> None:
    short = shorter_task(task_of(tmp_path, ",noise=true"), "2 epochs")
    assert load_task(short.ref).id == short.id


def test_a_data_set_is_trained_for_fewer_epochs() -> None:
    task = load_task("digits:epochs=6,samples=100")
    short = shorter_task(task, "2")
    assert short.fidelity.epochs == 2
    assert load_task(short.ref).id == short.id != task.id


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("short", "expected short trainings such as 12ep"),
        ("0ep", "expected short trainings"),
        ("10ep", "must be shorter than those of t.*: 10 epochs"),
        ("3ep", "records 2ep, 10ep, not 3ep"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        shorter_task(task_of(tmp_path), text)


def test_a_task_of_one_fidelity_has_no_short_trainings() -> None:
    class Other:
        name, ref = "other", ""
        fidelity = load_task("digits:samples=100").fidelity

    with pytest.raises(ConfigError, match="one fidelity only"):
        shorter_task(Other(), "2ep")  # type: ignore[arg-type]


def test_a_text_has_short_trainings() -> None:
    short = shorter_task(load_task("topics:tokens=9000"), "2ep")
    assert (short.fidelity.key, short.ref) == ("2ep", "topics:tokens=9000,epochs=2")
