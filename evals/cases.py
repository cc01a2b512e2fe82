"""Cases: what one search is given, as plain data that travels to other processes.

A case names a target table, where its sources come from, and the budget. `build` makes the truth
and the sources of one seed: they are separate objects, made from separate tables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from vitruvius.errors import ConfigError
from vitruvius.evals import table_sources
from vitruvius.evals.disguise import Disguise, disguised_truth
from vitruvius.evals.oracle import Truth
from vitruvius.evals.wrong_cuts import wrong_rule
from vitruvius.memory.transfer.source_hints import Source
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.rules import Rule
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.table import TabularTask

SourceKind = Literal["random", "top", "whole"]
Twist = Literal["inverted", "shuffled", "top_reversed"]


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """A task of a table: the space and the reference, `{data}` for the folder of the data."""

    space: str
    file: str
    options: str  # metric=c10,noise=true
    label: str = ""  # instead of the options, in names

    @property
    def name(self) -> str:
        """The task's name, with whatever else is set: `c10`, `c10 noise=true`."""
        if self.label:
            return self.label
        words = self.options.removeprefix("metric=").replace("{data}/", "").replace(",", " ")
        return re.sub(r"000000\b", "M", words)


@dataclass(frozen=True, kw_only=True)
class SourceSpec:
    """One source: of which table, which of its architectures, told truly or twisted.

    `random` takes `count` draws of the space's sampler, `top` the best `count` of the table,
    `whole` all. `best` keeps the best few of them only.
    """

    table: TableSpec
    kind: SourceKind = "random"
    count: int = 0
    best: int | None = None
    twist: Twist | None = None

    @property
    def name(self) -> str:
        """What is told, in words: `20 best of 200 random in16, inverted`."""
        told = {"random": f"{self.count} random", "top": f"top {self.count}", "whole": "whole"}
        first = f"{self.best} best of " if self.best else ""
        last = f", {self.twist.replace('_', ' ')}" if self.twist else ""
        return f"{first}{told[self.kind]} {self.table.name}{last}"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of a protocol. `queries` count full trainings."""

    target: TableSpec
    queries: int
    sources: tuple[SourceSpec, ...] = ()
    variant: Literal["", "inverted", "half"] = ""  # of the target
    wrong_cuts: bool = False
    stop_at_hit: bool = False  # for measures that end with the hit: what follows costs time only
    disguise: Disguise = ""  # of the space's labels
    trade_off: str = ""  # a cost that is to be low too: hypervolume is measured
    cheap_epochs: int | None = None  # a short training that may be bought too
    is_cheap_shuffled: bool = False

    @property
    def name(self) -> str:
        """What is searched and what is known, in words: the case's key."""
        target = [self.target.name]
        target += [self.variant] if self.variant else []
        target += [f"labels {self.disguise}"] if self.disguise else []
        target += ["wrong cut"] if self.wrong_cuts else []
        if self.cheap_epochs is not None:
            shuffled = " shuffled" if self.is_cheap_shuffled else ""
            target.append(f"{self.cheap_epochs} epochs{shuffled} too")
        told = " and ".join(source.name for source in self.sources)
        return f"{', '.join(target)}" + (f" from {told}" if told else "")

    @property
    def key(self) -> str:
        """The name and the budget: what raw results are kept under."""
        return f"{self.name}, {self.queries} queries" + (" at most" if self.stop_at_hit else "")

    def blind(self) -> Case:
        """Returns the case of an arm that listens to nothing told: it is run once for many."""
        return replace(self, sources=(), wrong_cuts=False, stop_at_hit=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class Built:
    """A case and a seed made real."""

    truth: Truth
    sources: tuple[Source, ...] = field(default=())
    cuts: tuple[Rule, ...] = ()


def build(case: Case, data: Path, seed: int) -> Built:
    """Returns the truth and the sources of one seed; a pure function of its arguments.

    Raises:
        ConfigError: if a table is not there, or is no table.
    """
    truth = _varied(case, data, seed)
    # one stream for all sources of a case: two of the same kind are other draws
    rng = np.random.default_rng([seed, *b"source"])
    told = tuple(_source(spec, data, rng) for spec in case.sources)
    cuts = (wrong_rule(truth, seed),) if case.wrong_cuts else ()
    return Built(truth=truth, sources=told, cuts=cuts)


@lru_cache(maxsize=16)
def load_table(spec: TableSpec, data: Path) -> tuple[SearchSpace, TabularTask]:
    """Returns the space and the task of a table.

    Raises:
        ConfigError: if the reference is no table.
    """
    options = spec.options.replace("{data}", str(data))
    ref = f"table:{data / spec.file}" + (f",{options}" if options else "")
    task = load_task(ref)
    if not isinstance(task, TabularTask):
        raise ConfigError(f"expected a table with known best rows, got {task.ref!r}")
    return load_space(spec.space.replace("{data}", str(data))), task


@lru_cache(maxsize=16)
def truth_of(spec: TableSpec, data: Path) -> Truth:
    """Returns the truth of a table."""
    return Truth.of(*load_table(spec, data))


@lru_cache(maxsize=4)
def _inverted(spec: TableSpec, data: Path) -> Truth:
    return truth_of(spec, data).inverted()


@lru_cache(maxsize=4)
def _half(spec: TableSpec, data: Path, seed: int) -> Truth:
    return truth_of(spec, data).halved(seed)


@lru_cache(maxsize=4)
def _cheap(spec: TableSpec, data: Path, epochs: int, is_shuffled: bool) -> Truth:
    truth = truth_of(spec, data)
    return truth.with_cheap(epochs, np.random.default_rng(0) if is_shuffled else None)


@lru_cache(maxsize=4)
def _disguised(spec: TableSpec, data: Path, disguise: Disguise) -> Truth:
    return disguised_truth(truth_of(spec, data), disguise)


def _varied(case: Case, data: Path, seed: int) -> Truth:
    if case.disguise:
        return _disguised(case.target, data, case.disguise)
    if case.cheap_epochs is not None:
        return _cheap(case.target, data, case.cheap_epochs, case.is_cheap_shuffled)
    if case.variant == "inverted":
        return _inverted(case.target, data)
    if case.variant == "half":
        return _half(case.target, data, seed)
    return truth_of(case.target, data)


def _source(spec: SourceSpec, data: Path, rng: np.random.Generator) -> Source:
    space, task = load_table(spec.table, data)
    if spec.kind == "random":
        source = table_sources.random_source(space, task, spec.count, rng)
    else:
        source = _whole(spec.table, data)
        if spec.kind == "top":
            source = table_sources.best_of(source, spec.count)
    if spec.best is not None:
        source = table_sources.best_of(source, spec.best)
    if spec.twist == "inverted":
        return table_sources.inverted(source)
    if spec.twist == "shuffled":
        return table_sources.shuffled(source, rng)
    if spec.twist == "top_reversed":
        return table_sources.top_reversed(source)
    return source


@lru_cache(maxsize=8)
def _whole(spec: TableSpec, data: Path) -> Source:
    return table_sources.whole_source(*load_table(spec, data))
