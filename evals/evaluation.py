"""Protocols from start to page."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vitruvius.evals.arms.registry import find_arm
from vitruvius.evals.jobs import Job, Say, jobs_of, run_all
from vitruvius.evals.outcomes import Store
from vitruvius.evals.page import write_page
from vitruvius.evals.protocols import Protocol, all_protocols
from vitruvius.settings import load_settings

PACKAGES = ("vitruvius", "numpy", "scipy", "optuna")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be evaluated, and where."""

    protocols: Sequence[Protocol]
    data: Path
    out: Path
    seeds: int | None = None  # instead of each protocol's own number
    first_seed: int = 0
    processes: int = 1
    arms: Sequence[str] = ()  # only these
    page_only: bool = False


@dataclass(frozen=True, kw_only=True)
class FailedSearch:
    """A search that raised, and what."""

    case: str
    arm: str
    seed: int
    reason: str


def perform(wanted: Wanted, say: Say) -> tuple[Path, list[FailedSearch]]:
    """Runs what is missing and writes the page; returns its path and what failed.

    Raises:
        ConfigError: if an arm is unknown.
    """
    protocols = [_narrowed(protocol, wanted) for protocol in wanted.protocols]
    store = Store(wanted.out)
    failed: list[FailedSearch] = []
    if not wanted.page_only:
        _sign(wanted)
        jobs = all_jobs(_runnable(protocols, wanted, say), wanted)
        for failure in run_all(jobs, store, wanted.processes, say):
            job = failure.job
            failed.append(
                FailedSearch(case=job.case.key, arm=job.arm, seed=job.seed, reason=failure.reason)
            )
        for group in {(each.case, each.arm, each.reason) for each in failed}:
            say("failed: " + ", ".join(group))
    return write_page(protocols, store), failed


def all_jobs(protocols: Sequence[Protocol], wanted: Wanted) -> list[Job]:
    """Returns every job of the protocols, each once."""
    found: dict[Job, None] = {}  # protocols share cases and controls
    for protocol in protocols:
        seeds = range(wanted.first_seed, wanted.first_seed + (wanted.seeds or protocol.seeds))
        arms = [find_arm(name) for name in protocol.arms]
        for case in protocol.cases:
            found |= dict.fromkeys(jobs_of(case, arms, seeds, wanted.data))
    return list(found)


def _narrowed(protocol: Protocol, wanted: Wanted) -> Protocol:
    """Returns the protocol with the arms that are wanted; one of no protocol may be named too."""
    in_some = {name for each in all_protocols().values() for name in each.arms}
    for name in wanted.arms:
        find_arm(name)
    arms = [a for a in protocol.arms if not wanted.arms or a in wanted.arms]
    arms += [name for name in wanted.arms if name not in in_some]
    return replace(protocol, arms=tuple(arms))


def _runnable(protocols: Sequence[Protocol], wanted: Wanted, say: Say) -> list[Protocol]:
    """Returns the protocols without arms that need a model, where the settings name none.

    `auto` names none: it might find an endpoint that costs money. An arm asked for by name stays.
    """
    if load_settings().model not in ("auto", "analyst"):
        return list(protocols)
    listed = {name for protocol in protocols for name in protocol.arms}
    left = [name for name in listed - set(wanted.arms) if find_arm(name).needs_model]
    if left:
        say(f"left out: {', '.join(sorted(left))}: they need a model; name one in VITRUVIUS_MODEL")
    return [
        replace(protocol, arms=tuple(name for name in protocol.arms if name not in left))
        for protocol in protocols
    ]


def _sign(wanted: Wanted) -> None:
    """Adds a line to `about.jsonl`: when, with which versions, which seeds."""
    wanted.out.mkdir(parents=True, exist_ok=True)
    line = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "protocols": [protocol.name for protocol in wanted.protocols],
        "arms": list(wanted.arms),
        "seeds": wanted.seeds,
        "first_seed": wanted.first_seed,
        "python": platform.python_version(),
        "platform": sys.platform,
        "packages": {name: _version(name) for name in PACKAGES},
    }
    with (wanted.out / "about.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
