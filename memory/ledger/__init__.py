"""The ledger: facts in SQL, the only writer of them, and every read that others need."""
