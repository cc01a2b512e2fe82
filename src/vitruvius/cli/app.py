"""The command line's tree. Each command imports what it needs when it is called."""

from __future__ import annotations

import typer

from vitruvius.cli import (
    audit,
    chat,
    doctor,
    evaluate,
    learn,
    principles,
    run,
    serve,
    show,
    steer,
)

HELP = """Designs neural networks, learns design principles from its own trials, and prunes by them.

[bold]First steps[/bold]

  vitruvius run                        the default search: no key, no server, under 3 minutes
  vitruvius run --task digits --budget "30 trials"
  vitruvius learn results.csv          principles from what you evaluated before; runs recall them
  vitruvius audit nb201                what decides in a space, what is dead, what may be cut
  vitruvius runs                       what there is
  vitruvius chat                       ask about a run, steer it, teach it
  vitruvius report                     the latest run: what was found, learned, pruned, and cost
  vitruvius export RUN my_network      weights and a module that builds the network

RUN may be left out: the latest run is meant. Every listing takes --json.
"""
EXIT_CODES = (
    "Exit codes: 0 done; 1 it failed; 2 a wrong option, setting or reference; "
    "3 another process drives this run; 130 interrupted, and can be resumed."
)

app = typer.Typer(
    name="vitruvius",
    help=HELP,
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,  # an error of ours is one sentence, any other a plain traceback
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
# Commands import what they need inside: `vitruvius --help` loads neither torch nor numpy.
SEARCH, KNOW, CARE = "Search", "Look at what was found", "Look after the installation"

app.command(rich_help_panel=SEARCH)(run.run)
app.command(rich_help_panel=SEARCH)(run.resume)
app.command(rich_help_panel=SEARCH)(run.stop)
app.command(rich_help_panel=SEARCH)(chat.chat)
app.command(rich_help_panel=SEARCH)(steer.steer)
app.command(rich_help_panel=SEARCH)(steer.fork)
app.command(rich_help_panel=SEARCH)(learn.learn)
app.command(rich_help_panel=SEARCH)(audit.audit)
app.command(rich_help_panel=KNOW)(show.runs)
app.command(rich_help_panel=KNOW)(show.show)
app.command(rich_help_panel=KNOW)(show.report)
app.command(rich_help_panel=KNOW)(show.export)
app.command(rich_help_panel=KNOW)(show.recording)
app.add_typer(principles.app, name="principles", rich_help_panel=KNOW)
app.add_typer(principles.region, name="region", rich_help_panel=KNOW)
app.command(rich_help_panel=KNOW)(serve.board)
app.command(rich_help_panel=SEARCH)(serve.mcp)
app.command("eval", rich_help_panel=CARE)(evaluate.evaluate)
app.command(rich_help_panel=CARE)(doctor.doctor)
