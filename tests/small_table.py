"""A table of 256 architectures in a CSV file, for quick evaluations."""

from pathlib import Path

import numpy as np

from vitruvius.evals.cases import Case, SourceSpec, TableSpec

SLOTS, CHOICES = ("first", "second", "third", "fourth"), ("a", "b", "c", "d")


def write_tables(folder: Path) -> None:
    """Writes two related tasks, `near.csv` and `far.csv`, with accuracy, test and FLOPs."""
    rng = np.random.default_rng(0)
    effects = rng.normal(size=(4, 4))
    grid = np.stack(np.meshgrid(*[range(4)] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    for name, noise in (("near", 0.0), ("far", 0.3)):
        shaken = effects + noise * rng.normal(size=(4, 4))
        pairs = 0.3 * rng.normal(size=(len(grid),))
        scores = shaken[range(4), grid].sum(axis=1) + pairs
        lines = [",".join((*SLOTS, "accuracy", "accuracy_test", "flops", "latency_ms"))]
        for row, score in zip(grid, scores, strict=True):
            cells = [CHOICES[choice] for choice in row]
            told = [f"{score:.6f}", f"{score - 0.1:.6f}", str(row.sum()), str(1 + row[0])]
            lines.append(",".join([*cells, *told]))
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")


def table(name: str = "near", options: str = "metric=accuracy") -> TableSpec:
    columns = ";".join(SLOTS)
    return TableSpec(
        space=f"table:{{data}}/{name}.csv,columns={columns}",
        file=f"{name}.csv",
        options=f"{options},columns={columns}",
        label=name,
    )


def told(kind: str = "random", count: int = 40, queries: int = 12) -> Case:
    source = SourceSpec(table=table("far"), kind=kind, count=count)  # type: ignore[arg-type]
    return Case(target=table(), queries=queries, sources=(source,))
