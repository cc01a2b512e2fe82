"""A task, a space, a metric or a proxy is one entry of one table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from vitruvius.errors import ConfigError
from vitruvius.spaces import built_in as built_in_spaces
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.registry import built_in_spaces as all_spaces
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks import built_in as built_in_tasks
from vitruvius.tasks.data.datasets import DatasetTask, create_dataset_task
from vitruvius.tasks.metrics import METRICS, Measure
from vitruvius.tasks.options import Options
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import Metric
from vitruvius.tools.proxies import PROXIES, Formula, computable
from vitruvius.tools.training.metrics import score
from vitruvius.tools.training.tensors import Examples

HERE = "toy_entries"


def make_toy(ref: str, options: Options, space: SearchSpace | None) -> DatasetTask:
    recipe = options.recipe()
    options.done()
    inputs, labels = np.zeros((40, 12)), np.arange(40) % 2
    return create_dataset_task(inputs, labels, name="toy", ref=ref, recipe=recipe)


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(path: str) -> Any:
        return {f"{HERE}:make_toy": make_toy, f"{HERE}:Toy": Cell}.get(path) or named(path)

    named = built_in_spaces.named
    for module in ("spaces.registry", "tasks.registry"):
        monkeypatch.setattr(f"vitruvius.{module}.named", found)


def test_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = built_in_tasks.BuiltIn(form="toy", make=f"{HERE}:make_toy", note="of a test")
    monkeypatch.setitem(built_in_tasks.TASKS, "toy", entry)
    task = load_task("toy:epochs=3")
    assert (task.ref, task.fidelity.epochs) == ("toy:epochs=3", 3)
    assert load_task("toy", load_space("flexibert")).ref == "toy:lr=0.005"
    assert "toy (of a test)" in built_in_tasks.help_words()
    with pytest.raises(ConfigError, match=r"did you mean toy.*, toy, file\.py:object"):
        load_task("toys")


def test_a_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(built_in_spaces.BUILT_IN, "toy", f"{HERE}:Toy")
    assert load_space("toy:channels=8") == Cell(channels=8)
    assert len(list(all_spaces())) == len(built_in_spaces.BUILT_IN)
    assert " toy, " in built_in_spaces.help_words()
    with pytest.raises(ConfigError, match=r"\btoy, table:PATH and file\.py:object"):
        load_space("nothing")


def test_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Measure(
        metric=Metric(name="guesses", direction="min"),
        total=lambda logits, labels: (logits.argmax(1) == labels).sum(),
        finish=lambda share: 1 / share,
        of_texts=True,
    )
    monkeypatch.setitem(METRICS, "guesses", toy)
    examples = Examples(inputs=torch.eye(4), labels=torch.tensor([0, 1, 2, 0]))
    assert math.isclose(score(torch.nn.Identity(), examples, toy.metric), 4 / 3)
    assert load_task("topics:tokens=2000,context=8,metric=guesses").metric == toy.metric


def test_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Formula(
        name="toy",
        description="one, of recurrent networks",
        needs_data=False,
        applies_to=frozenset({"recurrent"}),
        formula=lambda probe: 1.0,
    )
    monkeypatch.setitem(PROXIES, "toy", toy)
    task = load_task("digits")
    assert "toy" in computable(load_space("recurrent"), task)
    assert "toy" not in computable(load_space("nb201"), task)
