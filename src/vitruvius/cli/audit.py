"""The command that audits a space: what it found as JSON, and as tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitruvius.cli.console import Home, Json, note, print_json, print_table
from vitruvius.errors import ConfigError

if TYPE_CHECKING:
    from vitruvius.graphs.offline.auditing import Audit, AuditedCut, Explained
    from vitruvius.memory.audit.shares import Share
    from vitruvius.run.handle import SearchRun

SHOWN = 16  # factors in the table; --json has all


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
    if keep and labels is not None and found.cuts:  # without cuts there is no run to make
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


def audit_data(audit: Audit) -> dict[str, Any]:
    """Returns everything that an audit found."""
    return {
        "space": audit.space.name,
        "space_id": audit.space.id,
        "source": audit.source,
        "size": asdict(audit.size),
        "spreads": [asdict(one) for one in audit.spreads],
        "scores": [asdict(one) for one in audit.scores],
        "cuts": [_cut_data(one) for one in audit.cuts],
        "expected_loss_of_best_tenth": audit.loss,
    }


def _cut_data(one: AuditedCut) -> dict[str, Any]:
    from vitruvius.run.payloads import evidence_data
    from vitruvius.spaces.rules import words

    return {
        "rule": one.rule.model_dump(mode="json", exclude_none=True),
        "rule_words": words(one.rule),
        "rows": one.cut.rows,
        "effect": one.cut.effect,
        "removed_of_what_was_left": one.cut.removed,
        "loss": one.cut.loss,
        "loss_high": one.cut.loss_high,
        "removed": asdict(one.removed),
        "evidence": evidence_data(one.evidence),
    }


def print_audit(audit: Audit) -> None:
    """Prints the audit in a few tables, on a terminal or in a pipe."""
    print(f"Audit of space {audit.space.name}, from {audit.source}\n")
    print("\n".join(_size_lines(audit)))
    if not audit.scores:
        _print_spreads(audit)
    for explained in audit.scores:
        _print_explained(explained)
    _print_cuts(audit)


def _size_lines(audit: Audit) -> list[str]:
    size = audit.size
    lines = []
    if size.nominal is not None:
        lines.append(f"specifications            {size.nominal:,}")
    known = "too many to list" if size.distinct is None else f"{size.distinct:,}"
    lines.append(f"different architectures   {known}")
    effective = (
        f"at least {size.at_least:,.0f}" if size.effective is None else f"{size.effective:,.0f}"
    )
    lines.append(
        f"as the sampler sees it    {effective} equally likely ones "
        f"({size.drawn:,} different in {size.draws:,} draws)"
    )
    lines.append(f"features tell apart       all but {size.same_features:.1%} of the draws")
    return lines


def _print_spreads(audit: Audit) -> None:
    print()
    print_table(
        ("factor", "values", "most common", ""),
        [
            (one.name, str(one.values), f"{one.most_common:.0%}", _note_of(one.is_derived))
            for one in audit.spreads
        ],
    )


def _print_explained(explained: Explained) -> None:
    print(
        f"\nWhat decides {explained.name}: {explained.rows} labels, left-out ones predicted with "
        f"correlation {explained.predicted:.2f};\n{explained.indistinct:.0%} of pairs of draws "
        "differ by less than the noise of one training each."
    )
    members = any(one.members is not None for one in explained.factors)
    print()
    print_table(
        ("factor", "verdict", "alone", "others fixed", *(["each once"] * members), "sample", ""),
        [
            (
                one.name,
                one.verdict,
                _share(one.main),
                _share(one.total),
                *([_percent(one.members)] * members),
                _percent(one.sample),
                _note_of(one.is_derived),
            )
            for one in explained.factors[:SHOWN]
        ],
    )
    left = len(explained.factors) - SHOWN
    if left > 0:
        print(f"and {left} more that explain less: see --json")
    for pair in explained.interactions[:5]:
        what = "together only" if pair.is_modelled else "together only, missed by the model"
        print(f"{pair.first} and {pair.second} {what}: {_share(pair.share)}")


def _print_cuts(audit: Audit) -> None:
    from vitruvius.spaces.rules import words

    if not any(one.rows for one in audit.scores):
        return
    if not audit.cuts:
        print("\nNo cut is licensed: no labels say that a rule keeps the best.")
        return
    print("\nProposed cuts, each on what those before it leave:\n")
    print_table(
        ("keep", "rows", "best tenth lost", "contrast", "standing", *_removed_headers(audit.cuts)),
        [
            (
                words(one.rule),
                str(one.cut.rows),
                f"{one.cut.loss:.1%}, at most {one.cut.loss_high:.1%}",
                f"{one.evidence.effect:+.2f} ({one.evidence.low:+.2f} to {one.evidence.high:+.2f})",
                one.evidence.standing,
                *_removed_cells(one),
            )
            for one in audit.cuts
        ],
    )
    print(f"\nAll together are expected to lose {audit.loss:.1%} of the best tenth.")


def _removed_headers(cuts: Sequence[AuditedCut]) -> list[str]:
    last = cuts[-1].removed
    named = [("distinct", last.distinct), ("specifications", last.nominal)]
    return [
        "removed so far: draws",
        "sample",
        *(name for name, share in named if share is not None),
    ]


def _removed_cells(one: AuditedCut) -> list[str]:
    shares = (one.removed.sampler, one.removed.sample, one.removed.distinct, one.removed.nominal)
    return [f"{share:.1%}" for share in shares if share is not None]


def _share(share: Share | None) -> str:
    if share is None:
        return "-"
    return f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%})"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _note_of(is_derived: bool) -> str:
    return "follows from others" if is_derived else ""
