"""Commands on the region: show the cuts of a run, undo one."""

from __future__ import annotations

from typing import Annotated

import typer

from vitruvius.cli.console import Home, Json, RunId, opened, print_json, print_table, run_of

app = typer.Typer(
    help="The region: what a run has cut from its space, why, and undoing it.",
    no_args_is_help=True,
)


@app.command()
def show(run_id: RunId = None, home: Home = None, as_json: Json = False) -> None:
    """List the cuts of a run: rule, reason, principle, share kept, in force or undone."""
    from vitruvius.cli.payloads import cut_data
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


@app.command()
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
