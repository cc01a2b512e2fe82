"""What may be asked of a run: each question is answered from the ledger, with its trials."""
