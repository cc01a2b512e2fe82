"""The recurrent cells of NAS-Bench-NLP with the training-free metrics stored for them.

The logs are those of Klyuchnikov et al. 2020 (arXiv:2006.07116), the metrics those of Serianni &
Kalita 2023 (arXiv:2306.00288), joined by the id of the recipe. Equal cells under several ids are
one cell here: the first id with a finished training answers, and its twins never stand on both
sides of a split.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitruvius.memory.records import Score
from vitruvius.spaces.pool import Pool
from vitruvius.spaces.recurrent.graph import CLASSICS
from vitruvius.spaces.recurrent.space import Recurrent
from vitruvius.spaces.space import Architecture, FloatArray
from vitruvius.tasks.tables.nas_bench_nlp import LoggedRun, read_log

IntArray = NDArray[np.int64]

LOG, METRICS = "nas_bench_nlp_ptb.jsonl.gz", "rnn_metrics.parquet"
STORED = (
    "activation_distance",
    "synaptic_saliency",
    "jacobian_covariance",
    "jacobian_cosine",
    "large_noise_jacobian_cov",
    "large_noise_jacobian_cos",
    "more_noised_jacobian_cov",
    "more_noised_jacobian_cos",
    "hidden_synaptic_saliency",
    "hidden_cov_l1",
    "hidden_cov_l2",
    "hidden_cov_l3",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """N different cells, without the plain RNN, the LSTM and the GRU, in the order of the log.

    `final` [N] is the test loss after the last epoch, `valid` [N, E] the validation loss by epoch;
    NaN once diverged. `scores` [N, J] are the `STORED` metrics, NaN where none is stored.
    """

    folder: Path
    pool: Pool
    final: FloatArray
    valid: FloatArray
    scores: FloatArray

    @property
    def architectures(self) -> tuple[Architecture, ...]:
        return tuple(self.pool.members())

    def board_scores(self, which: Mapping[str, FloatArray], rows: IntArray) -> list[Score]:
        """Returns columns [N] by name as scores of the cells in `rows`; NaN is no score."""
        members = self.pool.members()
        return [
            Score(proxy=name, architecture=members[row], value=float(column[row]), wall_s=0.0)
            for name, column in which.items()
            for row in rows.tolist()
            if not math.isnan(column[row])
        ]

    def stored(self) -> dict[str, FloatArray]:
        """Returns the stored metrics by name."""
        return {name: self.scores[:, column] for column, name in enumerate(STORED)}


def half_of(cells: Cells, seed: int) -> IntArray:
    """Returns the rows of a random half of the cells, in order."""
    count = len(cells.architectures)
    return np.sort(np.random.default_rng([seed, *b"half"]).permutation(count)[: count // 2])


def read_cells(data: Path) -> Cells:
    """Returns the cells of a folder with the two public files.

    Raises:
        ConfigError: if the log cannot be read.
        OSError: if the metrics cannot.
    """
    space = Recurrent()
    left_out = {space.parse(recipe) for recipe in CLASSICS.values()}
    runs: dict[Architecture, LoggedRun] = {}
    by_cell: dict[Architecture, list[int]] = {}
    for run in read_log(data / LOG):
        if run.architecture in left_out:
            continue
        by_cell.setdefault(run.architecture, []).append(run.id)
        known = runs.get(run.architecture)
        if known is None or len(known.test) < len(run.test):
            runs[run.architecture] = run
    epochs = max(len(run.val) for run in runs.values())
    stored = _stored(data / METRICS)
    nothing = np.full(len(STORED), np.nan)
    first = [
        next((stored[one] for one in by_cell[cell] if one in stored), nothing) for cell in runs
    ]
    return Cells(
        folder=data,
        pool=Pool(space, list(runs)),
        final=np.array([_last(run.test, epochs) for run in runs.values()]),
        valid=np.array(
            [[*run.val, *[math.nan] * (epochs - len(run.val))] for run in runs.values()]
        ),
        scores=np.array(first),
    )


def _last(curve: tuple[float, ...], epochs: int) -> float:
    return curve[-1] if len(curve) == epochs else math.nan


def _stored(path: Path) -> dict[int, FloatArray]:
    """Returns the metrics of each recipe; the seeds of one have the same."""
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path, columns=["arch_id", *STORED])
    ids = table.column("arch_id").to_pylist()
    columns = np.array([table.column(name).to_pylist() for name in STORED], dtype=np.float64).T
    found: dict[int, FloatArray] = {}
    for number, row in zip(ids, columns, strict=True):
        if number is not None:
            found.setdefault(int(number), row)
    return found
