"""Words on loan: what other runs say binds this one only while its own trials bear it out.

A wrong cut can hide every good architecture, and a run that looks inside only would never know.
So a provisional cut is lent for `LOAN` results. From then on it stands, at every verification,
only if this run's own model has at least doubled the odds that the best lie inside. On
NAS-Bench-201, after 6 results, about 1 wrong cut in 20 passes and 4 to 5 right ones in 10. A wrong
start then costs 1 query of the median search and 6 to 15 % of the slowest twentieth's; with a loan
of 8 results 2 queries and 18 to 61 %, and right cuts help no more. Where odds that have not
fallen are enough, 1 wrong cut in 5 passes, and the slowest twentieth needs twice its cold start.

A recalled principle's weight in the model ends by the same rule. With a told effect of one standard
deviation, the slowest twentieth of searches on CIFAR-10 and ImageNet16 (90 seeds) then takes 1.18
and 0.86 times its cold start where the principle is wrong, 1.11 and 0.88 where it is right; with
the weight kept while the model's evidence says so, 1.50 and 1.13, and 1.32 and 0.91.
"""

from __future__ import annotations

from collections.abc import Mapping

from vitruvius.agents.chairs.view import PrincipleView
from vitruvius.graphs.search.schedule import LOAN, STALL
from vitruvius.memory.evidence.effects import lift
from vitruvius.memory.records import Evidence, Standing

BORNE_OUT = 2.0  # times the odds that the share of the space alone would give
LOST = (Standing.CONTRADICTED, Standing.WEAKENED, Standing.RETIRED)


def trust_left(trust: float, evidence: Evidence | None, closed: int) -> float:
    """Returns what the word of other runs still weighs in this run's model: all of it, or nothing.

    Args:
        trust: that it was recalled with.
        evidence: the last of this run, None where there is none.
        closed: results that the last verification saw.
    """
    if evidence is None or closed < LOAN:
        return trust
    return trust if evidence.standing not in LOST and lift(evidence) >= BORNE_OUT else 0.0


def loan_problem(view: PrincipleView, verified: Mapping[str, int]) -> str | None:
    """Returns why a provisional cut without a licence ends now, or None.

    Args:
        view: of the principle that made the cut.
        verified: what the last verification saw; a resumed run finds the same.
    """
    if view.standing in LOST:
        return f"it is {view.standing}"
    closed, idle = verified.get("closed", 0), verified.get("since_best", 0)
    if closed < LOAN:
        return None
    if idle >= STALL:
        return f"no better result in {idle}, and this run's trials do not license it"
    if view.evidence is None:
        return f"no score among {closed} results bears it out"
    odds = lift(view.evidence)
    if odds < BORNE_OUT:
        return (
            f"{closed} results do not bear it out: they move the odds that the best lie inside "
            f"by {odds:.2g}, at least {BORNE_OUT:g} is needed"
        )
    return None
