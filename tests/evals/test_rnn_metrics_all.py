"""All stored metrics of recurrent cells: scored once, compared in published signs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from vitruvius.evals.studies import rnn_metrics_all as check
from vitruvius.evals.studies.recurrent_cells import STORED
from vitruvius.evals.studies.rows import Row
from vitruvius.spaces.recurrent.graph import GRU, LSTM, RNN
from vitruvius.spaces.recurrent.space import Recurrent
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.tables.nas_bench_nlp import LoggedRun
from vitruvius.tools.proxies.spectra import correlation_score


def run(number: int, recipe: object, loss: float = 5.0) -> LoggedRun:
    return LoggedRun(
        id=number,
        status="OK",
        architecture=Recurrent().parse(recipe),
        written=Architecture.of(recipe),
        params=100 * number,
        val=(loss,) * 50,
        test=(loss,) * 50,
        epoch_s=1.0,
        epochs_run=50,
    )


@pytest.fixture
def batch(monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    monkeypatch.setattr(check.shape, "SPACE", Recurrent(layers=3, hidden=6, embedding=4))
    small = replace(check.shape.SIGNATURE, input_shape=(8,), outputs=30, vocabulary=30)
    monkeypatch.setattr(check.shape, "SIGNATURE", small)
    return torch.from_numpy(np.random.default_rng(0).integers(30, size=(10, 8)))


def test_every_stored_metric_has_its_score() -> None:
    assert tuple(metric.column for metric in check.METRICS) == (*STORED, "params")


def test_a_cell_has_all_scores_from_one_network_and_a_run_goes_on(
    batch: torch.Tensor, tmp_path: Path
) -> None:
    runs = [run(1, LSTM), run(2, GRU)]
    rows = check.compute(runs, batch, tmp_path / "rows.jsonl")
    without = {name for name, value in rows[0]["values"].items() if value is None}
    assert without == set(rows[0]["notes"]) <= {"activation_distance_published"}  # few units
    alone = check.shape.figures_of(runs[0], batch)
    names = [f"hidden_covariance_{layer}" for layer in (1, 2, 3)]
    assert [rows[0]["values"][name] for name in names] == pytest.approx(alone.layers)
    again = check.compute([*runs, run(3, RNN)], batch, tmp_path / "rows.jsonl")
    assert again[:2] == rows  # CPU time too: read, not computed
    assert [row["id"] for row in again] == [1, 2, 3]


def test_cells_left_out_are_those_finished_and_never_scored() -> None:
    runs = [run(1, LSTM), run(2, GRU), run(3, LSTM), run(4, RNN, math.nan)]
    assert [each.id for each in check.left_out(runs, pd.DataFrame(index=[1]), 9)] == [2]


def test_the_table_turns_scores_to_published_signs_and_ranks_those_left_out() -> None:
    rng = np.random.default_rng(0)
    runs = [run(number, RNN, float(loss)) for number, loss in enumerate(rng.normal(size=30))]
    stored = pd.DataFrame({name: rng.normal(size=20) for name in STORED})
    stored["test_loss_last"] = [check.last(each) for each in runs[:20]]
    stored["synaptic_saliency"] = stored["test_loss_last"]  # grows with the loss
    rows: list[Row] = []
    for each in runs:
        known = stored.loc[each.id] if each.id in stored.index else None
        values: dict[str, float | None] = {
            metric.proxy: 1.0 * each.params
            if metric.column == "params"
            else None if known is None else metric.sign * float(known[metric.column])
            for metric in check.METRICS
        }  # fmt: skip
        rows.append({"id": each.id, "values": values, "notes": {}, "cpu_s": 1.0})
    lines = check.table(rows, runs, stored, draws=20).splitlines()
    assert lines[0].startswith("20 cells with stored values, 10 left out")
    saliency = [cell.strip() for cell in lines[5].split("|")[1:-1]]
    assert saliency[:3] == ["synaptic_saliency", "0, 10", "+1.0000"]
    assert saliency[3] == saliency[4] == "+1.000 [+1.000, +1.000]"
    assert saliency[5] == "+0.1236"
    assert saliency[6] != saliency[3]  # ten more, all of them last
    assert len(lines) == 4 + len(check.METRICS)


def test_stored_jacobian_covariance_hangs_on_the_number_of_parameters_alone(
    shared_data: Path,
) -> None:
    stored = pd.read_parquet(shared_data / check.shape.STORED).drop_duplicates("arch_id")
    values = stored["jacobian_covariance"].groupby(stored["num_params"]).nunique()
    assert values.max() <= 2
    assert len(values) > 90
    assert np.ptp(stored["jacobian_covariance"]) < 0.2
    assert stored["large_noise_jacobian_cov"].min() >= 0  # |1 - |difference||


def test_embedded_words_give_the_stored_jacobian_covariance_with_steps_as_rows() -> None:
    generator = torch.Generator().manual_seed(0)
    words = torch.randint(10_000, (50, 70), generator=generator)
    table = torch.empty(10_000, 400).uniform_(-0.1, 0.1, generator=generator)
    steps = table[words].transpose(0, 1).flatten(1)  # [70, 50 * 400]
    assert correlation_score(steps) == pytest.approx(-71.1, abs=1.5)
