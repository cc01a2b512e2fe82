"""Commands on what runs have learned: principles, and the region that their cuts have left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitruvius.cli.console import (
    Home,
    Json,
    RunId,
    home_of,
    opened,
    print_json,
    print_table,
    run_of,
)
from vitruvius.errors import ConfigError

if TYPE_CHECKING:
    from vitruvius.memory.records import Evidence

app = typer.Typer(
    help="Principles: what earlier runs learned, with history and evidence.", no_args_is_help=True
)
region = typer.Typer(
    help="The region: what a run has cut from its space, why, and undoing it.",
    no_args_is_help=True,
)


@app.command(name="list")
def list_principles(
    run_id: Annotated[
        str | None, typer.Option("--run", help="Only those that this run wrote or recalled.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """List the newest version of every principle, with its standing in a run if one is named."""
    from vitruvius.run.payloads import version_data
    from vitruvius.spaces.rules import words

    with opened(home) as ledger:
        if run_id is None:
            versions, latest = ledger.principles.all_current(), {}
        else:
            ledger.runs.get(run_id)
            versions, latest = ledger.principles.current(run_id), ledger.evidence.latest(run_id)
    found = [(version, latest.get((version.principle, version.version))) for version in versions]
    if as_json:
        print_json([version_data(version, evidence) for version, evidence in found])
        return
    print_table(
        ("name", "standing", "effect", "rule", "statement", "space", "task"),
        [
            (
                version.name,
                evidence.standing if evidence else "-",
                f"{evidence.effect:+.2f} ({evidence.low:+.2f} to {evidence.high:+.2f})"
                if evidence
                else "-",
                words(version.rule),
                version.statement,
                version.space_name,
                version.task_name,
            )
            for version, evidence in found
        ],
    )


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="PRINCIPLE", help="Like P7.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show a principle's history, and the evidence of every run that measured it."""
    from vitruvius.run.payloads import evidence_data, version_data
    from vitruvius.spaces.rules import words

    with opened(home) as ledger:
        versions, evidence = ledger.principles.versions(name), ledger.evidence.about(name)
    if as_json:
        print_json(
            [
                version_data(version)
                | {"evidence": [
                    evidence_data(e) for e in evidence if e.version == version.version
                ]}
                for version in versions
            ]
        )  # fmt: skip
        return
    print_table(
        ("version", "edit", "author", "run", "step", "from", "rule", "statement", "rationale"),
        [
            (v.name, v.edit, v.author, v.run_id or "imported", str(v.step), ", ".join(v.parents),
             words(v.rule), v.statement, v.rationale)
            for v in versions
        ],
    )  # fmt: skip
    print()
    print_table(
        ("version", "run", "up to", "standing", "effect", "in", "out", "loss", "for", "against"),
        [
            (f"P{e.principle}.{e.version}", e.run_id, f"T{e.up_to}", e.standing,
             f"{e.effect:+.2f} ({e.low:+.2f} to {e.high:+.2f})", str(e.n_in), str(e.n_out),
             f"<= {e.top_loss_high:.1%}", " ".join(f"T{n}" for n in e.supporting),
             " ".join(f"T{n}" for n in e.contradicting))
            for e in evidence
        ],
    )  # fmt: skip


@app.command(name="export")
def export_principles(
    file: Annotated[Path, typer.Argument(help="JSON file to write; - for standard output.")],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[PRINCIPLE]...", help="Which; default all.")
    ] = None,
    home: Home = None,
) -> None:
    """Write principles to a file that another home can import: rules, history, measured effects.

    Trials stay here; of evidence the sums travel.

    Example: vitruvius principles export ours.json P3 P7
    """
    with opened(home) as ledger:
        data = ledger.principles.export(names or None)
    if str(file) == "-":
        print_json(data)
        return
    try:
        file.write_text(json.dumps(data, indent=2, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror}") from None
    print(f"wrote {file}: {len(data['principles'])} principles")


@app.command(name="import")
def import_principles(
    file: Annotated[Path, typer.Argument(help="A file that `principles export` wrote.")],
    home: Home = None,
) -> None:
    """Take principles from a file. They are data: checked, never run, and tested before believed.

    An imported principle has no standing here. A run may recall it, with a trust that follows
    from the other home's evidence, less than for runs of this home; then it measures it on its own
    trials. What another principle says already is passed over.

    Example: vitruvius principles import ours.json
    """
    from vitruvius.memory.index.principle_index import PrincipleIndex
    from vitruvius.memory.ledger.ledger import Ledger

    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read {file} as JSON: {error}") from None
    folder = home_of(home)
    with Ledger.open(folder) as ledger:
        versions = ledger.principles.take_in(data)
        evidence = {v.name: ledger.evidence.about(v.principle) for v in versions}
        # After the commit: the ledger is the truth, and `doctor --repair` makes the index of it.
        index = PrincipleIndex(folder, ledger)
        index.add(versions)
        index.close()
    passed_over = len(data["principles"]) - len(versions)
    if passed_over:
        print(f"{passed_over} passed over: principles here hold these rules already")
    if versions:
        print_table(
            ("imported", "measured elsewhere", "statement"),
            [(v.name, _elsewhere(evidence[v.name]), v.statement) for v in versions],
        )


def _elsewhere(evidence: list[Evidence]) -> str:
    """Returns what runs of the other home said of the newest version that they measured."""
    last = max((one.version for one in evidence), default=0)
    said = [
        f"{one.standing} {one.effect:+.2f} on {one.n_in + one.n_out} trials"
        for one in evidence
        if one.version == last
    ]
    return "; ".join(said) or "never"


@region.command(name="show")
def show_region(run_id: RunId = None, home: Home = None, as_json: Json = False) -> None:
    """List the cuts of a run: rule, reason, principle, share kept, in force or undone."""
    from vitruvius.run.payloads import cut_data
    from vitruvius.spaces.rules import words

    with opened(home) as ledger:
        run = run_of(ledger, run_id)
        cuts = ledger.cuts.of(run.id)
    if as_json:
        print_json([cut_data(cut) for cut in cuts])
        return
    if not cuts:
        print(f"run {run.id} has cut nothing")
        return
    print_table(
        ("cut", "state", "keeps", "share", "may lose", "by", "reason"),
        [
            (
                str(cut.number),
                "in force" if cut.in_force else f"undone by {cut.undone_by}: {cut.undone_reason}",
                words(cut.rule),
                f"{cut.kept:.0%}",
                "not measured" if cut.provisional else f"<= {cut.top_loss_high:.1%}",
                cut.principle + (" (provisional)" if cut.provisional else ""),
                cut.reason,
            )
            for cut in cuts
        ],
    )


@region.command()
def undo(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="A run, like 261122-4f1a.")],
    cut: Annotated[int, typer.Argument(help="The cut's number, as `region show` prints it.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept in the ledger.")] = "by hand",
    home: Home = None,
) -> None:
    """Undo a cut. The run, at work or resumed, searches there again and does not repeat the cut.

    Example: vitruvius region undo 261122-4f1a 2 --reason "pooling matters on my data"
    """
    from vitruvius.memory.records import PERSON

    with opened(home) as ledger:
        step = ledger.steps.accepted_decisions(ledger.runs.get(run_id).id)
        ledger.cuts.undo(run_id, cut, step, PERSON, reason)
    print(f"cut {cut} of run {run_id} is undone")
