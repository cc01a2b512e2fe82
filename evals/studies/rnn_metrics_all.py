"""All stored metrics of recurrent cells, computed anew, beside the stored values and the loss.

Serianni & Kalita 2023, arXiv:2306.00288, stored twelve metrics of cells of NAS-Bench-NLP; with the
parameters they are thirteen. Each is computed from the recipe at the published shape, in its
published form, through the passes that all scores share, and set beside the stored value and the
final test loss: one architecture, one seed. Cells that the authors left out, since some metric was
NaN, are scored too: they rank last where the score has no value.

The batch is that of `rnn_metrics_check`: other words and another draw of the weights. Every cell's
figures are a line of the file, so that a run that was cut off goes on where it was.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vitruvius.evals.statistics import Interval
from vitruvius.evals.studies import rnn_metrics_check as shape
from vitruvius.evals.studies.correlation import DRAWS, spearman, with_interval, words
from vitruvius.evals.studies.rnn_metrics_check import last, left_out
from vitruvius.evals.studies.rows import Row, fill_in
from vitruvius.spaces.space import FloatArray
from vitruvius.tasks.tables.nas_bench_nlp import LoggedRun, read_log
from vitruvius.tools.passes.flops import unmoved_generator
from vitruvius.tools.passes.probe import Batch
from vitruvius.tools.passes.scoring import measure, plan
from vitruvius.tools.proxies import PROXIES


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A stored metric: its column, our score, and the tau with the loss that the values give.

    `sign` is -1 where the stored value grows with what our score falls with: ours are turned so
    that more is meant to be better, and what is stored of large-noise covariance is the absolute
    value of a score that is nearly always negative. `reference` is over one seed of each of the
    2,936 architectures with stored values.
    """

    column: str
    proxy: str
    sign: int
    reference: float


METRICS = tuple(
    Metric(column=column, proxy=proxy, sign=sign, reference=reference)
    for column, proxy, sign, reference in (
        ("activation_distance", "activation_distance_published", 1, -0.2242),
        ("synaptic_saliency", "synaptic_saliency_published", -1, 0.1236),
        ("jacobian_covariance", "jacobian_covariance_published", 1, -0.0029),
        ("jacobian_cosine", "jacobian_cosine_published", 1, -0.2644),
        ("large_noise_jacobian_cov", "large_noise_jacobian_covariance_published", -1, 0.2593),
        ("large_noise_jacobian_cos", "large_noise_jacobian_cosine_published", -1, 0.2731),
        ("more_noised_jacobian_cov", "more_noised_jacobian_covariance_published", -1, 0.2738),
        ("more_noised_jacobian_cos", "more_noised_jacobian_cosine_published", 1, -0.2809),
        ("hidden_synaptic_saliency", "hidden_synaptic_saliency_published", -1, 0.2683),
        ("hidden_cov_l1", "hidden_covariance_1", 1, -0.3726),
        ("hidden_cov_l2", "hidden_covariance_2", 1, -0.3144),
        ("hidden_cov_l3", "hidden_covariance_3", 1, -0.2471),
        ("params", "params", 1, 0.0003),
    )
)


def figures_of(run: LoggedRun, batch: Tensor) -> Row:
    """Returns every score of a freshly drawn network, seed 0, and why some have no value."""
    start = time.process_time()
    with unmoved_generator(0):
        network = shape.SPACE.build(run.written, shape.SIGNATURE)
    names = [metric.proxy for metric in METRICS]
    probe = plan(network, shape.SIGNATURE, Batch(inputs=batch, labels=None), names)
    found = {name: measure(PROXIES[name], probe) for name in names}
    return {
        "values": {name: value for name, (value, _) in found.items()},
        "notes": {name: note for name, (_, note) in found.items() if note},
        "cpu_s": time.process_time() - start,
    }


def compute(runs: Sequence[LoggedRun], batch: Tensor, path: Path) -> list[Row]:
    """Returns the scores of each cell, and appends those that the file lacks."""
    by_id = {run.id: run for run in runs}
    keys: list[Row] = [{"id": number} for number in by_id]
    return fill_in(path, keys, lambda key: figures_of(by_id[key["id"]], batch), names=("id",))


def table(
    rows: Sequence[Row], runs: Sequence[LoggedRun], stored: pd.DataFrame, draws: int = DRAWS
) -> str:
    """Returns the comparison as Markdown; signs of tau are those of the published metrics.

    The last column is of the log's loss, over cells with stored values and those left out.

    Args:
        rows: from `compute`.
        runs: the log.
        stored: stored values by id of the recipe.
        draws: of each bootstrap.
    """
    by_id = {run.id: run for run in runs}
    known = [row for row in rows if row["id"] in stored.index]
    finished = [row for row in rows if math.isfinite(last(by_id[row["id"]]))]
    ids = [row["id"] for row in known]
    loss = stored.loc[ids, "test_loss_last"].to_numpy(dtype=np.float64)
    logged = np.array([last(by_id[row["id"]]) for row in finished])
    lines = [
        f"{len(known)} cells with stored values, {len(rows) - len(known)} left out by the authors; "
        f"median {np.median([row['cpu_s'] for row in rows]):.1f} s of CPU time a cell",
        "",
        "| metric | no value: stored, left out | Spearman ours, stored | tau with loss, ours "
        f"| stored | reference | ours, with those left out ({len(finished)}) |",
        "|---|---|---|---|---|---|---|",
    ]
    for metric in METRICS:
        ours, everything = _values(known, metric), _values(finished, metric)
        if metric.column == "params":
            theirs = np.array([by_id[number].params for number in ids], dtype=np.float64)
        else:
            theirs = stored.loc[ids, metric.column].to_numpy(dtype=np.float64)
        without = [row for row in rows if row["values"][metric.proxy] is None]
        missing = sum(row["id"] in stored.index for row in without)
        cells = (
            f"{metric.column}",
            f"{missing}, {len(without) - missing}",
            f"{metric.sign * spearman(ours, theirs):+.4f}",
            words(_turned(with_interval(ours, loss, draws=draws), metric.sign)),
            words(_turned(with_interval(metric.sign * theirs, loss, draws=draws), metric.sign)),
            f"{metric.reference:+.4f}",
            words(_turned(with_interval(everything, logged, draws=draws), metric.sign)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _values(rows: Sequence[Row], metric: Metric) -> FloatArray:
    """Returns our scores, NaN where there is no value."""
    return np.array([row["values"][metric.proxy] for row in rows], dtype=np.float64)


def _turned(found: Interval, sign: int) -> Interval:
    if sign > 0:
        return found
    return Interval(value=-found.value, low=-found.high, high=-found.low)


def main(arguments: Sequence[str] | None = None) -> None:
    """Computes what is missing and prints the comparison as Markdown."""
    parser = argparse.ArgumentParser(prog="rnn_metrics_all", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the public tables")
    parser.add_argument("--corpus", type=Path, help="a text; WikiText-2 of the folder unless said")
    parser.add_argument("--number", type=int, default=500, help="cells with stored values")
    parser.add_argument("--left-out", type=int, default=100, help="cells without")
    parser.add_argument("--out", type=Path, default=Path("rnn_metrics_all.jsonl"), help="of rows")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    stored = shape.read_stored(given.data)
    log = read_log(given.data / shape.LOG)
    runs = [*shape.chosen(log, stored, given.number), *left_out(log, stored, given.left_out)]
    batch = shape.read_batch(given.corpus or given.data / shape.CORPUS)
    print(table(compute(runs, batch, given.out), log, stored))


if __name__ == "__main__":
    main()
