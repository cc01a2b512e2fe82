"""The command line: a thin layer over the Python face and the ledger. Imports nothing heavy."""
