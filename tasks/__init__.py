"""What it is built for: datasets, metrics, constraints, tables."""
