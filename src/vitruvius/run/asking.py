"""Questioning a run: a conversation of one turn."""

from __future__ import annotations

from typing import Any

from vitruvius.events import Ask
from vitruvius.run.steering import RunSteering


class RunAsking(RunSteering):
    """One run of the ledger, the ways on with it, and answers about it."""

    def ask(
        self, question: str, *, ask: Ask | None = None, thread: str = "ask", **settings: Any
    ) -> str:
        """Returns the answer to a question about this run, from its ledger and with its trials.

        Args:
            question: in words, or a command of `vitruvius chat` such as `/compare T3 T9`.
            ask: called before a costly step that the answer needs; without it, such are refused.
            thread: of the conversation: a later question may refer to what was said there.
            settings: `model` and the like; by default those of the run.

        Raises:
            ConfigError: the model or a setting cannot be used.
        """
        from vitruvius.run.conversation import ask as ask_once

        return ask_once(self, question, thread, ask, settings)
