"""Principles of earlier runs: how far this run trusts them before it has measured them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vitruvius.events import EventKind
from vitruvius.graphs.search.prune import cut_provisionally
from vitruvius.graphs.search.session import Session
from vitruvius.graphs.search.source_runs import (
    Choice,
    Chosen,
    Refusal,
    choose_sources,
    mark_of,
    sources_of,
)
from vitruvius.memory.evidence.effects import licenses_cut
from vitruvius.memory.records import Adoption, Evidence, PrincipleVersion
from vitruvius.memory.transfer.source_hints import MEMORY, Source
from vitruvius.memory.transfer.space_overlap import carry_rule, is_one_family
from vitruvius.memory.transfer.trust import LEAST_TRUST, Word, word_of
from vitruvius.memory.transfer.weighing import refusal
from vitruvius.spaces.rules import Rule

MAX_RECALLED = 8
SEARCHED = 24
MARK = "recalled"


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A version that may be recalled; `rule` is set where it comes from another space."""

    version: PrincipleVersion
    similarity: float
    word: Word
    trust: float
    rule: Rule | None = None


def recall_principles(session: Session) -> None:
    """Takes in what other runs know, once; a resume finds the same principles and sources."""
    marks = session.ledger.steps.marks(session.run.id, MARK)
    if marks:
        found = sources_of(session, marks[0].data.get("sources", ()))
        session.reader.sources = (*session.reader.sources, *found)
        return
    choice = choose_sources(session)
    trusted, not_carried = _found(session, choice)
    kept = trusted[:MAX_RECALLED]
    adopted = {_adopt(session, choice, one): one.word.evidence for one in kept if one.rule is None}
    for one in kept:
        if one.rule is not None:
            _carry(session, choice, one, one.rule)
    _cut_provisionally(session, {n: e for n, e in adopted.items() if e is not None})
    chosen, sources, silent = _with_a_say(session, choice.chosen)
    refused = [*choice.refused, *not_carried, *silent]
    for what in refused:
        session.tell(EventKind.REFUSED, f"{what.what} is not used: {what.why}", source=what.what)
    session.reader.sources = (*session.reader.sources, *sources)
    for source in sources:
        session.tell(
            EventKind.RECALLED,
            f"run {source.run_id} on {source.task_name} guides the model "
            f"(trust {source.trust:.2f}, {len(source.trials):,} trials)",
            source=source.run_id,
            trust=source.trust,
        )
    session.ledger.steps.mark(
        session.run.id, MARK, 0, {"adopted": len(kept), **mark_of(chosen, refused)}
    )


def _with_a_say(
    session: Session, chosen: Sequence[Chosen]
) -> tuple[list[Chosen], list[Source], list[Refusal]]:
    """Returns the runs whose rows say something here, as sources, and why others do not."""
    told = mark_of(chosen, ())["sources"]
    with_a_say, sources, silent = [], [], []
    for one, source in zip(chosen, sources_of(session, told), strict=True):
        reason = refusal(session.space, source)
        if reason is None:
            with_a_say.append(one)
            sources.append(source)
        else:
            silent.append(Refusal(what=f"rows of run {one.run.id}", why=reason))
    return with_a_say, sources, silent


def _found(session: Session, choice: Choice) -> tuple[list[_Found], list[Refusal]]:
    """Returns what may be recalled, most trusted first, and what cannot travel to this space."""
    # Reversed: of versions with equal rules the most trusted comes last and stays.
    found = {one.version.rule.key: one for one in reversed(_of_this_space(session, choice))}
    refused = []
    for source in choice.chosen:
        if is_one_family(source.space, session.space):
            continue
        for one in _of_another_space(session, choice, source):
            if isinstance(one, Refusal):
                refused.append(one)
            elif one.rule is not None:
                found.setdefault(one.rule.key, one)
    ranked = sorted(
        found.values(),
        # Rounded: trusts that differ in the last digits only are told apart by likeness.
        key=lambda one: (-round(one.trust, 3), -one.similarity, one.version.principle),
    )
    return ranked, refused


def _of_this_space(session: Session, choice: Choice) -> list[_Found]:
    """Returns versions of this family of spaces that are trusted, or imported to be measured."""
    features = {feature.name for feature in session.space.features}
    query = f"{session.task.name} {session.space.name} {session.task.describe()}"
    versions: dict[str, PrincipleVersion] = {}
    similarities: dict[str, float] = {}
    names = session.policy.principles_from
    if MEMORY in names:
        everything = {version.name: version for version in session.ledger.principles.all_current()}
        for name, similarity in session.index.search(query, session.space.name, features, SEARCHED):
            version = _by_a_speaker(session, choice, everything.get(name))
            if version is not None:
                versions[version.name], similarities[version.name] = version, similarity
    for run_id in names:
        if run_id in choice.speakers:
            mine = session.ledger.principles.current(run_id)
            for name, similarity in session.index.rank(mine, query, session.space.name, features):
                versions[name] = next(v for v in mine if v.name == name)
                similarities[name] = similarity
    found = []
    for version in _newest(versions.values()):
        word = _word(session, choice, version)
        is_told = version.edit == "import" and word.evidence is None
        if version.space_name == session.space.name and (word.trust >= LEAST_TRUST or is_told):
            found.append(
                _Found(
                    version=version,
                    similarity=similarities[version.name],
                    word=word,
                    trust=word.trust,
                )
            )
    return sorted(found, key=lambda one: -one.trust)


def _by_a_speaker(
    session: Session, choice: Choice, version: PrincipleVersion | None
) -> PrincipleVersion | None:
    """Returns the version, or the one before it that a run which may speak wrote."""
    if version is None or version.run_id is None or version.run_id in choice.speakers:
        return version
    before = [
        v
        for v in session.ledger.principles.versions(version.principle)
        if v.run_id is None or v.run_id in choice.speakers
    ]
    return before[-1] if before and before[-1].edit != "retire" else None


def _newest(versions: Iterable[PrincipleVersion]) -> list[PrincipleVersion]:
    newest: dict[int, PrincipleVersion] = {}
    for version in sorted(versions, key=lambda version: version.version):
        newest[version.principle] = version
    return list(newest.values())


def _word(session: Session, choice: Choice, version: PrincipleVersion) -> Word:
    """Returns what the speakers measured of the version, or of an equal one before it."""
    equal = {
        v.version
        for v in session.ledger.principles.versions(version.principle)
        if v.rule.key == version.rule.key
    }
    evidence = session.ledger.evidence.about(version.principle)
    return word_of(
        [one for one in evidence if one.version in equal], choice.speakers, session.task.name
    )


def _of_another_space(session: Session, choice: Choice, source: Chosen) -> list[_Found | Refusal]:
    """Returns the trusted principles of a run in another space, carried or refused."""
    found: list[_Found | Refusal] = []
    for version in session.ledger.principles.current(source.run.id):
        word = _word(session, choice, version)
        trust = word.trust * source.share
        if trust < LEAST_TRUST or version.space_name != source.space.name:
            continue
        rule = carry_rule(version.rule, source.space, session.space)
        if isinstance(rule, str):
            found.append(Refusal(what=version.name, why=rule))
            continue
        found.append(
            _Found(version=version, similarity=source.share, word=word, trust=trust, rule=rule)
        )
    return found


def _adopt(session: Session, choice: Choice, one: _Found) -> str:
    session.ledger.principles.adopt(
        session.run.id,
        one.version.name,
        trust=one.trust,
        source_effect=one.word.effect,
        similarity=one.similarity,
    )
    _tell(session, choice, one, one.version)
    return one.version.name


def _carry(session: Session, choice: Choice, one: _Found, rule: Rule) -> None:
    adoption = Adoption(
        run_id=session.run.id,
        version=one.version.name,
        trust=one.trust,
        source_effect=one.word.effect,
        similarity=one.similarity,
    )
    version = session.ledger.principles.carry(
        one.version,
        rule,
        adoption,
        space_name=session.space.name,
        task_name=session.task.name,
    )
    session.index.add([version])
    _tell(session, choice, one, version)


def _tell(session: Session, choice: Choice, one: _Found, version: PrincipleVersion) -> None:
    evidence = one.word.evidence
    source = choice.speakers[evidence.run_id] if evidence else None
    where = f", from run {source.id} on {source.task_name}" if source else ", not measured yet"
    imported = ", imported" if one.word.is_imported or version.edit == "import" else ""
    session.tell(
        EventKind.RECALLED,
        f"{version.name} (trust {one.trust:.2f}{where}{imported}): {version.statement}",
        principles=[version.name],
    )


def _cut_provisionally(session: Session, sources: dict[str, Evidence]) -> None:
    """Cuts by what is trusted enough and loses little of the best there.

    A rule from another space never cuts: what it loses there says nothing of this space.
    """
    for view in session.reader.principles():
        source = sources.get(view.version.name)
        if source is None or view.trust < session.policy.trust_to_cut:
            continue
        if licenses_cut(source, session.policy.cut_loss):
            cut_provisionally(
                session,
                view,
                f"run {source.run_id} measured it on {source.n_in + source.n_out} trials",
            )
