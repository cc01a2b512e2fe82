"""The analyst: decisions and edits by statistics alone, deterministic by seed."""
