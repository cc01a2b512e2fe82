"""Cuts on loan: made on the word of other runs, kept only while this run bears them out.

A wrong cut can hide every good architecture, and a run that looks inside only would never know.
So a provisional cut is lent for `LOAN` results. From then on it stands, at every verification,
only if this run's own model has at least doubled the odds that the best lie inside. On
NAS-Bench-201, after 6 results, about 1 wrong cut in 20 passes and 4 to 5 right ones in 10. A wrong
start then costs 1 query of the median search and 6 to 15 % of the slowest twentieth's; with a loan
of 8 results 2 queries and 18 to 61 %, and right cuts help no more. Where odds that have not
fallen are enough, 1 wrong cut in 5 passes, and the slowest twentieth needs twice its cold start.
"""

from __future__ import annotations

from vitruvius.agents.view import PrincipleView
from vitruvius.graphs.schedule import LOAN, STALL
from vitruvius.graphs.session import Session
from vitruvius.memory.effects import lift
from vitruvius.memory.records import Standing

BORNE_OUT = 2.0  # times the odds that the share of the space alone would give


def loan_problem(session: Session, view: PrincipleView) -> str | None:
    """Returns why a provisional cut without a licence ends now, or None.

    Depends on the last verification alone, so a resumed run finds the same.
    """
    if view.standing in (Standing.CONTRADICTED, Standing.WEAKENED, Standing.RETIRED):
        return f"it is {view.standing}"
    verified = session.ledger.marks(session.run.id, "verified", last=1)
    closed = int(verified[-1].data["closed"]) if verified else 0
    if closed < LOAN:
        return None
    idle = int(verified[-1].data.get("since_best", 0))
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
