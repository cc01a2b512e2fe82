"""How much faster two workers train than one, on two cores.

    python -m vitruvius.evals.bench_workers [--trainings 8] [--repeats 3]

Each repeat trains the same cell of the default job, on other seeds, with two warm workers of one
thread, with one such worker, and with one worker that has all cores, in turn and back. Printed
are wall seconds and ratios; the claim is a median ratio of at least 1.7 of one worker to two, each
of one thread. Other load on the machine lowers it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from vitruvius.spaces.registry import load_space
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import TrainableTask
from vitruvius.tools.training.evaluation import Request, Trained
from vitruvius.tools.training.evaluator import create_evaluator

GOAL = 1.7
CORES = os.cpu_count() or 1
SETTINGS: dict[str, tuple[int, int]] = {  # workers, threads of each
    "one": (1, 1),
    "two": (2, 1),
    "one_wide": (1, CORES),
}


def requests(task: TrainableTask, trainings: int) -> list[Request]:
    """Returns requests for one cell: every training costs the same."""
    space = load_space("nb201")
    architecture = space.parse(
        dict.fromkeys((slot.name for slot in space.slots), "nor_conv_3x3")
        | {"edge_0_3": "skip_connect", "edge_1_2": "nor_conv_1x1"}
    )
    return [
        Request(result_id=i, architecture=architecture, fidelity=task.fidelity, seed=i)
        for i in range(trainings)
    ]


async def wall_s(workers: int, threads: int, trainings: int) -> float:
    """Returns the wall seconds of the trainings on so many warm workers."""
    task, space = load_task("mnist1d"), load_space("nb201")
    assert isinstance(task, TrainableTask)
    todo = requests(task, trainings + workers)
    with tempfile.TemporaryDirectory() as folder:
        evaluator = create_evaluator(
            task, space, run_dir=Path(folder), workers=workers, threads=threads
        )
        try:
            await asyncio.gather(*map(evaluator.evaluate, todo[:workers]))  # warms every worker
            started = time.perf_counter()
            outcomes = await asyncio.gather(*map(evaluator.evaluate, todo[workers:]))
            seconds = time.perf_counter() - started
        finally:
            await evaluator.aclose()
    failed = [outcome for outcome in outcomes if not isinstance(outcome, Trained)]
    if failed:
        raise RuntimeError(f"{len(failed)} trainings failed, the first: {failed[0]}")
    return seconds


def bench(trainings: int, repeats: int) -> list[dict[str, float]]:
    """Returns the wall seconds of every setting, once a repeat."""
    rows = []
    for repeat in range(repeats):
        # other load comes and goes: no setting is always the first
        order = list(SETTINGS) if repeat % 2 == 0 else list(reversed(SETTINGS))
        rows.append({name: asyncio.run(wall_s(*SETTINGS[name], trainings)) for name in order})
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the seconds of every repeat, the median ratios and whether the goal is reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trainings", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    load_before = os.getloadavg()[0]
    rows = bench(options.trainings, options.repeats)
    ratio, wide = (
        statistics.median(row[name] / row["two"] for row in rows) for name in ("one", "one_wide")
    )
    if options.json:
        print(json.dumps({"rows_s": rows, "ratio": ratio, "ratio_wide": wide, "load": load_before}))
        return
    for row in rows:
        print("   ".join(f"{name} {row[name]:.1f} s" for name in SETTINGS))
    print(
        f"median ratio {ratio:.2f} over {len(rows)} repeats of {options.trainings} trainings, goal "
        f"{GOAL} {'reached' if ratio >= GOAL else 'missed'}; against one worker on all cores "
        f"{wide:.2f}; {CORES} cores, load before {load_before:.1f}"
    )


if __name__ == "__main__":
    main()
