"""The measurements on recurrent cells: no label leaks, rows are resumed, arms pay."""

import json
from pathlib import Path

import numpy as np
import pytest

from vitruvius.evals.studies import rnn_pool
from vitruvius.evals.studies.proxy_combination import Bench
from vitruvius.evals.studies.recurrent_cells import LOG, Cells, read_cells
from vitruvius.evals.studies.rows import fill_in
from vitruvius.tasks.registry import load_task


@pytest.fixture(scope="module")
def cells(request: pytest.FixtureRequest) -> Cells:
    return read_cells(request.getfixturevalue("shared_data"))


def test_rows_are_made_once_and_a_cut_off_line_again(tmp_path: Path) -> None:
    made = []

    def measure(key: dict[str, int]) -> dict[str, int]:
        made.append(key["seed"])
        return {"value": key["seed"] ** 2}

    path = tmp_path / "rows.jsonl"
    keys = [{"seed": seed} for seed in range(3)]
    fill_in(path, keys[:2], measure, names=("seed",))
    path.write_text(path.read_text() + '{"seed": 2, "val')
    rows = fill_in(path, keys, measure, names=("seed",))
    assert [row["value"] for row in rows] == [0, 1, 4]
    assert made == [0, 1, 2]
    assert [json.loads(line)["seed"] for line in path.read_text().splitlines()] == [0, 1, 2]


def test_labels_that_are_held_out_are_not_seen(cells: Cells) -> None:
    bench = Bench(cells)
    labelled, held_out = np.arange(40), np.arange(40, 400)
    predict = bench.arms["features and metrics"]
    scores = np.random.default_rng(0).standard_normal(40)
    before = predict(labelled, scores, held_out)
    bench.quality[held_out] = 0.0
    assert (predict(labelled, scores, held_out) == before).all()


def test_the_stored_metrics_correlate_as_published(cells: Cells) -> None:
    bench = Bench(cells)
    row = bench.measure({"labels": 50, "arm": "hidden covariance", "seed": 0})
    assert row["tau"] == pytest.approx(0.373, abs=0.02)


def test_the_analyst_pays_for_every_trial_and_is_the_same_again(cells: Cells) -> None:
    task = load_task(f"table:{cells_path(cells)},metric=cross_entropy,classics=false")
    rows = np.arange(0, len(cells.architectures), 20)
    halves = [rnn_pool.Half(cells, rows, task, 3) for _ in range(2)]
    for half in halves:
        rnn_pool.analyst(half, hears=True)
    assert halves[0].asked == halves[1].asked
    assert len(set(halves[0].asked)) == rnn_pool.TRIALS
    assert halves[0].found() == halves[1].found()


def cells_path(cells: Cells) -> Path:
    return cells.folder / LOG
