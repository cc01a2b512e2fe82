"""A small benchmark of our own, its faults mended.

`python -m vitruvius.evals.studies.own_benchmark`

Published benchmarks never trained the recurrent weights of their cells, and gave every transformer
the same operation. Here the same random cells are trained twice on a built-in text, their recurrent
weights trained and frozen, and random transformers whose operations are real, on its characters;
every score is that of the network which is trained, with the weights that its training begins with.

Each arm is a table of its own, `FOLDER/ARM.csv`, one row a training, with all scores as columns;
`docs/tables.md` says how a search reads it. An empty cell: the score does not apply to the network.
`nan`: the score is degenerate, or, of the loss, the training diverged or took too long. The seconds
are CPU time of one thread. A run that was cut off goes on where it was.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from vitruvius.evals.studies.own_claims import report
from vitruvius.memory.records import DEGENERATE
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Architecture, Builder, SearchSpace
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import TrainableTask
from vitruvius.tools.passes.scoring import score
from vitruvius.tools.proxies import computable
from vitruvius.tools.training.metrics import TrainingStopped
from vitruvius.tools.training.tensors import Data
from vitruvius.tools.training.trainer import train

ARCHITECTURES = 64
REPEATS = 8  # of them trained from a second seed too, which tells how noisy the loss is
LIMIT_S = 60.0  # of a training, by the clock
FACTS = ("arch", "cross_entropy", "cross_entropy_test", "seed", "epochs", "train_s", "status")
DONE = "done"

Row = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """Networks of one space, trained on one task."""

    name: str
    space_ref: str
    task_ref: str

    @cached_property
    def space(self) -> SearchSpace:
        return load_space(self.space_ref)

    @cached_property
    def task(self) -> TrainableTask:
        task = load_task(self.task_ref)
        assert isinstance(task, TrainableTask)
        return task

    @cached_property
    def data(self) -> Data:
        return Data.of(self.task.load(), torch.device("cpu"))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return (*FACTS, *computable(self.space, self.task))


CHARACTERS = "topics:unit=char,lr=0.005"
ARMS = {
    arm.name: arm
    for arm in (
        Arm(name="recurrent_trained", space_ref="recurrent", task_ref="topics"),
        Arm(
            name="recurrent_frozen",
            space_ref="recurrent:recurrent_weights=frozen",
            task_ref="topics",
        ),
        # Of masked characters most transformers learn no more than how frequent each is.
        Arm(name="transformer_causal", space_ref="flexibert:causal=yes", task_ref=CHARACTERS),
        Arm(name="transformer_masked", space_ref="flexibert", task_ref="masked:topics"),
    )
}
USUAL = ("recurrent_trained", "recurrent_frozen", "transformer_causal")


def drawn(space: SearchSpace, number: int) -> list[Architecture]:
    """Returns different architectures by the space's own sampler; fewer are the first of more."""
    rng = np.random.default_rng(0)
    found: dict[Architecture, None] = {}
    while len(found) < number:
        found.setdefault(space.sample(rng))
    return list(found)


def jobs(
    arms: Sequence[Arm], architectures: int, repeats: int
) -> Iterator[tuple[Arm, Architecture, int]]:
    """Yields what is to be trained from which seed, every arm in turn; the repeats come last."""
    by_arm = [(arm, drawn(arm.space, architectures)) for arm in arms]
    for seed, number in enumerate((architectures, min(repeats, architectures))):
        for place in range(number):
            for arm, members in by_arm:
                yield arm, members[place], seed


def measured(arm: Arm, architecture: Architecture, seed: int, limit_s: float) -> Row:
    """Returns the row of one training, its network scored before it."""
    row = {"arch": architecture.text, "seed": str(seed), "epochs": str(arm.task.fidelity.epochs)}
    names = computable(arm.space, arm.task)
    for found in score(arm.space, arm.task, [architecture], names, seed):
        value = math.nan if found.note.startswith(DEGENERATE) else found.value
        row[found.proxy] = "" if value is None else repr(value)
    space, task = arm.space, arm.task
    assert isinstance(space, Builder)
    data = arm.data
    torch.manual_seed(seed)
    spent = time.process_time()
    try:
        course = train(
            space.build(architecture, task.signature),
            data,
            task.recipe,
            epochs=task.fidelity.epochs,
            seed=seed,
            metric=task.metric,
            deadline=time.monotonic() + limit_s,
        )
    except TrainingStopped as stop:
        value, test, status = math.nan, math.nan, str(stop.kind)
    else:
        value, test, status = course.value, course.test, DONE
    seconds = round(time.process_time() - spent, 3)
    facts = {"cross_entropy": value, "cross_entropy_test": test, "train_s": seconds}
    return {**row, **{name: repr(each) for name, each in facts.items()}, "status": status}


def read_rows(path: Path) -> list[Row]:
    """Returns the rows of a table; what a kill left of a last one is cut off the file."""
    if not path.is_file():
        return []
    whole = path.read_bytes()
    kept = whole[: whole.rfind(b"\n") + 1]
    if kept != whole:
        path.write_bytes(kept)
    return list(csv.DictReader(io.StringIO(kept.decode())))


def fill_in(
    folder: Path,
    arms: Sequence[Arm],
    *,
    architectures: int = ARCHITECTURES,
    repeats: int = REPEATS,
    limit_s: float = LIMIT_S,
) -> None:
    """Trains what the tables of a folder lack, and appends a row for each."""
    folder.mkdir(parents=True, exist_ok=True)
    known = {
        arm.name: {(row["arch"], row["seed"]) for row in read_rows(folder / f"{arm.name}.csv")}
        for arm in arms
    }
    for arm, architecture, seed in jobs(arms, architectures, repeats):
        if (architecture.text, str(seed)) in known[arm.name]:
            continue
        row = measured(arm, architecture, seed, limit_s)
        path = folder / f"{arm.name}.csv"
        is_new = not path.is_file() or not path.stat().st_size
        text = io.StringIO()
        writer = csv.DictWriter(text, arm.columns, lineterminator="\n", restval="")
        if is_new:
            writer.writeheader()
        writer.writerow(row)
        with path.open("a", encoding="utf-8") as file:
            file.write(text.getvalue())


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains what is missing and prints which claims survive."""
    parser = argparse.ArgumentParser(prog="own_benchmark", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--arm", action="append", choices=tuple(ARMS), help="may be repeated")
    parser.add_argument("--architectures", type=int, default=ARCHITECTURES, help="of each arm")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="trained twice")
    parser.add_argument("--limit-s", type=float, default=LIMIT_S, help="seconds of a training")
    parser.add_argument("--only-report", action="store_true", help="train nothing")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    names = given.arm or USUAL
    if not given.only_report:
        fill_in(
            given.out,
            [ARMS[name] for name in names],
            architectures=given.architectures,
            repeats=given.repeats,
            limit_s=given.limit_s,
        )
    print(report({name: read_rows(given.out / f"{name}.csv") for name in names}))


if __name__ == "__main__":
    main()
