"""What the ledger's parts share."""

from __future__ import annotations

from typing import Any

from vitruvius.memory.ledger.database import Database
from vitruvius.memory.ledger.redaction import redact_texts


class LedgerPart:
    """A group of the ledger's operations over one database."""

    def __init__(self, database: Database, *, secrets: tuple[str, ...] = ()) -> None:
        self._database = database
        self._secrets = secrets

    def _without_keys(self, data: Any) -> Any:
        """Returns JSON-able data in whose texts keys are blanked out."""
        return None if data is None else redact_texts(data, self._secrets)
