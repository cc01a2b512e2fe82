"""Vitruvius designs neural networks and rewrites its own design principles."""
