"""Errors by audience. A message says what was expected, what came, and what to do."""

INTERRUPTED = 130  # exit code of a run that was stopped, as shells say of Ctrl-C
SAYS = "vitruvius: "  # how the sentence of an error begins where a door prints it


class VitruviusError(Exception):
    """Root of every error that the doors show as one sentence, without a traceback."""

    exit_code = 1

    def _render_traceback_(self) -> list[str]:
        """Returns what a notebook shows in the traceback's place: the sentence."""
        return [f"{type(self).__name__}: {self}"]


class ConfigError(VitruviusError, ValueError):
    """A developer's or user's mistake, raised before any work is done."""

    exit_code = 2


class ToolError(VitruviusError):
    """A tool call that cannot be carried out as asked; the sentence says how to mend it."""


class RunHeld(VitruviusError):
    """Another live process drives this run."""

    exit_code = 3
