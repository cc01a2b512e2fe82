"""The command that audits a space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitruvius.cli.console import Home, Json, note, print_json
from vitruvius.errors import ConfigError

if TYPE_CHECKING:
    from vitruvius.run.handle import SearchRun


def audit(
    space: Annotated[str, typer.Argument(metavar="SPACE", help="A space, like nb201.")],
    task: Annotated[
        str | None, typer.Option(help="Score draws by proxies for this task; nothing is trained.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="FROM", help="Labels: a run, table:PATH with options, or a file."
        ),
    ] = None,
    metric: Annotated[str | None, typer.Option(help="Which metric of a table or file.")] = None,
    draws: Annotated[
        int | None,
        typer.Option(min=1, help="So many architectures, at random; default 100, or all labels."),
    ] = None,
    proxies: Annotated[
        str | None, typer.Option(help="Names by comma; default params,flops. With --task.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of draws, weights and batch.")] = 0,
    keep: Annotated[
        bool, typer.Option("--keep", help="Write the proposed cuts as principles of a new run.")
    ] = False,
    name: Annotated[
        str | None, typer.Option(help="With --keep: name of the task that the labels measure.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Audit a space: what decides in it, what is dead, what is counted twice, what may be cut.

    Shares of variance are those over the space's own sampler, by a model of the sample; beside
    them those of the sample itself. Nothing is trained and, without --keep, nothing is written.

    Examples:
      vitruvius audit nb201

      vitruvius audit nb201 --task mnist1d --proxies params,synflow

      vitruvius audit nb201 --from 261122-4f1a

      vitruvius audit flexibert_trained --from table:flexibert.json --draws 60 --keep
    """
    from vitruvius.cli.audit_page import audit_data, print_audit
    from vitruvius.graphs.offline.auditing import audit as audited
    from vitruvius.graphs.offline.rows import with_metric

    if source is None and (metric or keep or name):
        raise ConfigError("--metric, --keep and --name need labels: say where --from")
    if name and not keep:
        raise ConfigError("--name names what --keep writes: give both")
    labels = None if source is None else with_metric(source, metric)
    found = audited(
        space,
        task=task,
        source=labels,
        draws=draws,
        proxies=[each.strip() for each in proxies.split(",") if each.strip()] if proxies else None,
        seed=seed,
        home=home,
    )
    run = None
    if keep and labels is not None and found.cuts:
        run = _keep(space, labels, draws, name, seed, home)
    if as_json:
        print_json(audit_data(found) | {"run": run.id if run else None})
        return
    print_audit(found)
    if run is not None:
        print(f"\nUse it: vitruvius run --task TASK --space {space} --principles-from {run.id}")
    elif keep:
        note("nothing was written: the labels license no cut")


def _keep(
    space: str, labels: str, draws: int | None, name: str | None, seed: int, home: Path | None
) -> SearchRun:
    from vitruvius import api

    return api.keep_cuts(space, labels, draws=draws, name=name, seed=seed, home=home)
