"""Commands that steer a run from outside: steer, fork."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitruvius.cli.console import Home, Json, note, opened, print_json, run_of
from vitruvius.errors import ConfigError

if TYPE_CHECKING:
    from vitruvius.events import Event
    from vitruvius.memory.ledger.requests import Wish

Run = Annotated[str, typer.Argument(metavar="RUN", help="A run, like 261122-4f1a.")]


def steer(
    run_id: Run,
    words: Annotated[
        str | None,
        typer.Argument(
            help="A principle, like 'width >= 8' or 'avoid edge_0_3 = none'; other words are a "
            "note to the architect."
        ),
    ] = None,
    train: Annotated[
        list[str] | None,
        typer.Option(metavar="JSON", help="An architecture to train next; may be repeated."),
    ] = None,
    cut: Annotated[
        str | None, typer.Option(metavar="P3", help="A principle to cut by, if it may.")
    ] = None,
    undo: Annotated[int | None, typer.Option(metavar="CUT", help="A cut to undo.")] = None,
    principle: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help="A principle in any words: a model makes it a rule."),
    ] = None,
    retire: Annotated[
        str | None, typer.Option(metavar="P3", help="A principle to give up.")
    ] = None,
    leave: Annotated[str | None, typer.Option("--note", help="A note to the architect.")] = None,
    author: Annotated[str, typer.Option(help="In whose name.")] = "user",
    now: Annotated[
        bool,
        typer.Option("--now", help="Carry it out here, unless another process drives the run."),
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Ask something of a run; whoever drives it takes it up before its own next decision.

    Examples:
      vitruvius steer 261122-4f1a "width >= 8"

      vitruvius steer 261122-4f1a --note "wide networks overfit on my data"

      vitruvius steer 261122-4f1a --train '{"width": "8", "norm": "yes"}' --now

      vitruvius steer 261122-4f1a --undo 2
    """
    from vitruvius import api

    asked: list[Mapping[str, Any] | str] = [
        *([words] if words is not None else []),
        *([{"tool": "train", "architectures": train}] if train else []),
        *([{"tool": "prune", "principle": cut}] if cut is not None else []),
        *([{"tool": "undo", "cut": undo}] if undo is not None else []),
        *([{"tool": "principle", "statement": principle}] if principle is not None else []),
        *([{"tool": "retire", "principle": retire}] if retire is not None else []),
        *([{"tool": "note", "text": leave}] if leave is not None else []),
    ]
    if not asked:
        raise ConfigError("say what to ask for; `vitruvius steer --help` lists it")
    with opened(home) as ledger:
        name = run_of(ledger, run_id).id
    found = api.open(name, home=home)
    wishes = [found.steer(one, author=author) for one in asked]
    if now:
        found.carry_out(on_event=_tell)
    with opened(home) as ledger:  # read again: carrying out, here or elsewhere, closes them
        left = [ledger.requests.wish(wish.id) for wish in wishes]
    if as_json:
        print_json([wish_data(wish) for wish in left])
        return
    for wish in left:
        print(wish_words(wish))


def fork(
    run_id: Run,
    at: Annotated[
        int | None,
        typer.Option(
            metavar="STEP",
            help="The last step to share: the number of a decision. Default: as the run stands.",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Limits of the new run, shared trials included; default the same."),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make a new run that shares what another had found up to a step, and nothing later.

    Example: vitruvius fork 261122-4f1a --at 12
    """
    from vitruvius import api
    from vitruvius.memory.ledger.runs import run_data

    made = api.open(run_id, home=home).fork(at, budget=budget)
    record = made.record
    if as_json:
        print_json(run_data(record))
        return
    with opened(home) as ledger:
        shared = len(ledger.trials.of(made.id))
    upto = f" up to step {record.forked_at}" if shared else ""
    print(f"run {made.id} is forked from {run_id}{upto}: it shares {shared} trials")
    print(f"go on with `vitruvius resume {made.id}`")


def wish_data(wish: Wish) -> dict[str, Any]:
    """Returns a wish as plain data."""
    return {
        "id": wish.id,
        "run": wish.run_id,
        "author": wish.author,
        "call": dict(wish.written),
        "status": wish.status.value,
        "words": wish.words,
        "created": wish.created.isoformat(),
        "step": wish.step,
    }


def wish_words(wish: Wish) -> str:
    """Returns what was asked and what became of it, in one line."""
    from vitruvius.memory.ledger.requests import WishStatus
    from vitruvius.spaces.rules import words as in_words
    from vitruvius.tools.calls.principle import Principle
    from vitruvius.tools.safe_text import clean

    what = wish.call.tool
    if isinstance(wish.call, Principle) and wish.call.rule is not None:
        what += f" ({clean(in_words(wish.call.rule))})"
    if wish.status != WishStatus.OPEN:
        return f"wish {wish.id}, {what}: {wish.status.value}; {clean(wish.words)}"
    return (
        f"wish {wish.id}, {what}: open; whoever drives run {wish.run_id} takes it up before its "
        "next decision"
    )


def _tell(event: Event) -> None:
    from vitruvius.tools.safe_text import clean

    note(clean(event.text))
