"""Transformers of mixed layers: FlexiBERT."""
