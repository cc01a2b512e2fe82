"""Texts as tasks: corpora, tokens, and what is predicted of them."""
