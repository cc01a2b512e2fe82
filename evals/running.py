"""Jobs in parallel processes, resumed where they were, with an estimate before the start."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import (
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from dataclasses import dataclass
from statistics import median

from threadpoolctl import threadpool_limits

from vitruvius.evals.cases import Case
from vitruvius.evals.jobs import Job, run_job
from vitruvius.evals.outcomes import Outcome
from vitruvius.evals.store import Store

SAY_EVERY_S = 20.0

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A job that raised, and what."""

    job: Job
    reason: str


def missing(jobs: Sequence[Job], store: Store) -> list[Job]:
    """Returns the jobs without a raw result, each once."""
    left = []
    for (case, arm), group in _grouped(dict.fromkeys(jobs)).items():
        done = store.read(case, arm)
        left += [job for job in group if job.seed not in done]
    return left


def run_all(jobs: Sequence[Job], store: Store, processes: int, say: Say) -> list[Failure]:
    """Runs what is missing and stores every result as it comes; returns what failed.

    One job of each arm on each case goes first: their times make the estimate.
    """
    store.mend({(job.case, job.arm): None for job in jobs})
    left = missing(jobs, store)
    if not left:
        return []
    groups = _grouped(left)
    first = [group[0] for group in groups.values()]
    rest = [job for group in groups.values() for job in group[1:]]
    with _pool(processes) as pool:
        try:
            say(f"{len(left):,} searches to make; the first {len(first):,} are timed")
            failed = _run(pool, first, store, say)
            say(estimate(rest, store, processes))
            return failed + _run(pool, rest, store, say)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def estimate(jobs: Sequence[Job], store: Store, processes: int) -> str:
    """Returns how long the jobs will take, from what is stored, the slowest arms named."""
    by_arm: dict[str, float] = defaultdict(float)
    for (case, arm), group in _grouped(jobs).items():
        done = [outcome.wall_s for outcome in store.read(case, arm).values()]
        by_arm[arm] += len(group) * (median(done) if done else 0.0)
    total = sum(by_arm.values())
    slowest = sorted(by_arm, key=lambda arm: -by_arm[arm])[:5]
    shares = ", ".join(f"{arm} {by_arm[arm] / 60:.1f}" for arm in slowest)
    return (
        f"{len(jobs):,} searches are left: about {total / processes / 60:.1f} min on {processes} "
        f"processes (minutes of computing: {shares})"
    )


def _pool(processes: int) -> Executor:
    """Returns workers; for one process that is this one."""
    if processes == 1:
        return ThreadPoolExecutor(max_workers=1)
    spawn = multiprocessing.get_context("spawn")  # the same on every platform
    return ProcessPoolExecutor(max_workers=processes, mp_context=spawn, initializer=_prepare)


def _run(pool: Executor, jobs: Sequence[Job], store: Store, say: Say) -> list[Failure]:
    futures: dict[Future[Outcome], Job] = {pool.submit(run_job, job): job for job in jobs}
    failed: list[Failure] = []
    said = started = time.monotonic()
    for done, future in enumerate(as_completed(futures), start=1):
        job = futures.pop(future)
        error = future.exception()
        if error is None:
            store.append(job.case, job.arm, future.result())
        else:
            failed.append(Failure(job=job, reason=f"{type(error).__name__}: {error}"))
        if time.monotonic() - said > SAY_EVERY_S:
            said = time.monotonic()
            left = (said - started) / done * (len(jobs) - done)
            say(f"{done:,} of {len(jobs):,}, about {left / 60:.1f} min left")
    return failed


def _grouped(jobs: Iterable[Job]) -> dict[tuple[Case, str], list[Job]]:
    groups: dict[tuple[Case, str], list[Job]] = defaultdict(list)
    for job in jobs:
        groups[job.case, job.arm].append(job)
    return groups


def _prepare() -> None:
    """Keeps a worker to one thread, and ends it when its parent is gone."""
    threadpool_limits(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)
