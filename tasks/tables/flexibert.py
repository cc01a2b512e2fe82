"""Reader of the FlexiBERT benchmark: GLUE scores of 500 pre-trained transformers."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.space import Architecture, Signature
from vitruvius.spaces.transformers.space import FlexiBert, FlexiBertTrained
from vitruvius.tasks.tables.recorded import Recorded, Table
from vitruvius.tasks.task import Metric

KEYS = frozenset({"search_space", "architectures", "train_ablation"})  # of the file
GLUE = {
    "cola": "Matthews correlation on CoLA",
    "mnli": "accuracy on MNLI",
    "mrpc": "accuracy on MRPC",
    "qnli": "accuracy on QNLI",
    "qqp": "accuracy on QQP",
    "rte": "accuracy on RTE",
    "sst": "accuracy on SST-2",
    "sts": "Pearson correlation on STS-B",
}
MEAN, LONG = "glue", "glue_long"
METRIC_NAMES = (MEAN, *GLUE, LONG)
LONG_STEPS = 1000  # thousands, of the longer trainings; recorded every 50 thousand
SHORT_STEPS = 100


@dataclass(frozen=True, kw_only=True)
class Published:
    """One pre-trained network of the file.

    `architecture` is written as in the space `flexibert`, as specified, not in canonical form;
    `FlexiBertTrained().canonical` gives what was trained. `scores` are the eight of GLUE and
    their mean, in points; `metrics` the training-free ones as stored.
    """

    id: int
    architecture: Architecture
    scores: Mapping[str, float]
    pretrain_s: float
    params: int  # of the network that was trained
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class _Training:
    """One training: what was trained, its score, and its seconds."""

    trained: Architecture
    params: int
    value: float
    seconds: float


def read_flexibert(path: Path, metric: str) -> Table:
    """Returns the table of a GLUE task (`cola`, ..., `sts`), or of their mean (`glue`).

    Serianni & Kalita 2023, arXiv:2306.00288. Specifications that gave the same network are repeats
    of it: 301 networks of 500 trainings. Scores are those on the development sets, the only ones;
    seconds are those of pre-training for 100,000 steps on eight cores of a TPU.

    `glue_long` are the trainings of 1,000,000 steps (15 of 20 are complete), by thousands of
    steps. They have a schedule of their own: 100 of theirs are not the 100 of `glue`. The
    stored means of five of them are not those of the eight scores, so means are computed here.
    Their seconds are not recorded; those given are of the short training, times the steps.

    Raises:
        ConfigError: if the file cannot be read or a part is missing.
    """
    data = _content(path)
    if metric == LONG:
        by_epochs = _long_trainings(data, path)
    else:
        by_epochs = {1: [_training(row, row.scores[metric]) for row in _published(data, path)]}
    params = {one.trained: one.params for trainings in by_epochs.values() for one in trainings}
    index = {trained: row for row, trained in enumerate(params)}
    about = "the mean of eight scores" if metric in (MEAN, LONG) else GLUE[metric]
    return Table(
        name="FlexiBERT",
        task=metric,
        metric=Metric(name="GLUE score", direction="max", unit="points"),
        dataset=f"GLUE development sets ({about}), pre-trained on OpenWebText",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        space=FlexiBertTrained(),
        index=index,
        by_epochs={steps: _recorded(trainings, index) for steps, trainings in by_epochs.items()},
        params=np.array(list(params.values()), dtype=np.int64),
        signature=Signature(input_shape=(128,), outputs=2, vocabulary=30_522, per_token=True),
        figure="the mean over trainings of equal networks",
        counted="thousand steps" if metric == LONG else "epochs",
    )


def published_networks(path: Path) -> list[Published]:
    """Returns the 500 networks of the file, in its order, with all that is stored of them.

    Raises:
        ConfigError: if the file cannot be read or a part is missing.
    """
    return _published(_content(path), path)


def fidelities(metric: str) -> tuple[int, ...]:
    """Returns what a table of the metric counts as epochs, the longest first."""
    return tuple(range(LONG_STEPS, 0, -50)) if metric == LONG else (1,)


def _content(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the table {path}: {error}") from error
    return content


def _published(data: Mapping[str, Any], path: Path) -> list[Published]:
    found = []
    for place, row in enumerate(data["architectures"]):
        with _reading(path, "architectures", place):
            found.append(_one(row))
    return found


def _one(row: Mapping[str, Any]) -> Published:
    return Published(
        id=row["id"],
        architecture=_specified(row),
        scores={**{name: row["scores"][name] for name in GLUE}, MEAN: _mean(row["scores"])},
        pretrain_s=row["pretrain_seconds"],
        params=row["params_effective_tf"],
        metrics=row["metrics"],
    )


def _long_trainings(data: Mapping[str, Any], path: Path) -> dict[int, list[_Training]]:
    """Returns the complete long trainings by thousands of steps."""
    short = {row.id: row for row in _published(data, path)}
    found: dict[int, list[_Training]] = defaultdict(list)
    for place, row in enumerate(data["train_ablation"]):
        with _reading(path, "train_ablation", place):
            steps = {int(step) // 1000: scores for step, scores in row["scores_by_step"].items()}
            one = short[row["benchmark_id"]]
            for thousands in fidelities(LONG) if LONG_STEPS in steps else ():
                value, times = _mean(steps[thousands]), thousands / SHORT_STEPS
                found[thousands].append(_training(one, value, times))
    return dict(found)


def _training(row: Published, value: float, times: float = 1.0) -> _Training:
    return _Training(
        trained=FlexiBertTrained().canonical(row.architecture),
        params=row.params,
        value=value,
        seconds=row.pretrain_s * times,
    )


def _recorded(trainings: Sequence[_Training], index: Mapping[Architecture, int]) -> Recorded:
    runs: list[list[_Training]] = [[] for _ in index]
    for one in trainings:
        runs[index[one.trained]].append(one)
    most = max(map(len, runs))
    values = np.full((len(index), most if most > 1 else 0), np.nan)
    for row, found in enumerate(runs if most > 1 else []):
        values[row, : len(found)] = [one.value for one in found]
    return Recorded(
        value=np.array([np.mean([one.value for one in found]) for found in runs]).round(6),
        test=np.full(len(index), np.nan),
        train_s=np.array([np.mean([one.seconds for one in found]) for found in runs]),
        runs=values,
    )


def _specified(row: Mapping[str, Any]) -> Architecture:
    """Returns the specification of a row, checked."""
    layers = [
        {
            "operation": f"dsc{one['param']}" if one["op"] == "DSC" else one["param"].lower(),
            "heads": one["heads"],
            "ff_width": one["ff_dim"],
            "ff_layers": one["n_ff"],
        }
        for one in row["layers"]
    ]
    spec = {"hidden": row["hidden_size"], "layers": layers}
    FlexiBert().parse(spec)
    return Architecture.of(spec)


def _mean(scores: Mapping[str, float]) -> float:
    return float(np.mean([scores[name] for name in GLUE]))


@contextmanager
def _reading(path: Path, part: str, place: int) -> Iterator[None]:
    """A row that says something else than it should is named in one sentence."""
    try:
        yield
    except KeyError as error:
        raise ConfigError(f"{part}[{place}] of {path} lacks {error}") from error
    except (TypeError, AttributeError, ToolError) as error:
        raise ConfigError(f"{part}[{place}] of {path} is no FlexiBERT network: {error}") from error
