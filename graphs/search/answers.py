"""What the architect asked, answered: scores by proxies, the memory, an audit of the trials."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from vitruvius.errors import ToolError
from vitruvius.events import EventKind
from vitruvius.graphs.offline.auditing import Audit, audit_trials, edits_of
from vitruvius.graphs.search.session import Session
from vitruvius.graphs.search.source_runs import kin_of
from vitruvius.memory.audit.variance import FactorShare
from vitruvius.memory.decisions import Decision
from vitruvius.memory.records import PrincipleVersion, Score
from vitruvius.spaces.space import Architecture
from vitruvius.tools.calls.proxy import Proxy
from vitruvius.tools.training.evaluation import Failed, FailureKind, Question

AUTHOR = "audit"
ATTEMPTS = 2  # of one architecture whose worker is killed
NAMED = 4  # factors that an audit's answer names, of each kind

Known = dict[tuple[str, Architecture], Score]


async def answer_proxies(session: Session, asked: Proxy) -> str | None:
    """Returns every score that is asked for, in words; None if the run was stopped first.

    Each architecture's scores are stored as they come, so a resume asks for the others only.
    """
    proxies = asked.proxies
    try:
        architectures = [session.space.parse(spec) for spec in asked.architectures]
        known = await session.call(_known, session, proxies, architectures)
        missing = [
            a for a in dict.fromkeys(architectures) if any((p, a) not in known for p in proxies)
        ]
        if missing:
            await _ask(session, proxies, missing)
            if session.stopping.is_set():
                return None
            known = await session.call(_known, session, proxies, architectures)
    except ToolError as error:
        return f"refused: {error}"
    return "; ".join(_words([known[p, a] for p in proxies]) for a in architectures)


def _known(session: Session, proxies: Sequence[str], about: Sequence[Architecture]) -> Known:
    run = session.run
    scores = session.ledger.scores.of(run.space_id, run.task_id, proxies, about)
    return {(score.proxy, score.architecture): score for score in scores}


async def _ask(session: Session, proxies: Sequence[str], about: Sequence[Architecture]) -> None:
    """Stores the scores of all architectures, as many at once as there are workers."""
    asked = asyncio.ensure_future(_ask_about_all(session, proxies, about))
    stop = asyncio.ensure_future(session.stopping.wait())
    await asyncio.wait({asked, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not asked.done():
        asked.cancel()
        await asyncio.wait([asked])
    elif not asked.cancelled():
        asked.result()


async def _ask_about_all(
    session: Session, proxies: Sequence[str], about: Sequence[Architecture]
) -> None:
    await asyncio.gather(*(_ask_about(session, proxies, one) for one in about))


async def _ask_about(session: Session, proxies: Sequence[str], architecture: Architecture) -> None:
    question = Question(architecture=architecture, proxies=tuple(proxies), seed=session.run.seed)
    for _ in range(ATTEMPTS):
        found = await session.evaluator.score(question)
        if not isinstance(found, Failed) or not found.retriable:
            break
    if isinstance(found, Failed):
        if found.kind == FailureKind.CANCELLED:
            return
        found = _unknown(question, found)
    run = session.run
    await session.call(session.ledger.scores.put, run.space_id, run.task_id, found)


def _unknown(question: Question, failed: Failed) -> tuple[Score, ...]:
    """Returns scores without a value: a network that ends its worker is not asked about again."""
    return tuple(
        Score(
            proxy=name,
            architecture=question.architecture,
            value=None,
            wall_s=failed.train_s / len(question.proxies),
            note=failed.message.partition("\n")[0],
        )
        for name in question.proxies
    )


def _words(scores: Sequence[Score]) -> str:
    texts = [
        f"{score.proxy} {score.value:.4g}" if score.value is not None else f"{score.proxy} -"
        for score in scores
    ]
    return f"{scores[0].architecture}: {', '.join(texts)}"


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
        f"decides: {', '.join(map(_share, deciding[:NAMED])) or 'nothing plainly'}",
        f"no effect seen: {', '.join(dead[:NAMED]) or 'none for sure'}",
    ]
    pairs = [f"{pair.first} with {pair.second}" for pair in score.interactions[:2]]
    return "; ".join([*parts, *([f"acts together: {', '.join(pairs)}"] if pairs else [])])


def _share(factor: FactorShare) -> str:
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


def answer_recall(session: Session, query: str) -> str:
    """Returns the principles in memory that are nearest to a query.

    Those of forks of this run, and of what it was forked from, are left out: see `source_runs`.
    """
    features = {feature.name for feature in session.space.features}
    found = session.index.search(query, session.space.name, features, 5)
    kin = kin_of(session.ledger, session.run.id)
    versions = {v.name: v for v in session.ledger.principles.all_current() if v.run_id not in kin}
    lines = [
        f"{name}: {versions[name].statement!r} (similarity {similarity:.2f})"
        for name, similarity in found
        if name in versions
    ]
    return "; ".join(lines) or "nothing in memory fits"
