"""The graph of a conversation, and the process that drives it."""
