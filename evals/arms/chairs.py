"""Who takes which chair: a model in both, or in one beside the analyst, as arms.

The model is the one that the settings name, a .gguf file or one that their endpoint serves:
`VITRUVIUS_MODEL=small.gguf vitruvius eval ablations --seeds 1`.
"""

from __future__ import annotations

from functools import partial

from vitruvius.agents.analyst.analyst import Analyst
from vitruvius.agents.chairs.create import create_chairs
from vitruvius.agents.model.resolving import at_hand, resolve_model
from vitruvius.errors import ConfigError
from vitruvius.evals.arms.agent import agent
from vitruvius.evals.arms.arm import Arm, Given
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import DecisionStatus
from vitruvius.settings import ModelChairs, load_settings

SEEDS = 5


def with_model(chairs: ModelChairs, given: Given) -> None:
    """Searches with the model of the settings in the chairs; leaves what it cost in the notes.

    Raises:
        ConfigError: the settings name no model.
    """
    settings = load_settings({"model_chairs": chairs})
    with at_hand(resolve_model(settings), settings) as resolved, Ledger.in_memory() as ledger:
        if resolved.endpoint is None:
            raise ConfigError(f"this arm needs a model. {resolved.words}")
        seats = create_chairs(settings, Analyst(), resolved)
        try:
            agent(given, chairs=lambda: seats, ledger=ledger)
        finally:  # an oracle that is spent ends a search by raising
            for run in ledger.runs.all():
                given.oracle.notes |= costs(ledger, run.id, resolved.endpoint.model)


def costs(ledger: Ledger, run_id: str, model: str) -> dict[str, float]:
    """Returns calls, tokens and seconds of a run, and what became of what the model proposed."""
    calls, decisions = ledger.steps.calls(run_id), ledger.steps.decisions(run_id)
    own = [d.status == DecisionStatus.CARRIED_OUT for d in decisions if d.author == model]
    return {
        "calls": len(calls),
        "tokens_in": sum(call.tokens_in for call in calls),
        "tokens_out": sum(call.tokens_out for call in calls),
        "model_s": round(sum(call.wall_s for call in calls), 2),
        "carried_out": sum(own),
        "turned_down": len(own) - sum(own),
    }


def _arm(name: str, about: str, chairs: ModelChairs) -> Arm:
    run = partial(with_model, chairs)
    return Arm(name=name, about=about, run=run, hears=True, needs_model=True, most_seeds=SEEDS)


ARMS = (
    _arm("model in both chairs", "whole, the settings' model in both chairs", "both"),
    _arm(
        "model as theorist", "whole, the model writes principles, the analyst decides", "theorist"
    ),
    _arm("model as architect", "whole, the model decides, the analyst writes", "architect"),
)
