"""The live board: every run of a home as a page that follows it, read-only, on this machine."""
