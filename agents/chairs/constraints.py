"""The facts of a view that proposals are checked against."""

from __future__ import annotations

from collections.abc import Sequence

from vitruvius.agents.chairs.view import RunView
from vitruvius.memory.decisions import Decision
from vitruvius.memory.records import DecisionStatus, Standing
from vitruvius.tools.calls.audit import Audit
from vitruvius.tools.calls.proxy import Proxy
from vitruvius.tools.calls.recall import Recall
from vitruvius.tools.calls.tool import ProposalContext, question_key
from vitruvius.tools.calls.train import Train


def context_of(view: RunView) -> ProposalContext:
    """Returns what the checks of tools and edits need of a view."""
    left = None
    if view.budget.trials is not None:
        left = max(view.budget.trials - view.spent.trials, 0)
    return ProposalContext(
        space=view.space,
        region=view.region,
        # Backwards, so that a repeated architecture goes by the name of its first trial.
        evaluated={trial.architecture: trial.name for trial in reversed(view.trials)},
        k=view.k,
        trials_left=left,
        proxies=tuple(view.proxies),
        principles={
            f"P{known.version.principle}": known.version.rule
            for known in view.principles
            if known.standing != Standing.RETIRED
        },
        cuts={cut.number: cut.principle.split(".")[0] for cut in view.cuts},
        asked=dict(filter(None, map(_question, view.decisions))),
        audited=_audited(view.decisions),
    )


def _audited(decisions: Sequence[Decision]) -> str | None:
    """Returns what the last audit answered, unless something was trained since."""
    for decision in reversed(decisions):
        if decision.status != DecisionStatus.CARRIED_OUT:
            continue
        match decision.call:
            case Audit():
                return f"step {decision.step}: {decision.outcome}"
            case Train():
                return None
    return None


def _question(decision: Decision) -> tuple[str, str] | None:
    """Returns key and answer of a question to proxies or memory that was carried out."""
    asked = decision.call
    if decision.status != DecisionStatus.CARRIED_OUT or not isinstance(asked, Proxy | Recall):
        return None
    return question_key(asked), f"step {decision.step}: {decision.outcome or 'no outcome'}"
