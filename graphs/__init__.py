"""In what order: the search graph and its state."""
