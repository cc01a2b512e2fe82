"""What protocols compare: our search, whole and in parts, and the peers beside it."""
