"""The analyst as theorist: edits of the principles, read from the posterior of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vitruvius.agents.analyst.hypotheses import hypotheses
from vitruvius.agents.analyst.mining import (
    CUT_LIMIT,
    Finding,
    Miner,
    measured,
    overlaps,
    subject_of,
)
from vitruvius.agents.analyst.new_principles import add_principles
from vitruvius.agents.analyst.phrases import statement
from vitruvius.agents.chairs.view import PrincipleView, RunView
from vitruvius.memory.edits import Edit, Merge, Narrow, Retire, Revise
from vitruvius.memory.evidence.population import describe_population
from vitruvius.memory.model.ranking import learn
from vitruvius.memory.records import Standing
from vitruvius.spaces.rules import RangeCondition, Rule, SlotCondition, words

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
