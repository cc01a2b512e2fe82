"""A model that says again what it said: the stored replies of a run, in their order.

Every prompt is compared with the recorded one, so that a replay that no longer makes the same
decisions stops at the first line that differs, instead of going on with replies to other questions.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

from vitruvius.agents.model.client import ModelClient, NativeCall, Question, Reply, spoken
from vitruvius.agents.model.endpoint import DUMMY_KEY, Endpoint
from vitruvius.agents.model.tokens import TokenCounter
from vitruvius.agents.model.transport import FAILURES, TransportFailed
from vitruvius.errors import VitruviusError
from vitruvius.memory.records import ModelCall

SHOWN_LINES = 3  # of a prompt that differs, on either side
SHOWN_CHARS = 200  # of a line
_CLOCK = re.compile(r"(?<=\bLeft: )(.*?)[\d.e+-]+(?= seconds)")  # no two runs have the same

_KINDS = {kind.__name__: kind for kind in FAILURES}


class ReplayDiverged(VitruviusError):
    """The run being replayed is not the recorded one any more."""


class ReplayClient(ModelClient):
    """Answers each question with the stored reply to it. Needs no endpoint and no key.

    Calls that the recorded run made but whose decision was lost when it was killed are passed
    over, and accounted for, as they were then.
    """

    def __init__(self, calls: Sequence[ModelCall], *, already: int = 0) -> None:
        """Takes the calls of the recorded run, of which a replay has booked `already` so many."""
        self.endpoint = Endpoint(model=_model(calls), base_url=None, api_key=DUMMY_KEY)
        self.counter = TokenCounter(self.endpoint.model)
        self._calls = list(calls)
        self._next = already
        self._price = None
        self._was_down = False
        self._told: ModelCall | None = None
        self._is_fresh = True  # no talk has begun in this process
        for call in self._calls[:already]:  # a resumed replay estimates tokens as before
            if call.error is None and not call.tokens_estimated:
                self.counter.learn(len(spoken(call.prompt)), call.tokens_in)

    async def ask(
        self, question: Question, log: list[ModelCall], *, streaming: bool = False
    ) -> Reply:
        """Returns the stored reply, as `ModelClient.ask` returned it.

        Raises:
            ReplayDiverged: the recorded run asked something else, or nothing more.
        """
        if question.chair != "probe":
            self._pass_over(question, log)
        elif not self._is_next(question):
            return self._seen_before(question)  # a process more than the recorded run had
        return await super().ask(question, log, streaming=streaming)

    async def _attempt(self, question: Question, streaming: bool) -> Reply:
        if not self._is_next(question):
            raise ReplayDiverged(self._ended(question))
        call = self._calls[self._next]
        self._check(question, call)
        self._next += 1
        self._told = call
        return _reply(call)

    async def _wait(self, seconds: float) -> None:
        """Waits for nobody."""

    def _call(
        self, question: Question, reply: Reply | None, wall_s: float, error: Exception | None
    ) -> ModelCall:
        told = self._told
        if told is None:  # the first question of all was not the recorded one
            return super()._call(question, reply, wall_s, error)
        return replace(told, prompt=self.endpoint.redact(question.text), wall_s=0.0)

    def _is_next(self, question: Question) -> bool:
        if self._next >= len(self._calls):
            return False
        call = self._calls[self._next]
        return (call.chair, call.step) == (question.chair, question.step)

    def _pass_over(self, question: Question, log: list[ModelCall]) -> None:
        """Books the calls before the ones whose reply was acted on; mends stay with theirs."""
        key = (question.chair, question.step)
        places = [p for p, call in enumerate(self._calls) if (call.chair, call.step) == key]
        starts = [place for place in places if place - 1 not in places]
        is_first, self._is_fresh = self._is_fresh, False
        if not starts:
            return
        if starts[-1] < self._next:  # in the middle of a talk, or of one that a kill has undone
            self._next = starts[-1] if is_first else self._next
            return
        start = starts[-1]
        log.extend(self._calls[self._next : start])
        self._next = start

    def _seen_before(self, question: Question) -> Reply:
        for call in self._calls:
            if call.chair == "probe" and call.prompt == question.text:
                return _reply(call)
        raise ReplayDiverged(self._ended(question))

    def _ended(self, question: Question) -> str:
        asked = f"the {question.chair} at step {question.step}"
        if self._next >= len(self._calls):
            return f"the recording holds no reply to {asked}: it ends before"
        call = self._calls[self._next]
        return (
            f"the replay asks {asked}, where the recorded run asked the {call.chair} at step "
            f"{call.step}: they have come apart"
        )

    def _check(self, question: Question, call: ModelCall) -> None:
        asked = self.endpoint.redact(question.text)
        if _comparable(asked) == _comparable(call.prompt):
            return
        raise ReplayDiverged(
            f"the prompt to the {question.chair} at step {question.step} is not the recorded one, "
            "so its reply does not answer it. Here the task, its scores, the program or the "
            f"recording differ:\n{_difference(call.prompt, asked)}"
        )


def _model(calls: Sequence[ModelCall]) -> str:
    return calls[-1].model if calls else "nobody"


def _comparable(prompt: str) -> str:
    return _CLOCK.sub(r"\1some", prompt)


def _difference(recorded: str, asked: str) -> str:
    """Returns the first lines that differ."""
    lines = difflib.unified_diff(recorded.splitlines(), asked.splitlines(), n=0, lineterm="")
    told = [line for line in lines if line[:3] not in ("---", "+++") and line[:2] != ""]
    gone = [f"  recorded: {line[1:][:SHOWN_CHARS]}" for line in told if line[0] == "-"]
    come = [f"  here:     {line[1:][:SHOWN_CHARS]}" for line in told if line[0] == "+"]
    pairs = zip_longest(gone[:SHOWN_LINES], come[:SHOWN_LINES])
    return "\n".join(line for pair in pairs for line in pair if line is not None)


def _reply(call: ModelCall) -> Reply:
    """Returns the reply that a call was recorded from; raises the failure that it ended in."""
    answer = call.answer or {"text": call.reply}
    if call.error is not None:
        raise _KINDS.get(str(answer.get("failed")), TransportFailed)(call.error)
    return Reply(
        text=str(answer.get("text", "")),
        calls=tuple(NativeCall(name=n, arguments=a) for n, a in answer.get("calls", ())),
        finish=answer.get("finish"),
        refusal=answer.get("refusal"),
        tokens_in=call.tokens_in,
        tokens_out=call.tokens_out,
        has_usage=not call.tokens_estimated,
    )
