"""The analyst as theorist: edits of the principles, read from the posterior of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vitruvius.agents.hypotheses import hypotheses
from vitruvius.agents.mining import Finding, Miner, overlap
from vitruvius.agents.phrases import statement
from vitruvius.agents.view import PrincipleView, RunView
from vitruvius.memory.edits import Add, Edit, Merge, Narrow, Retire, Revise
from vitruvius.memory.population import describe_population
from vitruvius.memory.ranking import learn
from vitruvius.memory.records import Standing
from vitruvius.spaces.rules import RangeCondition, Rule, SlotCondition, words

MIN_RESULTS = 8
MAX_ADDS = 3
MAX_CUTTING = 2  # of the adds, for what they would cut
MAX_LIVE = 12
PATIENCE = 4  # looks after which a candidate that is still one is given up
SAME = 0.95  # overlap at which two rules say the same
ALIKE = 0.75  # overlap at which a new rule says too little new
CUT_LIMIT = 0.05
WORTH_CUTTING = 0.03  # share of the space that a cutting rule must add
WORTH_SAYING = 0.02  # share of the variance that an explaining rule must add
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

    Principles of other runs are left alone: what they say elsewhere is not this run's to end.
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
    found = [finding for finding in _findings(view, miner) if finding.rule.key not in gone]
    rewritten = _merge(view, own, miner) or _sharpen(view, own, held, found, miner)
    if rewritten is not None:
        edits.append(rewritten)
    return edits + _add(view, held, found, miner)


def _findings(view: RunView, miner: Miner) -> list[Finding]:
    """Returns the clear findings among all hypotheses of the space."""
    known = hypotheses(view.space)
    if not known.conditions:
        return []
    rules = [Rule(stance="require", all=conditions) for conditions in known.conditions]
    return [finding for finding in miner.split(rules, known.met) if finding.is_clear]


def _retire(run_id: str, held: Sequence[_Held], miner: Miner) -> list[Edit]:
    edits: list[Edit] = []
    kept: list[_Held] = []
    for each in sorted(held, key=lambda h: (-miner.explained(h.finding.kept), h.name)):
        reason = _why_retire(each, kept)
        if reason is None or each.view.version.run_id != run_id:
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
    for other in kept:
        if overlap(each.finding.kept, other.finding.kept) > SAME:
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
            apart = max(miner.explained(each.finding.kept) for each in (one, other))
            keeps = _keeps_licence(finding, one.finding, other.finding)
            if finding.is_clear and keeps and miner.explained(finding.kept) > apart:
                return Merge(
                    principles=(one.name, other.name),
                    statement=statement(rule, view.space),
                    rule=rule,
                    rationale=f"one rule explains more than either; {_measured(finding)}",
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
    for each in sorted(own, key=lambda h: (miner.explained(h.finding.kept), h.name)):
        rule = each.view.version.rule
        bar = BETTER * miner.explained(each.finding.kept)
        subject = _subject(rule)
        for finding in _by_explained(found, miner):
            if miner.explained(finding.kept) <= bar:
                break
            new = finding.rule
            if new.key in taken or new.stance != rule.stance:
                continue
            if not _keeps_licence(finding, each.finding):
                continue
            rationale = f"explains more than {words(rule)}; {_measured(finding)}"
            text = statement(new, view.space)
            if len(new.all) == len(rule.all) and _subject(new) == subject:
                return Revise(principle=each.name, statement=text, rule=new, rationale=rationale)
            if len(new.all) > len(rule.all) and set(rule.all) <= set(new.all):
                return Narrow(principle=each.name, statement=text, rule=new, rationale=rationale)
    return None


def _subject(rule: Rule) -> tuple[str, ...]:
    """Returns the slots and features that a rule speaks of."""
    return tuple(c.slot if isinstance(c, SlotCondition) else c.feature for c in rule.all)


def _by_explained(found: Sequence[Finding], miner: Miner) -> list[Finding]:
    return sorted(found, key=lambda f: -miner.explained(f.kept))


def _add(
    view: RunView, held: Sequence[_Held], found: Sequence[Finding], miner: Miner
) -> list[Edit]:
    """Returns new principles: first those that would cut most, then those that explain most."""
    said = [each.finding for each in held]
    room = min(MAX_ADDS, MAX_LIVE - len(held))
    chosen: list[Finding] = []
    while len(chosen) < room:
        known = said + chosen
        fresh = [f for f in found if all(_says_more(f, k) for k in known)]
        finding = None
        if len(chosen) < MAX_CUTTING:
            finding = _best_cut(fresh, known, miner)
        finding = finding or _best_saying(fresh, known, miner)
        if finding is None:
            break
        chosen.append(finding)
    return [
        Add(
            statement=statement(finding.rule, view.space),
            rule=finding.rule,
            rationale=_measured(finding),
        )
        for finding in chosen
    ]


def _says_more(new: Finding, known: Finding) -> bool:
    """Returns whether a rule is no near repeat, nor another threshold on the same feature."""
    has_slots = any(isinstance(condition, SlotCondition) for condition in new.rule.all)
    other_threshold = not has_slots and _subject(new.rule) == _subject(known.rule)
    return not other_threshold and overlap(new.kept, known.kept) < ALIKE


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
    given = [k.kept for k in known]
    rated = [(miner.explained(f.kept, given) / len(f.rule.all), f) for f in fresh]
    return _first_sound(rated, WORTH_SAYING, miner)


def _first_sound(
    rated: Sequence[tuple[float, Finding]], worth: float, miner: Miner
) -> Finding | None:
    """Returns the highest rated finding that is worth it and more than its parts."""
    for gain, finding in sorted(rated, key=lambda row: -row[0]):
        if gain < worth:
            return None
        parts = [Rule(stance="require", all=(part,)) for part in finding.rule.all]
        if len(parts) == 1:
            return finding
        alone = [part.kept for part in miner.judge(parts)]
        if miner.explained(finding.kept, alone) >= WORTH_SAYING:
            return finding
    return None


def _measured(finding: Finding) -> str:
    """Returns the figures that a rationale may hold: they belong to the moment of the edit."""
    return (
        f"the model's contrast is {finding.effect:+.2f} (deviation {finding.sd:.2f}); "
        f"a cut would remove {finding.removed:.0%} of the space and at most "
        f"{finding.top_loss_high:.0%} of its best 1 %"
    )
