"""Protocols: which cases, which arms, how many seeds, and what is read off."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Literal

from vitruvius.errors import ConfigError
from vitruvius.evals.cases import Case, SourceKind, SourceSpec, TableSpec, Twist
from vitruvius.evals.disguise import Disguise

Reading = Literal["queries", "rank", "lapt", "labels", "hypervolume"]

SEEDS = 200
QUERIES = 100
NB201 = ("c10", "c100", "in16")
TRANSNAS = ("class_scene", "class_object", "room_layout", "jigsaw", "autoencoder")
DEVICES = ("pixel2", "raspi4", "1080ti_1")
# Another data set of the benchmark as the source: what LAPT takes, and for its source the easiest.
PAIRS = (("in16", "c10"), ("in16", "c100"), ("c10", "in16"))

PARTS_OUT = (
    "no principles",
    "frozen principles",
    "unverified",
    "no exploration",
    "no cuts",
    "no costs",
    "frequency theorist",
)
CHAIRS = ("model in both chairs", "model as theorist", "model as architect")
BLIND = ("cold", "random", "evolution", "local", "tpe", "gp-ei", "flops")
CONTROLS = (
    "majority",
    "frequency-2 random",
    "frequency-2 evolution",
    "frequency-3 evolution",
    "replay",
    "gp-transfer",
)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Cases x arms x seeds. `control` is the arm that ratios are taken to."""

    name: str
    about: str
    cases: tuple[Case, ...]
    arms: tuple[str, ...]
    seeds: int = SEEDS
    reading: Reading = "queries"
    control: str = "cold"


def nb201(metric: str, options: str = "") -> TableSpec:
    """Returns the NAS-Bench-201 table of a data set."""
    return TableSpec(
        space="nb201", file="nas_bench_201.parquet", options=f"metric={metric}{options}"
    )


def transnas(task: str) -> TableSpec:
    """Returns the TransNAS-Bench-101 micro table of a task."""
    return TableSpec(
        space="transnas", file="transnas_bench_101_micro.parquet", options=f"metric={task}"
    )


def _told(
    pair: tuple[str, str],
    kind: SourceKind,
    count: int = 0,
    best: int | None = None,
    twist: Twist | None = None,
) -> Case:
    """Returns the case of one source on NAS-Bench-201, watched until its hit."""
    source = SourceSpec(table=nb201(pair[0]), kind=kind, count=count, best=best, twist=twist)
    return Case(target=nb201(pair[1]), queries=QUERIES, sources=(source,), stop_at_hit=True)


def _cold() -> Protocol:
    plain = [Case(target=nb201(metric), queries=QUERIES) for metric in NB201]
    return Protocol(
        name="cold",
        about="nothing known beforehand; single recorded runs and inverted scores among the cases",
        cases=(
            *plain,
            replace(plain[0], variant="inverted"),
            Case(target=nb201("c10", ",noise=true"), queries=QUERIES),
        ),
        arms=(*BLIND, "optuna-gp"),
    )


def _source_sizes() -> Protocol:
    sizes = (20, 50, 100, 200)
    return Protocol(
        name="source_sizes",
        about="a source of 20 to 200 random scored cells",
        cases=tuple(_told(pair, "random", size) for pair in PAIRS for size in sizes),
        arms=("transfer", "cold", *CONTROLS),
    )


def _best_only() -> Protocol:
    return Protocol(
        name="best_only",
        about="only the best 5, 10 or 20 of 200 random scored cells are told",
        cases=tuple(_told(pair, "random", 200, best) for pair in PAIRS for best in (5, 10, 20)),
        arms=("transfer", "cold", *CONTROLS),
    )


def _strong_source() -> Protocol:
    return Protocol(
        name="strong_source",
        about="the whole table of another data set: a sanity check; every arm on 100 random halves",
        cases=tuple(
            replace(_told(pair, "whole"), variant=variant)
            for variant in ("half", "")
            for pair in PAIRS
        ),
        arms=("transfer", "cold", "random", "flops", *CONTROLS),
        seeds=100,
    )


def _misleading() -> Protocol:
    twists: tuple[Twist, ...] = ("inverted", "shuffled", "top_reversed")
    kinds: tuple[tuple[SourceKind, int], ...] = (("random", 200), ("whole", 0))
    return Protocol(
        name="misleading",
        about="sources of 200 random cells and whole tables that lie: inverted, shuffled, best "
        "tenth reversed",
        cases=tuple(
            _told(pair, kind, count, twist=twist)
            for kind, count in kinds
            for pair in PAIRS
            for twist in twists
        ),
        arms=("transfer", "cold", "replay", "gp-transfer", "frequency-2 evolution"),
    )


def _wrong_cuts() -> Protocol:
    return Protocol(
        name="wrong_cuts",
        about="a first cut that removes every one of the best 0.1 %; three kinds by seed",
        cases=tuple(
            Case(target=nb201(metric), queries=QUERIES, wrong_cuts=True, stop_at_hit=True)
            for metric in NB201
        ),
        arms=("wrong start", "cold"),
    )


def _several() -> Protocol:
    cases = []
    for target in NB201:
        others = [metric for metric in NB201 if metric != target]
        good = tuple(SourceSpec(table=nb201(m), kind="random", count=50) for m in others)
        liar = replace(good[1], twist="inverted")
        for told in (good, (good[0], liar)):
            cases.append(
                Case(target=nb201(target), queries=QUERIES, sources=told, stop_at_hit=True)
            )
    return Protocol(
        name="several_sources",
        about="two sources of 50 random cells, both true or one inverted",
        cases=tuple(cases),
        arms=("transfer", "cold", "replay", "gp-transfer", "frequency-2 evolution"),
    )


def _lapt_nb201() -> Protocol:
    return Protocol(
        name="lapt_nb201",
        about="LAPT's protocol: 20 queries, the source's top 50; as published and as queries",
        cases=tuple(
            Case(
                target=nb201(target),
                queries=20,
                sources=(SourceSpec(table=nb201(source), kind="top", count=50),),
            )
            for source, target in PAIRS[:2]
        ),
        arms=("transfer", "lapt nb201", *CONTROLS, "cold", "random", "evolution"),
        reading="lapt",
    )


def _pair(source: TableSpec, target: str, queries: int, kind: SourceKind, count: int = 0) -> Case:
    told = SourceSpec(table=source, kind=kind, count=count)
    return Case(target=transnas(target), queries=queries, sources=(told,))


def _lapt_transnas() -> Protocol:
    return Protocol(
        name="lapt_transnas",
        about="LAPT's protocol on TransNAS-Bench-101 micro: 50 queries, the top 50 of jigsaw",
        cases=tuple(
            _pair(transnas("jigsaw"), target, 50, "top", 50)
            for target in TRANSNAS
            if target != "jigsaw"
        ),
        arms=("transfer", "lapt transnas", *CONTROLS, "cold", "random", "evolution"),
        seeds=100,
        reading="rank",
    )


def _transnas_pairs() -> Protocol:
    return Protocol(
        name="transnas_pairs",
        about="every ordered pair of the five TransNAS tasks, whole source table, 50 queries",
        cases=tuple(
            _pair(transnas(source), target, 50, "whole")
            for source, target in itertools.permutations(TRANSNAS, 2)
        ),
        arms=("transfer", "cold", "gp-transfer", "gp-ei", "replay", "frequency-3 evolution",
              "evolution"),
        seeds=50,
        reading="rank",
    )  # fmt: skip


def _between_spaces() -> Protocol:
    return Protocol(
        name="nb201_to_transnas",
        about="NAS-Bench-201 on CIFAR-10, whole, as the source of the five TransNAS tasks",
        cases=tuple(_pair(nb201("c10"), target, 30, "whole") for target in TRANSNAS),
        arms=("transfer", "cold", "replay", "gp-transfer", "frequency-3 evolution", "random"),
        seeds=100,
        reading="rank",
    )


def _constraints() -> Protocol:
    return Protocol(
        name="constraints",
        about="the best under FLOPs caps of 30, 60 and 90 M",
        cases=tuple(
            Case(target=nb201(metric, f",flops={cap * 1_000_000}"), queries=QUERIES)
            for metric in NB201
            for cap in (30, 60, 90)
        ),
        arms=("cold", "random", "evolution", "gp-ei", "flops"),
        seeds=50,
    )


def _fidelity() -> Protocol:
    return Protocol(
        name="fidelity",
        about="12-epoch trainings may be bought too, at their simulated seconds; queries are full "
        "trainings",
        cases=tuple(
            Case(
                target=nb201(metric),
                queries=30,
                cheap_epochs=12,
                is_cheap_shuffled=shuffled,
                stop_at_hit=True,
            )
            for shuffled in (False, True)
            for metric in NB201
        ),
        arms=("short first", "cold", "random short first", "random"),
        seeds=100,
    )


def _latency() -> Protocol:
    file = "nas_bench_201_latency_help.parquet"
    return Protocol(
        name="latency",
        about="accuracy against latency on three devices: hypervolume at 100 queries",
        cases=tuple(
            Case(
                target=replace(
                    nb201("c10", f",latency={{data}}/{file}:{device}"), label=f"c10 on {device}"
                ),
                queries=QUERIES,
                trade_off="latency_ms",
            )
            for device in DEVICES
        ),
        arms=("agent under caps", "gp trade-off", "nsga2", "random"),
        seeds=50,
        reading="hypervolume",
        control="random",
    )


def _labels() -> Protocol:
    disguises: tuple[Disguise, ...] = ("", "renamed", "hidden")
    return Protocol(
        name="labels",
        about="labels renamed, traits kept: the same is due; then traits and structure hidden",
        cases=tuple(
            Case(target=nb201(metric), queries=QUERIES, disguise=disguise, stop_at_hit=True)
            for metric in NB201
            for disguise in disguises
        ),
        arms=("cold", "gp-ei"),
        seeds=50,
        reading="labels",
    )


def _ablations() -> Protocol:
    """The parts, one out at a time: cold, on a good and on a bad source, after a wrong cut."""
    hardest = ("c10", "in16")
    told = [
        _told(hardest, "random", 50),
        _told(hardest, "random", 200, twist="inverted"),
        Case(target=nb201("in16"), queries=QUERIES, wrong_cuts=True, stop_at_hit=True),
    ]
    cold = [Case(target=nb201(metric), queries=QUERIES) for metric in NB201]
    return Protocol(
        name="ablations",
        about="the agent with one part out, or a model in its chairs, at equal budget; ratios are "
        "to the whole (no proxies are asked on a table: `rnn_pool` takes those out)",
        cases=(*cold, *told),
        arms=("whole", *PARTS_OUT, *CHAIRS),
        seeds=50,
        control="whole",
    )


def all_protocols() -> dict[str, Protocol]:
    """Returns the protocols by name, in the order of the page."""
    makers = (
        _cold, _lapt_nb201, _lapt_transnas, _strong_source, _source_sizes, _best_only, _misleading,
        _wrong_cuts, _several, _transnas_pairs, _between_spaces, _constraints, _fidelity,
        _latency,        _labels, _ablations,
    )  # fmt: skip
    return {protocol.name: protocol for protocol in (make() for make in makers)}


def find_protocols(names: list[str]) -> list[Protocol]:
    """Returns the protocols of these names; all where none is given.

    Raises:
        ConfigError: if there is none of that name.
    """
    known = all_protocols()
    for name in names:
        if name not in known:
            raise ConfigError(f"there is no protocol {name!r}; there are {', '.join(known)}")
    return [known[name] for name in names or known]
