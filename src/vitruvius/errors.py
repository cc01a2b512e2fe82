"""Errors by audience. A message says what was expected, what came, and what to do."""


class VitruviusError(Exception):
    """Root of every error that the doors show as one sentence, without a traceback."""

    exit_code = 1


class ConfigError(VitruviusError, ValueError):
    """A developer's or user's mistake, raised before any work is done."""

    exit_code = 2


class ToolError(VitruviusError):
    """A tool call that cannot be carried out as asked; the sentence says how to mend it."""


class RunHeld(VitruviusError):
    """Another live process drives this run."""

    exit_code = 3
