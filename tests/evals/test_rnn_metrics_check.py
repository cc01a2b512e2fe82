"""The check of hidden covariance: closed forms, resuming, and the comparison."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from vitruvius.evals.studies import rnn_metrics_check as check
from vitruvius.spaces.recurrent.graph import GRU, LSTM, RNN
from vitruvius.spaces.recurrent.space import Recurrent
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.tables.nas_bench_nlp import LoggedRun

CELLS = {1: RNN, 2: LSTM, 3: GRU}


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    monkeypatch.setattr(check, "SPACE", Recurrent(layers=3, hidden=6, embedding=4))
    words = np.random.default_rng(0).integers(60, size=4000)
    (tmp_path / "words").write_text(" ".join(f"w{word} ," for word in words))
    return check.read_batch(tmp_path / "words")


def runs() -> list[LoggedRun]:
    return [
        LoggedRun(
            id=number,
            status="OK",
            architecture=Recurrent().parse(recipe),
            written=Architecture.of(recipe),
            params=0,
            val=(),
            test=(),
            epoch_s=1.0,
            epochs_run=1,
        )
        for number, recipe in CELLS.items()
    ]


def test_a_batch_is_fifty_places_of_the_corpus_without_punctuation(batch: torch.Tensor) -> None:
    assert batch.shape == (50, 70)
    assert batch.max() < 60
    assert len({tuple(row) for row in batch.tolist()}) == 50


def test_a_cell_is_scored_at_every_layer(batch: torch.Tensor) -> None:
    first = check.figures_of(runs()[0], batch)
    assert first.layers == check.figures_of(runs()[0], batch).layers
    torch.manual_seed(0)
    network: Any = check.SPACE.build(Architecture.of(RNN), check.SIGNATURE)
    with torch.no_grad():
        values = network.embed(batch).transpose(0, 1)
        for layer, found in zip(network.layers, first.layers, strict=True):
            values = layer(values)
            entering = torch.cat([torch.zeros_like(values[:1]), values[:-1]])
            correlations = np.corrcoef(entering.flatten(0, 1).T.double().numpy())
            shifted = np.linalg.eigvalsh(correlations).clip(0) + 1e-5
            assert found == pytest.approx(-(np.log(shifted) + 1 / shifted).sum(), rel=1e-6)


def test_a_run_that_was_cut_off_goes_on(batch: torch.Tensor, tmp_path: Path) -> None:
    path = tmp_path / "figures.jsonl"
    whole = list(check.compute(runs(), batch, path))
    lines = path.read_text().splitlines()
    path.write_text(f"{lines[0]}\n{lines[1][:20]}")
    marked = json.loads(lines[0]) | {"cpu_s": 99.0}
    path.write_text(f"{json.dumps(marked)}\n{lines[1][:20]}")
    again = list(check.compute(runs(), batch, path))
    assert [each.layers for each in again] == [each.layers for each in whole]
    assert again[0].cpu_s == 99.0  # read, not computed
    assert len(path.read_text().splitlines()) == 3


def test_the_comparison_ranks_ours_beside_the_stored_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(check, "DRAWS", 20)
    rng = np.random.default_rng(0)
    stored = pd.DataFrame(
        {column: rng.normal(size=40) for column in (*check.COLUMNS, "test_loss_last")}
    )
    stored["hidden_cov_l1"] = -stored["test_loss_last"]
    figures = [
        check.Figures(id=row, layers=tuple(np.exp(stored.loc[row, list(check.COLUMNS)])), cpu_s=0.5)
        for row in stored.index
    ]
    figures[0] = check.Figures(id=0, layers=(math.nan, 1.0, 1.0), cpu_s=0.7)
    found = check.compare(figures, stored)
    assert (found["architectures"], found["median_cpu_s"]) == (40, 0.5)
    assert found["layer 1"]["not finite"] == 1
    assert found["layer 1"]["spearman with stored"] == 1.0
    tau, low, high = found["layer 1"]["tau with loss, stored"]
    assert (tau, low, high) == (-1.0, -1.0, -1.0)
    assert -1 < found["layer 1"]["tau with loss, ours"][0] < -0.8
    assert found["layer 2"]["spearman with stored"] > 0.9


def test_cells_left_out_are_ranked_alone_and_with_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(check, "DRAWS", 20)
    losses = [4.5, 4.8, 5.1, 5.4, 6.0, 7.0]
    log = [replace(runs()[0], id=number, test=(loss,) * 50) for number, loss in enumerate(losses)]
    values = [-1.0, -2.0, -3.0, -2.5, -4.0, math.nan]  # what has no value ranks last
    figures = [
        check.Figures(id=number, layers=(value, value, -value), cpu_s=0.5)
        for number, value in enumerate(values)
    ]
    found = check.compare_left_out(figures[:3], figures[3:], log)
    assert (found["architectures"], found["median loss"]) == (3, 6.0)
    assert found["layer 1"]["not finite"] == 1
    assert found["layer 1"]["tau with loss, alone"][0] == -1.0
    assert found["layer 1"]["tau with loss, with the others"][0] == pytest.approx(
        -13 / 15, abs=1e-4
    )
    lost = replace(log[4], status="NaN")
    assert math.isnan(check.last(lost))
