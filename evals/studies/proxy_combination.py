"""How well proxies, weighed by few trials, foretell the final loss of recurrent cells.

`python -m vitruvius.evals.studies.proxy_combination --data FOLDER` draws labelled cells at
random, fits the model of a run to them (features and stored metrics, as the analyst does) and
correlates what it expects of all others with their test loss. `tau` is Kendall's over all
held-out cells, `top` over the best tenth of them: of each draw's held-out cells those whose test
loss is among its lowest 10 %. No label of a held-out cell is seen: metrics and early validation
losses are ranked among all cells, final losses among the labelled ones only.

`labels` 0 stands for five folds: all other cells are labelled, `top` is taken in each fold. The
arms that name epochs have seen the validation losses of so many epochs of every cell.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from vitruvius.evals.statistics import bootstrap
from vitruvius.evals.studies.recurrent_cells import Cells, read_cells
from vitruvius.evals.studies.rows import Row, fill_in
from vitruvius.memory.model.gaussian_process import Surrogate
from vitruvius.memory.model.proxy_scores import Board, board_of, expected_weights, with_proxies
from vitruvius.memory.model.ranking import normal_scores
from vitruvius.spaces.space import FloatArray

LABELS = (50, 200, 0)
FOLDS, FOLD_DRAWS = 5, 5
TOP = 0.1
EPOCHS = (1, 3, 5)

IntArray = NDArray[np.int64]
Predict = Callable[[IntArray, FloatArray, IntArray], FloatArray]  # labelled, scores, held out


class Bench:
    """The cells with a finished training and stored metrics, and the arms that judge them."""

    def __init__(self, cells: Cells) -> None:
        self.rows = np.flatnonzero(~np.isnan(cells.final) & ~np.isnan(cells.scores).all(axis=1))
        self.space = cells.pool
        self.quality = -cells.final[self.rows]
        self.members = tuple(cells.architectures[row] for row in self.rows.tolist())
        self.features = cells.pool.featurise(self.members)
        stored, early = cells.stored(), _early(cells.valid)
        self.metrics = self._board(cells, stored)
        self.curves = self._board(cells, early)
        self.both = self._board(cells, {**stored, **early})
        self.arms: dict[str, Predict] = {
            "features and metrics": self._model(self.metrics),
            "features": self._model(None),
            "metrics": self._linear,
            "boosted trees": self._trees,
            "hidden covariance": self._column(self.metrics, "hidden_cov_l1"),
            **{f"loss after {e} epochs": self._column(self.curves, f"epoch {e}") for e in EPOCHS},
            "features and 5 epochs": self._model(self.curves),
            "features, metrics and 5 epochs": self._model(self.both),
        }

    def measure(self, key: Row) -> Row:
        """Returns tau over the held-out cells, and over the best tenth of them."""
        found = [self._taus(key["arm"], *split) for split in self._splits(key)]
        tau, top = np.mean(found, axis=0).tolist()
        return {"tau": round(tau, 5), "top": round(top, 5)}

    def _taus(self, arm: str, labelled: IntArray, held_out: IntArray) -> tuple[float, float]:
        scores = normal_scores(self.quality[labelled])
        said, truth = self.arms[arm](labelled, scores, held_out), self.quality[held_out]
        best = np.argsort(-truth, kind="stable")[: round(TOP * len(truth))]
        return float(kendalltau(said, truth)[0]), float(kendalltau(said[best], truth[best])[0])

    def _splits(self, key: Row) -> Iterator[tuple[IntArray, IntArray]]:
        order = np.random.default_rng([key["seed"], key["labels"]]).permutation(len(self.rows))
        if key["labels"]:
            yield order[: key["labels"]], order[key["labels"] :]
            return
        for fold in range(FOLDS):
            yield np.setdiff1d(order, order[fold::FOLDS]), order[fold::FOLDS]

    def _board(self, cells: Cells, columns: dict[str, FloatArray]) -> Board:
        board = board_of(cells.board_scores(columns, self.rows))
        assert board is not None
        return board

    def _model(self, board: Board | None) -> Predict:
        """Returns the model of a run: a Gaussian process, and the scores as its hints."""
        width = self.features.shape[1]
        prior = None if board is None else with_proxies(None, board, (), width)
        features = self.features if board is None else board.beside(self.features, self.members)

        def predict(labelled: IntArray, scores: FloatArray, held_out: IntArray) -> FloatArray:
            model = Surrogate.fit(self.space, features[labelled], scores, prior)
            return model.at(features[held_out]).mean

        return predict

    def _linear(self, labelled: IntArray, scores: FloatArray, held_out: IntArray) -> FloatArray:
        said = self.metrics.at(self.members)[:, : len(self.metrics.proxies)]
        precision = np.linalg.inv(expected_weights(self.metrics, ())[1])
        weights = np.linalg.solve(
            precision + said[labelled].T @ said[labelled], said[labelled].T @ scores
        )
        return np.asarray(said[held_out] @ weights)

    def _trees(self, labelled: IntArray, scores: FloatArray, held_out: IntArray) -> FloatArray:
        from sklearn.ensemble import HistGradientBoostingRegressor

        told = self.metrics.beside(self.features, self.members)
        trees = HistGradientBoostingRegressor(
            max_iter=200, learning_rate=0.05, max_leaf_nodes=12, min_samples_leaf=8
        )
        return np.asarray(trees.fit(told[labelled], scores).predict(told[held_out]))

    def _column(self, board: Board, name: str) -> Predict:
        said = board.at(self.members)[:, board.proxies.index(name)]
        return lambda labelled, scores, held_out: said[held_out]


def _early(valid: FloatArray) -> dict[str, FloatArray]:
    """Returns what the first epochs tell, more is better: losses turned round, and their falls."""
    losses = {f"epoch {epoch}": -valid[:, epoch - 1] for epoch in EPOCHS}
    falls = {
        f"fall {first} to {last}": valid[:, first - 1] - valid[:, last - 1]
        for first, last in pairwise(EPOCHS)
    }
    return losses | falls


def summary(rows: Sequence[Row]) -> list[Row]:
    """Returns means over draws with 95 % intervals, one line for each number of labels and arm."""
    groups: dict[tuple[int, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["labels"], row["arm"]), []).append(row)
    lines = []
    for (labels, arm), mine in groups.items():
        line: Row = {"labels": labels, "arm": arm, "draws": len(mine)}
        for name in ("tau", "top"):
            mean = bootstrap(np.array([row[name] for row in mine]), "mean")
            line[name] = [round(each, 3) for each in (mean.value, mean.low, mean.high)]
        lines.append(line)
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the figures, one line of JSON for each number of labels and arm."""
    parser = argparse.ArgumentParser(prog="proxy_combination", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the public tables")
    parser.add_argument("--out", type=Path, default=Path("evals/results/proxy_combination.jsonl"))
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=0)
    given = parser.parse_args(arguments)
    bench = Bench(read_cells(given.data))
    keys = [
        {"labels": labels, "arm": arm, "seed": seed}
        for labels in LABELS
        for arm in bench.arms
        for seed in range(
            given.first_seed, given.first_seed + (given.draws if labels else FOLD_DRAWS)
        )
    ]
    rows = fill_in(given.out, keys, bench.measure, names=("labels", "arm", "seed"))
    for line in summary(rows):
        print(json.dumps(line))


if __name__ == "__main__":
    main()
