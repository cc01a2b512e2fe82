"""The command that learns principles from what was evaluated before."""

from __future__ import annotations

from typing import Annotated

import typer

from vitruvius.cli.console import Home, Json, print_json, print_markdown


def learn(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FROM",
            help="table:PATH with options, a file of rows (.csv, .parquet), or a run like "
            "261122-4f1a.",
        ),
    ],
    space: Annotated[
        str | None, typer.Option(help="Space of the architectures; default what the table says.")
    ] = None,
    metric: Annotated[str | None, typer.Option(help="Which metric of a table or file.")] = None,
    rows: Annotated[
        int | None, typer.Option(min=1, help="So many rows, drawn at random; default all.")
    ] = None,
    best: Annotated[
        int | None,
        typer.Option(min=1, help="Only the best so many, where the rest is lost or unwanted."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the choice of rows.")] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the task these rows measure; runs on it trust them fully."),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Learn principles from evaluated architectures, without training any.

    It makes a finished run: `runs`, `show` and `report` know it, and later searches recall its
    principles and let its rows guide their model, as far as they prove right.

    Examples:
      vitruvius learn table:nas_bench_201.parquet --metric c100

      vitruvius learn my_results.csv --metric accuracy --name fashion

      vitruvius learn 261122-4f1a

      vitruvius learn table:nas_bench_201.parquet,metric=c100 --rows 200 --best 20 --seed 3

    Then: vitruvius run --task ... --principles-from RUN (or nothing: memory is the default).
    """
    from vitruvius import api
    from vitruvius.cli.live import TerminalProgress
    from vitruvius.graphs.offline.rows import with_metric
    from vitruvius.memory.ledger.ledger import Ledger
    from vitruvius.memory.ledger.runs import run_data
    from vitruvius.run.payloads import version_data
    from vitruvius.tools.report import build_report, summary

    with TerminalProgress(quiet=as_json) as progress:
        found = api.learn(
            with_metric(source, metric),
            space,
            rows=rows,
            best=best,
            name=name,
            on_event=progress,
            seed=seed,
            home=home,
        )
    with Ledger.open(found.home) as ledger:
        made = build_report(ledger, found.id, found.space, found.task)
        latest, versions = ledger.evidence.latest(found.id), ledger.principles.current(found.id)
    if as_json:
        print_json(
            {
                "run": run_data(made.run),
                "rows": made.n_trials,
                "principles": [
                    version_data(v, latest.get((v.principle, v.version))) for v in versions
                ],
            }
        )
        return
    print_markdown(summary(made))
    print(f"\nUse it: vitruvius run --task TASK --principles-from {found.id}")
