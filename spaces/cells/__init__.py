"""Cells of four nodes: NAS-Bench-201 and TransNAS-Bench-101."""
