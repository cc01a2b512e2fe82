"""Commands on principles: list, show, export, import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vitruvius.cli.console import Home, Json, home_of, opened, print_json, print_table
from vitruvius.errors import ConfigError

app = typer.Typer(
    help="Principles: what earlier runs learned, with history and evidence.", no_args_is_help=True
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
    from vitruvius.cli.payloads import version_data
    from vitruvius.spaces.rules import words

    with opened(home) as ledger:
        if run_id is None:
            versions, latest = ledger.all_current(), {}
        else:
            ledger.run(run_id)
            versions, latest = ledger.current(run_id), ledger.latest_evidence(run_id)
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
    from vitruvius.cli.payloads import evidence_data, version_data
    from vitruvius.spaces.rules import words

    with opened(home) as ledger:
        versions, evidence = ledger.versions(name), ledger.evidence_of(name)
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
    """Write principles as they stand to a file that another home can import."""
    with opened(home) as ledger:
        data = ledger.export_principles(names or None)
    if str(file) == "-":
        print_json(data)
        return
    try:
        file.write_text(json.dumps(data, indent=2, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror}") from None
    print(f"wrote {file}")


@app.command(name="import")
def import_principles(
    file: Annotated[Path, typer.Argument(help="A file that `principles export` wrote.")],
    home: Home = None,
) -> None:
    """Take principles from a file. They are data: checked, never run, and tested before believed.

    An imported principle starts without standing here: it may be recalled by a run, which then
    measures it on its own trials.
    """
    from vitruvius.memory.index import PrincipleIndex
    from vitruvius.memory.ledger import Ledger

    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read {file} as JSON: {error}") from None
    folder = home_of(home)
    with Ledger.open(folder) as ledger:
        versions = ledger.import_principles(data)
        index = PrincipleIndex(folder, ledger)
        index.add(versions)
        index.close()
    print_table(("imported", "statement"), [(v.name, v.statement) for v in versions])
