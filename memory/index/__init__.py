"""The vector index of principles: rebuildable from the ledger at any time."""
