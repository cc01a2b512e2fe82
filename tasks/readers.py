"""Which reader knows a file of finished trainings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vitruvius.errors import ConfigError
from vitruvius.tasks import nas_bench_201, transnas
from vitruvius.tasks.table import Table


@dataclass(frozen=True, kw_only=True)
class Reader:
    """How one kind of table is known by its columns, and what can be asked of it."""

    name: str
    columns: frozenset[str]  # what every such file has, and no other kind
    metrics: tuple[str, ...]  # the first is the default
    epochs: Callable[[str], tuple[int, ...]]  # by metric; the first is the default
    read: Callable[[Path, str], Table]


READERS = (
    Reader(
        name="NAS-Bench-201",
        columns=frozenset({"c10_params_m_derived"}),
        metrics=tuple(nas_bench_201.METRICS),
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
)


def find_reader(path: Path) -> Reader:
    """Returns the reader that knows the file, by its columns.

    Raises:
        ConfigError: if there is no such file, or its columns are of no known table.
    """
    columns = _columns(path)
    for reader in READERS:
        if reader.columns <= columns:
            return reader
    raise ConfigError(
        f"{path} has the columns of no known table ({', '.join(each.name for each in READERS)}); "
        f"it has {', '.join(sorted(columns)[:8])}"
    )


def _columns(path: Path) -> frozenset[str]:
    import pyarrow
    import pyarrow.parquet

    if not path.is_file():
        raise ConfigError(f"there is no table at {path}")
    try:
        return frozenset(pyarrow.parquet.read_schema(path).names)
    except (pyarrow.ArrowException, OSError) as error:
        raise ConfigError(f"cannot read the table {path}: {error}") from error
