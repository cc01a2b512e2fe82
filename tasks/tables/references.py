"""From `table:PATH,...` to a task or to a space: what the file is, and what may be asked of it.

To add a published table, write its reader beside the others and add its entry to `READERS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vitruvius.errors import ConfigError
from vitruvius.spaces.pool import Pool
from vitruvius.spaces.registry import absolute_ref, is_user_object, load_space, parse_ref
from vitruvius.spaces.space import Architecture, SearchSpace, distinct
from vitruvius.tasks.options import Options
from vitruvius.tasks.tables import flexibert, nas_bench_201, nas_bench_nlp, nats_bench, transnas
from vitruvius.tasks.tables.plain_table import (
    EPOCHS,
    LATENCY,
    metric_column,
    plain_table,
    with_latency,
)
from vitruvius.tasks.tables.recorded import Table
from vitruvius.tasks.tables.row_files import RowFile, is_parquet, read_rows
from vitruvius.tasks.tables.table import TabularTask
from vitruvius.tasks.tables.written_architectures import Written, read_architectures
from vitruvius.tasks.task import Constraints, Metric


@dataclass(kw_only=True)
class _Reference:
    """The options as given, with every path made absolute: they must hold in any folder."""

    options: dict[str, str]
    is_whole: bool = True  # False: a part was given as an object, which no text makes again

    @property
    def text(self) -> str:
        if not self.is_whole:
            return ""
        rest = [f"{key}={value}" for key, value in self.options.items() if key != "path"]
        return ",".join([f"table:{self.options['path']}", *rest])


def load_table_task(_: str, options: Options, hint: SearchSpace | None) -> TabularTask:
    """Returns the task of a table.

    Args:
        _: the reference as written; the task's own names every path whole.
        options: of the reference, its path among them.
        hint: the space that is searched: a file that names none may be of it.

    Raises:
        ConfigError: one sentence that says what is wrong with the reference or the file.
    """
    path, constraints = options.path(), options.constraints(any_cost=True)
    reference = _Reference(options={**options.given, "path": str(path)})
    latency = _latency(options, reference)
    reader = find_reader(path)
    if reader is None:
        table = _plain(path, options, constraints, hint, reference)
    else:
        metric = options.one_of("metric", reader.metrics, None) or reader.metrics[0]
        further = {
            key: options.one_of(key, choices, choices[0]) for key, choices in reader.options.items()
        }
        table = reader.read(path, metric, **further)
    epochs = options.one_of("epochs", tuple(str(epochs) for epochs in table.by_epochs), None)
    noise = options.one_of("noise", ("true", "false"), "false") == "true"
    options.done()
    return TabularTask(
        table=table if latency is None else with_latency(table, *latency),
        ref=reference.text,
        epochs=int(epochs) if epochs else None,
        noise=noise,
        constraints=constraints,
    )


def load_table_space(ref: str) -> SearchSpace:
    """Returns the space of a table's architectures: `table:PATH[,columns=a;b][,space=REF]`.

    Where the table lacks some of its space, the members are the recorded ones (a `Pool`); with
    `epochs=N` those recorded at N epochs.

    Raises:
        ConfigError: one sentence that says what is wrong with the reference or the file.
    """
    _, options = parse_ref(ref)
    if not options.get("path"):
        raise ConfigError("a space of a table needs a path: table:PATH")
    path = Path(options.pop("path")).expanduser().resolve()
    reader = find_reader(path)
    further = _further(options, reader)
    for key in options:
        if key not in ("columns", "space", "epochs", *further):
            raise ConfigError(
                f"a space of a table has no option {key!r}; it has columns, space, epochs"
            )
    reference = _Reference(options={"path": str(path), **options})
    told = _told_space(options.get("space"), reference)
    if reader is None:
        file = read_rows(path)
        written = _read(file, options.get("columns"), told, None, reference)
        rows = _at(file, written, options["epochs"]) if "epochs" in options else written.rows
        return _pool(written.space, rows, reference.text)
    if not {"columns", "epochs"}.isdisjoint(options):
        raise ConfigError(f"{path} is a table of {reader.name}: its space has the option space")
    table = reader.read(path, reader.metrics[0], **further)
    if told is not None:
        TabularTask(table=table, ref="").check_space(told)
    return _pool(told or table.space, tuple(table.index), reference.text)


def _further(options: dict[str, str], reader: Reader | None) -> dict[str, str]:
    """Returns the options of the table's own kind that are given.

    Raises:
        ConfigError: if one has a value that it cannot have.
    """
    known = {} if reader is None else reader.options
    given = {key: options[key] for key in known if key in options}
    for key, value in given.items():
        if value not in known[key]:
            raise ConfigError(f"option {key} must be {' or '.join(known[key])}, got {value!r}")
    return given


def _at(file: RowFile, written: Written, epochs: str) -> tuple[Architecture, ...]:
    lengths = file.whole_numbers(EPOCHS, 1)
    rows = zip(written.rows, lengths, strict=True)
    found = tuple(architecture for architecture, length in rows if str(length) == epochs)
    if not found:
        known = ", ".join(str(length) for length in sorted(set(lengths)))
        raise ConfigError(f"{file.path.name} has rows of {known} epochs, not of {epochs!r}")
    return found


def recorded_part(task: TabularTask, space: SearchSpace) -> SearchSpace:
    """Returns the space, restricted to what the task's table records if that is not all of it.

    Raises:
        ConfigError: if the table is not one of the space.
    """
    task.check_space(space)
    members = space.members()
    if isinstance(space, Pool) or (members is not None and all(map(task.has, members))):
        return space
    _, given = parse_ref(task.ref) if task.ref.startswith("table:") else ("", {})
    reader = find_reader(Path(given["path"])) if "path" in given else None
    same = ("path", "columns", *(reader.options if reader is not None else ()))
    kept: dict[str, str] = {key: given[key] for key in same if key in given}
    if space.ref:
        kept["space"] = space.ref.replace(",", "|")
    rows = task.recorded()
    if len(rows) < len(task.table.index):
        kept["epochs"] = str(task.fidelity.epochs)
    ref = _Reference(options=kept, is_whole="path" in kept and "space" in kept).text
    return _pool(space, tuple(rows), ref)


def _pool(space: SearchSpace, rows: tuple[Architecture, ...], ref: str) -> SearchSpace:
    members = space.members()
    found = distinct(space.canonical(row) for row in rows)
    is_all = members is not None and len(found) == len(members)
    return space if is_all else Pool(space, found, ref=ref)


def _latency(options: Options, reference: _Reference) -> tuple[Path, str] | None:
    text = options.text("latency")
    if text is None:
        return None
    name, colon, device = text.rpartition(":")
    if not (colon and name and device):
        raise ConfigError(f"expected latency=PATH:DEVICE, got latency={text}")
    path = Path(name).expanduser().resolve()
    reference.options["latency"] = f"{path}:{device}"
    return path, device


def _plain(
    path: Path,
    options: Options,
    constraints: Constraints,
    hint: SearchSpace | None,
    reference: _Reference,
) -> Table:
    file = read_rows(path)
    told = _told_space(options.text("space"), reference)
    written = _read(file, options.text("columns"), told, hint, reference)
    metric = Metric(
        name=metric_column(file, written, options.text("metric")),
        direction="min" if options.one_of("direction", ("max", "min"), None) == "min" else "max",
        unit=options.text("unit") or "",
    )
    caps = [name for name, _ in constraints.caps if name != LATENCY]
    return plain_table(file, written, metric, caps)


def _told_space(text: str | None, reference: _Reference) -> SearchSpace | None:
    """Returns the space of the option `space`, in which `|` stands for the commas."""
    if text is None:
        return None
    ref = text.replace("|", ",")
    ref = absolute_ref(ref) if is_user_object(ref) else ref
    reference.options["space"] = ref.replace(",", "|")
    return load_space(ref)


def _read(
    file: RowFile,
    columns: str | None,
    told: SearchSpace | None,
    hint: SearchSpace | None,
    reference: _Reference,
) -> Written:
    named = [name for name in re.split("[;|]", columns or "") if name]
    own = ",".join(
        [f"table:{file.path}", *([f"columns={columns}"] if columns else [])]
    )  # the space of a file does not depend on what is asked of the file besides
    hint = None if told is not None or hint is None else _whole(hint)
    if hint is not None and hint.ref == own:
        hint = None
    written = read_architectures(
        file,
        columns=named,
        space=None if told is None else _whole(told),
        hint=hint,
        ref=own,
    )
    if hint is not None and written.space is hint:
        reference.options["space"] = hint.ref.replace(",", "|")
        reference.is_whole = bool(hint.ref)
    return written


def _whole(space: SearchSpace) -> SearchSpace:
    """Returns the space that a pool is of: what is recorded decides who is a member."""
    return space.space if isinstance(space, Pool) else space


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
