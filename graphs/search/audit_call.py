"""The audit as a tool of the architect: what the run's trials say of the space, in one line."""

from __future__ import annotations

from vitruvius.errors import ToolError
from vitruvius.events import EventKind
from vitruvius.graphs.offline.auditing import Audit, audit_trials, edits_of
from vitruvius.graphs.search.session import Session
from vitruvius.memory.audit.variance import FactorShare
from vitruvius.memory.decisions import Decision
from vitruvius.memory.records import PrincipleVersion

AUTHOR = "audit"
NAMED = 4  # factors that the answer names, of each kind


def answer_audit(session: Session, decision: Decision) -> str:
    """Returns the answer to the architect; proposed cuts become candidates of the run.

    They are measured and believed like any other principle. Carried out again after a kill, it
    finds what it wrote.
    """
    trials = session.reader.digest().search
    audit = audit_trials(
        session.space, session.task, trials, source="this run", seed=session.run.seed
    )
    if not audit.scores:
        return f"refused: the {len(trials)} results say nothing yet"
    return f"{_found(audit)}; {_written(session, decision, audit)}"


def _found(audit: Audit) -> str:
    [score] = audit.scores
    deciding = [f for f in score.factors if f.verdict in ("dominates", "carries")]
    dead = [f.name for f in score.factors if f.verdict == "dead"]
    parts = [
        f"{score.rows} results, left-out ones predicted with correlation {score.predicted:.2f}",
        f"decides: {', '.join(map(_words, deciding[:NAMED])) or 'nothing plainly'}",
        f"no effect seen: {', '.join(dead[:NAMED]) or 'none for sure'}",
    ]
    pairs = [f"{pair.first} with {pair.second}" for pair in score.interactions[:2]]
    return "; ".join([*parts, *([f"acts together: {', '.join(pairs)}"] if pairs else [])])


def _words(factor: FactorShare) -> str:
    return f"{factor.name} {factor.main.value:.0%}"


def _written(session: Session, decision: Decision, audit: Audit) -> str:
    versions: list[PrincipleVersion] = []
    for place, edit in enumerate(edits_of(session.space, [one.cut for one in audit.cuts])):
        try:
            version = session.ledger.principles.apply_edit(
                session.run.id,
                session.task.name,
                session.space.name,
                decision.step,
                AUTHOR,
                edit,
                ordinal=place,
            )
        except ToolError:  # a principle of the run holds the rule
            continue
        versions.append(version)
        session.tell(
            EventKind.PRINCIPLE,
            f"{version.name} (add): {version.statement}",
            principle=version.name,
            edit="add",
        )
    session.index.add(versions)
    if not audit.cuts:
        return "no cut is licensed"
    names = ", ".join(f"P{v.principle} {v.statement!r}" for v in versions)
    shares = f"its cuts would remove {audit.cuts[-1].removed.sampler:.0%} of the space"
    return f"{shares}; new candidates: {names}" if names else f"{shares}; all are known"
