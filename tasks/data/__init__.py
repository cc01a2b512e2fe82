"""Datasets as tasks: built-in ones, files, splits."""
