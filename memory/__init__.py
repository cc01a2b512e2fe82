"""What is known: the ledger, principles and their statistics, the index. No torch."""
