"""Recurrent cells as graphs of simple nodes: NAS-Bench-NLP."""
