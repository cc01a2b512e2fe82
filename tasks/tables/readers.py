"""Which reader knows a file of finished trainings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vitruvius.errors import ConfigError
from vitruvius.tasks.tables import flexibert, nas_bench_201, nas_bench_nlp, nats_bench, transnas
from vitruvius.tasks.tables.recorded import Table
from vitruvius.tasks.tables.row_files import is_parquet


@dataclass(frozen=True, kw_only=True)
class Reader:
    """How one kind of table is known by its columns (or keys), and what can be asked of it."""

    name: str
    columns: frozenset[str]  # what every such file has, and no other kind
    metrics: tuple[str, ...]  # the first is the default
    epochs: Callable[[str], tuple[int, ...]]  # by metric; the first is the default
    read: Callable[..., Table]  # of path, metric and, by name, the options
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # the first is the default


NATS_BENCH = Reader(
    name="NATS-Bench",
    columns=frozenset(),
    metrics=(*nas_bench_201.DATA_SETS, *nats_bench.OFFICIAL),
    epochs=lambda _: nats_bench.EPOCHS,
    read=nats_bench.read_nats_bench,
)
READERS = (
    Reader(
        name="NAS-Bench-201",
        columns=frozenset({"c10_params_m_derived"}),
        metrics=tuple(nas_bench_201.DATA_SETS),
        epochs=lambda _: (200, 12),
        read=nas_bench_201.read_nas_bench_201,
    ),
    Reader(
        name="TransNAS-Bench-101 micro",
        columns=frozenset({"arch", "class_scene.valid_top1", "autoencoder.valid_ssim"}),
        metrics=tuple(transnas.TASKS),
        epochs=lambda metric: (transnas.TASKS[metric].epochs,),
        read=transnas.read_transnas,
    ),
    Reader(
        name="NAS-Bench-NLP",
        columns=nas_bench_nlp.COLUMNS,
        metrics=nas_bench_nlp.METRIC_NAMES,
        epochs=lambda _: tuple(range(50, 0, -1)),
        read=nas_bench_nlp.read_nas_bench_nlp,
        options={"classics": ("true", "false")},
    ),
    Reader(
        name="FlexiBERT",
        columns=flexibert.KEYS,
        metrics=flexibert.METRIC_NAMES,
        epochs=flexibert.fidelities,
        read=flexibert.read_flexibert,
    ),
)


def find_reader(path: Path) -> Reader | None:
    """Returns the reader that knows the folder or, by its columns, the file.

    None: it is no published table, so its columns are whatever a user made of them.

    Raises:
        ConfigError: if there is no such file or folder, or it cannot be read.
    """
    if path.is_dir() and (path / nats_bench.META).is_file():
        return NATS_BENCH
    columns = _columns(path)
    return next((reader for reader in READERS if reader.columns <= columns), None)


def _columns(path: Path) -> frozenset[str]:
    import pyarrow
    import pyarrow.parquet

    if not path.is_file():
        raise ConfigError(
            f"there is no table at {path}: expected a CSV or parquet file, a log (.jsonl) or a "
            f"folder of NATS-Bench records with {nats_bench.META}"
        )
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        return nas_bench_nlp.log_columns(path)
    if path.suffix == ".json":
        return _keys(path)
    if path.suffix not in (".parquet", ".pq") and not is_parquet(path):
        return frozenset()
    try:
        return frozenset(pyarrow.parquet.read_schema(path).names)
    except (pyarrow.ArrowException, OSError) as error:
        raise ConfigError(f"cannot read the table {path}: {error}") from error


def _keys(path: Path) -> frozenset[str]:
    """Returns the keys of a JSON object; none if the file holds something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the table {path}: {error}") from error
    return frozenset(content) if isinstance(content, dict) else frozenset()
