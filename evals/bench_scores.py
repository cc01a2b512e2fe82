"""How much faster two workers score a batch of architectures than one, on two cores.

    python -m vitruvius.evals.bench_scores [--architectures 16] [--repeats 3]

Each repeat asks the proxies that the analyst asks of the same cells, with one warm worker and with
two, in turn and back; every worker has one thread. Printed are wall seconds and their median ratio.
Other load on the machine lowers it.
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

import numpy as np

from vitruvius.spaces.registry import load_space
from vitruvius.tasks.registry import load_task
from vitruvius.tools.proxies import proxies_for
from vitruvius.tools.training.evaluation import Failed, Question
from vitruvius.tools.training.evaluator import create_evaluator


async def wall_s(space_ref: str, task_ref: str, workers: int, count: int) -> float:
    """Returns the wall seconds of the questions on so many warm workers."""
    space, task = load_space(space_ref), load_task(task_ref)
    rng, proxies = np.random.default_rng(0), tuple(proxies_for(space, task))
    asked = [
        Question(architecture=space.sample(rng), proxies=proxies, seed=0) for _ in range(count)
    ]
    with tempfile.TemporaryDirectory() as folder:
        evaluator = create_evaluator(task, space, run_dir=Path(folder), workers=workers)
        try:
            await asyncio.gather(*map(evaluator.score, asked[:1] * workers))  # warms every worker
            started = time.perf_counter()
            answers = await asyncio.gather(*map(evaluator.score, asked))
            seconds = time.perf_counter() - started
        finally:
            await evaluator.aclose()
    failed = [answer for answer in answers if isinstance(answer, Failed)]
    if failed:
        raise RuntimeError(f"{len(failed)} questions failed, the first: {failed[0]}")
    return seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints one line of JSON: the seconds of every repeat and the median ratio."""
    parser = argparse.ArgumentParser(prog="bench_scores", description=__doc__)
    parser.add_argument("--space", default="recurrent")
    parser.add_argument("--task", default="topics")
    parser.add_argument("--architectures", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args(arguments)
    load_before, rows = os.getloadavg()[0], []
    for repeat in range(given.repeats):
        # other load comes and goes: neither is always the first
        order = (1, 2) if repeat % 2 == 0 else (2, 1)
        rows.append(
            {n: asyncio.run(wall_s(given.space, given.task, n, given.architectures)) for n in order}
        )
    ratio = statistics.median(row[1] / row[2] for row in rows)
    print(json.dumps({"rows_s": rows, "ratio": round(ratio, 2), "load": load_before}))


if __name__ == "__main__":
    main()
