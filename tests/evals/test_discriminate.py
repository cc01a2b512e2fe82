import numpy as np
import pytest
import torch

from vitruvius.evals.studies.discriminate import discriminate, draw, summarise
from vitruvius.spaces.cells.cell import Cell
from vitruvius.tasks.data.datasets import create_dataset_task
from vitruvius.tasks.task import Recipe


def test_summary_has_a_closed_form() -> None:
    values = np.array([[90.0, 92.0], [80.0, 82.0], [70.0, 72.0], [np.nan, 99.0]])
    seconds = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
    found = summarise(values, seconds, seconds * 2)
    assert (found.architectures, found.diverged, found.seeds) == (3, 1, 2)
    assert (found.best, found.median, found.worst) == (91.0, 81.0, 71.0)
    assert found.seed_deviation == pytest.approx(np.sqrt(2))
    assert found.ratio == pytest.approx(10 / np.sqrt(2))
    assert (found.wall_s, found.cpu_s, found.slowest_cpu_s) == (4.5, 9.0, 16.0)


def test_drawn_architectures_are_distinct_and_the_same_each_time() -> None:
    first = draw(Cell(), 30)
    assert len(set(first)) == 30
    assert draw(Cell(), 30) == first


def test_a_small_job_is_measured_and_leaves_the_global_generator_alone() -> None:
    labels = np.arange(60) % 3
    inputs = np.random.default_rng(0).normal(size=(60, 16)) + labels[:, None]
    task = create_dataset_task(inputs, labels, recipe=Recipe(epochs=1, batch_size=16))
    told: list[int] = []
    state = torch.get_rng_state()
    found = discriminate(
        Cell(), task, architectures=3, tell=lambda number, drawn, values: told.append(number)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert told == [1, 2, 3]
    assert found.architectures == 3
    assert 0 <= found.worst <= found.median <= found.best <= 100
    assert found.cpu_s > 0
