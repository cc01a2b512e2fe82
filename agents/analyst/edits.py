"""The analyst as theorist: edits of the principles, read from the posterior of the run.

New principles are findings that cut or explain; they are said in words without figures of their
effect, which would go stale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vitruvius.agents.analyst.mining import (
    CUT_LIMIT,
    Finding,
    Miner,
    hypotheses,
    measured,
    overlaps,
    subject_of,
)
from vitruvius.agents.chairs.view import PrincipleView, RunView
from vitruvius.memory.edits import Add, Edit, Merge, Narrow, Retire, Revise
from vitruvius.memory.evidence.contrasts import describe_population
from vitruvius.memory.model.ranking import learn
from vitruvius.memory.records import Standing
from vitruvius.spaces.rules import Condition, RangeCondition, Rule, SlotCondition, words
from vitruvius.spaces.space import SearchSpace

MIN_RESULTS = 8
PATIENCE = 4  # looks after which a candidate that is still one is given up
SAME = 0.95  # overlap at which two rules say the same
BETTER = 1.25  # a rewritten rule must explain so many times more


@dataclass(frozen=True, kw_only=True, eq=False)
class _Held:
    """A live principle and what the posterior says of its rule now."""

    view: PrincipleView
    finding: Finding

    @property
    def name(self) -> str:
        return f"P{self.view.version.principle}"

    @property
    def looks(self) -> int:
        return self.view.evidence.look if self.view.evidence else 0


def propose_edits(view: RunView) -> list[Edit]:
    """Returns edits that the run's trials suggest; a pure function of the view.

    Of principles of other runs only those are given up that this run's trials contradict: what they
    say elsewhere is not this run's to end.
    """
    lesson = learn(view.trials, view.task.metric)
    live = [p for p in view.principles if p.standing != Standing.RETIRED]
    if len(lesson.trials) < MIN_RESULTS:
        return []
    miner = Miner(view.space, describe_population(view.space, lesson))
    judged = miner.judge([p.version.rule for p in live])
    held = [_Held(view=p, finding=f) for p, f in zip(live, judged, strict=True)]
    edits: list[Edit] = _retire(view.run_id, held, miner)
    names = {edit.principle for edit in edits if isinstance(edit, Retire)}
    gone = {each.view.version.rule.key for each in held if each.name in names}
    held = [each for each in held if each.name not in names]
    own = [each for each in held if each.view.version.run_id == view.run_id]
    found = [
        finding for finding in miner.screen(hypotheses(view.space)) if finding.rule.key not in gone
    ]
    rewritten = _merge(view, own, miner) or _sharpen(view, own, held, found, miner)
    if rewritten is not None:
        edits.append(rewritten)
    return edits + add_principles(view.space, [each.finding for each in held], found, miner)


def _ranked(held: Sequence[_Held], miner: Miner) -> list[tuple[float, _Held]]:
    """Returns principles with what they explain, the least first; of equals the youngest."""
    shares = miner.explained([each.finding for each in held]).round(9).tolist()
    return sorted(
        zip(shares, held, strict=True),
        key=lambda row: (row[0], -row[1].view.version.principle),
    )


def _retire(run_id: str, held: Sequence[_Held], miner: Miner) -> list[Edit]:
    edits: list[Edit] = []
    kept: list[_Held] = []
    for _, each in reversed(_ranked(held, miner)):
        reason = _why_retire(each, kept)
        is_own = each.view.version.run_id == run_id
        if reason is None or not (is_own or each.view.standing == Standing.CONTRADICTED):
            kept.append(each)
        else:
            edits.append(Retire(principle=each.name, rationale=reason))
    return edits


def _why_retire(each: _Held, kept: Sequence[_Held]) -> str | None:
    standing = each.view.standing
    if standing == Standing.CONTRADICTED:
        return "the trials of this run contradict it"
    if standing == Standing.CANDIDATE and each.looks >= PATIENCE and not each.finding.is_clear:
        return f"not borne out in {each.looks} looks"
    if standing == Standing.WEAKENED and each.finding.effect < each.finding.sd:
        return "once supported, now without a clear effect"
    shared = overlaps([each.finding], [other.finding for other in kept])[0]
    for other, correlation in zip(kept, shared, strict=True):
        if correlation > SAME:
            return f"says the same as {other.name}"
    return None


def _merge(view: RunView, own: Sequence[_Held], miner: Miner) -> Edit | None:
    """Returns one merge of two supported principles about the same slot or feature."""
    supported = [each for each in own if each.view.standing == Standing.SUPPORTED]
    for i, one in enumerate(supported):
        for other in supported[i + 1 :]:
            rule = _merged(one.view.version.rule, other.view.version.rule)
            if rule is None or any(each.view.version.rule.key == rule.key for each in own):
                continue
            finding = miner.judge([rule])[0]
            together, *apart = miner.explained([finding, one.finding, other.finding])
            keeps = _keeps_licence(finding, one.finding, other.finding)
            if finding.is_clear and keeps and together > max(apart):
                return Merge(
                    principles=(one.name, other.name),
                    statement=statement(rule, view.space),
                    rule=rule,
                    rationale=f"one rule explains more than either; {measured(finding)}",
                )
    return None


def _keeps_licence(new: Finding, *old: Finding) -> bool:
    """Returns whether the new rule may cut if one of the old rules may."""
    return new.top_loss_high < CUT_LIMIT or min(o.top_loss_high for o in old) >= CUT_LIMIT


def _merged(one: Rule, other: Rule) -> Rule | None:
    if one.stance != other.stance or len(one.all) != 1 or len(other.all) != 1:
        return None
    a, b = one.all[0], other.all[0]
    if isinstance(a, SlotCondition) and isinstance(b, SlotCondition) and a.slot == b.slot:
        choices = tuple(sorted({*a.choices, *b.choices}))
        return Rule(stance=one.stance, all=(SlotCondition(slot=a.slot, choices=choices),))
    if not (isinstance(a, RangeCondition) and isinstance(b, RangeCondition)):
        return None
    if a.feature != b.feature or one.stance != "require":
        return None
    lows = [r.at_least for r in (a, b) if r.at_least is not None]
    highs = [r.at_most for r in (a, b) if r.at_most is not None]
    if not lows or not highs or max(lows) > min(highs):
        return None
    merged = RangeCondition(feature=a.feature, at_least=max(lows), at_most=min(highs))
    return Rule(stance="require", all=(merged,))


def _sharpen(
    view: RunView,
    own: Sequence[_Held],
    held: Sequence[_Held],
    found: Sequence[Finding],
    miner: Miner,
) -> Edit | None:
    """Returns one revision or narrowing that explains clearly more than what it replaces."""
    taken = {each.view.version.rule.key for each in held}
    shares = miner.explained(found)
    best_first = [(shares[i], found[i]) for i in np.argsort(-shares, kind="stable")]
    for share, each in _ranked(own, miner):
        rule = each.view.version.rule
        subject = subject_of(rule)
        for gain, finding in best_first:
            if gain <= BETTER * share:
                break
            new = finding.rule
            if new.key in taken or new.stance != rule.stance:
                continue
            if not _keeps_licence(finding, each.finding):
                continue
            rationale = f"explains more than {words(rule)}; {measured(finding)}"
            text = statement(new, view.space)
            if len(new.all) == len(rule.all) and subject_of(new) == subject:
                return Revise(principle=each.name, statement=text, rule=new, rationale=rationale)
            if len(new.all) > len(rule.all) and set(rule.all) <= set(new.all):
                return Narrow(principle=each.name, statement=text, rule=new, rationale=rationale)
    return None


def statement(rule: Rule, space: SearchSpace) -> str:
    """Returns the rule as a principle that a person can read."""
    text = " and ".join(_phrase(condition, space) for condition in rule.all)
    opening = "Prefer" if rule.stance == "require" else "Avoid"
    return f"{opening} architectures {text}."


def _phrase(condition: Condition, space: SearchSpace) -> str:
    if isinstance(condition, SlotCondition):
        return f"with {' or '.join(condition.choices)} at {condition.slot}"
    feature = next(f for f in space.features if f.name == condition.feature)
    about = f" ({feature.description})" if feature.slot is None else ""
    if not isinstance(condition, RangeCondition):
        return f"with {'large' if condition.trend == 'up' else 'small'} {feature.name}{about}"
    low, high = condition.at_least, condition.at_most
    if high is not None and (high <= 0 or (feature.kind == "bool" and high < 1)):
        return f"without {feature.name}{about}"
    if feature.kind == "bool":
        return f"with {feature.name}{about}"
    if low is None:
        return f"with {feature.name} of at most {high:.3g}{about}"
    if high is None:
        return f"with {feature.name} of at least {low:.3g}{about}"
    return f"with {feature.name} from {low:.3g} to {high:.3g}{about}"


MAX_ADDS = 3
MAX_CUTTING = 2  # of the adds, for what they would cut
MAX_LIVE = 12
MAX_TESTS = 10  # of pairs against their parts
ALIKE = 0.75  # overlap at which a new rule says too little new
WORTH_CUTTING = 0.03  # share of the space that a cutting rule must add
WORTH_SAYING = 0.02  # share of the variance that an explaining rule must add


def add_principles(
    space: SearchSpace, said: Sequence[Finding], found: Sequence[Finding], miner: Miner
) -> list[Edit]:
    """Returns new principles: first those that would cut most, then those that explain most.

    Args:
        space: for the words.
        said: what the live principles say.
        found: clear findings to choose from.
        miner: judges what they add to each other.
    """
    room = min(MAX_ADDS, MAX_LIVE - len(said))
    chosen: list[Finding] = []
    while len(chosen) < room:
        known = [*said, *chosen]
        near = overlaps(found, known).max(axis=1, initial=0.0)
        fresh = [
            finding
            for finding, overlap in zip(found, near, strict=True)
            if overlap < ALIKE and not any(_is_other_threshold(finding, k) for k in known)
        ]
        finding = None
        if len(chosen) < MAX_CUTTING:
            finding = _best_cut(fresh, known, miner)
        finding = finding or _best_saying(fresh, known, miner)
        if finding is None:
            break
        chosen.append(finding)
    return [
        Add(
            statement=statement(finding.rule, space),
            rule=finding.rule,
            rationale=measured(finding),
        )
        for finding in chosen
    ]


def _is_other_threshold(new: Finding, known: Finding) -> bool:
    """Returns whether a rule is another threshold on the same feature."""
    if any(isinstance(condition, SlotCondition) for condition in new.rule.all):
        return False
    return subject_of(new.rule) == subject_of(known.rule)


def _best_cut(fresh: Sequence[Finding], known: Sequence[Finding], miner: Miner) -> Finding | None:
    """Returns the finding that may cut and would remove most of what is not yet removed."""
    cutting = [k.kept for k in known if k.top_loss_high < CUT_LIMIT]
    left = np.logical_and.reduce(cutting) if cutting else np.True_
    rated = [
        (float((~f.kept & left).mean()) / len(f.rule.all) ** 0.5, f)
        for f in fresh
        if f.top_loss_high < CUT_LIMIT
    ]
    return _first_sound(rated, WORTH_CUTTING, miner)


def _best_saying(
    fresh: Sequence[Finding], known: Sequence[Finding], miner: Miner
) -> Finding | None:
    """Returns the finding that explains most of what the known ones leave unexplained."""
    gains = miner.explained(fresh, known).tolist()
    rated = [(gain / len(f.rule.all), f) for gain, f in zip(gains, fresh, strict=True)]
    return _first_sound(rated, WORTH_SAYING, miner)


def _first_sound(
    rated: Sequence[tuple[float, Finding]], worth: float, miner: Miner
) -> Finding | None:
    """Returns the highest rated finding that is worth it and more than its parts."""
    ordered = sorted(rated, key=lambda row: -row[0])
    singles = [(gain, finding) for gain, finding in ordered if len(finding.rule.all) == 1]
    pairs = [row for row in ordered if len(row[1].rule.all) > 1][:MAX_TESTS]
    for gain, finding in sorted([*pairs, *singles[:1]], key=lambda row: -row[0]):
        if gain < worth:
            return None
        if len(finding.rule.all) == 1:
            return finding
        parts = [Rule(stance="require", all=(part,)) for part in finding.rule.all]
        if miner.explained([finding], miner.judge(parts))[0] >= WORTH_SAYING:
            return finding
    return None
