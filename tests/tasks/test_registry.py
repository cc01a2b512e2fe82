from pathlib import Path

import pytest

from vitruvius.errors import ConfigError
from vitruvius.spaces.registry import load_space
from vitruvius.tasks.data.datasets import DatasetTask
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import Recipe, TrainableTask


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("mnist1D", "did you mean mnist1d"),
        ("cifar", "there is no task 'cifar'"),
        ("mnist1d:epoch=3", "did you mean 'epochs'"),
        ("mnist1d:kind=image", "has no option 'kind'"),
        ("mnist1d:epochs=0", "at least 1, got '0'"),
        ("mnist1d:epochs=2.5", "whole number"),
        ("mnist1d:epochs=many", "whole number"),
        ("mnist1d:params=inf", "whole number"),
        ("mnist1d:lr=-1", "must be above 0"),
        ("mnist1d:lr=nan", "must be above 0"),
        ("mnist1d:lr=fast", "must be above 0"),
        ("mnist1d:samples=5", "10 to 1,000,000"),
        ("mnist1d:somewhere", "has no option 'path'"),
        ("data", "needs a path"),
        ("data:/tmp,kind=sound", "must be one of image, sequence"),
        ("table:x.parquet", "there is no table at"),
        ("nothing.py:task", "there is no file"),
        ("", "expected a name"),
    ],
)
def test_wrong_references_are_refused_in_one_sentence(ref: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_task(ref)


def user_file(folder: Path, body: str) -> str:
    (folder / "mine.py").write_text(body)
    return f"{folder / 'mine.py'}:it"


def test_a_pair_of_arrays_is_a_task(tmp_path: Path) -> None:
    ref = user_file(
        tmp_path, "import numpy as np\nit = (np.random.rand(40, 12), np.arange(40) % 2)\n"
    )
    task = load_task(ref)
    assert isinstance(task, DatasetTask)
    assert (task.name, task.ref, task.signature.input_shape) == ("it", ref, (1, 12))


def test_a_task_of_ones_own_with_a_recipe(tmp_path: Path) -> None:
    ref = user_file(
        tmp_path,
        "import numpy as np\n"
        "from vitruvius.tasks.data.datasets import create_dataset_task\n"
        "from vitruvius.tasks.task import Recipe\n"
        "def it():\n"
        "    x = np.random.default_rng(0).normal(size=(40, 12))\n"
        "    return create_dataset_task(x, np.arange(40) % 2, recipe=Recipe(epochs=3))\n",
    )
    task = load_task(ref)
    assert isinstance(task, DatasetTask)
    assert (task.ref, task.recipe) == (ref, Recipe(epochs=3))


def test_what_is_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"it gave str, which lacks .*load"):
        load_task(user_file(tmp_path, "it = 'nothing'\n"))


def test_a_wrong_pair_names_the_object(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="labels of it must be integers"):
        load_task(user_file(tmp_path, "it = ([[1.0, 2.0]] * 20, [0.5] * 20)\n"))


TABLE_OF_ONES_OWN = """
from vitruvius.tasks.task import Constraints, Fidelity, Metric
class Table:
    name, id, ref, metric = "mine", "mine-1", "", Metric(name="score")
    constraints, fidelity, is_noisy = Constraints(), Fidelity(epochs=1), False
    def describe(self): return "mine: a table"
    def lookup(self, architecture, fidelity, seed): return None
it = Table
"""


def test_an_object_with_a_lookup_is_a_task(tmp_path: Path) -> None:
    task = load_task(user_file(tmp_path, TABLE_OF_ONES_OWN))
    assert task.id == "mine-1"
    without = TABLE_OF_ONES_OWN.replace("is_noisy", "noisy")
    with pytest.raises(ConfigError, match="which lacks is_noisy"):
        load_task(user_file(tmp_path, without))


@pytest.mark.parametrize(
    ("ref", "space", "rate", "told"),
    [
        ("digits", "nb201", 0.02, "digits"),
        ("digits", "flexibert", 0.005, "digits:lr=0.005"),
        ("digits:epochs=2", "flexibert", 0.005, "digits:epochs=2,lr=0.005"),
        ("digits:lr=0.1", "flexibert", 0.1, "digits:lr=0.1"),
        ("masked:topics", "flexibert", 0.005, "masked:topics"),
        ("topics", "flexibert:causal=yes", 0.005, "topics:lr=0.005"),
    ],
)
def test_a_space_may_ask_for_a_lower_rate_where_none_is_given(
    ref: str, space: str, rate: float, told: str
) -> None:
    task = load_task(ref, load_space(space))
    assert isinstance(task, TrainableTask)
    assert (task.recipe.learning_rate, task.ref) == (rate, told)
    assert load_task(task.ref).id == task.id
