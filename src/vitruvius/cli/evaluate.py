"""Evaluation: protocols on tables of finished trainings."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from vitruvius.cli.console import Json, print_json, print_table


def evaluate(
    protocols: Annotated[
        list[str] | None, typer.Argument(metavar="[PROTOCOL]...", help="All, if none is given.")
    ] = None,
    data: Annotated[Path, typer.Option("--data", help="Folder of the benchmark tables.")] = Path(
        "../shared/data"
    ),
    out: Annotated[
        Path, typer.Option("--out", help="Folder of raw results and page; a run goes on there.")
    ] = Path("evals/results"),
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, help="Instead of each protocol's own number.")
    ] = None,
    first_seed: Annotated[int, typer.Option("--first-seed", min=0)] = 0,
    processes: Annotated[int, typer.Option("--processes", min=1)] = os.cpu_count() or 1,
    arms: Annotated[
        list[str] | None, typer.Option("--arms", help="Only this arm; may be repeated.")
    ] = None,
    page_only: Annotated[
        bool, typer.Option("--page-only", help="Write the page of what is there.")
    ] = False,
    show_list: Annotated[
        bool, typer.Option("--list", help="List protocols and arms, and stop.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run protocols on tables: does it help, beside which controls, and by how much."""
    from vitruvius.evals.arms.registry import ARMS
    from vitruvius.evals.evaluation import Wanted, perform
    from vitruvius.evals.protocols import find_protocols

    found = find_protocols(protocols or [])
    if show_list:
        rows = [(p.name, str(len(p.cases)), str(len(p.arms)), str(p.seeds), p.about) for p in found]
        known = [(arm.name, arm.about) for arm in ARMS.values()]
        if as_json:
            print_json(
                {
                    "protocols": [
                        dict(zip(("name", "cases", "arms", "seeds", "about"), row, strict=True))
                        for row in rows
                    ],
                    "arms": [{"name": name, "about": about} for name, about in known],
                }
            )
        else:
            print_table(("protocol", "cases", "arms", "seeds", ""), rows)
            print()
            print_table(("arm", ""), known)
        return
    wanted = Wanted(
        protocols=found,
        data=data.expanduser().resolve(),
        out=out,
        seeds=seeds,
        first_seed=first_seed,
        processes=processes,
        arms=arms or [],
        page_only=page_only,
    )
    page, failures = perform(wanted, say=lambda text: print(text, file=sys.stderr, flush=True))
    if as_json:
        print_json({"page": str(page), "failures": [vars(failure) for failure in failures]})
    else:
        print(page)
    if failures:
        raise typer.Exit(1)
