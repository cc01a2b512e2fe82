"""Who decides: the chairs, taken by a model or by the built-in analyst, and the chat."""
