"""Hidden covariance of recurrent cells, computed anew, beside the values stored by its authors.

Serianni & Kalita 2023, arXiv:2306.00288, stored it for cells of NAS-Bench-NLP: networks of 3 layers
of 600, 600 and 400 units, 50 texts of 70 words, states that start at zero. Their words are those of
the Penn Treebank, ours of any text; their weights are one draw, ours another.

Cells that the authors left out, since one of their metrics was NaN, are scored and ranked too.

Every cell's figures are a line of the file, so that a run that was cut off goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vitruvius.errors import ConfigError
from vitruvius.evals.studies.correlation import DRAWS, spearman, with_interval
from vitruvius.spaces.recurrent.space import Recurrent
from vitruvius.spaces.space import FloatArray, Signature
from vitruvius.tasks.tables.nas_bench_nlp import FINISHED, LoggedRun, read_log
from vitruvius.tools.passes.probe import Batch, Probe
from vitruvius.tools.proxies.hidden import hidden_covariance

LOG, STORED, CORPUS = "nas_bench_nlp_ptb.jsonl.gz", "rnn_metrics.parquet", "text/wikitext2.test.txt"
COLUMNS = ("hidden_cov_l1", "hidden_cov_l2", "hidden_cov_l3")
BATCH, STEPS, WORDS = 50, 70, 10_000
EPOCHS = 50
SPACE = Recurrent(layers=3, hidden=600, embedding=400)
SIGNATURE = Signature(
    input_shape=(STEPS,), outputs=WORDS, vocabulary=WORDS, per_token=True, causal=True
)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What was computed for one cell; `cpu_s` covers building, passing and decomposing."""

    id: int
    layers: tuple[float, ...]
    cpu_s: float


def read_stored(data: Path) -> pd.DataFrame:
    """Returns the stored metrics, one row a cell, by the number of its architecture."""
    stored = pd.read_parquet(data / STORED).dropna(subset=["arch_id"])
    return stored.drop_duplicates("arch_id").set_index("arch_id")


def read_batch(path: Path) -> Tensor:
    """Returns texts of a corpus as word ids [50, 70], from places spread evenly over it.

    Words are written as in the Penn Treebank: small letters, N for numbers, no punctuation; those
    beyond the 9,999 most frequent share an id.

    Raises:
        ConfigError: if the corpus is too short.
    """
    words = [
        "N" if re.fullmatch(r"[\d.,@-]*\d[\d.,@-]*", word) else word.lower()
        for word in path.read_text(encoding="utf-8").split()
        if re.search(r"\w", word)
    ]
    if len(words) < BATCH * STEPS:
        raise ConfigError(f"{path} has {len(words)} words; at least {BATCH * STEPS} are needed")
    common = {word: i for i, (word, _) in enumerate(Counter(words).most_common(WORDS - 1))}
    ids = torch.tensor([common.get(word, WORDS - 1) for word in words])
    rows = ids[: len(ids) // BATCH * BATCH].view(BATCH, -1)
    return rows[:, :STEPS].contiguous()


def figures_of(run: LoggedRun, batch: Tensor) -> Figures:
    """Returns the hidden covariance of each layer of a freshly drawn network, seed 0."""
    start = time.process_time()
    torch.manual_seed(0)
    probe = Probe(
        network=SPACE.build(run.written, SIGNATURE),
        signature=SIGNATURE,
        batch=Batch(inputs=batch, labels=None),
        plans=frozenset({"states"}),
        deepest=SPACE.layers,
    )
    layers = tuple(hidden_covariance(probe, layer + 1) for layer in range(SPACE.layers))
    return Figures(id=run.id, layers=layers, cpu_s=time.process_time() - start)


def chosen(runs: Sequence[LoggedRun], stored: pd.DataFrame, number: int) -> list[LoggedRun]:
    """Returns trainings that have stored values, in a random order that never changes."""
    known = [run for run in runs if run.id in stored.index]
    order = np.random.default_rng(0).permutation(len(known))
    return [known[place] for place in order[:number]]


def left_out(runs: Sequence[LoggedRun], stored: pd.DataFrame, number: int) -> list[LoggedRun]:
    """Returns finished trainings without stored values, in a random order that never changes.

    A cell that has stored values under another id is not one of them.
    """
    known = {run.architecture for run in runs if run.id in stored.index}
    found = [
        run
        for run in runs
        if run.id not in stored.index and run.architecture not in known and math.isfinite(last(run))
    ]
    order = np.random.default_rng(1).permutation(len(found))
    return [found[place] for place in order[:number]]


def last(run: LoggedRun) -> float:
    """Returns the test loss after the last epoch; NaN if the training did not come so far."""
    is_whole = run.status == FINISHED and len(run.test) >= EPOCHS
    return run.test[-1] if is_whole else math.nan


def read_figures(path: Path) -> dict[int, Figures]:
    """Returns what a file holds, by id; a line that was cut off is left out."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    rows = (json.loads(line) for line in lines)
    found = (Figures(id=r["id"], layers=tuple(r["layers"]), cpu_s=r["cpu_s"]) for r in rows)
    return {figures.id: figures for figures in found}


def compute(runs: Sequence[LoggedRun], batch: Tensor, path: Path) -> Iterator[Figures]:
    """Yields the figures of each cell, and appends those that the file lacks."""
    known = read_figures(path)
    if path.is_file():  # what a kill left of a last line
        whole = path.read_bytes()
        path.write_bytes(whole[: whole.rfind(b"\n") + 1])
    for run in runs:
        if run.id not in known:
            known[run.id] = figures_of(run, batch)
            line = {**vars(known[run.id]), "layers": list(known[run.id].layers)}
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        yield known[run.id]


def compare(figures: Sequence[Figures], stored: pd.DataFrame) -> dict[str, Any]:
    """Returns rank correlations of ours and the stored values, with each other and the loss."""
    rows = stored.loc[[each.id for each in figures]]
    loss = rows["test_loss_last"].to_numpy(dtype=np.float64)
    ours = np.array([each.layers for each in figures])
    answer: dict[str, Any] = {
        "architectures": len(figures),
        "median_cpu_s": round(float(np.median([each.cpu_s for each in figures])), 3),
    }
    for layer, column in enumerate(COLUMNS):
        theirs = rows[column].to_numpy(dtype=np.float64)
        computed = ours[:, layer]
        answer[f"layer {layer + 1}"] = {
            "not finite": int((~np.isfinite(computed)).sum()),
            "spearman with stored": round(spearman(computed, theirs), 4),
            "tau with loss, ours": _tau(computed, loss),
            "tau with loss, stored": _tau(theirs, loss),
        }
    return answer


def compare_left_out(
    figures: Sequence[Figures], others: Sequence[Figures], runs: Sequence[LoggedRun]
) -> dict[str, Any]:
    """Returns tau with the log's loss of cells left out, and of all together."""
    losses = {run.id: last(run) for run in runs}
    sides = {"alone": list(others), "with the others": [*figures, *others]}
    finished = {
        name: [each for each in side if math.isfinite(losses[each.id])]
        for name, side in sides.items()
    }
    answer: dict[str, Any] = {
        "architectures": len(others),
        "median loss": round(float(np.median([losses[each.id] for each in others])), 3),
    }
    for layer in range(len(COLUMNS)):
        answer[f"layer {layer + 1}"] = {
            "not finite": sum(not math.isfinite(each.layers[layer]) for each in others),
            **{
                f"tau with loss, {name}": _tau(
                    np.array([each.layers[layer] for each in side]),
                    np.array([losses[each.id] for each in side]),
                )
                for name, side in finished.items()
            },
        }
    return answer


def _tau(scores: FloatArray, loss: FloatArray) -> list[float]:
    """Returns Kendall's tau and its 95 % interval by bootstrap; what is not finite is worst."""
    found = with_interval(scores, loss, draws=DRAWS)
    return [round(value, 4) for value in (found.value, found.low, found.high)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Computes what is missing and prints the comparison as JSON."""
    parser = argparse.ArgumentParser(prog="rnn_metrics_check", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the public tables")
    parser.add_argument("--corpus", type=Path, help="a text; WikiText-2 of the folder unless said")
    parser.add_argument("--number", type=int, default=500, help="architectures")
    parser.add_argument("--left-out", type=int, default=0, help="cells without stored values")
    parser.add_argument("--out", type=Path, default=Path("rnn_metrics.jsonl"), help="to append to")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    stored = read_stored(given.data)
    log = read_log(given.data / LOG)
    batch = read_batch(given.corpus or given.data / CORPUS)
    figures = list(compute(chosen(log, stored, given.number), batch, given.out))
    answer = compare(figures, stored)
    if given.left_out:
        others = list(compute(left_out(log, stored, given.left_out), batch, given.out))
        answer["left out"] = compare_left_out(figures, others, log)
    print(json.dumps(answer, indent=1))


if __name__ == "__main__":
    main()
