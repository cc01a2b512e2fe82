"""Alembic migrations of the ledger; run by `vitruvius.memory.ledger.file`."""
