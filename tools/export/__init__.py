"""A trained network as files of its own that need nothing of ours."""
