"""Networks of our own spaces. The only folder of spaces that imports torch."""
