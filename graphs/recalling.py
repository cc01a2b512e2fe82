"""Principles of earlier runs: how far this run trusts them before it has measured them."""

from __future__ import annotations

from vitruvius.events import EventKind
from vitruvius.graphs.pruning import cut_provisionally
from vitruvius.graphs.session import Session
from vitruvius.memory.effects import licenses_cut
from vitruvius.memory.records import Evidence, PrincipleVersion, Standing

MAX_RECALLED = 8
SEARCHED = 24
SAME_TASK = 1.0
OTHER_TASK = 0.6  # how much of a source's evidence holds on another task of the same space
LEAST_TRUST = 0.05


def recall_principles(session: Session) -> None:
    """Adopts what earlier runs know of this space, once; cuts provisionally where trusted."""
    ledger, run_id = session.ledger, session.run.id
    if ledger.marks(run_id, "recalled"):
        return
    features = {feature.name for feature in session.space.features}
    query = f"{session.task.name} {session.space.name} {session.task.describe()}"
    found = session.index.search(query, session.space.name, features, SEARCHED)
    versions = {version.name: version for version in ledger.all_current()}
    trusted = []
    for name, similarity in found:
        version = versions.get(name)
        if version is None or version.space_name != session.space.name:
            continue
        evidence = _best_evidence(session, version)
        trust = source_trust(evidence) * (
            SAME_TASK if version.task_name == session.task.name else OTHER_TASK
        )
        if trust >= LEAST_TRUST or version.edit == "import":  # imported: to be measured
            trusted.append((trust, similarity, version, evidence))
    trusted.sort(key=lambda row: (-row[0], row[2].principle))
    for trust, similarity, version, evidence in trusted[:MAX_RECALLED]:
        ledger.adopt(
            run_id,
            version.name,
            trust=trust,
            source_effect=evidence.effect if evidence else None,
            similarity=similarity,
        )
        session.has_new_principles()
        session.tell(
            EventKind.RECALLED,
            f"{version.name} (trust {trust:.2f}): {version.statement}",
            principles=[version.name],
        )
    _cut_provisionally(session, {v.name: e for _, _, v, e in trusted if e is not None})
    ledger.mark(run_id, "recalled", 0, {"adopted": len(trusted[:MAX_RECALLED])})


def source_trust(evidence: Evidence | None) -> float:
    """Returns a source's word in [0, 1]: how far its interval lies from zero effect."""
    if evidence is None or evidence.standing != Standing.SUPPORTED or evidence.effect == 0:
        return 0.0
    nearest = evidence.low if evidence.effect > 0 else -evidence.high
    return float(min(1.0, max(0.0, nearest / abs(evidence.effect)) + 0.5))


def _best_evidence(session: Session, version: PrincipleVersion) -> Evidence | None:
    """Returns the evidence on most trials that other runs hold of a version."""
    rows = [
        evidence
        for evidence in session.ledger.evidence_of(version.principle)
        if evidence.version == version.version and evidence.run_id != session.run.id
    ]
    return max(rows, key=lambda evidence: evidence.n_in + evidence.n_out, default=None)


def _cut_provisionally(session: Session, sources: dict[str, Evidence]) -> None:
    for view in session.principles():
        source = sources.get(view.version.name)
        if source is None or view.trust < session.policy.trust_to_cut:
            continue
        if licenses_cut(source, session.policy.cut_loss):
            cut_provisionally(
                session,
                view,
                f"run {source.run_id} measured it on {source.n_in + source.n_out} trials",
            )
