"""What a trial costs beside its evaluation and the chairs: at trial 100 and at trial 5,000.

    python -m vitruvius.evals.bench_overhead [--trials 5000]

Drives one real run (SQLite ledger, checkpoints, index) on a table that answers at once and prints
medians and their ratio. Between the two windows a cheap architect proposes at random; inside them
the analyst works, and its time is taken out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import vitruvius as vt
from vitruvius.agents.analyst.analyst import Analyst
from vitruvius.agents.chairs.view import Proposal, Rewrite, RunView
from vitruvius.evals.synthetic import SyntheticTask, create_space
from vitruvius.events import Event, EventKind
from vitruvius.tools.calls.train import Train

WINDOW = 50  # trials around each point


class Clock:
    """Wall time of each trial, and how much of it the chairs took."""

    def __init__(self, points: list[int]) -> None:
        self.points = points
        self.done: list[float] = [time.perf_counter()]
        self.chairs: list[float] = [0.0]
        self.in_chairs = 0.0

    def listen(self, event: Event) -> None:
        if event.kind == EventKind.TRIAL_DONE:
            self.done.append(time.perf_counter())
            self.chairs.append(self.in_chairs)

    @property
    def in_window(self) -> bool:
        return any(abs(len(self.done) - 1 - point) <= WINDOW // 2 for point in self.points)

    def overhead_ms(self, point: int) -> list[float]:
        """Returns milliseconds of each trial of the window, chairs taken out."""
        first, last = point - WINDOW // 2, point + WINDOW // 2
        return [
            1000 * (self.done[i] - self.done[i - 1] - self.chairs[i] + self.chairs[i - 1])
            for i in range(first, min(last, len(self.done)))
        ]


def timed_chairs(clock: Clock) -> None:
    """Makes the analyst's time known to the clock, and cheap outside the windows."""
    decide, rewrite = Analyst.decide, Analyst.rewrite

    async def timed_decide(self: Analyst, view: RunView) -> Proposal:
        started = time.perf_counter()
        proposal = await decide(self, view) if clock.in_window else _random(view)
        clock.in_chairs += time.perf_counter() - started
        return proposal

    async def timed_rewrite(self: Analyst, view: RunView) -> Rewrite:
        started = time.perf_counter()
        idle = Rewrite(edits=(), author="random")
        # one rewrite at the start: without principles later steps would have nothing to verify
        made = await rewrite(self, view) if clock.in_window or not view.principles else idle
        clock.in_chairs += time.perf_counter() - started
        return made

    setattr(Analyst, "decide", timed_decide)  # noqa: B010 - a method, put back by nobody
    setattr(Analyst, "rewrite", timed_rewrite)  # noqa: B010


def _random(view: RunView) -> Proposal:
    architecture = view.region.sample(np.random.default_rng(view.seed))
    return Proposal(decision=Train(architectures=[architecture.spec]), author="random")


def measure(trials: int, home: Path) -> dict[str, Any]:
    """Runs the bench in `home` and returns its figures."""
    points = [100, trials]
    clock = Clock(points)
    timed_chairs(clock)
    run = vt.search(
        SyntheticTask(),
        create_space(),
        f"{trials + WINDOW // 2} trials",
        home=home,
        workers=1,
        model="analyst",
        on_event=clock.listen,
    )
    medians = [statistics.median(clock.overhead_ms(point)) for point in points]
    files = [path for path in home.rglob("*") if path.is_file()]
    return {
        "run": run.id,
        "points": points,
        "median_ms": [round(median, 2) for median in medians],
        "mean_ms": [round(statistics.mean(clock.overhead_ms(point)), 2) for point in points],
        "ratio": round(medians[1] / medians[0], 2),
        "checkpoints_mib": round(_mib(home / "checkpoints.db"), 2),
        "ledger_mib": round(_mib(home / "ledger.db"), 2),
        "files": len(files),
        "total_s": round(clock.done[-1] - clock.done[0], 1),
    }


def _mib(path: Path) -> float:
    return sum(f.stat().st_size for f in path.parent.glob(f"{path.name}*")) / 2**20


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--trials", type=int, default=5000, help="the later point")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(arguments.trials, Path(folder)), indent=1))


if __name__ == "__main__":
    main()
