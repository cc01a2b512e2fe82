"""Proxies as a tool of the architect: a batch of architectures, scored over the workers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from vitruvius.errors import ToolError
from vitruvius.graphs.search.session import Session
from vitruvius.memory.records import Score
from vitruvius.spaces.space import Architecture
from vitruvius.tools.calls.proxy import Proxy
from vitruvius.tools.training.evaluation import Failed, FailureKind, Question

ATTEMPTS = 2  # of one architecture whose worker is killed

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
