"""The language model: which one, how it is asked, what it can do, what its words cost."""
