"""The arms of protocols: our search, its ablations, and the peers beside it."""
